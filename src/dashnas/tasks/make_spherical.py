"""Any images on a sphere, as the Spherical task of NAS-Bench-360 has those of CIFAR-100.

Every so many images in a row share one random turn of the sphere. The benchmark's seed is not known, so its own file
cannot be made again: what is made here is of its kind.

Reference: the generator of Cohen et al. 2018, "Spherical CNNs", for MNIST; as the data sheet of NAS-Bench-360 says,
extended to project every channel.
"""

import gzip
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from dashnas.errors import ConfigError, DataError
from dashnas.storage import atomic_file
from dashnas.tasks.nb360.cifar100 import read_part
from dashnas.tasks.progress import Progress
from dashnas.tasks.sphere import GRID, places_on_image, sphere_points
from dashnas.tasks.synthetic import write_mark

OFFICIAL_NAME = "s2_cifar100.gz"
_PARTS = {"x": 0, "x_test": 1, "x_val": 2}
"""Arrays of images, each with turns of its own."""


@dataclass(frozen=True, kw_only=True)
class SphereRecipe:
    """What decides how images are turned."""

    seed: int = 0
    """Of all turns."""
    turn_every: int = 500
    """Images in a row that share one turn."""

    def __post_init__(self) -> None:
        if self.turn_every < 1:
            raise ConfigError(f"turn_every must be at least 1 image, got {self.turn_every}; the benchmark has 500")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed must be from 0 to {2**32 - 1}, got {self.seed}")


def random_turn(random: np.random.RandomState) -> np.ndarray:
    """A rotation (3, 3), uniform over all of them: one around the axis, then a half turn around a random one.

    Reference: Arvo 1992, "Fast random rotation matrices".
    """
    angle, direction, tilt = random.uniform(size=3)
    cos, sin = np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)
    around = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    axis = np.array(
        [
            np.sin(2 * np.pi * direction) * np.sqrt(2 * tilt),
            np.cos(2 * np.pi * direction) * np.sqrt(2 * tilt),
            np.sqrt(2 - 2 * tilt),
        ]
    )
    turn: np.ndarray = (np.outer(axis, axis) - np.eye(3)) @ around
    return turn


def sampling_matrix(points: np.ndarray, height: int, width: int) -> csr_array:
    """What each point takes of which pixels: four of them, two to either side along each axis, weighed by distance.

    The four stand one pixel before and one after the place rounded towards 0, not next to it, as in the original.
    Pixels outside the image are 0.

    Returns:
        Shape (points, height * width).
    """
    places = places_on_image(points).reshape(-1, 2) * (height, width)
    whole = np.trunc(places)
    rows, columns, weights = [], [], []
    for row_step in (-1, 1):
        for column_step in (-1, 1):
            step = np.array([row_step, column_step])
            pixel = whole + step
            weight = np.abs(places - (whole - step)).prod(axis=1)  # the distances to the pixel opposite
            inside = ((pixel >= 0) & (pixel < (height, width))).all(axis=1)
            rows.append(np.flatnonzero(inside))
            columns.append((pixel[inside] @ (width, 1)).astype(np.int64))
            weights.append(weight[inside])
    entries = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    return csr_array(entries, shape=(len(places), height * width))


def project(images: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Images as a turned sphere shows them.

    Args:
        images: shape (n, channels, height, width).
        turn: rotation, (3, 3).

    Returns:
        Shape (n, channels, GRID, GRID), uint8: each channel of each image from 0 to 255, and 0 where it is constant.
    """
    n, channels, height, width = images.shape
    matrix = sampling_matrix(sphere_points() @ turn.T, height, width)
    values = (matrix @ images.reshape(n * channels, -1).T.astype(np.float64)).T
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    scaled = 255 * (values - low) / np.where(high > low, high - low, 1)
    shown: np.ndarray = scaled.astype(np.uint8).reshape(n, channels, GRID, GRID)
    return shown


def make_spherical(
    arrays: Mapping[str, np.ndarray], recipe: SphereRecipe, *, progress: Progress | None = None
) -> dict[str, np.ndarray]:
    """Project all images of a data set.

    Args:
        arrays: images `x`, and where there are any `x_val`, `x_test`, of shape (n, height, width) or (n, channels,
            height, width); all other arrays stay as they are.
        recipe: how images are turned.
        progress: is told of every turn.

    Returns:
        The same arrays, with images of shape (n, channels, GRID, GRID), uint8.

    Raises:
        DataError: there is no `x`, or an array of images holds something else.
    """
    if "x" not in arrays:
        raise DataError(f"there is no array 'x'; found: {', '.join(arrays) or 'nothing'}; images are called x")
    parts = {name: _images(array, name) for name, array in arrays.items() if name in _PARTS}
    total, done = sum(map(len, parts.values())), 0
    made = dict(arrays)
    for name, images in parts.items():
        made[name] = np.empty((*images.shape[:2], GRID, GRID), np.uint8)
        for number, start in enumerate(range(0, len(images), recipe.turn_every)):
            chunk = slice(start, start + recipe.turn_every)
            # RandomState, whose numbers never change with NumPy's version, as a Generator's may.
            turn = random_turn(np.random.RandomState([recipe.seed, _PARTS[name], number]))
            made[name][chunk] = project(images[chunk], turn)
            done += len(images[chunk])
            if progress is not None:
                progress(done, total)
    return made


def _images(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype.kind not in "biuf" or array.ndim not in (3, 4) or 0 in array.shape:
        raise DataError(
            f"{name} has shape {array.shape} and type {array.dtype}; expected images as numbers, (n, height, width) or "
            "(n, channels, height, width)"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"{name} holds values that are NaN or infinite; expected finite pixels, so repair them")
    return array if array.ndim == 4 else array[:, None]


def read_cifar100(folder: Path) -> dict[str, np.ndarray]:
    """Arrays x, y, x_test, y_test of the official files in the folder of CIFAR-100.

    Raises:
        DataError: they are missing, or something else.
    """
    arrays: dict[str, np.ndarray] = {}
    for part, suffix in (("train", ""), ("test", "_test")):
        columns = read_part(folder, part).take(slice(None), ["x", "y"])
        arrays |= {name + suffix: values for name, values in columns.items()}
    return arrays


def write_spherical(arrays: Mapping[str, np.ndarray], recipe: SphereRecipe, out: Path) -> None:
    """Save projected images: as the official file if the name ends in .gz, else as an `.npz` file.

    Raises:
        DataError: something is there already; or the official format lacks a test part.
        StorageError: it cannot be written.
    """
    if out.exists():
        raise DataError(f"{out} exists; remove it, or choose another name with --out")
    if out.suffix != ".gz":
        with atomic_file(out) as file:
            np.savez(file, allow_pickle=False, **arrays)
        return
    if lacking := [name for name in ("y", "x_test", "y_test") if name not in arrays]:
        raise DataError(f"the official format has a test part, but there is no {lacking[0]}; save as .npz instead")
    content = {
        part: {"images": arrays["x" + suffix], "labels": arrays["y" + suffix]}
        for part, suffix in (("train", ""), ("test", "_test"))
    }
    # Without the time and the name, which gzip would write into it.
    with atomic_file(out) as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        pickle.dump(content, packed, protocol=4)
    mark: dict[str, Any] = {
        "what": "images projected by `dashnas tasks make spherical`",
        "recipe": asdict(recipe),
        "samples": {"train": len(arrays["x"]), "test": len(arrays["x_test"])},
    }
    write_mark(out.parent, mark)
