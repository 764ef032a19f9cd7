"""`dashnas show`: a finished run, an unfinished one, a damaged one."""

import json
import re
import subprocess
import sys

import pytest

from cli.commands import SMALL, assert_refused, dashnas


def test_a_finished_run_shows_scores_architecture_recipe_and_cost(finished):
    result = json.loads((finished / "result.json").read_text())
    shown = dashnas("show", finished).stdout
    test = result["scores"]["test"]
    score = f"{test['value']:.4g} +{test['low']:.4g} to {test['high']:.4g}"
    assert re.search(f"searched network +{result['scores']['validation']:.4g} +{score}", shown)
    assert "error (lower is better)" in shown
    assert all(layer in shown for layer in result["architecture"])
    assert f"{result['parameters']:,} searched, {result['backbone_parameters']:,} untouched" in shown
    cost = result["inference"]
    assert f"{cost['flops']:,} operations, {cost['milliseconds']:.3g} ms searched; " in shown
    assert "muon, learning rate 0.02," in shown
    assert "search 1 epoch, 1 recipe of up to 1 epoch, final training 1 epoch" in shown
    assert all(f"{phase} {seconds:.1f}" in shown for phase, seconds in list(result["seconds"].items())[:4])


@pytest.mark.parametrize(
    ("flops", "told"),
    [
        (999_999, "999,999 operations"),
        (5_687_000, "5.69 million operations"),
        (89_900_000_000, "89.9 billion operations"),
    ],
)
def test_many_operations_are_told_in_words(flops, told, finished, copy_of):
    shown = dashnas("show", with_result(copy_of(finished), inference={"flops": flops, "milliseconds": 12.34})).stdout
    assert f"{told}, 12.3 ms searched; " in shown


def test_a_result_of_before_the_cost_was_told_is_shown_without_it(finished, copy_of):
    result = json.loads((finished / "result.json").read_text())
    for name in ("inference", "backbone_inference", "precision", "no_search", "members", "limits"):
        del result[name]
    del result["backbone"]["untouched_width"], result["schedule"]["tried"], result["schedule"]["backbone_width"]
    run = copy_of(finished)
    (run / "result.json").write_text(json.dumps(result))
    assert "per sample" not in dashnas("show", run).stdout


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("budget", "the budget was too short for a search."),
        ("schedule", "the schedule that was given has no search."),
        ("unbeatable", "for another network to be hoped to be better with enough confidence."),
        ("no-choice", "there was nothing else to choose from."),
        ("same", "they are what the search chose."),
    ],
)
def test_why_nothing_was_searched_is_told(why, told, finished, copy_of):
    changes = {"architecture": None, "network": "backbone", "race": None, "no_search": why}
    assert told in dashnas("show", with_result(copy_of(finished), **changes)).stdout


def with_result(run, **changes):
    """The run with another result."""
    result = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps({**result, **changes}))
    return run


def test_an_ensemble_is_shown_as_such_and_while_it_is_trained(data, tmp_path, monkeypatch):
    run, asked = tmp_path / "run", ("--ensemble=3", "--max-parameters=90k")
    with monkeypatch.context() as patched:
        patched.setattr("dashnas.pipeline.final_scores", lambda *_, **__: 1 / 0)
        assert dashnas("fit", data, "--out", run, *SMALL, *asked).exit_code == 1
    lines = [" ".join(line.split()) for line in dashnas("show", run).stdout.splitlines()]
    assert {"member 2 of the ensemble 1 1 epoch", "member 3 of the ensemble 1 1 epoch"} <= set(lines)
    assert dashnas("fit", data, "--out", run, *SMALL, *asked).exit_code == 0
    lines = [" ".join(line.split()) for line in dashnas("show", run).stdout.splitlines()]
    result = json.loads((run / "result.json").read_text())
    assert "ensemble 3 searched networks" in lines
    assert "limits at most 90,000 parameters" in lines
    assert f"parameters {result['parameters']:,} together, {result['backbone_parameters']:,} untouched" in lines
    # The validation score is that of one member.
    assert any(line.startswith(f"ensemble of 3 - {result['scores']['test']['value']:.4g} ") for line in lines)


def test_a_wider_untouched_backbone_and_recipes_for_which_there_was_no_time_are_told(finished, copy_of):
    result = json.loads((finished / "result.json").read_text())
    backbone, schedule = (
        result["backbone"] | {"untouched_width": 8},
        result["schedule"] | {"tune_trials": 8, "tried": 3},
    )
    shown = dashnas("show", with_result(copy_of(finished), backbone=backbone, schedule=schedule)).stdout
    assert "width 4, untouched 8" in shown
    assert "3 recipes of up to 1 epoch" in shown


