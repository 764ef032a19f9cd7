"""The main job: from arrays to a searched, tuned, trained and saved network, with the untouched backbone beside it."""

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dashnas.budget import Costs, StepCost, plan, time_steps
from dashnas.config import FitConfig, Recipe, Schedule
from dashnas.convert import Conversion, Searchable
from dashnas.data.prepare import PreparedData, prepare
from dashnas.errors import ConfigError
from dashnas.evaluate import final_scores
from dashnas.interrupt import graceful_interrupt
from dashnas.losses import Loss, class_weights, make_loss
from dashnas.metrics import Metric, get_metric
from dashnas.model import Topology, TrainedModel
from dashnas.presets import Options, resolve
from dashnas.progress import Reporter, Silent
from dashnas.retrain import retrain, retrain_phase
from dashnas.runs import Run
from dashnas.search import make_supernet, search, search_phase
from dashnas.seeding import derive_seed, isolated_rng
from dashnas.space import Architecture, Candidate, per_axis
from dashnas.training import Session
from dashnas.tune import Tuning, trial_from_json, trial_to_json

RESULT_FORMAT = 1
"""Version of `result.json`."""


@dataclass(frozen=True)
class FitResult:
    """What a run came to."""

    model: TrainedModel
    """The searched network, trained."""
    summary: dict[str, Any]
    """The content of `result.json`."""


