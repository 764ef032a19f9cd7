"""Archives that were made to do harm, or are damaged, do none."""

import io
import os
import stat
import tarfile
import zipfile

import pytest

from dashnas.errors import DataError
from dashnas.tasks.unpack import Limits, unpack

CONTENTS = {"top.txt": b"top", "folder/inner/a.bin": b"a" * 1000, "folder/b.bin": b"b"}
LIMITS = Limits(members=20, bytes=10_000)


def write_zip(path, contents, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def write_tar(path, contents, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def write_tar_gz(path, contents):
    return write_tar(path, contents, "w:gz")


WRITERS = pytest.mark.parametrize("write", [write_zip, write_tar, write_tar_gz])


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "given" / "archive"


@pytest.fixture(autouse=True)
def _folder(archive):
    archive.parent.mkdir()


@pytest.fixture
def out(tmp_path):
    return tmp_path / "deep" / "out"


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@WRITERS
def test_files_and_folders_come_out_as_they_went_in(write, archive, out):
    told = []
    unpack(write(archive, CONTENTS), out, LIMITS, progress=lambda done, total: told.append(done))
    assert files(out) == CONTENTS
    assert told[-1] == 1004


def test_folders_of_their_own_are_no_files(archive, out):
    with zipfile.ZipFile(archive, "w") as opened:
        opened.mkdir("folder")
        opened.writestr("folder/a", b"a")
    unpack(archive, out, LIMITS)
    with tarfile.open(archive, "w") as opened:
        info = tarfile.TarInfo("other")
        info.type = tarfile.DIRTYPE
        opened.addfile(info)
    unpack(archive, out, LIMITS)
    assert files(out) == {"folder/a": b"a"}


@WRITERS
@pytest.mark.parametrize(
    "name", ["../out.txt", "a/../../out.txt", "/tmp/out.txt", "..\\out.txt", "C:\\out.txt", "C:/o"]
)
def test_paths_out_of_the_folder_are_refused(write, archive, out, name):
    with pytest.raises(DataError, match="which leads out of its folder; it is not unpacked"):
        unpack(write(archive, {name: b"harm"}), out, LIMITS)
    assert not list(out.parent.parent.rglob("*out.txt"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(archive, out, kind):
    with tarfile.open(archive, "w") as opened:
        info = tarfile.TarInfo("innocent")
        info.type, info.linkname = kind, "../../elsewhere"
        opened.addfile(info)
    with pytest.raises(DataError, match="'innocent', which is a link or a device"):
        unpack(archive, out, LIMITS)
    assert not out.exists()


def test_links_in_a_zip_are_refused_before_anything_is_unpacked(archive, out):
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("first", b"first")
        info = zipfile.ZipInfo("innocent")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(info, "../../elsewhere")
    with pytest.raises(DataError, match="'innocent', which is a link or a device"):
        unpack(archive, out, LIMITS)
    assert not out.exists()


def test_files_that_need_a_password_are_refused(archive, out):
    write_zip(archive, {"a": b"a"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory of the archive
    archive.write_bytes(content)
    with pytest.raises(DataError, match="'a', which needs a password"):
        unpack(archive, out, LIMITS)


@WRITERS
def test_too_many_files_are_refused(write, archive, out):
    write(archive, {f"{i}": b"" for i in range(21)})
    with pytest.raises(DataError, match="holds more than 20 files"):
        unpack(archive, out, LIMITS)


@WRITERS
def test_too_many_bytes_are_refused(write, archive, out):
    write(archive, {"a": os.urandom(6000), "b": os.urandom(6000)})
    with pytest.raises(DataError, match=r"holds more than 1e-05 GB of files.*not unpacked any further"):
        unpack(archive, out, LIMITS)
    assert "b" not in files(out)


@pytest.mark.parametrize("write", [lambda path, c: write_zip(path, c, zipfile.ZIP_DEFLATED), write_tar_gz])
def test_bombs_are_refused(write, archive, out):
    write(archive, {"bomb": bytes(10_000_000)})
    with pytest.raises(DataError, match="it is not what was expected, and is not unpacked"):
        unpack(archive, out, Limits(members=20, bytes=10**9, ratio=50))
    assert not out.exists()


@WRITERS
def test_a_truncated_archive_is_told_and_leaves_no_half_file(write, archive, out):
    write(archive, {"a": os.urandom(4000), "b": os.urandom(5000)})
    archive.write_bytes(archive.read_bytes()[:6000])
    with pytest.raises(DataError, match=r"damaged, cut short or no archive \(.*\); remove it and fetch it again"):
        unpack(archive, out, LIMITS)
    assert all(len(content) == 4000 for content in files(out).values())


def test_a_file_whose_bytes_changed_is_told(archive, out):
    write_zip(archive, {"a": b"a" * 1000})
    archive.write_bytes(archive.read_bytes().replace(b"aaaa", b"aaab", 1))
    with pytest.raises(DataError, match=r"Bad CRC-32"):
        unpack(archive, out, LIMITS)
    assert files(out) == {}


def test_something_that_is_no_archive_is_told(archive, out):
    archive.write_bytes(b"<html>" * 100)
    with pytest.raises(DataError, match=r"no archive \(file could not be opened successfully\); remove"):
        unpack(archive, out, LIMITS)


@WRITERS
def test_whole_files_are_left_alone_and_others_replaced(write, archive, out):
    write(archive, CONTENTS)
    unpack(archive, out, LIMITS)
    before = (out / "top.txt").stat().st_mtime_ns, (out / "folder" / "b.bin").stat().st_ino
    (out / "folder" / "inner" / "a.bin").write_bytes(b"half")
    unpack(archive, out, LIMITS)
    assert files(out) == CONTENTS
    assert ((out / "top.txt").stat().st_mtime_ns, (out / "folder" / "b.bin").stat().st_ino) == before
