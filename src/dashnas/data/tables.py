"""Rows of samples, wherever they lie: in memory, in memory-mapped files, or in a torch Dataset."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rows = slice | npt.NDArray[np.int64]

CHUNK_BYTES = 2**24
"""How much is read at once when a whole table is looked through."""


class Table(Protocol):
    """Columns of equal length: `x`, mostly `y`, and whatever else travels with the samples."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""

    def __len__(self) -> int:
        """Number of samples."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a column, with the samples on the first axis."""

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of a column's values."""

    def take(self, rows: Rows, names: Sequence[str]) -> dict[str, Array]:
        """These rows of these columns, in the given order; nothing else is read."""


class ArrayTable:
    """Columns that are NumPy arrays, in memory or memory-mapped."""

    def __init__(self, columns: Mapping[str, Array]) -> None:
        self._columns = dict(columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""
        return tuple(self._columns)

    def __len__(self) -> int:
        return len(self._columns["x"])

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a column, with the samples on the first axis."""
        return self._columns[name].shape

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of a column's values."""
        return self._columns[name].dtype

    def take(self, rows: Rows, names: Sequence[str]) -> dict[str, Array]:
        """These rows of these columns; a slice of arrays in memory is a view, anything else a copy."""
        return {name: _take(self._columns[name], rows) for name in names}


def _take(column: Array, rows: Rows) -> Array:
    if not isinstance(column, np.memmap) or isinstance(rows, slice):
        return np.asarray(column[rows])
    order = np.argsort(rows, kind="stable")  # a disk is read fastest from front to back
    taken = np.empty((len(rows), *column.shape[1:]), column.dtype)
    taken[order] = column[rows[order]]
    return taken


def row_bytes(table: Table, name: str) -> int:
    """Bytes that one sample takes in a column."""
    return max(1, table.dtype(name).itemsize * int(np.prod(table.shape(name)[1:], dtype=np.int64)))


def chunks(
    table: Table, names: Sequence[str], rows: npt.NDArray[np.int64] | None = None
) -> Iterator[tuple[int, dict[str, Array]]]:
    """Look through a table a piece at a time, so that a memory map is never in memory as a whole.

    Args:
        table: where the samples are.
        names: columns to read.
        rows: samples to read; None reads all of them.

    Yields:
        Position of the piece's first sample among `rows`, and the piece's columns.
    """
    size = max(1, CHUNK_BYTES // max((row_bytes(table, name) for name in names), default=1))
    if rows is None:
        for start in range(0, len(table), size):
            yield start, table.take(slice(start, start + size), names)
    else:
        for start in range(0, len(rows), size):
            yield start, table.take(rows[start : start + size], names)
