"""How long each phase may run: epochs from the size of the data, or from a budget and a few timed steps."""

import math
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from dashnas.config import Schedule, TuneConfig, Tuner
from dashnas.errors import ConfigError
from dashnas.seeding import isolated_rng
from dashnas.training import Phase, take_step

RESERVE = 0.12
"""Share of a budget kept for reading, scoring, saving and a machine that slows down."""


MAX_EPOCHS = 200
"""Of the final training, however large the budget."""


@dataclass(frozen=True)
class EpochCosts:
    """What an epoch of each phase costs, in seconds."""

    search: float
    derived: float
    """Of the largest network that may be derived, on the training part."""
    backbone: float
    retrain_share: float
    """Size of the final training set, as a multiple of the training part."""


class Planner(Protocol):
    """Makes a schedule that fits a budget; `plan` says what the arguments mean."""

    def __call__(
        self, budget_seconds: float, costs: EpochCosts, *, trials: int, enough_epochs: int, tune: TuneConfig
    ) -> Schedule: ...


def time_steps(phase: Phase, device: torch.device, *, micro_batch: int | None = None, repeats: int = 3) -> float:
    """Train a throw-away network for a few steps, and one more to warm up; the median of their seconds."""
    phase.model.to(device).train()
    indices = np.arange(min(phase.batch_size, len(phase.part)))
    seconds = []
    with isolated_rng(device):
        for _ in range(repeats + 1):
            started = time.perf_counter()
            take_step(phase, indices, device, micro_batch=micro_batch).item()  # item() waits for the device
            seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[1:]))


def plan(budget_seconds: float, costs: EpochCosts, *, trials: int, enough_epochs: int, tune: TuneConfig) -> Schedule:
    """The longest schedule that fits a budget.

    Search and each trial of the tuning get half as many epochs as the final training. A short budget gives up
    trials first. What does not fit even so is the shortest schedule there is: a run always ends with a trained model.

    Args:
        budget_seconds: for everything that is still to come.
        costs: of an epoch of each phase; no search where it costs nothing.
        trials: recipes to try where the budget allows.
        enough_epochs: of the final training, below which trials are given up.
        tune: how recipes are found; a grid is never cut short.
    """
    usable = budget_seconds * (1 - RESERVE)
    for num_trials in (trials,) if tune.tuner is Tuner.GRID else (trials, max(trials // 2, 1), 1):
        tuning = full_trials(num_trials, tune) * costs.derived + costs.backbone * tune.subsample
        final = costs.retrain_share * (costs.derived + costs.backbone)
        epochs = most_epochs(usable, half=costs.search + tuning, whole=final)
        if epochs >= enough_epochs:
            break
    epochs = max(epochs, 1)
    half = math.ceil(epochs / 2)
    return Schedule(
        search_epochs=half if costs.search else 0, tune_trials=num_trials, tune_epochs=half, retrain_epochs=epochs
    )


def most_epochs(usable: float, *, half: float = 0.0, whole: float) -> int:
    """How many epochs of the final training fit, where half as many (rounded up) cost `half` each beside them.

    Args:
        usable: seconds.
        half: seconds of an epoch of everything that gets half as many epochs.
        whole: seconds of an epoch of the final training.

    Returns:
        0 where not even one fits, and `MAX_EPOCHS` at most.
    """
    fitting = (n for n in range(MAX_EPOCHS, 0, -1) if math.ceil(n / 2) * half + n * whole <= usable)
    return next(fitting, 0)


def full_trials(trials: int, tune: TuneConfig) -> float:
    """How many full trainings the trials come to: halving stops most of them after a third or less."""
    return tune.subsample * (trials if tune.tuner is Tuner.GRID else 1 + 0.4 * (trials - 1))


def parse_seconds(text: str) -> float:
    """A time such as `90`, `45s`, `10m`, `1.5h` or `1h30m`, in seconds.

    Raises:
        ConfigError: anything else.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    total, number = 0.0, ""
    for character in text.strip().lower():
        if character in units and number:
            total, number = total + _number(number, text) * units[character], ""
        else:
            number += character
    if number and total:
        raise ConfigError(f"cannot read {text!r} as a time: {number!r} has no unit; write it as 90s, 10m or 1h30m")
    total += _number(number, text) if number else 0.0
    if not total > 0 or not math.isfinite(total):
        raise ConfigError(f"a budget must be a positive time, got {text!r}; write it as 90s, 10m or 1h30m")
    return total


def _number(digits: str, text: str) -> float:
    try:
        return float(digits)
    except ValueError:
        raise ConfigError(f"cannot read {text!r} as a time; write it as 90s, 10m or 1h30m") from None
