"""From what the user asked for and what the data are to the settings of every phase."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from dashnas.backbones import BACKBONES, default_backbone, paper_width
from dashnas.checks import read_name
from dashnas.config import (
    FitConfig,
    LearningRateSchedule,
    RetrainConfig,
    Schedule,
    SearchConfig,
    TuneConfig,
    Tuner,
)
from dashnas.data.config import DataConfig
from dashnas.data.spec import DataSpec
from dashnas.data.task_data import CLEAN, PaperSettings, check_protocol
from dashnas.errors import ConfigError, unknown_name
from dashnas.precision import Precision, computes_bfloat16
from dashnas.recipe import RECIPES, Optimiser, Recipe
from dashnas.space import Architecture, SearchSpace
from dashnas.training import steps_per_epoch

MOST_THREADS = 1024
"""Of the CPU; PyTorch crashes, without an exception, where the machine cannot start as many as it is told."""


SMALL_BATCH = 16
"""Of images, unless trained by SGD: on a CPU, where a small batch takes no longer per sample, and of large ones on a
GPU. The many steps learn more than they cost (docs/search-quality.md). How many epochs are usual is as with
`stock_batch_size`."""

LARGE_MAP = 64 * 64
"""Positions of an image from which on few of them give a GPU enough to do. A guess: 85x85 was measured
(results/darcy_gpu.md)."""


SHORTEST_IN_BFLOAT16 = 3
"""Fewest positions along each axis of an image with one target that is trained on in bfloat16 on a CPU. With fewer, the
second stride of 2 of a Wide ResNet meets a map of one position; the weight gradient of such a convolution is read from
memory that nothing was written to (seen with PyTorch 2.13: NaN where that memory had been filled with it)."""


SAM_RADIUS = 0.1
"""Of sharpness-aware minimisation (docs/search-quality.md)."""

_FOR_IMAGE_FILES = ("imagenet", "imagenet-wrn")
"""Presets that need a folder of images, and cut and mirror them in training."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user may ask for; None leaves a setting to the preset or to the data."""

    preset: str = "default"
    """`default`, `quick` or `paper`; for a folder of images also `imagenet` or `imagenet-wrn`."""
    seed: int = 0
    """Of every random draw."""
    budget_seconds: float | None = None
    """Wall time for the whole run; epochs and trials are worked out once, after timing a few steps."""
    epochs: int | None = None
    """Of the final training; search and tuning get half as many."""
    search_epochs: int | None = None
    """Of the search."""
    tune_trials: int | None = None
    """Recipes to try."""
    tune_epochs: int | None = None
    """Of each recipe."""
    schedule: Schedule | None = None
    """All of these at once, such as the schedule of another run that is to be repeated."""
    protocol: str = CLEAN
    """The rules that scores are made by: `clean`, or for the tasks of NAS-Bench-360 `nb360-official` or
    `dash-official`, which repeat how published scores were made."""
    metric: str | None = None
    """What validation and test are scored with."""
    class_weights: Literal["balanced"] | tuple[float, ...] | None = None
    """Weights of the classes (or of the labels' positives) in the loss."""
    backbone: str | None = None
    """Fixed topology: `wrn`, `convnext`, `resnet1d`, `tcn`."""
    width: int | None = None
    """Channels of the backbone's first stage, in search and training."""
    kernel_sizes: tuple[int | tuple[int, ...], ...] | None = None
    """What the search may choose from."""
    dilations: tuple[int | tuple[int, ...], ...] | None = None
    """What the search may choose from."""
    per_axis: bool = False
    """For images: height and width choose each for itself."""
    strategy: str = "auto"
    """How the search computes mixtures; `auto` takes the fastest in each layer."""
    plan: str = "measure"
    """How `auto` finds out: `measure` times strategies of similar cost, `model` never does."""
    separable: bool | None = None
    """Depthwise mixtures where inputs equal outputs, as in the authors' code."""
    search_learning_rate: float | None = None
    """Of the weights in the search; the architecture parameters have half of it, as in the presets."""
    precision: Precision | None = None
    """Of the arithmetic of training steps: `float32`, `tf32` or `bfloat16`. None is float32, but in `default` and
    `quick` bfloat16 to train for classes, labels and binary maps on a CPU that computes in it; within a budget only
    where that is faster."""
    batch_size: int | None = None
    """Samples of a training step."""
    optimiser: Optimiser | None = None
    """Of all recipes, `sgd`, `adamw` or `muon`; None is the backbone's usual one. A plain string does too."""
    learning_rate: float | None = None
    """Of the recipe that tuning starts from."""
    weight_decay: float | None = None
    """Of the recipe that tuning starts from."""
    dropout: float | None = None
    """Of the recipe that tuning starts from."""
    cutout: float | None = None
    """Largest share of each axis that is blanked out of a sample in tuning and training; None is none. Targets at every
    position count there too."""
    sam_radius: float | None = None
    """Of sharpness-aware minimisation in tuning and training, whose steps take twice the time; 0 is without. None is
    without, but as a schedule that is repeated has it, and in `default` and `quick` for all but numbers, within a
    budget that has a race, with it in a final training that gets epochs enough."""
    data: DataConfig = DataConfig()
    """How the data are read and split."""
    official: bool = False
    """Keep the accidents of the authors' backbones that published scores depend on."""
    architecture: Architecture | None = None
    """Skip the search and take this."""
    race: bool | None = None
    """Whether the untouched backbone, or a random architecture, may win over what was searched; None is as the preset
    has it."""
    ensemble: int = 1
    """Networks of the outcome, whose answers are averaged: the winner of the race, those of its rivals that help, and
    copies of the winner that were trained from other weights."""
    max_parameters: int | None = None
    """Most weights of the outcome. The search's choice, and the width where it is left open, keep to it."""
    max_latency_seconds: float | None = None
    """Longest that the outcome may take for an answer to a single sample, on the device and with the threads of the
    run; as `max_parameters`."""
    memory_bytes: int | None = None
    """Most memory that a training step may take; where a batch needs more, it is computed in pieces. None is what is
    free."""
    device: str = "cpu"
    """A PyTorch device."""
    threads: int | None = None
    """Threads of the CPU."""

    def __post_init__(self) -> None:
        # The data are read and divided with these before there is a FitConfig, which checks all other settings.
        check_protocol(self.protocol)
        if self.preset in _FOR_IMAGE_FILES:
            object.__setattr__(self, "data", replace(self.data, augment=True))
        if self.optimiser is not None:
            read_name(self, "optimiser", Optimiser)
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, got {self.seed}")
        if self.threads is not None and self.threads > MOST_THREADS:
            raise ConfigError(
                f"threads must be at most {MOST_THREADS}, got {self.threads}; more than there are cores gain nothing"
            )


