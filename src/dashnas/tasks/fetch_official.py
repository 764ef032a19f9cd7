"""The files of an official task brought into its folder: found, downloaded or unpacked, whatever each of them needs."""

import contextlib
from pathlib import Path

from dashnas.errors import ConfigError, DataError, unknown_name
from dashnas.storage import storage_error
from dashnas.tasks.download import PATIENT, DownloadError, Patience, download
from dashnas.tasks.official import official_folder
from dashnas.tasks.official_files import OFFICIAL_FILES, SHARED_FOLDER, OfficialFile
from dashnas.tasks.progress import Progress
from dashnas.tasks.unpack import unpack


def fetch_official(
    name: str,
    folder: Path | None = None,
    *,
    mirror: str | None = None,
    patience: Patience = PATIENT,
    progress: Progress | None = None,
) -> Path:
    """Bring what is missing of a task's files into its folder.

    Files that were placed there by hand are taken as they are, archives among them are unpacked. A download or an
    unpacking that was broken off goes on.

    Args:
        name: of a task in `OFFICIAL_FILES`.
        folder: for the files; None is where the task looks for them.
        mirror: an address to try first, under which the files lie by their names.
        patience: with the servers.
        progress: is told of every piece.

    Returns:
        The folder.

    Raises:
        ConfigError: no official task has this name.
        DataError: a file cannot be had; the message says what to place where.
        StorageError: the folder cannot be written.
    """
    if name not in OFFICIAL_FILES:
        raise ConfigError(unknown_name("official task", name, OFFICIAL_FILES))
    folder = folder or official_folder(name)
    for file in OFFICIAL_FILES[name]:
        if not is_there(file, folder):
            _bring(file, folder, name, mirror, patience, progress)
    return folder


def is_there(file: OfficialFile, folder: Path) -> bool:
    """Whether the folder has what the task reads of a file."""
    if not file.unpacks_to:
        return any((folder / name).is_file() for name in (file.name, *file.also_named))
    return not _begun(file, folder).exists() and all((folder / name).exists() for name in file.unpacks_to)


def _bring(
    file: OfficialFile, folder: Path, task: str, mirror: str | None, patience: Patience, progress: Progress | None
) -> None:
    path = folder / file.name
    placed = path.exists()
    if not placed:
        first = () if mirror is None else (f"{mirror.rstrip('/')}/{file.name}",)
        try:
            download(
                (*first, *file.addresses),
                path,
                size=file.size,
                checksum=file.checksum,
                patience=patience,
                progress=progress,
            )
        except DownloadError as error:
            raise DataError(f"cannot download {file.name}: {error}. {_by_hand(task, folder)}") from error
    if file.limits is None:
        return
    begun = _begun(file, folder)
    try:
        begun.touch()
    except OSError as error:
        raise storage_error(begun, error) from error
    unpack(path, folder, file.limits, progress=progress)
    for name in file.unpacks_to:
        if not (folder / name).exists():
            _lift(name, folder, path)
    begun.unlink()
    if not placed:
        with contextlib.suppress(OSError):
            path.unlink()


def _begun(file: OfficialFile, folder: Path) -> Path:
    """Lies in the folder while an archive is unpacked."""
    return folder / f".{file.name}.unpacking"


def _lift(name: str, folder: Path, archive: Path) -> None:
    """Move what the task reads out of a folder that the archive put around it."""
    found = next(iter(sorted(folder.glob(f"*/{name}"))), None)
    if found is None:
        raise DataError(f"{archive} does not hold {name}; it is another archive than expected, so remove it")
    try:
        found.rename(folder / name)
    except OSError as error:
        raise storage_error(folder / name, error) from error


def _by_hand(task: str, folder: Path) -> str:
    """What is missing, where it can be had in a browser, and where to put it."""
    missing = [file for file in OFFICIAL_FILES[task] if not is_there(file, folder)]
    files = ", ".join(f"{file.name} ({_size(file.megabytes)})" for file in missing)
    further = [SHARED_FOLDER, *(address for file in missing for address in file.by_hand)]
    unpacked = " unpacked or not," if any(file.unpacks_to for file in missing) else ""
    return (
        f"If its servers are gone for good, get {files} by hand, as from {' or '.join(further)}, place them,{unpacked} "
        f"in {folder}, and give the command again; --mirror takes another address"
    )


def _size(megabytes: float) -> str:
    return f"{megabytes / 1000:g} GB" if megabytes >= 1000 else f"{megabytes:g} MB"
