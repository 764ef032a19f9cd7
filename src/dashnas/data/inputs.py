"""What the axes of `x` mean, and whether its values can be learned from."""

from dataclasses import dataclass

import numpy as np

from dashnas.data.tables import Table, chunks
from dashnas.errors import DataError

_EXPECTED = "(n, length), (n, channels, length), (n, channels, height, width), or (n, height, width) as images"


@dataclass(frozen=True)
class Layout:
    """The meaning of an input's axes after the first."""

    channels: int
    """Input channels."""
    spatial_shape: tuple[int, ...]
    """(length,) or (height, width)."""

    def __str__(self) -> str:
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        if len(self.spatial_shape) == 1:
            return f"{channels}, length {self.spatial_shape[0]}"
        return f"{channels}, {' by '.join(map(str, self.spatial_shape))}"


def read_layout(table: Table, key: str, *, images: bool) -> Layout:
    """Give the axes of `x` their meaning.

    Args:
        table: where the samples are.
        key: the user's name for the inputs, for messages.
        images: read (n, height, width) as images of one channel, not as signals of several.

    Raises:
        DataError: the values are no real numbers, or the axes too few, too many or empty.
    """
    shape, dtype = table.shape("x"), table.dtype("x")
    if dtype.kind == "c":
        raise DataError(
            f"{key} is complex ({dtype}); expected real numbers, "
            f"so stack the two parts as channels: numpy.stack([{key}.real, {key}.imag], axis=1)"
        )
    if dtype.kind not in "biuf":
        raise DataError(f"{key} has the type {dtype}; expected numbers, so convert or encode it first")
    if not 2 <= len(shape) <= 4:
        raise DataError(f"{key} has {len(shape)} axes, shape {shape}; expected {_EXPECTED}")
    if 0 in shape[1:]:
        raise DataError(f"{key} has the shape {shape}, so its samples hold no values; expected {_EXPECTED}")
    if images and len(shape) == 2:
        raise DataError(f"{key} has the shape {shape}, which cannot be images; expected (n, height, width)")
    if len(shape) == 2 or (images and len(shape) == 3):
        return Layout(1, shape[1:])
    return Layout(shape[1], shape[2:])


def check_same_layout(layout: Layout, other: Layout, key: str) -> None:
    """Refuse a given part whose samples are of another shape than the training samples."""
    if other != layout:
        raise DataError(f"{key} has {other}, but x has {layout}; all parts need the same channels and length or size")


def layout_near_misses(shape: tuple[int, ...], layout: Layout) -> list[str]:
    """Shapes that look as if the axes meant something else."""
    if len(shape) == 4 and shape[3] in (1, 3, 4) and shape[3] < shape[1]:
        return [
            f"x {shape} is read as {layout}; if the channels are on the last axis, "
            "move them with numpy.moveaxis(x, -1, 1)"
        ]
    if len(shape) == 3 and len(layout.spatial_shape) == 1 and shape[1] == shape[2] and shape[1] > 4:
        return [f"x {shape} is read as {layout}; if these are images, say so with images=True (--images)"]
    if len(shape) == 3 and len(layout.spatial_shape) == 1 and shape[1] > 4 * shape[2]:
        return [
            f"x {shape} is read as {layout}; if the channels are on the last axis, "
            "move them with numpy.moveaxis(x, -1, 1)"
        ]
    return []


def check_finite(table: Table, key: str, *, impute: bool) -> int:
    """Look through all inputs for NaN and infinity.

    Returns:
        How many there are, where they may be replaced.

    Raises:
        DataError: there are some and `impute` is false.
    """
    if table.dtype("x").kind != "f":
        return 0
    count, first = 0, ""
    for start, piece in chunks(table, ["x"]):
        bad = ~np.isfinite(piece["x"])
        if not first and bad.any():
            sample, *place = np.argwhere(bad)[0].tolist()
            first = f"{key}[{', '.join(map(str, [start + sample, *place]))}]"
        count += int(bad.sum())
    if count and not impute:
        values = "1 value that is" if count == 1 else f"{count} values that are"
        raise DataError(
            f"{key} holds {values} NaN or infinite, the first at {first}; expected finite numbers: "
            "repair them, or replace them by the mean of their channel with impute=True (--impute)"
        )
    return count
