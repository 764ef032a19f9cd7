"""One run with its data and settings: its networks, what they cost, its search and its final trainings."""

from collections.abc import Collection, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from dashnas.backbones import keep_positions
from dashnas.config import FitConfig, Schedule
from dashnas.convert import Conversion, discretise, has_choice, keeps_own_kernels, mixtures, smallest_architecture
from dashnas.data.prepare import PreparedData
from dashnas.data.spec import DataSpec
from dashnas.errors import ConfigError
from dashnas.evaluate import refuse_undefined
from dashnas.inference_cost import num_parameters
from dashnas.limits import Cost, Limits, choices_of, likeliest_within
from dashnas.losses import Loss, class_weights, make_loss
from dashnas.memory import Need
from dashnas.metrics import Metric
from dashnas.model import Topology
from dashnas.ops.strategies import STRATEGIES
from dashnas.precision import Precision
from dashnas.presets import Options
from dashnas.protocol_metrics import find_metric
from dashnas.recipe import Recipe
from dashnas.retrain import retrain
from dashnas.runs import damage_named
from dashnas.search import make_supernet, plan_layers, search
from dashnas.seeding import derive_seed, isolated_rng
from dashnas.space import Architecture
from dashnas.training import DivergedError, Session
from dashnas.tune import load_tuned_weights

WIDTHS = (16, 32, 64)
"""Widths to choose from under a budget, where none was asked for."""

FEWEST_CHANNELS = 4
"""Smallest width that limits of the outcome may lead to, where none was asked for."""

ATTEMPTS = 3
"""Tries of a phase that diverges before the run gives up, each with a tenth of the learning rate before."""

MOST_COMPARED = 10**7
"""Weights of a network that is built with them, to see whether what is saved of it is all of it; of more it would take
time and memory."""

NETWORKS = {"search": "the supernet", "derived": "the derived network", "backbone": "the untouched backbone"}
"""What the networks of a run are called, by the name of their micro-batch."""


@dataclass(frozen=True)
class Retrained:
    """A network after the final training."""

    network: nn.Module
    recipe: Recipe
    """The one it was trained with in the end."""
    seconds: float


