"""What cannot be used is refused before training: a sentence or two, exit code 2, no traceback."""

import re
from pathlib import Path

import numpy as np
import pytest

from cli.commands import SMALL, arrays, assert_refused, dashnas


def changed(**changes):
    """The arrays of the small data set with some exchanged or, with None, left out."""
    content = {**arrays(), **changes}
    return {name: array for name, array in content.items() if array is not None}


def x_with(value, *index):
    x = arrays()["x"]
    x[index] = value
    return x


BAD_ARRAYS = {
    "no x": (changed(x=None, signal=arrays()["x"]), r"no .*'?x'?.*found.*signal"),
    "no y": (changed(y=None, labels=arrays()["y"]), r"no .*'?y'?.*found.*labels"),
    "lengths": (changed(y=arrays()["y"][:-1]), "48.*47"),
    "NaN": (changed(x=x_with(np.nan, 5, 1, 3)), r"1 .*NaN.*5, 1, 3.*--impute"),
    "infinity": (changed(x=x_with(np.inf, 5)), r"32 .*infinit.*5, 0, 0.*--impute"),
    "text in x": (changed(x=np.full((48, 2, 16), "a")), "x has the type <U1; expected numbers"),
    "complex x": (changed(x=arrays()["x"] + 1j), "x is complex"),
    "empty": (changed(x=np.zeros((0, 2, 16)), y=np.zeros(0, int)), "x holds no samples"),
    "one sample": (changed(x=np.zeros((1, 2, 16)), y=np.zeros(1, int)), "x holds 1 sample"),
    "one class": (changed(y=np.zeros(48, int)), "one class|only.* class|at least two classes"),
    "lonely class": (changed(y=np.r_[np.arange(47) % 2, 7]), r"class 7.*1 sample|one sample"),
    "new test labels": (
        changed(x_test=arrays()["x"][:6], y_test=np.array(["low"] * 5 + ["odd"])),
        r"odd",
    ),
    "axes of x": (changed(x=np.zeros(48)), "x has 1 axes, shape .48,.; expected"),
    "no kind": (changed(y=np.zeros((48, 3, 5))), "y"),
    "NaN in y": (changed(y=np.r_[np.ones(47), np.nan]), "y.*NaN"),
    "test channels": (
        changed(x_test=np.zeros((6, 3, 16)), y_test=arrays()["y"][:6]),
        "x_test has 3 channels, length 16, but x has 2",
    ),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_arrays_that_cannot_be_learned_from(name, tmp_path):
    content, message = BAD_ARRAYS[name]
    np.savez(tmp_path / "bad.npz", **content)
    out = tmp_path / "run"
    assert_refused(dashnas("fit", tmp_path / "bad.npz", "--out", out), message)
    assert not out.exists()


def test_a_missing_file(tmp_path):
    assert_refused(dashnas("fit", tmp_path / "gone.npz"), r"gone\.npz does not exist")


def test_a_file_that_is_no_npz(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    assert_refused(dashnas("fit", tmp_path / "text.npz"), r"text\.npz is not an \.npz file")


def test_a_truncated_npz(tmp_path, data):
    content = data.read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    assert_refused(dashnas("fit", tmp_path / "cut.npz"), r"cut\.npz")


def test_pickled_objects_are_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    y = np.array([Trap() for _ in range(48)], dtype=object)
    np.savez(tmp_path / "objects.npz", **changed(y=y))
    assert_refused(dashnas("fit", tmp_path / "objects.npz"), "pickled|Python objects")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--kernel-sizes 3,4", "kernel_size must be odd.*got 4; try 5"),
        ("--kernel-sizes=-3", "kernel_sizes must be at least 1, got -3"),
        ("--kernel-sizes three", "kernel_sizes must be an integer.*'three'"),
        ("--kernel-sizes 3.5", "kernel_sizes must be an integer.*'3.5'"),
        ("--kernel-sizes 3,", "kernel_sizes must be an integer"),
        ("--kernel-sizes 3,5x7", "2 axes"),
        ("--kernel-sizes 3,3", "names a value twice"),
        ("--dilations 0", "dilations must be at least 1, got 0"),
        ("--kernel-sizes 3 --dilations 1,100000000", "kernel_size 3 with dilation 100000000 spans 300000000 samples"),
        ("--kernel-sizes 3,100000001", "spans 100000001 samples; at most 10000000 are possible"),
        ("--epochs 0", "at least 1, got 0"),
        ("--budget soon", "cannot read 'soon' as a time"),
        ("--budget=-5", "positive time"),
        ("--budget 10m --epochs 3", "either a budget or epochs"),
        ("--preset fast", r"unknown preset 'fast'\. Known: default, imagenet, imagenet-wrn, paper, quick"),
        ("--target clases", "did you mean 'classes'"),
        ("--target dense-binary", "dense"),
        ("--metric rmse", "rmse"),
        ("--metric eror", "did you mean 'error'"),
        ("--class-weights many", "class_weights must be 'balanced' or a number per class"),
        ("--class-weights 1,2", "3"),
        ("--backbone wrn", "'wrn' is for 2-D data.*fit: resnet1d"),
        ("--backbone vgg", "unknown backbone 'vgg'"),
        ("--backbone=", "unknown backbone ''"),
        ("--width 0", "width must be at least 1"),
        ("--threads 0", "threads must be at least 1"),
        ("--threads 100000", "threads must be at most 1024, got 100000"),
        ("--batch-size 1", "batch_size must be at least 2"),
        ("--learning-rate 0", "learning_rate must be positive"),
        ("--search-learning-rate 0", "learning_rate must be positive"),
        ("--dropout 1", "dropout"),
        ("--seed=-1", "seed must not be negative"),
        ("--validation-fraction 1.5", "validation_fraction must be"),
        ("--images --kernel-sizes 3,4", "must be odd"),
        ("--device gpu", "unknown device 'gpu'"),
        ("--architecture gone.json", "cannot read the architecture gone.json"),
        ("--schedule gone.json", "cannot read the schedule gone.json"),
    ],
)
def test_settings_that_make_no_sense(options, message, data, tmp_path):
    assert_refused(dashnas("fit", data, "--out", tmp_path / "run", *options.split()), message)
    assert not (tmp_path / "run").exists()


