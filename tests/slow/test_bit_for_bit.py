"""Bit for bit: an epoch-limited run on the CPU ends in the same numbers, whatever happened to it on its way."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dashnas import fit
from dashnas.data import TargetKind
from dashnas.progress import Silent
from dashnas.runs import CheckpointClock, read_events
from dashnas.training import Interrupted
from tiny import arrays, options

pytestmark = pytest.mark.slow

# A checkpoint at every step, so that runs go on in the midst of an epoch.
DRIVER = """
import runpy, sys
from dashnas.runs import CheckpointClock
CheckpointClock.is_due = lambda self: True
sys.argv[0] = "dashnas"
runpy.run_module("dashnas.cli", run_name="__main__")
"""
NETWORK = ["--width=4", "--kernel-sizes=3,5", "--dilations=1,2", "--threads=1", "--batch-size=4", "--quiet"]
RACED = ["--epochs=4", "--search-epochs=4", "--tune-epochs=3", "--tune-trials=2", *NETWORK]
EPOCHS = [*RACED, "--no-race"]  # whose phases are known beforehand
PLANNED = {"search": 4, "tune-0": 3, "tune-1": 3, "tune-backbone": 3, "retrain": 4, "backbone": 4}
"""Epochs by phase; neither recipe is stopped early, as so few epochs have no rung before the last."""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    np.savez(path, **arrays(TargetKind.CLASSES))
    return path


def start(data: Path, run: Path, options: list[str]) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", DRIVER, "fit", str(data), "--out", str(run), *options])


def finish(data: Path, run: Path, options: list[str]) -> Path:
    assert start(data, run, options).wait(timeout=120) == 0
    return run


def kill_when(reached: Callable[[Path], bool], data: Path, run: Path, options: list[str]) -> None:
    """Start or resume a run and end it with SIGKILL as soon as it has come that far."""
    assert not reached(run), "the moment was over before the run was started"
    process = start(data, run, options)
    deadline = time.monotonic() + 60
    while not reached(run):
        assert process.poll() is None, "the run ended before the moment came"
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def outcome(run: Path) -> tuple:
    """All that must not depend on what happened on the way: scores, choices, every weight, every epoch's numbers.

    Why nothing was searched is left out: where a schedule repeats a budget, the schedule is the reason.
    """
    result = json.loads((run / "result.json").read_text())
    for name in ("inference", "backbone_inference"):
        del result[name]["milliseconds"]
    kept = {name: value for name, value in result.items() if name not in ("seconds", "no_search")}
    events = [{n: v for n, v in event.items() if n != "seconds"} for event in read_events(run)]
    return kept, (run / "model.safetensors").read_bytes(), events


def exists(name: str) -> Callable[[Path], bool]:
    return lambda run: (run / name).exists()


def epochs_done(phase: str, epochs: int) -> Callable[[Path], bool]:
    return lambda run: sum(event["phase"] == phase for event in read_events(run)) >= epochs


MOMENTS = {
    "before the schedule is fixed": exists("run.json"),
    "in the first epoch of the search": exists("checkpoints/search.pt"),
    "within the search": epochs_done("search", 2),
    "between search and tuning": exists("architecture.json"),
    "in the first recipe": epochs_done("tune-0", 1),
    "between two recipes": exists("tune.json"),
    "in the second recipe": epochs_done("tune-1", 2),
    "in the backbone's tuning": epochs_done("tune-backbone", 1),
    "in the final training": epochs_done("retrain", 2),
    "in the backbone's final training": epochs_done("backbone", 3),
}


RACE_MOMENTS = {
    "in the race of the untouched backbone": epochs_done("tune-0", 1),
    "within the search": epochs_done("search", 2),
    "in the race of the searched network": epochs_done("tune-1", 2),
    "in the second recipe": epochs_done("tune-2", 1),
    "between race and training": exists("winner.json"),
    "in the final training": epochs_done("backbone", 3),
}


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory) -> Path:
    return finish(data, tmp_path_factory.mktemp("undisturbed") / "run", EPOCHS)


def test_a_repeated_run_has_the_same_scores_and_weights(data, undisturbed, tmp_path):
    assert outcome(finish(data, tmp_path / "run", EPOCHS)) == outcome(undisturbed)


def test_a_run_killed_at_ten_moments_and_resumed_each_time_ends_in_the_same_scores(data, undisturbed, tmp_path):
    run = tmp_path / "run"
    assert len(MOMENTS) == 10
    for reached in MOMENTS.values():
        kill_when(reached, data, run, EPOCHS)
    finish(data, run, EPOCHS)
    assert outcome(run) == outcome(undisturbed)
    assert Counter(e["phase"] for e in read_events(run)) == PLANNED
    once = [(phase, epoch) for phase, epochs in PLANNED.items() for epoch in range(epochs)]
    assert [(event["phase"], event["epoch"]) for event in read_events(run)] == once
    assert not list(run.rglob("*.tmp"))


def test_a_run_with_a_race_killed_at_six_moments_ends_in_the_same_scores(tmp_path):
    noisy = arrays(TargetKind.CLASSES)
    # So that the untouched network can be beaten, and there is a search.
    noisy["y"] = np.random.default_rng(1).permutation(noisy["y"])
    np.savez(data := tmp_path / "noisy.npz", **noisy)
    expected, run = finish(data, tmp_path / "undisturbed", RACED), tmp_path / "run"
    for reached in RACE_MOMENTS.values():
        kill_when(reached, data, run, RACED)
    finish(data, run, RACED)
    assert outcome(run) == outcome(expected)


def test_a_budget_run_keeps_the_epochs_it_had_fixed_and_its_schedule_repeats_it(data, tmp_path):
    run, repeated = tmp_path / "run", tmp_path / "repeated"
    # Room for a few epochs only: what is left when the process has been started and the steps are timed.
    budget = ["--budget=2.5s", "--no-race", *NETWORK]
    kill_when(epochs_done("search", 1), data, run, budget)
    of_search = json.loads((run / "schedule.json").read_text())
    kill_when(epochs_done("tune-0", 1), data, run, budget)
    fixed = (run / "schedule.json").read_bytes()
    kill_when(epochs_done("retrain", 1), data, run, budget)
    finish(data, run, budget)
    assert (run / "schedule.json").read_bytes() == fixed
    schedule = json.loads(fixed)
    assert schedule["search_epochs"] == of_search["search_epochs"]
    epochs = Counter(event["phase"] for event in read_events(run))
    assert epochs["search"] == schedule["search_epochs"]
    assert epochs["retrain"] == epochs["backbone"] == schedule["retrain_epochs"]

    finish(data, repeated, [f"--schedule={run / 'schedule.json'}", "--no-race", *NETWORK])
    assert outcome(repeated) == outcome(run)


def test_the_width_that_a_budget_chose_is_repeated_with_its_schedule(data, tmp_path):
    free = [option for option in NETWORK if not option.startswith("--width")]
    run = finish(data, tmp_path / "run", ["--budget=2s", *free])
    schedule = run / "schedule.json"
    assert json.loads(schedule.read_text())["width"] in (16, 32, 64)
    repeated = finish(data, tmp_path / "repeated", [f"--schedule={schedule}", *free])
    assert outcome(repeated) == outcome(run)


class SignalAt(Silent):
    """Presses Ctrl-C during one training step."""

    def __init__(self, step: int) -> None:
        self.steps_left = step

    def advance(self) -> None:
        self.steps_left -= 1
        if self.steps_left == 0:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_run_stopped_within_epochs_goes_on_where_it_was(dropout, tmp_path):
    """Five steps to an epoch; without a checkpoint on the clock, what is saved is what the stop saves."""
    chosen = replace(options(batch_size=8, dropout=dropout), tune_trials=1)
    source = arrays(TargetKind.CLASSES)
    fit(source, chosen, out=tmp_path / "undisturbed")
    for step in (3, 4, 6, 9):
        with pytest.raises(Interrupted):
            fit(source, chosen, out=tmp_path / "run", reporter=SignalAt(step))
    fit(source, chosen, out=tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "undisturbed")


def test_where_checkpoints_fall_changes_nothing(tmp_path, monkeypatch):
    source = arrays(TargetKind.CLASSES)
    fit(source, options(), out=tmp_path / "seldom")
    monkeypatch.setattr(CheckpointClock, "is_due", lambda self: True)
    fit(source, options(), out=tmp_path / "often")
    assert outcome(tmp_path / "often") == outcome(tmp_path / "seldom")
