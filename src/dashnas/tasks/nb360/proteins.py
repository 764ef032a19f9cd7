"""Proteins as images: maps of their pairs of residues on canvases of one size, or in tiles of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dashnas.data.tables import Array, Rows, Table
from dashnas.errors import DataError
from dashnas.tasks.nb360.protein_files import CHANNELS, read_distances, read_features

PADDING = 5
"""Cells around each map."""
FAR = 100.0
"""Distance of what is no pair of residues, in Angstrom."""
MOST_TRAINED = 16.0
"""Distances are clipped to this in training, in Angstrom."""


def placed(length: int, canvas: int, random: np.random.Generator | None) -> tuple[int, int]:
    """Row and column of the padded map that lie in the corner of a canvas.

    Where the map is larger than the canvas they are drawn, each for itself.
    """
    spare = length + 2 * PADDING - canvas
    if spare <= 0 or random is None:
        return 0, 0
    row, column = random.integers(0, spare + 1, size=2)
    return int(row), int(column)


def on_canvas(maps: Array, canvas: int, fill: float, offset: tuple[int, int]) -> Array:
    """Pad maps (..., length, length), and put what begins at an offset onto a square canvas of a value.

    Returns:
        Shape (..., canvas, canvas).
    """
    around = [(0, 0)] * (maps.ndim - 2) + [(PADDING, PADDING)] * 2
    padded = np.pad(maps, around, constant_values=fill)
    cut = padded[..., offset[0] : offset[0] + canvas, offset[1] : offset[1] + canvas]
    full = np.full((*maps.shape[:-2], canvas, canvas), fill, maps.dtype)
    full[..., : cut.shape[-2], : cut.shape[-1]] = cut
    return full


@dataclass(frozen=True)
class ProteinTable:
    """Proteins, read when they are asked for: to score on a large canvas, to train in a crop of a small one."""

    folder: Path
    """Holds the folders `features` and `distance`."""
    proteins: Sequence[str]
    """Their names."""
    canvas: int
    """Side of what is scored."""
    crop: int
    """Side of what is trained on."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""
        return ("x", "y", "length", "id")

    def __len__(self) -> int:
        return len(self.proteins)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a column of what is scored, with the samples on the first axis."""
        channels = {"x": CHANNELS, "y": 1}
        return (len(self), channels[name], self.canvas, self.canvas) if name in channels else (len(self),)

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of a column's values."""
        return np.dtype(np.float32 if name in ("x", "y") else np.int64)

    def take(self, rows: Rows, names: Sequence[str]) -> dict[str, Array]:
        """These proteins as a whole, with their true distances."""
        places = np.arange(len(self))[rows]
        return self._stack([self._read(row, names, self.canvas, None) for row in places], names)

    def draw(self, rows: Array, names: Sequence[str], generators: Sequence[np.random.Generator]) -> dict[str, Array]:
        """Crops of these proteins, with distances clipped."""
        drawn = [self._read(row, names, self.crop, random) for row, random in zip(rows, generators, strict=True)]
        columns = self._stack(drawn, names)
        return columns | ({"y": np.minimum(columns["y"], MOST_TRAINED)} if "y" in columns else {})

    def _stack(self, samples: list[dict[str, Any]], names: Sequence[str]) -> dict[str, Array]:
        if not samples:
            return {name: np.empty((0, *self.shape(name)[1:]), self.dtype(name)) for name in names}
        return {name: np.asarray([sample[name] for sample in samples], self.dtype(name)) for name in names}

    def _read(self, row: int, names: Sequence[str], canvas: int, random: np.random.Generator | None) -> dict[str, Any]:
        path = self.folder / "distance" / f"{self.proteins[row]}-cb.npy"
        distances = read_distances(path)
        length = len(distances)
        if random is None and length + 2 * PADDING > canvas:
            raise DataError(
                f"{path} is of a protein of {length} residues, of which only {canvas - 2 * PADDING} can be scored; "
                "take it out of the list"
            )
        offset = placed(length, canvas, random)
        sample: dict[str, Any] = {"length": length, "id": row}
        if "y" in names:
            sample["y"] = on_canvas(distances[None], canvas, FAR, offset)
        if "x" in names:
            file = self.folder / "features" / f"{self.proteins[row]}.pkl"
            features = read_features(file)
            if features.shape[1] != length:
                raise DataError(f"{file} is of {features.shape[1]} residues but {path} of {length}")
            sample["x"] = on_canvas(features, canvas, 0, offset)
        return sample


@dataclass(frozen=True)
class TileTable:
    """The canvases of a table, cut into square tiles that do not overlap, row by row."""

    whole: Table
    tile: int
    """Side of a tile; the canvas is a multiple of it."""

    @property
    def per_map(self) -> int:
        """Tiles of a canvas."""
        return (self.whole.shape("x")[-1] // self.tile) ** 2

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""
        return self.whole.names

    def __len__(self) -> int:
        return len(self.whole) * self.per_map

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a column, with the samples on the first axis."""
        own = self.whole.shape(name)
        return (len(self), own[1], self.tile, self.tile) if name in ("x", "y") else (len(self), *own[1:])

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of a column's values."""
        return self.whole.dtype(name)

    def take(self, rows: Rows, names: Sequence[str]) -> dict[str, Array]:
        """These tiles; a canvas is read once for all tiles of it."""
        places = np.arange(len(self))[rows]
        maps, which = np.unique(places // self.per_map, return_inverse=True)
        taken = self.whole.take(maps, names)
        return {name: self._cut(taken[name], which, places % self.per_map, name) for name in names}

    def _cut(self, values: Array, which: Array, number: Array, name: str) -> Array:
        if name not in ("x", "y"):
            return values[which]
        side = values.shape[-1] // self.tile
        cut = np.empty((len(which), values.shape[1], self.tile, self.tile), values.dtype)
        for i, (sample, place) in enumerate(zip(which, number, strict=True)):
            row, column = self.tile * np.array(divmod(place, side))
            cut[i] = values[sample, :, row : row + self.tile, column : column + self.tile]
        return cut
