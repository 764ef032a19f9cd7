"""The files of the official tasks: the table of them, and how they come into their folder."""

import dataclasses
import io
import tarfile

import pytest

from bad_server import serving
from dashnas.errors import ConfigError, DataError
from dashnas.tasks import OFFICIAL_TASKS
from dashnas.tasks import fetch_official as module
from dashnas.tasks.download import Patience
from dashnas.tasks.fetch_official import fetch_official, is_there
from dashnas.tasks.official import official_folder
from dashnas.tasks.official_files import OFFICIAL_FILES, SHARED_FOLDER, OfficialFile
from dashnas.tasks.unpack import Limits

HASTY = Patience(stall_seconds=10, attempts=1, pause_seconds=0)
FILES = [(task, file) for task, files in OFFICIAL_FILES.items() for file in files]


class TestTable:
    def test_has_the_ten_tasks_of_the_benchmark(self):
        images, others = {"cifar100", "spherical", "darcy", "psicov", "cosmic"}, {"ninapro", "fsd50k"}
        assert set(OFFICIAL_FILES) == images | others | {"ecg", "satellite", "deepsea"}

    @pytest.mark.parametrize(("task", "file"), FILES, ids=[file.name for _, file in FILES])
    def test_every_file_has_an_address_that_ends_in_its_name(self, task, file):
        assert file.addresses
        assert all(a.startswith("https://") and a.endswith("/" + file.name) for a in file.addresses)
        assert file.checksum is None or file.checksum.partition(":")[0] in ("sha256", "md5")
        assert (file.limits is None) == (not file.unpacks_to)
        assert file.limits is None or file.limits.bytes > 1e6 * file.megabytes

    @pytest.mark.parametrize("task", OFFICIAL_TASKS)
    def test_brings_what_each_reader_looks_for(self, task):
        brought = {name for file in OFFICIAL_FILES[task] for name in (file.unpacks_to or (file.name,))}
        assert brought == set(OFFICIAL_TASKS[task].files)


def tar(contents):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


@pytest.fixture
def server(monkeypatch):
    """A server with the two files of a task `toy`, one of them an archive."""
    with serving() as state:
        state.files = {"/a.npy": b"numbers", "/b.tar": tar({"inner/c.txt": b"letters"})}
        files = (
            OfficialFile(
                name="a.npy",
                addresses=(f"{state.address}/a.npy",),
                megabytes=7,
                also_named=("a",),
                by_hand=("https://example.org/a",),
            ),
            OfficialFile(
                name="b.tar",
                addresses=(f"{state.address}/b.tar",),
                megabytes=1500,
                unpacks_to=("inner/c.txt",),
                limits=Limits(members=5, bytes=100),
            ),
        )
        monkeypatch.setitem(OFFICIAL_FILES, "toy", files)
        yield state


def fetch(folder, **more):
    return fetch_official("toy", folder, patience=HASTY, **more)


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


WHOLE = {"a.npy": b"numbers", "inner/c.txt": b"letters"}


def asked(server):
    return [path for path, _ in server.requests]


def test_files_are_downloaded_and_archives_unpacked_once(server, tmp_path):
    told = []
    assert fetch(tmp_path, progress=lambda *counts: told.append(counts)) == tmp_path
    assert content(tmp_path) == WHOLE
    assert (7, 7) in told
    fetch(tmp_path)
    assert asked(server) == ["/a.npy", "/b.tar"]


def test_files_go_where_the_task_looks_for_them(server, tmp_path, monkeypatch):
    monkeypatch.setenv("DASHNAS_DATA", str(tmp_path))
    assert fetch(None) == tmp_path / "toy" == official_folder("toy")
    assert content(tmp_path / "toy") == WHOLE
    monkeypatch.delenv("DASHNAS_DATA")
    monkeypatch.setenv("DASHNAS_CACHE", str(tmp_path / "cache"))
    assert official_folder("toy") == tmp_path / "cache" / "official" / "toy"


def test_what_was_placed_by_hand_is_not_downloaded(server, tmp_path):
    (tmp_path / "a").write_bytes(b"by hand")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "c.txt").write_bytes(b"by hand")
    fetch(tmp_path)
    assert asked(server) == []


def test_an_archive_that_was_placed_by_hand_is_unpacked_and_kept(server, tmp_path):
    (tmp_path / "a.npy").write_bytes(b"by hand")
    (tmp_path / "b.tar").write_bytes(tar({"inner/c.txt": b"by hand"}))
    fetch(tmp_path)
    assert asked(server) == []
    assert (tmp_path / "inner" / "c.txt").read_bytes() == b"by hand"
    assert (tmp_path / "b.tar").exists()


def test_an_unpacking_that_was_broken_off_goes_on(server, tmp_path, monkeypatch):
    def broken_off(archive, folder, limits, progress):
        (folder / "inner").mkdir()
        (folder / "inner" / "c.txt").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "unpack", broken_off)
        with pytest.raises(KeyboardInterrupt):
            fetch(tmp_path)
    assert not is_there(OFFICIAL_FILES["toy"][1], tmp_path)
    fetch(tmp_path)
    assert content(tmp_path).items() >= WHOLE.items()
    assert asked(server) == ["/a.npy", "/b.tar"]


def test_a_folder_that_an_archive_puts_around_its_files_is_taken_off(server, tmp_path, monkeypatch):
    server.files["/b.tar"] = tar({"around/inner/c.txt": b"letters"})
    file = dataclasses.replace(OFFICIAL_FILES["toy"][1], unpacks_to=("inner",))
    monkeypatch.setitem(OFFICIAL_FILES, "toy", (file,))
    fetch(tmp_path)
    assert content(tmp_path) == {"inner/c.txt": b"letters"}
    fetch(tmp_path)
    assert asked(server) == ["/b.tar"]


def test_a_mirror_is_tried_first(server, tmp_path):
    server.files["/own/a.npy"] = b"mirrored"
    fetch(tmp_path, mirror=f"{server.address}/own/")
    assert asked(server) == ["/own/a.npy", "/own/b.tar", "/b.tar"]
    assert content(tmp_path) == {**WHOLE, "a.npy": b"mirrored"}


def test_a_dead_server_leads_to_a_word_on_what_to_place_where(server, tmp_path):
    server.files.clear()
    with pytest.raises(DataError) as caught:
        fetch(tmp_path / "toy")
    told = str(caught.value)
    assert told.startswith(f"cannot download a.npy: {server.address}/a.npy: the server answers 404 Not Found. ")
    assert "get a.npy (7 MB), b.tar (1.5 GB) by hand" in told
    assert f"from {SHARED_FOLDER} or https://example.org/a, place them, unpacked or not, in {tmp_path / 'toy'}" in told


def test_only_what_is_missing_is_asked_of_the_user(server, tmp_path):
    server.files.pop("/b.tar")
    with pytest.raises(DataError, match=r"cannot download b\.tar: .* get b\.tar \(1\.5 GB\) by hand"):
        fetch(tmp_path)
    assert content(tmp_path)["a.npy"] == b"numbers"


def test_another_archive_than_expected_is_told(server, tmp_path):
    server.files["/b.tar"] = tar({"other.txt": b""})
    with pytest.raises(DataError, match=r"b\.tar does not hold inner/c\.txt; it is another archive than expected"):
        fetch(tmp_path)


def test_an_unknown_task_names_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="unknown official task 'cosmos'; did you mean 'cosmic'"):
        fetch_official("cosmos", tmp_path)
