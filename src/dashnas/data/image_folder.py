"""A folder of images per class: found when it is read, decoded when a batch asks for it."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dashnas.data.image_files import SUFFIXES, cut, decode, look_at, middle, random_box
from dashnas.data.tables import Array, Rows, Table
from dashnas.errors import DataError

USUAL_SIZE = 224
"""Height and width of images that are not all alike, unless another is asked for."""
LOOKED_AT = 2000
"""Images, evenly spaced, of which size and colours are looked at before any is decoded."""
SCALED_BY = 4096
"""Training images, evenly spaced, that mean and spread of the channels are taken from."""
_PARTS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
_THREADS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """How image files become arrays of one shape."""

    size: int | None = None
    """Height and width; None leaves images as they are if they are alike, else `USUAL_SIZE`."""
    augment: bool = False
    """Cut out and mirror at random in training."""


@dataclass(frozen=True)
class Form:
    """What all images of a table are made to be."""

    channels: int
    """1 for grey, 3 for colours."""
    height: int
    width: int


class ImageTable:
    """Image files and the names of their classes; `x` is decoded when it is asked for.

    Args:
        files: of the samples.
        labels: name of the class of each; none where there are no targets.
        form: what the images are made to be.
    """

    def __init__(self, files: Sequence[Path], labels: Array | None, form: Form) -> None:
        self._files = files
        self._labels = labels
        self._form = form

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""
        return ("x",) if self._labels is None else ("x", "y")

    def __len__(self) -> int:
        return len(self._files)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a column, with the samples on the first axis."""
        return (len(self), self._form.channels, self._form.height, self._form.width) if name == "x" else (len(self),)

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of a column's values."""
        return np.dtype(np.uint8) if name == "x" or self._labels is None else self._labels.dtype

    def take(self, rows: Rows, names: Sequence[str]) -> dict[str, Array]:
        """These rows of these columns, images from their middle; only asking for `x` reads files.

        Raises:
            DataError: a file is damaged.
        """
        return self._columns(rows, names, None)

    def _columns(
        self, rows: Rows, names: Sequence[str], generators: Sequence[np.random.Generator] | None
    ) -> dict[str, Array]:
        taken: dict[str, Array] = {}
        if "y" in names and self._labels is not None:
            taken["y"] = self._labels[rows]
        if "x" in names:
            positions = np.arange(len(self))[rows]
            drawn: Sequence[np.random.Generator | None] = generators or [None] * len(positions)
            taken["x"] = np.empty((len(positions), *self.shape("x")[1:]), np.uint8)
            # Pillow lets other threads run while it decodes.
            with ThreadPoolExecutor(_THREADS) as pool:
                for row, image in enumerate(pool.map(self._image, positions, drawn)):
                    taken["x"][row] = image
        return taken

    def _image(self, position: int, random: np.random.Generator | None) -> Array:
        image = decode(self._files[position], self._form.channels)
        wanted = (self._form.height, self._form.width)
        if random is None:
            return cut(image, middle(*image.size, wanted), wanted)
        shown = cut(image, random_box(*image.size, random), wanted)
        return shown[:, :, ::-1] if random.random() < 0.5 else shown


class AugmentedImageTable(ImageTable):
    """Images that are trained on cut out at random and mirrored half of the time."""

    def draw(self, rows: Array, names: Sequence[str], generators: Sequence[np.random.Generator]) -> dict[str, Array]:
        """These rows of these columns, each image a function of its own generator alone."""
        return self._columns(rows, names, generators)


def is_image_folder(folder: Path) -> bool:
    """Whether there is an image in it, in a folder of it, or one level deeper."""
    return any(True for pattern in ("*", "*/*", "*/*/*") for path in folder.glob(pattern) if _is_image(path))


def read_image_folder(
    folder: Path, config: ImageConfig, *, trained: tuple[int, tuple[int, ...]] | None = None
) -> tuple[dict[str, Table], list[str]]:
    """Find the images and their classes, which are the names of the folders that they lie in.

    Args:
        folder: holds a folder per class, or such folders in `train`, and in `val` and `test` where they are given.
        config: how they become arrays of one shape.
        trained: channels and spatial shape that a trained model takes; there need be no classes then.

    Returns:
        A table per part, and warnings about files and classes that were left out.

    Raises:
        DataError: no class has images, or an image cannot be read.
    """
    parts = _parts(folder)
    found: dict[str, tuple[list[Path], Array | None]] = {}
    others: list[Path] = []
    warnings = []
    for part, inside in parts.items():
        files, labels, left_out = _files(inside)
        others += left_out
        if labels is not None and (empty := sorted({path.name for path in _folders(inside)}.difference(labels))):
            warnings.append(f"left out {', '.join(empty)} in {inside}: no class without images; add some, or remove it")
        if trained is not None and not files:
            files, labels = [path for path in sorted(inside.iterdir()) if _is_image(path)], None
        if not files:
            raise DataError(f"{inside} holds no folder of images per class; expected {inside / 'NAME-OF-CLASS'}/*.jpg")
        found[part] = files, labels
    form = _form_of_model(*trained) if trained is not None else _common_form(found["train"][0], config)
    table = AugmentedImageTable if config.augment and trained is None else ImageTable
    if others:
        count = "1 file" if len(others) == 1 else f"{len(others)} files"
        warnings.append(f"left out {count} beside the images, such as {others[0]}")
    return {part: table(*columns, form) for part, columns in found.items()}, warnings


def evenly_spaced(rows: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """All rows, or so many of them from the first to the last."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _parts(folder: Path) -> dict[str, Path]:
    """The folder of each part: the folder itself, unless it has one called `train` that holds no images of its own."""
    train = folder / "train"
    if not train.is_dir() or any(_is_image(path) for path in train.iterdir()):
        return {"train": folder}
    given: dict[str, Path] = {}
    for inside in _folders(folder):
        if (part := _PARTS.get(inside.name)) is None:
            continue
        if part in given:
            raise DataError(f"{given[part]} and {inside} are both for {part}; leave one of them")
        given[part] = inside
    return given


def _files(folder: Path) -> tuple[list[Path], Array | None, list[Path]]:
    """The images, their classes, and what lies beside them."""
    files, labels, others = [], [], []
    for inside in _folders(folder):
        for path in _walk(inside):
            if _is_image(path):
                files.append(path)
                labels.append(inside.name)
            else:
                others.append(path)
    return files, np.array(labels) if labels else None, others


def _walk(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(where) / name for name in sorted(names) if not name.startswith("."))


def _form_of_model(channels: int, spatial_shape: tuple[int, ...]) -> Form:
    if channels not in (1, 3) or len(spatial_shape) != 2:
        shape = " by ".join(map(str, spatial_shape))
        raise DataError(f"the model takes {channels} channels of {shape}, which images cannot be; give an array")
    return Form(channels, *spatial_shape)


def _common_form(files: Sequence[Path], config: ImageConfig) -> Form:
    rows = evenly_spaced(np.arange(len(files)), LOOKED_AT)
    with ThreadPoolExecutor(_THREADS) as pool:
        seen = set(pool.map(lambda row: look_at(files[row]), rows))
    channels = 3 if any(colours for *_, colours in seen) else 1
    if config.size is not None:
        return Form(channels, config.size, config.size)
    sizes = {(height, width) for height, width, _ in seen}
    return Form(channels, *(sizes.pop() if len(sizes) == 1 else (USUAL_SIZE, USUAL_SIZE)))
