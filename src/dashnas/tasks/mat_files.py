"""Arrays out of MATLAB's files, one at a time: the classic format by SciPy, version 7.3, which is HDF5, by h5py."""

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from dashnas.errors import DataError

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_HDF5_OFFSET = 512
"""MATLAB writes a header of its own before the HDF5 file."""


def read_fields(path: Path, key: str, *, most: int, step: int | None) -> np.ndarray:
    """Fields on a square grid out of an array (n, side, side), as float32.

    Args:
        path: the file.
        key: name of the array.
        most: how many fields are read, from the first on.
        step: distance of the grid points that are read, from the first on; None reads all.

    Returns:
        Shape (at most `most`, side, side).

    Raises:
        DataError: the file is damaged, has no such array, or it is of another shape.
    """
    try:
        return _from_hdf5(path, key, most, step) if _is_hdf5(path) else _from_classic(path, key, most, step)
    except DataError:
        raise
    except Exception as error:  # both readers raise many kinds on damaged files
        raise DataError(f"{path} is damaged, cut short or no MATLAB file ({type(error).__name__}: {error})") from error


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(_HDF5_OFFSET + len(_HDF5_MAGIC))
    return start.startswith(_HDF5_MAGIC) or start[_HDF5_OFFSET:] == _HDF5_MAGIC


def _from_classic(path: Path, key: str, most: int, step: int | None) -> np.ndarray:
    content = scipy.io.loadmat(path, variable_names=[key])
    if key not in content:
        raise _missing(path, key, [name for name, *_ in scipy.io.whosmat(path)])
    fields = content[key]
    _check(fields, path, key)
    return np.ascontiguousarray(fields[:most, ::step, ::step], np.float32)


def _from_hdf5(path: Path, key: str, most: int, step: int | None) -> np.ndarray:
    with _h5py().File(path, "r") as file:
        if key not in file:
            raise _missing(path, key, list(file))
        fields = file[key]
        _check(fields, path, key)
        # MATLAB lays arrays out column by column, so that HDF5 sees all axes in reverse.
        return np.ascontiguousarray(fields[::step, ::step, :most].T, np.float32)


def _check(fields: Any, path: Path, key: str) -> None:
    if len(fields.shape) != 3 or np.dtype(fields.dtype).kind not in "biuf":
        raise DataError(f"{key} in {path} has shape {fields.shape}; expected numbers, samples x side x side")


def _missing(path: Path, key: str, found: list[str]) -> DataError:
    return DataError(f"{path} has no {key!r}; found: {', '.join(found) or 'nothing'}; it is another file than expected")


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            "this is a MATLAB file of version 7.3, which h5py reads; install it with pip install 'dashnas[bench]'"
        ) from error
    return h5py


def side_of(path: Path, key: str) -> int:
    """Grid points along a side of the fields in a file, without reading them.

    Raises:
        DataError: as `read_fields`.
    """
    try:
        if _is_hdf5(path):
            with _h5py().File(path, "r") as file:
                shapes = {name: file[name].shape for name in file if hasattr(file[name], "shape")}
        else:
            shapes = {name: shape for name, shape, _ in scipy.io.whosmat(path)}
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path} is damaged, cut short or no MATLAB file ({type(error).__name__}: {error})") from error
    if key not in shapes:
        raise _missing(path, key, list(shapes))
    if len(shapes[key]) != 3:
        raise DataError(f"{key} in {path} has shape {shapes[key]}; expected numbers, samples x side x side")
    return int(shapes[key][1])