class Job:
    """One run: makes its networks, searches and trains them; what was begun goes on where it was left.

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
        self.backbone_width: int | None = None
        """Of the untouched backbone, where it is wider than the other networks."""
        self.limits = Limits(config.max_parameters, config.max_latency_seconds).shared(config.ensemble)
        planned = None if config.schedule is None else config.schedule.width
        self._may_narrow = options.width is None and planned is None
        self.has_free_precision = options.precision is None and config.schedule is None
        """Whether a budget may choose in what precision is trained."""
        self._costs: dict[tuple[Hashable, Topology], Cost] = {}
        """What networks cost, each timed once."""
        self.needs: dict[tuple[int | None, int | None], dict[str, Need]] = {}
        """Memory of each network, by width of the searched network and of a wider untouched one; found by
        `dashnas.calibration`."""

    def check_networks(self) -> None:
        """Refuse networks that cannot be trained or saved; large ones are built without their weights only.

        Raises:
            ConfigError: they cannot be built so, answer by something else than the targets ask for, or keep a part of
                themselves out of their state.
        """
        try:
            with torch.device("meta"):
                network = self.network(self.given_architecture)
                if "search" in self.networks:
                    self.supernet()
        except RuntimeError as error:
            raise ConfigError(
                f"backbone {self.config.backbone!r} cannot be built without its weights, on device 'meta' ({error}); "
                "let it neither read the values of its weights nor set their .data; fill them in place"
            ) from error
        if self.data.spec.unequal_lengths:
            return  # lengths would have to be numbers
        _refuse_answers(network, self.data.spec, self.config.backbone)
        if num_parameters(network) <= MOST_COMPARED:
            one, other = (self.network(self.given_architecture, copy=copy) for copy in (0, 1))
            _refuse_lost_state(one, other, self.data.spec)

    def network(self, architecture: Architecture | None, dropout: float = 0.0, copy: int = 0) -> nn.Module:
        """A fresh network, always with the same weights, other ones for each copy; None is the untouched backbone."""
        with self._seeded("weights", *_of_copy(copy)):
            return self.topology(architecture).build(self.data.spec, architecture, dropout=dropout)

    def topology(self, architecture: Architecture | None) -> Topology:
        """What a network has of the backbone; None is the untouched one, which may be wider."""
        if architecture is None and self.backbone_width is not None:
            return replace(self._topology, width=self.backbone_width)
        return self._topology

    def is_untouched(self, architecture: Architecture) -> bool:
        """Whether a network of this architecture is the untouched backbone itself."""
        return self.topology(architecture) == self.topology(None) and self._keeps_own_kernels(architecture)

    @cached_property
    def has_only_own_kernels(self) -> bool:
        """Whether there is nothing to race: each layer has its own kernel as the one candidate."""
        if not self.config.tune.race or self.given_architecture is not None:
            return False
        with torch.device("meta"):
            _, conversion = self.supernet()
        return not has_choice(conversion) and self._keeps_own_kernels(smallest_architecture(conversion))

    def _keeps_own_kernels(self, architecture: Architecture) -> bool:
        with torch.device("meta"):
            return keeps_own_kernels(self._topology.build(self.data.spec, None), architecture)

    def supernet(self) -> tuple[nn.Module, Conversion]:
        """A fresh supernet, always with the same weights, and what became of each convolution."""
        topology = replace(self._topology, width=self.config.search_width or self.config.width)
        sample = torch.zeros(2, self.data.spec.channels, *self.data.spec.spatial_shape)
        assert self.config.space is not None
        with self._seeded("supernet"):
            backbone = topology.build_for_search(self.data.spec)
            return make_supernet(backbone, self.config.space, sample, self.config.search)

    def leave_out_search(self) -> None:
        """Let the run train the untouched backbone alone."""
        self.networks = {"backbone"}

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
            must_fit["smallest network of the search space"] = smallest_architecture(conversion)

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
        self.backbone_width = backbone_width
        if width is not None:
            narrow = None if self.config.search_width is None else min(self.config.search_width, width)
            self.config = replace(self.config, width=width, search_width=narrow)
            self._topology = replace(self._topology, width=width)

    def search(self, schedule: Schedule, name: str = "search", attempts: int = ATTEMPTS) -> tuple[Architecture, float]:
        """The searched architecture, the given one, or the only one there is; and the seconds it took."""
        if self.given_architecture is not None:
            return self.given_architecture, 0.0
        supernet, conversion = self.supernet()
        if not has_choice(conversion):
            self.session.reporter.message("each layer has one candidate, which it takes without a search")
            return smallest_architecture(conversion), 0.0
        if attempts == ATTEMPTS:
            self._tell_conversion(conversion)
        plan = self.session.run.remember("plan.json", lambda: self.plan_strategies(supernet, conversion))
        self.use_strategies(supernet, plan)
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
            self.warn(f"{error}; searching again with a tenth of the learning rates")
            return self.search(schedule, f"{name}-again", attempts - 1)

    def _choose(self, supernet: nn.Module, conversion: Conversion) -> Architecture:
        """What a searched supernet says, as far as the limits of the outcome allow."""
        likeliest, chosen = discretise(supernet), self.likeliest_within_limits(supernet, conversion)
        if chosen != likeliest:
            note = "" if self.is_within_limits(chosen) else ", the smallest of the search space"
            self.session.reporter.message(
                f"the likeliest architecture has {self.cost(likeliest).describe()}, "
                f"more than {self.limits.describe()}; "
                f"the one that is taken in its place has {self.cost(chosen).describe()}{note}"
            )
        return chosen

    def likeliest_within_limits(self, supernet: nn.Module, conversion: Conversion) -> Architecture:
        """The likeliest architecture of a supernet within the limits of the outcome; the smallest where none is."""
        likeliest = discretise(supernet)
        if self.is_within_limits(likeliest):
            return likeliest
        return likeliest_within(choices_of(supernet, conversion), self.limits, self.is_within_limits)

    def plan_strategies(self, supernet: nn.Module, conversion: Conversion) -> dict[str, str]:
        """The strategy of each layer of a supernet."""
        return plan_layers(
            supernet, conversion, self.config.search, batch_size=self.batch_size, device=self.session.device
        )

    def use_strategies(self, supernet: nn.Module, plan: dict[str, str]) -> None:
        """Let each layer of a supernet be computed by its strategy.

        Raises:
            RunError: there is none for a layer, or none of this name.
        """
        with damage_named(self.session.run.folder / "plan.json"):
            for name, layer in mixtures(supernet).items():
                if plan[name] not in STRATEGIES:
                    raise ValueError(f"no strategy {plan[name]!r}")
                layer.strategy = plan[name]

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
            schedule: how long, and whether by sharpness-aware minimisation.
            attempts: how often it may diverge.
            tuned: name of the network in the race from whose weights this one goes on; None is a fresh one.
            cells: of the grid whose positions its head keeps; None is the mean over all.
            copy: how many of the same network there are before it; each has weights and batches of its own.

        Raises:
            DivergedError: it diverged at every attempt.
            RunError: the weights of the race are gone.
        """
        recipe = schedule.final_recipe(recipe)
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
            self.warn(f"{error}; trying again with {slower.learning_rate:.3g}")
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

    def warn(self, text: str) -> None:
        """Tell the user of something that may not be as wanted."""
        self.session.reporter.message(f"warning: {text}")

    def _tell_conversion(self, conversion: Conversion) -> None:
        total = sum(len(layer.candidates) for layer in conversion.searchable.values())
        dropped = sum(len(layer.dropped) for layer in conversion.searchable.values())
        larger = sum(len(layer.larger) for layer in conversion.searchable.values())
        text = f"searching {len(conversion.searchable)} layers with {total} candidates in all"
        if dropped:
            text += f"; {dropped} more reach beyond their layer's own map and were dropped"
        if larger:
            text += (
                f"; {larger} have more taps than their layer's own kernel and were left out, so that the network is no "
                "larger than the untouched one; --kernel-sizes keeps all that it names"
            )
        self.session.reporter.message(text)
        for name, reason in conversion.kept.items():
            self.session.reporter.message(f"{name} stays as it is: {reason}")