def test_usage_that_typer_refuses_has_the_same_exit_code(data):
    result = dashnas("fit", data, "--epochs", "many")
    assert result.exit_code == 2
    assert "--epochs" in result.stderr


@pytest.mark.parametrize("content", ["[]", "{", '{"conv": 3}', '{"conv": {"kernel_size": 4, "dilation": 1}}'])
def test_a_file_that_is_no_architecture(content, data, tmp_path):
    path = tmp_path / "architecture.json"
    path.write_text(content)
    result = dashnas("retrain", data, "--architecture", path, "--out", tmp_path / "run")
    assert_refused(result, "architecture.json is not an architecture")


def test_an_architecture_of_another_network(data, tmp_path):
    path = tmp_path / "architecture.json"
    path.write_text('{"elsewhere": {"kernel_size": 3, "dilation": 1}}')
    result = dashnas("retrain", data, "--architecture", path, "--out", tmp_path / "run", "--width=4")
    assert_refused(result, "elsewhere")
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_no_schedule(data, tmp_path):
    path = tmp_path / "schedule.json"
    path.write_text('{"search_epochs": 3}')
    assert_refused(dashnas("fit", data, "--schedule", path), "schedule.json is not a schedule")


def test_a_folder_that_is_not_a_run_is_left_alone(data, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    assert_refused(dashnas("fit", data, "--out", tmp_path, *SMALL), "is not empty and not a run")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_as_the_folder_of_a_run(data, tmp_path):
    (tmp_path / "file").write_text("precious")
    assert_refused(dashnas("fit", data, "--out", tmp_path / "file", *SMALL), "file is a file")


def test_a_constant_channel_is_only_warned_of(tmp_path):
    np.savez(tmp_path / "constant.npz", **changed(x=x_with(0, slice(None), 1)))
    result = dashnas("fit", tmp_path / "constant.npz", "--dry-run", *SMALL)
    assert result.exit_code == 0
    assert re.search("warning: .*channel.*constant|warning: .*constant.*channel", result.stderr), result.stderr


def test_impute_lets_missing_values_pass(tmp_path):
    np.savez(tmp_path / "holes.npz", **changed(x=x_with(np.nan, 5, 1, 3)))
    assert dashnas("fit", tmp_path / "holes.npz", "--dry-run", "--impute", *SMALL).exit_code == 0
