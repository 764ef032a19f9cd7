"""The phases of a job that leave a file in its run: schedule, search and tuning, each read again where it was done."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from dashnas import race
from dashnas.calibration import settle_micro_batches
from dashnas.config import Schedule
from dashnas.errors import ConfigError, RunError
from dashnas.job import NETWORKS, Job
from dashnas.metrics import FEWEST_WEIGHED
from dashnas.microbatch import keep_micro_batches
from dashnas.probe import HeadProbe
from dashnas.recipe import Recipe
from dashnas.runs import Run, damage_named
from dashnas.scheduling import schedule_after_race, schedule_after_search, schedule_within
from dashnas.space import Architecture
from dashnas.tune import Trial, trial_from_json, trial_to_json

UNBEATABLE = "unbeatable"
"""Of the untouched backbone, in `search.json` and as the reason why there was no search."""

NO_CHOICE = "no-choice"
"""As the reason: each layer has nothing but its own kernel to choose from."""

SAME = "same"
"""As the reason why what was searched did not race: it is the untouched backbone itself."""


class Searched(NamedTuple):
    """What the search of a run came to."""

    architecture: Architecture | None
    """None where nothing was searched."""
    seconds: float
    schedule: Schedule
    """Of the phases that follow."""
    no_search: str | None = None
    """Why no searched network races: `budget` (too short), `schedule` (given without a search), `unbeatable` (no
    network could be hoped to be better with enough confidence), `no-choice` (each layer has nothing but its own kernel)
    or `same` (the search came out at the untouched backbone); else None."""


class Tuned(NamedTuple):
    """What race and tuning came to: which network is trained in the end, and how."""

    members: tuple[str, ...]
    """Of the outcome: `derived`, `backbone` or `random`, the winner first. Of an ensemble, further ones, where the same
    name is a copy with other weights."""
    entrants: Mapping[str, Architecture | None]
    """Architectures by these names, also of networks that lost; None is the untouched backbone."""
    recipe: Recipe
    schedule: Schedule
    """Of the final training."""
    trials: list[Trial]
    """Empty where there was nothing to choose."""
    scores: dict[str, float | None]
    """By network, on the validation part: after a race under the given recipe, else of the best trial. None where its
    training diverged."""
    best_score: float | None = None
    """Of the best trial, on the validation part."""
    confidence: Mapping[str, float | None] = MappingProxyType({})
    """By network that raced: how sure it was that it is better than the best one before it."""
    head: HeadProbe | None = None
    """What was found of its head; None where nothing was asked."""
    keeps_weights: bool = False
    """Whether the final training goes on from the weights of the trials."""

    @property
    def network(self) -> str:
        """Name of the winner."""
        return self.members[0]

    @property
    def architecture(self) -> Architecture | None:
        """Of the winner; None is the untouched backbone."""
        return self.entrants[self.network]

    @property
    def cells(self) -> tuple[int, ...] | None:
        """Of the grid whose positions the head keeps from now on; None leaves it as it is."""
        return self.head.cells if self.head is not None and self.head.pays else None

    @property
    def is_untouched(self) -> bool:
        """Whether it is the untouched backbone that won, and its head stays too."""
        return self.architecture is None and self.cells is None

    @property
    def is_race(self) -> bool:
        """Whether several networks were tried."""
        return len(self.scores) > 1

    def weights_of(self, network: str) -> str | None:
        """What `Job.retrain` takes to go on from a network's weights of the race; None where it has none."""
        has_weights = any(trial.network == network and trial.state == "complete" for trial in self.trials)
        return network if self.keeps_weights and has_weights else None

    @property
    def seconds(self) -> float:
        """Of all trials together."""
        return sum(trial.seconds for trial in self.trials)


def decide_schedule(job: Job) -> Schedule:
    """The schedule that was given, or else the one that fits the budget after a few timed steps; and the width.

    Where each layer has nothing but its own kernel, the untouched backbone is trained alone, after one trial.
    """
    if job.has_only_own_kernels:
        job.session.reporter.message("each layer has nothing but its own kernel to choose from; nothing is searched")
        job.leave_out_search()
    if job.config.schedule is not None:
        width, schedule = job.widths[-1], job.config.schedule
        if job.has_only_own_kernels and schedule.search_epochs:
            schedule = _untouched_alone(schedule)
        return schedule if width == job.config.width else replace(schedule, width=width)
    assert job.config.budget_seconds is not None
    return schedule_within(job, job.config.budget_seconds)


