"""Archives from elsewhere, unpacked without leaving their folder and without filling the disk."""

import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from dashnas.errors import DataError, StorageError
from dashnas.storage import storage_error
from dashnas.tasks.progress import Progress

_CHUNK_BYTES = 2**20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an archive may hold at most."""

    members: int
    """Files and folders."""
    bytes: int
    """Of all files together."""
    ratio: float = 200.0
    """Of these bytes to those of the archive."""


@dataclass(frozen=True)
class _Member:
    """A file in an archive."""

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, folder: Path, limits: Limits, *, progress: Progress | None = None) -> None:
    """Put the files of a tar (of any compression) or zip into a folder.

    Every file appears whole. One that is there already and has the right size is left alone, so that a call which was
    broken off goes on; one of another size is replaced.

    Raises:
        DataError: it is damaged or no such archive, or holds what could do harm: a path out of the folder, a link, a
            device, more than the limits allow.
        StorageError: a file cannot be written.
    """
    tell = progress or (lambda done, total: None)
    try:
        read = _zip_members if _is_zip(archive) else _tar_members
        done = 0
        for member in read(archive, limits):
            target = folder / member.path
            if not (target.is_file() and target.stat().st_size == member.size):
                _write(member, target)
            done += member.size
            tell(done, 0)
    except (DataError, StorageError):
        raise
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
        raise DataError(
            f"{archive} is damaged, cut short or no archive ({reason}); remove it and fetch it again"
        ) from error


def _is_zip(archive: Path) -> bool:
    """By how it begins: the directory at the end of a zip, which `zipfile` looks for, is gone from one cut short."""
    with archive.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _zip_members(archive: Path, limits: Limits) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        count = _Count(archive, limits)
        for info in opened.infolist():  # all of them, before the first is unpacked
            count.add(info.filename, info.file_size)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DataError(f"{archive} holds {info.filename!r}, which is a link or a device; it is not unpacked")
            if info.flag_bits & 1:
                raise DataError(f"{archive} holds {info.filename!r}, which needs a password; it is not unpacked")
        for info in opened.infolist():
            if not info.is_dir():
                yield _Member(_inside(archive, info.filename), info.file_size, lambda info=info: opened.open(info))  # type: ignore[misc]


def _tar_members(archive: Path, limits: Limits) -> Iterator[_Member]:
    with tarfile.open(archive) as opened:
        count = _Count(archive, limits)
        for member in opened:
            path = count.add(member.name, member.size)
            if not (member.isreg() or member.isdir()) or member.issparse():
                raise DataError(f"{archive} holds {member.name!r}, which is a link or a device; it is not unpacked")
            if member.isreg():
                yield _Member(path, member.size, lambda member=member: opened.extractfile(member))  # type: ignore[misc]


@dataclass
class _Count:
    """Members so far."""

    archive: Path
    limits: Limits
    members: int = 0
    total: int = 0

    def add(self, name: str, size: int) -> PurePosixPath:
        """Count a member, and refuse it if it makes too many or leads elsewhere."""
        self.members += 1
        self.total += size
        if self.members > self.limits.members:
            raise DataError(f"{self.archive} holds more than {self.limits.members} files; it is not what was expected")
        most = min(self.limits.bytes, self.limits.ratio * self.archive.stat().st_size)
        if self.total > most:
            raise DataError(
                f"{self.archive} holds more than {most / 1e9:.2g} GB of files; it is not what was expected, and is not "
                "unpacked any further"
            )
        return _inside(self.archive, name)


def _inside(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[:1] or "\0" in name or name[1:2] == ":":
        raise DataError(f"{archive} holds {name!r}, which leads out of its folder; it is not unpacked")
    return path


def _write(member: _Member, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    source = member.open()
    assert source is not None
    with source:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            file = temporary.open("wb")
        except OSError as error:
            raise storage_error(target, error) from error
        try:
            with file:
                while piece := source.read(_CHUNK_BYTES):
                    try:
                        file.write(piece)
                    except OSError as error:
                        raise storage_error(target, error) from error
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
