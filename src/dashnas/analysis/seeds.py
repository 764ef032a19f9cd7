"""Several seeds of the same run: mean, spread, and whether two methods differ beyond it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from dashnas.analysis.cells import Cell
from dashnas.analysis.error_table import Floats, comparable
from dashnas.analysis.signed_rank import log_ratios, signed_rank_p, smallest_p
from dashnas.errors import ConfigError, unknown_name


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The errors of a method on a task over its seeds, lower is better."""

    task: str
    method: str
    seeds: int | None
    """How many; None where a paper gives the mean."""
    mean: float
    std: float | None
    """Sample standard deviation (n - 1), or as published; None for a single seed, or where one diverged."""
    low: float
    """Of the best seed; the mean, where a paper gives no more."""
    high: float
    """Of the worst seed; the mean, where a paper gives no more."""


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Two methods on the same seeds of a task, or on the same tasks."""

    method: str
    reference: str
    task: str | None
    """None puts tasks together, each as one pair."""
    pairs: int
    better: int
    """Pairs in which the method has the smaller error."""
    ratio: float
    """Median over pairs of the method's error over the reference's: 0.8 is an error that is 20 % smaller."""
    p: float
    """Two-sided, of Wilcoxon's signed-rank test on the logarithms of the ratios."""
    smallest_p: float
    """The least that so many pairs can give. Where it is above 0.05, as with five seeds or fewer, no result could
    have been significant at that level, and a large p says nothing."""


def seed_spread(cells: Iterable[Cell], *, mix: bool = False) -> list[Spread]:
    """Mean and spread of each method on each task, tasks in the order they come in.

    Raises:
        ConfigError: as of `comparable`.
    """
    groups = _by_task_and_method(comparable(cells, mix=mix))
    return [_spread(task, method, group) for task, methods in groups.items() for method, group in methods.items()]


def paired_comparisons(cells: Iterable[Cell], method: str, reference: str, *, mix: bool = False) -> list[Paired]:
    """Compare two methods on each task over the seeds that both have, and over tasks.

    The pairs of a task are its common seeds: both methods had the same split and order of samples there. Over tasks a
    pair is a task, with its median ratio: three seeds do not make one task three.

    Args:
        cells: runs with seeds.
        method: what is judged.
        reference: what it is compared with.
        mix: as of `comparable`.

    Returns:
        One for each task, then one over tasks.

    Raises:
        ConfigError: a method is not there, the two have no seed in common, an error is zero, or as of `comparable`.

    Reference: Wilcoxon 1945; over tasks, Demsar 2006, Section 3.1.3.
    """
    cells = comparable(cells, mix=mix)
    names = {cell.method for cell in cells}
    for name in (method, reference):
        if name not in names:
            raise ConfigError(unknown_name("method", name, names))
    logs = {
        task: _log_ratios(task, methods[method], methods[reference])
        for task, methods in _by_task_and_method(cells).items()
        if method in methods and reference in methods
    }
    logs = {task: of_task for task, of_task in logs.items() if of_task.size}
    if not logs:
        raise ConfigError(
            f"{method!r} and {reference!r} have no task and seed in common; run both with the same --seeds (published "
            "means have no seeds)"
        )
    by_task = [_paired(method, reference, task, of_task) for task, of_task in logs.items()]
    return [*by_task, _paired(method, reference, None, np.array([_median(of_task) for of_task in logs.values()]))]


def _by_task_and_method(cells: Iterable[Cell]) -> Mapping[str, Mapping[str, list[Cell]]]:
    groups: defaultdict[str, defaultdict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        groups[cell.task][cell.method].append(cell)
    return groups


def _spread(task: str, method: str, cells: list[Cell]) -> Spread:
    errors = [cell.error for cell in cells]
    of_runs = all(cell.seed is not None for cell in cells)
    std = float(np.std(errors, ddof=1)) if len(errors) > 1 and np.isfinite(errors).all() else None
    return Spread(
        task=task,
        method=method,
        seeds=len(cells) if of_runs else None,
        mean=float(np.mean(errors)),
        std=std if of_runs else cells[0].std,
        low=min(errors),
        high=max(errors),
    )


def _log_ratios(task: str, of_method: list[Cell], of_reference: list[Cell]) -> Floats:
    """ln(error of the method / error of the reference), shape (common seeds,)."""
    one, other = ({c.seed: c.error for c in cells if c.seed is not None} for cells in (of_method, of_reference))
    seeds = sorted(one.keys() & other.keys())
    errors = np.array([[one[seed] for seed in seeds], [other[seed] for seed in seeds]])
    if (errors == 0).any():
        raise ConfigError(f"an error on {task!r} is 0, so that ratios of errors have no meaning; leave the task out")
    return log_ratios(errors[0], errors[1])


def _median(logs: Floats) -> float:
    """The median; 0 where the middle two are infinite to both sides, since each method diverged with one seed."""
    low, high = np.sort(logs)[[(logs.size - 1) // 2, logs.size // 2]]
    return 0.0 if low == -high else float(low + high) / 2


def _paired(method: str, reference: str, task: str | None, logs: Floats) -> Paired:
    return Paired(
        method=method,
        reference=reference,
        task=task,
        pairs=logs.size,
        better=int((logs < 0).sum()),
        ratio=float(np.exp(_median(logs))),
        p=signed_rank_p(logs),
        smallest_p=smallest_p(logs.size),
    )
