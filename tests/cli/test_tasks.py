"""`dashnas tasks`: what there is, and fetching it."""

import json

import numpy as np
import pytest

from cli.commands import assert_refused, dashnas
from dashnas.tasks import TASKS


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DASHNAS_CACHE", str(tmp_path / "cache"))


def test_the_list_has_every_task(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = dashnas("tasks", "list").stdout
    assert [line.split()[0] for line in shown.splitlines() if line[0] != " "] == ["name", *TASKS]
    assert "…" not in shown


def test_the_list_as_json():
    listed = json.loads(dashnas("tasks", "list", "--json").stdout)
    assert [task["name"] for task in listed] == list(TASKS)
    assert {task["name"]: task["published"] for task in listed}["cricketx"]["ResNet"] == 0.201


def test_fetch_prints_where_the_file_lies(tmp_path):
    result = dashnas("tasks", "fetch", "digits8")  # comes with scikit-learn, nothing is downloaded
    assert result.exit_code == 0, result.stderr
    with np.load(result.stdout.strip()) as arrays:
        assert arrays["x"].shape == (1797, 1, 8, 8)


def test_fetch_puts_a_copy_where_it_is_asked_to(tmp_path):
    result = dashnas("tasks", "fetch", "digits8", "--out", tmp_path / "sub" / "digits.npz")
    assert result.stdout.strip() == str(tmp_path / "sub" / "digits.npz")
    assert (tmp_path / "sub" / "digits.npz").exists()


def test_something_else_in_its_place_is_kept(tmp_path):
    (tmp_path / "digits.npz").write_text("precious")
    result = dashnas("tasks", "fetch", "digits8", "--out", tmp_path / "digits.npz")
    assert_refused(result, "exists and holds something else")


def test_an_unknown_task_names_the_nearest():
    assert_refused(dashnas("tasks", "fetch", "criketx"), "unknown task 'criketx'; did you mean 'cricketx'")