def resolve(
    options: Options,
    spec: DataSpec,
    samples: int,
    development: int | None = None,
    paper: PaperSettings | None = None,
) -> FitConfig:
    """The settings of every phase.

    Args:
        options: what the user asked for.
        spec: what the data are.
        samples: size of the training part.
        development: size of training and validation part together; None is the training part's.
        paper: what the authors set for these data by hand, for the preset `paper`.

    Raises:
        ConfigError: an unknown preset, or settings that contradict each other.
    """
    if options.preset not in PRESETS:
        raise ConfigError(unknown_name("preset", options.preset, PRESETS))
    if options.preset == "paper" and paper is not None:
        options = _by_hand(options, paper, spec)
    else:
        paper = None
    _refuse_bfloat16(options, spec)
    config = PRESETS[options.preset](options, spec, samples, development or samples)
    if paper is not None:
        config = replace(
            config,
            loss_scale=paper.loss_scale,
            search=replace(config.search, arch_grad_norm=1 / paper.grad_scale),
            tune=replace(config.tune, small_grid=paper.small_grid),
        )
    names = ("optimiser", "learning_rate", "weight_decay", "dropout", "cutout", "sam_radius")
    recipe = {name: value for name in names if (value := getattr(options, name)) is not None}
    if recipe and config.tune.tuner is Tuner.GRID:
        raise ConfigError(
            f"the preset {options.preset!r} takes its recipes from a grid; leave out {', '.join(recipe)}, "
            "or take another preset"
        )
    if options.optimiser is not None and options.optimiser is not config.recipe.optimiser:
        config = replace(config, recipe=RECIPES[options.optimiser])
    race = _race(options, config)
    width, search_width = _widths(options, config)
    return replace(
        config,
        preset=options.preset,
        seed=options.seed,
        backbone=config.backbone if options.backbone is None else options.backbone,
        official=options.official,
        protocol=options.protocol,
        metric=options.metric,
        class_weights=options.class_weights,
        data=options.data,
        space=_space(options, spec, config.space),
        recipe=replace(config.recipe, **recipe),
        tune=replace(config.tune, race=race),
        search=_search(options, config.search, no_larger=race and _is_budgeted(options) and _is_space_free(options)),
        retrain=replace(
            config.retrain,
            precision=options.precision or config.retrain.precision,
            sam_radius_in_budget=config.retrain.sam_radius_in_budget
            if race and options.budget_seconds is not None and options.sam_radius is None
            else 0.0,
        ),
        budget_seconds=options.budget_seconds,
        schedule=_schedule(options, config, samples, race),
        ensemble=options.ensemble,
        max_parameters=options.max_parameters,
        max_latency_seconds=options.max_latency_seconds,
        memory_bytes=options.memory_bytes,
        device=options.device,
        # The number itself, since another one gives other rounding: a run is resumed with the threads it began with.
        threads=torch.get_num_threads() if options.threads is None else options.threads,
        width=width,
        search_width=search_width,
    )


