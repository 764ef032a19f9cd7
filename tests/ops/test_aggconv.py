"""AggConv as modules; what they compute is in test_contract.py."""

import math
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dashnas.errors import ConfigError, DataError
from dashnas.ops import STRATEGIES, AggConv1d, AggConv2d
from dashnas.space import Candidate, SearchSpace

CANDIDATES = (Candidate(3), Candidate(5, 2), Candidate(7))


def test_the_kernels_of_all_candidates_lie_in_one_bank():
    layer = AggConv2d(2, 4, (Candidate(3), Candidate((5, 1), (2, 1))), groups=2)
    assert {name: tuple(value.shape) for name, value in layer.state_dict().items()} == {
        "arch_parameters": (2,),
        "bias": (4,),
        "kernels": (9 + 5, 4, 1),
    }


def test_kernel_of_is_a_view_of_the_bank_taps_last():
    layer = AggConv2d(2, 4, (Candidate(3), Candidate((5, 1))))
    kernel = layer.kernel_of(Candidate((5, 1)))
    assert kernel.shape == (4, 2, 5, 1)
    torch.testing.assert_close(kernel[1, 0, 3, 0], layer.kernels[9 + 3, 1, 0].detach())
    kernel.zero_()
    assert not layer.kernels[9:].any()
    assert layer.kernels[:9].all()


def test_each_candidate_computes_with_its_own_kernel():
    candidates = SearchSpace.for_dims(1).candidates()
    layer = AggConv1d(2, 2, candidates)
    layer.arch_parameters.data[candidates.index(Candidate(11, 3))] = 1e4
    x = torch.randn(1, 2, 40)
    plain = F.conv1d(x, layer.kernel_of(Candidate(11, 3)), padding=15, dilation=3)
    torch.testing.assert_close(layer(x), plain, rtol=1e-4, atol=1e-5)


def test_fresh_kernels_are_drawn_as_those_of_a_plain_convolution():
    layer = AggConv2d(8, 64, (Candidate(3), Candidate(7)))
    for candidate in layer.candidates:
        plain = nn.Conv2d(8, 64, candidate.kernel_size).weight
        kernel = layer.kernel_of(candidate)
        bound = (8 * candidate.kernel_size**2) ** -0.5
        for weights in (plain, kernel):
            assert 0.99 * bound < weights.abs().max() <= bound
        torch.testing.assert_close(kernel.std(), plain.std(), rtol=0.05, atol=0)


def test_kernel_std_sets_the_deviation_of_fresh_kernels():
    kernel = AggConv2d(16, 64, (Candidate(5),), kernel_std=0.01).kernel_of(Candidate(5))
    torch.testing.assert_close(kernel.std(), torch.tensor(0.01), rtol=0.02, atol=0)


def test_a_fresh_layer_has_no_bias_and_prefers_nothing():
    layer = AggConv1d(2, 2, SearchSpace.for_dims(1).candidates())
    assert not layer.bias.any()
    assert layer.arch_parameters.abs().max() < 0.01
    assert layer.mixture_entropy() == pytest.approx(math.log(20), abs=1e-4)


def test_a_decided_layer_has_no_entropy():
    layer = AggConv1d(2, 2, CANDIDATES)
    layer.arch_parameters.data.copy_(torch.tensor([0.0, 1000.0, 0.0]))
    assert layer.mixture_entropy() == 0


@pytest.mark.parametrize("favourite", range(3))
def test_choice_is_the_candidate_with_the_largest_architecture_parameter(favourite):
    layer = AggConv1d(2, 2, CANDIDATES)
    layer.arch_parameters.data[favourite] = 1
    assert layer.choice() == CANDIDATES[favourite]


def test_any_callable_serves_as_relaxation():
    layer = AggConv1d(1, 1, CANDIDATES, bias=False, relaxation=lambda arch_parameters: 0 * arch_parameters)
    assert not layer(torch.randn(1, 1, 9)).any()


def test_reset_parameters_draws_afresh():
    layer = AggConv1d(2, 2, CANDIDATES)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.reset_parameters()
    assert [name for name, value in layer.state_dict().items() if torch.equal(value, before[name])] == ["bias"]


def test_takes_its_input_by_keyword_as_a_plain_convolution_does():
    layer, x = AggConv1d(2, 2, CANDIDATES), torch.randn(1, 2, 9)
    assert torch.equal(layer(input=x), layer(x))


def test_printing_shows_what_is_not_a_default():
    assert "2, 4, candidates=3, strategy='auto'" in repr(AggConv1d(2, 4, CANDIDATES))
    layer = AggConv2d(2, 4, CANDIDATES, stride=(1, 2), groups=2, strategy="mixed_weights")
    assert "2, 4, candidates=3, stride=(1, 2), groups=2, strategy='mixed_weights'" in repr(layer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"candidates": ()}, "at least one candidate"),
        (
            {"candidates": (Candidate(3), Candidate(5), Candidate(3))},
            "distinct candidates, got k3_d1, k5_d1, k3_d1",
        ),
        ({"candidates": (Candidate((3, 5)),)}, r"\(3, 5\) names 2 axes, but the layer has 1"),
        ({"candidates": (Candidate(3, (1, 2)),)}, r"\(1, 2\) names 2 axes, but the layer has 1"),
        ({"stride": (1, 2)}, r"\(1, 2\) names 2 axes, but the layer has 1"),
        (
            {"strategy": "furier"},
            "unknown strategy 'furier'; did you mean 'fourier'\\? Known: .*mixed_results",
        ),
        ({"plan": "mesure"}, "unknown plan 'mesure'; did you mean 'measure'\\?"),
        ({"groups": 3}, "groups=3 must divide in_channels=4 and out_channels=4"),
    ],
)
def test_refuses_at_once_what_it_cannot_compute(arguments, message):
    with pytest.raises(ConfigError, match=message):
        AggConv1d(4, 4, **{"candidates": CANDIDATES, **arguments})


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (AggConv1d, (4, 9), "AggConv1d needs an input of shape (batch, 4, length)"),
        (AggConv1d, (2, 4, 9, 9), "AggConv1d needs an input of shape (batch, 4, length)"),
        (AggConv1d, (2, 3, 9), "AggConv1d needs an input of shape (batch, 4, length)"),
        (AggConv2d, (4, 9, 9), "AggConv2d needs an input of shape (batch, 4, height, width)"),
        (AggConv2d, (2, 4, 0, 9), "AggConv2d needs an input of shape (batch, 4, height, width)"),
        (AggConv2d, (0, 4, 9, 9), "AggConv2d needs an input of shape (batch, 4, height, width)"),
    ],
)
def test_an_input_of_another_shape_is_refused_alike_by_every_strategy(strategy, layer, shape, expected):
    with pytest.raises(DataError, match=re.escape(f"{expected} with something in it, got {shape}")):
        layer(4, 4, CANDIDATES, strategy=strategy)(torch.zeros(shape))
