"""`dashnas fit`: a run, going on with it, its output."""

import errno
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from cli.commands import SMALL, arrays, assert_refused, dashnas
from dashnas import pipeline
from dashnas.runs import CheckpointClock
from dashnas.training import DivergedError


def test_classes_from_fit_to_show_to_predict(data, finished, tmp_path):
    shown = dashnas("show", finished)
    assert shown.exit_code == 0
    assert "searched network" in shown.stdout
    assert "untouched backbone" in shown.stdout
    predicted = dashnas("predict", finished, data, "--out", tmp_path / "pred.npz")
    assert predicted.exit_code == 0, predicted.stderr
    with np.load(tmp_path / "pred.npz", allow_pickle=False) as answers:
        assert set(answers) == {"label", "probability"}
        assert set(answers["label"]) <= {"low", "middle", "high"}
        np.testing.assert_allclose(answers["probability"].sum(axis=1), 1, rtol=1e-5)


def test_dense_regression_from_fit_to_show_to_predict(tmp_path):
    x = arrays()["x"][:, :1]
    np.savez(tmp_path / "dense.npz", x=x, y=np.cumsum(x[:, 0], axis=-1))
    np.savez(tmp_path / "new.npz", x=x[:5])
    run = tmp_path / "run"
    assert dashnas("fit", tmp_path / "dense.npz", "--out", run, *SMALL).exit_code == 0
    assert "relative_l2 (lower is better)" in dashnas("show", run).stdout
    predicted = dashnas("predict", run, tmp_path / "new.npz", "--out", tmp_path / "pred.npz")
    assert predicted.exit_code == 0, predicted.stderr
    with np.load(tmp_path / "pred.npz") as answers:
        assert {name: answers[name].shape for name in answers} == {"prediction": (5, 16)}


def test_a_convnext_from_fit_to_predict(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(20) % 2
    np.savez(tmp_path / "images.npz", x=rng.normal(size=(20, 1, 8, 8)) + y[:, None, None, None], y=y)
    run = tmp_path / "run"
    result = dashnas("fit", tmp_path / "images.npz", "--out", run, "--backbone=convnext", *SMALL, "--json")
    assert result.exit_code == 0, result.stderr
    assert "searching 18 layers" in result.stderr
    assert len(json.loads(result.stdout)["architecture"]) == 18
    assert json.loads(result.stdout)["backbone"]["name"] == "convnext"
    predicted = dashnas("predict", run, tmp_path / "images.npz", "--out", tmp_path / "pred.npz")
    assert predicted.exit_code == 0, predicted.stderr


def test_fit_prints_what_show_prints_and_tells_progress_on_standard_error(data, tmp_path):
    result = dashnas("fit", data, "--out", tmp_path / "run", *SMALL)
    assert result.exit_code == 0
    assert result.stdout == dashnas("show", tmp_path / "run").stdout
    assert "48 samples of 2 channels, length 16" in result.stderr
    assert "retrain: epoch 1/1" in result.stderr


def test_a_finished_run_is_shown_again(data, finished):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.name != ".lock"}
    again = dashnas("fit", data, "--out", finished, *SMALL)
    assert again.exit_code == 0
    assert "is finished already" in again.stderr
    assert again.stdout == dashnas("show", finished).stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_json_is_result_json_and_the_only_thing_on_standard_output(data, tmp_path):
    result = dashnas("fit", data, "--out", tmp_path / "run", "--json", *SMALL)
    assert json.loads(result.stdout) == json.loads((tmp_path / "run" / "result.json").read_text())
    assert "retrain: epoch 1/1" in result.stderr


def test_quiet_leaves_standard_error_empty(data, tmp_path):
    result = dashnas("fit", data, "--out", tmp_path / "run", "--quiet", *SMALL)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "searched network" in result.stdout


