"""Settings of each phase: frozen dataclasses that serve Python, the command line and saved runs alike."""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from math import inf
from typing import Any, Literal

from dashnas.checks import MOST, read_name, require, require_count, require_positive_or_none, require_sam_radius
from dashnas.data.config import DataConfig
from dashnas.data.task_data import CLEAN, check_protocol
from dashnas.errors import unknown_name
from dashnas.ops.plan import AUTO, PLANS
from dashnas.ops.strategies import STRATEGIES
from dashnas.precision import Precision
from dashnas.recipe import RECIPES, Optimiser, Recipe
from dashnas.space import SearchSpace

MOST_MEMBERS = 100
"""Of an ensemble; all of them are in memory in the end."""


@dataclass(frozen=True, kw_only=True)
class LearningRateSchedule:
    """How the learning rate falls during a phase, as a factor of its start value."""

    shape: Literal["cosine", "steps"] = "cosine"
    """A half cosine down to zero, changed at every step; or a factor at each milestone, changed between epochs."""
    milestones: tuple[int, ...] = ()
    """Epochs at which the rate is multiplied by `factor`, for shape="steps"."""
    factor: float = 0.2
    """What the rate is multiplied by at a milestone."""

    def __post_init__(self) -> None:
        require(self.shape in ("cosine", "steps"), f"shape must be 'cosine' or 'steps', got {self.shape!r}")
        require(0 < self.factor <= 1, f"factor must lie in (0, 1], got {self.factor}")


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """The search: weights and architecture parameters descend together (Shen et al. 2022, Algorithm 1)."""

    learning_rate: float = 0.1
    """Of the weights, start value."""
    arch_learning_rate: float = 0.05
    """Of the architecture parameters, start value."""
    momentum: float = 0.9
    """Of both."""
    weight_decay: float = 5e-4
    """Of the weights."""
    arch_weight_decay: float = 5e-4
    """Of the architecture parameters."""
    schedule: LearningRateSchedule = LearningRateSchedule()
    """Of both learning rates."""
    subsample: float = 1.0
    """Share of the training batches that each epoch visits, drawn afresh every epoch."""
    gumbel: bool = True
    """Whether the mixtures are noisy while training."""
    temperature: float = 1.0
    """Of the relaxation; lower is closer to a hard choice."""
    arch_grad_norm: float | None = 0.1
    """The loss gradient of each layer's architecture parameters is scaled to this norm; None leaves it.
    The authors' code has 1 / grad_scale with a grad_scale for each task, 100 where nothing else is known."""
    size_penalty: float = 1e-5
    """Added to the gradient of each architecture parameter, times the size of its candidate: the receptive
    field (k - 1) d + 1 for point targets, 10 k for dense ones (authors' code)."""
    clip: float | None = 1.0
    """Largest norm of all gradients together; None never clips."""
    separable: bool = False
    """Depthwise mixtures wherever a layer has as many outputs as inputs, as the authors' code has by default."""
    drop_beyond_map: bool = True
    """Leave out candidates that reach beyond a layer's own map."""
    kernel_std: float | None = None
    """Standard deviation of fresh kernels; None draws them as a plain convolution does."""
    no_larger: bool = False
    """Whether layers choose among candidates that give the network no more weights than the untouched one as wide has
    (see `find_searchable`). Options have it in force only within a budget that has a race, unless kernel sizes or
    dilations are asked for."""
    strategy: str = "auto"
    """How mixtures are computed: a name in `dashnas.ops.STRATEGIES`, or "auto" for the fastest in each layer."""
    plan: str = "measure"
    """How "auto" finds out: "measure" times strategies of similar cost, "model" never does."""
    precision: Precision = Precision.FLOAT32
    """Of its arithmetic. A plain string does too."""

    def __post_init__(self) -> None:
        for name in ("learning_rate", "arch_learning_rate", "temperature"):
            require(0 < getattr(self, name) < inf, f"{name} must be positive, got {getattr(self, name)}")
        for name in ("weight_decay", "arch_weight_decay", "size_penalty"):
            require(getattr(self, name) >= 0, f"{name} must not be negative, got {getattr(self, name)}")
        require(0 <= self.momentum < 1, f"momentum must lie in [0, 1), got {self.momentum}")
        require(0 < self.subsample <= 1, f"subsample must lie in (0, 1], got {self.subsample}")
        for name in ("arch_grad_norm", "clip", "kernel_std"):
            require_positive_or_none(name, getattr(self, name))
        known = (AUTO, *STRATEGIES)
        require(self.strategy in known, unknown_name("strategy", self.strategy, known))
        require(self.plan in PLANS, unknown_name("plan", self.plan, PLANS))
        read_name(self, "precision", Precision)


