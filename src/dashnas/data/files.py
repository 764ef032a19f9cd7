"""Arrays from `.npz` files and from folders of `.npy` files. Nothing is ever unpickled."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from dashnas.data.tables import Array
from dashnas.errors import DataError

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
"""How a zip file begins, the second one an empty zip; numpy would take anything else for a pickle."""
_UNREADABLE = (ValueError, OSError, EOFError, KeyError, zlib.error, zipfile.BadZipFile, RuntimeError)


def read_npz(path: Path) -> dict[str, Array]:
    """All arrays of an `.npz` file, in memory.

    Raises:
        DataError: it is not an `.npz` file, is cut short, or holds pickled objects.
    """
    if path.suffix == ".npy":
        raise DataError(
            f"{path} is a single array, but targets are needed too; "
            "put x.npy and y.npy into a folder and give the folder"
        )
    with path.open("rb") as file:
        magic = file.read(4)
    if magic not in _ZIP_MAGIC:
        raise DataError(
            f"{path} is not an .npz file; expected an .npz, a .csv or a folder of .npy files; "
            "save arrays with numpy.savez(path, x=x, y=y)"
        )
    try:
        # Opened here, because numpy does not close a file that it opened itself and that turns out cut short.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: _member(archive, name, path) for name in archive.files}
    except DataError:
        raise  # from _member; it is a ValueError too
    except _UNREADABLE as error:
        raise _damaged(path, error) from None


def _member(archive: "np.lib.npyio.NpzFile", name: str, path: Path) -> Array:
    try:
        array = archive[name]
    except ValueError as error:
        raise _pickled(path, name) if "llow_pickle" in str(error) else _damaged(path, error) from None
    except MemoryError:
        raise DataError(
            f"{name} in {path} does not fit into memory; save it as .npy in a folder and give the folder, "
            "which is read piece by piece"
        ) from None
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path} is a zip file, but {name!r} in it is no NumPy array; save with numpy.savez")
    return array


def read_folder(folder: Path) -> dict[str, Array]:
    """All `.npy` files of a folder as memory maps, named after the files; nothing is loaded.

    Raises:
        DataError: there are none, or one of them is damaged or holds pickled objects.
    """
    arrays = {path.stem: read_npy(path) for path in sorted(folder.glob("*.npy"))}
    if not arrays:
        raise DataError(
            f"{folder} holds no .npy files; expected x.npy and y.npy, as numpy.save writes them, "
            "or a folder of images per class"
        )
    return arrays


def read_npy(path: Path) -> Array:
    """One `.npy` file as a memory map."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _UNREADABLE as error:
        if "Python objects" in str(error) or "llow_pickle" in str(error):
            raise _not_npy(path) if _lacks_magic(path) else _pickled(path, path.stem) from None
        if "empty file" in str(error):
            raise DataError(f"{path} holds no values; expected a row per sample") from None
        raise _damaged(path, error) from None
    if not isinstance(array, np.ndarray):
        raise _not_npy(path)
    return array


def _lacks_magic(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6) != b"\x93NUMPY"


def _not_npy(path: Path) -> DataError:
    return DataError(f"{path} is not a .npy file; save each array with numpy.save")


def _pickled(path: Path, name: str) -> DataError:
    mend = f"or labels as {name}.astype(str)"
    if name.startswith("x"):
        mend = "series of unequal length as one padded array, with their lengths beside it as an array `lengths`"
    return DataError(
        f"{name} in {path} holds pickled Python objects, which are never loaded because they can run code; "
        f"save plain numbers, {mend}"
    )


def _damaged(path: Path, error: Exception) -> DataError:
    if isinstance(error, OSError) and error.strerror:
        return DataError(f"{path} cannot be read: {error.strerror}")
    return DataError(f"{path} is damaged or was cut short ({type(error).__name__}: {error}); copy or save it again")
