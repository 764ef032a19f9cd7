"""One image file as an array: decoded, cut to size, and in training cut out and mirrored at random."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dashnas.data.tables import Array
from dashnas.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Names of image files end so, in small or capital letters."""
_KEPT = 7 / 8  # of the shorter side, as 224 of 256 pixels
_AREAS, _LOG_RATIOS, _ATTEMPTS = (0.08, 1.0), (math.log(3 / 4), math.log(4 / 3)), 10
_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")
Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge, in pixels of the image."""


def pillow() -> Any:
    """The module `PIL`, with what is used of it.

    Raises:
        DataError: it is not installed.
    """
    try:
        import PIL.Image
        import PIL.ImageOps
    except ImportError as error:
        raise DataError("image files are read with Pillow; install it with pip install 'dashnas[images]'") from error
    return PIL


def look_at(path: Path) -> tuple[int, int, bool]:
    """Height, width and whether it has colours, from the first bytes of a file.

    Raises:
        DataError: it is no image.
    """
    image_module = pillow().Image
    try:
        with image_module.open(path) as image:
            width, height = pillow().ImageOps.exif_transpose(image).size if _is_turned(image) else image.size
            return height, width, image.mode not in ("1", "L", "LA", "La", "I", "F") and not image.mode.startswith("I;")
    except (OSError, SyntaxError, ValueError, image_module.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def decode(path: Path, channels: int) -> "Image":
    """A file as an image of 8 bits, upright, with white behind what is transparent.

    Args:
        path: the file; of several pictures in it the first.
        channels: 1 for grey, 3 for colours.

    Raises:
        DataError: it is damaged, cut short or no image.
    """
    pil = pillow()
    try:
        with pil.Image.open(path) as file:
            image = pil.ImageOps.exif_transpose(file)
            if image.mode == "F":
                raise ValueError("it holds floating-point numbers, which have no common scale; give them as arrays")
            if image.mode.startswith("I"):  # 16 bits, whatever Pillow's version calls them
                image = pil.Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.mode in _ALPHA or "transparency" in image.info:
                image = image.convert("RGBA")
                image = pil.Image.alpha_composite(pil.Image.new("RGBA", image.size, "white"), image)
            return image.convert("L" if channels == 1 else "RGB")  # type: ignore[no-any-return]
    except (OSError, SyntaxError, ValueError, pil.Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def middle(width: int, height: int, wanted: tuple[int, int]) -> Box:
    """The largest box of the wanted shape (height, width) around the middle, less a rim; all of what fits as it is."""
    if (height, width) == wanted:
        return 0, 0, width, height
    box_width = _KEPT * min(width, height * wanted[1] / wanted[0])
    return _centred(width, height, box_width, box_width * wanted[0] / wanted[1])


def random_box(width: int, height: int, random: np.random.Generator) -> Box:
    """A box of 8 to 100 % of the area, up to 4:3 out of square, anywhere.

    Reference: Szegedy et al. 2015, "Going deeper with convolutions", Section 6.
    """
    for _ in range(_ATTEMPTS):
        area = width * height * random.uniform(*_AREAS)
        ratio = math.exp(random.uniform(*_LOG_RATIOS))
        box_width, box_height = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if box_width <= width and box_height <= height:
            left, upper = random.uniform(0, width - box_width), random.uniform(0, height - box_height)
            return left, upper, left + box_width, upper + box_height
    side = min(width, height)
    return _centred(width, height, side, side)


def cut(image: "Image", box: Box, wanted: tuple[int, int]) -> Array:
    """The box of an image, resized; shape (channels, height, width), uint8."""
    if box != (0, 0, wanted[1], wanted[0]):
        image = image.resize((wanted[1], wanted[0]), pillow().Image.Resampling.BILINEAR, box=box)
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)


def _centred(width: int, height: int, box_width: float, box_height: float) -> Box:
    left, upper = (width - box_width) / 2, (height - box_height) / 2
    return left, upper, left + box_width, upper + box_height


def _is_turned(image: "Image") -> bool:
    orientation = 0x0112  # of EXIF
    return bool(image.getexif().get(orientation, 1) > 4)


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = "it is no image" if "cannot identify" in str(error) else str(error) or type(error).__name__
    return DataError(f"{path} cannot be read as an image: {reason}; mend it or take it out")
