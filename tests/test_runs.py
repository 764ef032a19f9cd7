"""The run directory: one process at a time, one configuration, and nothing in it ever half written."""

import errno
import json
import os
import subprocess
import sys

import pytest
import torch

from dashnas.errors import RunError, StorageError
from dashnas.runs import CheckpointClock, Run, read_events, read_json, write_json

SETTINGS = {"seed": 0, "search": {"clip": 1.0, "dilations": (1, 3)}}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / "mine"


def test_a_run_goes_on_with_the_same_settings(folder):
    with Run(folder, SETTINGS):
        pass
    with Run(folder, SETTINGS):
        assert read_json(folder / "run.json")["settings"] == {"seed": 0, "search": {"clip": 1.0, "dilations": [1, 3]}}


def test_other_settings_are_refused_by_their_names(folder):
    with Run(folder, SETTINGS):
        pass
    other = {"seed": 1, "search": {"clip": None, "dilations": (1, 3)}}
    with pytest.raises(RunError, match=r"other settings: search.clip \(1.0 there, None now\); seed \(0 there, 1 now\)"):
        Run(folder, other)
    with Run(folder, SETTINGS):  # the refused one holds no lock
        pass


def test_an_empty_folder_becomes_a_run_and_another_is_left_alone(folder):
    folder.mkdir(parents=True)
    with Run(folder, SETTINGS):
        pass
    (folder / "run.json").unlink()
    (folder / "thesis.txt").write_text("precious")
    with pytest.raises(RunError, match="is not empty and not a run"):
        Run(folder, SETTINGS)
    assert not (folder / "run.json").exists()


@pytest.mark.parametrize("was_there", [False, True])
def test_a_new_run_that_is_withdrawn_leaves_what_was_there(was_there, folder):
    if was_there:
        folder.mkdir(parents=True)
    with Run(folder, SETTINGS) as run:
        run.write("schedule.json", {})
        run.withdraw()
    assert folder.exists() == was_there
    assert not was_there or not list(folder.iterdir())


@pytest.mark.parametrize("begun", ["events", "checkpoint", "earlier"])
def test_a_run_in_which_something_was_done_is_not_withdrawn(begun, folder):
    if begun == "earlier":
        with Run(folder, SETTINGS):
            pass
    with Run(folder, SETTINGS) as run:
        if begun == "events":
            run.record({"phase": "search", "epoch": 0})
        if begun == "checkpoint":
            run.save_checkpoint("search", {})
        run.withdraw()
    assert (folder / "run.json").exists()
    with Run(folder, SETTINGS):
        pass


def test_what_cannot_be_deleted_does_not_hide_why_a_run_is_withdrawn(folder, monkeypatch):
    def fails(self):
        raise OSError(errno.ENOTEMPTY, "not empty")

    with Run(folder, SETTINGS) as run:
        monkeypatch.setattr("pathlib.Path.rmdir", fails)
        run.withdraw()
    assert not (folder / "run.json").exists()


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(RunError, match="file is a file; --out must be a new folder"):
        Run(tmp_path / "file", SETTINGS)