def test_the_run_is_named_after_the_data(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert dashnas("fit", data, *SMALL).exit_code == 0
    assert (tmp_path / "runs" / "small" / "result.json").exists()


def test_other_settings_are_refused_by_the_names_that_differ(data, finished):
    other = [option for option in SMALL if not option.startswith("--dilations")]
    result = dashnas("fit", data, "--out", finished, *other, "--dilations=1,3", "--seed=5")
    assert_refused(result, r"other settings: seed \(0 there, 5 now\); space.dilations \(\[1, 2\] there, \[1, 3\]")


def test_other_data_are_refused(finished, tmp_path):
    np.savez(tmp_path / "other.npz", **arrays(51))
    result = dashnas("fit", tmp_path / "other.npz", "--out", finished, *SMALL)
    assert_refused(result, "other settings: data_fingerprint")


def test_the_schedule_of_another_run_can_be_repeated(data, finished, tmp_path):
    options = [option for option in SMALL if not option.startswith(("--epochs", "--tune"))]
    schedule = finished / "schedule.json"
    result = dashnas("fit", data, "--out", tmp_path / "run", "--schedule", schedule, *options, "--json")
    again, before = json.loads(result.stdout), json.loads((finished / "result.json").read_text())
    assert again["schedule"] == before["schedule"]
    assert again["scores"] == before["scores"]


def test_an_architecture_skips_the_search(data, finished, tmp_path):
    given = finished / "architecture.json"
    result = dashnas("fit", data, "--out", tmp_path / "run", "--architecture", given, *SMALL, "--json")
    assert json.loads(result.stdout)["architecture"] == json.loads(given.read_text())
    assert json.loads(result.stdout)["schedule"]["search_epochs"] == 0


def test_options_reach_the_settings_of_the_run(data, tmp_path):
    options = (
        "--preset quick --seed 3 --metric macro_f1 --class-weights 0.5,1,2 --batch-size 8 "
        "--optimiser adamw --learning-rate 0.05 --weight-decay 0.001 --dropout 0.1 --cutout 0.2 --sam-radius 0.05 "
        "--separable --search-learning-rate 0.02 "
        "--validation-fraction 0.25 --test-fraction 0 --search-epochs 2 --tune-epochs 3 "
        "--target classes --backbone tcn --impute --max-parameters 90k --max-latency 1s --ensemble 2 --memory 3GB"
    )
    result = dashnas("fit", data, "--dry-run", "--json", "--quiet", *SMALL, *options.split())
    settings = json.loads(result.stdout)["settings"]
    assert settings["seed"] == 3
    assert settings["preset"] == "quick"
    assert settings["metric"] == "macro_f1"
    assert settings["class_weights"] == [0.5, 1, 2]
    assert settings["batch_size"] == 8
    assert settings["backbone"] == "tcn"
    assert settings["memory_bytes"] == 3_000_000_000
    assert (settings["max_parameters"], settings["max_latency_seconds"], settings["ensemble"]) == (90_000, 1.0, 2)
    assert settings["search"]["separable"] is True
    assert settings["search"]["learning_rate"] == 0.02
    assert settings["space"] == {"kernel_sizes": [3, 5], "dilations": [1, 2]}
    recipe = settings["recipe"]
    assert recipe == {
        "optimiser": "adamw", "learning_rate": 0.05, "weight_decay": 0.001, "momentum": 0.9, "dropout": 0.1,
        "cutout": 0.2, "sam_radius": 0.05,
    }  # fmt: skip
    assert settings["schedule"] == {
        "search_epochs": 2, "tune_trials": 1, "tune_epochs": 3, "retrain_epochs": 1, "width": None,
        "backbone_epochs": None, "backbone_width": None, "tried": None, "precision": None, "sam_radius": None,
    }  # fmt: skip
    assert settings["data"] == {
        "target": "classes", "images": False, "impute": True,
        "validation_fraction": 0.25, "test_fraction": 0.0, "image_size": None, "augment": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--max-parameters=many", "cannot read 'many' as a number of parameters; write it as 50000, 50k or 1.5M"),
        (
            "--max-parameters=100",
            "the outcome is to have at most 100 parameters, but the untouched backbone of width 4",
        ),
        ("--max-latency=5", "cannot read '5' as the time of an answer; write it as 500us, 5ms or 0.1s"),
        ("--ensemble=0", "ensemble must be at least 1, got 0"),
    ],
)
def test_an_outcome_that_cannot_be_is_refused(option, message, data, tmp_path):
    assert_refused(dashnas("fit", data, "--out", tmp_path / "run", *SMALL, option), message)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_tells_of_all_members(data):
    shown = dashnas("fit", data, "--dry-run", "--quiet", *SMALL, "--ensemble=3").stdout
    assert "1 epochs, 3 networks" in " ".join(shown.split())


