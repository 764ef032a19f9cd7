"""Pickled NumPy arrays, read without running anything that stands in the pickle."""

import io
import pickle
from typing import Any, ClassVar

import numpy as np

from dashnas.errors import DataError


def read_object_array(content: bytes) -> Any:
    """Read the single object of a `.npy` file that was saved as a 0-d object array.

    It may be built of plain containers, strings, numbers and arrays of numbers; anything else is refused
    before it is looked up.

    Raises:
        DataError: not such a file, or a pickle that names anything but NumPy's own array parts.
    """
    stream = io.BytesIO(content)
    try:
        np.lib.format.read_magic(stream)
        np.lib.format.read_array_header_1_0(stream)
        return _ArrayUnpickler(stream).load().item()
    except DataError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(f"cannot read this as a pickled object array: {error}") from error


def read_pickled_array(content: bytes) -> np.ndarray:
    """Read a pickle of one array of numbers; anything else is refused before it is looked up.

    Raises:
        DataError: not such a pickle.
    """
    try:
        array = _ArrayUnpickler(io.BytesIO(content)).load()
    except DataError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(f"cannot read this as a pickled array: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype.hasobject:
        raise DataError(f"this pickle holds {type(array).__name__}, not an array of numbers")
    return array


def _encode(text: str, encoding: str) -> bytes:
    """Stands for `_codecs.encode`: pickles of the old protocols hold bytes as latin-1 text."""
    if encoding != "latin1":
        raise DataError(f"a pickled array holds bytes as latin1 text; this one asks for {encoding!r}")
    return text.encode(encoding)


class _ArrayUnpickler(pickle.Unpickler):
    # NumPy's `_reconstruct` moved with NumPy 2; what it pickles itself with is right in every version.
    _RECONSTRUCT: ClassVar[Any] = np.zeros(0).__reduce__()[0]
    _ALLOWED: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
        ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
        ("_codecs", "encode"): _encode,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise DataError(f"the pickle asks for {module}.{name}; only arrays of numbers are read")
        return self._ALLOWED[module, name]