def _by_hand(options: Options, paper: PaperSettings, spec: DataSpec) -> Options:
    """What the authors set for a task by hand, wherever the user did not ask for something else."""
    weight = paper.pos_weight
    chosen: dict[str, Any] = {
        "batch_size": paper.batch_size,
        "kernel_sizes": paper.kernel_sizes,
        "dilations": paper.dilations,
        "class_weights": None if weight is None else (weight,) * spec.outputs,
    }
    return replace(options, **{name: value for name, value in chosen.items() if getattr(options, name) is None})


def _race(options: Options, config: FitConfig) -> bool:
    if options.race and config.tune.tuner is Tuner.GRID:
        raise ConfigError(f"the preset {options.preset!r} has no race; leave it out, or take another preset")
    if options.race and options.architecture is not None:
        raise ConfigError("an architecture that is given is trained in any case; leave out the race, or search")
    return options.architecture is None and (config.tune.race if options.race is None else options.race)


def _is_budgeted(options: Options) -> bool:
    """Whether epochs are what fits a time, in this run or in the one whose schedule it repeats."""
    if options.schedule is None:
        return options.budget_seconds is not None
    return options.schedule.backbone_epochs is not None


def _is_space_free(options: Options) -> bool:
    """Whether nobody said what the candidates are."""
    return options.kernel_sizes is None and options.dilations is None


def _search(options: Options, preset: SearchConfig, *, no_larger: bool) -> SearchConfig:
    separable = preset.separable if options.separable is None else options.separable
    search = replace(
        preset,
        separable=separable,
        strategy=options.strategy,
        plan=options.plan,
        precision=options.precision or preset.precision,
        no_larger=preset.no_larger and no_larger,
    )
    if (rate := options.search_learning_rate) is None:
        return search
    return replace(search, learning_rate=rate, arch_learning_rate=rate / 2)


def _widths(options: Options, config: FitConfig) -> tuple[int | None, int | None]:
    """The backbone's width in training and search; None leaves it to the budget."""
    planned = options.schedule.width if options.schedule is not None else None
    if planned is not None and options.width not in (None, planned):
        raise ConfigError(f"the schedule was made for width {planned}, but width {options.width} was asked for")
    if (width := planned if options.width is None else options.width) is not None:
        return width, None
    if options.budget_seconds is not None and options.preset == "default":
        return None, None
    return config.width, config.search_width


def _space(options: Options, spec: DataSpec, preset: SearchSpace | None) -> SearchSpace:
    space = SearchSpace.for_dims(spec.spatial_dims, per_axis=options.per_axis)
    if preset is not None and not options.per_axis:
        space = replace(space, kernel_sizes=preset.kernel_sizes, dilations=preset.dilations)
    chosen = {n: getattr(options, n) for n in ("kernel_sizes", "dilations") if getattr(options, n) is not None}
    return replace(space, **chosen)


def _schedule(options: Options, config: FitConfig, samples: int, race: bool) -> Schedule | None:
    """What was given, completed by what the size of the data suggests; None leaves everything to the budget."""
    names = ("epochs", "search_epochs", "tune_trials", "tune_epochs")
    given = [name for name in names if getattr(options, name) is not None]
    if options.schedule is not None:
        if given or options.budget_seconds is not None:
            raise ConfigError("a schedule says all epochs and trials; give no budget and no epochs beside it")
        schedule = options.schedule if race else replace(options.schedule, backbone_epochs=None, backbone_width=None)
        if options.precision is not None:
            schedule = replace(schedule, precision=None)
        if options.sam_radius is not None:
            schedule = replace(schedule, sam_radius=None)
        return _searching(options, schedule, race)
    if options.budget_seconds is not None:
        if given:
            raise ConfigError(f"give either a budget or {', '.join(given)}, not both: a budget works the epochs out")
        return None
    usual = config.schedule or usual_schedule(options.preset, samples)
    if options.epochs is not None:
        half = max(math.ceil(options.epochs / 2), 1)
        usual = replace(usual, search_epochs=half, tune_epochs=half, retrain_epochs=options.epochs)
    overrides = {n: getattr(options, n) for n in names[1:] if getattr(options, n) is not None}
    schedule = replace(usual, **overrides)
    return _searching(options, schedule, race=False)


