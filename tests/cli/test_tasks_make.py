"""`dashnas tasks make`: data of the benchmark's kind."""

import json

import pytest

from cli.commands import assert_refused, dashnas
from dashnas.tasks.make_darcy import MARK, TEST, TRAINING


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DASHNAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DASHNAS_DATA", raising=False)


SMALL = ["--n=4", "--grid=16", "--stride=4", "--jobs=1"]


class TestDarcy:
    def test_prints_where_its_files_lie_and_nothing_else(self, tmp_path):
        result = dashnas("tasks", "make", "darcy", *SMALL, "--out", tmp_path / "mine")
        assert result.exit_code == 0, result.stderr
        assert result.stdout.splitlines() == [str(tmp_path / "mine" / name) for name in (TRAINING, TEST)]
        assert result.stderr == ""

    def test_without_out_the_files_go_where_the_task_looks_for_them(self, tmp_path, monkeypatch):
        assert dashnas("tasks", "make", "darcy", *SMALL).exit_code == 0
        assert (tmp_path / "cache" / "official" / "darcy" / TRAINING).exists()
        monkeypatch.setenv("DASHNAS_DATA", str(tmp_path / "data"))
        assert dashnas("tasks", "make", "darcy", *SMALL, "--seed=9").exit_code == 0
        assert json.loads((tmp_path / "data" / "darcy" / MARK).read_text())["recipe"]["seed"] == 9

    def test_what_makes_no_sense_is_refused(self, tmp_path):
        assert_refused(dashnas("tasks", "make", "darcy", "--n=1", "--out", tmp_path), "n must be at least 2")
        assert_refused(dashnas("tasks", "make", "darcy", "--jobs=0", "--out", tmp_path), "jobs must be at least 1")
