"""A whole search step against a plain training step of the same backbone, for the shapes of the ten tasks.

Both steps are those of the library: batch, forward pass, loss, backward pass, clipping, optimiser. They take turns in
one process; the ratio is the median over pairs. All candidates of the task's search space stay in every layer, also
those that reach beyond its map. Data are random numbers of the task's shape, since only time is measured.

    python benchmarks/supernet_step.py                 # all tasks, full and depthwise mixtures
    python benchmarks/supernet_step.py --quick         # four tasks, full; saves nothing
    python benchmarks/supernet_step.py --strategy grouped --tasks cifar100
"""

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from _report import markdown, provenance, results_name, save

from dashnas.backbones import build_backbone
from dashnas.config import RetrainConfig, SearchConfig
from dashnas.data import DataConfig, PreparedData, TargetKind, prepare
from dashnas.heap import keep_freed_memory
from dashnas.losses import make_loss
from dashnas.metrics import get_metric
from dashnas.precision import Precision
from dashnas.recipe import Recipe
from dashnas.retrain import retrain_phase
from dashnas.search import make_supernet, search_phase
from dashnas.space import SearchSpace
from dashnas.training import Phase, take_step


@dataclass(frozen=True)
class Shape:
    """What a step of a task works on."""

    channels: int
    spatial: tuple[int, ...]
    kind: TargetKind
    outputs: int
    batch: int
    space: SearchSpace
    width: int
    backbone: str | None = None
    """None is the paper's for signals or images."""


IMAGES, SIGNALS = SearchSpace.for_dims(2), SearchSpace.for_dims(1)
NINAPRO = SearchSpace(kernel_sizes=(3, 5, 7), dilations=(1, 3, 7))
CLASSES, LABELS = TargetKind.CLASSES, TargetKind.MULTI_LABEL
FIELD, BINARY = TargetKind.DENSE_REGRESSION, TargetKind.DENSE_BINARY

SHAPES = {
    "cifar100": Shape(3, (32, 32), CLASSES, 100, 64, IMAGES, 16),
    "deepsea": Shape(4, (1000,), LABELS, 36, 64, SIGNALS, 64),
    "satellite": Shape(1, (46,), CLASSES, 24, 256, SIGNALS, 64),
    "darcy": Shape(3, (85, 85), FIELD, 1, 10, IMAGES, 16),
    "spherical": Shape(3, (60, 60), CLASSES, 100, 64, IMAGES, 16),
    "ninapro": Shape(1, (16, 52), CLASSES, 18, 128, NINAPRO, 16),
    "fsd50k": Shape(1, (96, 101), LABELS, 200, 128, IMAGES, 16),
    "psicov": Shape(57, (128, 128), FIELD, 1, 8, IMAGES, 16),
    "cosmic": Shape(1, (128, 128), BINARY, 1, 4, IMAGES, 16),
    "ecg": Shape(1, (1000,), CLASSES, 4, 1024, SIGNALS, 64),
}
"""Batches as in the DASH authors' code, but 64 for deepsea; the first four make the quick run."""
QUICK = ("cifar100", "deepsea", "satellite", "darcy")


def random_data(shape: Shape) -> PreparedData:
    """Random numbers of a task's shape."""
    rng = np.random.default_rng(0)
    samples = 2 * max(shape.batch, shape.outputs)
    x = rng.standard_normal((samples, shape.channels, *shape.spatial), dtype=np.float32)
    y = {
        CLASSES: lambda: np.arange(samples) % shape.outputs,
        LABELS: lambda: rng.integers(0, 2, (samples, shape.outputs)),
        FIELD: lambda: rng.standard_normal((samples, *shape.spatial), dtype=np.float32),
        BINARY: lambda: rng.integers(0, 2, (samples, *shape.spatial)),
    }[shape.kind]()
    arrays = {"x": x, "y": y, "x_val": x, "y_val": y}  # the same again, so that nothing is cut from the training part
    return prepare(arrays, DataConfig(target=shape.kind), seed=0)


