"""`dashnas retrain`: a known architecture, one recipe."""

import json

import pytest

from cli.commands import dashnas


def test_the_given_architecture_is_trained_under_the_given_recipe(data, finished, tmp_path):
    given = finished / "architecture.json"
    result = dashnas(
        "retrain", data, "--architecture", given, "--out", tmp_path / "run",
        "--epochs=1", "--width=4", "--threads=1", "--learning-rate=0.02", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    assert content["architecture"] == json.loads(given.read_text())
    assert content["recipe"]["learning_rate"] == 0.02
    assert (content["schedule"]["search_epochs"], content["schedule"]["tune_trials"]) == (0, 1)
    assert "no search" in dashnas("show", tmp_path / "run").stdout


def test_an_architecture_is_asked_for(data):
    result = dashnas("retrain", data)
    assert result.exit_code == 2
    assert "--architecture" in result.stderr


@pytest.mark.parametrize("option", ["--kernel-sizes=3", "--per-axis"])
def test_options_of_the_search_are_not_offered(option, data, finished):
    result = dashnas("retrain", data, "--architecture", finished / "architecture.json", option)
    assert result.exit_code == 2
    assert option.split("=")[0] in result.stderr