def test_a_race_that_the_untouched_backbone_won_is_told(finished, copy_of):
    race = {"backbone": 0.1, "derived": 0.25, "random": None}
    sure = {"backbone": None, "derived": 0.12, "random": None}
    changes = {"architecture": None, "network": "backbone", "race": race, "race_confidence": sure}
    shown = dashnas("show", with_result(copy_of(finished), **changes)).stdout
    assert "The backbone's own kernels stay after a race by error on the validation part" in shown
    asked = "in which a larger network has to be better with 90% confidence,\nany other one to have a better score"
    assert f"\n{asked}, and that with more than 50%:\n" in shown
    assert "\nuntouched backbone 0.1\nsearched network 0.25, better with 12% confidence\n" in shown
    assert "random architecture diverged" in shown
    assert "searched," not in shown


def test_a_random_architecture_that_won_is_called_so(finished, copy_of):
    race = {"backbone": 0.3, "derived": 0.25, "random": 0.1}
    shown = dashnas("show", with_result(copy_of(finished), network="random", race=race)).stdout
    assert re.search("\nrandom architecture +0", shown)
    assert re.search("[0-9] random, [0-9,]+ untouched", shown)


def test_a_budget_without_a_search_is_told(finished, copy_of):
    scores = {"test": json.loads((finished / "result.json").read_text())["scores"]["test"]}
    alone = {"architecture": None, "network": "backbone", "scores": scores, "backbone_scores": scores}
    shown = dashnas("show", with_result(copy_of(finished), **alone)).stdout
    assert "too short for a search" in shown
    assert re.search("untouched backbone +- +0", shown)


def test_kernels_that_are_not_square_are_shown_as_height_by_width(finished, copy_of):
    assert "high" not in dashnas("show", finished).stdout
    run = copy_of(finished)
    result = json.loads((run / "result.json").read_text())
    result["architecture"] = {
        "tall": {"kernel_size": [7, 1], "dilation": [3, 1]},
        "square": {"kernel_size": 5, "dilation": 2},
        "stretched": {"kernel_size": 3, "dilation": [1, 4]},
    }
    (run / "result.json").write_text(json.dumps(result))
    lines = [line.split() for line in dashnas("show", run).stdout.splitlines()]
    for line in ("tall 7x1 3x1 19x1", "square 5 2 9", "stretched 3 1x4 3x9", "1x7 is 1 high and 7 wide"):
        assert line.split() in lines


