"""The plain backbone, its recipe found by successive halving over the ranges of NAS-Bench-360 (there WRN-ASHA)."""

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dashnas.budget import RESERVE, EpochCosts, untouched_alone
from dashnas.config import Schedule, TuneConfig
from dashnas.errors import DashnasError
from dashnas.evaluate import validate
from dashnas.job import Job
from dashnas.methods.backbone import stock_options
from dashnas.methods.dash import fitted
from dashnas.methods.halving import make_rungs, successive_halving, total_epochs
from dashnas.methods.method import Fitted, MethodTask
from dashnas.methods.registry import register_method
from dashnas.microbatch import shared_micro_batch
from dashnas.outcome import outcome_of
from dashnas.phases import settled_schedule
from dashnas.progress import Reporter
from dashnas.recipe import Recipe
from dashnas.retrain import retrain_phase
from dashnas.scheduling import schedule_within
from dashnas.seeding import derive_seed
from dashnas.training import DivergedError, train
from dashnas.workspace import open_job

TRIALS = (64, 16, 4)
"""Recipes to try, as many as leave enough epochs; powers of 4, so that each rung keeps exactly one in four."""

TRIALS_FILE = "halving.json"
"""What each trial has reached so far: [[trial, epochs, score or null], ...]."""


@register_method("backbone-tuned")
class TunedBackbone:
    """The untouched backbone, its recipe found by successive halving: the stock one and others from NAS-Bench-360."""

    def misfit(self, task: MethodTask) -> str | None:
        """See `Method`."""
        return None

    def fit(self, task: MethodTask, *, budget_seconds: float, seed: int, folder: Path, reporter: Reporter) -> Fitted:
        """See `Method`."""
        options = replace(stock_options(task), seed=seed, budget_seconds=budget_seconds)
        with open_job(task.data, options, folder, reporter, started=time.monotonic(), networks=("backbone",)) as job:
            schedule = settled_schedule(job, lambda job: schedule_within(job, budget_seconds, halving_then_training))
            trials = Trials(job, schedule)
            best = trials.best()
            retrained = job.retrain("backbone", None, trials.recipe(best), schedule)
            report = {"trials": schedule.tune_trials, "halving": trials.scored, "best_trial": best}
            return fitted(
                job,
                schedule,
                outcome_of(job, {"backbone": retrained}, [None]),
                validation=trials.score(best),
                report=report,
            )


def draw_recipe(seed: int, trial: int) -> Recipe:
    """The recipe of a trial, from the ranges of NAS-Bench-360: the same for every task."""
    rng = np.random.default_rng(derive_seed(seed, "halving", trial))
    return Recipe(
        learning_rate=float(10 ** rng.uniform(-4, -1)),
        momentum=float(rng.choice((0.0, 0.3, 0.6, 0.9))),
        weight_decay=float(10 ** rng.uniform(-5, -2)),
        dropout=float(rng.choice((0.0, 0.3, 0.6))),
    )


def halving_then_training(
    budget_seconds: float, costs: EpochCosts, *, trials: int, enough_epochs: int, tune: TuneConfig
) -> Schedule:
    """As long as fits: the best trial is trained as long as the final network; a `dashnas.budget.Planner`.

    A short budget gives up trials first.
    """
    usable = budget_seconds * (1 - RESERVE)
    for count in TRIALS:
        epochs = longest(count, usable, costs)
        if epochs >= enough_epochs:
            break
    epochs = max(epochs, 1)
    return Schedule(search_epochs=0, tune_trials=count, tune_epochs=epochs, retrain_epochs=epochs)


def longest(trials: int, usable: float, costs: EpochCosts) -> int:
    """The most epochs for which the halving of so many trials and the final training fit into some seconds."""
    most = untouched_alone(usable, costs)

    def seconds(epochs: int) -> float:
        return (total_epochs(make_rungs(trials, epochs)) + costs.retrain_share * epochs) * costs.backbone

    return next((epochs for epochs in range(most, 0, -1) if seconds(epochs) <= usable), 0)


class Trials:
    """The trials of a job, each of which can be trained further; what they reached is kept in the run's folder."""

    def __init__(self, job: Job, schedule: Schedule) -> None:
        self._job = job
        self._schedule = schedule
        self._rungs = make_rungs(schedule.tune_trials, schedule.tune_epochs)
        self.scored: list[list[Any]] = job.session.run.read(TRIALS_FILE, default=[])
        """As in `TRIALS_FILE`."""

    def best(self) -> int:
        """The number of the best trial.

        Raises:
            DashnasError: all that were left diverged.
        """
        best = successive_halving(self._rungs, self._reach, self._job.metric.is_better)
        if best is None:
            raise DashnasError("the training diverged under every recipe that was tried")
        return best

    def recipe(self, trial: int) -> Recipe:
        """The given one first: with few trials a drawn one as good as that would be luck."""
        return self._job.config.recipe if trial == 0 else draw_recipe(self._job.config.seed, trial)

    def score(self, trial: int) -> float:
        """What a trial has reached in the end."""
        return next(float(score) for number, _, score in reversed(self.scored) if number == trial)

    def _reach(self, trial: int, epochs: int) -> float:
        known = {(number, reached): score for number, reached, score in self.scored}
        if (trial, epochs) not in known:
            score = self._train(trial, epochs)
            self.scored.append([trial, epochs, score if math.isfinite(score) else None])
            self._job.session.run.write(TRIALS_FILE, self.scored)
            known[trial, epochs] = self.scored[-1][-1]
        score = known[trial, epochs]
        return math.nan if score is None else score

    def _train(self, trial: int, epochs: int) -> float:
        """Train a trial from where it is to so many epochs; its score then, NaN where it diverged."""
        if any(number == trial and score is None for number, _, score in self.scored):
            return math.nan
        job, recipe = self._job, self.recipe(trial)
        phase = retrain_phase(
            f"halving-{trial}", job.network(None, recipe.dropout), job.data.train, job.loss, recipe,
            job.config.retrain, epochs=self._schedule.tune_epochs, batch_size=job.batch_size,
            seed=derive_seed(job.config.seed, "tune"), network_name="backbone",
        )  # fmt: skip
        phase.until = epochs
        try:
            train(phase, job.session)
        except DivergedError:
            return math.nan
        at_once = shared_micro_batch(job.session.run, "backbone", job.batch_size)
        return validate(phase.model, job.data.validation, job.metric, batch_size=at_once, device=job.session.device)
