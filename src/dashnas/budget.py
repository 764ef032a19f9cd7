"""How long each phase may run: epochs from the size of the data, or from a budget and a few timed steps."""

import math
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
import torch

from dashnas.config import Schedule, TuneConfig, Tuner
from dashnas.errors import ConfigError
from dashnas.seeding import isolated_rng
from dashnas.training import Phase, take_step

RESERVE = 0.12
"""Share of a budget kept for reading, scoring, saving and a machine that slows down."""


MAX_EPOCHS = 400
"""Of the final training, however large the budget."""

WIDER_EPOCHS = 200
"""Of the final training of a wider untouched backbone that have to fit into the whole budget, for it to race. Where
they do not, more epochs of a narrow one are worth more (docs/search-quality.md)."""

SEARCH_SHARE = 0.15
"""Most of what a budget leaves beside its reserve that goes into a search which is followed by a race."""

FEWEST_EPOCHS = 10
"""Of the final training. A budget that does not leave so many beside search and race goes to the untouched backbone as
a whole: what is trained so briefly gains more from further epochs than from other kernels (docs/search-quality.md)."""

SAM_EPOCHS = 50
"""Of a final training by sharpness-aware minimisation, at least. With fewer, twice as many plain ones are as good
(docs/search-quality.md)."""

SAM_STEPS = 2
"""Plain steps that one by sharpness-aware minimisation takes."""

PLENTY_OF_EPOCHS = 30
"""Of the final training after a race that is as long. Where there would be fewer, the race is half as long: epochs are
worth more to the training then than to the choice (docs/search-quality.md)."""

TIMING_SECONDS = 3.0
"""After so much timing of one network no further step of it is timed."""

CHEAPEST_SEARCH = 1.75
"""Steps of the untouched backbone that a step of a search takes at least (docs/search-quality.md)."""

CHEAPEST_DERIVED = 0.5
"""The same of a step of the network that comes out: its kernels may be smaller than the backbone's."""

MANY_TRIALS = 4
"""Where there is time for so many recipes, a random architecture races beside the searched one."""


@dataclass(frozen=True)
class EpochCosts:
    """What an epoch of each phase costs, in seconds."""

    search: float
    """0 where nothing is searched."""
    derived: float
    """Of the network that is derived, on the training part; before it is known, of the largest there may be. 0 where
    none is."""
    backbone: float
    """Of the untouched backbone. Both with the given recipe; those that are drawn later may have dropout, which takes
    longer."""
    retrain_share: float
    """Size of the final training set, as a multiple of the training part."""
    beside: float = 0.0
    """Of the untouched backbone where it is trained to the end beside the outcome; else 0."""
    members: int = 1
    """Networks of the outcome."""
    wider_backbone: bool = False
    """Whether the untouched backbone is wider than the networks it races with, and gets fewer epochs for that."""


class Planner(Protocol):
    """Makes a schedule that fits a budget; `plan` says what the arguments mean."""

    def __call__(
        self, budget_seconds: float, costs: EpochCosts, *, trials: int, enough_epochs: int, tune: TuneConfig
    ) -> Schedule: ...


def time_steps(phase: Phase, device: torch.device, *, micro_batch: int | None = None, repeats: int = 3) -> float:
    """Train a throw-away network for a few steps, and one more to warm up; the median of their seconds.

    Where steps are slow, there are fewer of them, but one at least.
    """
    phase.model.to(device).train()
    indices = np.arange(min(phase.batch_size, len(phase.part)))
    seconds = []
    with isolated_rng(device):
        for _ in range(repeats + 1):
            started = time.perf_counter()
            take_step(phase, indices, device, micro_batch=micro_batch).item()  # item() waits for the device
            seconds.append(time.perf_counter() - started)
            if len(seconds) > 1 and sum(seconds) > TIMING_SECONDS:
                break
    return float(np.median(seconds[1:]))