def test_nothing_is_cut_at_80_columns(finished, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = dashnas("show", finished).stdout.splitlines()
    assert not any("…" in line for line in lines)
    assert max(map(len, lines[1:])) <= 80  # the first line has the path


def test_json_is_the_content_of_result_json(finished):
    shown = dashnas("show", finished, "--json")
    assert json.loads(shown.stdout) == json.loads((finished / "result.json").read_text())
    assert shown.stderr == ""


def test_the_plan_tells_how_each_layer_was_computed(finished):
    plan = json.loads((finished / "plan.json").read_text())
    assert set(plan) == set(json.loads((finished / "result.json").read_text())["architecture"])
    assert json.loads(dashnas("show", finished, "--plan", "--json").stdout) == plan
    lines = [line.split() for line in dashnas("show", finished, "--plan").stdout.splitlines()]
    assert lines == [["layer", "strategy"], *([layer, strategy] for layer, strategy in plan.items())]


def test_a_run_that_did_not_search_has_no_plan(finished, copy_of):
    run = copy_of(finished)
    (run / "plan.json").unlink()
    assert_refused(dashnas("show", run, "--plan"), "has no plan: it has not begun to search, or does not search")


def test_a_damaged_plan_is_named(finished, copy_of):
    run = copy_of(finished)
    (run / "plan.json").write_text("[1]")
    assert_refused(dashnas("show", run, "--plan"), "plan.json is damaged")


def test_a_score_that_is_lost_is_called_diverged(finished, copy_of):
    run = copy_of(finished)
    result = json.loads((run / "result.json").read_text())
    result["backbone_scores"]["test"].update(value=None, low=None, high=None)
    (run / "result.json").write_text(json.dumps(result))
    assert "diverged to diverged" in dashnas("show", run).stdout


def test_a_run_without_a_test_part(data, tmp_path):
    run = tmp_path / "run"
    assert dashnas("fit", data, "--out", run, *SMALL, "--test-fraction=0").exit_code == 0
    assert "no test part" in dashnas("show", run).stdout


def test_an_unfinished_run_says_how_far_it_is_and_how_to_go_on(data, tmp_path):
    run = tmp_path / "run"
    assert dashnas("search", data, "--out", run, *SMALL).exit_code == 0
    shown = dashnas("show", run)
    assert shown.exit_code == 0
    assert "is not finished; give the same command again to go on" in shown.stdout
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["search", "1", "1", "epoch"] in rows
    assert ["retrain", "0", "1", "epoch"] in rows
    assert any(row and row[0] == "blocks.0.units.0.conv" for row in rows)
    assert_refused(dashnas("show", run, "--json"), "is not finished; give its dashnas fit command again")


def test_a_run_that_has_just_begun(finished, copy_of):
    run = copy_of(finished)
    for name in ("result.json", "schedule.json"):
        (run / name).unlink()
    assert "no phase has begun" in dashnas("show", run).stdout


def test_a_folder_that_is_no_run(tmp_path):
    assert_refused(dashnas("show", tmp_path), "is not a run of dashnas fit")
    assert_refused(dashnas("show", tmp_path / "gone"), "is not a run of dashnas fit")


def test_a_damaged_result(finished, copy_of):
    run = copy_of(finished)
    (run / "result.json").write_text('{"format"')
    assert_refused(dashnas("show", run), "result.json is damaged: it is not JSON")


@pytest.mark.parametrize("content", ["{}", "[]", "null", '{"samples": 3}'])
def test_a_result_that_holds_something_else(content, finished, copy_of, data):
    run = copy_of(finished)
    (run / "result.json").write_text(content)
    message = "result.json is damaged: .*; delete it and give the same dashnas fit command again"
    assert_refused(dashnas("show", run), message)
    assert_refused(dashnas("fit", data, "--out", run, *SMALL), message)
    (run / "result.json").unlink()
    assert dashnas("fit", data, "--out", run, *SMALL).exit_code == 0
    assert dashnas("show", run).exit_code == 0


@pytest.mark.parametrize("content", ["{", "null", "[1]"])
@pytest.mark.parametrize("name", ["schedule.json", "tune.json", "search.json", "architecture.json"])
def test_a_damaged_file_of_an_unfinished_run_is_named(name, content, finished, copy_of, data):
    run = copy_of(finished)
    (run / "result.json").unlink()
    (run / name).write_text(content)
    assert_refused(dashnas("fit", data, "--out", run, *SMALL), f"{name} is (damaged|not an architecture)")
    shown = dashnas("show", run)
    if shown.exit_code != 0:  # the table needs neither the seconds of the search nor the recipes themselves
        assert_refused(shown, f"{name} is (damaged|not an architecture)")


@pytest.mark.parametrize("line", ["\xff\xfe", "{}", "[]", "null", '{"phase": "search"}'])
def test_lines_of_events_that_are_none_are_passed_over(line, finished, copy_of, data):
    run = copy_of(finished)
    (run / "result.json").unlink()
    with (run / "events.jsonl").open("ab") as file:
        file.write(f"{line}\n".encode("latin-1"))
    assert dashnas("show", run).exit_code == 0
    assert dashnas("fit", data, "--out", run, *SMALL).exit_code == 0


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(finished):
    shell = f"'{sys.executable}' -m dashnas.cli show '{finished}' --json | true"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("kept", [True, False])
def test_the_head_is_told_with_the_probes_that_decided_it(kept, finished, copy_of):
    head = {"cells": [4, 4], "mean": 0.3, "grid": 0.2, "confidence": 0.97 if kept else 0.93, "kept": kept}
    changes = {"architecture": None, "network": "backbone", "race": None, "head": head}
    shown = dashnas("show", with_result(copy_of(finished), **changes)).stdout
    words = " ".join(shown.split())
    assert "The backbone's own kernels stay: the budget was too short for a search." in words
    decision = "keeps 4x4 positions" if kept else "mean over all positions"
    probes = f"linear probes 0.3 by the mean, 0.2 by position, better with {head['confidence']:.0%} confidence"
    assert f"head {decision}; {probes}" in words
    assert ("\nbackbone with positions" in shown) == kept
    assert (" with positions, " in shown) == kept


def test_an_unfinished_race_tells_how_many_trainings_there_are_and_who_won(data, tmp_path, monkeypatch):
    monkeypatch.setattr("dashnas.pipeline.final_scores", lambda *_, **__: 1 / 0)
    monkeypatch.setattr("dashnas.race.can_be_beaten", lambda *_: True)
    raced = [option for option in SMALL if option != "--no-race"]
    assert dashnas("fit", data, "--out", tmp_path / "run", *raced).exit_code == 1
    lines = [" ".join(line.split()) for line in dashnas("show", tmp_path / "run").stdout.splitlines()]
    assert "race and recipes 2 2 trainings" in lines
    assert any(line.startswith("untouched in the race ") for line in lines)
    winner = json.loads((tmp_path / "run" / "winner.json").read_text())["network"]
    title = {"backbone": "untouched backbone", "derived": "searched network"}[winner]
    assert f"the race was won by: {title}" in lines
    head = json.loads((tmp_path / "run" / "winner.json").read_text())["head"]
    is_untouched = winner == "backbone" and head["confidence"] < 0.95
    assert any(line.startswith("retrain") for line in lines) == (not is_untouched)
