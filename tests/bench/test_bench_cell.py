"""One cell: its states, what is kept of it, and how it goes on after a stop."""

import json
from dataclasses import replace

import pytest

from dashnas.bench import CellName, Store
from dashnas.bench.cell import Conditions, run_cell
from dashnas.bench.stopwatch import Stopwatch
from dashnas.bench.store import State
from dashnas.config import Schedule
from dashnas.errors import ConfigError, DataError
from dashnas.methods import MisfitError
from dashnas.presets import Options
from dashnas.progress import Silent
from dashnas.training import Interrupted
from tiny import prepared

CONDITIONS = Conditions(budget_seconds=5.0)


class StopsAfter(Silent):
    """Asks to stop after some training steps."""

    def __init__(self, steps):
        self.steps = steps

    def advance(self):
        self.steps -= 1
        if self.steps == 0:
            raise Interrupted


def tiny_task(name, asked):
    return prepared(), replace(Options(width=4, batch_size=16), seed=asked.seed, threads=asked.threads)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store", create=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget_seconds": 0.0}, "budget must be a positive time, got 0.0 seconds"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Conditions(**{"budget_seconds": 5.0, **settings})


def test_a_cell_that_another_process_has_is_left_alone(store):
    cell = CellName("tiny", "backbone", 0)
    with store.lock(cell):
        assert run_cell(store, cell, CONDITIONS, Silent(), tiny_task) is State.RUNNING
    assert not store.run_folder(cell).exists()


def test_a_failure_is_kept_with_one_line_of_reason(store):
    cell = CellName("tiny", "backbone", 0)

    def broken(name, asked):
        raise ValueError("first line\nsecond line")

    def refused(name, asked):
        raise DataError("bring other data")

    assert run_cell(store, cell, CONDITIONS, Silent(), broken) is State.FAILED
    assert store.reason(cell) == "ValueError: first line"
    assert "second line" in (store.folder / "cells/tiny/backbone/0.failed.json").read_text()
    assert run_cell(store, cell, CONDITIONS, Silent(), refused) is State.FAILED
    kept = json.loads((store.folder / "cells/tiny/backbone/0.failed.json").read_text())
    assert (kept["reason"], kept["traceback"]) == ("DataError: bring other data", "")


def test_what_a_method_finds_out_on_its_way_skips_the_cell(store, monkeypatch):
    class Late:
        def misfit(self, task):
            return None

        def fit(self, task, **given):
            raise MisfitError("it would take too long")

    monkeypatch.setattr("dashnas.bench.cell.get_method", lambda name: Late())
    cell = CellName("tiny", "late", 0)
    assert run_cell(store, cell, CONDITIONS, Silent(), tiny_task) is State.SKIPPED
    assert (store.state(cell), store.reason(cell)) == (State.SKIPPED, "it would take too long")


def test_a_task_without_a_test_part_fails(store):
    def without(name, asked):
        data, options = tiny_task(name, asked)
        return replace(data, test=None), options

    cell = CellName("tiny", "backbone", 0)
    assert run_cell(store, cell, CONDITIONS, Silent(), without) is State.FAILED
    assert store.reason(cell) == "DataError: the task tiny has no test part to score on"


@pytest.mark.parametrize("method", ["backbone", "random"])
def test_a_cell_that_was_stopped_goes_on_and_ends_in_the_same_score(store, tmp_path, monkeypatch, method):
    schedule = Schedule(search_epochs=0, tune_trials=2, tune_epochs=2, retrain_epochs=6, width=4)
    for module in ("phases", "methods.backbone"):
        monkeypatch.setattr(f"dashnas.{module}.schedule_within", lambda *_: schedule)
    cell, at_once = CellName("tiny", method, 0), Store(tmp_path / "other", create=True)
    with pytest.raises(Interrupted):
        run_cell(store, cell, CONDITIONS, StopsAfter(8), tiny_task)
    assert store.state(cell) is State.BEGUN
    spent = json.loads((store.run_folder(cell) / "seconds.json").read_text())["seconds"]
    for one in (store, at_once):
        assert run_cell(one, cell, CONDITIONS, Silent(), tiny_task) is State.FINISHED
    assert store.result(cell)["value"] == at_once.result(cell)["value"]
    assert store.result(cell)["seconds"] > spent > 0
    assert not (store.run_folder(cell) / "method" / "checkpoints").exists()


def test_the_stopwatch_counts_what_earlier_processes_took(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("dashnas.bench.stopwatch.time.monotonic", lambda: now[0])
    with Stopwatch(tmp_path / "s.json", Silent()) as first:
        now[0] = 101.0
        first.advance()
        assert json.loads((tmp_path / "s.json").read_text()) == {"seconds": 0.0}
        now[0] = 103.5
        first.advance()  # more than two seconds since it was last kept
        assert json.loads((tmp_path / "s.json").read_text()) == {"seconds": 3.5}
        now[0] = 104.0
    assert first.seconds == 4.0
    with Stopwatch(tmp_path / "s.json", Silent()) as second:
        now[0] = 110.0
    assert second.seconds == 10.0
