"""Series of unequal length: rows of one length, with padding behind each series that nothing looks at."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dashnas.data.arrays import SUFFIXES
from dashnas.data.inputs import Layout
from dashnas.data.spec import TargetKind
from dashnas.data.tables import Array, Rows, Table, chunks
from dashnas.errors import DataError


def real_positions(lengths: Array, longest: int) -> npt.NDArray[np.bool_]:
    """Where series are: shape (batch, longest), from lengths of shape (batch,)."""
    return np.arange(longest) < lengths[:, None]


class SeriesTable:
    """The rows of a table of series, cut or padded to one length, with zeros behind each series.

    Columns `y` and `mask` as long as `x` are cut and padded too. Where lengths differ and targets are per position,
    there is a `mask`, which leaves padding out; where they are all the same, there are no `lengths` any more.

    Args:
        table: rows with `x` and `lengths`.
        longest: the length of the rows made.
        unequal: whether lengths differ, here or in another part, so that they are needed.
        dense: whether a `y` as long as `x` is a target per position.
    """

    def __init__(self, table: Table, longest: int, *, unequal: bool, dense: bool) -> None:
        self._table = table
        self._longest = longest
        self._fitted = {"x", *(name for name in ("y", "mask") if dense and _is_as_long(table, name))}
        self._masks = unequal and "y" in self._fitted
        dropped = set() if unequal else {"lengths"}
        added = ["mask"] if self._masks and "mask" not in table.names else []
        self._names = (*(name for name in table.names if name not in dropped), *added)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""
        return self._names

    def __len__(self) -> int:
        return len(self._table)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a column, with the samples on the first axis."""
        if name not in self._table.names:  # the mask
            return (len(self), self._longest)
        shape = self._table.shape(name)
        return (*shape[:-1], self._longest) if name in self._fitted else shape

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of a column's values."""
        if name == "lengths":
            return np.dtype(np.int64)
        return self._table.dtype(name) if name in self._table.names else np.dtype(np.bool_)

    def take(self, rows: Rows, names: Sequence[str]) -> dict[str, Array]:
        """These rows of these columns, in the given order."""
        wanted = dict.fromkeys([*names, "lengths"])
        taken = self._table.take(rows, [name for name in wanted if name in self._table.names])
        real = real_positions(taken["lengths"], self._longest)
        made = {name: self._fit(values) if name in self._fitted else values for name, values in taken.items()}
        if "x" in made:
            made["x"] = np.where(real if made["x"].ndim == 2 else real[:, None], made["x"], made["x"].dtype.type(0))
        if self._masks and "mask" in names:
            made["mask"] = np.where(real, made["mask"], made["mask"].dtype.type(0)) if "mask" in made else real
        made["lengths"] = taken["lengths"].astype(np.int64)
        return {name: made[name] for name in names}

    def _fit(self, values: Array) -> Array:
        missing = self._longest - values.shape[-1]
        if missing <= 0:
            return values[..., : self._longest]
        return np.pad(values, [*[(0, 0)] * (values.ndim - 1), (0, missing)])


def _is_as_long(table: Table, name: str) -> bool:
    return name in table.names and len(table.shape(name)) > 1 and table.shape(name)[-1] == table.shape("x")[-1]


def read_lengths(
    tables: Mapping[str, Table], layouts: Mapping[str, Layout], target: TargetKind | None, *, always: bool = False
) -> tuple[dict[str, Table], bool]:
    """Bring series of unequal length to the longest of all parts; without lengths, tables stay as they are.

    Args:
        tables: by part.
        layouts: the meaning of the inputs' axes, by part.
        target: what the user says is to be predicted.
        always: keep lengths also where all are the same.

    Returns:
        The tables, and whether they have lengths.

    Raises:
        DataError: lengths that are no whole numbers from 1 to the length of `x`, that some part lacks, or images.
    """
    having = [part for part, table in tables.items() if "lengths" in table.names]
    if not having:
        return dict(tables), False
    for part, table in tables.items():
        x, key = "x" + SUFFIXES[part], "lengths" + SUFFIXES[part]
        if part not in having:
            raise DataError(
                f"{x} comes without {key}, but there is lengths{SUFFIXES[having[0]]}; give it for every part, "
                f"where all its series are whole as numpy.full(len({x}), {x}.shape[-1])"
            )
        if len(layouts[part].spatial_shape) != 1:
            raise DataError(
                f"there is {key}, but {x} holds images, {layouts[part]}; only series, (n, length) or (n, channels, "
                "length), may be of unequal length, so cut, pad or resample the images to one size"
            )
        check_lengths(table, key, x)
    seen = [_extremes(table) for table in tables.values()]
    shortest, longest = min(low for low, _ in seen), max(high for _, high in seen)
    unequal = always or shortest < longest
    dense = (target is None or target.is_dense) and all(_is_as_long(table, "y") for table in tables.values())
    made = {part: SeriesTable(table, longest, unequal=unequal, dense=dense) for part, table in tables.items()}
    return dict(made), unequal


def check_lengths(table: Table, key: str, x: str) -> None:
    """Refuse lengths that are not one whole number from 1 to the length of `x` for each series."""
    shape, dtype, width = table.shape("lengths"), table.dtype("lengths"), table.shape("x")[-1]
    if len(shape) != 1:
        raise DataError(f"{key} has the shape {shape}; expected one number per series, ({len(table)},)")
    if dtype.kind not in "iuf":
        raise DataError(f"{key} has the type {dtype}; expected whole numbers, the positions of each series in {x}")
    for start, piece in chunks(table, ["lengths"]):
        lengths = piece["lengths"]
        if len(odd := np.flatnonzero(~np.isfinite(lengths) | (np.floor(lengths) != lengths))):
            raise DataError(
                f"{key}[{start + odd[0]}] is {lengths[odd[0]]}; expected whole numbers, the positions of each series"
            )
        if len(odd := np.flatnonzero((lengths < 1) | (lengths > width))):
            raise DataError(
                f"{key}[{start + odd[0]}] is {lengths[odd[0]]}, but series of {x} have 1 to {width} positions, as its "
                "last axis is long; leave empty series out"
            )


def _extremes(table: Table) -> tuple[int, int]:
    pieces = [piece["lengths"] for _, piece in chunks(table, ["lengths"])]
    return int(min(piece.min() for piece in pieces)), int(max(piece.max() for piece in pieces))


def describe_lengths(tables: Iterable[Table]) -> str:
    """The lengths of all parts, in a line for the user."""
    lengths = np.concatenate([table.take(slice(None), ["lengths"])["lengths"] for table in tables])
    return (
        f"lengths: {lengths.min()} to {lengths.max()}, {lengths.mean():.1f} on average; what lies behind is ignored, "
        "in all layers"
    )