def test_kernel_sizes_per_axis(tmp_path):
    np.savez(tmp_path / "images.npz", x=np.random.default_rng(0).normal(size=(48, 8, 8)), y=arrays()["y"])
    options = "--images --dry-run --json --quiet --width 4 --kernel-sizes 3,3x7 --dilations 1,1x2 --threads 1"
    result = dashnas("fit", tmp_path / "images.npz", *options.split())
    assert json.loads(result.stdout)["candidates"]["stem"] == ["k3_d1", "k3_d1x2", "k3x7_d1", "k3x7_d1x2"]


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "images.npz"
    np.savez(path, x=np.random.default_rng(0).normal(size=(48, 8, 3)), y=arrays()["y"])
    return path


PER_AXIS = [
    "--images",
    "--per-axis",
    "--width=4",
    "--kernel-sizes=1,3,7",
    "--dilations=1,2",
    "--threads=1",
    "--no-race",
]


def test_height_and_width_choose_each_for_itself(images):
    result = dashnas("fit", images, *PER_AXIS, "--dry-run", "--json", "--quiet")
    would = json.loads(result.stdout)
    assert would["settings"]["space"] == {"kernel_sizes": [1, 3, 7], "dilations": [1, 2], "per_axis": True}
    # Half reaches 0, 1, 2, 3, 6; of them 0 to 3 and 6 on 8 rows, 0 to 2 on 3 columns.
    stem = would["candidates"]["stem"]
    assert len(stem) == 5 * 3
    assert [name for name in stem if name.startswith("k7x1")] == ["k7x1_d1", "k7x1_d2x1"]
    dry = dashnas("fit", images, *PER_AXIS, "--dry-run", "--quiet").stdout
    assert ["stem", "8x3", "15", "10"] in [line.split() for line in dry.splitlines()]


def test_elongated_choices_of_a_run_are_shown_and_saved_as_height_by_width(images, tmp_path):
    run = tmp_path / "run"
    options = [*PER_AXIS, "--epochs=1", "--tune-trials=1", "--out", run]
    options[options.index("--kernel-sizes=1,3,7")] = "--kernel-sizes=1,3"
    result = dashnas("fit", images, *options, "--json")
    assert result.exit_code == 0, result.stderr
    chosen = json.loads(result.stdout)["architecture"]
    elongated = {layer for layer, choice in chosen.items() if isinstance(choice["kernel_size"], list)}
    assert elongated  # of 25 candidates 16 are: none among 13 layers would be chance indeed
    assert json.loads((run / "architecture.json").read_text()) == chosen
    shown = dashnas("show", run).stdout
    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line.split()}
    for layer in elongated:
        high, wide = chosen[layer]["kernel_size"]
        assert rows[layer][0] == f"{high}x{wide}"
    assert "1x7 is 1 high and 7 wide" in shown
    assert dashnas("fit", images, *options).exit_code == 0  # finished: only read


def test_per_axis_is_refused_for_signals(data):
    assert_refused(dashnas("fit", data, *SMALL, "--per-axis", "--quiet"), "per_axis is for images")


def test_a_dry_run_tells_time_and_memory_and_writes_nothing(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = dashnas("fit", data, "--dry-run", *SMALL)
    assert result.exit_code == 0
    assert "seconds, about" in result.stdout
    assert "MB of a training step" in result.stdout
    assert "samples at once" in result.stdout
    assert "nothing was trained or written" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_tells_the_memory_and_the_samples_at_once_as_json(data):
    would = json.loads(dashnas("fit", data, "--dry-run", "--json", "--quiet", *SMALL).stdout)
    assert would["micro_batch"] == {"search": 16, "derived": 16, "backbone": 16}
    assert all(size > 0 for size in would["peak_bytes"].values())


def test_memory_that_is_not_enough_is_told_before_training(data, tmp_path):
    result = dashnas("fit", data, "--out", tmp_path / "run", "--memory", "100kB", *SMALL)
    assert_refused(result, r"supernet would take about .* even with 2 samples at once, of 100 kB that are allowed")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["fit", "fit --dry-run", "search"])
