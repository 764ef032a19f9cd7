"""Large files over HTTP: what was begun goes on, what is cut short or changed is noticed, mirrors are tried in turn.

pooch and its like begin anew after every break, which does not do for files of many gigabytes; hence urllib.
"""

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from dashnas.errors import DataError, StorageError
from dashnas.storage import atomic_file, storage_error
from dashnas.tasks.progress import Progress

_CHUNK_BYTES = 2**20


@dataclass(frozen=True, kw_only=True)
class Patience:
    """When to give a connection or an address up."""

    stall_seconds: float = 30.0
    """Without a single byte."""
    attempts: int = 3
    """At one address, that get no further than those before."""
    pause_seconds: float = 2.0
    """Before another attempt."""


PATIENT = Patience()


class DownloadError(DataError):
    """No address gave the file; the message has the reason for each."""


class _FailedError(Exception):
    """This address will not do; another attempt at it is of no use."""


class _BrokenError(Exception):
    """This attempt came to nothing, but another may."""


def download(
    addresses: Sequence[str],
    target: Path,
    *,
    size: int | None = None,
    checksum: str | None = None,
    patience: Patience = PATIENT,
    progress: Progress | None = None,
) -> None:
    """Bring a file here from the first address that gives it whole.

    Until it is whole it lies beside its place as `.NAME.part`, and the next call, also of another process, goes on with
    that if the server's file is still the same.

    Args:
        addresses: of the same file, in order of preference.
        target: its place.
        size: in bytes, where it is known.
        checksum: such as `sha256:...`, where it is known.
        patience: when to give up.
        progress: is told of every piece.

    Raises:
        DownloadError: no address gave the file.
        DataError: another process is downloading it.
        StorageError: it cannot be written.
    """
    part = target.with_name(f".{target.name}.part")
    with _held(part, target) as file:
        state = _State(part, file)
        reasons = []
        for address in sorted(addresses, key=lambda address: address != state.address):  # first what was begun
            fetching = _Fetching(address, state, size, checksum, patience, progress or (lambda done, total: None))
            try:
                fetching.until_whole()
                break
            except _FailedError as error:
                reasons.append(f"{address}: {error}")
        else:
            raise DownloadError("; ".join(reasons))
        try:
            os.replace(part, target)
        except OSError as error:
            raise storage_error(target, error) from error
        state.forget()


