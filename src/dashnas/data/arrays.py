"""Named arrays, as they come from a file or from Python, sorted into the parts of a data set."""

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from dashnas.data.tables import Array, ArrayTable, Table
from dashnas.errors import DataError

SUFFIXES = {"train": "", "validation": "_val", "test": "_test"}
"""How the arrays of each part are called: `x`, `x_val`, `x_test`."""
ROLES = ("x", "y", "mask", "group", "lengths")
"""Arrays with a meaning of their own; all others travel with the samples as fields."""
_KNOWN = tuple(role + suffix for suffix in SUFFIXES.values() for role in ROLES)


def as_array(value: Any, name: str) -> Array:
    """What the user handed over, as a NumPy array of a plain type; memory maps stay memory maps."""
    if isinstance(value, torch.Tensor):
        value = _from_tensor(value, name)
    if np.ma.isMaskedArray(value):
        raise DataError(
            f"{name} is a numpy masked array, whose mask would be lost; "
            f"give {name}.filled(...) and, for dense targets, the mask as an array of its own"
        )
    try:
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
    except ValueError as error:
        raise DataError(f"{name} is not an array: {error}; give rows of equal length") from None
    if array.dtype.kind == "S":
        return _decoded(array, name)
    return _without_objects(array, name) if array.dtype.hasobject else array


def _from_tensor(tensor: torch.Tensor, name: str) -> Array:
    try:
        plain = tensor.detach().cpu().resolve_conj()
        return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    except (TypeError, RuntimeError) as error:  # sparse, nested, quantised, without values, of 8-bit floats
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{name} is a tensor that NumPy cannot hold ({reason}); give a dense one of plain numbers, "
            f"as {name}.to_dense().float() may be"
        ) from None


def _decoded(array: Array, name: str) -> Array:
    try:
        return np.char.decode(array, "utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{name} holds bytes that are not UTF-8 text; give strings, or integers") from None


def _without_objects(array: Array, name: str) -> Array:
    """Strings and numbers that only came wrapped as Python objects, as a column of a pandas frame does."""
    values = array.ravel().tolist()
    if values and all(isinstance(value, str) for value in values):
        return array.astype(str)
    if values and all(isinstance(value, int | float | np.number | np.bool_) for value in values):
        return np.array(values).reshape(array.shape)
    odd = sorted({type(value).__name__ for value in values})
    raise DataError(
        f"{name} holds Python objects of the types {odd}; expected numbers, or strings as labels; "
        f"convert it, as in {name}.astype(float) or {name}.astype(str)"
    )


def tables_from_arrays(
    arrays: Mapping[str, Any], origin: str, *, targets: bool = True
) -> tuple[dict[str, Table], list[str]]:
    """Sort arrays by name into the parts train, validation and test.

    Args:
        arrays: `x`, `y`, and optionally `mask`, `group`, `lengths` and further fields, and the same ending in
            `_val` and `_test` for given parts.
        origin: where they come from, for messages.
        targets: whether `y` must be there.

    Returns:
        A table per part, and warnings about arrays that were left out or whose names look mistaken.

    Raises:
        DataError: an array that is needed is missing, or does not have a row per sample.
    """
    plain = {str(name): as_array(value, str(name)) for name, value in arrays.items()}
    suffixes = {part: end for part, end in SUFFIXES.items() if part == "train" or "x" + end in plain}
    for part, suffix in suffixes.items():
        _need("x" + suffix, plain, origin)
        if targets:
            _need("y" + suffix, plain, origin)
        _check_rows(plain, suffix, part)
    if orphans := [k for k in _KNOWN if k in plain and not any(_owns(s, k) for s in suffixes.values())]:
        raise DataError(
            f"{orphans[0]} in {origin} comes without x_{orphans[0].split('_')[1]}; "
            "a given part needs its inputs too, so add them or take it out"
        )
    tables, used = {}, set()
    for part, suffix in suffixes.items():
        names = _columns(plain, suffix, tuple(suffixes.values()))
        used |= set(names.values())
        tables[part] = ArrayTable({column: plain[name] for column, name in names.items()})
    return dict(tables), _name_warnings(plain, used)


def _owns(suffix: str, name: str) -> bool:
    return name in {role + suffix for role in ROLES}


def _need(name: str, arrays: Mapping[str, Array], origin: str) -> None:
    if name not in arrays:
        found = ", ".join(sorted(arrays)) or "nothing"
        raise DataError(
            f"no array {name!r} in {origin}; found: {found}; inputs are called x and targets y "
            "(x_val, y_val, x_test and y_test for given parts), so rename yours"
        )
    if arrays[name].ndim == 0:
        raise DataError(f"{name} in {origin} is a single value; expected an array with a row per sample")


def _check_rows(arrays: Mapping[str, Array], suffix: str, part: str) -> None:
    samples = len(arrays["x" + suffix])
    for name in (role + suffix for role in ROLES if role + suffix in arrays):
        rows = len(arrays[name]) if arrays[name].ndim else 0
        if rows != samples:
            raise DataError(
                f"x{suffix} has {samples} samples but {name} has {rows} (shape {arrays[name].shape}); "
                "both need one row per sample, in the same order"
            )


def _columns(arrays: Mapping[str, Array], suffix: str, suffixes: tuple[str, ...]) -> dict[str, str]:
    """Column name to array name, of the part with this suffix."""
    samples = len(arrays["x" + suffix])
    columns = {}
    for name, array in arrays.items():
        own = next((s for s in suffixes if s and name.endswith(s)), "")
        if own == suffix and array.ndim and len(array) == samples:
            columns[name.removesuffix(suffix) if suffix else name] = name
    return columns


def _name_warnings(arrays: Mapping[str, Array], used: set[str]) -> list[str]:
    warnings = []
    for name, array in arrays.items():
        if name in _KNOWN:
            continue
        near = difflib.get_close_matches(name.lower(), _KNOWN, n=1, cutoff=0.8)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        if name not in used:
            warnings.append(f"array {name!r} {array.shape} has no row per sample and is left out{hint}")
        elif hint:
            warnings.append(f"array {name!r} only travels along as a field{hint}")
    return warnings
