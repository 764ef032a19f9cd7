"""Reading what a trained model is to predict."""

import numpy as np
import pytest
import torch
from kinds_of_data import arrays, inputs

from dashnas.data import DataConfig, TargetKind, prepare, read_inputs
from dashnas.errors import DataError


@pytest.fixture
def trained():
    return prepare(arrays(TargetKind.CLASSES), DataConfig(), seed=0)


def read(source, trained, **settings):
    return read_inputs(source, trained.spec, normaliser=trained.normaliser, **settings)


def test_every_source_gives_the_same_inputs(trained, tmp_path):
    x = inputs(9, seed=3)
    np.savez(tmp_path / "x.npz", x=x)
    np.save(tmp_path / "x.npy", x)
    dataset = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.arange(9))
    expected = trained.normaliser.encode_input(torch.from_numpy(x))
    sources = [
        x,
        torch.from_numpy(x),
        {"x": x},
        (x, np.arange(9)),
        dataset,
        tmp_path,
        tmp_path / "x.npz",
        tmp_path / "x.npy",
    ]
    for source in sources:
        samples = read(source, trained)
        assert len(samples) == 9
        assert [len(x) for x, _ in samples.batches(4)] == [4, 4, 1]
        assert torch.equal(torch.cat([x for x, _ in samples.batches(4)]), expected)


@pytest.mark.parametrize(("shape", "read_as"), [((4, 12), (1, 12)), ((4, 4, 5), (1, 4, 5))])
def test_what_the_axes_mean_follows_from_the_model(shape, read_as):
    x = np.random.default_rng(0).random((40, *shape[1:]))
    trained = prepare((x, np.arange(40) % 2), DataConfig(images=len(shape) == 3), seed=0)
    batch, lengths = next(read(x[:4], trained).batches(9))
    assert batch.shape == (4, *read_as)
    assert lengths is None


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (inputs(4, channels=3), "3 channels, length 12"),
        (inputs(4, (13,)), "2 channels, length 13"),
        (inputs(4)[:, 0], "1 channel, length 12"),
        (inputs(4, (12, 12)), "2 channels, 12 by 12"),
    ],
)
def test_another_number_of_channels_or_another_length_is_refused(trained, x, found):
    with pytest.raises(DataError, match=f"x has {found}, but the model was trained on 2 channels, length 12"):
        read(x, trained)


def test_values_that_are_not_finite_are_refused_or_imputed(trained):
    x = inputs(4)
    x[1, 0, 2] = np.nan
    with pytest.raises(DataError, match=r"the first at x\[1, 0, 2\]"):
        read(x, trained)
    assert next(read(x, trained, impute=True).batches(9))[0][1, 0, 2] == 0


def test_no_samples_are_refused(trained):
    with pytest.raises(DataError, match="x holds no samples"):
        read(inputs(0), trained)


@pytest.mark.parametrize("header", ["a,b,c", "a,b,c,y", "a,b,c,other", "a,group,b,c"])
def test_a_csv_may_come_with_or_without_targets(tmp_path, header):
    x = np.random.default_rng(0).random((40, 3))
    trained = prepare((x, np.arange(40) % 2), DataConfig(), seed=0)
    cells = {"a": "1", "b": "2", "c": "3", "y": "", "other": "no", "group": "g"}
    (tmp_path / "new.csv").write_text(f"{header}\n" + ",".join(cells[name] for name in header.split(",")) + "\n")
    batch, _ = next(read(tmp_path / "new.csv", trained).batches(9))
    assert torch.equal(batch, trained.normaliser.encode_input(torch.tensor([[[1.0, 2.0, 3.0]]], dtype=torch.float64)))


def test_a_loose_npy_file_of_another_array_does_not_disturb(trained, tmp_path):
    np.save(tmp_path / "x.npy", inputs(4))
    np.save(tmp_path / "names.npy", np.arange(7))
    assert len(read(tmp_path, trained)) == 4
