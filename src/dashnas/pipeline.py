"""The main job: from arrays to a searched, tuned, trained and saved network, with the untouched backbone beside it."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dashnas import race
from dashnas.budget import FEWEST_EPOCHS, RESERVE, SAM_STEPS, SEARCH_SHARE, seconds_of_tuning
from dashnas.calibration import calibrate
from dashnas.config import Schedule
from dashnas.convert import Conversion
from dashnas.errors import ConfigError
from dashnas.evaluate import final_scores
from dashnas.inference_cost import inference_cost, num_parameters
from dashnas.job import Job
from dashnas.limits import Cost, Limits
from dashnas.memory import Need
from dashnas.metrics import Score, UndefinedScoreError
from dashnas.microbatch import MICRO_BATCHES
from dashnas.model import TrainedModel, load_result
from dashnas.outcome import train_outcome
from dashnas.phases import NO_CHOICE, UNBEATABLE, Tuned, decide_schedule, searched, settled_schedule, tune
from dashnas.presets import Options
from dashnas.progress import Reporter
from dashnas.runs import damage_named
from dashnas.space import Architecture
from dashnas.workspace import workspace

RESULT_FORMAT = 1
"""Version of `result.json`."""


@dataclass(frozen=True)
class FitResult:
    """What a run came to."""

    model: TrainedModel
    """What won the race, or was searched without one, trained."""
    summary: dict[str, Any]
    """The content of `result.json`."""


def fit(
    source: Any,
    options: Options | None = None,
    *,
    out: Path | str | None = None,
    reporter: Reporter | None = None,
) -> FitResult:
    """Race, search, tune, retrain and evaluate; the untouched backbone is trained with the same recipe beside it.

    Args:
        source: a path (`.npz`, folder of `.npy`, `.csv`, folder of images), a pair or dict of arrays or tensors, torch
            Datasets, or a task of one's own; see `dashnas.data.prepare.prepare`.
        options: what is asked for; the defaults search with a schedule scaled to the data.
        out: the run directory. One that was begun with the same settings and data goes on where it was left, and a
            finished one just returns its result. None keeps nothing.
        reporter: hears of the progress; None tells nothing.

    Returns:
        The trained model and the content of `result.json`.

    Raises:
        UserError: data, options or run directory cannot be used; before any training.
        Interrupted: Ctrl-C; the state is saved, and the same call goes on.
    """
    options = options or Options()
    with workspace(source, options, out, reporter) as job:
        run, reporter = job.session.run, job.session.reporter
        if (run.folder / "result.json").exists():
            reporter.message(f"{run.folder} is finished already")
        else:
            _run_phases(job)
        return FitResult(TrainedModel.load(run.folder), load_result(run.folder))


def search_only(
    source: Any, options: Options | None = None, *, out: Path | str, reporter: Reporter | None = None
) -> Architecture:
    """Search and save `architecture.json`; `fit` with the same options in the same folder goes on from there."""
    options = options or Options()
    with workspace(source, options, out, reporter) as job:
        found = searched(job, settled_schedule(job), always=True)
        architecture = found.architecture
        if found.no_search == UNBEATABLE:
            raise ConfigError(
                f"the run in {job.session.run.folder} left its search out, since no network could be hoped to be "
                "better with enough confidence; give another --out to search all the same"
            )
        if found.no_search == NO_CHOICE:
            raise ConfigError(
                "each layer has nothing but its own kernel to choose from; give other --kernel-sizes or --dilations"
            )
        if found.no_search == "schedule":
            raise ConfigError("the schedule that was given has no search; give one with at least 1 epoch of it")
        if architecture is None:
            share = SEARCH_SHARE * (1 - RESERVE)
            raise ConfigError(
                f"{options.budget_seconds:g} s are too few to search: an epoch of the search would take more than "
                f"{share:.0%} of them, or leave fewer than {FEWEST_EPOCHS} epochs for the training; give --no-race to "
                "search all the same, or a larger --budget"
            )
        return architecture


@dataclass(frozen=True)
class DryRun:
    """What a run would do and cost."""

    settings: dict[str, Any]
    """The resolved configuration."""
    schedule: Schedule
    """Epochs and trials of each phase."""
    conversion: Conversion
    """What would become of each convolution."""
    architecture_given: bool
    """Whether the search is left out for that."""
    seconds: dict[str, float]
    """Of each phase, by a few timed steps; of the largest network that may be derived."""
    needs: dict[str, Need]
    """Memory of a training step of each network."""


def dry_run(source: Any, options: Options | None = None, *, reporter: Reporter | None = None) -> DryRun:
    """Read the data, time a few steps, and tell what `fit` would do; nothing is written.

    Args:
        source: as in `fit`.
        options: as in `fit`.
        reporter: hears how the data were read.
    """
    with workspace(source, options or Options(), None, reporter) as job:
        schedule = decide_schedule(job)
        job.adopt(schedule)
        derived = schedule.search_epochs > 0 or job.given_architecture is not None
        if not derived:
            job.leave_out_search()
        calibration = calibrate(job, measure=True)
        costs = calibration.costs
        _, conversion = job.supernet()
        epoch_share, others = schedule.retrain_epochs * costs.retrain_share, costs.members - 1
        if schedule.sam_radius and not job.config.recipe.sam_radius:  # steps were timed with the recipe alone
            epoch_share *= SAM_STEPS
        return DryRun(
            settings=job.config.to_json(),
            schedule=schedule,
            conversion=conversion,
            architecture_given=job.given_architecture is not None,
            seconds={
                "search": schedule.search_epochs * costs.search,
                "tune": seconds_of_tuning(schedule, costs, job.config.tune),
                "retrain": epoch_share * (costs.members * costs.derived if derived else others * costs.backbone),
                "backbone": epoch_share * costs.backbone,
            },
            needs=calibration.needs,
        )


def _run_phases(job: Job) -> None:
    started = time.monotonic()
    run, metric = job.session.run, job.metric
    found = searched(job, settled_schedule(job))
    tuned = tune(job, found)
    untouched, seconds_alike = _untouched_score(job, tuned)
    outcome = train_outcome(job, tuned)
    backbone = outcome.trained.get("backbone")
    if backbone is None:
        backbone = job.retrain("backbone", None, tuned.recipe, tuned.schedule, tuned=tuned.weights_of("backbone"))
    outcome.model.save(run.folder)
    networks = {"outcome": outcome.model.network, "backbone": backbone.network}
    with damage_named(run.folder / MICRO_BATCHES):
        micro_batches = {name: int(samples) for name, samples in run.read(MICRO_BATCHES, default={}).items()}
    scores: dict[str, dict[str, Any]] = {
        "outcome": {"validation": tuned.best_score} if tuned.trials else {},
        "backbone": untouched,
    }
    for name, score in _test_scores(job, networks, micro_batches).items():
        scores[name]["test"] = score.to_json()
    costs = {"backbone": _inference_cost(job, networks["backbone"])}
    is_same = networks["outcome"] is networks["backbone"]
    costs["outcome"] = costs["backbone"] if is_same else _inference_cost(job, networks["outcome"])
    _warn_of_excess(job, Cost(num_parameters(networks["outcome"]), _seconds(costs["outcome"])))
    seconds = {
        "search": found.seconds,
        "tune": tuned.seconds + seconds_alike,
        "retrain": sum((one.seconds for name, one in outcome.trained.items() if name != "backbone"), 0.0),
        "backbone": backbone.seconds,
    }
    run.write(
        "result.json",
        {
            "format": RESULT_FORMAT,
            "task_kind": job.data.spec.target_kind.value,
            "metric": {"name": metric.name, "higher_is_better": metric.higher_is_better},
            "protocol": job.config.protocol,
            "scores": scores["outcome"],
            "backbone_scores": scores["backbone"],
            "architecture": None if tuned.architecture is None else tuned.architecture.to_json(),
            "no_search": found.no_search,
            "network": tuned.network,
            "members": list(tuned.members),
            "race": tuned.scores if tuned.is_race else None,
            "race_confidence": tuned.confidence if tuned.is_race else None,
            "head": None if tuned.head is None else asdict(tuned.head) | {"kept": tuned.cells is not None},
            "backbone": {
                "name": job.config.backbone,
                "width": outcome.model.topology.width,
                "untouched_width": job.topology(None).width,
                "official": job.config.official,
            },
            "recipe": asdict(outcome.first.recipe),
            "backbone_recipe": asdict(backbone.recipe),
            "schedule": asdict(tuned.schedule),
            "micro_batch": micro_batches,
            "limits": {
                "parameters": job.config.max_parameters,
                "latency_seconds": job.config.max_latency_seconds,
            },
            "parameters": num_parameters(networks["outcome"]),
            "backbone_parameters": num_parameters(networks["backbone"]),
            "inference": costs["outcome"],
            "backbone_inference": costs["backbone"],
            "samples": {
                "train": len(job.data.train),
                "validation": len(job.data.validation),
                "test": 0 if job.data.test is None else len(job.data.test),
            },
            "seconds": {name: round(value, 3) for name, value in seconds.items()}
            | {"this_process": round(time.monotonic() - started, 3)},
            "seed": job.config.seed,
            "preset": job.config.preset,
            "separable": job.config.search.separable,
            "precision": {
                "search": job.config.search.precision.value,
                "training": job.config.retrain.precision.value,
            },
            "device": str(job.session.device),
            "threads": torch.get_num_threads(),
            "versions": {name: version(name) for name in ("dashnas", "torch", "numpy", "scikit-learn", "optuna")},
        },
    )


def _untouched_score(job: Job, tuned: Tuned) -> tuple[dict[str, Any], float]:
    """The untouched backbone's score under "validation", if there is one, and the seconds of a training for it alone.

    Where it was in no race, it is trained as the outcome was, unless it is the outcome. None where that diverged.
    """
    if "backbone" in tuned.scores:
        return {"validation": tuned.best_score if tuned.network == "backbone" else tuned.scores["backbone"]}, 0.0
    if tuned.is_untouched:
        return {}, 0.0
    alike = race.tuning(job, {"derived": tuned.architecture}, tuned.schedule)
    network = job.network(None, tuned.recipe.dropout)
    score, seconds = alike.score_network("tune-backbone", network, tuned.recipe, job.session, network_name="backbone")
    return {"validation": score}, seconds


def _test_scores(job: Job, networks: dict[str, nn.Module], micro_batches: Mapping[str, int]) -> dict[str, Score]:
    """By network; none where there is no test part, or the metric has no value on it."""
    if job.data.test is None:
        return {}
    at_once = min(samples for name, samples in micro_batches.items() if name != "search")
    try:
        return final_scores(
            networks, job.data.test, job.metric, batch_size=at_once, device=job.session.device, also=job.also
        )
    except UndefinedScoreError as error:
        job.session.reporter.message(f"warning: no test score: {error}")
        return {}


def _warn_of_excess(job: Job, cost: Cost) -> None:
    """Tell where the outcome costs more than was allowed, as by times that vary."""
    limits = Limits(job.config.max_parameters, job.config.max_latency_seconds)
    if limits.exceeded(cost):
        job.session.reporter.message(f"warning: the outcome has {cost.describe()}, more than was allowed")


def _seconds(cost: Mapping[str, float] | None) -> float | None:
    return None if cost is None else cost["milliseconds"] / 1000


def _inference_cost(job: Job, network: nn.Module) -> dict[str, float] | None:
    """What an answer costs; None where a network of one's own cannot be asked for a single one."""
    try:
        return inference_cost(network, job.data.spec, job.session.device)._asdict()
    except Exception as error:  # whatever a network of one's own raises; it is trained by now
        job.session.reporter.message(f"warning: what an answer costs could not be measured: {error}")
        return None
