"""Cells in processes: each to its end or to a reason, once, whoever else is at work."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dashnas.bench import CellName, Store
from dashnas.bench.cell import Conditions
from dashnas.bench.runner import run_grid
from dashnas.bench.store import State
from dashnas.errors import ConfigError

pytestmark = pytest.mark.slow  # each cell is a process that has to import PyTorch

PLUGIN = Path(__file__).with_name("toy_plugin.py")
CONDITIONS = Conditions(budget_seconds=5.0)
TOY = CellName("toy", "toy", 0)


class Heard:
    def __init__(self):
        self.begun, self.done = [], {}

    def started(self, cell):
        self.begun.append(cell)

    def ended(self, cell, state):
        self.done[cell] = state


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """A file with a line per call of the method `toy`."""
    monkeypatch.setenv("DASHNAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DASHNAS_CALLS", str(tmp_path / "calls"))
    (tmp_path / "calls").touch()
    return tmp_path / "calls"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store", create=True)


def run(store, *cells, conditions=CONDITIONS, **more):
    return run_grid(store, cells, conditions, more.pop("watcher", Heard()), plugins=(PLUGIN,), **more)


@pytest.fixture
def finished(store, calls):
    """A store with one finished cell."""
    assert run(store, TOY) == {TOY: State.FINISHED}
    return store


def test_a_cell_keeps_its_score_cost_and_conditions(finished):
    result = finished.result(TOY)
    assert result["value"] == pytest.approx(14 / 20)  # of the 20 test samples 6 are of class 0
    assert (result["metric"], result["protocol"], result["samples"]) == ("error", "clean", 20)
    assert 0 <= result["seconds"] < 5.0
    assert (result["budget_seconds"], result["budget_from"], result["threads"]) == (5.0, None, 1)
    assert {"dashnas", "torch", "numpy", "python"} <= result["versions"].keys()
    assert result["hardware"]["device"] == "cpu"
    assert (finished.folder / "cells/toy/toy/0.report.json").read_text() == '{\n  "budget": 5.0\n}\n'


def test_a_finished_cell_is_not_run_again(finished, calls):
    heard = Heard()
    assert run(finished, TOY, watcher=heard) == {TOY: State.FINISHED}
    assert len(calls.read_text().splitlines()) == 1
    assert (heard.begun, heard.done) == ([], {TOY: State.FINISHED})


def test_another_budget_beside_finished_cells_is_refused(finished):
    with pytest.raises(
        ConfigError, match="toy/toy/0 is finished already, with a budget of 5 s and not 7 s; give the same"
    ):
        run(finished, TOY, conditions=Conditions(budget_seconds=7.0))


def test_another_protocol_beside_finished_cells_is_refused(finished):
    with pytest.raises(
        ConfigError, match="toy/toy/0 is finished already, under the protocol clean and not nb360-official; give"
    ):
        run(finished, TOY, conditions=Conditions(budget_seconds=5.0, protocol="nb360-official"))


def test_an_unknown_protocol_is_refused():
    with pytest.raises(ConfigError, match="unknown protocol 'claen'; did you mean 'clean'"):
        Conditions(budget_seconds=5.0, protocol="claen")


def test_what_fails_is_told_and_does_not_stop_the_others(store, calls):
    names = ["broken", "refusing", "killed", "picky", "toy"]
    cells = [CellName("toy", name, 1) for name in names]
    states = run(store, *cells, jobs=2)
    assert list(map(states.get, cells)) == [State.FAILED] * 3 + [State.SKIPPED, State.FINISHED]
    broken, refusing, killed, picky, _ = cells
    assert store.reason(broken) == "ZeroDivisionError: a bug"
    assert "ZeroDivisionError" in (store.folder / "cells/toy/broken/1.failed.json").read_text()
    assert store.reason(refusing) == "DataError: these data will not do; bring others"
    assert "Traceback" not in (store.folder / "cells/toy/refusing/1.failed.json").read_text()
    assert store.reason(killed) == "its process was ended by SIGKILL; perhaps memory ran out"
    assert store.reason(picky) == "it likes no task"

    calls.with_name("mended").touch()
    assert run(store, broken, picky) == {broken: State.FINISHED, picky: State.SKIPPED}
    assert not (store.folder / "cells/toy/broken/1.failed.json").exists()


def test_a_cell_with_the_time_of_another_begins_after_it(store, calls):
    after = CellName("toy", "toy@toy", 0)
    heard = Heard()
    states = run(store, after, TOY, jobs=2, watcher=heard)
    assert heard.begun == [TOY, after]
    assert list(states.items()) == [(after, State.FINISHED), (TOY, State.FINISHED)]  # in the order that was asked for
    result = store.result(after)
    assert (result["budget_seconds"], result["budget_from"]) == (store.result(TOY)["seconds"], "toy")
    assert result["method"] == "toy@toy"


@pytest.mark.parametrize(("other", "state"), [("broken", State.FAILED), ("picky", State.SKIPPED)])
def test_without_that_time_it_is_as_the_other_one(store, calls, other, state):
    cell, source = CellName("toy", f"toy@{other}", 0), CellName("toy", other, 0)
    assert run(store, source, cell) == {source: state, cell: state}
    assert store.reason(cell) == f"toy/{other}/0 was {state}, so there is no time to take over"


def test_two_runs_at_once_share_the_work(store, calls, monkeypatch):
    monkeypatch.setenv("DASHNAS_SLEEP", "0.5")
    cells = [CellName(task, "toy", seed) for task in ("toy", "other-toy") for seed in (0, 1)]
    command = [
        sys.executable, "-m", "dashnas", "bench", "run", "--tasks", "toy,other-toy", "--methods", "toy",
        "--seeds", "0-1", "--budget", "5s", "--out", store.folder, "--import", PLUGIN, "--json",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as other:
        states = run(store, *cells)
        output, errors = other.communicate()
    assert other.returncode == 0, errors
    assert output.count(b'"finished"') == 4
    assert set(states.values()) == {State.FINISHED}
    lines = [line.split() for line in calls.read_text().splitlines()]
    assert sorted((task, seed) for task, seed, *_ in lines) == sorted((c.task, str(c.seed)) for c in cells)


def test_a_cell_gets_the_threads_that_were_asked_for(store, calls):
    run(store, TOY, conditions=Conditions(budget_seconds=5.0, threads=2))
    assert calls.read_text().split()[-1] == "2"
    assert store.result(TOY)["threads"] == 2


def test_a_stop_ends_the_processes_and_the_command_with_130(store, calls, monkeypatch):
    monkeypatch.setenv("DASHNAS_SLEEP", "60")
    command = [
        sys.executable, "-m", "dashnas", "bench", "run", "--tasks", "toy", "--methods", "toy", "--budget", "5s",
        "--out", store.folder, "--import", PLUGIN,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not calls.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert b"to go on, give the same command again: dashnas bench run --tasks toy" in errors
    assert b"Traceback" not in errors
    worker = int(calls.read_text().split()[2])
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    assert store.state(TOY) is State.BEGUN  # not a failure
