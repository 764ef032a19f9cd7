"""How good is the choice? A space so small that every architecture of it is trained, so that the true ranking is known.

Three layers with six choices each on CricketX: 216 architectures, each trained with three seeds on the training part
and scored on validation and test part. An architecture is as good as the mean of its test errors. The regret of a
choice is (its error - best) / (median - best): 0 is the best architecture, 1 is no better than drawing one at random.
The best of many is a little too good, since its errors were measured once; that makes every regret too large.

The search runs on the same training part with ten seeds of its own. Beside it stand the choice by validation error
among eight random architectures, each trained once, and the untouched network, whose kernels are in the space.

    python benchmarks/exhaustive.py --jobs 2     # architectures that were trained already are skipped
    python benchmarks/exhaustive.py --judge      # only search, and look the choices up in the table
    python benchmarks/exhaustive.py --quick      # a few architectures, to see that it runs; saves nothing
"""

import argparse
import csv
import itertools
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import RESULTS, markdown, provenance, save, write_csv
from torch import Tensor, nn

from dashnas.config import RetrainConfig, SearchConfig
from dashnas.convert import derive
from dashnas.data import DataConfig, PreparedData, prepare
from dashnas.evaluate import validate
from dashnas.losses import Loss, make_loss
from dashnas.metrics import get_metric
from dashnas.progress import Silent
from dashnas.recipe import Recipe
from dashnas.retrain import retrain
from dashnas.runs import Run
from dashnas.search import make_supernet, search
from dashnas.space import Architecture, Candidate, SearchSpace
from dashnas.tasks import fetch
from dashnas.training import Session

TASK = "cricketx"
SPACE = SearchSpace(kernel_sizes=(3, 7, 15), dilations=(1, 4))
STOCK = Candidate(7)
WIDTH = 16
EPOCHS, SEARCH_EPOCHS, BATCH = 20, 20, 32
SEEDS, SEARCHES, DRAWN = 3, 10, 8
LAYERS = ("conv1", "conv2", "conv3")
UNTOUCHED = Architecture(dict.fromkeys(LAYERS, STOCK))
TABLE = RESULTS / "exhaustive.csv"


class ThreeLayers(nn.Module):
    """Three convolutions that can be searched, a global mean, a linear layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        widths = (channels, WIDTH, WIDTH, WIDTH)
        for number, (before, after) in enumerate(itertools.pairwise(widths), start=1):
            self.add_module(f"conv{number}", nn.Conv1d(before, after, STOCK.kernel_size, padding="same"))
            self.add_module(f"norm{number}", nn.BatchNorm1d(after))
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, length) to (batch, classes)."""
        for number in range(1, len(LAYERS) + 1):
            x = self.get_submodule(f"norm{number}")(self.get_submodule(f"conv{number}")(x)).relu()
        return self.head(x.mean(2))


def all_architectures() -> dict[str, Architecture]:
    """Every architecture of the space, by its name in the table."""
    choices = itertools.product(SPACE.candidates(), repeat=len(LAYERS))
    return {in_words(a): a for a in (Architecture(dict(zip(LAYERS, choice, strict=True))) for choice in choices)}


def in_words(architecture: Architecture) -> str:
    """Such as 3 7/4 15: kernel size, and dilation where it is not 1."""
    return " ".join(
        f"{c.kernel_size}/{c.dilation}" if c.dilation != 1 else f"{c.kernel_size}" for c in architecture.values()
    )


@cache
def task() -> tuple[PreparedData, Loss]:
    """The data, divided the same way for all seeds, so that architectures are compared on the same samples."""
    data = prepare(fetch(TASK), DataConfig(), seed=0)
    return data, make_loss(data.spec, data.normaliser, metric_name="error")


def stock(seed: int) -> nn.Module:
    """The untouched network."""
    data, _ = task()
    torch.manual_seed(seed)
    return ThreeLayers(data.spec.channels, data.spec.outputs)


def train_one(name: str, seed: int) -> dict[str, Any]:
    """A row of the table."""
    torch.set_num_threads(1)
    data, loss = task()
    metric = get_metric("error", data.spec.target_kind)
    network = derive(stock(seed), all_architectures()[name])
    with in_scratch() as session:
        seconds = retrain(
            "train", network, data.train, loss, Recipe(), RetrainConfig(clip=1.0),
            epochs=EPOCHS, batch_size=BATCH, seed=seed, session=session,
        )  # fmt: skip
    assert data.test is not None
    errors = {
        part: round(validate(network, samples, metric, batch_size=256, device=torch.device("cpu")), 5)
        for part, samples in (("validation", data.validation), ("test", data.test.open()))
    }
    return {"architecture": name, "seed": seed, **errors, "seconds": round(seconds, 2)}


