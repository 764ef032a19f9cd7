"""The paper's pipeline with all its epoch counts scaled alike, so that it fits a budget."""

import time
from dataclasses import replace
from pathlib import Path

from dashnas.budget import RESERVE, EpochCosts, full_trials
from dashnas.calibration import calibrate
from dashnas.config import FitConfig, LearningRateSchedule, Schedule
from dashnas.job import Job
from dashnas.methods.dash import search_tune_retrain
from dashnas.methods.method import Fitted, MethodTask, MisfitError
from dashnas.methods.registry import register_method
from dashnas.phases import settled_schedule
from dashnas.progress import Reporter
from dashnas.workspace import open_job

HOPELESS = 5.0
"""A shortest schedule (an epoch each) that takes this many times the budget is not begun."""


@register_method("paper-scaled")
class PaperScaled:
    """The preset paper with all its numbers of epochs scaled alike to fit the budget, at least 1 each."""

    def misfit(self, task: MethodTask) -> str | None:
        """See `Method`."""
        return None

    def fit(self, task: MethodTask, *, budget_seconds: float, seed: int, folder: Path, reporter: Reporter) -> Fitted:
        """See `Method`."""
        started = time.monotonic()
        options = replace(task.options, seed=seed, preset="paper")
        with open_job(task.data, options, folder, reporter, started=started, networks=("search", "derived")) as job:
            scale = float(job.session.run.remember("scale.json", lambda: fitting_scale(job, budget_seconds, started)))
            job.config = scaled(job.config, scale)
            outcome = search_tune_retrain(job, settled_schedule(job))
            return replace(outcome, report={**outcome.report, "scale": scale})


def fitting_scale(job: Job, budget_seconds: float, started: float) -> float:
    """What the paper's epochs must be multiplied by to end in time, after a few timed steps; 1 at most.

    Raises:
        MisfitError: the shortest schedule would take far longer than the budget.
    """
    costs = calibrate(job).costs
    usable = (started + budget_seconds - time.monotonic()) * (1 - RESERVE)
    assert job.config.schedule is not None
    longest = job.config.schedule.retrain_epochs
    shortest = seconds_of(scaled(job.config, 1 / longest), costs)
    if shortest > HOPELESS * budget_seconds:
        raise MisfitError(
            f"one epoch of everything would take about {shortest:.0f} s, more than {HOPELESS:g} times the budget"
        )
    # In steps of an epoch of the longest phase; the shortest schedule there is where nothing fits.
    scales = (epochs / longest for epochs in range(longest, 0, -1))
    return next((scale for scale in scales if seconds_of(scaled(job.config, scale), costs) <= usable), 1 / longest)


def seconds_of(config: FitConfig, costs: EpochCosts) -> float:
    """What search, tuning and final training take under a schedule."""
    schedule = config.schedule
    assert schedule is not None
    tuning = full_trials(schedule.tune_trials, config.tune) * schedule.tune_epochs
    final = costs.retrain_share * schedule.retrain_epochs
    return schedule.search_epochs * costs.search + (tuning + final) * costs.derived


def scaled(config: FitConfig, scale: float) -> FitConfig:
    """Settings with every number of epochs multiplied by a factor, the milestones of the learning rate too."""
    schedule = config.schedule
    assert schedule is not None

    def times(epochs: int) -> int:
        return max(round(epochs * scale), 1)

    def shorter(rates: LearningRateSchedule) -> LearningRateSchedule:
        return replace(rates, milestones=tuple(times(milestone) for milestone in rates.milestones))

    return replace(
        config,
        schedule=Schedule(
            search_epochs=times(schedule.search_epochs),
            tune_trials=schedule.tune_trials,
            tune_epochs=times(schedule.tune_epochs),
            retrain_epochs=times(schedule.retrain_epochs),
        ),
        search=replace(config.search, schedule=shorter(config.search.schedule)),
        retrain=replace(config.retrain, schedule=shorter(config.retrain.schedule)),
    )
