"""The plain backbone with the stock recipe: no search, no tuning, the whole budget for training."""

import time
from dataclasses import replace
from pathlib import Path

from dashnas.budget import RESERVE, EpochCosts, untouched_alone
from dashnas.config import Schedule, TuneConfig
from dashnas.methods.dash import fitted
from dashnas.methods.method import Fitted, MethodTask
from dashnas.methods.registry import register_method
from dashnas.outcome import outcome_of
from dashnas.phases import settled_schedule
from dashnas.precision import Precision
from dashnas.presets import Options, stock_batch_size
from dashnas.progress import Reporter
from dashnas.recipe import Recipe
from dashnas.scheduling import schedule_within
from dashnas.workspace import open_job


@register_method("backbone")
class PlainBackbone:
    """The untouched backbone with the stock recipe (SGD, rate 0.1), all of the budget spent on training."""

    def misfit(self, task: MethodTask) -> str | None:
        """See `Method`."""
        return None

    def fit(self, task: MethodTask, *, budget_seconds: float, seed: int, folder: Path, reporter: Reporter) -> Fitted:
        """See `Method`."""
        options = replace(stock_options(task), seed=seed, budget_seconds=budget_seconds)
        with open_job(task.data, options, folder, reporter, started=time.monotonic(), networks=("backbone",)) as job:
            schedule = settled_schedule(job, lambda job: schedule_within(job, budget_seconds, training_alone))
            retrained = job.retrain("backbone", None, job.config.recipe, schedule)
            return fitted(job, schedule, outcome_of(job, {"backbone": retrained}, [None]), validation=None, report={})


def stock_options(task: MethodTask) -> Options:
    """What is asked for, with the recipe, batch size and precision that such networks are usually trained with."""
    recipe, samples = Recipe(), len(task.data.train)
    return replace(
        task.options,
        optimiser=recipe.optimiser,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        batch_size=task.options.batch_size or stock_batch_size(samples),
        precision=task.options.precision or Precision.FLOAT32,
    )


def training_alone(
    budget_seconds: float, costs: EpochCosts, *, trials: int, enough_epochs: int, tune: TuneConfig
) -> Schedule:
    """The longest final training of the backbone that fits, and nothing beside it; a `dashnas.budget.Planner`."""
    epochs = untouched_alone(budget_seconds * (1 - RESERVE), costs)
    return Schedule(search_epochs=0, tune_trials=1, tune_epochs=1, retrain_epochs=max(epochs, 1))
