"""Critical differences: which methods a set of tasks can tell apart by their ranks."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from scipy.stats import friedmanchisquare, studentized_range

from dashnas.analysis.error_table import ErrorTable, Floats, Missing, refuse_zeros
from dashnas.analysis.ranks import ranks
from dashnas.analysis.signed_rank import log_ratios, signed_rank_p, smallest_p
from dashnas.errors import ConfigError

PostHoc = Literal["nemenyi", "wilcoxon-holm"]
"""How pairs are compared once Friedman's test has found that not all methods are alike."""

POST_HOCS: tuple[PostHoc, ...] = ("nemenyi", "wilcoxon-holm")


@dataclass(frozen=True, kw_only=True)
class CriticalDifference:
    """Mean ranks over tasks, and which of them differ."""

    mean_ranks: dict[str, float]
    """By method, best first; 1 is the best."""
    tasks: tuple[str, ...]
    friedman_p: float
    """Of the hypothesis that all methods are alike (Friedman 1937)."""
    post_hoc: PostHoc
    alpha: float
    critical_difference: float | None
    """Difference of mean ranks from which on two methods are told apart; None where the test is not about ranks."""
    p_values: dict[tuple[str, str], float]
    """By pair, better rank first, adjusted for the number of pairs."""
    smallest_p: float
    """The least that so many tasks can give for a pair. Where it is not below `alpha`, the tasks are too few."""
    alike: tuple[tuple[str, ...], ...]
    """Groups of methods, next to one another in rank, no two of which are told apart; the bars of the diagram."""

    def rows(self) -> list[dict[str, Any]]:
        """An object for each pair."""
        return [
            {
                "method": one,
                "other": other,
                "mean_rank": self.mean_ranks[one],
                "other_mean_rank": self.mean_ranks[other],
                "p": p,
                "told_apart": not any(one in group and other in group for group in self.alike),
                "smallest_p": self.smallest_p,
                "post_hoc": self.post_hoc,
                "friedman_p": self.friedman_p,
                "tasks": len(self.tasks),
            }
            for (one, other), p in self.p_values.items()
        ]


def critical_difference(
    table: ErrorTable, *, post_hoc: PostHoc = "wilcoxon-holm", alpha: float = 0.05, missing: Missing | None = None
) -> CriticalDifference:
    """Compare methods over tasks: Friedman's test on all of them, then all pairs.

    "nemenyi" tells two methods apart when their mean ranks differ by q sqrt(k (k + 1) / (6 n)), for k methods on n
    tasks (Nemenyi 1963; Demsar 2006, Section 3.2.2). Whether it does depends on the other methods in the table.
    "wilcoxon-holm" tests each pair by itself with Wilcoxon's signed-rank test, on the logarithm of the ratio of the two
    errors, since the tasks' metrics have different units, and adjusts by Holm 1979 (Benavoli, Corani and Mangili 2016,
    who advise it). Where Friedman's test finds nothing, no pair is told apart.

    Args:
        table: errors of three methods or more.
        post_hoc: how pairs are compared.
        alpha: the error probability that is allowed for.
        missing: what to do where a method was not run on a task; must be said if there is such a place.

    Raises:
        ConfigError: fewer than three methods or two tasks, an unknown `post_hoc`, an `alpha` that is no probability,
            errors of zero where ratios are taken, or scores are missing and `missing` is None.
    """
    if post_hoc not in POST_HOCS:
        raise ConfigError(f"post_hoc must be one of {', '.join(POST_HOCS)}; got {post_hoc!r}")
    if not 0 < alpha < 1:
        raise ConfigError(f"alpha must lie between 0 and 1, got {alpha}; 0.05 is common")
    table = table.settle_missing(missing)
    if len(table.methods) < 3 or len(table.tasks) < 2:
        raise ConfigError(
            f"a critical difference needs at least 3 methods and 2 tasks, got {len(table.methods)} and "
            f"{len(table.tasks)}; two methods are compared over seeds by paired_comparison"
        )
    means = ranks(table.errors).mean(axis=1)
    order = np.argsort(means, kind="stable")
    names = [table.methods[row] for row in order]
    errors, means = table.errors[order], means[order]
    pairs = list(combinations(range(len(names)), 2))
    friedman_p = _friedman(errors)
    if post_hoc == "nemenyi":
        unit = float(np.sqrt(len(names) * (len(names) + 1) / (6 * len(table.tasks))))
        apart = [means[b] - means[a] for a, b in pairs]
        p_values = [float(studentized_range.sf(d / unit * np.sqrt(2), len(names), np.inf)) for d in apart]
        width = float(studentized_range.ppf(1 - alpha, len(names), np.inf) / np.sqrt(2)) * unit
        least = float(studentized_range.sf((len(names) - 1) / unit * np.sqrt(2), len(names), np.inf))
    else:
        refuse_zeros(table, "Wilcoxon's test on ratios of errors")
        p_values, width = _holm([signed_rank_p(log_ratios(errors[a], errors[b])) for a, b in pairs]), None
        least = min(1.0, len(pairs) * smallest_p(len(table.tasks)))
    nothing_found = friedman_p >= alpha
    same = {pair for pair, p in zip(pairs, p_values, strict=True) if nothing_found or p >= alpha}
    return CriticalDifference(
        mean_ranks=dict(zip(names, map(float, means), strict=True)),
        tasks=table.tasks,
        friedman_p=friedman_p,
        post_hoc=post_hoc,
        alpha=alpha,
        critical_difference=width,
        smallest_p=least,
        p_values={(names[a], names[b]): p for (a, b), p in zip(pairs, p_values, strict=True)},
        alike=tuple(tuple(names[start:stop]) for start, stop in _bars(len(names), same)),
    )


def _friedman(errors: Floats) -> float:
    """The p of Friedman's test, errors of shape (methods, tasks); 1 where all methods tie everywhere."""
    if (errors == errors[0]).all():
        return 1.0
    return float(friedmanchisquare(*errors).pvalue)


def _holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for the number of tests (Holm 1979)."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _bars(count: int, same: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Longest runs of neighbours, of two or more, in which every pair is the same; as start and stop."""
    bars: list[tuple[int, int]] = []
    for start in range(count):
        stop = start + 1
        while stop < count and all((one, stop) in same for one in range(start, stop)):
            stop += 1
        if stop - start > 1 and (not bars or stop > bars[-1][1]):
            bars.append((start, stop))
    return bars
