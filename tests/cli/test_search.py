"""`dashnas search`: an architecture, from which fit goes on."""

import json

from cli.commands import SMALL, dashnas


def test_a_search_saves_its_architecture_and_fit_goes_on_from_there(data, tmp_path):
    run = tmp_path / "run"
    searched = dashnas("search", data, "--out", run, *SMALL, "--json")
    assert searched.exit_code == 0, searched.stderr
    architecture = json.loads(searched.stdout)
    assert architecture == json.loads((run / "architecture.json").read_text())
    assert not (run / "result.json").exists()
    fitted = dashnas("fit", data, "--out", run, *SMALL, "--json")
    assert "search: epoch" not in fitted.stderr
    assert json.loads(fitted.stdout)["architecture"] == architecture


def test_a_search_prints_the_choice_of_each_layer(data, finished):
    result = dashnas("search", data, "--out", finished, *SMALL)
    assert result.exit_code == 0
    layers = json.loads((finished / "architecture.json").read_text())
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["layer", "kernel", "size", "dilation", "span"]
    for line, (layer, choice) in zip(lines[1:], layers.items(), strict=False):
        size, dilation = choice["kernel_size"], choice["dilation"]
        assert line.split() == [layer, str(size), str(dilation), str((size - 1) * dilation + 1)]
    assert lines[-1] == f"saved in {finished / 'architecture.json'}"
