"""The phases of a job that leave a file in its run: schedule, search and tuning, each read again where it was done."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple

from dashnas.config import Recipe, Schedule
from dashnas.job import Job
from dashnas.runs import damage_named
from dashnas.space import Architecture
from dashnas.tune import Trial, Tuning, trial_from_json, trial_to_json


class Searched(NamedTuple):
    """What the search of a run came to."""

    architecture: Architecture
    seconds: float
    schedule: Schedule
    """Of the phases that follow."""


@dataclass(frozen=True)
class Tuned:
    """What the tuning of a network came to."""

    tuning: Tuning
    trials: list[Trial]
    best: Trial

    @property
    def seconds(self) -> float:
        """Of all trials together."""
        return sum(trial.seconds for trial in self.trials)


def decide_schedule(job: Job) -> Schedule:
    """The schedule that was given, or else the one that fits the budget after a few timed steps."""
    if job.config.schedule is not None:
        return job.config.schedule
    assert job.config.budget_seconds is not None
    return job.schedule_within(job.config.budget_seconds)


def settled_schedule(job: Job, decide: Callable[[Job], Schedule] = decide_schedule) -> Schedule:
    """The schedule of the run, decided once; a resumed or repeated run reads it and times nothing."""
    content = job.session.run.remember("schedule.json", lambda: asdict(decide(job)))
    with damage_named(job.session.run.folder / "schedule.json"):
        schedule = Schedule(**content)
    job.use_width(schedule.width)
    job.settle_micro_batches()
    width = "" if schedule.width is None else f"width {schedule.width}; "
    job.session.reporter.message(
        f"schedule: {width}search {schedule.search_epochs} epochs; {_describe_training(schedule)}"
    )
    return schedule


def searched(job: Job, schedule: Schedule) -> Searched:
    """What the search chose, or was given. Under a budget the rest of the schedule is made anew, for this network."""
    run = job.session.run
    if not (run.folder / "architecture.json").exists():
        architecture, seconds = job.search(schedule)
        if job.config.schedule is None and job.given_architecture is None:
            schedule = job.schedule_after_search(schedule, architecture, seconds)
            run.write("schedule.json", asdict(schedule))
            job.session.reporter.message(f"time left for: {_describe_training(schedule)}")
        run.write("search.json", {"seconds": seconds})
        run.write("architecture.json", architecture.to_json())
    chosen = Architecture.load(run.folder / "architecture.json")
    with damage_named(run.folder / "search.json"):
        return Searched(chosen, float(run.read("search.json", default={"seconds": 0.0})["seconds"]), schedule)


def tune(job: Job, architecture: Architecture, schedule: Schedule) -> Tuned:
    """Find a recipe for the derived network."""
    run, tuning = job.session.run, job.tuning(architecture, schedule)
    with damage_named(run.folder / "tune.json"):
        trials = [trial_from_json(t) for t in run.read("tune.json", default=[])]
    trials = tuning.run(trials, job.session, lambda ts: run.write("tune.json", [trial_to_json(t) for t in ts]))
    best = tuning.best(trials)
    job.session.reporter.message(f"recipe: {_describe_recipe(best.recipe)}")
    return Tuned(tuning, trials, best)


def _describe_training(schedule: Schedule) -> str:
    return (
        f"tune {schedule.tune_trials} x {schedule.tune_epochs} epochs at most; retrain {schedule.retrain_epochs} epochs"
    )


def _describe_recipe(recipe: Recipe) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in asdict(recipe).items())
