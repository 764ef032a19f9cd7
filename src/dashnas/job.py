"""One run with its data and settings: the networks it needs, and each phase on its own."""

import math
import tempfile
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dashnas.backbones import keep_positions
from dashnas.budget import (
    RESERVE,
    WIDER_EPOCHS,
    EpochCosts,
    Planner,
    most_epochs,
    plan,
    random_races,
    rival_epochs,
    time_steps,
    untouched_alone,
    with_cheapest_search,
)
from dashnas.config import FitConfig, Schedule, Tuner
from dashnas.convert import Conversion, Searchable, discretise, mixtures, random_architecture
from dashnas.data.prepare import PreparedData, prepare
from dashnas.ensemble import Ensemble
from dashnas.errors import ConfigError, DataError, NotEnoughMemoryError, is_out_of_memory
from dashnas.evaluate import confidence_of, predict_part, refuse_undefined, right_answers, validate
from dashnas.heap import keep_freed_memory
from dashnas.limits import Cost, Limits, choices_of, likeliest_within
from dashnas.losses import Loss, class_weights, make_loss
from dashnas.memory import count_step, describe_bytes, fitting_micro_batch, free_bytes, measure_step
from dashnas.metrics import Metric, is_evidence
from dashnas.microbatch import FEWEST, MICRO_BATCHES, shared_micro_batch
from dashnas.model import Topology
from dashnas.ops.strategies import STRATEGIES
from dashnas.precision import Precision
from dashnas.presets import DEFAULT_STEPS, QUICK_STEPS, Options, resolve, usual_schedule
from dashnas.probe import HeadProbe, probe_head
from dashnas.progress import Reporter, Silent
from dashnas.protocol_metrics import find_metric
from dashnas.recipe import Optimiser, Recipe
from dashnas.retrain import retrain, retrain_phase
from dashnas.runs import Run, damage_named
from dashnas.search import make_supernet, plan_layers, search, search_phase
from dashnas.seeding import derive_seed, isolated_rng
from dashnas.space import Architecture, Candidate, per_axis
from dashnas.training import DivergedError, Phase, Session, steps_per_epoch
from dashnas.tune import Trial, Tuning, grid, load_tuned_weights, micro_batch_name

WIDTHS = (16, 32, 64)
"""Widths to choose from under a budget, where none was asked for."""


FEWEST_CHANNELS = 4
"""Smallest width that limits of the outcome may lead to, where none was asked for."""


FASTER = 0.95
"""Share of a step's time in float32 that it may take at most in bfloat16, for its fewer digits to be worth it."""


MOST_DRAWS = 20
"""Of random architectures, to find one within the limits of the outcome."""


HELPS = "a smaller --width, fewer or smaller --kernel-sizes or shorter inputs need less"
"""Where not even the smallest micro-batch fits."""


IN_TRAINING = {Optimiser.SGD: 3, Optimiser.ADAMW: 4}
"""Numbers in memory for each weight: itself, its gradient and its one or two moments."""


SOME_DROPOUT = 0.05
"""Of the networks that are weighed: the masks take memory, whatever the probability is."""


ATTEMPTS = 3
"""Tries of a phase that diverges before the run gives up, each with a tenth of the learning rate before."""


NETWORKS = {"search": "the supernet", "derived": "the derived network", "backbone": "the untouched backbone"}
"""What the networks of a run are called, by the name of their micro-batch."""


@dataclass(frozen=True)
class Need:
    """The memory of a network in training."""

    peak_bytes: int
    """Of a training step on a whole batch: about, or an upper bound where that was not measured."""
    limit: str
    """What it may take, in words."""
    micro_batch: int
    """Most samples that are computed at once, so that a step fits; the batch size where all are."""


@dataclass(frozen=True)
class Calibration:
    """What a few steps of each network have shown."""

    costs: EpochCosts
    needs: dict[str, Need]
    """By network."""


@dataclass(frozen=True)
class Retrained:
    """A network after the final training."""

    network: nn.Module
    recipe: Recipe
    """The one it was trained with in the end."""
    seconds: float


