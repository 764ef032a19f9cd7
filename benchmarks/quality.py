"""Is the preset `default` better than the stock network, every time? What is asked of it, against what was measured.

Real tasks: those that nothing was tuned on. Every method gets the same time; `default` is the method `dash`, the stock
network is `backbone`. Differences are paired over seeds, and relative to the stock network's error. Planted tasks and
the exhaustive space have benchmarks of their own, whose tables are read here.

    python benchmarks/quality.py             # judge results/quality.csv; fails where a row is missed or not measured
    python benchmarks/quality.py --collect   # first make that table from the cells in results/quality

The cells come from `dashnas bench run --out results/quality`, as results/quality.md tells; it goes on where it was.
"""

import argparse
import csv
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import RESULTS, markdown, write_csv
from scipy import stats

from dashnas.analysis.ranks import ranks
from dashnas.bench.store import read_cells
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.inference_cost import num_parameters
from dashnas.model import Topology
from dashnas.space import Architecture
from dashnas.tasks import get_task

TABLE = RESULTS / "quality.csv"
DEFAULT, STOCK, PAPER = "dash", "backbone", "paper-scaled"
RIVALS = {STOCK, "backbone-tuned", "baby-dash", PAPER, "random", "xgboost", "rocket", "fno"}
SEEDS = 5
WIDTH = 16
"""At which numbers of parameters are compared: that of `quick`, and of `default` for images; the paper's depends on the
task."""
PAPER_EPOCHS = 200
"""Of the paper's final training."""

Errors = Mapping[str, Mapping[str, Mapping[int, float]]]
"""By task, method and seed."""


@dataclass(frozen=True)
class Row:
    """Something that is asked for."""

    measure: str
    required: str
    aim: str
    measured: str
    """"-" where it was not measured."""
    holds: bool


def collect(store: Path) -> list[dict[str, Any]]:
    """A row per cell of the comparison."""
    rows = []
    for cell in read_cells(store):
        report = json.loads((store / "cells" / cell.task / cell.method / f"{cell.seed}.report.json").read_text())
        rows.append(
            {
                "task": cell.task,
                "method": cell.method,
                "seed": cell.seed,
                "split": "given" if "x_test" in get_task(cell.task).shapes else "by seed",
                "metric": cell.metric,
                "score": round(cell.value, 6),
                "seconds": cell.seconds,
                "parameters": cell.parameters,
                "parameters_at_width": _at_equal_width(get_task(cell.task), cell.architecture, report),
                "network": _network(cell.architecture, report),
                "epochs": report.get("schedule", {}).get("retrain_epochs", ""),
                "training_seconds": round(report["retrain_seconds"], 2) if "retrain_seconds" in report else "",
            }
        )
    return sorted(rows, key=lambda row: (row["task"], row["method"], row["seed"]))


def _at_equal_width(task: Any, architecture: Mapping[str, Any] | None, report: Mapping[str, Any]) -> int | str:
    """Parameters that the network of a cell would have at `WIDTH`; empty for models of another kind."""
    if "backbone" not in report:
        return ""
    x, y = task.shapes["x"], task.shapes["y"]
    outputs = task.classes or (1 if task.kind is TargetKind.DENSE_BINARY or len(y) == 1 else y[1])
    spec = DataSpec(channels=x[1], spatial_shape=x[2:], target_kind=task.kind, outputs=outputs)
    cells = report["backbone"].get("cells")
    topology = Topology(**{**report["backbone"], "width": WIDTH, "cells": None if cells is None else tuple(cells)})
    with torch.device("meta"):
        network = topology.build(spec, None if architecture is None else Architecture.from_json(architecture))
    return num_parameters(network)


def _network(architecture: Mapping[str, Any] | None, report: Mapping[str, Any]) -> str:
    """Which network won the race of a cell; empty for methods without one."""
    if "race" not in report:
        return ""
    if architecture is None:
        return "backbone"
    return "derived" if architecture == report["searched"] else "random"


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table; none where there is no table."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def errors_of(rows: Iterable[Mapping[str, str]]) -> Errors:
    """Scores as errors: of those where higher is better, what is missing to 1."""
    errors: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        score = float(row["score"])
        higher = row["metric"] in ("auroc", "map", "macro_f1", "r2")
        errors[row["task"]][row["method"]][int(row["seed"])] = 1 - score if higher else score
    return errors


