"""Large kernels by Fourier transforms: the same numbers under the same names, and which layers they are."""

import copy
import pickle

import pytest
import torch
from torch import nn

import dashnas.large_kernels
from dashnas.config import RetrainConfig
from dashnas.data import TargetKind
from dashnas.errors import ConversionError
from dashnas.large_kernels import by_fourier, large_kernels
from dashnas.losses import make_loss
from dashnas.ops.causal import CausalConv1d
from dashnas.precision import Precision
from dashnas.recipe import Recipe
from dashnas.retrain import retrain_phase
from dashnas.training import compute_gradients
from tiny import prepared

LAYERS = {
    "signals": (lambda: nn.Conv1d(4, 6, 5, padding=6, dilation=3), (2, 4, 17)),
    "padding by name": (lambda: nn.Conv1d(4, 6, 5, padding="same"), (2, 4, 17)),
    "strided signals, no bias": (lambda: nn.Conv1d(4, 6, 3, padding=1, stride=2, bias=False), (2, 4, 17)),
    "images": (lambda: nn.Conv2d(4, 6, (3, 5), padding=(2, 2), dilation=(2, 1)), (2, 4, 9, 8)),
    "depthwise images": (lambda: nn.Conv2d(4, 4, 3, padding=4, dilation=4, groups=4), (2, 4, 9, 8)),
    "strided images": (lambda: nn.Conv2d(4, 4, 7, padding=3, stride=(2, 1), groups=2), (2, 4, 9, 8)),
}


@pytest.fixture
def used(monkeypatch):
    """The strategies that were called."""
    called = []
    aggconv = dashnas.large_kernels.aggconv
    monkeypatch.setattr("dashnas.large_kernels.aggconv", lambda *args: called.append(args[-1]) or aggconv(*args))
    return called


@pytest.mark.parametrize("layer", LAYERS)
def test_values_and_gradients_are_those_of_the_direct_convolution(layer, used):
    make, shape = LAYERS[layer]
    network = nn.Sequential(make()).double()

    def outcome():
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
        y = network(x)
        weights = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view_as(y)
        return [y, *torch.autograd.grad((y * weights).sum(), [x, *network.parameters()])]

    direct = outcome()
    with by_fourier(network, ["0"]):
        transformed = outcome()
    assert used == ["dft"]
    torch.testing.assert_close(transformed, direct)
    assert all(torch.equal(*pair) for pair in zip(outcome(), direct, strict=True))
    assert used == ["dft"]


def test_nothing_of_it_stays_behind():
    network = nn.Sequential(nn.Conv1d(2, 3, 5, padding=2))
    before = dict(vars(network[0]))
    with pytest.raises(RuntimeError), by_fourier(network, ["0"]):
        network(torch.zeros(2, 5, 8))
    assert vars(network[0]) == before
    pickle.dumps(network)


class Network(nn.Module):
    """Layers that transforms can compute, and others."""

    def __init__(self):
        super().__init__()
        self.large = nn.Conv1d(2, 2, 5, padding=2, stride=2)
        self.normalisation = nn.BatchNorm1d(2)
        self.dilated = nn.Conv1d(2, 2, 3, padding=4, dilation=4)
        self.others = nn.Sequential(
            nn.Conv1d(2, 2, 1),
            nn.Conv1d(2, 2, 4, padding=2),
            nn.Conv1d(2, 2, 3),
            nn.Conv1d(2, 2, 3, padding="valid"),
            nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"),
            CausalConv1d(2, 2, 3),
        )
        self.twice = nn.Conv1d(2, 2, 3, padding=1)

    def forward(self, x):
        x = self.others(self.dilated(self.normalisation(self.large(x))))
        return self.twice(self.twice(x))