def _searching(options: Options, schedule: Schedule, race: bool) -> Schedule:
    """The schedule, with a search where there is something to search, or of the untouched backbone alone."""
    if options.architecture is not None:
        return replace(schedule, search_epochs=0)
    if schedule.search_epochs == 0 and not race:
        raise ConfigError("search_epochs 0 would leave the architecture to chance; give at least 1, or an architecture")
    return schedule


@dataclass(frozen=True)
class Steps:
    """How long a preset trains, whatever the size of the data."""

    steps: int
    """Of the final training, about, with the stock batch size."""
    fewest_epochs: int
    most_epochs: int
    trials: int
    """Recipes to try."""


DEFAULT_STEPS = Steps(steps=2500, fewest_epochs=20, most_epochs=120, trials=8)
QUICK_STEPS = Steps(steps=600, fewest_epochs=10, most_epochs=60, trials=1)


def usual_schedule(preset: str, samples: int) -> Schedule:
    """How long a preset trains that has no epochs of its own: about the same number of steps for data of any size.

    The steps are those of the stock batch size.
    """
    length = QUICK_STEPS if preset == "quick" else DEFAULT_STEPS
    epochs = round(length.steps / steps_per_epoch(samples, stock_batch_size(samples)))
    epochs = min(max(epochs, length.fewest_epochs), length.most_epochs)
    half = math.ceil(epochs / 2)
    return Schedule(search_epochs=half, tune_trials=length.trials, tune_epochs=half, retrain_epochs=epochs)


def _default(options: Options, spec: DataSpec, samples: int, development: int) -> FitConfig:
    width = 64 if spec.spatial_dims == 1 else 16
    backbone = default_backbone(spec) if options.backbone is None else options.backbone
    usual = BACKBONES[backbone].optimiser if backbone in BACKBONES else Optimiser.SGD
    optimiser, device = options.optimiser or usual, torch.device(options.device)
    batch_size = stock_batch_size(samples)
    small_pays = device.type == "cpu" or math.prod(spec.spatial_shape) >= LARGE_MAP
    if spec.spatial_dims == 2 and optimiser is not Optimiser.SGD and small_pays:
        batch_size = SMALL_BATCH
    # Numbers may be wanted with more digits than bfloat16 has, and closer than a flat minimum is.
    exact = spec.target_kind.is_regression
    narrow = computes_bfloat16(device) and not exact and _may_train_in_bfloat16(spec)
    return FitConfig(
        backbone=backbone,
        width=width,
        batch_size=batch_size if options.batch_size is None else options.batch_size,
        search=SearchConfig(no_larger=True),
        recipe=RECIPES[optimiser],
        tune=TuneConfig(race=True),
        retrain=RetrainConfig(
            clip=1.0,
            precision=Precision.BFLOAT16 if narrow else Precision.FLOAT32,
            sam_radius_in_budget=0.0 if exact else SAM_RADIUS,
        ),
    )


def _may_train_in_bfloat16(spec: DataSpec) -> bool:
    """Whether the gradients are right in bfloat16 on a CPU; see `SHORTEST_IN_BFLOAT16`."""
    has_strides = spec.spatial_dims == 2 and not spec.target_kind.is_dense
    return not has_strides or min(spec.spatial_shape) >= SHORTEST_IN_BFLOAT16


def _refuse_bfloat16(options: Options, spec: DataSpec) -> None:
    """Make sure that nothing is trained in bfloat16 where its gradients are wrong."""
    asked = options.precision or (options.schedule and options.schedule.precision)
    if asked != Precision.BFLOAT16 or torch.device(options.device).type != "cpu" or _may_train_in_bfloat16(spec):
        return
    raise ConfigError(
        f"on a CPU, bfloat16 needs images of at least {SHORTEST_IN_BFLOAT16} positions along each axis, and these have "
        f"{' x '.join(map(str, spec.spatial_shape))}; take the precision float32"
    )


