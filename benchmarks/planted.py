"""Does the search find what is there? Planted tasks in which only certain kernels can relate what decides the label.

`echo` tasks: noise plus an echo of itself, `lag` samples away; the sign of the echo is the label. No single sample and
no pair at another distance says anything, so a network must relate samples exactly `lag` apart. An architecture is
right when some two taps of its two layers together lie `lag` apart; this is checked by enumeration, and so is the
share of right ones among all architectures of the space, which is what random choice would find.

`echo-12x1`: the echo lies 12 rows down and 1 column aside, and height and width choose each for itself. Kernels of
size 3 must be stretched to distance 4 along the height in one layer and to 2 or 4 in the other; along the width one of
them must relate neighbours. With the same distance along both axes all columns that meet are an even number apart, so
no architecture of the square space is right; `echo-12x1-square` is the same task, searched there. Larger square
kernels, such as 5 x 5 at distance 4, would do it too, but are in neither space.

`neighbours` task: short spikes, up-down or down-up, whose order is the label. Two adjacent samples say everything;
larger kernels only add noise.

    python benchmarks/planted.py                 # ten seeds each
    python benchmarks/planted.py --tasks echo-56 # one task; the other rows of the table stay as they are
    python benchmarks/planted.py --quick         # two seeds, to see that it runs
"""

import argparse
import csv
import itertools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import torch
from _report import RESULTS, markdown, provenance, save
from torch import Tensor, nn

from dashnas.config import RetrainConfig, SearchConfig
from dashnas.convert import derive
from dashnas.data.config import DataConfig
from dashnas.data.prepare import prepare
from dashnas.evaluate import validate
from dashnas.losses import make_loss
from dashnas.metrics import get_metric
from dashnas.progress import Silent
from dashnas.recipe import Recipe
from dashnas.retrain import retrain
from dashnas.runs import Run
from dashnas.search import make_supernet, search
from dashnas.seeding import generator
from dashnas.space import Architecture, Candidate, SearchSpace, per_axis
from dashnas.training import Session

WIDTH = 8
LAYERS = ("conv1", "conv2")
Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A task whose right answers are known."""

    name: str
    make: Callable[[int, np.random.Generator], Arrays]
    """(samples, generator) to x (samples, 1, *spatial) and y (samples,)."""
    space: SearchSpace
    lag: tuple[int, ...] | None
    """Per axis, in samples; None where neighbours decide."""
    samples: int
    search_epochs: int
    train_epochs: int
    stock_kernel_size: int = 7
    """Of the untouched network."""


def echo(samples: int, rng: np.random.Generator, *, shape: tuple[int, ...], lag: tuple[int, ...]) -> Arrays:
    """Noise with an echo of itself `lag` away, added (label 1) or subtracted (label 0)."""
    y = rng.integers(0, 2, samples)
    source = rng.normal(size=(samples, *(n + d for n, d in zip(shape, lag, strict=True))))
    here = source[(slice(None), *(slice(d, None) for d in lag))]
    there = source[(slice(None), *(slice(0, n) for n in shape))]
    sign = np.where(y == 1, 1.0, -1.0).reshape(-1, *(1,) * len(shape))
    x = here + sign * there + 0.3 * rng.normal(size=(samples, *shape))
    return x[:, None].astype(np.float32), y


def neighbours(samples: int, rng: np.random.Generator, *, length: int = 64, spikes: int = 6) -> Arrays:
    """Spikes of two adjacent samples in noise: up then down (label 1), or down then up (label 0)."""
    y = rng.integers(0, 2, samples)
    x = rng.normal(size=(samples, length))
    sign = np.where(y == 1, 2.5, -2.5)
    for _ in range(spikes):
        at = rng.integers(0, length - 1, samples)
        x[np.arange(samples), at] += sign
        x[np.arange(samples), at + 1] -= sign
    return x[:, None].astype(np.float32), y


def _echo_task(name: str, shape: tuple[int, ...], lag: tuple[int, ...], space: SearchSpace, **sizes: int) -> Planted:
    return Planted(name=name, make=lambda n, rng: echo(n, rng, shape=shape, lag=lag), space=space, lag=lag, **sizes)


SIGNALS = SearchSpace(kernel_sizes=(3, 5, 7, 9), dilations=(1, 3, 7, 15))
IMAGES = SearchSpace(kernel_sizes=(3, 5, 9), dilations=(1, 2, 3, 4))
SQUARE = SearchSpace(kernel_sizes=(3,), dilations=(1, 2, 4))
PER_AXIS = replace(SQUARE, kernel_sizes=(1, 3), per_axis=True)
ASIDE: dict[str, Any] = {"shape": (24, 12), "lag": (12, 1), "samples": 2000, "search_epochs": 40, "train_epochs": 6}
TASKS = (
    _echo_task("echo-56", (128,), (56,), SIGNALS, samples=2000, search_epochs=20, train_epochs=15),
    _echo_task("echo-105", (256,), (105,), SIGNALS, samples=2000, search_epochs=20, train_epochs=15),
    _echo_task("echo-21x0", (28, 28), (21, 0), IMAGES, samples=2000, search_epochs=15, train_epochs=10),
    _echo_task("echo-12x1", space=PER_AXIS, stock_kernel_size=5, **ASIDE),
    _echo_task("echo-12x1-square", space=SQUARE, stock_kernel_size=5, **ASIDE),
    Planted(
        name="neighbours",
        make=neighbours,
        space=SIGNALS,
        lag=None,
        samples=2000,
        search_epochs=20,
        train_epochs=15,
    ),
)


class TwoLayers(nn.Module):
    """Two convolutions that can be searched, a global mean, a linear layer."""

    def __init__(self, spatial_dims: int, kernel_size: int) -> None:
        super().__init__()
        conv, norm = (nn.Conv1d, nn.BatchNorm1d) if spatial_dims == 1 else (nn.Conv2d, nn.BatchNorm2d)
        self.conv1 = conv(1, WIDTH, kernel_size, padding=kernel_size // 2)
        self.norm1 = norm(WIDTH)
        self.conv2 = conv(WIDTH, WIDTH, kernel_size, padding=kernel_size // 2)
        self.norm2 = norm(WIDTH)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, *spatial) to (batch, 2)."""
        x = self.norm1(self.conv1(x)).relu()
        x = self.norm2(self.conv2(x)).relu()
        return self.head(x.flatten(2).mean(2))