class TestWhichTheyAre:
    @pytest.fixture
    def asked(self, monkeypatch):
        """The model of the cost says that transforms take 0.44 of the time on maps of 16, else 0.42."""
        loads = []

        def estimate(strategy, load):
            loads.append((load.batch, load.map_shape, load.geometry.kernel_sizes))
            return 1.0 if strategy == "mixed_results" else 0.44 if load.map_shape == (16,) else 0.42

        monkeypatch.setattr("dashnas.large_kernels.estimate", estimate)
        return loads

    def test_those_that_the_model_of_the_cost_finds_faster(self, asked):
        assert large_kernels(Network(), torch.zeros(2, 2, 32), batch_size=8) == ("large",)
        assert set(asked) == {(8, (32,), ((5,),)), (8, (16,), ((3,),))}

    def test_a_kernel_longer_than_its_map_is_taken_to_be_twice_as_slow(self, monkeypatch):
        monkeypatch.setattr("dashnas.large_kernels.estimate", lambda name, _: 0.8 if name == "dft" else 1.0)
        network = nn.Sequential(nn.Conv1d(2, 2, 3, padding=8, dilation=8))
        assert large_kernels(network, torch.zeros(2, 2, 17), batch_size=8) == ()
        assert large_kernels(network, torch.zeros(2, 2, 16), batch_size=8) == ("0",)

    def test_in_bfloat16_a_direct_convolution_takes_less_time_where_it_is_computed_in(self, monkeypatch):
        monkeypatch.setattr("dashnas.large_kernels.computes_bfloat16", lambda device: True)
        monkeypatch.setattr("dashnas.large_kernels.estimate", lambda name, _: 0.25 if name == "dft" else 1.0)
        network = nn.Sequential(nn.Conv1d(2, 2, 3, padding=1))
        narrow, wide = (
            large_kernels(network, torch.zeros(2, 2, 17), batch_size=8, precision=precision)
            for precision in (Precision.BFLOAT16, Precision.FLOAT32)
        )
        assert (narrow, wide) == (("0",), ("0",))
        monkeypatch.setattr("dashnas.large_kernels.estimate", lambda name, _: 0.27 if name == "dft" else 1.0)
        assert large_kernels(network, torch.zeros(2, 2, 17), batch_size=8, precision=Precision.BFLOAT16) == ()
        monkeypatch.setattr("dashnas.large_kernels.computes_bfloat16", lambda device: False)
        assert large_kernels(network, torch.zeros(2, 2, 17), batch_size=8, precision=Precision.BFLOAT16) == ("0",)

    def test_looking_changes_nothing(self, asked):
        network = Network()
        network.normalisation.eval()
        before = copy.deepcopy(network)
        large_kernels(network, torch.ones(2, 2, 32), batch_size=8)
        torch.testing.assert_close(network.state_dict(), before.state_dict())
        assert [m.training for m in network.modules()] == [m.training for m in before.modules()]

    def test_nothing_need_be_computed(self, asked):
        assert large_kernels(Network(), torch.zeros(2, 2, 32, device="meta"), batch_size=8) == ("large",)

    def test_a_sample_that_does_not_fit_is_named(self):
        with pytest.raises(ConversionError, match=r"the model fails on the sample of shape \(2, 3, 32\)"):
            large_kernels(Network(), torch.zeros(2, 3, 32), batch_size=8)

    def test_a_small_kernel_is_direct_and_a_large_one_is_not(self):
        """As measured: `results/large_kernels.md`."""
        network = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 9, padding=4))
        assert large_kernels(network, torch.zeros(2, 16, 32, 32), batch_size=64) == ("1",)


def test_training_steps_use_them_and_their_gradients_are_the_same(used, monkeypatch):
    data = prepared(TargetKind.CLASSES)
    network = nn.Sequential(nn.Conv1d(2, 3, 5, padding=2), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    loss = make_loss(data.spec, data.normaliser, metric_name="error")

    def gradients(found):
        monkeypatch.setattr("dashnas.retrain.large_kernels", lambda *_, **__: found)
        phase = retrain_phase(
            "train", network, data.train, loss, Recipe(), RetrainConfig(), epochs=1, batch_size=8, seed=0
        )
        compute_gradients(phase, torch.arange(8).numpy(), torch.device("cpu"), micro_batch=8, seed=0)
        return [parameter.grad.clone() for parameter in network.parameters()]

    direct = gradients(())
    assert used == []
    torch.testing.assert_close(gradients(("0",)), direct)
    assert used == ["dft"]
