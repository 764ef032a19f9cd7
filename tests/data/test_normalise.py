"""Inputs and targets on the scale of training, and back."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds_of_data import arrays, inputs

from dashnas.data import DataConfig, Normaliser, TargetKind, prepare
from dashnas.data.statistics import Moments
from dashnas.errors import DataError

NORMALISER = Normaliser(input_mean=(1.0, 2.0), input_std=(3.0, 4.0), target_mean=(1e9, -5.0), target_std=(2.0, 0.5))


def test_training_channels_get_mean_zero_and_spread_one():
    data = prepare(arrays(TargetKind.CLASSES), DataConfig(), seed=0)
    x = next(data.train.batches(99)).x.double()
    torch.testing.assert_close(x.mean(dim=(0, 2)), torch.zeros(2, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(x.std(dim=(0, 2), correction=0), torch.ones(2, dtype=torch.float64))


def test_training_targets_get_mean_zero_and_spread_one():
    data = prepare(arrays(TargetKind.REGRESSION), DataConfig(), seed=0)
    y = next(data.train.batches(99)).y.double()
    torch.testing.assert_close(y.mean(dim=0), torch.zeros(2, dtype=torch.float64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", [(5, 2), (5, 2, 7), (5, 2, 3, 4)])
def test_decoding_undoes_encoding(shape):
    y = torch.randn(shape, dtype=torch.float64)
    y[:, 0] += 1e9
    decoded = NORMALISER.decode_target(NORMALISER.encode_target(y))
    torch.testing.assert_close(decoded, y, rtol=0, atol=1e-6)  # float32 on the normalised scale, not on the user's
    as_array = NORMALISER.decode_target(NORMALISER.encode_target(y).numpy())
    np.testing.assert_array_equal(as_array, decoded.numpy())


def test_copies_are_equal():
    copied = pickle.loads(pickle.dumps(NORMALISER))
    assert copied == NORMALISER
    torch.testing.assert_close(copied.encode_target(torch.ones(5, 2)), NORMALISER.encode_target(torch.ones(5, 2)))


class WithScales(torch.nn.Module):
    def __init__(self, normaliser: Normaliser) -> None:
        super().__init__()
        self.normaliser = normaliser

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.normaliser.decode_target(self.normaliser.encode_input(x))


@pytest.mark.parametrize("strict", [False, True])
def test_scales_can_be_exported_and_stay_as_they_were(strict):
    x, module = torch.ones(5, 2), WithScales(replace(NORMALISER))
    exported = torch.export.export(module, (x,), strict=strict).module()
    for answer in (exported(x), module(x)):
        assert type(answer) is torch.Tensor
        torch.testing.assert_close(answer, WithScales(NORMALISER)(x))


def test_what_was_decoded_for_a_score_can_be_trained_with():
    normaliser = replace(NORMALISER)
    with torch.inference_mode():
        normaliser.decode_target(torch.ones(5, 2))
    prediction = torch.ones(5, 2, requires_grad=True)
    normaliser.decode_target(prediction).sum().backward()
    torch.testing.assert_close(prediction.grad, torch.tensor([[2.0, 0.5]]).expand(5, 2))


def test_kinds_that_are_not_regression_pass_through():
    labels = torch.tensor([0, 2])
    bare = Normaliser(input_mean=(0.0,), input_std=(1.0,))
    assert bare.encode_target(labels) is labels
    assert bare.decode_target(labels) is labels


def test_small_changes_on_a_large_offset_survive():
    x = 1.7e9 + np.random.default_rng(0).random((40, 1, 8))
    batch = prepare((x, np.arange(40) % 2), DataConfig(), seed=0).train.batch(np.arange(24))
    assert batch.x.std() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("normaliser", [NORMALISER, Normaliser(input_mean=(0.5,), input_std=(1.5,))])
def test_json_round_trip(normaliser):
    assert Normaliser.from_json(json.loads(json.dumps(normaliser.to_json()))) == normaliser


def test_only_training_samples_set_the_scale():
    data = arrays(TargetKind.REGRESSION) | {"x_test": inputs(9), "y_test": np.zeros((9, 2))}
    data |= {"x_val": inputs(8), "y_val": np.zeros((8, 2))}
    before = prepare(data, DataConfig(), seed=0)
    for part in ("test", "val"):
        data |= {f"x_{part}": data[f"x_{part}"] * 100, f"y_{part}": data[f"y_{part}"] + 7}
    after = prepare(data, DataConfig(), seed=0)
    assert after.normaliser == before.normaliser
    assert torch.equal(after.train.batch([0, 1]).x, before.train.batch([0, 1]).x)


def test_cut_parts_do_not_set_the_scale_either():
    data = arrays(TargetKind.REGRESSION, number=np.arange(40))
    before = prepare(data, DataConfig(), seed=0)
    held_out = np.concatenate([before.validation.fields["number"], before.test.open().fields["number"]])
    x, y = data["x"].copy(), data["y"].copy()
    x[held_out] *= 100
    y[held_out] += 9
    assert prepare(data | {"x": x, "y": y}, DataConfig(), seed=0).normaliser == before.normaliser


@given(pieces=st.lists(st.integers(1, 7), min_size=1, max_size=5), offset=st.sampled_from([0, 1e8]))
@settings(max_examples=40, deadline=None)
def test_moments_of_pieces_are_those_of_the_whole(pieces, offset):
    rng = np.random.default_rng(sum(pieces))
    values = [rng.normal(offset, 2, (size, 3, 5)) for size in pieces]
    counts = [rng.random((size, 3, 5)) < 0.7 for size in pieces]
    whole, keep = np.concatenate(values), np.concatenate(counts)
    plain, masked = Moments(3), Moments(3)
    for value, count in zip(values, counts, strict=True):
        plain.add(value)
        masked.add(value, count)
    np.testing.assert_allclose(plain.mean, whole.mean(axis=(0, 2)), rtol=1e-12)
    np.testing.assert_allclose(plain.std, whole.std(axis=(0, 2)), rtol=1e-6)
    for channel in range(3):
        kept = whole[:, channel][keep[:, channel]]
        if len(kept) > 1:
            np.testing.assert_allclose(masked.mean[channel], kept.mean(), rtol=1e-12)
            np.testing.assert_allclose(masked.std[channel], kept.std(), rtol=1e-6)


def test_a_constant_channel_becomes_zero_with_a_warning():
    x = inputs()
    x[:, 1] = 0.1
    data = prepare((x, np.arange(40) % 2), DataConfig(), seed=0)
    assert data.normaliser.input_std[1] == 1
    assert not data.train.batch([0]).x[:, 1].abs().gt(1e-6).any()
    assert "1 of 2 channels of x are constant in the training part: 1" in data.warnings


def test_inputs_that_are_constant_everywhere_are_refused():
    with pytest.raises(DataError, match="x is constant in every channel"):
        prepare((np.ones((40, 2, 8)), np.arange(40) % 2), DataConfig(), seed=0)


def test_targets_that_are_constant_are_refused():
    with pytest.raises(DataError, match=r"y is 2\.5 everywhere in the training part"):
        prepare((inputs(), np.full(40, 2.5)), DataConfig(), seed=0)


def test_values_whose_variance_is_too_large_are_refused():
    with pytest.raises(DataError, match="too large"):  # and NumPy warns of nothing
        prepare((inputs() * 1e200, np.arange(40) % 2), DataConfig(), seed=0)