def _untouched_alone(schedule: Schedule) -> Schedule:
    """A schedule without its search, in which the untouched backbone's part of the race is the one trial."""
    epochs = schedule.epochs_of("backbone")
    return replace(schedule, search_epochs=0, tune_trials=1, tune_epochs=epochs, backbone_epochs=epochs)


def settled_schedule(job: Job, decide: Callable[[Job], Schedule] = decide_schedule) -> Schedule:
    """The schedule of the run, decided once; a resumed or repeated run reads it and times nothing."""
    content = job.session.run.remember("schedule.json", lambda: asdict(decide(job)))
    with damage_named(job.session.run.folder / "schedule.json"):
        schedule = Schedule(**content)
    job.adopt(schedule)
    if schedule.search_epochs == 0 and job.given_architecture is None:
        job.leave_out_search()
    settle_micro_batches(job)
    wider = "" if schedule.backbone_width is None else f", untouched {schedule.backbone_width}"
    width = "" if schedule.width is None else f"width {schedule.width}{wider}; "
    job.session.reporter.message(
        f"schedule: {width}search {schedule.search_epochs} epochs; {_describe_training(schedule)}"
    )
    return schedule


def searched(job: Job, schedule: Schedule, *, always: bool = False) -> Searched:
    """What the search chose, or was given. Under a budget the rest of the schedule is made anew, for this network.

    Before it, the untouched backbone has its part of the race; where none can be hoped to be surely better, nothing is
    searched.

    Args:
        job: the run.
        schedule: of all its phases.
        always: search in any case.
    """
    run = job.session.run
    if not (run.folder / "architecture.json").exists():
        if job.given_architecture is None:
            if not always and job.config.tune.race and schedule.search_epochs:
                schedule = _race_untouched(job, schedule)
            if not schedule.search_epochs:
                return Searched(None, 0.0, schedule, _why_no_search(job))
        architecture, seconds = job.search(schedule)
        if job.config.schedule is None and job.given_architecture is None:
            trials = _read_trials(job)
            raced = any(trial.network == "backbone" for trial in trials)
            spent = seconds + sum(trial.seconds for trial in trials)
            schedule = schedule_after_search(job, schedule, architecture, spent, untouched_raced=raced)
            run.write("schedule.json", asdict(schedule))
            job.session.reporter.message(f"time left for: {_describe_training(schedule)}")
        run.write("search.json", {"seconds": seconds})
        run.write("architecture.json", architecture.to_json())
    try:
        chosen = Architecture.load(run.folder / "architecture.json")
    except ConfigError as error:
        raise RunError(f"{error}; delete it and give the same command again, which searches anew") from error
    with damage_named(run.folder / "search.json"):
        seconds = float(run.read("search.json", default={"seconds": 0.0})["seconds"])
    if not job.config.tune.race or not job.is_untouched(chosen):
        return Searched(chosen, seconds, schedule)
    job.session.reporter.message("what was searched is the untouched backbone itself, and does not race against it")
    return Searched(chosen, seconds, schedule, SAME)


def _race_untouched(job: Job, schedule: Schedule) -> Schedule:
    """The untouched backbone's part of the race; and the schedule, without a search if it cannot be surely beaten."""
    run, tuning = job.session.run, race.tuning(job, {"backbone": None}, schedule)
    trial, *others = tuning.run(_read_trials(job), job.session, partial(_save_trials, run), most=1)
    # With others, the race was held, and it is the architecture alone that is to be found again.
    if others or trial.state != "complete" or race.can_be_beaten(job, "backbone", None, trial.recipe):
        return schedule
    samples = len(job.data.validation)
    if samples < FEWEST_WEIGHED:
        why = (
            f"the validation part has {samples} samples, it takes {FEWEST_WEIGHED} to tell which network is better; "
            "nothing is searched; --validation-fraction gives it more, --no-race searches in any case"
        )
    else:
        why = (
            f"the untouched backbone has {job.metric.name} {trial.score:.4g} on the validation part, so few mistakes "
            "that no other network can be hoped to be better with enough confidence; nothing is searched"
        )
    job.session.reporter.message(why)
    schedule = _untouched_alone(schedule)
    run.write("search.json", {"seconds": 0.0, UNBEATABLE: True})
    run.write("schedule.json", asdict(schedule))
    keep_micro_batches(run, {"backbone"})
    return schedule


