"""Chosen kernels that a strategy computes: the same numbers under the same names, and which layers they are."""

import copy

import pytest
import torch
from torch import nn

from dashnas.ops import STRATEGIES, planned
from dashnas.ops.causal import CausalConv1d
from dashnas.ops.planned import DIRECT, PlannedConv1d, PlannedConv2d, plan_convolutions, use_plan

CPU = torch.device("cpu")
LAYERS = {
    "signals": (nn.Conv1d(4, 6, 5, padding=6, dilation=3), (2, 4, 17)),
    "strided signals, no bias": (nn.Conv1d(4, 6, 3, padding=1, stride=2, bias=False), (2, 4, 17)),
    "images": (nn.Conv2d(4, 6, (3, 5), padding=(2, 2), dilation=(2, 1)), (2, 4, 9, 8)),
    "depthwise images": (nn.Conv2d(4, 4, 3, padding=4, dilation=4, groups=4), (2, 4, 9, 8)),
    "strided images": (nn.Conv2d(4, 4, 7, padding=3, stride=(2, 1), groups=2), (2, 4, 9, 8)),
}


def planned_as(strategy, network, name="0"):
    copied = copy.deepcopy(network)
    use_plan(copied, {name: strategy})
    return copied


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name not in DIRECT])
@pytest.mark.parametrize("layer", LAYERS)
def test_values_and_gradients_are_those_of_the_library(layer, strategy):
    conv, shape = LAYERS[layer]
    network = nn.Sequential(conv).double()
    other = planned_as(strategy, network)
    assert isinstance(other[0], PlannedConv1d | PlannedConv2d)
    outcomes = []
    for one in (network, other):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
        y = one(x)
        weights = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view_as(y)
        outcomes.append([y, *torch.autograd.grad((y * weights).sum(), [x, *one.parameters()])])
    torch.testing.assert_close(*outcomes)


def test_weights_keep_their_names_and_fit_the_library():
    network = nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), nn.ReLU())
    other = planned_as("dft", network)
    network.load_state_dict(other.state_dict())
    assert list(other.state_dict()) == ["0.weight", "0.bias"]


class Network(nn.Module):
    """Layers that can be planned, and others."""

    def __init__(self):
        super().__init__()
        self.large = nn.Conv1d(2, 2, 5, padding=2, stride=2)
        self.normalisation = nn.BatchNorm1d(2)
        self.dilated = nn.Conv1d(2, 2, 3, padding=4, dilation=4)
        self.others = nn.Sequential(
            nn.Conv1d(2, 2, 1),
            nn.Conv1d(2, 2, 4, padding=2),
            nn.Conv1d(2, 2, 3),
            nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"),
            CausalConv1d(2, 2, 3),
        )

    def forward(self, x):
        return self.others(self.dilated(self.normalisation(self.large(x))))


@pytest.fixture
def chosen(monkeypatch):
    """What `choose` was asked about; it takes "dft" on maps of 16, else the library's own."""
    asked = []

    def choose(load, dtype, device, *, measure):
        asked.append((load.batch, load.map_shape, load.geometry.kernel_sizes, measure))
        return "dft" if load.map_shape == (16,) else "grouped"

    monkeypatch.setattr(planned, "choose", choose)
    return asked


def test_a_plan_names_the_layers_that_the_library_is_slower_for(chosen):
    plan = plan_convolutions(Network(), torch.zeros(2, 2, 32), CPU, batch_size=8, measure=False)
    assert plan == {"dilated": "dft"}
    assert chosen == [(8, (32,), ((5,),), False), (8, (16,), ((3,),), False)]


def test_planning_changes_nothing(chosen):
    network = Network()
    before = copy.deepcopy(network.state_dict())
    plan_convolutions(network, torch.ones(2, 2, 32), CPU, batch_size=8, measure=False)
    torch.testing.assert_close(network.state_dict(), before)
    assert network.training
    plan_convolutions(network, torch.ones(2, 2, 32), CPU, batch_size=8, measure=False)
    assert len(chosen) == 4  # no hook was left


@pytest.mark.parametrize("plan", [{"others.1": "fastest"}, {"normalisation": "dft"}, {"others.4": "dft"}])
def test_a_plan_of_something_else_is_refused(plan):
    with pytest.raises(KeyError):
        use_plan(Network(), plan)