def planted() -> list[Row]:
    """From the table of `planted.py`."""
    by_task = defaultdict(list)
    for row in read_rows(RESULTS / "planted.csv"):
        by_task[row["task"]].append(row)
    shares = _shares()
    found = {
        task: sum(row["found"] == "True" for row in rows) / len(rows)
        for task, rows in by_task.items()
        if task.startswith("echo") and not task.endswith("square")
    }
    told = ", ".join(f"{task} {10 * rate:.0f}" for task, rate in found.items())
    times = {task: rate / shares[task] for task, rate in found.items()}
    near = by_task["neighbours"]
    reach, stock = (statistics.median(float(row[name]) for row in near) for name in ("reach", "stock_reach"))
    gain = statistics.mean(float(row["searched_accuracy"]) - float(row["stock_accuracy"]) for row in near)
    return [
        Row("planted: right set found, of 10", "9 each", "10", told, all(rate >= 0.9 for rate in found.values())),
        Row(
            "planted: times the rate of random architectures", "3", "3",
            ", ".join(f"{task} {value:.1f}" for task, value in times.items()), min(times.values()) >= 3,
        ),
        Row("neighbours: reach, median, against stock", "not larger", "same", f"{reach:g} / {stock:g}", reach <= stock),
        Row("neighbours: accuracy difference", "0", "0", f"{gain:+.4f}", gain >= 0),
    ]  # fmt: skip


def _shares() -> dict[str, float]:
    """Share of right sets in each planted space, from the table in `planted.md`."""
    lines = (line.strip("| \n").split(" | ") for line in (RESULTS / "planted.md").read_text().splitlines())
    return {cells[0]: float(cells[2]) for cells in lines if cells[0].startswith("echo") and len(cells) > 2}


def exhaustive() -> list[Row]:
    """From the table in `exhaustive.md`."""
    lines = (line.strip("| \n").split(" | ") for line in (RESULTS / "exhaustive.md").read_text().splitlines())
    regret, interval = next((float(cells[2]), cells[3]) for cells in lines if cells[0] == "searched")
    return [Row("exhaustive space: regret", "0.25", "0.1", f"{regret:.2f} [{interval}]", regret <= 0.25)]


def real(rows: list[dict[str, str]]) -> list[Row]:
    """From the cells."""
    errors = errors_of(rows)
    paired = {task: _relative(by.get(DEFAULT, {}), by.get(STOCK, {})) for task, by in errors.items()}
    judged = [task for task, values in paired.items() if len(values) >= SEEDS]
    enough = len(judged) >= 8
    return [
        _rank_row(errors),
        *(_paired_row(task, paired[task]) for task in judged),
        _median_row([float(np.mean(paired[task])) for task in judged], enough),
        *_parameter_rows(rows, errors, judged),
        _time_row(rows),
    ]


def _relative(one: Mapping[int, float], other: Mapping[int, float]) -> np.ndarray:
    """By how much errors are smaller, in percent of the other's, for each seed that both have.

    Where the other made no mistake, it is in percent of the smallest error there is: that of a mistake or two.
    """
    seeds = sorted(one.keys() & other.keys())
    least = min((error for s in seeds for error in (one[s], other[s]) if error > 0), default=1.0)
    return np.array([100 * (other[s] - one[s]) / max(other[s], least) for s in seeds])


def _paired_row(task: str, gains: np.ndarray) -> Row:
    mean = float(gains.mean())
    half = float(stats.t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains)))
    told = f"{mean:+.1f} % [{mean - half:+.1f}, {mean + half:+.1f}]"
    return Row(
        f"{task}: gain over the stock network", "-1 % or more, within 95 %", "more than 0", told, mean + half >= -1
    )


