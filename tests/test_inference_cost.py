"""What an answer costs: operations are counted, and time is that of one sample."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import dashnas.inference_cost
from dashnas.backbones import build_backbone
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.inference_cost import FEWEST_ANSWERS, MOST_ANSWERS, inference_cost

CPU = torch.device("cpu")
SIGNALS = DataSpec(channels=3, spatial_shape=(20,), target_kind=TargetKind.CLASSES, outputs=2)
IMAGES = DataSpec(channels=3, spatial_shape=(8, 6), target_kind=TargetKind.DENSE_BINARY, outputs=1)


@pytest.mark.parametrize(
    ("network", "spec", "multiplications"),
    [
        # positions, outputs, inputs, taps
        (nn.Conv1d(3, 4, 5, padding=2), SIGNALS, 20 * 4 * 3 * 5),
        (nn.Conv1d(3, 3, 5, padding=2, groups=3), SIGNALS, 20 * 3 * 1 * 5),
        (weight_norm(nn.Conv1d(3, 4, 5, padding=2)), SIGNALS, 20 * 4 * 3 * 5),
        (nn.Conv2d(3, 4, (3, 5), stride=2, padding=(1, 2)), IMAGES, 4 * 3 * 4 * 3 * 15),
        (nn.Sequential(nn.Flatten(), nn.Linear(60, 7)), SIGNALS, 60 * 7),
    ],
)
def test_a_multiplication_and_an_addition_are_two_operations(network, spec, multiplications):
    assert inference_cost(network, spec, CPU).flops == 2 * multiplications


@pytest.mark.parametrize(("backbone", "spec"), [("resnet1d", SIGNALS), ("tcn", SIGNALS), ("wrn", IMAGES)])
def test_backbones_are_counted(backbone, spec):
    narrow, wide = (inference_cost(build_backbone(backbone, spec, width=width), spec, CPU) for width in (4, 8))
    assert 2 < wide.flops / narrow.flops < 4
    assert narrow.milliseconds > 0


def test_series_of_unequal_length_are_those_of_the_longest():
    unequal = DataSpec(channels=3, spatial_shape=(20,), target_kind=TargetKind.CLASSES, outputs=2, unequal_lengths=True)
    network = build_backbone("resnet1d", unequal, width=4)
    assert inference_cost(network, unequal, CPU).flops == inference_cost(network, SIGNALS, CPU).flops


@pytest.mark.parametrize(("seconds", "answers"), [(1.0, FEWEST_ANSWERS), (0.0, MOST_ANSWERS)])
def test_slow_answers_are_timed_less_often(seconds, answers, monkeypatch):
    class Counting(nn.Module):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return x

    clock = iter(seconds * tick for tick in range(1000))
    monkeypatch.setattr(dashnas.inference_cost.time, "perf_counter", lambda: next(clock))
    network = Counting()
    assert inference_cost(network, SIGNALS, CPU).milliseconds == 1000 * seconds
    assert network.calls == 1 + answers


def test_the_network_answers_in_evaluation_mode_without_gradients():
    seen = []

    class Looking(nn.Module):
        def forward(self, x):
            seen.append((self.training, torch.is_grad_enabled(), tuple(x.shape)))
            return x

    inference_cost(Looking().train(), IMAGES, CPU)
    assert set(seen) == {(False, False, (1, 3, 8, 6))}
