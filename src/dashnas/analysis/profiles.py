"""Performance profiles: on which share of the tasks a method is within a factor of the best."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashnas.analysis.error_table import ErrorTable, Floats, Missing, refuse_zeros, with_floor

_ROUNDING = 1 + 1e-12
"""0.3 / 0.2 is a little more than 1.5 in floating point, and still within that factor."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Performance profiles of several methods (Dolan and More 2002).

    The ratio of a method on a task is its error over the smallest error there of the methods in the profile, so adding
    a method may change every curve. rho(tau) is the share of tasks on which the ratio is at most tau.
    """

    ratios: Mapping[str, tuple[float, ...]]
    """By method, its ratio on each task; infinite where it failed or was not run."""
    tasks: tuple[str, ...]

    def share(self, method: str, tau: float) -> float:
        """rho(tau): the share of tasks on which the method's error is at most `tau` times the smallest."""
        return sum(ratio <= tau * _ROUNDING for ratio in self.ratios[method]) / len(self.tasks)

    def taus(self) -> tuple[float, ...]:
        """Where some curve steps up: 1 and all finite ratios, ascending."""
        finite = {ratio for ratios in self.ratios.values() for ratio in ratios if np.isfinite(ratio)}
        return tuple(sorted({1.0} | finite))

    def rows(self) -> list[dict[str, Any]]:
        """An object for each point of each curve."""
        return [
            {"method": method, "tau": tau, "share": self.share(method, tau)}
            for method in self.ratios
            for tau in self.taus()
        ]


def performance_profile(table: ErrorTable, *, missing: Missing | None = None, floor: float | None = None) -> Profile:
    """The profiles of all methods of a table over all its tasks.

    Args:
        table: errors; choose methods and tasks with `ErrorTable.select`, best-of curves with `ErrorTable.best_of`.
        missing: what to do where a method was not run on a task; must be said if there is such a place.
        floor: smaller errors are raised to this one; None refuses errors of zero.

    Raises:
        ConfigError: scores are missing and `missing` is None, no task is left, or an error is zero.

    Reference: Dolan and More 2002; Tu et al. 2022, Section 4.2.
    """
    table = with_floor(table.settle_missing(missing), floor)
    refuse_zeros(table, "a performance profile")
    ratios = over_smallest(table.errors)
    return Profile(
        ratios={method: tuple(map(float, row)) for method, row in zip(table.methods, ratios, strict=True)},
        tasks=table.tasks,
    )


def over_smallest(costs: Floats) -> Floats:
    """Each method's cost over the smallest of its task; shape (methods, tasks) both ways, infinite stays infinite."""
    ratios = np.full_like(costs, np.inf)
    np.divide(costs, costs.min(axis=0), out=ratios, where=np.isfinite(costs))
    return ratios