def test_a_run_that_was_killed_before_it_had_written_its_settings_begins_anew(folder):
    """What a process leaves that was killed while it wrote run.json."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / ".lock").touch()
    (folder / ".run.json.123.tmp").write_text('{"form')
    with Run(folder, SETTINGS):
        assert sorted(path.name for path in folder.iterdir()) == [".lock", "checkpoints", "run.json"]


def test_files_that_were_being_written_are_removed(folder):
    with Run(folder, SETTINGS) as run:
        run.save_checkpoint("search", {"epoch": 1})
    leftovers = [folder / ".tune.json.7.tmp", folder / "checkpoints" / ".search.pt.7.tmp"]
    for leftover in leftovers:
        leftover.write_text("half")
    with Run(folder, SETTINGS) as run:
        assert not any(leftover.exists() for leftover in leftovers)
        assert run.load_checkpoint("search") == {"epoch": 1}


HOLD = "import fcntl, sys; fcntl.flock(sys.stdin, fcntl.LOCK_SH | fcntl.LOCK_NB); print('held', flush=True)"


def elsewhere(folder, then: str = "") -> subprocess.Popen:
    """Another process that takes the lock of a run, if it can, and would share it with one that shared it too."""
    with (folder / ".lock").open("ab") as lock:
        return subprocess.Popen(
            [sys.executable, "-S", "-c", HOLD + then], stdin=lock, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )


def test_a_run_is_held_by_one_process_at_a_time(folder):
    with Run(folder, SETTINGS), elsewhere(folder) as other:
        assert other.wait() == 1  # refused
    with elsewhere(folder, "; import time; time.sleep(60)") as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(RunError, match=r"another process is working on .*; wait for it, or give another --out"):
            Run(folder, SETTINGS)
        other.kill()
    with Run(folder, SETTINGS):  # a process that was killed holds nothing
        pass


DAMAGED = [
    ('{"format": 1, "sett', "run.json is damaged: it is not JSON"),
    ("[1, 2]", "run.json is damaged: it has no settings"),
    ('{"format": 1}', "run.json is damaged: it has no settings"),
    ('{"format": 2, "settings": {}}', "begun by another version of dashnas, whose runs have format 2, not 1"),
]


@pytest.mark.parametrize(("text", "message"), DAMAGED)
def test_a_run_whose_settings_cannot_be_read_is_refused_and_let_go(text, message, folder):
    with Run(folder, SETTINGS):
        pass
    (folder / "run.json").write_text(text)
    for _ in range(2):  # the second time as well: no lock is left behind
        with pytest.raises(RunError, match=message):
            Run(folder, SETTINGS)


def test_what_was_decided_once_is_remembered(folder):
    made = []

    def decide():
        made.append(1)
        return {"epochs": len(made)}

    for _ in range(2):
        with Run(folder, SETTINGS) as run:
            assert run.remember("schedule.json", decide) == {"epochs": 1}
            assert run.read("schedule.json", default=None) == {"epochs": 1}
            assert run.read("tune.json", default=[]) == []
    assert made == [1]


def test_a_damaged_json_file_is_named(folder):
    with Run(folder, SETTINGS) as run:
        (folder / "tune.json").write_text("[{")
        with pytest.raises(RunError, match=r"tune\.json is damaged: it is not JSON"):
            run.read("tune.json", default=[])
    with pytest.raises(RunError, match=r"cannot read .*gone\.json: No such file or directory; is .* a run of dashnas"):
        read_json(folder / "gone.json")


STATE = {
    "model": {"weight": torch.arange(6.0).view(2, 3)},
    "progress": {"epoch": 3, "history": [{"score": 0.5}], "seconds": 1.5, "finished": False},
}


def test_a_checkpoint_comes_back_as_it_was(folder):
    with Run(folder, SETTINGS) as run:
        assert run.load_checkpoint("search") is None
        run.save_checkpoint("search", STATE)
        loaded = run.load_checkpoint("search")
        torch.testing.assert_close(loaded["model"], STATE["model"], rtol=0, atol=0)
        assert loaded["progress"] == STATE["progress"]
        assert run.load_checkpoint("retrain") is None


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\x80\x05garbage"])
def test_a_damaged_checkpoint_is_named_with_what_to_do(damage, folder):
    with Run(folder, SETTINGS) as run:
        run.save_checkpoint("search", STATE)
        path = folder / "checkpoints" / "search.pt"
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(RunError, match=r"^the checkpoint .*search\.pt is damaged; delete it to repeat its phase$"):
            run.load_checkpoint("search")


def test_a_checkpoint_is_never_unpickled(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    with Run(folder, SETTINGS) as run:
        torch.save({"model": Trap()}, folder / "checkpoints" / "search.pt")
        with pytest.raises(RunError, match="is damaged"):
            run.load_checkpoint("search")
    assert not (tmp_path / "sprung").exists()


def test_a_full_disk_leaves_the_checkpoint_before_it_whole(folder, monkeypatch):
    with Run(folder, SETTINGS) as run:
        run.save_checkpoint("search", {"epoch": 1})

        def full(descriptor):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"cannot write .*search\.pt: No space left on device\. .*make room"):
            run.save_checkpoint("search", {"epoch": 2})
        assert run.load_checkpoint("search") == {"epoch": 1}
        assert [path.name for path in (folder / "checkpoints").iterdir()] == ["search.pt"]


def test_a_new_run_on_a_full_disk_is_refused_and_let_go(folder, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"cannot write .*run\.json: No space left on device"):
            Run(folder, SETTINGS)
    with Run(folder, SETTINGS):
        pass


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB, where mounting one is permitted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system is not permitted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_really_full_leaves_everything_whole(small_disk):
    with Run(small_disk / "run", SETTINGS) as run:
        run.save_checkpoint("search", {"weight": torch.zeros(20_000)})
        run.record({"phase": "search", "epoch": 0})
        with pytest.raises(StorageError, match=r"cannot write .*search\.pt.*make room there"):
            run.save_checkpoint("search", {"weight": torch.ones(60_000)})
        assert not list(run.folder.rglob("*.tmp"))
        with (small_disk / "filler").open("wb", buffering=0) as filler:
            while True:
                try:
                    filler.write(b"0" * 4096)
                except OSError:
                    break
        with pytest.raises(StorageError, match=r"cannot write .*events\.jsonl: No space left on device"):
            run.record({"phase": "search", "epoch": 1, "text": "more than the block that the file has" * 200})
        assert torch.equal(run.load_checkpoint("search")["weight"], torch.zeros(20_000))
        assert read_events(run.folder)[0] == {"phase": "search", "epoch": 0}
        (small_disk / "filler").unlink()
        run.forget_events("search", 1)
        run.record({"phase": "search", "epoch": 1})
        assert [event["epoch"] for event in read_events(run.folder)] == [0, 1]


def test_events_are_told_in_order(folder):
    with Run(folder, SETTINGS) as run:
        assert read_events(folder) == []
        for epoch in range(3):
            run.record({"phase": "search", "epoch": epoch, "text": "a\u2028b\nc"})
        assert [event["epoch"] for event in read_events(folder)] == [0, 1, 2]
        assert len((folder / "events.jsonl").read_text().split("\n")) == 4


def test_events_that_are_going_to_be_repeated_are_forgotten_for_one_phase_only(folder):
    with Run(folder, SETTINGS) as run:
        run.forget_events("search", 0)  # where there are none
        for phase in ("search", "tune-0"):
            for epoch in range(3):
                run.record({"phase": phase, "epoch": epoch})
        run.forget_events("tune-0", 1)
        assert [(e["phase"], e["epoch"]) for e in read_events(folder)] == [
            ("search", 0), ("search", 1), ("search", 2), ("tune-0", 0),
        ]  # fmt: skip


def test_a_line_that_was_cut_off_is_left_out_and_then_dropped(folder):
    with Run(folder, SETTINGS) as run:
        run.record({"phase": "search", "epoch": 0})
        with (folder / "events.jsonl").open("a") as file:
            file.write('{"phase": "search", "epo')
        assert read_events(folder) == [{"phase": "search", "epoch": 0}]
        run.forget_events("search", 1)
        run.record({"phase": "search", "epoch": 1})
        assert [json.loads(line)["epoch"] for line in (folder / "events.jsonl").read_text().splitlines()] == [0, 1]


def test_json_files_are_replaced_at_once(tmp_path, monkeypatch):
    write_json(tmp_path / "a.json", {"old": 1})
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
    with pytest.raises(StorageError, match=r"cannot write .*a\.json: Input/output error"):
        write_json(tmp_path / "a.json", {"new": 2})
    assert read_json(tmp_path / "a.json") == {"old": 1}


def test_the_clock_strikes_when_enough_time_has_passed(monkeypatch):
    times = iter([0.0, 14.0, 15.0, 29.0, 31.0])
    monkeypatch.setattr("dashnas.runs.time.monotonic", lambda: next(times))
    clock = CheckpointClock(15.0)
    assert [clock.is_due() for _ in range(4)] == [False, True, False, True]
