"""From what the user has to parts that a network can be trained, chosen and scored on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashnas.data.arrays import SUFFIXES
from dashnas.data.checks import (
    check_binary,
    check_classes,
    check_groups,
    check_masks,
    check_numbers,
    check_same_targets,
    check_spread,
)
from dashnas.data.config import DataConfig
from dashnas.data.describe import describe
from dashnas.data.divide import divide, join_development
from dashnas.data.fingerprint import fingerprint
from dashnas.data.fit_normaliser import fit_normaliser
from dashnas.data.image_folder import SCALED_BY, ImageConfig, ImageTable, evenly_spaced
from dashnas.data.inputs import Layout, check_finite, check_same_layout, layout_near_misses, read_layout
from dashnas.data.kinds import KindReading, kind_near_misses, read_kind
from dashnas.data.normalise import Normaliser
from dashnas.data.parts import Part, SealedTest
from dashnas.data.series import read_lengths
from dashnas.data.source import read_source
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.split import Indices
from dashnas.data.tables import Table
from dashnas.data.targets import class_names
from dashnas.data.task_data import CLEAN, PaperSettings, Samples, TaskData, TaskSource, check_protocol
from dashnas.errors import ConfigError, DataError


@dataclass(frozen=True)
class PreparedData:
    """A data set that was read, checked, divided and made ready to be normalised."""

    spec: DataSpec
    """What a network must take and give."""
    normaliser: Normaliser
    """From the training part alone, or as a task gives it."""
    train: Part
    """What is trained on while choosing."""
    validation: Part
    """What is chosen by."""
    development: Part
    """What the last training uses: training and validation samples together, unless a task's protocol says otherwise;
    nothing is copied."""
    test: SealedTest | None
    """What the final score is measured on; None without a test part."""
    reading: tuple[str, ...]
    """Lines that tell the user how the data were read."""
    warnings: tuple[str, ...]
    """What can be used but looks mistaken."""
    fingerprint: str
    """Digest of the content, the same as long as the data are."""
    metric: str | None = None
    """Name of what a task's protocol scores by; None leaves it to the kind of the targets."""
    also: tuple[str, ...] = ()
    """Names of metrics that are told of the test part beside it."""
    paper: PaperSettings | None = None
    """What the authors of DASH set for this task by hand."""


def prepare(source: Any, config: DataConfig, *, seed: int, protocol: str = CLEAN) -> PreparedData:
    """Read a data set, refuse what cannot be learned from, and divide it.

    Args:
        source: a path to an `.npz` or `.csv` file, to a folder of `.npy` files or to one with a folder of images per
            class; a dict of arrays; a pair (x, y) of arrays or tensors, x a list of them where series are of unequal
            length; a torch Dataset, or a dict of Datasets by part; a task's own source.
        config: what cannot be seen in the arrays.
        seed: decides the split where parts are not given; the same seed gives the same one.
        protocol: the rules that a task's own source is read under.

    Raises:
        DataError: the data cannot be read or learned from; the message says why and how to mend it.
        ConfigError: a protocol or settings that do not go with the source.
    """
    check_protocol(protocol)
    if isinstance(source, TaskSource):
        if config != DataConfig():
            raise ConfigError(
                f"{source.name} comes with its own kind of target and its own division; leave out the options that "
                "say how data are read and divided"
            )
        return _prepare_task(source.task_data(protocol, seed))
    if protocol != CLEAN:
        raise ConfigError(
            f"the protocol {protocol!r} repeats how published scores of the ten NAS-Bench-360 tasks were made; "
            f"no such scores exist for these data, which are scored under {CLEAN!r}"
        )
    read = read_source(source, images=ImageConfig(size=config.image_size, augment=config.augment))
    layouts = _read_layouts(read.tables, config)
    tables, unequal_lengths = read_lengths(read.tables, layouts, config.target)
    layout = _common_layout(_read_layouts(tables, config))
    replaced = sum(check_finite(t, "x" + SUFFIXES[p], impute=config.impute) for p, t in tables.items())
    check_same_targets(tables)
    has_mask = any("mask" in table.names for table in tables.values())
    if has_mask:
        check_masks(tables, layout.spatial_shape)
    kind = read_kind(tables["train"], layout.spatial_shape, config.target)
    if has_mask and not kind.kind.is_dense:
        raise DataError(
            f"there is a mask, but y is {kind.kind.value} ({kind.why}), which has no masked positions; "
            "expected a target per position: take the mask out, or rename it to let it travel along"
        )
    spec, warnings = _check_targets(tables, layout, kind, unequal_lengths=unequal_lengths)
    warnings = [*read.warnings, *layout_near_misses(tables["train"].shape("x"), layout), *warnings]
    warnings += check_groups(tables)
    rows, how = divide(tables, spec, config, seed)
    development_table, development_rows = join_development(tables, rows, spec)
    # To decode every image takes as long as an epoch of training.
    scaled_by = evenly_spaced(rows["train"], SCALED_BY) if isinstance(tables["train"], ImageTable) else rows["train"]
    normaliser, constant = fit_normaliser(tables["train"], scaled_by, spec, impute=config.impute)

    def part(name: str, table: Table, indices: Indices) -> Part:
        augmented = config.augment and name in ("train", "development")
        return Part(table, indices, spec, normaliser, impute=config.impute, augmented=augmented)

    own = {name: part(name, tables.get(name, tables["train"]), indices) for name, indices in rows.items()}
    return PreparedData(
        spec=spec,
        normaliser=normaliser,
        train=own["train"],
        validation=own["validation"],
        development=part("development", development_table, development_rows),
        test=SealedTest(own["test"]) if "test" in own else None,
        reading=describe(read.origin, tables, layout, kind, spec, own, how, replaced),
        warnings=(*warnings, *constant),
        fingerprint=fingerprint(read.tables),
    )


