"""The race of a run: which networks are in it, under which recipes, and what its end tells of them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from dashnas.budget import RESERVE, random_races
from dashnas.config import Schedule, Tuner
from dashnas.convert import mixtures
from dashnas.ensemble import Ensemble
from dashnas.evaluate import confidence_of, hoped_for, predict_part, validate
from dashnas.job import Job
from dashnas.metrics import is_evidence
from dashnas.microbatch import shared_micro_batch
from dashnas.probe import HeadProbe, probe_head
from dashnas.recipe import Recipe
from dashnas.runs import damage_named
from dashnas.seeding import derive_seed, generator
from dashnas.space import Architecture
from dashnas.tune import Trial, Tuning, load_tuned_weights, micro_batch_name


def entrants(job: Job, searched: Architecture | None, schedule: Schedule) -> dict[str, Architecture | None]:
    """The networks that may be trained in the end, by name; just one where there is nothing to choose."""
    if searched is None:
        return {"backbone": None}
    if not job.config.tune.race:
        return {"derived": searched}
    # The untouched one first: a larger one needs evidence to take its place.
    racing: dict[str, Architecture | None] = {"backbone": None}
    if not job.is_untouched(searched):
        racing["derived"] = searched
    if random_races(schedule.tune_trials):
        drawn = _drawn(job)
        if drawn is not None and drawn != searched and not job.is_untouched(drawn):
            racing["random"] = drawn
    return racing


def _drawn(job: Job) -> Architecture | None:
    """What a supernet of random architecture parameters says; None where that is not within the limits of the outcome.

    It is decided once, since it may depend on measured times.
    """

    def draw() -> Any:
        with torch.device("meta"):  # only what could be chosen is asked for
            supernet, conversion = job.supernet()
        rng = generator(job.config.seed, "random architecture")
        for layer in mixtures(supernet).values():
            # With Gumbel noise the likeliest is drawn uniformly, and gaps are those of random log-probabilities.
            layer.arch_parameters = nn.Parameter(-torch.empty(len(layer.candidates)).exponential_(generator=rng).log())
        drawn = job.likeliest_within_limits(supernet, conversion)
        return drawn.to_json() if job.is_within_limits(drawn) else None

    content = job.session.run.remember("random.json", draw)
    with damage_named(job.session.run.folder / "random.json"):
        return None if content is None else Architecture.from_json(content)


def tuning(job: Job, racing: Mapping[str, Architecture | None], schedule: Schedule) -> Tuning:
    """The study over recipes and over the networks that race."""
    return Tuning(
        lambda name, recipe: job.network(racing[name], recipe.dropout),
        tuple(racing), job.data.train, job.data.validation, job.loss, job.metric,
        job.config.tune, job.config.retrain,
        schedule=schedule, recipe=job.config.recipe, batch_size=job.batch_size,
        seed=derive_seed(job.config.seed, "tune"), has_time=lambda trials: _has_time_for_recipe(job, trials),
    )  # fmt: skip


def _has_time_for_recipe(job: Job, trials: list[Trial]) -> bool:
    """Whether the final training will be no shorter than a trial if yet another recipe is tried.

    By what trials and search have taken, not by the clock: a run that was stopped has to decide as before. A grid
    is never cut short.
    """
    if job.config.budget_seconds is None or job.config.tune.tuner is Tuner.GRID:
        return True
    with damage_named(job.session.run.folder / "search.json"):
        searched = float(job.session.run.read("search.json", default={"seconds": 0.0})["seconds"])
    spent = searched + sum(trial.seconds for trial in trials)
    one = max(trial.seconds for trial in trials)
    networks = job.config.ensemble + job.beside
    final = len(job.data.development) / len(job.data.train) * networks * one / job.config.tune.subsample
    return spent + one + final <= (1 - RESERVE) * job.config.budget_seconds


def probe(job: Job, network: str, architecture: Architecture | None, recipe: Recipe) -> HeadProbe | None:
    """Whether a head that keeps positions pays, by the features that a network has learned in the race."""
    return probe_head(
        _raced(job, network, architecture, recipe), job.data.train, job.data.validation, job.metric,
        batch_size=_at_once(job, network), device=job.session.device,
        seed=derive_seed(job.config.seed, "probe"),
    )  # fmt: skip


def can_be_beaten(job: Job, network: str, architecture: Architecture | None, recipe: Recipe) -> bool:
    """Whether there could be evidence that another network is better than one that raced.

    It is asked of one that is as good as may be hoped (see `dashnas.evaluate.hoped_for`), whatever its size: where
    mistakes are so few, a better score alone tells nothing.
    """
    validation = job.data.validation
    raced = _raced(job, network, architecture, recipe)
    predictions = predict_part(raced, validation, _at_once(job, network), job.session.device)
    return is_evidence(
        confidence_of(job.metric, hoped_for(job.metric, predictions, validation), predictions, validation)
    )


def improves_with(
    job: Job, other: str, winner: str, racing: Mapping[str, Architecture | None], recipes: Mapping[str, Recipe]
) -> bool:
    """Whether two networks together, as the race left them, are better on the validation part than the winner.

    Args:
        job: the run.
        other: name of a network that lost the race.
        winner: of the one that won it.
        racing: architectures by name.
        recipes: of their best trials, by name.
    """
    names = (winner, other)
    networks = [_raced(job, name, racing[name], recipes[name]) for name in names]
    at_once = min(_at_once(job, name) for name in names)
    alone, together = (
        validate(network, job.data.validation, job.metric, batch_size=at_once, device=job.session.device)
        for network in (networks[0], Ensemble(networks, job.data.spec.target_kind))
    )
    return job.metric.is_better(together, alone)


def _raced(job: Job, network: str, architecture: Architecture | None, recipe: Recipe) -> nn.Module:
    """A network as the race left it."""
    trained = job.network(architecture, recipe.dropout)
    load_tuned_weights(job.session.run, network, trained)
    return trained


def _at_once(job: Job, network: str) -> int:
    """Most samples that are computed at once of a network that raced."""
    return shared_micro_batch(job.session.run, micro_batch_name(network), job.batch_size)