class Tuner(StrEnum):
    """How the recipes to try are found."""

    GRID = "grid"
    """The paper's grid: every configuration, each trained to its end (Shen et al. 2022, Appendix A.5.2)."""
    HALVING = "halving"
    """Recipes drawn at random, the first one given; weak ones stop early (successive halving)."""


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """The tuning of the recipe, trained on the training part and scored on the validation part."""

    tuner: Tuner = Tuner.HALVING
    """How the recipes to try are found. A plain string does too."""
    subsample: float = 1.0
    """Share of the training batches that each epoch visits."""
    small_grid: bool = False
    """Whether the grid is the one of three recipes that the authors' code has for some tasks."""
    reduction: int = 3
    """Halving keeps one in this many recipes at each rung."""
    race: bool = False
    """Whether the untouched backbone and a random architecture are tried beside what was searched. The winner goes on
    to the final training with the weights it has by then, and with the head that suits it."""

    def __post_init__(self) -> None:
        read_name(self, "tuner", Tuner)
        require(0 < self.subsample <= 1, f"subsample must lie in (0, 1], got {self.subsample}")
        require(self.reduction >= 2, f"reduction must be at least 2, got {self.reduction}")


@dataclass(frozen=True, kw_only=True)
class RetrainConfig:
    """The final training, on training and validation part together, of the derived network and of the backbone."""

    schedule: LearningRateSchedule = LearningRateSchedule()
    """Of the learning rate; the tuning uses it too."""
    clip: float | None = None
    """Largest norm of the gradients together; None never clips."""
    precision: Precision = Precision.FLOAT32
    """Of its arithmetic, and the tuning's. A plain string does too."""
    sam_radius_in_budget: float = 0.0
    """Of sharpness-aware minimisation in a final training for which a budget has time enough, by its schedule; 0 is
    without. A training itself has that of its recipe."""

    def __post_init__(self) -> None:
        require_positive_or_none("clip", self.clip)
        require_sam_radius("sam_radius_in_budget", self.sam_radius_in_budget)
        read_name(self, "precision", Precision)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long each phase runs: fixed and saved before a phase begins, never changed afterwards."""

    search_epochs: int
    """Epochs of the search; 0 where an architecture was given, where a budget is too short for a search, where layers
    have nothing but their own kernels, or where no network could be hoped to be better with enough confidence."""
    tune_trials: int
    """Recipes to try at most; the first is the given one."""
    tune_epochs: int
    """Epochs of each recipe that is not stopped early."""
    retrain_epochs: int
    """Epochs of the final training."""
    width: int | None = None
    """Channels of the backbone's first stage, where a budget or limits of the outcome chose them."""
    backbone_epochs: int | None = None
    """Epochs of the untouched backbone in the race, where a budget gives it as much time as its rivals, or where it has
    none; None is `tune_epochs`, or no trial at all where nothing is searched."""
    backbone_width: int | None = None
    """Channels of the first stage of the untouched backbone, where a budget lets it be wider than `width`."""
    tried: int | None = None
    """Recipes that a budget had time for, where they were fewer than `tune_trials`."""
    precision: Precision | None = None
    """Of tuning and training, where a budget chose it. A plain string does too."""
    sam_radius: float | None = None
    """Of sharpness-aware minimisation in the final training, where a budget chose it."""

    def __post_init__(self) -> None:
        if self.sam_radius is not None:
            require_sam_radius("sam_radius", self.sam_radius)
        require(self.search_epochs >= 0, f"search_epochs must not be negative, got {self.search_epochs}")
        require(self.search_epochs <= MOST, f"search_epochs must be at most {MOST}, got {self.search_epochs}")
        for name in ("tune_trials", "tune_epochs", "retrain_epochs"):
            require_count(name, getattr(self, name))
        for name in ("width", "backbone_epochs", "backbone_width", "tried"):
            if (value := getattr(self, name)) is not None:
                require_count(name, value)
        if self.precision is not None:
            read_name(self, "precision", Precision)
        require(
            self.backbone_width is None or (self.width is not None and self.backbone_width > self.width),
            f"backbone_width must be larger than width ({self.width}), or None for the same; got {self.backbone_width}",
        )

    def final_recipe(self, recipe: Recipe) -> Recipe:
        """The recipe of the final training, from the one that was raced with."""
        return recipe if self.sam_radius is None else replace(recipe, sam_radius=self.sam_radius)

    def epochs_of(self, network: str) -> int:
        """Epochs of one of the networks that race, by its name."""
        return self.backbone_epochs or self.tune_epochs if network == "backbone" else self.tune_epochs


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Everything that decides the outcome of a run, apart from the data."""

    preset: str = "default"
    """The preset that the other settings started from."""
    seed: int = 0
    """Of every random draw."""
    backbone: str = "resnet1d"
    """Name of the fixed topology."""
    width: int | None = None
    """Channels of the backbone's first stage, in training; None leaves it to the budget."""
    search_width: int | None = None
    """The same in search; None is `width`."""
    official: bool = False
    """Keep the accidents of the authors' backbones that published scores depend on."""
    space: SearchSpace | None = None
    """What may be chosen; None is the paper's rule."""
    protocol: str = CLEAN
    """The rules that scores are made by."""
    metric: str | None = None
    """Name of the metric; None is the usual one of the target kind."""
    class_weights: Literal["balanced"] | tuple[float, ...] | None = None
    """Weights of the classes (or of the labels' positives) in the loss."""
    loss_scale: float = 1.0
    """What the mean loss is multiplied by."""
    batch_size: int = 64
    """Samples of a training step."""
    data: DataConfig = DataConfig()
    """How the data are read and split."""
    search: SearchConfig = SearchConfig()
    """The search."""
    recipe: Recipe = RECIPES[Optimiser.SGD]
    """The recipe that tuning starts from."""
    tune: TuneConfig = TuneConfig()
    """The tuning."""
    retrain: RetrainConfig = RetrainConfig()
    """The final training."""
    budget_seconds: float | None = None
    """Wall time the whole run may take; None leaves the epochs to `schedule` or to the size of the data."""
    schedule: Schedule | None = None
    """Epochs and trials, where they are given rather than worked out."""
    ensemble: int = 1
    """Networks of the outcome, whose answers are averaged."""
    max_parameters: int | None = None
    """Most weights of the outcome; None is no limit."""
    max_latency_seconds: float | None = None
    """Longest that the outcome may take for an answer to a single sample; None is no limit."""
    memory_bytes: int | None = None
    """Most memory that a training step may take; None is what is free."""
    device: str = "cpu"
    """A PyTorch device."""
    threads: int | None = None
    """Threads of the CPU; None is PyTorch's own choice."""

    def __post_init__(self) -> None:
        require(
            self.batch_size >= 2,
            f"batch_size must be at least 2, for batch normalisation; got {self.batch_size}",
        )
        for name in ("batch_size", "ensemble"):
            require_count(name, getattr(self, name))
        require(self.seed >= 0, f"seed must not be negative, got {self.seed}")
        check_protocol(self.protocol)
        require(self.loss_scale > 0, f"loss_scale must be positive, got {self.loss_scale}")
        require(self.ensemble <= MOST_MEMBERS, f"ensemble must be at most {MOST_MEMBERS}, got {self.ensemble}")
        require(
            self.max_latency_seconds is None or 0 < self.max_latency_seconds < inf,
            f"max_latency_seconds must be positive, or None for none, got {self.max_latency_seconds}",
        )
        for name in ("width", "search_width", "max_parameters", "threads"):
            if (value := getattr(self, name)) is not None:
                require_count(name, value)
        require(
            self.budget_seconds is None or self.budget_seconds > 0,
            f"budget must be a positive time, got {self.budget_seconds} seconds",
        )
        require(
            self.budget_seconds is None or self.schedule is None,
            "give either a budget or epochs, not both: a budget works the epochs out",
        )
        require(
            self.memory_bytes is None or self.memory_bytes > 0,
            f"memory must be a positive number of bytes, got {self.memory_bytes}",
        )

    def to_json(self) -> dict[str, Any]:
        """As plain containers, for a JSON file.

        `ensemble`, `recipe.cutout`, `recipe.sam_radius`, `search.no_larger` and `retrain.sam_radius_in_budget` stand
        there only where they change anything: settings of runs from before there were these fields stay the same.
        """
        content = asdict(self) | {"space": None if self.space is None else self.space.to_json()}
        if self.ensemble == 1:
            del content["ensemble"]
        if not self.recipe.cutout:
            del content["recipe"]["cutout"]
        if not self.recipe.sam_radius:
            del content["recipe"]["sam_radius"]
        if not self.search.no_larger:
            del content["search"]["no_larger"]
        if not self.retrain.sam_radius_in_budget:
            del content["retrain"]["sam_radius_in_budget"]
        return content


FOLLOWS = {
    "search.no_larger": "; true in a race within a budget where no kernel sizes and no dilations are asked for",
    "retrain.sam_radius_in_budget": "; 0.1 in default and quick for all but numbers within a budget that "
    "has a race, unless --sam-radius is given, of which 0 goes on without",
}
"""What those settings follow from that are no options, by their dotted names."""


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """The dotted names of the settings in which two configurations differ, with both values."""
    lines: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        before, now = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            lines += differences(before, now, f"{prefix}{name}.")
        elif before != now:
            note = FOLLOWS.get(f"{prefix}{name}", "")
            lines.append(f"{prefix}{name} ({before!r} there, {now!r} now{note})")
    return lines
