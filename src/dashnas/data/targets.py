"""Targets as the user gave them, in the shapes and types that losses and metrics take."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.tables import Array, Table, chunks

MOST_CLASSES = 65536
"""With more different values than this, integers are not class labels."""


def counted(y: Array, mask: Array | None) -> Array:
    """The values of dense targets at positions that count, as one row; without a mask all of them.

    Args:
        y: shape (batch, *spatial) or (batch, outputs, *spatial).
        mask: bool, shape (batch, *spatial); True where a target counts.
    """
    if mask is None:
        return y.reshape(-1)
    keep = mask.astype(bool)
    if y.ndim > keep.ndim:
        keep = np.broadcast_to(keep[:, None], y.shape)
    values: Array = y[keep]
    return values


def counted_values(table: Table) -> Iterator[Array]:
    """All target values that count, a piece at a time."""
    names = [name for name in ("y", "mask") if name in table.names]
    for _, piece in chunks(table, names):
        yield counted(piece["y"], piece.get("mask"))


def distinct_targets(table: Table) -> Array:
    """The different target values that count, sorted; given up once they are more than `MOST_CLASSES`."""
    found: Array = np.empty(0, np.bool_)
    for values in counted_values(table):
        new = _distinct(values)
        found = np.unique(np.concatenate([found.astype(new.dtype) if not len(found) else found, new]))
        if len(found) > MOST_CLASSES:
            break
    return found


def _distinct(values: Array) -> Array:
    if values.dtype.kind in "iu" and values.size and values.min() >= 0 and values.max() <= MOST_CLASSES:
        return np.flatnonzero(np.bincount(values.astype(np.int64)))  # many times faster than sorting a label map
    return np.unique(values)


def class_names(values: Array) -> tuple[str | int, ...]:
    """Distinct labels as plain strings or integers, which JSON can hold; False and True become 0 and 1."""
    return tuple(str(v) if values.dtype.kind == "U" else int(v) for v in values)


def class_codes(values: Array, classes: Sequence[str | int]) -> npt.NDArray[np.int64]:
    """Position of every value among the sorted class names; -1 for values that are not among them."""
    if all(isinstance(name, str) for name in classes) != (values.dtype.kind == "U"):
        return np.full(values.shape, -1, np.int64)
    if isinstance(classes[0], int) and (classes[0], classes[-1]) == (0, len(classes) - 1) and values.dtype.kind != "f":
        return np.where((values >= 0) & (values < len(classes)), values, -1).astype(np.int64)  # no search needed
    names = np.array(classes)
    if values.dtype.kind == "f":  # NaN stands at positions that do not count
        values = np.nan_to_num(values, nan=names[0] - 1, posinf=names[0] - 1, neginf=names[0] - 1)
    places = np.minimum(np.searchsorted(names, values), len(names) - 1)
    return np.where(names[places] == values, places, -1)


def shape_targets(y: Array, mask: Array | None, spec: DataSpec) -> Array:
    """Targets in the shapes of `Batch.y`, on the original scale.

    Args:
        y: as the user gave it, a row per sample.
        mask: bool, shape (batch, *spatial), or None. Where it is False the result is 0.
        spec: what the targets are.

    Returns:
        int64 for classes and dense-classes, float64 for the other kinds.
    """
    kind = spec.target_kind
    if kind is TargetKind.CLASSES:
        assert spec.classes is not None
        return class_codes(y.reshape(len(y)), spec.classes)
    if kind is TargetKind.DENSE_CLASSES:
        assert spec.classes is not None
        codes = class_codes(y.reshape(len(y), *spec.spatial_shape), spec.classes)
        return codes if mask is None else np.where(mask, codes, 0)
    values = y.reshape(len(y), *spec.answer_shape).astype(np.float64)
    return values if mask is None else np.where(mask[:, None], values, 0.0)
