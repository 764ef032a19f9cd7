"""Clips of sound, cut into chunks of a second: as FSD50K's chunks lie in files, or from the clips themselves."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import scipy.io.wavfile
import scipy.signal

from dashnas.data.tables import Array
from dashnas.errors import DataError
from dashnas.tasks.nb360.log_mel import RATE

HOP = RATE // 2
"""Distance of the chunks of a clip."""


class Clips(Protocol):
    """Labelled clips, each of one or more chunks."""

    @property
    def labels(self) -> Array:
        """(clips, labels), 0 and 1."""

    @property
    def counts(self) -> Array:
        """How many chunks each clip has."""

    def chunk(self, clip: int, number: int) -> Array:
        """A second of a clip, (22050,), from -1 to 1."""


def starts(samples: int) -> list[int]:
    """Where the chunks of a clip begin: every half second; a clip of less than a second has one."""
    return [0] if samples < RATE else list(range(0, samples, HOP))


def cut(sound: Array, number: int) -> Array:
    """A chunk of a clip; what ends early is repeated until it is long enough."""
    begin = starts(len(sound))[number]
    return np.resize(sound[begin : begin + RATE], RATE)


@dataclass(frozen=True)
class ChunkFiles:
    """Chunks that lie in files, one each."""

    labels: Array
    files: Sequence[Sequence[Path]]
    """Of each clip."""

    @cached_property
    def counts(self) -> Array:
        """How many chunks each clip has."""
        return np.array([len(files) for files in self.files])

    def chunk(self, clip: int, number: int) -> Array:
        """A second of a clip."""
        return np.resize(read_sound(self.files[clip][number]), RATE)


@dataclass(frozen=True)
class ClipFiles:
    """Whole clips at any rate, cut when they are asked for."""

    labels: Array
    files: Sequence[Path]

    @cached_property
    def counts(self) -> Array:
        """How many chunks each clip has."""
        return np.array([len(starts(_length(path))) for path in self.files])

    def chunk(self, clip: int, number: int) -> Array:
        """A second of a clip."""
        return cut(read_sound(self.files[clip]), number)


def read_chunks(folder: Path, manifest: str) -> ChunkFiles:
    """The chunks that a manifest lists.

    Args:
        folder: holds `lbl_map.json` and the manifest, with the columns `files`, `labels` and `ext`.
        manifest: its name.

    Raises:
        DataError: something is missing, or a label is unknown.
    """
    path = folder / manifest
    numbers = _label_numbers(folder / "lbl_map.json")
    known = {file.name: file for file in sorted(folder.rglob("*.wav"))}
    files: dict[str, list[Path]] = {}
    names: dict[str, str] = {}
    for row in _rows(path, ("files", "labels", "ext")):
        files.setdefault(row["ext"], []).append(_resolved(row["files"], folder, known, path))
        names[row["ext"]] = row["labels"]
    return ChunkFiles(_multi_hot(list(names.values()), numbers, path), list(files.values()))


def read_clips(folder: Path, part: str) -> ClipFiles:
    """The clips of the data set as its makers publish it: `FSD50K.dev_audio`, `FSD50K.ground_truth` and so on.

    Args:
        folder: holds these folders.
        part: `train`, `val` or `test`.

    Raises:
        DataError: something is missing, or a label is unknown.
    """
    truth = folder / "FSD50K.ground_truth"
    numbers = {row["label"]: int(row["index"]) for row in _vocabulary(truth / "vocabulary.csv")}
    table = "eval" if part == "test" else "dev"
    path = truth / f"{table}.csv"
    rows = _rows(path, ("fname", "labels") if part == "test" else ("fname", "labels", "split"))
    rows = [row for row in rows if part == "test" or row["split"] == part]
    files = [folder / f"FSD50K.{table}_audio" / f"{row['fname']}.wav" for row in rows]
    if missing := [file for file in files if not file.exists()]:
        raise DataError(
            f"{path} lists {missing[0].name}, which is not in {missing[0].parent}; unpack the archive again"
        )
    return ClipFiles(_multi_hot([row["labels"] for row in rows], numbers, path), files)


def read_sound(path: Path) -> Array:
    """The samples of a wave file from -1 to 1, of one channel, 22,050 a second.

    Raises:
        DataError: it is damaged, or no wave file of 16-bit integers.
    """
    rate, samples = _wave(path)
    sound = samples.astype(np.float32) / 2**15
    mono = sound.mean(axis=1) if sound.ndim == 2 else sound
    if not len(mono):
        raise DataError(f"{path} holds no samples")
    if rate == RATE:
        return mono
    divisor = int(np.gcd(rate, RATE))
    resampled: Array = scipy.signal.resample_poly(mono, RATE // divisor, rate // divisor).astype(np.float32)
    return resampled


def _length(path: Path) -> int:
    """Samples of a clip after it is brought to 22,050 a second."""
    rate, samples = _wave(path)
    return -(-len(samples) * RATE // rate)


def _wave(path: Path) -> tuple[int, Array]:
    try:
        rate, samples = scipy.io.wavfile.read(path, mmap=True)
    except Exception as error:  # damaged headers raise many kinds
        raise DataError(f"{path} is damaged, cut short or no wave file ({error})") from error
    if samples.dtype != np.int16:
        raise DataError(f"{path} has samples of the type {samples.dtype}; expected a wave file of 16-bit integers")
    return int(rate), samples


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from error
    if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
        raise DataError(
            f"{path} has no column {missing[0]!r}; found: {', '.join(reader.fieldnames or ()) or 'nothing'}"
        )
    if not rows:
        raise DataError(f"{path} lists nothing")
    return rows


def _vocabulary(path: Path) -> list[dict[str, str]]:
    """The rows of FSD50K's own list of labels, which has no header."""
    try:
        with path.open(newline="") as file:
            return list(csv.DictReader(file, fieldnames=["index", "label", "mid"]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from error


def _label_numbers(path: Path) -> dict[str, int]:
    try:
        content = json.loads(path.read_text())
        return {str(name): int(number) for name, number in content.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{path} cannot be read as a map from labels to numbers: {error}") from error


def _multi_hot(names: Sequence[str], numbers: dict[str, int], path: Path) -> Array:
    if sorted(numbers.values()) != list(range(len(numbers))):
        raise DataError(f"the labels of {path} are not numbered from 0 on")
    hot = np.zeros((len(names), len(numbers)), np.uint8)
    for row, text in enumerate(names):
        for name in text.split(","):
            if name not in numbers:
                raise DataError(f"{path} has a label {name!r}, which the list of labels lacks")
            hot[row, numbers[name]] = 1
    return hot


def _resolved(name: str, folder: Path, known: dict[str, Path], manifest: Path) -> Path:
    """A chunk's file: as given, else seen from the folder above the chunks, else wherever its name is found."""
    for path in (Path(name), folder.parent / name):
        if path.is_file():
            return path
    if (base := Path(name).name) not in known:
        raise DataError(f"{manifest} lists {name}, which is not below {folder}; unpack the archive again")
    return known[base]