def test_kernels_that_do_not_fit_the_memory_are_told_before_they_are_made(command, data, tmp_path):
    huge = ["--width=64", "--kernel-sizes=999999", "--dilations=1", "--memory=4GB", "--epochs=1", "--tune-trials=1"]
    result = dashnas(*command.split(), data, "--out", tmp_path / "run", *huge)
    assert_refused(result, r"the weights of the supernet, .* would take .* GB, of .*; .* smaller --kernel-sizes")


@pytest.mark.parametrize(("size", "message"), [("lots", "cannot read 'lots' as a size"), ("0GB", "cannot read '0GB'")])
def test_a_size_of_memory_that_makes_no_sense_is_refused(data, size, message):
    assert_refused(dashnas("fit", data, "--memory", size, *SMALL), message)


def test_a_full_disk_leaves_the_last_checkpoint_whole(data, tmp_path, monkeypatch):
    run = tmp_path / "run"
    room = [True] * 6  # run.json, schedule.json, micro_batch.json, plan.json and two checkpoints of the search
    fsync = os.fsync

    def fsync_while_there_is_room(descriptor):
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room.pop()
        fsync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync_while_there_is_room)
        patched.setattr(CheckpointClock, "is_due", lambda self: True)
        full = dashnas("fit", data, "--out", run, *SMALL, "--batch-size=8", "--plan=model")
    assert_refused(full, r"cannot write .*search\.pt: No space left on device.*give the same command again")
    progress = torch.load(run / "checkpoints" / "search.pt", weights_only=True)["progress"]
    assert (progress["epoch"], progress["step"]) == (0, 2)
    assert not list(run.rglob("*.tmp"))
    assert dashnas("fit", data, "--out", run, *SMALL, "--batch-size=8", "--plan=model").exit_code == 0


def test_a_damaged_checkpoint_is_named(data, tmp_path):
    run = tmp_path / "run"
    assert dashnas("search", data, "--out", run, *SMALL).exit_code == 0
    (run / "architecture.json").unlink()
    (run / "checkpoints" / "search.pt").write_bytes(b"not a checkpoint")
    assert_refused(dashnas("fit", data, "--out", run, *SMALL), r"search\.pt is damaged.*delete it")


def test_a_run_is_held_by_one_process(data, finished):
    import fcntl

    with (finished / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert_refused(dashnas("fit", data, "--out", finished, *SMALL), "another process is working on")


def test_a_failure_of_ours_has_exit_code_1(data, tmp_path, monkeypatch):
    def diverge(*_, **__):
        raise DivergedError("the loss of search became nan in epoch 1; try a lower learning rate")

    monkeypatch.setattr(pipeline, "fit", diverge)
    result = dashnas("fit", data, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert result.stderr == "error: the loss of search became nan in epoch 1; try a lower learning rate\n"


def test_an_unexpected_exception_keeps_its_traceback(data, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(pipeline, "fit", fail)
    result = dashnas("fit", data, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)


def test_ctrl_c_says_how_to_go_on(data, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "fit", stop)
    result = dashnas("fit", data, "--out", "my run", "--seed", 4)
    assert result.exit_code == 130
    command = f"dashnas fit {data} --out 'my run' --seed 4"
    assert result.stderr == f"stopped; to go on, give the same command again: {command}\n"


@pytest.mark.slow
def test_a_run_stopped_by_a_signal_goes_on_to_its_end(data, tmp_path):
    run = tmp_path / "run"
    command = ["fit", str(data), "--out", str(run), *SMALL, "--search-epochs=600"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dashnas.cli", *command],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith("search: epoch 1/"):
            break
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=120)
    assert process.returncode == 130, "".join(seen) + rest
    assert "Traceback" not in rest
    assert out == ""
    assert rest.splitlines()[-1].startswith("stopped; to go on, give the same command again: dashnas fit ")
    shown = dashnas("show", run)
    assert shown.exit_code == 0
    assert "is not finished" in shown.stdout
    assert dashnas(*command).exit_code == 0
    assert (run / "result.json").exists()
