"""Lists of series of unequal length, as Python has them, made into padded arrays with their lengths."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dashnas.data.arrays import SUFFIXES, as_array
from dashnas.data.tables import Array
from dashnas.errors import DataError


def pad_lists(arrays: Mapping[str, Any], *, always: bool = False) -> dict[str, Any]:
    """Make a padded array, and `lengths`, of every `x` that is a list of series; targets per position go along.

    Args:
        arrays: what the user calls them, to lists or to anything else, which stays as it is.
        always: take lists for series also where all of them are of one length.

    Raises:
        DataError: items are no series, differ in their channels, or their targets are not as long as they are.
    """
    made = {name: _as_list(value) for name, value in arrays.items()}
    lists = {suffix: made["x" + suffix] for suffix in SUFFIXES.values() if _is_filled_list(made.get("x" + suffix))}
    if not always and not any(map(_are_unequal, lists.values())):
        return made
    for suffix, series in lists.items():
        x, lengths = "x" + suffix, "lengths" + suffix
        if lengths in made and not _are_unequal(series):
            continue  # an array that is padded already, as nested lists
        if lengths in made:
            raise DataError(f"{x} is a list, whose series have a length each, so there is no need of {lengths}")
        made[x], made[lengths] = pad_series(series, x)
        for name in ("y" + suffix, "mask" + suffix):
            if _are_unequal(made.get(name)):
                made[name] = _pad_like(made[name], name, made[lengths], x)
    return made


def _as_list(value: Any) -> Any:
    """A list for a tuple, and for the array of objects that NumPy makes of series; else the value itself."""
    objects = isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1
    return list(value) if isinstance(value, tuple) or (objects and any(_shape(v) != () for v in value)) else value


def _is_filled_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _are_unequal(value: Any) -> bool:
    return isinstance(value, list) and len({_shape(item) for item in value}) > 1


def _shape(item: Any) -> tuple[int, ...] | None:
    try:
        return tuple(item.shape) if hasattr(item, "shape") else np.shape(item)
    except ValueError:  # unequal within; `as_array` says what it thinks of it
        return None


def pad_series(items: Sequence[Any], name: str) -> tuple[Array, Array]:
    """Series of one array each as rows of one array.

    Args:
        items: arrays (length,) or (channels, length), all with the same channels.
        name: what the user calls them, for messages.

    Returns:
        Shape (n, longest) or (n, channels, longest), with zeros behind each series; and the lengths, (n,).

    Raises:
        DataError: items are something else.
    """
    series = [as_array(item, f"{name}[{i}]") for i, item in enumerate(items)]
    for i, one in enumerate(series):
        if one.ndim not in (1, 2) or 0 in one.shape or one.ndim != series[0].ndim:
            raise DataError(
                f"{name}[{i}] has the shape {one.shape} and {name}[0] {series[0].shape}; a list of series has "
                "arrays (length,) or (channels, length), all of as many axes and none empty"
            )
        if one.shape[:-1] != series[0].shape[:-1]:
            last = {each.shape[-1] for each in series} == {series[0].shape[-1]}
            turn = f"; if channels are on the last axis, give [s.T for s in {name}]" if last else ""
            raise DataError(
                f"{name}[{i}] has the shape {one.shape} and {name}[0] {series[0].shape}; all series need the same "
                f"channels, (channels, length){turn}"
            )
    lengths = np.array([one.shape[-1] for one in series])
    padded = np.zeros((len(series), *series[0].shape[:-1], lengths.max()), np.result_type(*series))
    for row, one in zip(padded, series, strict=True):
        row[..., : one.shape[-1]] = one
    return padded, lengths


def _pad_like(items: Sequence[Any], name: str, lengths: Array, x: str) -> Array:
    padded, own = pad_series(items, name)
    if len(own) == len(lengths) and len(odd := np.flatnonzero(own != lengths)):
        i = odd[0]
        raise DataError(f"{name}[{i}] has {own[i]} positions but {x}[{i}] {lengths[i]}; expected a value at each")
    return padded
