"""Targets, masks and groups that cannot be learned from, refused before training."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from dashnas.data.arrays import SUFFIXES
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.tables import Array, Table, chunks
from dashnas.data.targets import MOST_CLASSES, counted_values, distinct_targets
from dashnas.errors import DataError

_SHOWN = 5


def check_masks(tables: Mapping[str, Table], spatial_shape: tuple[int, ...]) -> None:
    """Refuse masks that are not one 0 or 1 per position, or that leave nothing to learn."""
    for part, table in tables.items():
        if "mask" not in table.names:
            continue
        key = "mask" + SUFFIXES[part]
        if table.shape("mask")[1:] != spatial_shape:
            raise DataError(
                f"{key} has the shape {table.shape('mask')}; expected {(len(table), *spatial_shape)}: "
                "1 at every position whose target counts and 0 where it is ignored"
            )
        if table.dtype("mask").kind not in "biuf":
            raise DataError(f"{key} has the type {table.dtype('mask')}; expected booleans, or zeros and ones")
        if not all(np.isin(piece["mask"], (0, 1)).all() for _, piece in chunks(table, ["mask"])):
            raise DataError(f"{key} holds other values than 0 and 1; 1 counts and 0 is ignored, so try {key} != 0")
        if not counted_share(table):
            raise DataError(f"{key} is 0 everywhere, so no target counts; 1 is where a target counts, so try 1 - {key}")


def counted_share(table: Table) -> float:
    """Share of the positions whose target counts."""
    kept = sum(int(np.count_nonzero(piece["mask"])) for _, piece in chunks(table, ["mask"]))
    return kept / int(np.prod(table.shape("mask")))


def check_groups(tables: Mapping[str, Table]) -> list[str]:
    """Refuse groups that are not one value per sample; warn of groups that lie in two given parts."""
    groups = {part: table for part, table in tables.items() if "group" in table.names}
    seen: dict[str, set[object]] = {}
    warnings = []
    for part, table in groups.items():
        if len(table.shape("group")) != 1:
            raise DataError(
                f"group{SUFFIXES[part]} has the shape {table.shape('group')}; "
                f"expected one value per sample, ({len(table)},)"
            )
        seen[part] = set(table.take(slice(None), ["group"])["group"].tolist())
        for other in list(seen)[:-1]:
            if both := seen[part] & seen[other]:
                warnings.append(
                    f"{len(both)} groups, such as {next(iter(both))!r}, are both in x{SUFFIXES[other]} "
                    f"and in x{SUFFIXES[part]}; scores there may be too good"
                )
    return warnings


def check_numbers(tables: Mapping[str, Table]) -> None:
    """Refuse targets that are NaN or infinite where they count."""
    for part, table in tables.items():
        if table.dtype("y").kind != "f":
            continue
        count, first = 0, ""
        for start, piece in chunks(table, [name for name in ("y", "mask") if name in table.names]):
            bad = _bad_where_counted(piece["y"], piece.get("mask"))
            if not first and bad.any():
                sample, *place = np.argwhere(bad)[0].tolist()
                first = f"y{SUFFIXES[part]}[{', '.join(map(str, [start + sample, *place]))}]"
            count += int(bad.sum())
        if count:
            masked = " where mask is 1" if "mask" in table.names else ""
            raise DataError(
                f"y{SUFFIXES[part]} holds {count} values that are NaN or infinite{masked}, "
                f"the first at {first}; expected finite numbers: "
                "leave these samples out, or for dense targets give a mask that is 0 there"
            )


def _bad_where_counted(y: Array, mask: Array | None) -> Array:
    bad = ~np.isfinite(y)
    if mask is None:
        return bad
    keep = mask.astype(bool)
    bad &= keep[:, None] if y.ndim > keep.ndim else keep
    return bad


def check_classes(tables: Mapping[str, Table], kind: TargetKind) -> Array:
    """The sorted labels of the training part, refused if a network cannot learn or be scored on them."""
    values = distinct_targets(tables["train"])
    if len(values) > MOST_CLASSES:
        raise DataError(
            f"y holds more than {MOST_CLASSES} different integers; if they are amounts, {_as_numbers(kind)}"
        )
    if len(values) < 2:
        only = values[0].item() if len(values) else None
        raise DataError(f"y holds only one class, {only!r}; at least two are needed to tell apart")
    for part, table in tables.items():
        if part == "train":
            continue
        own = distinct_targets(table)
        if len(lacking := np.setdiff1d(own, values)):
            raise DataError(
                f"y{SUFFIXES[part]} holds labels that y, which is trained on, lacks: {_shown(lacking)}; "
                "leave those samples out or add some of these classes to x and y"
            )
    if kind is TargetKind.CLASSES:
        _check_single_samples(tables)
    return values


def _check_single_samples(tables: Mapping[str, Table]) -> None:
    """A class with one sample can be learned or checked, never both."""
    counts: Counter[object] = Counter()
    for part in ("train", "validation"):
        if part in tables:
            counts.update(np.concatenate(list(counted_values(tables[part]))).tolist())
    if rare := [label for label, count in counts.items() if count == 1]:
        which = f"class {rare[0]!r} has" if len(rare) == 1 else f"{len(rare)} classes, such as {rare[0]!r}, have"
        raise DataError(
            f"{which} only one sample; each needs one to train on and one to choose by, so add samples, "
            f"leave it out, or join classes (if y are amounts, {_as_numbers(TargetKind.CLASSES)})"
        )


def check_spread(tables: Mapping[str, Table], spec: DataSpec) -> list[str]:
    """Refuse binary targets of which all are equal; warn of labels that never or always hold."""
    low = np.ones(spec.outputs, bool)
    high = np.ones(spec.outputs, bool)
    table = tables["train"]
    if spec.target_kind is TargetKind.MULTI_LABEL:
        for _, piece in chunks(table, ["y"]):
            y = piece["y"].reshape(-1, spec.outputs).astype(bool)
            low, high = low & ~y.any(axis=0), high & y.all(axis=0)
    else:
        for values in counted_values(table):
            low, high = low & ~values.any(), high & values.astype(bool).all()
    if (low | high).all():
        raise DataError("y holds only one class: all targets are equal; at least two are needed to tell apart")
    stuck = np.flatnonzero(low | high)
    return [f"labels {_shown(stuck)} have the same value in every sample"] if len(stuck) else []


def check_binary(tables: Mapping[str, Table]) -> None:
    """Refuse given parts that hold other values than the zeros and ones of the training part."""
    for part, table in tables.items():
        for values in counted_values(table):
            if len(odd := np.setdiff1d(values, [0, 1])):
                raise DataError(
                    f"y{SUFFIXES[part]} holds labels that y, which is trained on, lacks: {_shown(odd)}; "
                    "expected 0 and 1"
                )


def check_same_targets(tables: Mapping[str, Table]) -> None:
    """Refuse given parts whose targets have another shape or are text where training targets are numbers."""
    train = tables["train"]
    for part, table in tables.items():
        if table.shape("y")[1:] != train.shape("y")[1:]:
            raise DataError(
                f"y{SUFFIXES[part]} has the shape {table.shape('y')} but y {train.shape('y')}; "
                "after the first axis they must be equal"
            )
        kinds = {"U" if t.dtype("y").kind == "U" else "number" for t in (train, table)}
        if len(kinds) > 1:
            raise DataError(
                f"y{SUFFIXES[part]} has the type {table.dtype('y')} but y {train.dtype('y')}; "
                "targets need one type in all parts"
            )


def _as_numbers(kind: TargetKind) -> str:
    target = TargetKind.DENSE_REGRESSION if kind.is_dense else TargetKind.REGRESSION
    return f"use --target {target.value}"


def _shown(values: Array) -> str:
    shown = ", ".join(repr(value) for value in values[:_SHOWN].tolist())
    return shown if len(values) <= _SHOWN else f"{shown} and {len(values) - _SHOWN} more"
