"""One run with its data and settings: the networks it needs, and each phase on its own."""

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dashnas.budget import Calibration, EpochCosts, plan, time_steps
from dashnas.config import FitConfig, Recipe, Schedule, Tuner
from dashnas.convert import Conversion, Searchable, mixtures
from dashnas.data.prepare import PreparedData, prepare
from dashnas.errors import ConfigError, DataError
from dashnas.evaluate import refuse_undefined
from dashnas.losses import Loss, class_weights, make_loss
from dashnas.metrics import Metric, get_metric
from dashnas.model import Topology
from dashnas.ops.strategies import STRATEGIES
from dashnas.presets import DEFAULT_STEPS, QUICK_STEPS, Options, resolve, usual_schedule
from dashnas.progress import Reporter, Silent
from dashnas.retrain import retrain, retrain_phase
from dashnas.runs import Run, damage_named
from dashnas.search import make_supernet, plan_layers, search, search_phase
from dashnas.seeding import derive_seed, isolated_rng
from dashnas.space import Architecture, Candidate, per_axis
from dashnas.training import DivergedError, Session, steps_per_epoch
from dashnas.tune import Tuning, grid

WIDTHS = (16, 32, 64)
"""Widths to choose from under a budget, where none was asked for."""


ATTEMPTS = 3
"""Tries of a phase that diverges before the run gives up, each with a tenth of the learning rate before."""


@dataclass(frozen=True)
class Retrained:
    """A network after the final training."""

    network: nn.Module
    recipe: Recipe
    """The one it was trained with in the end."""
    seconds: float


class Job:
    """The phases of one run, in the order in which `fit` calls them; each goes on where it was left."""

    def __init__(
        self, data: PreparedData, options: Options, session: Session, config: FitConfig, started: float
    ) -> None:
        self.started = started
        self.data = data
        self.config = config
        self.session = session
        self.given_architecture = options.architecture
        self.metric: Metric = get_metric(config.metric, data.spec.target_kind)
        refuse_undefined(self.metric, data.validation)
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

    def calibrate(self) -> Calibration:
        """Time a few steps of each network: the supernet, the backbone, and the largest one that may be derived."""
        data, config = self.data, self.config
        train, loss, batch_size = data.train, self.loss, self.batch_size
        phases = {}
        largest = self.given_architecture
        if largest is None:
            supernet, conversion = self.supernet()
            largest = _largest(conversion)
            self._use_plan(supernet, self._plan(supernet, conversion))
            phases["search"] = search_phase(
                supernet, train, loss, config.search, epochs=1, batch_size=batch_size, seed=0
            )
        for name, architecture in (("derived", largest), ("backbone", None)):
            network = self.network(architecture)
            phases[name] = retrain_phase(
                name, network, train, loss, config.recipe, config.retrain, epochs=1, batch_size=batch_size, seed=0
            )
        steps = {name: time_steps(phase, self.session.device) for name, phase in phases.items()}
        batches = steps_per_epoch(len(data.train), self.batch_size)
        costs = EpochCosts(
            search=steps["search"].seconds * batches * config.search.subsample if "search" in steps else 0.0,
            derived=steps["derived"].seconds * batches,
            backbone=steps["backbone"].seconds * batches,
            retrain_share=len(data.development) / len(data.train),
        )
        return Calibration(costs, {name: step.peak_bytes for name, step in steps.items()})

    def schedule_within(self, budget_seconds: float) -> Schedule:
        """The schedule for a budget; where the width is free, the largest one that still gets enough epochs."""
        deadline = self.started + budget_seconds
        steps = QUICK_STEPS if self.config.preset == "quick" else DEFAULT_STEPS
        usual = usual_schedule(steps, len(self.data.train), self.batch_size)
        trials = len(grid()) if self.config.tune.tuner is Tuner.GRID else usual.tune_trials
        best: Schedule | None = None
        for width in (self.config.width,) if self.config.width is not None else WIDTHS:
            self.use_width(width)
            schedule = plan(
                deadline - time.monotonic(),
                self.calibrate().costs,
                trials=trials,
                tune=self.config.tune,
                enough_epochs=usual.retrain_epochs // 2,
            )
            enough = schedule.retrain_epochs >= usual.retrain_epochs // 2
            if best is None or enough:
                best = replace(schedule, width=width)
            if not enough:
                break  # a larger width gets fewer still; timing it would only cost time
        assert best is not None
        return best

    def use_width(self, width: int | None) -> None:
        """Set the width of the backbone, in search and training."""
        if width is not None:
            self.config = replace(self.config, width=width)
            self.topology = replace(self.topology, width=width)

    def search(self, schedule: Schedule, name: str = "search", attempts: int = ATTEMPTS) -> tuple[Architecture, float]:
        """The searched architecture, or the given one; and the seconds it took."""
        if self.given_architecture is not None:
            return self.given_architecture, 0.0
        supernet, conversion = self.supernet()
        if attempts == ATTEMPTS:
            self._tell_conversion(conversion)
        plan = self.session.run.remember("plan.json", lambda: self._plan(supernet, conversion))
        with damage_named(self.session.run.folder / "plan.json"):
            self._use_plan(supernet, plan)
        config = self.config.search
        slower = 10.0 ** (attempts - ATTEMPTS)
        config = replace(
            config,
            learning_rate=config.learning_rate * slower,
            arch_learning_rate=config.arch_learning_rate * slower,
        )
        try:
            return search(
                supernet, self.data.train, self.loss, config,
                epochs=schedule.search_epochs, batch_size=self.batch_size,
                seed=derive_seed(self.config.seed, "search"), session=self.session, name=name,
            )  # fmt: skip
        except DivergedError as error:
            if attempts == 1:
                raise
            self._warn(f"{error}; searching again with a tenth of the learning rates")
            return self.search(schedule, f"{name}-again", attempts - 1)

    def _plan(self, supernet: nn.Module, conversion: Conversion) -> dict[str, str]:
        return plan_layers(
            supernet, conversion, self.config.search, batch_size=self.batch_size, device=self.session.device
        )

    def _use_plan(self, supernet: nn.Module, plan: dict[str, str]) -> None:
        for name, layer in mixtures(supernet).items():
            if plan[name] not in STRATEGIES:
                raise ValueError(f"no strategy {plan[name]!r}")
            layer.strategy = plan[name]

    def tuning(self, architecture: Architecture, schedule: Schedule) -> Tuning:
        """The study over recipes for the derived network."""
        return Tuning(
            lambda recipe: self.network(architecture, recipe.dropout),
            self.data.train, self.data.validation, self.loss, self.metric, self.config.tune, self.config.retrain,
            schedule=schedule, recipe=self.config.recipe, batch_size=self.batch_size,
            seed=derive_seed(self.config.seed, "tune"),
        )  # fmt: skip

    def retrain(
        self,
        name: str,
        architecture: Architecture | None,
        recipe: Recipe,
        schedule: Schedule,
        attempts: int = ATTEMPTS,
    ) -> Retrained:
        """Train a fresh network on all that is not for the test; where that diverges, with a tenth of the rate.

        Raises:
            DivergedError: it diverged at every attempt.
        """
        network = self.network(architecture, recipe.dropout)
        try:
            seconds = retrain(
                name, network, self.data.development, self.loss, recipe, self.config.retrain,
                epochs=schedule.retrain_epochs, batch_size=self.batch_size,
                seed=derive_seed(self.config.seed, "retrain"), session=self.session,
            )  # fmt: skip
        except DivergedError as error:
            if attempts == 1:
                raise
            slower = replace(recipe, learning_rate=recipe.learning_rate / 10)
            self._warn(f"{error}; trying again with {slower.learning_rate:.3g}")
            return self.retrain(f"{name}-again", architecture, slower, schedule, attempts - 1)
        return Retrained(network, recipe, seconds)

    @property
    def batch_size(self) -> int:
        """Samples of a training step."""
        return self.config.batch_size

    @contextmanager
    def _seeded(self, purpose: str) -> Iterator[None]:
        with isolated_rng(torch.device("cpu")):
            torch.manual_seed(derive_seed(self.config.seed, purpose))
            yield

    def _warn(self, text: str) -> None:
        self.session.reporter.message(f"warning: {text}")

    def _tell_conversion(self, conversion: Conversion) -> None:
        total = sum(len(layer.candidates) for layer in conversion.searchable.values())
        dropped = sum(len(layer.dropped) for layer in conversion.searchable.values())
        text = f"searching {len(conversion.searchable)} layers with {total} candidates in all"
        if dropped:
            text += f"; {dropped} more reach beyond their layer's own map and were dropped"
        self.session.reporter.message(text)
        for name, reason in conversion.kept.items():
            self.session.reporter.message(f"{name} stays as it is: {reason}")


