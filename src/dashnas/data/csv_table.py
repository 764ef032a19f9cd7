"""Arrays from a `.csv` file: a header, then a row per sample."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dashnas.data.arrays import SUFFIXES
from dashnas.data.tables import Array
from dashnas.errors import DataError

TARGET_NAMES = ("y", "label", "target", "class")
"""A column of one of these names, in any case, is the target; without one the last column is."""
_MISSING = ("", "na", "n/a", "null", "none", "nan")
_PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def read_csv(path: Path, *, length: int | None = None) -> dict[str, Array]:
    """Arrays x, y, and group where there is such a column, from a file with a row per sample.

    The target is the column `y`, `label`, `target` or `class`, else the last one; `group` says which samples
    belong together; `split` says which part a sample is in (train, val or test). All others are numbers that
    make up a signal of one channel, in the order of the columns. The delimiter is a comma, semicolon or tab.

    Args:
        path: the file.
        length: signal length that a trained model expects: the last column is then a target only if there is
            one column too many. None when training.

    Raises:
        DataError: the file cannot be read, or a column is not what it should be.
    """
    header, rows = _read_cells(path)
    columns = {name: [row[i].strip() for row in rows] for i, name in enumerate(header)}
    special = {lower: name for name in header if (lower := name.lower()) in ("group", "split")}
    target = _target(header, special, path, length)
    features = [name for name in header if name != target and name not in special.values()]
    if not features:
        raise DataError(
            f"{path} has no column of inputs; found only {header}; cells are told apart by commas, semicolons or tabs"
        )
    _check_first_line(features, target, columns, path)
    arrays = {"x": np.stack([_numbers(columns[name], name, path) for name in features], axis=1)}
    if target is not None and length is None:
        arrays["y"] = _labels_or_numbers(columns[target], target, path)
    if "group" in special:
        arrays["group"] = np.array(columns[special["group"]])
    return _divide(arrays, columns[special["split"]], path) if "split" in special else arrays


def _read_cells(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.reader(file, delimiter=delimiter)
            lines = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as .csv text ({error}); save it as plain UTF-8") from None
    lines = [(number, row) for number, row in lines if any(cell.strip() for cell in row)]
    if len(lines) < 2:
        raise DataError(f"{path} is empty: expected a header with column names, then a row per sample")
    header = [cell.strip() for cell in lines[0][1]]
    for number, row in lines[1:]:
        if len(row) != len(header):
            raise DataError(
                f"{path}, line {number}: {len(row)} cells where the header has {len(header)}; "
                "every row needs a cell per column"
            )
    _check_header(header, path)
    return header, [row for _, row in lines[1:]]


def _check_header(header: Sequence[str], path: Path) -> None:
    if all(_is_number(name) for name in header):
        raise DataError(f"{path} has no header: its first line holds numbers only; add a line of column names")
    if "" in header:
        raise DataError(
            f"{path}: column {header.index('') + 1} has no name; name it, or take it out "
            "(pandas writes row numbers as such a column, unless it is told index=False)"
        )
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise DataError(f"{path} has several columns called {repeated[0]!r}; names must differ")


def _check_first_line(features: Sequence[str], target: str | None, columns: dict[str, list[str]], path: Path) -> None:
    """Names may be numbers, such as wavelengths; but then the target's own name is none of its values."""
    if target is not None and target in columns[target] and all(_is_number(name) for name in features):
        raise DataError(
            f"{path} has no header: its first line holds numbers and {target!r}, which is also a target further down; "
            "add a line of column names"
        )


def _target(header: list[str], special: dict[str, str], path: Path, length: int | None) -> str | None:
    named = [name for name in header if name.lower() in TARGET_NAMES]
    if len(named) > 1:
        raise DataError(
            f"{path} has {len(named)} columns that could be the target: {', '.join(named)}; rename all but one"
        )
    if named:
        return named[0]
    others = [name for name in header if name not in special.values()]
    if length is not None and len(others) != length + 1:
        return None
    return others[-1] if others else None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(cells: list[str], name: str, path: Path) -> Array:
    filled = ["nan" if cell.lower() in _MISSING else cell for cell in cells]
    try:
        return np.array(filled).astype(np.float64)
    except ValueError:
        row = next(i for i, cell in enumerate(filled) if not _is_number(cell))
    raise DataError(
        f"{path}: column {name!r} holds {cells[row]!r} in sample {row}, which is not a number; "
        "inputs must be numbers, so encode or remove this column"
    )


def _labels_or_numbers(cells: list[str], name: str, path: Path) -> Array:
    missing = [cell.lower() in _MISSING for cell in cells]
    if all(gone or _is_number(cell) for cell, gone in zip(cells, missing, strict=True)):
        lacking = missing.index(True) if any(missing) else None
    else:  # among words, "none" may be a label as good as any
        lacking = cells.index("") if "" in cells else None
    if lacking is not None:
        raise DataError(f"{path}: column {name!r} lacks the target of sample {lacking}; fill it or drop the row")
    for kind in (np.int64, np.float64):
        try:
            return np.array(cells).astype(kind)
        except (ValueError, OverflowError):
            continue
    return np.array(cells)


def _divide(arrays: dict[str, Array], parts: list[str], path: Path) -> dict[str, Array]:
    if unknown := sorted({part for part in parts if part.lower() not in _PARTS}):
        raise DataError(f"{path}: unknown part {unknown[0]!r} in column 'split'; known: train, val, test")
    assigned = np.array([_PARTS[part.lower()] for part in parts])
    if "train" not in assigned:
        raise DataError(f"{path}: no sample is marked 'train' in column 'split'")
    return {
        name + suffix: array[assigned == part]
        for part, suffix in SUFFIXES.items()
        if part in assigned
        for name, array in arrays.items()
    }
