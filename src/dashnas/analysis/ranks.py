"""One number for each method: its median rank, and its median improvement over a reference."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from dashnas.analysis.error_table import ErrorTable, Floats, refuse_zeros
from dashnas.errors import ConfigError, unknown_name


@dataclass(frozen=True, kw_only=True)
class Rank:
    """How a method is placed among those that were run on the same tasks."""

    method: str
    median: float
    mean: float
    by_task: dict[str, float]
    """Its rank on each task that it was run on."""


@dataclass(frozen=True, kw_only=True)
class Improvement:
    """How much smaller a method's errors are than a reference's."""

    method: str
    median_percent: float
    """Median over tasks of 100 (e_reference - e) / e_reference; negative where it is worse."""
    by_task: dict[str, float]
    """The same of each task that both were run on."""


def ranks(errors: Floats) -> Floats:
    """Ranks on each task, 1 is the smallest error, ties get their average; shape (methods, tasks) both ways.

    Only methods that were run on a task count there; the others have NaN.
    """
    placed: Floats = rankdata(errors, axis=0, nan_policy="omit")
    return placed


def median_ranks(table: ErrorTable) -> list[Rank]:
    """The rank of each method, in the table's order: median over the tasks that it was run on.

    Reference: Tu et al. 2022, Table 3.
    """
    placed = ranks(table.errors)
    return [
        Rank(
            method=method,
            median=float(np.nanmedian(row)),
            mean=float(np.nanmean(row)),
            by_task={task: float(rank) for task, rank in zip(table.tasks, row, strict=True) if not np.isnan(rank)},
        )
        for method, row in zip(table.methods, placed, strict=True)
    ]


def median_improvements(table: ErrorTable, reference: str) -> list[Improvement]:
    """The improvement of each method over the reference, in the table's order.

    Args:
        table: errors.
        reference: a method of the table, such as the WRN of the papers.

    Raises:
        ConfigError: the reference is not in the table, has an error of zero or diverged, or shares no task with a
            method.

    Reference: Tu et al. 2022, Table 3.
    """
    if reference not in table.methods:
        raise ConfigError(unknown_name("reference method", reference, table.methods))
    of_reference = table.select(methods=[reference])
    refuse_zeros(of_reference, f"the improvement over {reference!r}")
    against = of_reference.errors[0]
    if np.isinf(against).any():
        task = table.tasks[int(np.argmax(np.isinf(against)))]
        raise ConfigError(f"the reference {reference!r} diverged on {task!r}; leave the task out, or take another")
    percent = 100 * (against - table.errors) / against  # (methods, tasks)
    return [_improvement(table, row, method, reference) for method, row in zip(table.methods, percent, strict=True)]


def rank_rows(table: ErrorTable, reference: str | None = None) -> list[dict[str, Any]]:
    """Ranks, and improvements if there is a reference, an object for each method."""
    rows = [
        {"method": rank.method, "median_rank": rank.median, "mean_rank": rank.mean, "tasks": len(rank.by_task)}
        for rank in median_ranks(table)
    ]
    if reference is None:
        return rows
    better = median_improvements(table, reference)
    return [row | {"median_improvement_percent": one.median_percent} for row, one in zip(rows, better, strict=True)]


def _improvement(table: ErrorTable, percent: Floats, method: str, reference: str) -> Improvement:
    both = ~np.isnan(percent)
    if not both.any():
        raise ConfigError(f"{method!r} and the reference {reference!r} were run on no task in common; leave it out")
    return Improvement(
        method=method,
        median_percent=float(np.median(percent[both])),
        by_task={task: float(value) for task, value, has in zip(table.tasks, percent, both, strict=True) if has},
    )
