"""The image of a FITS file, the format of astronomy, as far as the tasks need it."""

import numpy as np

from dashnas.errors import DataError

_BLOCK, _CARD = 2880, 80  # bytes


def read_fits_image(content: bytes) -> np.ndarray:
    """Read the first image, (rows, columns) float32, of 16-bit integers with an offset.

    Raises:
        DataError: no such image.
    """
    cards: dict[str, str] = {}
    for start in range(0, len(content), _CARD):
        card = content[start : start + _CARD].decode("latin1")
        if card.strip() == "END":
            break
        cards[card[:8].strip()] = card[10:].split("/")[0].strip()
    else:
        raise DataError("this is not a FITS file: its header has no END")
    if (cards.get("BITPIX"), cards.get("NAXIS")) != ("16", "2"):
        raise DataError(
            f"this FITS file has BITPIX {cards.get('BITPIX')} and NAXIS {cards.get('NAXIS')}; "
            "only images (NAXIS 2) of 16-bit integers are read"
        )
    rows, columns = int(cards["NAXIS2"]), int(cards["NAXIS1"])
    begin = -(-(start + _CARD) // _BLOCK) * _BLOCK  # data begin with a block of their own
    if len(content) < begin + 2 * rows * columns:
        raise DataError(f"this FITS file is cut short: {rows} x {columns} pixels are announced")
    pixels = np.frombuffer(content, dtype=">i2", count=rows * columns, offset=begin)
    scaled = pixels * float(cards.get("BSCALE", "1")) + float(cards.get("BZERO", "0"))
    return scaled.reshape(rows, columns).astype(np.float32)
