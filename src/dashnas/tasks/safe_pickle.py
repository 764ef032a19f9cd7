"""Pickles of arrays and plain containers, read without running anything that stands in them.

Looking up any other name than NumPy's own array parts is refused before it happens, so that a pickle from anywhere
can do no more than make arrays, strings, numbers and containers of them.
"""

import pickle
from pathlib import Path
from typing import IO, Any, ClassVar, Literal

import numpy as np

from dashnas.errors import DataError

Encoding = Literal["ASCII", "latin1", "bytes"]
"""How the strings of Python 2 are read; "bytes" leaves them as they are."""


class ArrayUnpickler(pickle.Unpickler):
    """Reads arrays, numbers, strings and plain containers; refuses every other name that a pickle asks for."""

    # NumPy's `_reconstruct` and `scalar` moved with NumPy 2; what it pickles itself with is right in every version.
    _RECONSTRUCT: ClassVar[Any] = np.zeros(0).__reduce__()[0]
    _SCALAR: ClassVar[Any] = np.float64(0).__reduce__()[0]

    def find_class(self, module: str, name: str) -> Any:
        """NumPy's array parts by name.

        Raises:
            DataError: any other name.
        """
        if (module, name) not in _ALLOWED:
            raise DataError(f"the pickle asks for {module}.{name}; only arrays of numbers are read")
        return _ALLOWED[module, name]


def _encode(text: str, encoding: str) -> bytes:
    """Stands for `_codecs.encode`: pickles of the old protocols hold bytes as latin-1 text."""
    if encoding != "latin1":
        raise DataError(f"a pickled array holds bytes as latin1 text; this one asks for {encoding!r}")
    return text.encode(encoding)


def _from_buffer(buffer: Any, dtype: np.dtype[Any], shape: tuple[int, ...], order: Literal["C", "F"]) -> Any:
    """Stands for NumPy's `_frombuffer`, with which it pickles arrays of protocol 5."""
    if dtype.hasobject:
        raise DataError("a pickled array of protocol 5 holds Python objects as plain bytes; only numbers are read so")
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode,
    **{
        (f"numpy.{core}.{part}", name): value
        for core in ("core", "_core")
        for part, name, value in (
            ("multiarray", "_reconstruct", ArrayUnpickler._RECONSTRUCT),
            ("multiarray", "scalar", ArrayUnpickler._SCALAR),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
}


def load_pickle(stream: IO[bytes], origin: Path | str, *, encoding: Encoding = "ASCII") -> Any:
    """The object of a pickle.

    Args:
        stream: where it begins.
        origin: file that it is read from, for messages.
        encoding: how the strings of Python 2 are read.

    Raises:
        DataError: a damaged pickle, or one that asks for anything but arrays and plain containers.
    """
    try:
        return ArrayUnpickler(stream, encoding=encoding).load()
    except DataError as error:
        raise DataError(f"{origin} is refused: {error}") from None
    except OSError as error:
        raise DataError(f"{origin} cannot be read: {error.strerror or error}; it may be cut short") from error
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(f"{origin} is damaged or was cut short ({type(error).__name__}: {error})") from error


def load_pickle_file(path: Path, *, encoding: Encoding = "ASCII") -> Any:
    """The object of a pickled file.

    Raises:
        DataError: as `load_pickle`, or the file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            return load_pickle(file, path, encoding=encoding)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def load_npy(path: Path, *, encoding: Encoding = "ASCII", lazily: bool = False) -> Any:
    """An `.npy` file, also one of Python objects, which NumPy itself would only read with `allow_pickle`.

    Args:
        path: the file.
        encoding: how the strings of Python 2 in a pickle are read.
        lazily: whether an array of numbers may stay a memory map.

    Returns:
        The array; of one that holds a single object without an axis, the object.

    Raises:
        DataError: not such a file, damaged, or a pickle that asks for anything but arrays and plain containers.
    """
    try:
        with path.open("rb") as file:
            if _read_header(file, path)[-1].hasobject:
                file.seek(0)
                return load_npy_objects(file, path, encoding=encoding)
            return np.load(path, mmap_mode="r" if lazily else None, allow_pickle=False)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is damaged or cut short ({error})") from error


def load_npy_objects(stream: IO[bytes], origin: Path | str, *, encoding: Encoding = "ASCII") -> Any:
    """The content of an `.npy` file of Python objects.

    Args:
        stream: where it begins.
        origin: file that it is read from, for messages.
        encoding: how the strings of Python 2 are read.

    Returns:
        The array; of one that holds a single object without an axis, the object.

    Raises:
        DataError: as `load_npy`.
    """
    shape, fortran, _ = _read_header(stream, origin)
    objects = load_pickle(stream, origin, encoding=encoding)
    if not isinstance(objects, np.ndarray) or objects.size != np.prod(shape, dtype=int):
        raise DataError(f"{origin} is damaged: its pickle is not the array of shape {shape} that its header tells of")
    return objects.item() if shape == () else objects.reshape(shape, order="F" if fortran else "C")


def _read_header(stream: IO[bytes], origin: Path | str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in the order of Fortran, and type."""
    try:
        if np.lib.format.read_magic(stream) == (1, 0):
            return np.lib.format.read_array_header_1_0(stream)
        return np.lib.format.read_array_header_2_0(stream)
    except Exception as error:  # headers are parsed as Python text, which can fail in many ways
        raise DataError(f"{origin} is damaged, cut short, or not a .npy file ({error})") from error
