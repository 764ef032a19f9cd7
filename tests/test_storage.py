"""Files are either whole or not there."""

import pytest

from dashnas.errors import StorageError
from dashnas.storage import atomic_file


def test_missing_folders_are_made_and_nothing_else_is_left(tmp_path):
    with atomic_file(tmp_path / "new" / "file") as file:
        file.write(b"content")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]
    assert (tmp_path / "new" / "file").read_bytes() == b"content"


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    message = r"cannot write .*file: No space left on device\. .*make room"
    with pytest.raises(StorageError, match=message), atomic_file(path) as file:  # noqa: PT012 (the block is the case)
        file.write(b"ne")
        raise OSError(28, "No space left on device")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
