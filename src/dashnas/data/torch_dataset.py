"""Samples from torch map-style Datasets, fetched one by one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from dashnas.data.arrays import as_array
from dashnas.data.tables import Array, ArrayTable, Rows, Table
from dashnas.errors import DataError

_SMALL = 64
"""Values per sample up to which a column other than `x` is kept in memory after the first look."""


def table_from_dataset(dataset: Dataset[Any], label: str, *, targets: bool = True) -> Table:
    """A table over a Dataset whose items are pairs (x, y) or dicts with x, y and further fields.

    Raises:
        DataError: it has no length, is empty, or its items are something else.
    """
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise DataError(f"{label} has no length or order; expected a map-style Dataset with __len__ and __getitem__")
    if isinstance(dataset, TensorDataset) and len(dataset.tensors) == 2:
        x, y = dataset.tensors
        return ArrayTable({"x": as_array(x, "x"), "y": as_array(y, "y")})
    if len(dataset) == 0:
        raise DataError(f"{label} is empty; at least two samples are needed")
    return DatasetTable(dataset, label, targets=targets)


class DatasetTable:
    """Rows are fetched by item when they are needed; small columns are kept after the first look.

    An item must be the same whenever it is fetched: random augmentation belongs into training, not here.
    """

    def __init__(self, dataset: Dataset[Any], label: str, *, targets: bool = True) -> None:
        self._dataset = dataset
        self._label = label
        self._kept: dict[str, Array] = {}
        self._first = self._item(0)
        if missing := [name for name in ("x", "y") if name not in self._first and (targets or name == "x")]:
            raise DataError(f"items of {label} have no {missing[0]!r}; found {', '.join(self._first)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""
        return tuple(self._first)

    def __len__(self) -> int:
        return len(self._dataset)  # type: ignore[arg-type]

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a column, as the first item has it."""
        return (len(self), *self._first[name].shape)

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of a column's values: of `x` and large columns as the first item has it."""
        if name == "x" or self._first[name].size > _SMALL:
            return self._first[name].dtype
        return self.take(slice(0), [name])[name].dtype

    def take(self, rows: Rows, names: Sequence[str]) -> dict[str, Array]:
        """These rows of these columns; an item is fetched once for all columns that are not kept."""
        small = [name for name in names if name != "x" and self._first[name].size <= _SMALL]
        if len(small) == len(names) and not set(small) <= set(self._kept):
            self._keep()
        if set(names) <= set(self._kept):
            return {name: self._kept[name][rows] for name in names}
        positions = range(len(self))[rows] if isinstance(rows, slice) else rows
        return self._stack([self._item(int(position)) for position in positions], names)

    def _keep(self) -> None:
        small = [name for name, value in self._first.items() if name != "x" and value.size <= _SMALL]
        self._kept = self._stack(
            [{name: item[name] for name in small if name in item} for item in map(self._item, range(len(self)))],
            small,
        )

    def _item(self, position: int) -> dict[str, Array]:
        item = self._dataset[position]
        if isinstance(item, tuple | list) and len(item) == 2:
            item = {"x": item[0], "y": item[1]}
        elif isinstance(item, tuple | list):
            raise DataError(
                f"items of {self._label} are tuples of {len(item)}; expected pairs (x, y), "
                "or dicts with x, y and further fields"
            )
        elif not isinstance(item, Mapping):
            item = {"x": item}
        return {str(name): as_array(value, str(name)) for name, value in item.items()}

    def _stack(self, items: list[dict[str, Array]], names: Sequence[str]) -> dict[str, Array]:
        for name in names:
            if not all(name in item for item in items):
                raise DataError(f"items of {self._label} differ: some have no {name!r}, which the first has")
            shapes = {item[name].shape for item in items}
            if odd := shapes - {self._first[name].shape}:
                raise DataError(
                    f"items of {self._label} differ: {name} has shape {self._first[name].shape} in the first "
                    f"and {odd.pop()} in another; all samples need one shape, so cut, pad or resample them"
                )
        return {
            name: np.stack([item[name] for item in items]) if items else np.empty((0, *self._first[name].shape))
            for name in names
        }
