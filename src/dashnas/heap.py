"""The heap of a process that trains on a CPU: what one step has freed, the next one uses again."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_NEVER = -1
_USUAL = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 2**25, _TRIM_THRESHOLD: 2**26}
"""What glibc comes to by itself in a process that has freed a large block."""


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Keep freed memory for the next step, in place of handing it back to the operating system; then hand it back.

    By default, glibc returns large blocks as soon as they are free, and the next step pays for every page again. That
    costs a search step up to a third of its time. Without glibc this does nothing.
    """
    mallopt = _glibc("mallopt")
    if mallopt is None:
        yield
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        for parameter, value in _USUAL.items():
            mallopt(parameter, value)
        return_freed_memory()


def return_freed_memory() -> None:
    """Hand freed memory back to the operating system now, where that can be done."""
    if (trim := _glibc("malloc_trim")) is not None:
        trim(0)


def _glibc(name: str) -> Any:
    """A function of glibc; None where the C library is another."""
    library = ctypes.CDLL(None)
    return getattr(library, name, None) if hasattr(library, "gnu_get_libc_version") else None