def _quick(options: Options, spec: DataSpec, samples: int, development: int) -> FitConfig:
    return replace(_default(options, spec, samples, development), width=16)


def _paper(options: Options, spec: DataSpec, samples: int, development: int) -> FitConfig:
    """The paper's settings; gradient scaling, initialisation and subsets of the tuning are the authors' code's.

    Convolutions are full, as in the paper's formulas; the code has depthwise ones by default.

    Reference: Shen et al. 2022, Section 3.3 and Appendix A.5.
    """
    dense, signals = spec.target_kind.is_dense, spec.spatial_dims == 1
    rate = 0.01 if dense else 0.1
    num_classes = 1 if spec.target_kind.is_regression else spec.outputs
    milestones = (30, 60, 90, 120, 160) if signals else (60, 120, 160)
    width = paper_width(num_classes) if signals else 64
    config = FitConfig(
        backbone=default_backbone(spec),
        width=width,
        search_width=width if signals else 16,
        batch_size=min(64, max(samples // 2, 2)) if options.batch_size is None else options.batch_size,
        search=SearchConfig(
            learning_rate=rate,
            arch_learning_rate=rate / 2,
            schedule=LearningRateSchedule(shape="steps", milestones=(60,)),
            subsample=0.2,
            arch_grad_norm=0.01,
            size_penalty=1e-5,
            drop_beyond_map=False,
            kernel_std=0.01,
        ),
        recipe=Recipe(learning_rate=rate),
        retrain=RetrainConfig(schedule=LearningRateSchedule(shape="steps", milestones=milestones)),
        schedule=Schedule(search_epochs=100, tune_trials=24, tune_epochs=80, retrain_epochs=200),
    )
    # By the batches of the final training set, as in the code.
    share = tuning_share(steps_per_epoch(development, config.batch_size))
    return replace(config, tune=TuneConfig(tuner=Tuner.GRID, subsample=share))


def _imagenet(options: Options, spec: DataSpec, samples: int, development: int) -> FitConfig:
    """The paper's search space, backbone, epochs and share of the batches on ImageNet with ConvNeXt-T.

    What it does not tell is as in `paper`, but rates fall along a cosine, batches are larger, and no recipes are tried:
    the one recipe is trained for an epoch, for a validation score beside the backbone's.

    Reference: Shen et al. 2022, Appendix A.9.2, with the epochs of its Table 9.
    """
    paper, cosine = _paper(options, spec, samples, development), LearningRateSchedule()
    return replace(
        paper,
        backbone="convnext",
        width=96,
        search_width=96,
        batch_size=min(256, max(samples // 2, 2)) if options.batch_size is None else options.batch_size,
        space=SearchSpace(kernel_sizes=(3, 5, 7, 9, 11), dilations=(1, 3, 7)),
        search=replace(paper.search, schedule=cosine),
        tune=TuneConfig(subsample=0.2),
        retrain=RetrainConfig(schedule=cosine, clip=1.0),
        schedule=Schedule(search_epochs=10, tune_trials=1, tune_epochs=1, retrain_epochs=100),
    )


def _imagenet_wrn(options: Options, spec: DataSpec, samples: int, development: int) -> FitConfig:
    """The same with WRN 16-4, which the paper trains for 50 epochs."""
    config = _imagenet(options, spec, samples, development)
    schedule = Schedule(search_epochs=10, tune_trials=1, tune_epochs=1, retrain_epochs=50)
    return replace(config, backbone="wrn", width=64, search_width=64, schedule=schedule)


def tuning_share(batches: int) -> float:
    """Share of its batches that an epoch of the paper's tuning visits, by their number (authors' code)."""
    return next((share for limit, share in ((50, 0.2), (100, 0.1), (500, 0.05)) if batches < limit), 0.01)


def stock_batch_size(samples: int) -> int:
    """The largest power of two that is at most a quarter of the samples, from 16 to 64."""
    power = int(2 ** math.floor(math.log2(max(samples / 4, 1))))
    return min(max(power, 16), 64)


PRESETS: dict[str, Callable[[Options, DataSpec, int, int], FitConfig]] = {
    "default": _default,
    "quick": _quick,
    "paper": _paper,
    "imagenet": _imagenet,
    "imagenet-wrn": _imagenet_wrn,
}
"""Settings to start from, by name: of what was asked for, the data, the samples of the training part and of
training and validation part together."""