class Job:
    """The phases of one run, in the order in which `fit` calls them; each goes on where it was left.

    Args:
        data: what is learned from.
        options: what the user asked for.
        session: where it runs.
        config: the settings that the options came to.
        started: `time.monotonic()` from when on a budget counts.
        networks: the ones of `NETWORKS` that the run will train; only these are weighed and timed. With "derived" goes
            "search", unless the options give an architecture.
        beside: whether the untouched backbone is trained to the end beside the outcome, for comparison.
    """

    def __init__(
        self,
        data: PreparedData,
        options: Options,
        session: Session,
        config: FitConfig,
        started: float,
        networks: Collection[str],
        *,
        beside: bool = True,
    ) -> None:
        self.started = started
        self.beside = beside
        self.networks = networks if options.architecture is None else set(networks) - {"search"}
        self.data = data
        self.config = config
        self.session = session
        self.given_architecture = options.architecture
        self.metric: Metric = find_metric(config.metric, data.spec.target_kind)
        self.also = tuple(find_metric(name, data.spec.target_kind) for name in data.also if name != self.metric.name)
        refuse_undefined(self.metric, data.validation)
        self.loss: Loss = make_loss(
            data.spec,
            data.normaliser,
            metric_name=self.metric.name,
            weights=class_weights(config.class_weights, data.train),
            scale=config.loss_scale,
        )
        self._topology = Topology(backbone=config.backbone, width=config.width, official=config.official)
        self._backbone_width: int | None = None
        """Of the untouched backbone, where it is wider than the other networks."""
        self.limits = Limits(config.max_parameters, config.max_latency_seconds).shared(config.ensemble)
        planned = None if config.schedule is None else config.schedule.width
        self._may_narrow = options.width is None and planned is None
        self._may_widen = options.precision is None and config.schedule is None
        self._costs: dict[tuple[Hashable, Topology], Cost] = {}
        """What networks cost, each timed once."""
        self._needs: dict[tuple[int | None, int | None], dict[str, Need]] = {}
        """Memory of each network, by width of the searched network and of a wider untouched one."""

    def network(self, architecture: Architecture | None, dropout: float = 0.0, copy: int = 0) -> nn.Module:
        """A fresh network, always with the same weights, other ones for each copy; None is the untouched backbone."""
        with self._seeded("weights", *_of_copy(copy)):
            return self.topology(architecture).build(self.data.spec, architecture, dropout=dropout)

    def topology(self, architecture: Architecture | None) -> Topology:
        """What a network has of the backbone; None is the untouched one, which may be wider."""
        if architecture is None and self._backbone_width is not None:
            return replace(self._topology, width=self._backbone_width)
        return self._topology

    def supernet(self) -> tuple[nn.Module, Conversion]:
        """A fresh supernet, always with the same weights, and what became of each convolution."""
        topology = replace(self._topology, width=self.config.search_width or self.config.width)
        sample = torch.zeros(2, self.data.spec.channels, *self.data.spec.spatial_shape)
        assert self.config.space is not None
        with self._seeded("supernet"):
            backbone = topology.build_for_search(self.data.spec)
            return make_supernet(backbone, self.config.space, sample, self.config.search)

    def calibrate(self, *, measure: bool = False) -> Calibration:
        """Weigh and time a few steps of each network: the supernet, the backbone, and the largest that may be derived.

        Args:
            measure: whether to measure the memory also where an upper bound fits.

        Raises:
            NotEnoughMemoryError: a step of one of them does not fit, however few samples are computed at once.
        """
        phases = self._sample_phases()
        needs = self._needs[self.config.width, self._backbone_width] = self._weigh_all(phases, measure)
        return Calibration(self._epoch_costs(phases, {name: need.micro_batch for name, need in needs.items()}), needs)

    def _epoch_costs(self, phases: Mapping[str, Phase], micro_batches: Mapping[str, int]) -> EpochCosts:
        if not self.config.recipe.dropout:  # it was there for the memory of recipes that have some
            for module in (module for phase in phases.values() for module in phase.model.modules()):
                if getattr(module, "p", None) == SOME_DROPOUT:
                    module.p = 0.0  # type: ignore[assignment]
        seconds = {
            name: time_steps(phase, self.session.device, micro_batch=micro_batches[name])
            for name, phase in phases.items()
        }
        batches = steps_per_epoch(len(self.data.train), self.batch_size)
        return EpochCosts(
            search=seconds.get("search", 0.0) * batches * self.config.search.subsample,
            derived=seconds.get("derived", 0.0) * batches,
            backbone=seconds.get("backbone", 0.0) * batches,
            retrain_share=len(self.data.development) / len(self.data.train),
            beside=seconds.get("backbone", 0.0) * batches if self.beside else 0.0,
            members=self.config.ensemble,
            wider_backbone=self._backbone_width is not None,
        )

    def settle_micro_batches(self) -> None:
        """Decide how many samples each network computes at once in this run, and tell where that is not a whole batch.

        Raises:
            NotEnoughMemoryError: a step of one of them does not fit, however few samples are computed at once.
        """
        self.session.run.remember(MICRO_BATCHES, self._micro_batches)

    def _micro_batches(self) -> dict[str, int]:
        needs = self._needs.get((self.config.width, self._backbone_width))
        if needs is None:
            needs = self._weigh_all(self._sample_phases(), measure=False)
        needs = {name: need for name, need in needs.items() if name in self.networks}
        for name, need in needs.items():
            if need.micro_batch < self.batch_size:
                self._warn(
                    f"a training step of {NETWORKS[name]} on a whole batch would take about "
                    f"{describe_bytes(need.peak_bytes)}, of {need.limit}; {need.micro_batch} samples are computed at "
                    "once, and their gradients added up"
                )
        return {name: need.micro_batch for name, need in needs.items()}

    def _limit(self, free: int) -> tuple[int, str]:
        """What a training step may take, in bytes and in words."""
        least = min(free, self.config.memory_bytes or free)
        return least, f"{describe_bytes(least)} that are {'free' if least == free else 'allowed'}"

    def _weigh_all(self, phases: Mapping[str, Phase], measure: bool) -> dict[str, Need]:
        # Asked once: what weighing one network took, the next one will use again.
        free = free_bytes(self.session.device)
        return {name: self._weigh(phase, free, measure) for name, phase in phases.items()}

    def _weigh(self, phase: Phase, free: int, measure: bool) -> Need:
        device = self.session.device
        least, limit = self._limit(free)
        largest = min(self.batch_size, len(self.data.development))
        try:
            memory = count_step(phase, device)
            micro_batch = fitting_micro_batch(memory, largest, least)
            if measure or micro_batch != largest:
                memory = measure_step(memory, phase, device, micro_batch or FEWEST)
                micro_batch = fitting_micro_batch(memory, largest, least)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise NotEnoughMemoryError(
                f"memory ran out in a training step of {NETWORKS[phase.network_name]} on a few samples, of {limit}; "
                f"{HELPS}"
            ) from error
        if micro_batch is None:
            raise NotEnoughMemoryError(
                f"a training step of {NETWORKS[phase.network_name]} would take about "
                f"{describe_bytes(memory.peak_bytes(FEWEST))} even with {FEWEST} samples at once, of {limit}; {HELPS}"
            )
        micro_batch = self.batch_size if micro_batch == largest else micro_batch
        return Need(memory.peak_bytes(largest), limit, micro_batch)

    def _refuse_too_large(self) -> None:
        """Raise where the weights alone do not fit; the networks are built without them to find that out."""
        networks, largest = {}, self.given_architecture
        with torch.device("meta"):
            if "search" in self.networks:
                networks["search"], conversion = self.supernet()
                largest = _largest(conversion)
            for name, architecture in (("derived", largest), ("backbone", None)):
                if name in self.networks:
                    networks[name] = self.network(architecture)
        least, limit = self._limit(free_bytes(self.session.device))
        for name, network in networks.items():
            optimiser = Optimiser.SGD if name == "search" else self.config.recipe.optimiser
            size = IN_TRAINING[optimiser] * sum(parameter.nbytes for parameter in network.parameters())
            if size > least:
                raise NotEnoughMemoryError(
                    f"the weights of {NETWORKS[name]}, their gradients and momentum would take "
                    f"{describe_bytes(size)}, of {limit}; {HELPS}"
                )

    def _sample_phases(self) -> dict[str, Phase]:
        """A phase of each network, to take a few steps of; the derived one is the largest there may be."""
        self._refuse_too_large()
        train, loss, config = self.data.train, self.loss, self.config
        phases = {}
        largest = self.given_architecture
        if "search" in self.networks:
            supernet, conversion = self.supernet()
            largest = _largest(conversion)
            saved = self.session.run.read("plan.json", default=None)
            self._use_plan(supernet, self._plan(supernet, conversion) if saved is None else saved)
            phases["search"] = search_phase(
                supernet, train, loss, config.search, epochs=1, batch_size=self.batch_size, seed=0
            )
        return phases | self._sample_trainings(largest)

    def _sample_trainings(
        self, architecture: Architecture | None, names: Collection[str] = ("derived", "backbone")
    ) -> dict[str, Phase]:
        """Of the networks that are no supernets; they have dropout, as the recipes to try may."""
        return {
            name: self._sample_training(name, chosen)
            for name, chosen in (("derived", architecture), ("backbone", None))
            if name in self.networks and name in names
        }

    def _sample_training(self, name: str, architecture: Architecture | None) -> Phase:
        config = self.config
        return retrain_phase(
            name, self.network(architecture, config.recipe.dropout or SOME_DROPOUT), self.data.train, self.loss,
            config.recipe, config.retrain, epochs=1, batch_size=self.batch_size, seed=0,
        )  # fmt: skip

    def schedule_within(self, budget_seconds: float, plan: Planner = plan) -> Schedule:
        """The schedule for a budget; where the width is free, the largest one that still gets enough epochs.

        Where the precision is free too, it is the one in which steps are faster.

        Args:
            budget_seconds: from the start of the run.
            plan: makes the schedule from what epochs cost.
        """
        deadline = self.started + budget_seconds
        if not self._may_widen or self.config.retrain.precision is Precision.FLOAT32:
            return self._schedule_until(deadline, plan)
        self.use_width(self.widths[0])
        self._refuse_too_large()
        narrow, wide = (self._step_seconds(precision) for precision in (Precision.BFLOAT16, Precision.FLOAT32))
        precision = Precision.BFLOAT16 if narrow < FASTER * wide else Precision.FLOAT32
        self.use_precision(precision)
        return replace(self._schedule_until(deadline, plan), precision=precision)

    def _step_seconds(self, precision: Precision) -> float:
        """What a training step takes in a precision, of the given network or the untouched backbone."""
        self.use_precision(precision)
        phase = self._sample_training("backbone", self.given_architecture)
        need = self._weigh(phase, free_bytes(self.session.device), measure=False)
        return time_steps(phase, self.session.device, micro_batch=need.micro_batch)

    def _schedule_until(self, deadline: float, plan: Planner) -> Schedule:
        best: Schedule | None = None
        costs: EpochCosts | None = None
        widths = self.widths
        races = "search" in self.networks and self.config.tune.race
        if races and not self.config.search.separable:
            alone = self._schedule_without_search(deadline, widths[0], plan)
            if alone is not None:
                return replace(alone, width=widths[0])
        for width in widths:
            self.use_width(width)
            try:
                calibration = self.calibrate()
            except NotEnoughMemoryError:
                if best is None:
                    raise
                break
            schedule, enough = self._plan_within(deadline - time.monotonic(), calibration.costs, plan)
            if races and not schedule.search_epochs:
                # Kernels that are searched are worth more than channels, and no larger width has the time.
                best = best or replace(schedule, width=width)
                break
            if best is None or enough:
                best, costs = replace(schedule, width=width), calibration.costs
            if not enough:
                break  # a larger width gets fewer still; timing it would only cost time
        assert best is not None
        if races and costs is not None and best.search_epochs:
            wider = [width for width in widths if width is not None and width > (best.width or 0)]
            return self._with_wider_backbone(best, costs, wider, deadline, plan)
        return best

    def _with_wider_backbone(
        self, schedule: Schedule, costs: EpochCosts, widths: Sequence[int], deadline: float, plan: Planner
    ) -> Schedule:
        """The schedule with the widest untouched backbone that would get enough epochs, alone, in the whole budget.

        What is searched and raced takes time off a network, and so has to be narrower.
        """
        chosen = schedule
        for width in widths:
            self.use_width(schedule.width, backbone_width=width)
            try:
                self._refuse_too_large()
                phases = self._sample_trainings(None, names=("backbone",))
                needs = self._weigh_all(phases, measure=False)
            except NotEnoughMemoryError:
                break
            wide = self._epoch_costs(phases, {name: need.micro_batch for name, need in needs.items()})
            seconds = (deadline - time.monotonic()) * (1 - RESERVE)
            if untouched_alone(seconds, wide) < WIDER_EPOCHS:
                break
            both = replace(costs, backbone=wide.backbone, beside=wide.beside, wider_backbone=True)
            planned, _ = self._plan_within(deadline - time.monotonic(), both, plan)
            if not planned.search_epochs:
                break
            chosen = replace(planned, width=schedule.width, backbone_width=width)
            weighed = self._needs[schedule.width, None]
            self._needs[schedule.width, width] = weighed | needs
        return chosen

    def _schedule_without_search(self, deadline: float, width: int | None, plan: Planner) -> Schedule | None:
        """The schedule of the untouched backbone alone, where not even the cheapest search would fit; else None.

        A few steps of a supernet can take longer than the whole budget.
        """
        self.use_width(width)
        self._refuse_too_large()
        phases = self._sample_trainings(None, names=("backbone",))
        needs = self._needs[width, None] = self._weigh_all(phases, measure=False)
        costs = self._epoch_costs(phases, {name: need.micro_batch for name, need in needs.items()})
        costs = with_cheapest_search(costs, self.config.search.subsample)
        schedule, _ = self._plan_within(deadline - time.monotonic(), costs, plan)
        return None if schedule.search_epochs else schedule

    def leave_out_search(self) -> None:
        """Let the run train the untouched backbone alone."""
        self.networks = {"backbone"}

    def schedule_after_search(
        self, schedule: Schedule, architecture: Architecture, spent: float, *, untouched_raced: bool
    ) -> Schedule:
        """The schedule with what is left of the budget, now that it is known what the chosen network costs.

        Args:
            schedule: that was searched with.
            architecture: that was found.
            spent: seconds of training so far, which count in full, also where an earlier process has spent them.
            untouched_raced: whether the untouched backbone has had its part of the race already.
        """
        assert self.config.budget_seconds is not None
        phases = self._sample_trainings(architecture)
        micro_batches = {name: shared_micro_batch(self.session.run, name, self.batch_size) for name in phases}
        costs = self._epoch_costs(phases, micro_batches)
        left = self.config.budget_seconds - max(time.monotonic() - self.started, spent)
        rest, _ = self._plan_within(left, costs, partial(plan, untouched_raced=untouched_raced))
        rest = replace(
            rest,
            search_epochs=schedule.search_epochs,
            width=schedule.width,
            backbone_width=schedule.backbone_width,
            precision=schedule.precision,
        )
        if not untouched_raced:
            return rest
        most = rival_epochs(schedule.epochs_of("backbone"), costs)
        return replace(rest, tune_epochs=min(rest.tune_epochs, most), backbone_epochs=schedule.backbone_epochs)

    def schedule_after_race(
        self, schedule: Schedule, members: Sequence[str], epochs: Mapping[str, float], spent: float, *, touched: bool
    ) -> Schedule:
        """The schedule whose final training fills what is left of the budget.

        Args:
            schedule: that was raced with.
            members: names of the networks that are trained in the end, the winner first.
            epochs: seconds that an epoch of each network took in the race.
            spent: seconds of search and race, which count in full, also where an earlier process has spent them.
            touched: whether the untouched backbone is none of them, and trained beside them.
        """
        assert self.config.budget_seconds is not None
        left = self.config.budget_seconds - max(time.monotonic() - self.started, spent)
        trained = [*members, "backbone"] if self.beside and touched else members
        # A network that diverged in the race has no time of its own.
        seconds = sum(epochs.get(name, epochs[members[0]]) for name in trained) / self.config.tune.subsample
        whole = len(self.data.development) / len(self.data.train) * seconds
        return replace(schedule, retrain_epochs=max(most_epochs(left * (1 - RESERVE), whole=whole), 1))

    def _plan_within(self, seconds: float, costs: EpochCosts, plan: Planner) -> tuple[Schedule, bool]:
        """The schedule for some seconds, and whether the training gets enough epochs."""
        steps = QUICK_STEPS if self.config.preset == "quick" else DEFAULT_STEPS
        usual = usual_schedule(steps, len(self.data.train))
        trials = len(grid(self.config.tune)) if self.config.tune.tuner is Tuner.GRID else usual.tune_trials
        schedule = plan(seconds, costs, trials=trials, tune=self.config.tune, enough_epochs=usual.retrain_epochs // 2)
        return schedule, schedule.retrain_epochs >= usual.retrain_epochs

    @cached_property
    def widths(self) -> tuple[int | None, ...]:
        """Widths to choose from, from the smallest to the largest: those at which the outcome can keep its limits.

        Found before any is used, and once, since times of answers vary.

        Raises:
            ConfigError: there are none, not even where the width is free.
        """
        widths: tuple[int | None, ...] = WIDTHS if self.config.width is None else (self.config.width,)
        if not self.limits:
            return widths
        wider = None if self.config.schedule is None else self.config.schedule.backbone_width
        if wider is not None and not self.is_within_limits(None, width=wider):
            raise ConfigError(
                f"the schedule has an untouched backbone of width {wider}, which has "
                f"{self.cost(None, width=wider).describe()}, more than {self.limits.describe()}; allow more, or leave "
                "the schedule out"
            )
        given = self.given_architecture
        must_fit = {"given network" if given else "untouched backbone": given}
        if "search" in self.networks:
            with torch.device("meta"):
                _, conversion = self.supernet()
            must_fit["smallest network of the search space"] = _smallest(conversion)

        def can_fit(width: int | None) -> bool:
            return all(self.is_within_limits(architecture, width=width) for architecture in must_fit.values())

        if fitting := tuple(width for width in widths if can_fit(width)):
            return fitting
        least = widths[0] or 0
        while self._may_narrow and least // 2 >= FEWEST_CHANNELS:
            least //= 2
            if can_fit(least):
                return (least,)
        costs = "; ".join(
            f"the {name} of width {least} has {self.cost(architecture, width=least).describe()}"
            for name, architecture in must_fit.items()
        )
        ways = ["allow more"]
        if not self._may_narrow:
            ways.append("give a smaller --width")
        if self.config.ensemble > 1:
            ways.append("give a smaller --ensemble")
        raise ConfigError(f"the outcome is to have at most {self.limits.describe()}, but {costs}; {', or '.join(ways)}")

    def cost(
        self, architecture: Architecture | None, *, cells: tuple[int, ...] | None = None, width: int | None = None
    ) -> Cost:
        """What a network costs.

        Args:
            architecture: None is the untouched backbone.
            cells: of the grid whose positions its head keeps; None is the mean over all.
            width: of the backbone; None is the run's.
        """
        topology = replace(self.topology(architecture), cells=cells)
        if width is not None:
            topology = replace(topology, width=width)
        key = (None if architecture is None else tuple(architecture.items()), topology)
        if key not in self._costs:
            self._costs[key] = self.limits.cost(topology, self.data.spec, architecture, self.session.device)
        return self._costs[key]

    def is_within_limits(
        self, architecture: Architecture | None, *, cells: tuple[int, ...] | None = None, width: int | None = None
    ) -> bool:
        """Whether a network may be the outcome; the arguments are those of `cost`."""
        return not self.limits or self.limits.allow(self.cost(architecture, cells=cells, width=width))

    def adopt(self, schedule: Schedule) -> None:
        """Take over what a schedule says of networks and arithmetic."""
        self.use_width(schedule.width, backbone_width=schedule.backbone_width)
        if schedule.precision is not None:
            self.use_precision(schedule.precision)

    def use_precision(self, precision: Precision) -> None:
        """Set the precision of tuning and training."""
        self.config = replace(self.config, retrain=replace(self.config.retrain, precision=precision))

    def use_width(self, width: int | None, *, backbone_width: int | None = None) -> None:
        """Set the width of all networks, where it is not None, and that of the untouched backbone where it is wider."""
        self._backbone_width = backbone_width
        if width is not None:
            narrow = None if self.config.search_width is None else min(self.config.search_width, width)
            self.config = replace(self.config, width=width, search_width=narrow)
            self._topology = replace(self._topology, width=width)

    def search(self, schedule: Schedule, name: str = "search", attempts: int = ATTEMPTS) -> tuple[Architecture, float]:
        """The searched architecture, or the given one; and the seconds it took."""
        if self.given_architecture is not None:
            return self.given_architecture, 0.0
        supernet, conversion = self.supernet()
        if attempts == ATTEMPTS:
            self._tell_conversion(conversion)
        plan = self.session.run.remember("plan.json", lambda: self._plan(supernet, conversion))
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
                choose=lambda supernet: self._choose(supernet, conversion),
            )  # fmt: skip
        except DivergedError as error:
            if attempts == 1:
                raise
            self._warn(f"{error}; searching again with a tenth of the learning rates")
            return self.search(schedule, f"{name}-again", attempts - 1)

    def _choose(self, supernet: nn.Module, conversion: Conversion) -> Architecture:
        """What a searched supernet says, as far as the limits allow."""
        likeliest = discretise(supernet)
        if self.is_within_limits(likeliest):
            return likeliest
        chosen = likeliest_within(choices_of(supernet, conversion), self.limits, self.is_within_limits)
        self.session.reporter.message(
            f"the likeliest architecture has {self.cost(likeliest).describe()}, more than {self.limits.describe()}; "
            f"the one that is taken in its place has {self.cost(chosen).describe()}"
        )
        return chosen

    def _plan(self, supernet: nn.Module, conversion: Conversion) -> dict[str, str]:
        return plan_layers(
            supernet, conversion, self.config.search, batch_size=self.batch_size, device=self.session.device
        )

    def _use_plan(self, supernet: nn.Module, plan: dict[str, str]) -> None:
        with damage_named(self.session.run.folder / "plan.json"):
            for name, layer in mixtures(supernet).items():
                if plan[name] not in STRATEGIES:
                    raise ValueError(f"no strategy {plan[name]!r}")
                layer.strategy = plan[name]

    def probe(self, network: str, architecture: Architecture | None, recipe: Recipe) -> HeadProbe | None:
        """Whether a head that keeps positions pays, by the features that a network has learned in the race."""
        return probe_head(
            self._raced(network, architecture, recipe), self.data.train, self.data.validation, self.metric,
            batch_size=shared_micro_batch(self.session.run, micro_batch_name(network), self.batch_size),
            device=self.session.device, seed=derive_seed(self.config.seed, "probe"),
        )  # fmt: skip

    def can_be_beaten(self, network: str, architecture: Architecture | None, recipe: Recipe) -> bool:
        """Whether there could be evidence that another network is better than one that raced: if it never erred."""
        validation = self.data.validation
        at_once = shared_micro_batch(self.session.run, micro_batch_name(network), self.batch_size)
        predictions = predict_part(self._raced(network, architecture, recipe), validation, at_once, self.session.device)
        return is_evidence(confidence_of(self.metric, right_answers(validation), predictions, validation))

    def improves_with(
        self, other: str, winner: str, entrants: Mapping[str, Architecture | None], recipes: Mapping[str, Recipe]
    ) -> bool:
        """Whether two networks together, as the race left them, are better on the validation part than the winner.

        Args:
            other: name of a network that lost the race.
            winner: of the one that won it.
            entrants: architectures by name.
            recipes: of their best trials, by name.
        """
        names = (winner, other)
        networks = [self._raced(name, entrants[name], recipes[name]) for name in names]
        at_once = min(shared_micro_batch(self.session.run, micro_batch_name(name), self.batch_size) for name in names)
        alone, together = (
            validate(network, self.data.validation, self.metric, batch_size=at_once, device=self.session.device)
            for network in (networks[0], Ensemble(networks, self.data.spec.target_kind))
        )
        return together > alone if self.metric.higher_is_better else together < alone

    def _raced(self, network: str, architecture: Architecture | None, recipe: Recipe) -> nn.Module:
        """A network as the race left it."""
        trained = self.network(architecture, recipe.dropout)
        load_tuned_weights(self.session.run, network, trained)
        return trained

    def entrants(self, searched: Architecture | None, schedule: Schedule) -> dict[str, Architecture | None]:
        """The networks that may be trained in the end, by name; just one where there is nothing to choose."""
        if searched is None:
            return {"backbone": None}
        if not self.config.tune.race:
            return {"derived": searched}
        # The untouched one first: it takes evidence to move away from it.
        entrants: dict[str, Architecture | None] = {"backbone": None, "derived": searched}
        if random_races(schedule.tune_trials):
            with torch.device("meta"):  # only what could be chosen is asked for
                _, conversion = self.supernet()
            if (drawn := self._drawn(conversion)) is not None:
                entrants["random"] = drawn
        return entrants

    def _drawn(self, conversion: Conversion) -> Architecture | None:
        """A random architecture within the limits, decided once, since it may depend on measured times."""
        draws = (random_architecture(conversion.searchable, self.config.seed, draw) for draw in range(MOST_DRAWS))
        if not self.limits:
            return next(draws)

        def draw() -> Any:
            drawn = next(filter(self.is_within_limits, draws), None)
            return None if drawn is None else drawn.to_json()

        content = self.session.run.remember("random.json", draw)
        with damage_named(self.session.run.folder / "random.json"):
            return None if content is None else Architecture.from_json(content)

    def tuning(self, entrants: Mapping[str, Architecture | None], schedule: Schedule) -> Tuning:
        """The study over recipes and over the networks that race."""
        return Tuning(
            lambda name, recipe: self.network(entrants[name], recipe.dropout),
            tuple(entrants), self.data.train, self.data.validation, self.loss, self.metric,
            self.config.tune, self.config.retrain,
            schedule=schedule, recipe=self.config.recipe, batch_size=self.batch_size,
            seed=derive_seed(self.config.seed, "tune"), has_time=self._has_time_for_recipe,
        )  # fmt: skip

    def _has_time_for_recipe(self, trials: list[Trial]) -> bool:
        """Whether the final training will be no shorter than a trial if yet another recipe is tried.

        By what trials and search have taken, not by the clock: a run that was stopped has to decide as before. A grid
        is never cut short.
        """
        if self.config.budget_seconds is None or self.config.tune.tuner is Tuner.GRID:
            return True
        with damage_named(self.session.run.folder / "search.json"):
            searched = float(self.session.run.read("search.json", default={"seconds": 0.0})["seconds"])
        spent = searched + sum(trial.seconds for trial in trials)
        one = max(trial.seconds for trial in trials)
        networks = self.config.ensemble + self.beside
        final = len(self.data.development) / len(self.data.train) * networks * one / self.config.tune.subsample
        return spent + one + final <= (1 - RESERVE) * self.config.budget_seconds

    def retrain(
        self,
        name: str,
        architecture: Architecture | None,
        recipe: Recipe,
        schedule: Schedule,
        attempts: int = ATTEMPTS,
        *,
        tuned: str | None = None,
        cells: tuple[int, ...] | None = None,
        copy: int = 0,
    ) -> Retrained:
        """Train a network on all that is not for the test; where that diverges, a fresh one with a tenth of the rate.

        Args:
            name: of the phase.
            architecture: None is the untouched backbone.
            recipe: learning rate and the like.
            schedule: how long.
            attempts: how often it may diverge.
            tuned: name of the network in the race from whose weights this one goes on; None is a fresh one.
            cells: of the grid whose positions its head keeps; None is the mean over all.
            copy: how many of the same network there are before it; each has weights and batches of its own.

        Raises:
            DivergedError: it diverged at every attempt.
            RunError: the weights of the race are gone.
        """
        network = self.network(architecture, recipe.dropout, copy)
        if tuned is not None:
            load_tuned_weights(self.session.run, tuned, network)
        if cells is not None:
            keep_positions(network, cells)
        try:
            seconds = retrain(
                name, network, self.data.development, self.loss, recipe, self.config.retrain,
                epochs=schedule.retrain_epochs, batch_size=self.batch_size,
                seed=derive_seed(self.config.seed, "retrain", *_of_copy(copy)), session=self.session,
                network_name="backbone" if architecture is None else "derived",
            )  # fmt: skip
        except DivergedError as error:
            if attempts == 1:
                raise
            slower = replace(recipe, learning_rate=recipe.learning_rate / 10)
            self._warn(f"{error}; trying again with {slower.learning_rate:.3g}")
            return self.retrain(f"{name}-again", architecture, slower, schedule, attempts - 1, cells=cells, copy=copy)
        return Retrained(network, recipe, seconds)

    @property
    def batch_size(self) -> int:
        """Samples of a training step."""
        return self.config.batch_size

    @contextmanager
    def _seeded(self, *purpose: str | int) -> Iterator[None]:
        with isolated_rng(torch.device("cpu")):
            torch.manual_seed(derive_seed(self.config.seed, *purpose))
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
    find_device(options.device)  # before much is read
    started = time.monotonic()
    data = prepare(source, options.data, seed=options.seed, protocol=options.protocol)
    options = replace(options, metric=options.metric or data.metric)
    for line in data.reading:
        reporter.message(line)
    for line in data.warnings:
        reporter.message(f"warning: {line}")
    with open_job(data, options, out, reporter, started=started) as job:
        yield job


