"""`dashnas predict`: answers for new samples, and what is refused."""

import numpy as np
import pytest

from cli.commands import SMALL, arrays, assert_refused, dashnas


@pytest.fixture
def new(tmp_path):
    """Writes arrays to a file and gives its path."""

    def write(**content):
        np.savez(tmp_path / "new.npz", **content)
        return tmp_path / "new.npz"

    return write


def test_targets_are_not_needed_and_the_answers_are_told(finished, new, tmp_path):
    result = dashnas("predict", finished, new(x=arrays()["x"][:7]), "--out", tmp_path / "sub" / "pred.npz")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{tmp_path / 'sub' / 'pred.npz'}: label (7,), probability (7, 3)\n"


def test_an_existing_file_is_kept_unless_forced(finished, new, tmp_path):
    pred = tmp_path / "pred.npz"
    pred.write_text("precious")
    samples = new(x=arrays()["x"][:7])
    assert_refused(dashnas("predict", finished, samples, "--out", pred), "pred.npz exists; give --force")
    assert pred.read_text() == "precious"
    assert dashnas("predict", finished, samples, "--out", pred, "--force").exit_code == 0
    assert len(np.load(pred)["label"]) == 7


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 3, 16)), "3 channels, length 16, but the model was trained on 2 channels, length 16"),
        (np.zeros((4, 2, 20)), "2 channels, length 20, but the model was trained on 2 channels, length 16"),
        (np.zeros((4, 2, 8, 8)), "8 by 8, but the model was trained on"),
        (np.full((4, 2, 16), np.nan), "NaN.*--impute"),
        (np.zeros((0, 2, 16)), "x holds no samples"),
    ],
)
def test_samples_that_the_network_was_not_trained_for(x, message, finished, new, tmp_path):
    assert_refused(dashnas("predict", finished, new(x=x), "--out", tmp_path / "pred.npz"), message)
    assert not (tmp_path / "pred.npz").exists()


def test_missing_values_pass_with_impute(finished, new, tmp_path):
    x = arrays()["x"][:7]
    x[0, 0, 0] = np.nan
    assert dashnas("predict", finished, new(x=x), "--out", tmp_path / "pred.npz", "--impute").exit_code == 0


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_a_damaged_model_is_refused(content, finished, copy_of, data, tmp_path):
    run = copy_of(finished)
    model = run / "model.safetensors"
    # None: cut in the middle
    model.write_bytes(model.read_bytes()[: model.stat().st_size // 2] if content is None else content)
    result = dashnas("predict", run, data, "--out", tmp_path / "pred.npz")
    assert_refused(result, "model.safetensors is damaged.*delete result.json beside it and give the same dashnas fit")


def test_a_model_of_another_network_is_refused(finished, copy_of, data, tmp_path):
    run = copy_of(finished)
    config = run / "config.json"
    config.write_text(config.read_text().replace('"width": 4', '"width": 8'))
    result = dashnas("predict", run, data, "--out", tmp_path / "pred.npz")
    assert_refused(result, "damaged or does not belong to")


def test_a_missing_model_is_refused(finished, copy_of, data, tmp_path):
    run = copy_of(finished)
    (run / "model.safetensors").unlink()
    assert_refused(dashnas("predict", run, data, "--out", tmp_path / "pred.npz"), "has no model.safetensors")


def test_an_unfinished_run_says_how_to_go_on(finished, copy_of, data, tmp_path):
    run = copy_of(finished)
    (run / "result.json").unlink()
    assert_refused(dashnas("predict", run, data, "--out", tmp_path / "pred.npz"), "is not finished; give its")


def test_a_folder_that_is_no_run(data, tmp_path):
    assert_refused(dashnas("predict", tmp_path, data, "--out", tmp_path / "pred.npz"), "is not a run")


def test_only_npz_is_written(finished, data, tmp_path):
    assert_refused(dashnas("predict", finished, data, "--out", tmp_path / "pred.csv"), r"must end in \.npz")


def test_an_unknown_device(finished, data, tmp_path):
    result = dashnas("predict", finished, data, "--out", tmp_path / "pred.npz", "--device", "gpu")
    assert_refused(result, "unknown device 'gpu'")


def test_series_of_unequal_length_are_answered_from_a_padded_array_with_their_lengths(new, tmp_path):
    lengths = np.arange(48) % 9 + 8
    np.savez(tmp_path / "series.npz", **arrays(), lengths=lengths)
    assert dashnas("fit", tmp_path / "series.npz", *SMALL, "--out", tmp_path / "run").exit_code == 0
    pred, x = tmp_path / "pred.npz", arrays()["x"][:2].repeat(2, axis=-1)  # (2, 2, 32)
    result = dashnas("predict", tmp_path / "run", new(x=x, lengths=[32, 5]), "--out", pred)
    assert result.exit_code == 0, result.stderr
    assert np.load(pred)["probability"].shape == (2, 3)
    message = "x comes without lengths, but the model was trained on series of unequal length"
    assert_refused(dashnas("predict", tmp_path / "run", new(x=x), "--out", pred, "--force"), message)
