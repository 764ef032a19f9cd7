import ctypes

import pytest

from dashnas import heap
from dashnas.memory import _resident_bytes

MEGABYTE = 2**20

glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="needs glibc")


def resident_after_freeing(size):
    """How far the resident memory has grown once a block was written and freed again."""
    heap.return_freed_memory()
    before = _resident_bytes()
    block = bytearray(b"x") * size
    del block
    return _resident_bytes() - before


@glibc
def test_freed_memory_is_kept_until_the_end():
    with heap.keep_freed_memory():
        assert resident_after_freeing(64 * MEGABYTE) > 50 * MEGABYTE
        heap.return_freed_memory()
        assert resident_after_freeing(64 * MEGABYTE) > 50 * MEGABYTE
    assert resident_after_freeing(64 * MEGABYTE) < 25 * MEGABYTE


@glibc
def test_after_an_error_memory_is_handed_back_too():
    with pytest.raises(RuntimeError, match="stop"), heap.keep_freed_memory():
        raise RuntimeError("stop")
    assert resident_after_freeing(64 * MEGABYTE) < 25 * MEGABYTE


def test_without_glibc_nothing_changes(monkeypatch):
    monkeypatch.setattr(heap, "_glibc", lambda name: None)
    with heap.keep_freed_memory():
        assert resident_after_freeing(64 * MEGABYTE) < 25 * MEGABYTE