def _why_no_search(job: Job) -> str:
    run = job.session.run
    if job.has_only_own_kernels:
        return NO_CHOICE
    with damage_named(run.folder / "search.json"):
        if run.read("search.json", default={}).get(UNBEATABLE):
            return UNBEATABLE
    return "schedule" if job.config.budget_seconds is None else "budget"


def _read_trials(job: Job, networks: Collection[str] = ("backbone", "derived", "random")) -> list[Trial]:
    """The trials of the race and of recipes so far, all of these networks."""
    run = job.session.run
    with damage_named(run.folder / "tune.json"):
        trials = [trial_from_json(content) for content in run.read("tune.json", default=[])]
        if unknown := {trial.network for trial in trials}.difference(networks):
            raise ValueError(f"unknown networks {sorted(unknown)}")
    return trials


def _save_trials(run: Run, trials: list[Trial]) -> None:
    run.write("tune.json", [trial_to_json(trial) for trial in trials])


def tune(job: Job, found: Searched) -> Tuned:
    """Find the network and the recipe for the final training. Under a budget, a race decides how long that is."""
    run, schedule = job.session.run, found.schedule
    if found.architecture is None and schedule.backbone_epochs is None:  # no time for it
        members = ("backbone",) * job.config.ensemble
        return Tuned(members, {"backbone": None}, job.config.recipe, schedule, [], {})
    entrants = race.entrants(job, found.architecture, schedule)
    tuning = race.tuning(job, entrants, schedule)
    trials = tuning.run(_read_trials(job, entrants), job.session, partial(_save_trials, run))
    best = tuning.best(trials)
    winner = run.remember("winner.json", lambda: _decide(job, found, trials, best, entrants))
    with damage_named(run.folder / "winner.json"):
        schedule = Schedule(**winner["schedule"])
        if (winner["network"], Recipe(**winner["recipe"])) != (best.network, best.recipe):
            raise ValueError("it names another network or recipe than tune.json has as the best")
        members = (best.network, *winner.get("others", ()))
        if len(members) != job.config.ensemble or not set(members) <= set(entrants):
            raise ValueError(f"its networks are {members}")
        head = None if winner["head"] is None else HeadProbe.from_json(winner["head"], job.data.spec)
    raced = trials[: len(entrants)] if len(entrants) > 1 else [best]
    scores = {trial.network: trial.score for trial in raced}
    confidence = {trial.network: trial.confidence for trial in raced}
    if len(raced) > 1:
        job.session.reporter.message(_describe_race(best.network, raced, job.metric.name))
    job.session.reporter.message(f"recipe: {schedule.final_recipe(best.recipe).describe()}")
    tuned = Tuned(
        members=members,
        entrants=entrants,
        recipe=best.recipe,
        schedule=schedule,
        trials=trials,
        scores=scores,
        best_score=best.score,
        confidence=confidence,
        head=head,
        keeps_weights=job.config.tune.race,
    )
    if head is not None:
        job.session.reporter.message(_describe_head(head, tuned.cells, job.metric.name))
    return tuned


