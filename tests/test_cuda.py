"""The same on a GPU as on the CPU; skipped where there is none."""

import numpy as np
import pytest
import torch

from dashnas import Options, fit
from dashnas.backbones import build_backbone
from dashnas.config import RetrainConfig, SearchConfig
from dashnas.data import DataConfig, prepare
from dashnas.losses import make_loss
from dashnas.memory import count_step, measure_step
from dashnas.muon import Muon
from dashnas.ops import STRATEGIES, AggConv1d, AggConv2d
from dashnas.precision import Precision
from dashnas.progress import Silent
from dashnas.recipe import Recipe
from dashnas.retrain import retrain_phase
from dashnas.runs import Run
from dashnas.search import make_supernet, search
from dashnas.space import SearchSpace
from dashnas.training import Interrupted, Session, take_step

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(autouse=True)
def _exact_and_deterministic():
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    # Else two searches alike differ by 1e-3 now and then.
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield
    torch.backends.cuda.matmul.allow_tf32 = before


def test_a_saved_state_of_muon_goes_on_where_it_was():
    """Step counts have to be where the weights are, whatever a checkpoint was loaded to."""
    weights = [torch.ones(shape, device="cuda", requires_grad=True) for shape in ((4, 2, 3), (4, 2))]
    optimiser = Muon([{"params": weights}], lr=0.1, momentum=0.9, weight_decay=0.0)
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimiser.step()
    state = optimiser.state_dict()
    for values in state["state"].values():
        values.update({name: value.cpu() for name, value in values.items()})
    optimiser.load_state_dict(state)
    optimiser.step()
    assert {value.device.type for values in optimiser.state.values() for value in values.values()} == {"cuda"}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("layer_type", "shape"), [(AggConv1d, (46,)), (AggConv2d, (15, 16))])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_values_and_gradients_equal_those_of_the_cpu(strategy, layer_type, shape, dtype, tolerance):
    layer = layer_type(4, 6, SearchSpace.for_dims(len(shape)).candidates(), stride=2, strategy="mixed_results").double()
    x = torch.randn(3, 4, *shape, dtype=torch.float64)
    expected = _value_and_gradients(layer, x)
    layer.strategy = strategy
    actual = _value_and_gradients(layer.to("cuda", dtype), x.to("cuda", dtype))
    for a, b in zip(actual, expected, strict=True):
        assert (a.double() - b).abs().max() / b.abs().max() <= tolerance


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_bf16_autocast(strategy):
    layer = AggConv1d(4, 6, SearchSpace.for_dims(1).candidates(), strategy="mixed_results").cuda()
    x = torch.randn(3, 4, 64, device="cuda")
    expected = layer(x)
    layer.strategy = strategy
    with torch.autocast("cuda", torch.bfloat16):
        actual = layer(x)
    assert actual.dtype == torch.bfloat16
    assert (actual.float() - expected).abs().max() / expected.abs().max() <= 2e-2


@pytest.mark.parametrize("precision", list(Precision))
def test_fit_searches_trains_and_predicts(tmp_path, precision):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 120)
    x = rng.normal(size=(120, 1, 32)).astype(np.float32)
    x[:, 0, 10] += 6 * y
    result = fit(
        (x, y), Options(epochs=10, width=8, tune_trials=2, device="cuda", precision=precision), out=tmp_path / "run"
    )
    assert result.summary["device"] == "cuda"
    assert result.summary["scores"]["test"]["value"] < 0.3


@pytest.mark.parametrize("step", [1, 5])
def test_a_stopped_search_goes_on_as_if_it_had_not_been(tmp_path, step):
    x = np.random.default_rng(0).normal(size=(96, 2, 64)).astype(np.float32)
    data = prepare((x, np.arange(96) % 3), DataConfig(), seed=0)
    loss, config = make_loss(data.spec, data.normaliser, metric_name="error"), SearchConfig(plan="model")

    def searched(folder, stop_requested=lambda: False):
        torch.manual_seed(0)
        backbone = build_backbone("resnet1d", data.spec, width=8, for_search=True)
        space = SearchSpace.for_dims(1)
        supernet, _ = make_supernet(backbone, space, data.train.batch(np.arange(2)).x, config)
        with Run(tmp_path / folder, {}) as run:
            session = Session(run=run, reporter=Silent(), device=torch.device("cuda"), stop_requested=stop_requested)
            search(supernet, data.train, loss, config, epochs=3, batch_size=16, seed=0, session=session)
        return {name: value.cpu() for name, value in supernet.state_dict().items()}

    undisturbed, calls = searched("a"), iter(range(1, 100))
    with pytest.raises(Interrupted):
        searched("b", lambda: next(calls) == step)
    torch.testing.assert_close(searched("b"), undisturbed, rtol=1e-3, atol=1e-5)


def test_the_memory_of_a_step_is_told_within_a_quarter():
    spec = {"epochs": 1, "batch_size": 64, "seed": 0}
    x = np.random.default_rng(0).normal(size=(256, 2, 512)).astype(np.float32)
    data = prepare((x, np.arange(256) % 3), DataConfig(), seed=0)
    loss = make_loss(data.spec, data.normaliser, metric_name="error")
    network = build_backbone("resnet1d", data.spec, width=64)
    phase = retrain_phase("retrain", network, data.train, loss, Recipe(), RetrainConfig(), **spec)
    cuda = torch.device("cuda")
    estimate = measure_step(count_step(phase, cuda), phase, cuda, 16).peak_bytes(64)
    torch.cuda.reset_peak_memory_stats()
    take_step(phase, np.arange(64), cuda)
    assert estimate == pytest.approx(torch.cuda.max_memory_allocated(), rel=0.25)


def _value_and_gradients(layer, x):
    x = x.clone().requires_grad_()
    layer.zero_grad()
    value = layer(x)
    (value * value.detach()).sum().backward()
    # Copies, since gradients move with their layer.
    return [t.detach().cpu().clone() for t in (value, x.grad, layer.arch_parameters.grad, layer.kernels.grad)]
