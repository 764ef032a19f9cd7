"""Tables one after the other as one, without copying: training and validation samples that lie apart."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dashnas.data.tables import Array, Rows, Table


class StackedTable:
    """The rows of several tables in order.

    Columns that some table lacks are left out, except the mask: where none was given, every position counts.
    """

    def __init__(self, tables: Sequence[Table], spatial_shape: tuple[int, ...]) -> None:
        self._tables = tuple(tables)
        self._ends = np.cumsum([len(table) for table in tables])
        self._spatial_shape = spatial_shape
        first, *others = self._tables
        self._names = tuple(
            name
            for name in dict.fromkeys(name for table in tables for name in table.names)
            if name == "mask" or (name in first.names and all(_alike(first, table, name) for table in others))
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""
        return self._names

    def __len__(self) -> int:
        return int(self._ends[-1])

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a column, with the samples on the first axis."""
        return (len(self), *(self._spatial_shape if name == "mask" else self._tables[0].shape(name)[1:]))

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of a column's values, wide enough for all tables."""
        have = [table.dtype(name) for table in self._tables if name in table.names]
        return np.result_type(*have)

    def take(self, rows: Rows, names: Sequence[str]) -> dict[str, Array]:
        """These rows of these columns, in the given order."""
        return self._gather(rows, names, lambda table, rows, names, _: table.take(rows, names))

    def draw(self, rows: Array, names: Sequence[str], generators: Sequence[np.random.Generator]) -> dict[str, Array]:
        """The same as they are trained on: of tables that draw their samples anew each time, drawn."""

        def read(table: Table, rows: Array, names: Sequence[str], here: Array) -> dict[str, Array]:
            draw = getattr(table, "draw", None)  # of a DrawingTable
            return draw(rows, names, [generators[i] for i in here]) if draw else table.take(rows, names)

        return self._gather(rows, names, read)

    def _gather(self, rows: Rows, names: Sequence[str], read: Callable[..., dict[str, Array]]) -> dict[str, Array]:
        rows = np.arange(len(self))[rows] if isinstance(rows, slice) else rows
        taken = {name: np.empty((len(rows), *self.shape(name)[1:]), self.dtype(name)) for name in names}
        source = np.searchsorted(self._ends, rows, side="right")
        for number, table in enumerate(self._tables):
            here = np.flatnonzero(source == number)
            if not len(here):
                continue
            start = int(self._ends[number]) - len(table)
            piece = read(table, rows[here] - start, [name for name in names if name in table.names], here)
            for name in names:
                taken[name][here] = piece.get(name, True)
        return taken


def _alike(one: Table, other: Table, name: str) -> bool:
    return (
        name in other.names
        and one.shape(name)[1:] == other.shape(name)[1:]
        and (one.dtype(name).kind == "U") == (other.dtype(name).kind == "U")
    )