@contextmanager
def _held(part: Path, target: Path) -> Iterator[IO[bytes]]:
    """The file that is written to, as long as no other process has it."""
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("a+b")
    except OSError as error:
        raise storage_error(part, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(f"another process is downloading {target}; wait for it") from error
        yield file


class _State:
    """What is there of a file, and what of the server tells whether the rest belongs to it."""

    def __init__(self, part: Path, file: IO[bytes]) -> None:
        self.file = file
        self.path = part
        self._note = part.with_name(f"{part.name}.json")
        try:
            noted: Any = json.loads(self._note.read_bytes())
            self.address, self.validator = str(noted["address"]), str(noted["validator"])
        except (OSError, ValueError, KeyError, TypeError):
            self.address, self.validator = "", ""

    @property
    def bytes(self) -> int:
        return os.fstat(self.file.fileno()).st_size

    def begin(self, address: str, validator: str) -> None:
        """Forget what is there, and note where what follows comes from."""
        self.file.truncate(0)
        self.address, self.validator = address, validator
        with atomic_file(self._note) as note:
            note.write(json.dumps({"address": address, "validator": validator}).encode())

    def forget(self) -> None:
        with contextlib.suppress(OSError):
            self._note.unlink()


@dataclass
class _Fetching:
    """One file from one address."""

    address: str
    state: _State
    size: int | None
    checksum: str | None
    patience: Patience
    progress: Progress

    def until_whole(self) -> None:
        """Attempt after attempt, as long as they get further.

        Raises:
            _FailedError: the address does not give the file.
        """
        furthest, left, mended = self.state.bytes, self.patience.attempts, False
        while True:
            begun_with = self.state.bytes
            try:
                self._attempt()
            except _BrokenError as error:
                left = left - 1 if self.state.bytes <= furthest else self.patience.attempts
                furthest = max(furthest, self.state.bytes)
                if left <= 0:
                    raise _FailedError(str(error)) from error
                time.sleep(self.patience.pause_seconds)
                continue
            if (fault := self._fault()) is None:
                return
            self.state.begin("", "")  # or the next call would go on with it
            if not begun_with or mended:
                raise _FailedError(fault)
            mended = True  # once more from the start: what was there before may have been the damaged part

    def _attempt(self) -> None:
        """One connection, which leaves the whole file or raises."""
        resumed = self.state.bytes if self.state.address == self.address and self.state.validator else 0
        headers = {"User-Agent": "dashnas", "Accept-Encoding": "identity"}
        if resumed:
            headers |= {"Range": f"bytes={resumed}-", "If-Range": self.state.validator}
        try:
            request = urllib.request.Request(self.address, headers=headers)
            with urllib.request.urlopen(request, timeout=self.patience.stall_seconds) as response:
                self._receive(response, resumed)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416 and resumed and error.headers.get("Content-Range") == f"bytes */{resumed}":
                    return  # there is nothing after what is here
                if error.code == 416 and resumed:
                    self.state.begin("", "")
                    raise _BrokenError("the file there is another one than before") from error
                reason = f"the server answers {error.code} {error.reason}"
            raise (_BrokenError if error.code >= 500 or error.code in (408, 429) else _FailedError)(reason) from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, socket.gaierror):
                raise _FailedError(f"there is no such host, or no network ({error.reason.strerror})") from error
            if isinstance(error.reason, ssl.SSLCertVerificationError) or not isinstance(error.reason, OSError):
                raise _FailedError(str(error.reason)) from error
            raise _BrokenError(self._in_words(error.reason)) from error
        except StorageError:
            raise
        except ValueError as error:  # no address at all
            raise _FailedError(str(error)) from error
        except (http.client.HTTPException, OSError) as error:
            raise _BrokenError(self._in_words(error)) from error

    def _in_words(self, error: BaseException) -> str:
        if isinstance(error, TimeoutError):
            return f"nothing came for {self.patience.stall_seconds:g} s"
        return f"the connection broke ({getattr(error, 'strerror', None) or error or type(error).__name__})"

    def _receive(self, response: Any, resumed: int) -> None:
        headers = response.headers
        if headers.get_content_type() == "text/html":
            raise _FailedError("the server answers with a web page, not with the file")
        if response.status != 206:  # also if it does not know ranges
            resumed = 0
        elif not re.match(rf"bytes {resumed}-", headers.get("Content-Range", "")):
            self.state.begin("", "")
            raise _BrokenError("the server sent another piece than was asked for")
        length = headers.get("Content-Length", "")
        total = resumed + int(length) if length.isdigit() else None
        if total is None and self.size is None and self.checksum is None and not response.chunked:
            raise _FailedError("the server does not tell how long the file is, so that its end could be missing")
        if self.size is not None and total not in (None, self.size):
            raise _FailedError(f"the file there has {total} bytes, expected {self.size}")
        if not resumed:
            # A weak tag is no promise that the bytes are the same.
            tag = headers.get("ETag", "")
            self.state.begin(self.address, tag if tag.startswith('"') else headers.get("Last-Modified", ""))
        self._check_room((total or 0) - resumed)
        done = resumed
        while piece := response.read1(_CHUNK_BYTES):
            self._write(piece)
            done += len(piece)
            self.progress(done, total or 0)
        if total is not None and done != total:
            raise _BrokenError(f"the connection broke after {done} of {total} bytes")

    def _check_room(self, needed: int) -> None:
        if (free := shutil.disk_usage(self.state.path.parent).free) < needed:
            raise StorageError(
                f"{self.state.path.parent} has room for {free / 1e9:.1f} GB, but {needed / 1e9:.1f} GB are to come; "
                "make room there or choose another place, then give the same command again"
            )

    def _write(self, piece: bytes) -> None:
        try:
            self.state.file.write(piece)
            self.state.file.flush()
        except OSError as error:
            raise storage_error(self.state.path, error) from error

    def _fault(self) -> str | None:
        """What is wrong with the file as it came, if anything is known of it."""
        if self.size is not None and self.state.bytes != self.size:
            return f"the file there has {self.state.bytes} bytes, expected {self.size}"
        if self.checksum is None:
            return None
        algorithm, _, expected = self.checksum.partition(":")
        self.state.file.seek(0)
        found = hashlib.file_digest(self.state.file, algorithm).hexdigest()  # type: ignore[arg-type]
        return None if found == expected else f"the file there has {algorithm} {found}, expected {expected}"