def _prepare_task(data: TaskData) -> PreparedData:
    """The parts of a data set that was checked and divided where it was read."""
    given = {"train": data.train, "validation": data.validation, "final": data.final, "test": data.test}
    sizes = ", ".join(f"{name} {len(samples.rows)}" for name, samples in given.items())

    def part(name: str) -> Part:
        samples = given[name]
        if name in ("validation", "test"):
            return scored_part(samples)
        return Part(*samples, data.spec, data.normaliser, augmented=hasattr(samples.table, "draw"))

    def scored_part(samples: Samples) -> Part:
        return Part(*samples, data.scored_spec or data.spec, data.normaliser)

    if small := [name for name, samples in given.items() if not len(samples.rows)]:
        raise DataError(f"{data.origin} holds too few samples: none is left for {', '.join(small)} ({sizes})")
    if data.spec.classes is not None and any((part(name).targets() < 0).any() for name in given):
        raise DataError(f"{data.origin} holds labels that are none of the classes {data.spec.classes}")
    return PreparedData(
        spec=data.spec,
        normaliser=data.normaliser,
        train=part("train"),
        validation=part("validation"),
        development=part("final"),
        test=SealedTest(part("test"), {name: scored_part(samples) for name, samples in data.test_variants.items()}),
        reading=(f"data: {data.origin}", f"split: {sizes} ({data.how})"),
        warnings=data.warnings,
        fingerprint=fingerprint(_distinct({name: samples.table for name, samples in given.items()})),
        metric=data.metric,
        also=data.also,
        paper=data.paper,
    )


def _distinct(tables: Mapping[str, Table]) -> dict[str, Table]:
    """Each table once, however many parts are rows of it."""
    return dict({id(table): (name, table) for name, table in tables.items()}.values())


def _read_layouts(tables: Mapping[str, Table], config: DataConfig) -> dict[str, Layout]:
    for part, table in tables.items():
        least = 2 if part == "train" else 1
        if len(table) < least:
            found = "1 sample" if len(table) == 1 else "no samples"
            raise DataError(
                f"x{SUFFIXES[part]} holds {found}, shape {table.shape('x')}; expected a row per sample, "
                f"at least {least}"
            )
    return {part: read_layout(table, "x" + SUFFIXES[part], images=config.images) for part, table in tables.items()}


def _common_layout(layouts: Mapping[str, Layout]) -> Layout:
    for part, layout in layouts.items():
        check_same_layout(layouts["train"], layout, "x" + SUFFIXES[part])
    return layouts["train"]


def _check_targets(
    tables: Mapping[str, Table], layout: Layout, kind: KindReading, *, unequal_lengths: bool
) -> tuple[DataSpec, list[str]]:
    classes = None
    if kind.kind in (TargetKind.CLASSES, TargetKind.DENSE_CLASSES):
        classes = class_names(check_classes(tables, kind.kind))
    spec = DataSpec(
        channels=layout.channels,
        spatial_shape=layout.spatial_shape,
        target_kind=kind.kind,
        outputs=kind.outputs if classes is None else len(classes),
        classes=classes,
        unequal_lengths=unequal_lengths,
    )
    warnings = kind_near_misses(tables["train"], spec)
    if kind.kind.is_regression:
        check_numbers(tables)
    elif classes is None:
        check_binary(tables)
        warnings += check_spread(tables, spec)
    return spec, warnings