class Job:
    """The phases of one run, in the order in which `fit` calls them; each goes on where it was left."""

    def __init__(self, data: PreparedData, options: Options, session: Session, config: FitConfig) -> None:
        self.data = data
        self.config = config
        self.session = session
        self.given_architecture = options.architecture
        self.metric: Metric = get_metric(config.metric, data.spec.target_kind)
        self.loss: Loss = make_loss(
            data.spec,
            data.normaliser,
            metric_name=self.metric.name,
            weights=class_weights(config.class_weights, data.train),
        )
        self.topology = Topology(backbone=config.backbone, width=config.width, official=config.official)

    def network(self, architecture: Architecture | None, dropout: float = 0.0) -> nn.Module:
        """A fresh network, always with the same weights; None is the untouched backbone."""
        with self._seeded("weights"):
            return self.topology.build(self.data.spec, architecture, dropout=dropout)

    def supernet(self) -> tuple[nn.Module, Conversion]:
        """A fresh supernet, always with the same weights, and what became of each convolution."""
        topology = replace(self.topology, width=self.config.search_width or self.config.width)
        sample = self.data.train.batch(np.arange(2)).x
        assert self.config.space is not None
        with self._seeded("supernet"):
            backbone = topology.build_for_search(self.data.spec)
            return make_supernet(backbone, self.config.space, sample, self.config.search)

    def calibrate(self) -> dict[str, StepCost]:
        """Time a few steps of each network: the supernet, the backbone, and the largest one that may be derived."""
        supernet, conversion = self.supernet()
        networks = {
            "derived": self.network(self.given_architecture or _largest(conversion)),
            "backbone": self.network(None),
        }
        costs = {}
        if self.given_architecture is None:
            phase = search_phase(
                supernet,
                self.data.train,
                self.loss,
                self.config.search,
                epochs=1,
                batch_size=self.batch_size,
                seed=0,
            )
            costs["search"] = time_steps(phase, self.session.device)
        for name, network in networks.items():
            phase = retrain_phase(
                name, network, self.data.train, self.loss, self.config.recipe, self.config.retrain,
                epochs=1, batch_size=self.batch_size, seed=0,
            )  # fmt: skip
            costs[name] = time_steps(phase, self.session.device)
        return costs

    def schedule(self, spent_seconds: float) -> Schedule:
        """How long each phase runs: as configured, or as the budget allows."""
        if self.config.schedule is not None:
            return self.config.schedule
        assert self.config.budget_seconds is not None
        started = time.monotonic()
        costs = self.epoch_costs(self.calibrate())
        left = self.config.budget_seconds - spent_seconds - (time.monotonic() - started)
        searched = self.given_architecture is None
        return plan(left, costs, trials=8, searched=searched, max_epochs=200)

    def epoch_costs(self, steps: dict[str, StepCost]) -> Costs:
        """Seconds of an epoch of each phase."""
        batches = len(self.data.train) / self.batch_size
        share = self.config.search.subsample
        return Costs(
            search=steps["search"].seconds * batches * share if "search" in steps else 0.0,
            derived=steps["derived"].seconds * batches,
            backbone=steps["backbone"].seconds * batches,
            retrain_share=len(self.data.development) / len(self.data.train),
        )

    def search(self, schedule: Schedule) -> tuple[Architecture, float]:
        """The searched architecture, or the given one; and the seconds it took."""
        if self.given_architecture is not None:
            return self.given_architecture, 0.0
        supernet, conversion = self.supernet()
        self._tell_conversion(conversion)
        return search(
            supernet, self.data.train, self.loss, self.config.search,
            epochs=schedule.search_epochs, batch_size=self.batch_size,
            seed=derive_seed(self.config.seed, "search"), session=self.session,
        )  # fmt: skip

    def tuning(self, architecture: Architecture, schedule: Schedule) -> Tuning:
        """The study over recipes for the derived network."""
        return Tuning(
            lambda recipe: self.network(architecture, recipe.dropout),
            self.data.train, self.data.validation, self.loss, self.metric, self.config.tune, self.config.retrain,
            schedule=schedule, recipe=self.config.recipe, batch_size=self.batch_size,
            seed=derive_seed(self.config.seed, "tune"),
        )  # fmt: skip

    def retrain(self, name: str, network: nn.Module, recipe: Recipe, schedule: Schedule) -> float:
        """Train a network on all that is not for the test; the seconds it took."""
        return retrain(
            name, network, self.data.development, self.loss, recipe, self.config.retrain,
            epochs=schedule.retrain_epochs, batch_size=self.batch_size,
            seed=derive_seed(self.config.seed, "retrain"), session=self.session,
        )  # fmt: skip

    @property
    def batch_size(self) -> int:
        """Samples of a training step."""
        return self.config.batch_size

    @contextmanager
    def _seeded(self, purpose: str) -> Iterator[None]:
        with isolated_rng(torch.device("cpu")):
            torch.manual_seed(derive_seed(self.config.seed, purpose))
            yield

    def _tell_conversion(self, conversion: Conversion) -> None:
        total = sum(len(layer.candidates) for layer in conversion.searchable.values())
        dropped = sum(len(layer.dropped) for layer in conversion.searchable.values())
        text = f"searching {len(conversion.searchable)} layers with {total} candidates in all"
        if dropped:
            text += f"; {dropped} more reach beyond their layer's own map and were dropped"
        self.session.reporter.message(text)