def relates(architecture: Architecture, lag: tuple[int, ...]) -> bool:
    """Whether some two inputs exactly `lag` apart meet in one output of the two layers."""

    def differences(candidate: Candidate, axis: int) -> set[int]:
        size = per_axis(candidate.kernel_size, len(lag))[axis]
        dilation = per_axis(candidate.dilation, len(lag))[axis]
        return {i * dilation for i in range(1 - size, size)}

    first, second = architecture.values()
    return all(
        any(d - other in differences(second, axis) for other in differences(first, axis)) for axis, d in enumerate(lag)
    )


def total_reach(architecture: Architecture, spatial_dims: int) -> int:
    """How far the network looks from its centre, in samples."""
    return sum(max(choice.half_reach(spatial_dims)) for choice in architecture.values())


def all_architectures(space: SearchSpace) -> list[Architecture]:
    """Every architecture of the two layers."""
    pairs = itertools.product(space.candidates(), repeat=2)
    return [Architecture(dict(zip(LAYERS, pair, strict=True))) for pair in pairs]


def run(task: Planted, seed: int) -> dict[str, Any]:
    """Search once, and train the searched, the stock and a random architecture."""
    rng = np.random.default_rng(seed)
    x, y = task.make(task.samples, rng)
    x_test, y_test = task.make(1000, rng)
    data = prepare({"x": x, "y": y, "x_test": x_test, "y_test": y_test}, DataConfig(), seed=seed)
    metric = get_metric("error", data.spec.target_kind)
    loss = make_loss(data.spec, data.normaliser, metric_name=metric.name)
    dims = x.ndim - 2
    torch.manual_seed(seed)
    stock = TwoLayers(dims, task.stock_kernel_size)
    config = SearchConfig()
    supernet, _ = make_supernet(stock, task.space, data.train.batch(np.arange(2)).x, config)
    choices = all_architectures(task.space)
    drawn = choices[int(torch.randint(len(choices), (), generator=generator(seed, task.name)))]
    row: dict[str, Any] = {"task": task.name, "seed": seed}
    with tempfile.TemporaryDirectory() as folder, Run(Path(folder) / "run", {}) as run_directory:
        session = Session(run=run_directory, reporter=Silent(), device=torch.device("cpu"))
        found, row["search_seconds"] = search(
            supernet, data.train, loss, config, epochs=task.search_epochs, batch_size=64, seed=seed, session=session
        )
        row["searched"] = " ".join(map(str, found.values()))
        row["random"] = " ".join(map(str, drawn.values()))
        row["reach"] = total_reach(found, dims)
        row["stock_reach"] = len(LAYERS) * (task.stock_kernel_size // 2)
        row["found"] = "" if task.lag is None else relates(found, task.lag)
        for name, network in (
            ("searched", derive(stock, found)),
            ("stock", stock),
            ("random", derive(stock, drawn)),
        ):
            retrain(
                name,
                network,
                data.development,
                loss,
                Recipe(),
                RetrainConfig(clip=1.0),
                epochs=task.train_epochs,
                batch_size=64,
                seed=seed,
                session=session,
            )
            assert data.test is not None
            error = validate(network, data.test.open(), metric, batch_size=256, device=session.device)
            row[f"{name}_accuracy"] = round(1 - error, 4)
    row["search_seconds"] = round(row["search_seconds"], 1)
    return row


def summary(rows: list[dict[str, Any]]) -> str:
    """A line per task."""
    lines = []
    for task in TASKS:
        mine = [row for row in rows if row["task"] == task.name]
        if not mine:
            continue
        rate = mean(relates(a, task.lag) for a in all_architectures(task.space)) if task.lag is not None else None
        found = sum(row["found"] is True for row in mine)
        accuracies = []
        for name in ("searched", "stock", "random"):
            values = [row[f"{name}_accuracy"] for row in mine]
            accuracies.append(f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        lines.append(
            [
                task.name,
                "-" if rate is None else f"{found} of {len(mine)}",
                "-" if rate is None else f"{rate:.3f}",
                *accuracies,
                f"{median(row['reach'] for row in mine):g} / {mine[0]['stock_reach']}",
                f"{median(row['search_seconds'] for row in mine):.0f}",
            ]
        )
    header = ["task", "right set found", "share of right sets in the space"]
    header += [f"test accuracy, {name}: median (range)" for name in ("searched", "stock", "random")]
    return markdown([*header, "reach searched (median) / stock, samples", "search, s"], lines)


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--tasks", nargs="+", choices=[task.name for task in TASKS], default=[t.name for t in TASKS])
    parser.add_argument("--quick", action="store_true", help="two seeds of the first and last task; saves nothing")
    arguments = parser.parse_args()
    about = "\n".join(provenance())  # of the code as it is loaded now, not as it is when all is done
    torch.set_num_threads(1)
    names, seeds = (["echo-56", "neighbours"], 2) if arguments.quick else (arguments.tasks, arguments.seeds)
    rows = []
    for task in TASKS:
        for seed in range(seeds) if task.name in names else ():
            rows.append(run(task, seed))
            print(rows[-1], flush=True)
    if arguments.quick:
        print(summary(rows))
        return
    about += f"\n- one thread; seeds 0 to {seeds - 1}; a row per seed in `planted.csv`"
    kept = [row for row in _measured() if row["task"] not in names]
    if kept:
        about = f"{_provenance_so_far()}\n\nRows of {', '.join(names)}, measured later:\n\n{about}"
    rows = sorted(kept + rows, key=lambda row: [task.name for task in TASKS].index(row["task"]))
    table = summary(rows)
    print(table)
    save("planted", "Planted tasks", __doc__, rows, table, [about])


def _measured() -> list[dict[str, Any]]:
    """The rows of `planted.csv`, with the types they had."""
    with (RESULTS / "planted.csv").open(newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    for row in rows:
        for name in ("seed", "reach", "stock_reach"):
            row[name] = int(row[name])
        for name in row.keys() & {"search_seconds", "searched_accuracy", "stock_accuracy", "random_accuracy"}:
            row[name] = float(row[name])
        row["found"] = {"True": True, "False": False}.get(row["found"], "")
    return rows


def _provenance_so_far() -> str:
    """What `planted.md` says about its rows, between the introduction and the table."""
    text = (RESULTS / "planted.md").read_text()
    return text[text.index("- command:") : text.index("\n\n| task")]


if __name__ == "__main__":
    main()