def _of_copy(copy: int) -> tuple[int, ...]:
    """What a seed's purpose has to tell of a copy; nothing of the first, so that it is the network of a run without."""
    return (copy,) if copy else ()


def _refuse_answers(network: nn.Module, spec: DataSpec, backbone: str) -> None:
    """Make sure that what a network of somebody else's answers can be compared with the targets.

    Raises:
        ConfigError: it is of another type or shape, or no weight can change it.
    """
    try:
        answers = network(torch.zeros(2, spec.channels, *spec.spatial_shape, device="meta"))
    except Exception:  # whatever it raises; it may need numbers, and is run on some before it is trained
        return
    expected = (2, *spec.answer_shape)
    if not isinstance(answers, Tensor):
        got = f"a {type(answers).__name__}"
    elif answers.shape != expected or not answers.is_floating_point():
        got = f"one of shape {tuple(answers.shape)} and {answers.dtype}"
    elif not answers.requires_grad:
        raise ConfigError(f"the answers of backbone {backbone!r} depend on no weight that is trained")
    else:
        return
    raise ConfigError(
        f"backbone {backbone!r} answers two samples by {got}; expected a tensor of real numbers of shape {expected}"
    )


def _refuse_lost_state(network: nn.Module, other: nn.Module, spec: DataSpec) -> None:
    """Make sure that the answers of a network of somebody else's depend on nothing that is not saved.

    Args:
        network: a fresh one.
        other: the same with other weights, which it loses.
        spec: what they take.

    Raises:
        ConfigError: with the state of the first, the second answers otherwise.
    """
    x = torch.randn(2, spec.channels, *spec.spatial_shape, generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            expected, again = network.eval()(x), network(x)
            other.load_state_dict(network.state_dict())
            answers = other.eval()(x)
    except Exception:  # whatever it raises; it is told of where it is trained
        return
    if torch.equal(expected, again) and not torch.allclose(answers, expected, rtol=1e-3, atol=1e-3):
        raise ConfigError(
            "the backbone's answers depend on numbers that are not saved with it, so that it would not answer the same "
            "when it is loaded; keep what is drawn at random as a parameter, or by register_buffer"
        )