def _decide(
    job: Job, found: Searched, trials: list[Trial], best: Trial, entrants: Mapping[str, Architecture | None]
) -> dict[str, Any]:
    """What is trained in the end, and how long: the content of `winner.json`."""
    run, schedule = job.session.run, found.schedule
    races = job.config.tune.race
    others = _others(job, trials, best, entrants)
    members = (best.network, *others)
    head = race.probe(job, best.network, entrants[best.network], best.recipe) if races else None
    if head is not None and head.pays and not _may_keep(head.cells, job, [entrants[name] for name in members]):
        job.session.reporter.message(f"a head with positions would exceed {job.limits.describe()}")
        head = None
    tried = len(trials) - (len(entrants) - 1)
    if job.config.schedule is None and tried < schedule.tune_trials:
        schedule = replace(schedule, tried=tried)
    if job.config.schedule is None and races:
        first, *further = member_phases(members, positions=True)
        phases = (first, "backbone", *further)
        if begun := [name for name in phases if run.load_checkpoint(name) is not None]:
            files = " and ".join(f"checkpoints/{name}.pt" for name in begun)
            raise RunError(
                f"winner.json is missing in {run.folder}, which says how long the final training is; delete {files} "
                "too, and it begins anew"
            )
        spent = found.seconds + sum(trial.seconds for trial in trials)
        epochs = {trial.network: trial.seconds / trial.epochs for trial in trials if trial.epochs}
        trained = member_phases(members, positions=head is not None and head.pays)
        schedule = schedule_after_race(job, schedule, members, epochs, spent, touched="backbone" not in trained)
    if schedule != found.schedule:
        run.write("schedule.json", asdict(schedule))
    return {
        "network": best.network,
        "others": others,
        "recipe": asdict(best.recipe),
        "schedule": asdict(schedule),
        "head": None if head is None else asdict(head),
    }


def member_phases(members: Sequence[str], *, positions: bool) -> list[str]:
    """Names of the phases that the members of an outcome are trained in.

    The untouched backbone is the one to compare with, too, and is trained once.

    Args:
        members: by the names of `Tuned.members`.
        positions: whether their heads keep positions, so that none of them is untouched.
    """
    names = ["retrain", *(f"member-{number}" for number in range(1, len(members)))]
    if "backbone" in members and not positions:
        names[members.index("backbone")] = "backbone"
    return names


def _may_keep(cells: tuple[int, ...], job: Job, architectures: Iterable[Architecture | None]) -> bool:
    """Whether networks are within the limits with heads that keep positions."""
    return all(job.is_within_limits(architecture, cells=cells) for architecture in architectures)


def _others(job: Job, trials: list[Trial], best: Trial, entrants: Mapping[str, Architecture | None]) -> list[str]:
    """Members of an ensemble beside the winner: its rivals in the race that help, the best first; then copies of it."""
    num_others = job.config.ensemble - 1
    if not num_others:
        return []
    raced = {trial.network: trial for trial in trials[: len(entrants)] if trial.state == "complete"}
    recipes = {name: trial.recipe for name, trial in raced.items()} | {best.network: best.recipe}
    losers = sorted(
        (trial for name, trial in raced.items() if name != best.network and trial.score is not None),
        key=lambda trial: trial.score,  # type: ignore[arg-type, return-value]
        reverse=job.metric.higher_is_better,
    )
    helpful = [
        loser.network for loser in losers if race.improves_with(job, loser.network, best.network, entrants, recipes)
    ]
    return [*helpful, *[best.network] * num_others][:num_others]


def _describe_race(winner: str, raced: list[Trial], metric: str) -> str:
    title = {**NETWORKS, "random": "a random architecture"}

    def told(trial: Trial) -> str:
        score = "diverged" if trial.score is None else f"{trial.score:.4g}"
        sure = "" if trial.confidence is None else f" (better with {trial.confidence:.0%} confidence)"
        return f"{title[trial.network]} {score}{sure}"

    return (
        f"race by {metric} on the validation part: {', '.join(told(trial) for trial in raced)}; {title[winner]} goes on"
    )


def _describe_head(head: HeadProbe, cells: tuple[int, ...] | None, metric: str) -> str:
    grid = " x ".join(map(str, head.cells))
    decision = "the mean over all positions stays" if cells is None else f"the head keeps {grid} positions"
    return (
        f"head by {metric} of linear probes on the validation part: mean over all positions {head.mean:.4g}, "
        f"{grid} positions {head.grid:.4g} (better with {head.confidence:.0%} confidence); {decision}"
    )


def _describe_training(schedule: Schedule) -> str:
    sharpness_aware = "" if not schedule.sam_radius else ", sharpness-aware"
    return (
        f"tune {schedule.tune_trials} x {schedule.tune_epochs} epochs at most; "
        f"retrain {schedule.retrain_epochs} epochs{sharpness_aware}"
    )
