"""What an official task of NAS-Bench-360 is, where its files lie, and what all readers of such files share."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.data.split import Indices
from dashnas.data.tables import Array
from dashnas.data.task_data import CLEAN, TaskData
from dashnas.errors import DataError
from dashnas.storage import cache_folder
from dashnas.tasks.synthetic import synthetic_warnings

Read = Callable[[Path, str, int], TaskData]
"""(folder of the files, protocol, seed) to the data."""


@dataclass(frozen=True, kw_only=True)
class OfficialTask:
    """One of the ten data sets of NAS-Bench-360, read from the files that the benchmark published."""

    name: str
    """As on the command line."""
    description: str
    """One line: what is measured, what is to be predicted."""
    about: str | None
    """The docstring of its module: the files, the division, what protocols differ in; None under `python -OO`."""
    kind: TargetKind
    """What is predicted."""
    metric: str
    """Name of the metric of the protocol `clean`, which `published` is in too."""
    shapes: Mapping[str, tuple[int, ...]]
    """Of the inputs and targets of a network: `x`, `y`, and `x_test`, `y_test`, with the official numbers of samples,
    training and validation together."""
    classes: int | None = None
    """How many different classes `y` has; None for other kinds of targets."""
    samples: Mapping[str, int]
    """How many samples each part has under the protocol `clean`, of the official files."""
    licence: str
    """Of the data."""
    megabytes: float
    """Of the official files together, about."""
    files: tuple[str, ...]
    """What has to lie in its folder."""
    published: Mapping[str, float] = field(default_factory=dict)
    """Method to score, from the papers' tables; how comparable they are tells docs/nas-bench-360.md."""
    read: Read
    """Reads the files."""

    @property
    def dims(self) -> int:
        """1 for signals, 2 for images and fields."""
        return len(self.shapes["x"]) - 2

    @property
    def source(self) -> str:
        """Where the data come from, in a word."""
        return "NAS-Bench-360"


@dataclass(frozen=True)
class OfficialSource:
    """An official task, as `fit` takes it: the files are looked for when they are read."""

    task: OfficialTask

    @property
    def name(self) -> str:
        """Of the task."""
        return self.task.name

    def task_data(self, protocol: str, seed: int) -> TaskData:
        """Read and divide the files.

        Raises:
            DataError: files are missing, damaged or hold something else.
        """
        folder = official_folder(self.name)
        data = self.task.read(folder, protocol, seed)
        return replace(data, warnings=(*data.warnings, *synthetic_warnings(folder)))


def official_folder(name: str) -> Path:
    """Where the official files of a task lie, or are to be placed: $DASHNAS_DATA/NAME, else a place in the cache."""
    if folder := os.environ.get("DASHNAS_DATA"):
        return Path(folder) / name
    return cache_folder() / "official" / name


def check_official(task: OfficialTask) -> Path:
    """Check that the files of an official task are there and hold as many samples as they should.

    Returns:
        Their folder.

    Raises:
        DataError: they do not; the message names all that is wrong.
    """
    folder = official_folder(task.name)
    data = task.read(folder, CLEAN, 0)
    samples = {"training": data.train, "validation": data.validation, "test": data.test}
    wrong = [
        f"{len(samples[part].rows)} {part} samples, expected {expected}"
        for part, expected in task.samples.items()
        if len(samples[part].rows) != expected
    ]
    if wrong:
        raise DataError(f"{folder} is not the whole of {task.name}: {'; '.join(wrong)}")
    return folder


def find_file(folder: Path, *names: str) -> Path:
    """The first of these files or folders that is there.

    Raises:
        DataError: none is; the message says what to place where.
    """
    for name in names:
        if (path := folder / name).exists():
            return path
    either = " or ".join(names)
    raise DataError(
        f"{folder.name} needs {either} in {folder}, where there is none; give `dashnas tasks fetch {folder.name}`, or "
        "place it there by hand: docs/official-files.md says where it comes from"
    )


def need_keys(content: Any, keys: Iterable[str], path: Path) -> Mapping[str, Any]:
    """A mapping that holds these keys.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(content, Mapping):
        raise DataError(f"{path} holds {type(content).__name__}; expected a dictionary with {', '.join(keys)}")
    if missing := [key for key in keys if key not in content]:
        found = ", ".join(sorted(map(str, content))) or "nothing"
        raise DataError(f"{path} has no {missing[0]!r}; found: {found}; it is another file than expected")
    return content


def need_shape(array: Any, shape: tuple[int | None, ...], what: str, path: Path) -> Array:
    """An array of numbers of this shape; None is any length.

    Raises:
        DataError: it is something else.
    """
    values = np.asarray(array)
    fits = values.ndim == len(shape) and all(b in (None, a) for a, b in zip(values.shape, shape, strict=True))
    if values.dtype.kind not in "biuf" or not fits:
        expected = "x".join("n" if size is None else str(size) for size in shape)
        raise DataError(
            f"{what} in {path} has shape {values.shape} and type {values.dtype}; expected numbers, {expected}"
        )
    return values


def need_labels(labels: Any, samples: int, classes: int, what: str, path: Path, *, first: int = 0) -> Array:
    """Integers from 0, one per sample.

    Args:
        labels: as they are in the file.
        samples: how many there must be.
        classes: how many different ones there may be.
        what: they are called, for messages.
        path: the file, for messages.
        first: the smallest label in the file.

    Raises:
        DataError: they are something else.
    """
    values = need_shape(np.reshape(labels, -1) if np.size(labels) == samples else labels, (samples,), what, path)
    codes = values.astype(np.int64) - first
    if (codes + first != values).any() or codes.min(initial=0) < 0 or codes.max(initial=0) >= classes:
        raise DataError(f"{what} in {path} has values other than the integers {first} to {first + classes - 1}")
    return codes


def need_binary(labels: Any, shape: tuple[int | None, ...], what: str, path: Path) -> Array:
    """Zeros and ones.

    Raises:
        DataError: they are something else.
    """
    values = need_shape(labels, shape, what, path)
    if not np.isin(values, (0, 1)).all():
        raise DataError(f"{what} in {path} has values other than 0 and 1")
    return values.astype(np.uint8)


def need_finite(array: Array, what: str, path: Path) -> Array:
    """Numbers without NaN and infinity.

    Raises:
        DataError: there are some.
    """
    if bad := int(np.count_nonzero(~np.isfinite(array))):
        raise DataError(f"{what} in {path} has {bad} values that are NaN or infinite; the file is damaged")
    return array


def share(samples: int, held: int, of: int) -> int:
    """How many samples are held out: `held` of an official file of `of` samples, of others in proportion."""
    return max(samples * held // of, 1)


def shuffled(samples: int, seed: int) -> Indices:
    """A permutation that is the same with every version of NumPy, which `Generator` does not promise."""
    return np.random.RandomState(seed).permutation(samples).astype(np.int64)
