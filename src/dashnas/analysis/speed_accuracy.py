"""Speed against accuracy: what a method costs beside what it gets, task by task."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from dashnas.analysis.error_table import ErrorTable, Missing, refuse_zeros, with_floor
from dashnas.analysis.profiles import over_smallest
from dashnas.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SpeedAccuracy:
    """A method on a task; (0, 0) is the fastest and the best one."""

    method: str
    task: str
    speed: float
    """-ln of its time over the shortest time on the task."""
    accuracy: float
    """-ln of its error over the smallest error on the task."""


def speed_accuracy(
    table: ErrorTable, *, missing: Missing | None = None, floor: float | None = None
) -> list[SpeedAccuracy]:
    """A point for each method and task; methods without any time and tasks that no method has a time for are left out.

    Args:
        table: errors and times.
        missing: what to do where a method lacks error or time on one of these tasks: "drop" leaves the task out,
            "infinite" draws no point there and compares the others; must be said if there is such a place.
        floor: smaller errors are raised to this one; None refuses errors of zero.

    Raises:
        ConfigError: no times are known, scores are missing and `missing` is None, or an error is zero.

    Reference: Shen et al. 2022, Figure 5; natural logarithms.
    """
    timed = ~np.isnan(table.seconds) & ~np.isnan(table.errors)
    methods = [method for method, has in zip(table.methods, timed, strict=True) if has.any()]
    tasks = [task for task, has in zip(table.tasks, timed.T, strict=True) if has.any()]
    if not methods:
        raise ConfigError(
            "none of the scores has a time; runs of a store have them, and the published table dash-table2"
        )
    errors = np.where(timed, table.errors, np.nan)  # an error without a time is as good as missing
    table = replace(table, errors=errors).select(methods, tasks).settle_missing(missing)
    table = with_floor(table, floor)
    refuse_zeros(table, "speed against accuracy")
    seconds = np.where(np.isinf(table.errors), np.inf, table.seconds)
    speed, accuracy = (0 - np.log(over_smallest(costs)) for costs in (seconds, table.errors))  # 0 rather than -0
    return [
        SpeedAccuracy(method=method, task=task, speed=float(speed[row, column]), accuracy=float(accuracy[row, column]))
        for row, method in enumerate(table.methods)
        for column, task in enumerate(table.tasks)
        if np.isfinite(table.errors[row, column])
    ]


def speed_accuracy_rows(points: list[SpeedAccuracy]) -> list[dict[str, Any]]:
    """An object for each point."""
    return [asdict(point) for point in points]
