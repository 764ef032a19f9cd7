import gzip

import numpy as np
import pytest

from dashnas.errors import DataError
from dashnas.tasks.amp import AMINO_ACIDS, encode
from dashnas.tasks.fits import read_fits_image
from dashnas.tasks.mnist5k_files import parse_digits
from dashnas.tasks.sktime_files import parse_ts
from dashnas.tasks.ucr_files import parse_tsv
from dashnas.tasks.watch import windows


def test_tsv_rows_are_a_label_and_a_series():
    x, y = parse_tsv(b"12\t0.5\t1.5\n3\t-1\t2e0\n")
    np.testing.assert_array_equal(x, np.float32([[[0.5, 1.5]], [[-1, 2]]]))
    np.testing.assert_array_equal(y, [12, 3])


def test_tsv_of_a_single_row():
    x, y = parse_tsv(b"1\t0.5\t1.5\n")
    assert (x.shape, y.shape) == ((1, 1, 2), (1,))


def test_ts_cases_may_differ_in_length():
    content = b"# about\n@problemName toy\n@data\n\n1,2,3:4,5,6:a\n7,8:9,10:b\n"
    first, second = parse_ts(content)
    np.testing.assert_array_equal(first.series, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(second.series, [[7, 8], [9, 10]])
    assert (first.answer, second.answer) == ("a", "b")


def test_a_peptide_has_a_channel_per_amino_acid():
    x = encode("GAY")
    assert (x.shape, x.dtype) == ((20, 3), np.float32)
    assert [AMINO_ACIDS[i] for i in x.argmax(axis=0)] == ["G", "A", "Y"]
    np.testing.assert_array_equal(x.sum(axis=0), 1)


def test_windows_do_not_overlap_and_drop_the_rest():
    recording = np.arange(14).reshape(7, 2)  # (samples, channels)
    np.testing.assert_array_equal(windows(recording, 3), [[[0, 2, 4], [1, 3, 5]], [[6, 8, 10], [7, 9, 11]]])


def test_rows_of_digits_are_pixels_and_a_digit():
    rows = [[*range(784), 7], [0] * 784 + [3]]
    images, digits = parse_digits(gzip.compress("\n".join(",".join(map(str, row)) for row in rows).encode()))
    assert (images.shape, images.dtype) == ((2, 28, 28), np.float32)
    np.testing.assert_array_equal(images[0, 1, :3], [28, 29, 30])
    np.testing.assert_array_equal(digits, [7, 3])


def fits(cards, data=b""):
    """A FITS file: cards of 80 bytes in blocks of 2880."""
    header = "".join(f"{card:<80}" for card in cards)
    return header.ljust(-(-len(header) // 2880) * 2880).encode() + data


IMAGE = ["SIMPLE  =                    T", "BITPIX  =   16 / bits", "NAXIS   =   2", "NAXIS1  = 3", "NAXIS2  = 2"]
PIXELS = np.array([[-32768, -1, 0], [1, 2, 32767]], dtype=">i2").tobytes()


@pytest.mark.parametrize("comments", [0, 28, 29, 30, 31, 40])
def test_a_fits_image_is_scaled_and_found_after_any_header(comments):
    cards = [*IMAGE, "BZERO   = 32768", *["COMMENT = / BITPIX"] * comments, "END"]
    image = read_fits_image(fits(cards, PIXELS + bytes(100)))
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, [[0, 32767, 32768], [32769, 32770, 65535]])


def test_a_fits_image_without_a_scale_is_taken_as_it_is():
    np.testing.assert_array_equal(read_fits_image(fits([*IMAGE, "END"], PIXELS))[1], [1, 2, 32767])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a FITS file: its header has no END"),
        (fits(IMAGE), "not a FITS file: its header has no END"),
        (fits(["BITPIX  = -32", *IMAGE[2:], "END"]), r"BITPIX -32 and NAXIS 2; only images \(NAXIS 2\) of 16-bit"),
        (fits([*IMAGE[:2], "NAXIS   = 0", "END"]), "BITPIX 16 and NAXIS 0; only images"),
        (fits([*IMAGE, "END"], PIXELS[:-1]), "cut short: 2 x 3 pixels are announced"),
    ],
)
def test_what_is_no_fits_image_is_said(content, message):
    with pytest.raises(DataError, match=message):
        read_fits_image(content)