def search_one(seed: int) -> str:
    """The choice of a search, by its name in the table."""
    torch.set_num_threads(1)
    data, loss = task()
    config = SearchConfig()
    torch.manual_seed(seed)
    supernet, _ = make_supernet(stock(seed), SPACE, data.train.batch(np.arange(2)).x, config)
    with in_scratch() as session:
        found, _ = search(
            supernet, data.train, loss, config, epochs=SEARCH_EPOCHS, batch_size=BATCH, seed=seed, session=session
        )
    return in_words(found)


@contextmanager
def in_scratch() -> Iterator[Session]:
    """A session whose run is thrown away."""
    with tempfile.TemporaryDirectory() as folder, Run(Path(folder) / "run", {}) as run:
        yield Session(run=run, reporter=Silent(), device=torch.device("cpu"))


def by_architecture(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    """The test errors of each architecture, one per seed."""
    grouped: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        grouped[row["architecture"]].append(row["test"])
    return grouped


def errors_of(rows: list[dict[str, Any]]) -> dict[str, float]:
    """By architecture, the mean of its test errors over the seeds."""
    return {name: float(np.mean(values)) for name, values in by_architecture(rows).items()}


def regrets(choices: Sequence[str], errors: dict[str, float]) -> np.ndarray:
    """(error - best) / (median - best) of each choice."""
    best, median = min(errors.values()), float(np.median(list(errors.values())))
    return (np.array([errors[choice] for choice in choices]) - best) / (median - best)


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % bootstrap interval of the mean."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (10_000, len(values))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def best_of_random(rows: list[dict[str, Any]], seed: int) -> str:
    """Of a few random architectures, each trained once, the one with the best validation error."""
    rng = np.random.default_rng(seed)
    by_key = {(row["architecture"], row["seed"]): row["validation"] for row in rows}
    known = sorted({name for name, _ in by_key})
    names = rng.choice(known, min(DRAWN, len(known)), replace=False)
    return str(min(names, key=lambda name: by_key[name, seed % SEEDS]))


def summary(rows: list[dict[str, Any]], searched: Sequence[str]) -> str:
    """What the space is like, and how good each way to choose is."""
    errors = errors_of(rows)
    ranked = sorted(errors, key=lambda name: errors[name])
    spread = float(np.mean([np.std(values, ddof=1) for values in by_architecture(rows).values() if len(values) > 1]))
    lines = [
        ["architectures", str(len(errors))],
        ["error of the best", f"{errors[ranked[0]]:.3f} ({ranked[0]})"],
        ["error of the median", f"{np.median(list(errors.values())):.3f}"],
        ["error of the worst", f"{errors[ranked[-1]]:.3f} ({ranked[-1]})"],
        ["standard deviation over seeds", f"{spread:.3f}"],
    ]
    ways = {
        "searched": list(searched),
        f"best validation error of {DRAWN} random ones": [best_of_random(rows, seed) for seed in range(len(searched))],
        "random": ranked,
        "untouched network": [in_words(UNTOUCHED)],
    }
    chosen = []
    for way, names in ways.items():
        trained_ones = [name for name in names if name in errors]  # all of them but in the quick run
        if not trained_ones:
            continue
        found = regrets(trained_ones, errors)
        low, high = interval(found)
        listed = "; ".join(names) if way == "searched" else "-"
        chosen.append([way, str(len(found)), f"{found.mean():.2f}", f"{low:.2f} to {high:.2f}", listed])
    return "\n".join(
        [
            markdown(["the space", ""], lines),
            markdown(["choice", "times", "regret, mean", "95 % interval", "what was chosen"], chosen),
        ]
    )


def trained(path: Path) -> list[dict[str, Any]]:
    """The rows that there are, with the types they had."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    types: dict[str, Callable[[str], Any]] = {"seed": int, "validation": float, "test": float, "seconds": float}
    return [{name: types.get(name, str)(value) for name, value in row.items()} for row in rows]


def main() -> None:
    """Train what is missing, search, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="architectures at a time, one thread each")
    parser.add_argument("--judge", action="store_true", help="train nothing that is missing")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    about = provenance()  # of the code as it is loaded now, not as it is when all is done
    names = list(all_architectures())
    rows = [] if arguments.quick else trained(TABLE)
    done = {(row["architecture"], row["seed"]) for row in rows}
    names, seeds, searches = (names[::40], 1, 1) if arguments.quick else (names, SEEDS, SEARCHES)
    missing = [key for key in itertools.product(names, range(seeds)) if key not in done]
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
        for row in pool.map(train_one, *zip(*missing, strict=True)) if missing and not arguments.judge else ():
            rows.append(row)
            if not arguments.quick and len(rows) % 20 == 0:
                write_csv(TABLE, rows)  # so that a later call goes on from there
                print(f"{len(rows)} of {len(names) * seeds}", flush=True)
        searched = list(pool.map(search_one, range(searches)))
    table = summary(rows, searched)
    print(table)
    if not arguments.quick:
        save("exhaustive", "Every architecture of a small space", __doc__, rows, table, about)


if __name__ == "__main__":
    main()
