"""A training step of derived networks whose large kernels Fourier transforms compute, against direct convolutions.

The networks have the same kernel in every searched layer: the smallest, a middling one, the largest, and the largest
that is not dilated, of the task's search space; or kernels drawn at random. Both steps are those of the library and
take turns in one process; the ratio is the median over pairs.

    python benchmarks/large_kernels.py                 # five shapes of the ten tasks
    python benchmarks/large_kernels.py --quick         # two of them; saves nothing
"""

import json
import statistics
import time
from typing import Any

import numpy as np
import torch
from _report import markdown, provenance, results_name, save
from supernet_step import SHAPES, Shape, parser_of_steps, random_data

from dashnas.backbones import BACKBONES, build_backbone, default_backbone
from dashnas.config import RetrainConfig
from dashnas.convert import derive, find_searchable
from dashnas.heap import keep_freed_memory
from dashnas.losses import make_loss
from dashnas.metrics import get_metric
from dashnas.recipe import Recipe
from dashnas.retrain import retrain_phase
from dashnas.space import Architecture, Candidate
from dashnas.training import Phase, take_step

TASKS = ("cifar100", "deepsea", "satellite", "darcy", "ninapro")
QUICK = ("satellite", "ninapro")


def architectures(shape: Shape, layers: dict[str, tuple[Candidate, ...]]) -> dict[str, Architecture]:
    """What is compared, by name."""
    sizes, dilations = shape.space.kernel_sizes, shape.space.dilations
    middling = Candidate(sizes[len(sizes) // 2], dilations[len(dilations) // 2])
    rng = np.random.default_rng(0)
    return {
        "smallest": Architecture(dict.fromkeys(layers, Candidate(sizes[0], dilations[0]))),
        "middling": Architecture(dict.fromkeys(layers, middling)),
        "largest, not dilated": Architecture(dict.fromkeys(layers, Candidate(sizes[-1]))),
        "largest": Architecture(dict.fromkeys(layers, Candidate(sizes[-1], dilations[-1]))),
        "random": Architecture({name: found[rng.integers(len(found))] for name, found in layers.items()}),
    }


@keep_freed_memory()  # as in the library's own runs
def measure(task: str, *, pairs: int, device: torch.device, patience: float) -> list[dict[str, Any]]:
    """Medians of interleaved steps of each network of a task."""
    shape = SHAPES[task]
    data = random_data(shape)
    sample = data.train.batch(np.arange(2)).x
    backbone = shape.backbone or default_backbone(data.spec)
    loss = make_loss(data.spec, data.normaliser, metric_name=get_metric(None, shape.kind).name)
    settings = {"epochs": 1, "batch_size": shape.batch, "seed": 0}

    def phase(architecture: Architecture | None) -> Phase:
        torch.manual_seed(0)
        network = build_backbone(backbone, data.spec, width=shape.width)
        if architecture is not None:
            network = derive(network, architecture, initialise=BACKBONES[backbone].initialise)
        return retrain_phase("derived", network, data.train, loss, Recipe(), RetrainConfig(), **settings)

    def seconds(phase: Phase) -> float:
        phase.model.to(device).train()
        started = time.perf_counter()
        take_step(phase, np.arange(shape.batch), device).item()  # item() waits for the device
        return time.perf_counter() - started

    found = find_searchable(phase(None).model, shape.space, sample, drop_beyond_map=False).searchable
    layers = {name: layer.candidates for name, layer in found.items()}
    rows = []
    for name, architecture in architectures(shape, layers).items():
        direct, transformed, stock = phase(architecture), phase(architecture), phase(None)
        direct.large_kernels = ()
        times: list[tuple[float, ...]] = []
        begun = time.perf_counter()
        while len(times) <= pairs and (len(times) < 2 or time.perf_counter() - begun < patience):
            times.append(tuple(seconds(one) for one in (direct, transformed, stock)))
        counted = times[1:]  # the first ones warm up
        rows.append(
            {
                "task": task,
                "batch": shape.batch,
                "kernels": name,
                "layers": len(layers),
                "transformed": len(transformed.large_kernels),
                "ratio": round(statistics.median(t / d for d, t, _ in counted), 3),
                "of_stock": round(statistics.median(t / s for _, t, s in counted), 2),
                "direct_ms": round(1e3 * statistics.median(d for d, _, _ in counted), 1),
                "transformed_ms": round(1e3 * statistics.median(t for _, t, _ in counted), 1),
                "pairs": len(counted),
            }
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """A line per network."""
    header = [
        "task",
        "batch",
        "kernels",
        "layers transformed",
        "transformed / direct",
        "transformed / stock",
        "direct, ms",
        "transformed, ms",
        "pairs",
    ]
    lines = [
        [
            row["task"],
            str(row["batch"]),
            row["kernels"],
            f"{row['transformed']} of {row['layers']}",
            f"{row['ratio']:.2f}",
            f"{row['of_stock']:.1f}",
            f"{row['direct_ms']:.0f}",
            f"{row['transformed_ms']:.0f}",
            str(row["pairs"]),
        ]
        for row in rows
    ]
    return markdown(header, lines)


def main() -> None:
    """Measure, print and save."""
    arguments = parser_of_steps(__doc__, "5, or 2 in the quick run").parse_args()
    tasks = arguments.tasks.split(",") if arguments.tasks else QUICK if arguments.quick else TASKS
    pairs = arguments.pairs or (2 if arguments.quick else 5)
    name, about = results_name("large_kernels", arguments.device), provenance()
    rows = []
    for task in tasks:
        rows += measure(task, pairs=pairs, device=arguments.device, patience=3.0 if arguments.quick else 30.0)
        if not arguments.quick:  # after each task, since they take minutes
            save(name, "Training with large kernels", __doc__, rows, table(rows), about)
    print(json.dumps({"rows": rows}) if arguments.json else table(rows))


if __name__ == "__main__":
    main()
