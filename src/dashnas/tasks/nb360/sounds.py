"""Clips as spectrograms: a drawn chunk of each to train on, all chunks of each to score."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dashnas.data.tables import Array, Rows
from dashnas.tasks.nb360.clips import Clips, read_sound
from dashnas.tasks.nb360.log_mel import BANDS, FRAMES, RATE, log_mel

MASKED, MIXED = 0.5, 0.75
"""How often parts are masked out, and noise is mixed in."""
MOST_NOISE = 0.5
"""Largest share of the noise."""
BAND_SHARE, FRAME_SHARE = 0.15, 0.2
"""Largest share of the bands, and of the frames, that one mask takes."""


def masked(spectrogram: Array, random: np.random.Generator) -> Array:
    """SpecAugment: one or two stripes of bands and as many of frames become the smallest value.

    Reference: Park et al. 2019.
    """
    result, lowest = spectrogram.copy(), spectrogram.min()
    for _ in range(random.integers(1, 3)):
        for axis, share in ((0, BAND_SHARE), (1, FRAME_SHARE)):
            size = spectrogram.shape[axis]
            width = int(random.integers(0, int(share * size) + 1))
            begin = int(random.integers(0, size - width + 1))
            stripe = slice(begin, begin + width)
            result[(stripe, slice(None)) if axis == 0 else (slice(None), stripe)] = lowest
    return result


def cropped(spectrogram: Array, random: np.random.Generator) -> Array:
    """101 frames from a random one on; what is shorter is repeated or, half of the time, filled with its minimum."""
    frames = spectrogram.shape[1]
    if frames < FRAMES:
        if random.random() < 0.5:
            return np.pad(spectrogram, ((0, 0), (0, FRAMES - frames)), mode="wrap")
        return np.pad(spectrogram, ((0, 0), (0, FRAMES - frames)), constant_values=spectrogram.min())
    begin = int(random.integers(0, frames - FRAMES + 1))
    return spectrogram[:, begin : begin + FRAMES]


def transformed(spectrogram: Array, random: np.random.Generator) -> Array:
    """What a spectrogram is trained on: half of the time with masks; 101 frames of it."""
    return cropped(masked(spectrogram, random) if random.random() < MASKED else spectrogram, random)


class ClipTable:
    """A row per clip: of each, training sees a drawn chunk.

    Args:
        clips: where the sound is.
        noise: files of noise to mix in; none leaves it out.
        frames: of a spectrogram, of which those beyond 101 are zeros.
    """

    def __init__(self, clips: Clips, noise: Sequence[Path], frames: int) -> None:
        self._clips = clips
        self._noise = tuple(noise)
        self._frames = frames

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""
        return ("x", "y", "clip")

    def __len__(self) -> int:
        return len(self._clips.labels)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a column, with the samples on the first axis."""
        return (len(self), *_shape(name, self._clips, self._frames))

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of a column's values."""
        return _dtype(name)

    def take(self, rows: Rows, names: Sequence[str]) -> dict[str, Array]:
        """The first chunk of these clips."""
        clips = np.arange(len(self))[rows]
        return _columns(self._clips, clips, np.zeros_like(clips), names, self._frames)

    def draw(self, rows: Array, names: Sequence[str], generators: Sequence[np.random.Generator]) -> dict[str, Array]:
        """A chunk of each of these clips, drawn, masked, and with noise."""
        columns = _columns(self._clips, rows, np.zeros_like(rows), [n for n in names if n != "x"], self._frames)
        if "x" in names:
            drawn = [self._draw(int(row), random) for row, random in zip(rows, generators, strict=True)]
            columns["x"] = _widened(np.stack(drawn)[:, None], self._frames)
        return columns

    def _draw(self, clip: int, random: np.random.Generator) -> Array:
        number = int(random.integers(0, self._clips.counts[clip]))
        x = transformed(log_mel(self._clips.chunk(clip, number)), random)
        if not self._noise or random.random() >= MIXED:
            return x
        share = random.uniform(0, MOST_NOISE)
        mixed: Array = (1 - share) * x + share * transformed(self._draw_noise(random), random)
        return mixed.astype(np.float32)

    def _draw_noise(self, random: np.random.Generator) -> Array:
        """A second of a file of noise; the public codes compute the spectrogram of the whole file first."""
        sound = read_sound(self._noise[int(random.integers(0, len(self._noise)))])
        begin = int(random.integers(0, max(len(sound) - RATE, 0) + 1))
        return log_mel(np.resize(sound[begin : begin + RATE], RATE))


class ChunkTable:
    """A row per chunk, with the number of its clip.

    Args:
        clips: where the sound is.
        frames: of a spectrogram, of which those beyond 101 are zeros.
    """

    def __init__(self, clips: Clips, frames: int) -> None:
        self._clips = clips
        self._frames = frames
        self._clip = np.repeat(np.arange(len(clips.counts)), clips.counts)
        self._number = np.concatenate([np.arange(count) for count in clips.counts])

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""
        return ("x", "y", "clip")

    def __len__(self) -> int:
        return len(self._clip)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a column, with the samples on the first axis."""
        return (len(self), *_shape(name, self._clips, self._frames))

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of a column's values."""
        return _dtype(name)

    def take(self, rows: Rows, names: Sequence[str]) -> dict[str, Array]:
        """These chunks; sound is read only for `x`."""
        return _columns(self._clips, self._clip[rows], self._number[rows], names, self._frames)


def _shape(name: str, clips: Clips, frames: int) -> tuple[int, ...]:
    return {"x": (1, BANDS, frames), "y": (clips.labels.shape[1],)}.get(name, ())


def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype({"x": np.float32, "y": np.uint8}.get(name, np.int64))


def _columns(clips: Clips, which: Array, numbers: Array, names: Sequence[str], frames: int) -> dict[str, Array]:
    columns: dict[str, Array] = {"y": clips.labels[which], "clip": which}
    if "x" in names:
        x = np.empty((len(which), 1, BANDS, FRAMES), np.float32)
        for i, (clip, number) in enumerate(zip(which, numbers, strict=True)):
            x[i, 0] = log_mel(clips.chunk(int(clip), int(number)))
        columns["x"] = _widened(x, frames)
    return {name: columns[name] for name in names}


def _widened(x: Array, frames: int) -> Array:
    return np.pad(x, ((0, 0), (0, 0), (0, 0), (0, frames - FRAMES)))
