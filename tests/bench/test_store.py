"""The store: what is in its files, and what it refuses."""

import json
import math

import pandas
import pytest

from dashnas.analysis import Cell
from dashnas.bench import CellName, Store, read_cells
from dashnas.bench.store import State
from dashnas.errors import RunError

CELL = CellName("crop", "dash", 0)


def result(cell=CELL, **changes):
    made = Cell(
        task=cell.task, method=cell.method, seed=cell.seed, metric="error", protocol="clean", value=0.25,
        higher_is_better=False, seconds=9.5, parameters=10,
    )  # fmt: skip
    return {"format": 1, **made.to_json(), "budget_seconds": 10.0, "budget_from": None} | changes


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store", create=True)


def test_a_finished_cell_is_a_file_and_comes_back_as_it_was(store):
    store.finish(CELL, result(), {"trials": 3})
    folder = store.folder / "cells" / "crop" / "dash"
    assert json.loads((folder / "0.json").read_text()) == result()
    assert json.loads((folder / "0.report.json").read_text()) == {"trials": 3}
    (cell,) = read_cells(store.folder)
    assert cell == Cell.from_json({k: v for k, v in result().items() if k in cell.to_json()})


def test_the_files_make_a_data_frame(store):
    for seed in (0, 1):
        store.finish(CellName("crop", "dash", seed), result(seed=seed), {})
    files = sorted((store.folder / "cells").glob("*/*/[0-9].json"))
    frame = pandas.DataFrame([json.loads(file.read_text()) for file in files])
    assert frame[["task", "seed", "value", "budget_seconds"]].to_dict("list") == {
        "task": ["crop", "crop"],
        "seed": [0, 1],
        "value": [0.25, 0.25],
        "budget_seconds": [10.0, 10.0],
    }


@pytest.mark.parametrize(("higher_is_better", "worst"), [(False, math.inf), (True, -math.inf)])
def test_a_score_without_a_number_is_null_in_the_file_and_the_worst_there_is_when_read(store, higher_is_better, worst):
    store.finish(CELL, result(value=worst, higher_is_better=higher_is_better), {"losses": [math.nan, 1.0]})
    assert store.result(CELL)["value"] is None
    assert read_cells(store.folder)[0].value == worst
    assert "NaN" not in (store.folder / "cells/crop/dash/0.report.json").read_text()


def test_a_cell_tells_how_far_it_is(store):
    assert store.state(CELL) is State.OPEN
    with store.lock(CELL) as mine:
        assert mine
        assert store.state(CELL) is State.RUNNING
        with store.lock(CELL) as again:
            assert not again
    store.run_folder(CELL).mkdir()
    assert store.state(CELL) is State.BEGUN
    store.fail(CELL, "it broke", "trace")
    assert (store.state(CELL), store.reason(CELL)) == (State.FAILED, "it broke")
    store.finish(CELL, result(), {})
    assert (store.state(CELL), store.reason(CELL)) == (State.FINISHED, "")


def test_a_skipped_cell_keeps_the_reason(store):
    store.skip(CELL, "it is for images")
    assert (store.state(CELL), store.reason(CELL)) == (State.SKIPPED, "it is for images")
    assert store.cells(State.SKIPPED) == [CELL]
    assert store.cells(State.FINISHED) == []


def test_what_is_no_store_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"holds no results of `dashnas bench run` \(it has no store.json\)"):
        read_cells(tmp_path)
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty and holds no results"):
        Store(tmp_path, create=True)
    with pytest.raises(RunError, match="is a file; expected a folder"):
        Store(tmp_path / "precious.txt", create=True)


def test_results_of_another_version_are_refused(store):
    (store.folder / "store.json").write_text('{"format": 99}')
    with pytest.raises(RunError, match="filled by another version of dashnas, whose results have format 99, not 1"):
        read_cells(store.folder)


@pytest.mark.parametrize(("text", "why"), [("{", "it is not JSON"), ("[]", "expected an object")])
def test_a_damaged_file_is_named(store, text, why):
    store.finish(CELL, result(), {})
    (store.folder / "cells/crop/dash/0.json").write_text(text)
    with pytest.raises(RunError, match=rf"cells/crop/dash/0.json is damaged: {why}.*; delete it and run again"):
        read_cells(store.folder)
