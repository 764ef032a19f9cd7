"""Successive halving: many candidates for a short time, a fraction of them for longer, the best to the end.

Rungs and promotion are those of the scheduler that NAS-Bench-360 tunes its Wide ResNet with (asynchronous successive
halving, Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning"), for a single worker that fills each
rung before it goes on to the next: with nobody else to wait for, nothing is gained by promoting earlier.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

MOST_RUNGS = 5
"""However many trials there are."""


@dataclass(frozen=True)
class Rung:
    """A comparison of trials that were trained equally long."""

    trials: int
    """How many get here."""
    epochs: int
    """How long they have been trained then."""


def make_rungs(trials: int, epochs: int, reduction: int = 4) -> list[Rung]:
    """The rungs of a number of trials, the last of which trains for all epochs.

    Args:
        trials: in the first rung.
        epochs: in the last rung.
        reduction: one in this many goes on to the next rung, for this many times the epochs.
    """
    affordable = math.floor(_logarithm(epochs, reduction)) + 1
    needed = math.floor(_logarithm(trials, reduction)) + 1
    count = min(MOST_RUNGS, affordable, needed)
    return [
        Rung(max(trials // reduction**rung, 1), max(epochs // reduction ** (count - 1 - rung), 1))
        for rung in range(count)
    ]


def total_epochs(rungs: list[Rung]) -> int:
    """Epochs of all trials together, each of which goes on from the rung before."""
    before = [0, *(rung.epochs for rung in rungs)]
    return sum(rung.trials * (rung.epochs - start) for rung, start in zip(rungs, before, strict=False))


def successive_halving(
    rungs: list[Rung], train: Callable[[int, int], float], is_better: Callable[[float, float], bool]
) -> int | None:
    """The best trial of the last rung.

    Args:
        rungs: from `make_rungs`.
        train: (trial, epochs) to the score of that trial once it was trained that long, NaN where it diverged; trials
            are numbered from 0, and each is asked for ever more epochs.
        is_better: whether one score is better than another; NaN is worse than any number.

    Returns:
        Its number; None where every trial of the last rung diverged.
    """
    trials = list(range(rungs[0].trials))
    for rung in rungs:
        scores: dict[int, float] = {}
        for trial in trials[: rung.trials]:
            scores[trial] = train(trial, rung.epochs)
        trials = _ranked(scores, is_better)
    return None if math.isnan(scores[trials[0]]) else trials[0]


def _ranked(scores: dict[int, float], is_better: Callable[[float, float], bool]) -> list[int]:
    """Trials from best to worst, the earlier of two that are equal first, those that diverged last."""

    def beaten_by(trial: int) -> int:
        score = scores[trial]
        return sum(is_better(other, score) for other in scores.values())

    return sorted(scores, key=beaten_by)


def _logarithm(value: int, base: int) -> float:
    # Rounded, since math.log(64, 4) may come out just below 3.
    return round(math.log(value) / math.log(base), 9)
