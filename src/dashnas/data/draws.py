"""Tables whose samples are drawn anew each time they are trained on: cropped, flipped, mixed."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from dashnas.data.tables import Array, Rows, Table

Columns = dict[str, Array]
"""The columns of one sample, without the axis of samples."""

Augment = Callable[[Columns, np.random.Generator], Columns]
"""From the columns of a sample to those that are trained on; a pure function of both arguments."""


class DrawingTable(Table, Protocol):
    """A table that also gives its samples as they are trained on.

    What `take` gives never changes: it is what a network is scored on.
    """

    def draw(self, rows: Array, names: Sequence[str], generators: Sequence[np.random.Generator]) -> dict[str, Array]:
        """These rows of these columns, each a function of its own generator alone."""


class AugmentedTable:
    """A table with a function that augments its samples in training."""

    def __init__(self, table: Table, augment: Augment) -> None:
        self._table = table
        self._augment = augment

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""
        return self._table.names

    def __len__(self) -> int:
        return len(self._table)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a column, with the samples on the first axis."""
        return self._table.shape(name)

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of a column's values."""
        return self._table.dtype(name)

    def take(self, rows: Rows, names: Sequence[str]) -> dict[str, Array]:
        """These rows of these columns, as they are."""
        return self._table.take(rows, names)

    def draw(self, rows: Array, names: Sequence[str], generators: Sequence[np.random.Generator]) -> dict[str, Array]:
        """These rows of these columns, augmented."""
        taken = self._table.take(rows, names)
        drawn = [
            self._augment({name: taken[name][i] for name in names}, generator) for i, generator in enumerate(generators)
        ]
        return {name: np.stack([sample[name] for sample in drawn]) for name in names}
