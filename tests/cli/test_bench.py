"""`dashnas bench`: what is refused before anything runs, what is printed, how it ends."""

import json
import sys
from pathlib import Path

import pytest

from cli.commands import assert_refused, dashnas
from dashnas.bench import CellName, Store
from dashnas.methods.registry import METHODS
from dashnas.tasks import OWN_TASKS, TASKS

PLUGIN = Path(__file__).parents[1] / "bench" / "toy_plugin.py"
OWN_TASK = Path(__file__).parents[2] / "examples" / "own_task.py"


@pytest.fixture(autouse=True, scope="module")
def nothing_stays_registered():
    """Plugins are loaded into this process; other tests shall not see what they bring."""
    kept = [(known, dict(known)) for known in (TASKS, OWN_TASKS, METHODS, sys.modules)]
    yield
    for known, before in kept:
        for name in known.keys() - before.keys():
            if known is not sys.modules or name.startswith("dashnas_plugin_"):
                del known[name]


def result(task, method, seed, value, **changes):
    return {
        "format": 1, "task": task, "method": method, "seed": seed, "metric": "error", "protocol": "clean",
        "value": value, "higher_is_better": False, "std": None, "seconds": 66.0, "parameters": 12345,
        "architecture": None, "source": None, "budget_seconds": 60.0, "budget_from": None,
    } | changes  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A store with two methods on a task, one that does not fit, and one that failed."""
    store = Store(tmp_path / "results", create=True)
    for method, values in {"dash": (0.2, 0.3), "backbone": (0.4, 0.4)}.items():
        for seed, value in enumerate(values):
            store.finish(CellName("crop", method, seed), result("crop", method, seed, value), {})
    store.skip(CellName("crop", "fno", 0), "it is for images")
    store.fail(CellName("crop", "xgboost", 0), "it broke")
    return store.folder


class TestRun:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--tasks=crp"], "unknown task 'crp'; did you mean 'crop'"),
            (["--methods=dash,babydash"], "unknown method 'babydash'; did you mean 'baby-dash'"),
            (["--methods=backbone@dash"], "crop/dash/0 is neither finished nor to be run; name dash among the methods"),
            (["--seeds=a"], "seeds must be numbers such as 0,1,2"),
            (["--budget=soon"], "cannot read 'soon' as a time"),
            (["--jobs=0"], "jobs must be from 1 to 1024, got 0"),
            (["--jobs=100000"], "jobs must be from 1 to 1024, got 100000"),
            (["--threads=0"], "threads must be at least 1, got 0"),
            (["--threads=2000"], "threads must be at most 1024, got 2000"),
            (["--protocol=dash-official"], "no published scores of crop are made by 'dash-official'"),
            (["--device=tpu"], "unknown device 'tpu'; try cpu, cuda or cuda:0"),
            (
                ["--import=missing.py"],
                r"missing\.py is not a Python file; expected one that registers methods or tasks",
            ),
        ],
    )
    def test_what_makes_no_sense_is_refused_before_anything_runs(self, tmp_path, options, message):
        out = tmp_path / "results"
        refused = dashnas("bench", "run", "--tasks=crop", "--methods=dash", *options, "--out", out)
        assert_refused(refused, message)
        assert not (out / "runs").exists()

    def test_a_plugin_that_cannot_be_loaded_is_named(self, tmp_path):
        (tmp_path / "mine.py").write_text("1 / 0")
        refused = dashnas("bench", "run", "--tasks=crop", "--methods=dash", "--import", tmp_path / "mine.py")
        assert_refused(refused, r"mine\.py cannot be loaded: ZeroDivisionError: division by zero")

    def test_a_plugin_that_ends_the_program_is_named(self, tmp_path):
        (tmp_path / "mine.py").write_text("raise SystemExit(0)")
        refused = dashnas("bench", "methods", "--import", tmp_path / "mine.py")
        assert_refused(refused, r"mine\.py cannot be loaded: SystemExit: 0")

    def test_what_a_plugin_prints_does_not_get_into_the_json(self, tmp_path):
        (tmp_path / "mine.py").write_text("print('hello')")
        listed = dashnas("bench", "methods", "--json", "--import", tmp_path / "mine.py")
        assert json.loads(listed.stdout)
        assert "hello" in listed.stderr

    def test_a_dry_run_lists_the_cells_and_writes_nothing(self, tmp_path, folder):
        command = ("bench", "run", "--tasks=crop", "--methods=dash,fno,random", "--seeds=0-1", "--dry-run")
        told = dashnas(*command, "--out", folder).stdout.splitlines()
        assert [" ".join(line.split()) for line in told] == [
            "task method seed state",
            "crop dash 0 finished",
            "crop fno 0 skipped: it is for images",
            "crop random 0 open",
            "crop dash 1 finished",
            "crop fno 1 open",
            "crop random 1 open",
            "",
            "6 cells: 2 finished, 1 skipped, 3 open",
        ]
        assert "6 open" in dashnas(*command, "--out", tmp_path / "new").stdout
        assert not (tmp_path / "new").exists()

    def test_another_budget_than_that_of_finished_cells_is_refused(self, folder):
        refused = dashnas("bench", "run", "--tasks=crop", "--methods=dash", "--budget=20s", "--out", folder)
        assert_refused(refused, "crop/dash/0 is finished already, with a budget of 60 s and not 20 s")

    @pytest.mark.slow
    def test_a_run_tells_of_each_cell_and_ends_with_1_where_one_failed(self, tmp_path, monkeypatch):
        monkeypatch.setenv("DASHNAS_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("DASHNAS_CALLS", str(tmp_path / "calls"))
        command = ("bench", "run", "--tasks=toy", "--import", PLUGIN, "--out", tmp_path / "results", "--jobs=2")
        fine = dashnas(*command, "--methods=toy,picky", "--json")
        assert (fine.exit_code, fine.stderr) == (0, "")
        assert [(cell["method"], cell["state"], cell["reason"]) for cell in json.loads(fine.stdout)] == [
            ("toy", "finished", None),
            ("picky", "skipped", "it likes no task"),
        ]
        failed = dashnas(*command, "--methods=toy,refusing")
        assert (failed.exit_code, failed.stderr) == (1, "")
        rows = [" ".join(line.split()) for line in failed.stdout.splitlines()]
        assert "toy toy 0 finished" in rows
        assert rows[-1] == "2 cells: 1 finished, 1 failed"
        assert "DataError: these data will not do" in failed.stdout

    @pytest.mark.slow
    def test_a_task_of_ones_own_has_its_own_parts_and_metric(self, tmp_path):
        command = ("bench", "run", "--tasks=hum", "--methods=backbone", "--budget=2s", "--import", OWN_TASK, "--json")
        (cell,) = json.loads(dashnas(*command, "--out", tmp_path / "results").stdout)
        assert (cell["task"], cell["state"], cell["reason"]) == ("hum", "finished", None)
        assert Store(tmp_path / "results").result(CellName("hum", "backbone", 0))["metric"] == "1-macro_f1@record"


class TestTable:
    def test_shows_mean_and_deviation_and_how_far_the_budget_was_missed(self, folder):
        shown = [" ".join(line.split()) for line in dashnas("bench", "table", folder).stdout.splitlines()]
        assert shown == [
            "crop: error (lower is better), protocol clean",
            "method test score n seconds budget slowest parameters",
            "backbone 0.4000 ± 0.0000 2 66.0 60.0 +10% 12,345",
            "dash 0.2500 ± 0.0707 * 2 66.0 60.0 +10% 12,345",
            "",
            "crop/fno: not run: it is for images",
            "crop/xgboost: 1 failed: it broke",
        ]

    def test_as_json_has_a_row_per_task_and_method(self, folder):
        rows = json.loads(dashnas("bench", "table", folder, "--json").stdout)
        assert [(row["method"], row["mean"], row["n"]) for row in rows] == [
            ("backbone", 0.4, 2),
            ("dash", 0.25, 2),
        ]

    def test_mixed_protocols_are_refused_unless_asked_for(self, folder):
        cell = CellName("ecg", "dash", 0)
        Store(folder).finish(cell, result("ecg", "dash", 0, 0.5, protocol="dash-official"), {})
        assert_refused(dashnas("bench", "table", folder), r"different protocols: .*dash-official \(1\).*--mix")
        assert_refused(dashnas("bench", "export", folder), r"different protocols: .*dash-official \(1\).*--mix")
        assert (
            "ecg: error (lower is better), protocol dash-official" in dashnas("bench", "table", folder, "--mix").stdout
        )

    def test_a_store_without_a_finished_cell_says_so(self, tmp_path):
        Store(tmp_path / "new", create=True)
        assert dashnas("bench", "table", tmp_path / "new").stdout == "no cell is finished yet\n"

    @pytest.mark.parametrize("command", ["table", "export"])
    def test_what_is_no_store_is_refused(self, tmp_path, command):
        assert_refused(dashnas("bench", command, tmp_path), "holds no results of `dashnas bench run`")

    def test_results_of_another_version_are_refused(self, folder):
        (folder / "store.json").write_text('{"format": 2}')
        assert_refused(dashnas("bench", "table", folder), "filled by another version of dashnas")
        run = ("bench", "run", "--tasks=crop", "--methods=dash", "--out", folder)
        assert_refused(dashnas(*run), "filled by another version of dashnas")


class TestExport:
    def test_writes_a_file_or_prints(self, tmp_path, folder):
        printed = dashnas("bench", "export", folder, "--format", "markdown").stdout
        assert "| crop | error (lower is better), clean | 0.4000 ± 0.0000 | **0.2500 ± 0.0707** |" in printed
        assert dashnas("bench", "export", folder, "--format=markdown", "--out", tmp_path / "t.md").stdout == ""
        assert (tmp_path / "t.md").read_text() == printed

    def test_an_unknown_format_names_the_nearest(self, folder):
        assert_refused(
            dashnas("bench", "export", folder, "--format", "cvs"), "unknown format 'cvs'; did you mean 'csv'"
        )


def test_the_methods_are_listed_with_what_they_are():
    listed = json.loads(dashnas("bench", "methods", "--json").stdout)
    assert {"backbone", "dash", "random"} <= {method["name"] for method in listed}
    shown = dashnas("bench", "methods").stdout
    assert "baby-dash" in shown
    assert "DASH with kernel sizes 3 and 5" in shown