def phases(
    shape: Shape,
    *,
    separable: bool,
    strategy: str,
    plan: str = "measure",
    precision: Precision = Precision.FLOAT32,
) -> tuple[Phase, Phase]:
    """Plain training and search of one backbone on random data."""
    data = random_data(shape)
    loss = make_loss(data.spec, data.normaliser, metric_name=get_metric(None, shape.kind).name)
    torch.manual_seed(0)
    backbone = build_backbone(shape.backbone, data.spec, width=shape.width, for_search=True)
    config = SearchConfig(separable=separable, strategy=strategy, plan=plan, drop_beyond_map=False, precision=precision)
    supernet, _ = make_supernet(backbone, shape.space, data.train.batch(np.arange(2)).x, config)
    settings = {"epochs": 1, "batch_size": shape.batch, "seed": 0}
    plain = retrain_phase("plain", backbone, data.train, loss, Recipe(), RetrainConfig(precision=precision), **settings)
    search = search_phase(supernet, data.train, loss, config, **settings)
    return plain, search


@keep_freed_memory()  # as in the library's own runs
def measure(
    task: str,
    shape: Shape,
    *,
    separable: bool,
    strategy: str,
    pairs: int,
    device: torch.device,
    precision: Precision = Precision.FLOAT32,
    patience: float = 60.0,
) -> dict[str, Any]:
    """Medians of interleaved steps of one task; after `patience` seconds no further pair is begun."""
    plain, search = phases(shape, separable=separable, strategy=strategy, precision=precision)
    indices = np.arange(shape.batch)
    seconds: dict[str, list[float]] = {"plain": [], "search": []}
    begun = time.perf_counter()
    while len(seconds["plain"]) <= pairs and (len(seconds["plain"]) < 2 or time.perf_counter() - begun < patience):
        for name, phase in (("plain", plain), ("search", search)):
            phase.model.to(device).train()
            started = time.perf_counter()
            take_step(phase, indices, device).item()  # item() waits for the device
            seconds[name].append(time.perf_counter() - started)
    of_plain, of_search = seconds["plain"][1:], seconds["search"][1:]  # the first ones warm up
    return {
        "task": task,
        "batch": shape.batch,
        "candidates": len(shape.space.candidates()),
        "separable": separable,
        "strategy": strategy,
        "ratio": round(statistics.median(s / p for s, p in zip(of_search, of_plain, strict=True)), 2),
        "search_ms": round(1e3 * statistics.median(of_search), 1),
        "plain_ms": round(1e3 * statistics.median(of_plain), 1),
        "pairs": len(of_plain),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """A line per task and kind of mixture."""
    header = [
        "task",
        "batch",
        "candidates",
        "mixtures",
        "search step / plain step",
        "search, ms",
        "plain, ms",
        "pairs",
    ]
    lines = [
        [
            row["task"],
            str(row["batch"]),
            str(row["candidates"]),
            "depthwise where it can be" if row["separable"] else "full",
            f"{row['ratio']:.1f}",
            f"{row['search_ms']:.0f}",
            f"{row['plain_ms']:.0f}",
            str(row["pairs"]),
        ]
        for row in rows
    ]
    return markdown(header, lines)


def parser_of_steps(about: str | None, pairs: str) -> argparse.ArgumentParser:
    """The options of a benchmark that times steps on the shapes of the tasks; `pairs` says how many there are."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", help=f"comma-separated, of {', '.join(SHAPES)}")
    parser.add_argument("--pairs", type=int, help=f"steps of each kind, fewer where they are slow; {pairs}")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="print the rows for machines")
    return parser


def main() -> None:
    """Measure, print and save."""
    parser = parser_of_steps(__doc__, "7, or 5 in the quick run")
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--precision", type=Precision, default=Precision.FLOAT32, choices=list(Precision))
    parser.add_argument("--mixtures", choices=("full", "depthwise", "both"), default="both")
    arguments = parser.parse_args()
    tasks = arguments.tasks.split(",") if arguments.tasks else QUICK if arguments.quick else tuple(SHAPES)
    pairs = arguments.pairs or (5 if arguments.quick else 7)
    settings = {"strategy": arguments.strategy, "pairs": pairs, "device": arguments.device}
    settings |= {"precision": arguments.precision, "patience": 10.0 if arguments.quick else 60.0}
    name, about = results_name("supernet_step", arguments.device, arguments.precision), provenance()
    kinds = {"full": (False,), "depthwise": (True,), "both": (False, True)}
    rows = []
    for separable in (False,) if arguments.quick else kinds[arguments.mixtures]:
        for task in tasks:
            rows.append(measure(task, SHAPES[task], separable=separable, **settings))
            if not arguments.quick:  # after each row, since they take minutes
                save(name, "A search step against a plain step", __doc__, rows, table(rows), about)
    print(json.dumps({"rows": rows}) if arguments.json else table(rows))


if __name__ == "__main__":
    main()
