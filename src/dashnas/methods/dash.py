"""DASH: search, tune, retrain, as `dashnas fit` does it but without the untouched backbone beside it."""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dashnas.backbones import BACKBONES
from dashnas.config import Schedule
from dashnas.inference_cost import num_parameters
from dashnas.job import NETWORKS, Job
from dashnas.methods.method import Fitted, MethodTask, NetworkModel
from dashnas.methods.registry import register_method
from dashnas.microbatch import shared_micro_batch
from dashnas.outcome import Outcome, train_outcome
from dashnas.phases import searched, settled_schedule, tune
from dashnas.progress import Reporter
from dashnas.workspace import open_job


@register_method("dash")
@dataclass(frozen=True, kw_only=True)
class Dash:
    """DASH with the default preset: the width of the backbone, epochs and recipes as the budget allows."""

    preset: str = "default"
    """As in `Options`."""
    backbone: str | None = None
    """A name in `BACKBONES`; None is the usual one for the data."""
    kernel_sizes: tuple[int, ...] | None = None
    """As in `Options`."""
    dilations: tuple[int, ...] | None = None
    """As in `Options`."""
    race: bool | None = None
    """As in `Options`."""
    ensemble: int = 1
    """As in `Options`."""

    def misfit(self, task: MethodTask) -> str | None:
        """See `Method`."""
        return backbone_misfit(self.backbone, task)

    def fit(self, task: MethodTask, *, budget_seconds: float, seed: int, folder: Path, reporter: Reporter) -> Fitted:
        """See `Method`."""
        started = time.monotonic()
        asked = {name: value for name, value in asdict(self).items() if value is not None}
        options = replace(task.options, seed=seed, budget_seconds=budget_seconds, **asked)
        networks = ("search", "derived") if self.race is False else tuple(NETWORKS)
        with open_job(task.data, options, folder, reporter, started=started, networks=networks, beside=False) as job:
            return search_tune_retrain(job, settled_schedule(job))


def search_tune_retrain(job: Job, schedule: Schedule) -> Fitted:
    """All phases of a job but those of the untouched backbone; without a search where an architecture was given."""
    found = searched(job, schedule)
    tuned = tune(job, found)
    outcome = train_outcome(job, tuned)
    report = {
        "trials": len(tuned.trials),
        "network": tuned.network,
        "members": list(tuned.members),
        "race": tuned.scores if tuned.is_race else None,
        "race_confidence": tuned.confidence if tuned.is_race else None,
        "head": None if tuned.head is None else asdict(tuned.head),
        "searched": None if found.architecture is None else found.architecture.to_json(),
        "search_seconds": found.seconds,
        "tune_seconds": tuned.seconds,
    }
    return fitted(job, tuned.schedule, outcome, validation=tuned.best_score, report=report)


def fitted(
    job: Job, schedule: Schedule, outcome: Outcome, *, validation: float | None, report: dict[str, Any]
) -> Fitted:
    """What comes out of the final training as the outcome of a method; it is saved in the run's folder too."""
    model = outcome.model
    model.save(job.session.run.folder)
    name = "backbone" if model.architecture is None else "derived"
    at_once = shared_micro_batch(job.session.run, name, job.batch_size)
    return Fitted(
        model=NetworkModel(model.network, at_once, job.session.device),
        validation=validation,
        epochs=schedule.retrain_epochs,
        parameters=num_parameters(model.network),
        architecture=model.architecture,
        report={
            "preset": job.config.preset,
            "precision": job.config.retrain.precision.value,
            "backbone": asdict(model.topology),
            "schedule": asdict(schedule),
            "recipe": asdict(outcome.first.recipe),
            "retrain_seconds": outcome.seconds,
            **report,
        },
    )


def backbone_misfit(name: str | None, task: MethodTask) -> str | None:
    """Why a backbone does not fit a task; None where it does."""
    dims = task.data.spec.spatial_dims
    if name is None or BACKBONES[name].spatial_dims == dims:
        return None
    return f"the backbone {name} is for {BACKBONES[name].spatial_dims}-D data, and these are {dims}-D"
