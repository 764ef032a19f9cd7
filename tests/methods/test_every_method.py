"""Every method, on every kind of target that it fits: it learns without a look at the test part, and tells its cost."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dashnas.bench import CellName, Store
from dashnas.bench.cell import Conditions, run_cell
from dashnas.bench.store import State
from dashnas.data import SealedTest, TargetKind
from dashnas.data.tables import ArrayTable
from dashnas.methods.registry import all_methods, describe_method
from dashnas.presets import Options
from dashnas.progress import Silent
from tiny import prepared

NAMES = sorted(all_methods())
QUICK = ["backbone", "dash-quick", "fno", "xgboost"]
"""The fast tests run these, on one kind of target each; the slow ones all others too."""

DENSE = [kind for kind in TargetKind if kind.is_dense]
FITS = {
    "rocket": [(1, TargetKind.CLASSES)],
    "fno": [(2, kind) for kind in DENSE],
    "dash-tcn": [(1, kind) for kind in TargetKind],
    "dash-convnext": [(2, kind) for kind in TargetKind],
    # The tiny maps of numbers have a mask.
    "xgboost": [(dims, kind) for dims in (1, 2) for kind in TargetKind if kind is not TargetKind.DENSE_REGRESSION],
}
EVERYTHING = [(dims, kind) for dims in (1, 2) for kind in TargetKind]
SMALL = Options(width=4, batch_size=16, threads=1)


def cases():
    for name in NAMES:
        for dims, kind in EVERYTHING:
            quick = name in QUICK and (dims, kind) == FITS.get(name, EVERYTHING)[0]
            marks = () if quick else pytest.mark.slow
            yield pytest.param(name, dims, kind, marks=marks, id=f"{name}-{dims}-D-{kind.value}")


@pytest.fixture
def guarded(monkeypatch):
    """Makes reading a sample of the test part an error until the final evaluation opens it; data with such a part."""

    def make(dims, kind):
        data = prepared(kind, dims)
        assert data.test is not None
        sealed = set(data.test.open()._rows.tolist())
        opened = []
        take, open_part = ArrayTable.take, SealedTest.open

        def guarded_take(self, rows, names):
            assert opened or not sealed & set(np.asarray(rows).tolist()), "a sample of the test part was read"
            return take(self, rows, names)

        def counted_open(self):
            opened.append(self)
            return open_part(self)

        monkeypatch.setattr(ArrayTable, "take", guarded_take)
        monkeypatch.setattr(SealedTest, "open", counted_open)
        return data, opened

    return make


def run(store, name, data, budget=1.0, seed=0):
    cell = CellName("tiny", name, seed)
    conditions = Conditions(budget_seconds=budget)
    state = run_cell(store, cell, conditions, Silent(), lambda task, asked: (data, replace(SMALL, seed=asked.seed)))
    return cell, state


@pytest.mark.parametrize(("name", "dims", "kind"), list(cases()))
def test_a_method_learns_without_the_test_part_or_says_why_it_does_not_fit(
    tmp_path, guarded, monkeypatch, name, dims, kind
):
    # A budget of a second is hopeless for it, and enough for data this small.
    monkeypatch.setattr("dashnas.methods.paper_scaled.HOPELESS", np.inf)
    data, opened = guarded(dims, kind)
    store = Store(tmp_path / "store", create=True)
    cell, state = run(store, name, data)
    if (dims, kind) not in FITS.get(name, EVERYTHING):
        assert state is State.SKIPPED
        assert store.reason(cell)
        assert not opened
        return
    assert state is State.FINISHED, store.reason(cell)
    assert opened == [data.test]
    result = store.result(cell)
    assert np.isfinite(result["value"])
    assert result["samples"] == len(data.test)
    assert result["seconds"] > 0
    assert (result["parameters"] is None) == (name in ("rocket", "xgboost"))
    if not name.startswith("dash"):  # in whose race the untouched backbone may win
        assert (result["architecture"] is not None) == (name.startswith(("baby", "random", "paper")))
    assert json.loads((store.folder / f"cells/tiny/{name}/0.report.json").read_text())


def test_the_guard_catches_a_method_that_reads_the_test_part(tmp_path, guarded, monkeypatch):
    data, _ = guarded(1, TargetKind.CLASSES)

    class Cheat:
        def misfit(self, task):
            return None

        def fit(self, task, **given):
            table = task.data.train._table
            table.take(np.arange(len(table)), ["y"])

    monkeypatch.setattr("dashnas.bench.cell.get_method", lambda name: Cheat())
    store = Store(tmp_path / "store", create=True)
    cell, state = run(store, "cheat", data)
    assert (state, store.reason(cell)) == (State.FAILED, "AssertionError: a sample of the test part was read")


def test_a_method_is_never_handed_the_test_part(tmp_path, monkeypatch):
    seen = []

    class Curious:
        def misfit(self, task):
            seen.append(task.data.test)
            return "seen enough"

    monkeypatch.setattr("dashnas.bench.cell.get_method", lambda name: Curious())
    run(Store(tmp_path / "store", create=True), "curious", prepared())
    assert seen == [None]


@pytest.mark.parametrize("name", NAMES)
def test_every_method_says_in_one_line_what_it_is(name):
    assert describe_method(name).endswith(".")