def _median_row(gains: list[float], enough: bool) -> Row:
    told = f"{np.median(gains):+.1f} % of {len(gains)} tasks" if gains else "-"
    holds = enough and float(np.median(gains)) >= 10
    return Row("gain over the stock network, median over 8 tasks or more", "10 %", "25 %", told, holds)


def _rank_row(errors: Errors) -> Row:
    mean_ranks: dict[str, list[float]] = defaultdict(list)
    for by_method in errors.values():
        methods = [method for method in by_method if method in RIVALS | {DEFAULT}]
        placed = ranks(np.array([[np.mean(list(by_method[method].values()))] for method in methods]))[:, 0]
        for method, rank in zip(methods, placed, strict=True):
            mean_ranks[method].append(float(rank))
    # A method that does not fit a task has no cells there, and an unfinished one fewer than the others.
    short = {m for by in errors.values() for m, seeds in by.items() if m in RIVALS and len(seeds) < SEEDS}
    missing = sorted((RIVALS - mean_ranks.keys()) | short)
    told = ", ".join(f"{m} {np.mean(r):.1f}" for m, r in sorted(mean_ranks.items(), key=lambda kv: np.mean(kv[1])))
    first = bool(mean_ranks) and min(mean_ranks, key=lambda m: np.mean(mean_ranks[m])) == DEFAULT
    told += f"; not run, or not all of it: {', '.join(missing)}" if missing else ""
    return Row("mean rank among the other methods", "1st", "1st on most", told or "-", first and not missing)


def _parameter_rows(rows: list[dict[str, str]], errors: Errors, judged: list[str]) -> list[Row]:
    sizes: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        if row["parameters_at_width"]:
            sizes[row["task"], row["method"]].append(float(row["parameters_at_width"]))

    def ratios(other: str) -> list[float]:
        def no_worse(task: str) -> bool:
            ours, theirs = (list(errors[task][method].values()) for method in (DEFAULT, other))
            return float(np.mean(ours)) <= float(np.mean(theirs))

        tasks = [task for task in judged if (task, other) in sizes and no_worse(task)]
        return [np.mean(sizes[task, DEFAULT]) / np.mean(sizes[task, other]) for task in tasks]

    found = []
    for other, required, aim in ((PAPER, 0.5, "0.15"), (STOCK, 1.5, "1")):
        values = ratios(other)
        told = f"{np.median(values):.2f}, median of the {len(values)} tasks with no worse error" if values else "-"
        holds = bool(values) and float(np.median(values)) <= required
        found.append(Row(f"parameters at equal width, against {other}'s", f"{required:g}", aim, told, holds))
    return found


def _time_row(rows: list[dict[str, str]]) -> Row:
    stock: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["method"] == STOCK:
            stock[row["task"]].append(PAPER_EPOCHS * float(row["training_seconds"]) / float(row["epochs"]))
    shares = [
        float(row["seconds"]) / np.mean(stock[row["task"]])
        for row in rows
        if row["method"] == DEFAULT and row["task"] in stock
    ]
    told = f"{max(shares):.2f} at most, {np.median(shares):.2f} in the median" if shares else "-"
    measure = f"total time against the stock network's for {PAPER_EPOCHS} epochs"
    return Row(measure, "2", "1", told, bool(shares) and max(shares) <= 2)


def main() -> None:
    """Collect if asked, judge, print; exit code 1 where something is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collect", action="store_true", help="make the table from the cells first")
    parser.add_argument("--json", action="store_true", help="print the rows for machines")
    arguments = parser.parse_args()
    if arguments.collect:
        write_csv(TABLE, collect(RESULTS / "quality"))
    judged = [*planted(), *exhaustive(), *real(read_rows(TABLE))]
    lines = [[row.measure, row.required, row.aim, row.measured, "yes" if row.holds else "NO"] for row in judged]
    if arguments.json:
        print(json.dumps({"rows": [vars(row) for row in judged]}))
    else:
        print(markdown(["measure", "required", "aim", "measured", "holds"], lines))
    sys.exit(not all(row.holds for row in judged))


if __name__ == "__main__":
    main()