@contextmanager
def open_job(
    data: PreparedData,
    options: Options,
    out: Path | str | None,
    reporter: Reporter,
    *,
    started: float,
    networks: Collection[str] = tuple(NETWORKS),
    beside: bool = True,
) -> Iterator[Job]:
    """Settle the configuration for data that were read, and open the run directory; the arguments are those of `Job`.

    Args:
        data: what is learned from.
        options: what the user asked for.
        out: the run directory; None keeps nothing.
        reporter: hears of the progress.
        started: from when on a budget counts.
        networks: what the run will train.
        beside: whether the untouched backbone is trained to the end in any case.
    """
    threads_before, device = torch.get_num_threads(), find_device(options.device)
    if len(data.train) < 2:
        raise DataError(
            "only one sample is left to train on; give more samples, a smaller validation or test part, or "
            "--test-fraction 0"
        )
    config = resolve(options, data.spec, len(data.train), len(data.development), data.paper)
    settings = config.to_json() | {"data_fingerprint": data.fingerprint}
    if options.architecture is not None:
        settings["architecture"] = options.architecture.to_json()
    with tempfile.TemporaryDirectory() as scratch:
        # Built once before the run directory is, so that settings that cannot work leave nothing behind.
        session = Session(run=None, reporter=reporter, device=device)  # type: ignore[arg-type]
        job = Job(data, options, session, config, started, networks, beside=beside)
        with torch.device("meta"):  # weights take memory, and there may be too many
            job.network(options.architecture)
            if "search" in job.networks:
                job.supernet()
        try:
            torch.set_num_threads(options.threads or threads_before)
            if not (Path(out or scratch) / "run.json").exists():
                _ = job.widths  # refused where there are none
            with keep_freed_memory(), Run(Path(out or scratch), settings) as run:
                job.session = replace(session, run=run)
                yield job
        finally:
            torch.set_num_threads(threads_before)


def _of_copy(copy: int) -> tuple[int, ...]:
    """What a seed's purpose has to tell of a copy; nothing of the first, so that it is the network of a run without."""
    return (copy,) if copy else ()


def _largest(conversion: Conversion) -> Architecture:
    """The architecture that costs most to train."""
    return Architecture(
        {name: max(layer.candidates, key=_training_cost(layer)) for name, layer in conversion.searchable.items()}
    )


def _smallest(conversion: Conversion) -> Architecture:
    """The architecture that costs least to train."""
    return Architecture(
        {name: min(layer.candidates, key=_training_cost(layer)) for name, layer in conversion.searchable.items()}
    )


def _training_cost(layer: Searchable) -> Callable[[Candidate], tuple[int, int]]:
    """What tells which candidate of a layer costs more to train: its taps, and how far they reach."""
    spatial_dims = len(layer.map_shape)

    def cost(candidate: Candidate) -> tuple[int, int]:
        taps = math.prod(per_axis(candidate.kernel_size, spatial_dims))
        return taps, sum(candidate.half_reach(spatial_dims))

    return cost


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
