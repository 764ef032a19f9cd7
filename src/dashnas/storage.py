"""Files that are either whole or not there."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dashnas.errors import StorageError


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A binary file to write beside its place, moved there once it is whole and on disk.

    Args:
        path: what to write or replace; missing folders are made.

    Raises:
        StorageError: it cannot be written, for example on a full disk; what was there before is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def storage_error(path: Path, error: OSError) -> StorageError:
    """The error that tells of a failed write."""
    return StorageError(
        f"cannot write {path}: {error.strerror or error}. What was saved before is whole; "
        "make room there or choose another place, then give the same command again"
    )


def cache_folder() -> Path:
    """Where downloads and measurements are kept; it need not exist yet.

    $DASHNAS_CACHE, else $XDG_CACHE_HOME/dashnas, else ~/.cache/dashnas.
    """
    if folder := os.environ.get("DASHNAS_CACHE"):
        return Path(folder)
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "dashnas"
    return Path.home() / ".cache" / "dashnas"
