"""What images are trained on: shifted, mirrored, with a hole. All are functions of an image and a generator alone."""

from collections.abc import Callable

import numpy as np

from dashnas.data.draws import Augment, Columns
from dashnas.data.tables import Array


def of_inputs(*steps: Callable[[Array, np.random.Generator], Array]) -> Augment:
    """Apply functions of the input, one after the other, and leave all other columns as they are."""

    def augment(sample: Columns, random: np.random.Generator) -> Columns:
        x = sample["x"]
        for step in steps:
            x = step(x, random)
        return {**sample, "x": x}

    return augment


def shift(image: Array, random: np.random.Generator, *, pad: int = 4) -> Array:
    """Cut the image (channels, height, width) out of itself with a rim of zeros around, at a random place."""
    height, width = image.shape[1:]
    padded = np.pad(image, ((0, 0), (pad, pad), (pad, pad)))
    top, left = random.integers(0, 2 * pad + 1, size=2)
    return padded[:, top : top + height, left : left + width]


def mirror(image: Array, random: np.random.Generator) -> Array:
    """Exchange left and right of (channels, height, width) half of the time."""
    return image[:, :, ::-1] if random.random() < 0.5 else image


def cutout(fill: tuple[float, ...], size: int = 16) -> Callable[[Array, np.random.Generator], Array]:
    """Replace a square around a random position by one value per channel, as far as it lies in the image.

    Reference: DeVries and Taylor 2017.
    """

    def hole(image: Array, random: np.random.Generator) -> Array:
        centre = [int(random.integers(0, side)) for side in image.shape[1:]]
        rows, columns = (slice(max(c - size // 2, 0), c + size // 2) for c in centre)
        cut = image.astype(np.float32)
        cut[:, rows, columns] = np.reshape(fill, (-1, 1, 1))
        return cut

    return hole
