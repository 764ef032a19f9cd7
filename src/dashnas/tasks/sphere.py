"""A sphere that stands on an image: its points, and where each of them sees the image."""

import numpy as np

GRID = 60
"""Points from pole to pole, and as many around."""
_EYE_HEIGHT = 2 + 1e-3  # just above the top of the sphere, so that its topmost point has a place on the plane too
_IMAGE_WIDTH = 3.0  # of the plane that the image covers; the sphere's radius is 1


def sphere_points() -> np.ndarray:
    """Points of the unit sphere, (GRID, GRID, 3): the first axis from pole to pole, the second around."""
    polar = np.pi * np.arange(GRID)[:, None] / GRID
    around = 2 * np.pi * np.arange(GRID) / GRID
    x, y = np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around)
    return np.stack([x, y, np.broadcast_to(np.cos(polar), x.shape)], axis=-1)


def places_on_image(points: np.ndarray) -> np.ndarray:
    """Stereographic projection onto an image that lies on the plane which the sphere stands on.

    Args:
        points: shape (..., 3), of length 1; (0, 0, -1) touches the middle of the image.

    Returns:
        Shape (..., 2), from 0 to 1 along each axis of the image, and beyond outside of it.
    """
    height = points[..., 2] + 1
    seen = points[..., :2] * (_EYE_HEIGHT / (_EYE_HEIGHT - height))[..., None]
    places: np.ndarray = seen / _IMAGE_WIDTH + 0.5
    return places