def fit(
    source: Any,
    options: Options | None = None,
    *,
    out: Path | str | None = None,
    reporter: Reporter | None = None,
) -> FitResult:
    """Search, tune, retrain and evaluate; the untouched backbone is trained with the same recipe beside it.

    Args:
        source: a path (`.npz`, folder of `.npy`, `.csv`), a pair or dict of arrays or tensors, or torch Datasets;
            see `dashnas.data.prepare`.
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
    with _workspace(source, options, out, reporter) as job:
        run, reporter = job.session.run, job.session.reporter
        if (run.folder / "result.json").exists():
            reporter.message(f"{run.folder} is finished already")
        else:
            _run_phases(job)
        return FitResult(TrainedModel.load(run.folder), run.remember("result.json", dict))


def search_only(
    source: Any, options: Options | None = None, *, out: Path | str, reporter: Reporter | None = None
) -> Architecture:
    """Search and save `architecture.json`; `fit` with the same options in the same folder goes on from there."""
    with _workspace(source, options or Options(), out, reporter) as job:
        return _searched(job, _schedule(job))[0]


@dataclass(frozen=True)
class DryRun:
    """What a run would do and cost."""

    settings: dict[str, Any]
    """The resolved configuration."""
    schedule: Schedule
    """Epochs and trials of each phase."""
    conversion: Conversion
    """What would become of each convolution."""
    seconds: dict[str, float]
    """Of each phase, by a few timed steps; the derived network is taken to be the largest there is."""
    peak_bytes: dict[str, int]
    """Memory of a training step of each network: what is kept for the backward pass, weights, gradients, momentum."""


def dry_run(source: Any, options: Options | None = None, *, reporter: Reporter | None = None) -> DryRun:
    """Read the data, time a few steps, and tell what `fit` would do; nothing is written.

    Args:
        source: as in `fit`.
        options: as in `fit`.
        reporter: hears how the data were read.
    """
    with _workspace(source, options or Options(), None, reporter) as job:
        steps = job.calibrate()
        costs = job.epoch_costs(steps)
        schedule = job.config.schedule or plan(
            job.config.budget_seconds or 0, costs, trials=8, searched="search" in steps, max_epochs=200
        )
        _, conversion = job.supernet()
        tuned = 1 + 0.4 * (schedule.tune_trials - 1)
        return DryRun(
            settings=job.config.to_json(),
            schedule=schedule,
            conversion=conversion,
            seconds={
                "search": schedule.search_epochs * costs.search,
                "tune": schedule.tune_epochs * (tuned * costs.derived + costs.backbone),
                "retrain": schedule.retrain_epochs * costs.retrain_share * costs.derived,
                "backbone": schedule.retrain_epochs * costs.retrain_share * costs.backbone,
            },
            peak_bytes={name: cost.peak_bytes for name, cost in steps.items()},
        )


@contextmanager
def _workspace(source: Any, options: Options, out: Path | str | None, reporter: Reporter | None) -> Iterator[Job]:
    """Read the data, settle the configuration and open the run directory, with the threads that were asked for."""
    reporter = reporter or Silent()
    device = find_device(options.device)
    threads_before = torch.get_num_threads()
    data = prepare(source, options.data, seed=options.seed)
    for line in data.reading:
        reporter.message(line)
    for line in data.warnings:
        reporter.message(f"warning: {line}")
    config = resolve(options, data.spec, len(data.train))
    settings = config.to_json() | {"data_fingerprint": data.fingerprint}
    if options.architecture is not None:
        settings["architecture"] = options.architecture.to_json()
    with tempfile.TemporaryDirectory() as scratch:
        # Built once before the run directory is, so that settings that cannot work leave nothing behind.
        session = Session(run=None, reporter=reporter, device=device)  # type: ignore[arg-type]
        job = Job(data, options, session, config)
        job.network(options.architecture)
        if options.architecture is None:
            job.supernet()
        try:
            torch.set_num_threads(options.threads or threads_before)
            with (
                Run(Path(out or scratch), settings) as run,
                graceful_interrupt(reporter.message) as stop_requested,
            ):
                job.session = replace(session, run=run, stop_requested=stop_requested)
                yield job
        finally:
            torch.set_num_threads(threads_before)


def _run_phases(job: Job) -> None:
    started = time.monotonic()
    run, metric = job.session.run, job.metric
    schedule = _schedule(job)
    architecture, search_seconds = _searched(job, schedule)

    tuning = job.tuning(architecture, schedule)
    trials = [trial_from_json(t) for t in run.read("tune.json", default=[])]
    trials = tuning.run(trials, job.session, lambda ts: run.write("tune.json", [trial_to_json(t) for t in ts]))
    best = tuning.best(trials)
    recipe = best.recipe
    job.session.reporter.message(f"recipe: {_describe_recipe(recipe)}")
    backbone_validation, backbone_tune_seconds = tuning.score_network(
        "tune-backbone", job.network(None, recipe.dropout), recipe, job.session
    )

    networks = {
        "searched": job.network(architecture, recipe.dropout),
        "backbone": job.network(None, recipe.dropout),
    }
    seconds = {
        "search": search_seconds,
        "tune": sum(trial.seconds for trial in trials) + backbone_tune_seconds,
        "retrain": job.retrain("retrain", networks["searched"], recipe, schedule),
        "backbone": job.retrain("backbone", networks["backbone"], recipe, schedule),
    }
    scores: dict[str, dict[str, Any]] = {
        "searched": {"validation": best.score},
        "backbone": {"validation": backbone_validation},
    }
    if job.data.test is not None:
        tested = final_scores(networks, job.data.test, metric, batch_size=job.batch_size, device=job.session.device)
        for name, score in tested.items():
            scores[name]["test"] = score.to_json()

    model = TrainedModel(
        network=networks["searched"], topology=job.topology, architecture=architecture,
        spec=job.data.spec, normaliser=job.data.normaliser,
    )  # fmt: skip
    model.save(run.folder)
    run.write(
        "result.json",
        {
            "format": RESULT_FORMAT,
            "task_kind": job.data.spec.target_kind.value,
            "metric": {"name": metric.name, "higher_is_better": metric.higher_is_better},
            "protocol": "clean",
            "scores": scores["searched"],
            "backbone_scores": scores["backbone"],
            "architecture": architecture.to_json(),
            "backbone": {
                "name": job.config.backbone,
                "width": job.config.width,
                "official": job.config.official,
            },
            "recipe": asdict(recipe),
            "schedule": asdict(schedule),
            "parameters": _num_parameters(networks["searched"]),
            "backbone_parameters": _num_parameters(networks["backbone"]),
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
            "device": str(job.session.device),
            "threads": torch.get_num_threads(),
            "versions": {name: version(name) for name in ("dashnas", "torch", "numpy", "scikit-learn", "optuna")},
        },
    )


def _schedule(job: Job) -> Schedule:
    started = time.monotonic()
    content = job.session.run.remember("schedule.json", lambda: asdict(job.schedule(time.monotonic() - started)))
    schedule = Schedule(**content)
    job.session.reporter.message(
        f"schedule: search {schedule.search_epochs} epochs; tune {schedule.tune_trials} x {schedule.tune_epochs} "
        f"epochs at most; retrain {schedule.retrain_epochs} epochs"
    )
    return schedule


def _searched(job: Job, schedule: Schedule) -> tuple[Architecture, float]:
    run = job.session.run
    if not (run.folder / "architecture.json").exists():
        architecture, seconds = job.search(schedule)
        run.write("search.json", {"seconds": seconds})
        run.write("architecture.json", architecture.to_json())
    chosen = Architecture.load(run.folder / "architecture.json")
    return chosen, run.read("search.json", default={"seconds": 0.0})["seconds"]


def _largest(conversion: Conversion) -> Architecture:
    """The architecture that costs most to train."""

    def largest(layer: Searchable) -> Candidate:
        spatial_dims = len(layer.map_shape)

        def cost(candidate: Candidate) -> tuple[int, int]:
            taps = math.prod(per_axis(candidate.kernel_size, spatial_dims))
            return taps, sum(candidate.half_reach(spatial_dims))

        return max(layer.candidates, key=cost)

    return Architecture({name: largest(layer) for name, layer in conversion.searchable.items()})


def find_device(name: str) -> torch.device:
    """The PyTorch device of a name.

    Raises:
        ConfigError: there is no such device.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"unknown device {name!r}; try cpu, cuda or cuda:0") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda was asked for, but PyTorch finds no GPU; use --device cpu")
    return device


def _num_parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def _describe_recipe(recipe: Recipe) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in asdict(recipe).items())