def plan(
    budget_seconds: float,
    costs: EpochCosts,
    *,
    trials: int,
    enough_epochs: int,
    tune: TuneConfig,
    untouched_raced: bool = False,
) -> Schedule:
    """The longest schedule that fits a budget.

    Search and each trial of the tuning get half as many epochs as the final training. In a race trials get as many if
    that leaves plenty, and the untouched backbone gets as much time as the searched network; before it the search gets
    no more than its share of the budget. A short budget gives up trials first, then search and race together: the
    untouched backbone gets it all, the first quarter as a trial. What does not fit even so is the shortest schedule
    there is: a run always ends with a trained model.

    Args:
        budget_seconds: for everything that is still to come.
        costs: of an epoch of each phase; no search where it costs nothing, and the untouched backbone alone where
            nothing is derived.
        trials: recipes to try where the budget allows.
        enough_epochs: of the final training, below which trials are given up.
        tune: how recipes are found; a grid is never cut short.
        untouched_raced: whether the untouched backbone has had its part of the race already.
    """
    usable = budget_seconds * (1 - RESERVE)
    if not costs.derived:
        return _alone(usable, costs)
    searches_before_race = tune.race and costs.search > 0
    most = int(SEARCH_SHARE * usable / costs.search) if searches_before_race else MAX_EPOCHS
    final = costs.retrain_share * (costs.members * costs.derived + costs.beside)
    # In a race the untouched backbone gets as much time as the searched network.
    backbone = costs.backbone
    if tune.race:
        backbone = costs.derived if costs.wider_backbone else max(costs.derived, costs.backbone)
    if untouched_raced:
        backbone = 0.0
    fitting = partial(most_epochs, usable, search=costs.search, most_searched=most)
    for num_trials in (trials,) if tune.tuner is Tuner.GRID else (trials, max(trials // 2, 1), 1):
        tuning = tuning_seconds(num_trials, costs, tune, backbone=backbone)
        half, whole = (0.0, final + tuning) if tune.race else (tuning, final)
        epochs = fitting(half=half, whole=whole)
        if epochs >= enough_epochs:
            break
    is_race_whole = tune.race and epochs >= PLENTY_OF_EPOCHS
    if tune.race and not is_race_whole:
        epochs = fitting(half=tuning, whole=final)
    if searches_before_race and (epochs < FEWEST_EPOCHS or most < 1):
        return _alone(usable, costs)
    epochs = max(epochs, 1)
    halved = math.ceil(epochs / 2)
    tuned = epochs if is_race_whole else halved
    return Schedule(
        search_epochs=min(halved, most) if costs.search else 0,
        tune_trials=num_trials,
        tune_epochs=tuned,
        retrain_epochs=epochs,
        backbone_epochs=backbone_epochs(tuned, costs) if tune.race else None,
    )


def _alone(usable: float, costs: EpochCosts) -> Schedule:
    """The schedule of the untouched backbone alone, in so many seconds; too few epochs are not divided."""
    epochs = max(untouched_alone(usable, costs), 1)
    first = epochs // 4 or (1 if epochs >= 3 else 0)
    return Schedule(
        search_epochs=0,
        tune_trials=1,
        tune_epochs=max(first, 1),
        retrain_epochs=epochs - first,
        backbone_epochs=first or None,
    )


def with_cheapest_search(costs: EpochCosts, subsample: float, *, sharpness_aware: bool = False) -> EpochCosts:
    """What epochs would cost at least with a search of full mixtures, from what those of the untouched backbone do.

    Args:
        costs: of the untouched backbone.
        subsample: share of the batches that an epoch of the search visits.
        sharpness_aware: whether the untouched backbone's steps are, which no search's are.
    """
    search = CHEAPEST_SEARCH * subsample * costs.backbone / (SAM_STEPS if sharpness_aware else 1)
    return replace(costs, search=search, derived=CHEAPEST_DERIVED * costs.backbone)


def backbone_epochs(rival_epochs: int, costs: EpochCosts) -> int:
    """Epochs of the untouched backbone in a race, which take as long as those of its rival.

    They are no fewer either, unless it is the wider one.
    """
    as_long = min(int(rival_epochs * costs.derived / costs.backbone), MAX_EPOCHS // 2)
    return max(as_long, 1 if costs.wider_backbone else rival_epochs)


def rival_epochs(backbone_epochs: int, costs: EpochCosts) -> int:
    """Most epochs of a rival of the untouched backbone, which give it no more of the epochs and the seconds at once.

    Args:
        backbone_epochs: of the untouched backbone in the race.
        costs: of an epoch of both.
    """
    return max(backbone_epochs, int(backbone_epochs * costs.backbone / costs.derived))


def untouched_alone(usable: float, costs: EpochCosts) -> int:
    """Epochs of the final training that the untouched backbone could get in so many seconds, with nothing beside it.

    Of an ensemble, all members are untouched backbones.
    """
    return most_epochs(usable, whole=costs.retrain_share * costs.members * costs.backbone)


def most_epochs(
    usable: float, *, half: float = 0.0, whole: float, search: float = 0.0, most_searched: int = MAX_EPOCHS
) -> int:
    """How many epochs of the final training fit, where half as many (rounded up) cost `half` each beside them.

    Args:
        usable: seconds.
        half: seconds of an epoch of everything that gets half as many epochs.
        whole: seconds of an epoch of the final training.
        search: seconds of an epoch of the search, which gets half as many epochs too, up to a number.
        most_searched: that number.

    Returns:
        0 where not even one fits, and `MAX_EPOCHS` at most.
    """

    def seconds(epochs: int) -> float:
        halved = math.ceil(epochs / 2)
        return halved * half + min(halved, most_searched) * search + epochs * whole

    return next((n for n in range(MAX_EPOCHS, 0, -1) if seconds(n) <= usable), 0)


def random_races(trials: int) -> bool:
    """Whether there are recipes enough that a random architecture races beside the searched one."""
    return trials >= MANY_TRIALS


def tuning_seconds(trials: int, costs: EpochCosts, tune: TuneConfig, *, backbone: float) -> float:
    """What an epoch of the tuning costs: all trials, the untouched backbone, and a random architecture if it races.

    Args:
        trials: recipes to try.
        costs: of an epoch of each phase.
        tune: how recipes are found.
        backbone: seconds that the untouched backbone gets meanwhile.
    """
    randomly = costs.derived if tune.race and random_races(trials) else 0.0
    return full_trials(trials, tune) * costs.derived + tune.subsample * (backbone + randomly)


def seconds_of_tuning(schedule: Schedule, costs: EpochCosts, tune: TuneConfig) -> float:
    """What all trials of a schedule are expected to cost."""
    if not costs.derived and not schedule.backbone_epochs:  # the untouched backbone alone, without a trial
        return 0.0
    backbone = costs.backbone * schedule.epochs_of("backbone") / schedule.tune_epochs
    return schedule.tune_epochs * tuning_seconds(schedule.tune_trials, costs, tune, backbone=backbone)


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