@contextmanager
def workspace(source: Any, options: Options, out: Path | str | None, reporter: Reporter | None) -> Iterator[Job]:
    """Read the data, settle the configuration and open the run directory, with the threads that were asked for."""
    reporter = reporter or Silent()
    device = find_device(options.device)
    started, threads_before = time.monotonic(), torch.get_num_threads()
    data = prepare(source, options.data, seed=options.seed)
    for line in data.reading:
        reporter.message(line)
    for line in data.warnings:
        reporter.message(f"warning: {line}")
    if len(data.train) < 2:
        raise DataError(
            "only one sample is left to train on; give more samples, a smaller validation or test part, or "
            "--test-fraction 0"
        )
    config = resolve(options, data.spec, len(data.train), len(data.development))
    settings = config.to_json() | {"data_fingerprint": data.fingerprint}
    if options.architecture is not None:
        settings["architecture"] = options.architecture.to_json()
    with tempfile.TemporaryDirectory() as scratch:
        # Built once before the run directory is, so that settings that cannot work leave nothing behind.
        session = Session(run=None, reporter=reporter, device=device)  # type: ignore[arg-type]
        job = Job(data, options, session, config, started)
        job.network(options.architecture)
        if options.architecture is None:
            job.supernet()
        try:
            torch.set_num_threads(options.threads or threads_before)
            with Run(Path(out or scratch), settings) as run:
                job.session = replace(session, run=run)
                yield job
        finally:
            torch.set_num_threads(threads_before)


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
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device {name!r} is not supported; use cpu or cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r} was asked for, but PyTorch finds no GPU; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"there is no {name!r}; PyTorch finds {torch.cuda.device_count()} GPUs, from cuda:0 on")
    return device
