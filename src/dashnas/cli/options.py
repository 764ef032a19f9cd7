"""The options that `fit`, `search` and `retrain` share, and what they come to."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from dashnas.presets import Options

Command = Callable[..., None]


def _option(panel: str, help_text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=panel, **more)


_TIME, _DATA, _NETWORK, _RECIPE, _MACHINE = (
    "How long",
    "Data",
    "Network and search space",
    "Recipe",
    "Machine",
)


def read_options(
    *,
    preset: Annotated[
        str, _option(_TIME, "default, quick or paper; for a folder of images also imagenet, imagenet-wrn.")
    ] = "default",
    budget: Annotated[
        str | None,
        _option(_TIME, "Time for everything, such as 90s, 10m or 1h30m; instead of epochs.", metavar="TIME"),
    ] = None,
    epochs: Annotated[
        int | None, _option(_TIME, "Epochs of the final training; search and tuning get half as many.")
    ] = None,
    search_epochs: Annotated[int | None, _option(_TIME, "Epochs of the search.")] = None,
    tune_trials: Annotated[int | None, _option(_TIME, "Recipes to try.")] = None,
    tune_epochs: Annotated[int | None, _option(_TIME, "Epochs of each recipe.")] = None,
    schedule: Annotated[
        Path | None, _option(_TIME, "schedule.json of another run, to repeat it.", metavar="FILE")
    ] = None,
    target: Annotated[
        str | None,
        _option(
            _DATA,
            "What y is, where it cannot be told from the array: classes, multi-label, regression, "
            "dense-binary, dense-classes, dense-regression.",
            metavar="KIND",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        _option(
            _DATA,
            "error, macro_f1, auroc, map, relative_l2, mae, rmse, r2; the target's usual one if not given.",
        ),
    ] = None,
    protocol: Annotated[
        str,
        _option(
            _DATA,
            "How scores are made: clean; for the ten tasks of NAS-Bench-360 also nb360-official or dash-official.",
        ),
    ] = "clean",
    class_weights: Annotated[
        str | None, _option(_DATA, "balanced, or a number per class such as 0.5,1,2.", metavar="WEIGHTS")
    ] = None,
    images: Annotated[
        bool, _option(_DATA, "Read x of shape (n, height, width) as images, not as signals.", "--images")
    ] = False,
    image_size: Annotated[
        int | None,
        _option(
            _DATA,
            "Of a folder of image files: height and width. Else as they are if all are alike, or 224.",
            metavar="PIXELS",
        ),
    ] = None,
    augment: Annotated[
        bool, _option(_DATA, "Of a folder of image files: cut out and mirror at random in training.", "--augment")
    ] = False,
    validation_fraction: Annotated[float, _option(_DATA, "Held out for choosing, if not in the file.")] = 0.2,
    test_fraction: Annotated[float, _option(_DATA, "Sealed for the final score, if not in the file.")] = 0.2,
    impute: Annotated[
        bool, _option(_DATA, "Replace NaN and infinity in x by the channel's training mean.", "--impute")
    ] = False,
    backbone: Annotated[
        str | None, _option(_NETWORK, "resnet1d or tcn for signals, wrn or convnext for images.")
    ] = None,
    width: Annotated[int | None, _option(_NETWORK, "Channels of the backbone's first stage.")] = None,
    ensemble: Annotated[
        int,
        _option(_NETWORK, "Average the answers of so many networks: the best of the race, and copies of the winner."),
    ] = 1,
    max_parameters: Annotated[
        str | None,
        _option(
            _NETWORK, "Most weights of the outcome, such as 50k; the search and the width keep to it.", metavar="N"
        ),
    ] = None,
    max_latency: Annotated[
        str | None,
        _option(
            _NETWORK, "Longest that the outcome may take for one sample, on this machine, such as 5ms.", metavar="TIME"
        ),
    ] = None,
    kernel_sizes: Annotated[
        str | None,
        _option(_NETWORK, "To choose from, odd: 3,5,7; per axis: 3,5,3x7.", metavar="SIZES"),
    ] = None,
    dilations: Annotated[
        str | None, _option(_NETWORK, "To choose from: 1,3,7; per axis: 1,1x3.", metavar="DILATIONS")
    ] = None,
    per_axis: Annotated[
        bool,
        _option(
            _NETWORK,
            "For images: height and width choose each for itself, from the same lists, such as 1x7. Allow size 1.",
            "--per-axis",
        ),
    ] = False,
    strategy: Annotated[
        str, _option(_MACHINE, "How the search computes mixtures: auto, or a name in docs/operator.md.")
    ] = "auto",
    plan: Annotated[
        str,
        _option(_MACHINE, "How auto finds the fastest: measure times where the model is unsure, model never does."),
    ] = "measure",
    race: Annotated[
        bool | None,
        _option(
            _NETWORK,
            "Whether the untouched backbone stays unless what was searched is better on the validation part, surely so "
            "if it is larger, and the head is chosen; the presets default and quick do so.",
            "--race/--no-race",
        ),
    ] = None,
    separable: Annotated[
        bool | None,
        _option(
            _NETWORK,
            "Depthwise mixtures in the search, as in the authors' code.",
            "--separable/--no-separable",
        ),
    ] = None,
    official: Annotated[
        bool, _option(_NETWORK, "Keep the accidents of the authors' backbones, for published scores.", "--official")
    ] = False,
    search_learning_rate: Annotated[
        float | None, _option(_RECIPE, "Of the search's weights; architecture parameters have half of it.")
    ] = None,
    batch_size: Annotated[int | None, _option(_RECIPE, "Samples of a training step.")] = None,
    optimiser: Annotated[
        str | None, _option(_RECIPE, "sgd, adamw or muon; usually muon, but adamw for convnext.")
    ] = None,
    learning_rate: Annotated[
        float | None, _option(_RECIPE, "Of the first recipe; usually 0.1 with sgd, 0.002 with adamw, 0.02 with muon.")
    ] = None,
    weight_decay: Annotated[float | None, _option(_RECIPE, "Of the first recipe.")] = None,
    dropout: Annotated[float | None, _option(_RECIPE, "Of the first recipe.")] = None,
    cutout: Annotated[
        float | None,
        _option(
            _RECIPE,
            "Largest share of each axis to blank out of a sample in tuning and training, such as 0.3: where samples "
            "are few and any part of one tells its class.",
        ),
    ] = None,
    sam_radius: Annotated[
        float | None,
        _option(
            _RECIPE,
            "How far from the weights a step takes its gradient (sharpness-aware minimisation), in tuning and "
            "training; such steps take twice the time; 0 is without. Left out, it is 0.1 in default and quick, for "
            "all but numbers, in a final training that gets 50 epochs of it within a budget that has a race.",
        ),
    ] = None,
    memory: Annotated[
        str | None,
        _option(_MACHINE, "Most that a training step may take, such as 4GB; else what is free.", metavar="SIZE"),
    ] = None,
    precision: Annotated[
        str | None,
        _option(
            _MACHINE,
            "Of training steps: float32, tf32 or bfloat16. Left out, it is bfloat16 in default and quick for classes, "
            "labels and binary maps on a CPU that computes in it, within a budget where that is faster, else float32.",
        ),
    ] = None,
    seed: Annotated[int, _option(_MACHINE, "Of every random draw.")] = 0,
    device: Annotated[str, _option(_MACHINE, "cpu, cuda, cuda:1.")] = "cpu",
    threads: Annotated[int | None, _option(_MACHINE, "Of the CPU; PyTorch's own choice if not given.")] = None,
) -> "Options":
    """What the user asked for, as `dashnas.pipeline` takes it.

    Raises:
        ConfigError: a text that cannot be read, or a value that makes no sense.
    """
    from dashnas.budget import parse_seconds
    from dashnas.cli.parsing import parse_choices, parse_class_weights, read_schedule
    from dashnas.data.config import DataConfig
    from dashnas.limits import parse_latency, parse_number
    from dashnas.memory import parse_bytes
    from dashnas.presets import Options

    return Options(
        preset=preset,
        seed=seed,
        budget_seconds=None if budget is None else parse_seconds(budget),
        epochs=epochs,
        search_epochs=search_epochs,
        tune_trials=tune_trials,
        tune_epochs=tune_epochs,
        schedule=read_schedule(schedule),
        protocol=protocol,
        metric=metric,
        class_weights=parse_class_weights(class_weights),
        backbone=backbone,
        width=width,
        ensemble=ensemble,
        max_parameters=None if max_parameters is None else parse_number(max_parameters),
        max_latency_seconds=None if max_latency is None else parse_latency(max_latency),
        kernel_sizes=parse_choices(kernel_sizes),
        dilations=parse_choices(dilations),
        per_axis=per_axis,
        strategy=strategy,
        plan=plan,
        race=race,
        separable=separable,
        official=official,
        search_learning_rate=search_learning_rate,
        precision=precision,  # type: ignore[arg-type]  # text becomes a Precision later
        batch_size=batch_size,
        optimiser=optimiser,  # type: ignore[arg-type]  # text becomes an Optimiser later
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        dropout=dropout,
        cutout=cutout,
        sam_radius=sam_radius,
        data=DataConfig(
            target=target,  # type: ignore[arg-type]  # text becomes a TargetKind there
            images=images,
            image_size=image_size,
            augment=augment,
            validation_fraction=validation_fraction,
            test_fraction=test_fraction,
            impute=impute,
        ),
        memory_bytes=None if memory is None else parse_bytes(memory),
        device=device,
        threads=threads,
    )


def takes_options(*, without: tuple[str, ...] = ()) -> Callable[[Command], Command]:
    """Give a command the options above, which reach it as one argument `options`.

    Typer reads a command's signature, so this is where the options are put; no command lists them again.

    Args:
        without: options that make no sense for the command.
    """
    shared = inspect.signature(read_options).parameters.values()
    offered = {parameter.name: parameter for parameter in shared if parameter.name not in without}

    def decorate(command: Command) -> Command:
        own = [p for p in inspect.signature(command).parameters.values() if p.name != "options"]

        @wraps(command)
        def run(**given: Any) -> None:
            options = read_options(**{name: given.pop(name) for name in offered})
            command(options=options, **given)

        parameters = [*own, *offered.values()]
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        del run.__wrapped__  # or the command's own signature is found behind it
        return run

    return decorate
