"""Training steps in less precision: what is computed narrower, what is not, and that nothing lasts beyond a step."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dashnas import Options, fit
from dashnas.config import RetrainConfig, Schedule, SearchConfig
from dashnas.data import DataConfig, DataSpec, TargetKind, prepare
from dashnas.errors import ConfigError
from dashnas.losses import make_loss
from dashnas.methods import MethodTask
from dashnas.methods.backbone import stock_options
from dashnas.metrics import get_metric
from dashnas.microbatch import set_gradients
from dashnas.precision import Precision, computes_bfloat16, layers, matrix_products, widened
from dashnas.presets import resolve

CPU = torch.device("cpu")


class Watched(torch.nn.Module):
    """A convolution and a head that keep the dtype of what they hand on."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = torch.nn.Conv1d(1, 4, 5, padding="same"), torch.nn.Linear(4, 2)
        self.dtypes = []

    def forward(self, x):
        x = self.conv(x)
        y = self.head(x.relu().mean(-1))
        self.dtypes += [x.dtype, y.dtype]
        return y


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 1, 24)).astype(np.float32)
    return prepare((x, np.arange(40) % 2), DataConfig(), seed=0)


@pytest.fixture
def restored():
    """PyTorch's setting for matrix products is put back."""
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def gradients(data, precision):
    network, seen = Watched(), []
    loss = make_loss(data.spec, data.normaliser, metric_name="error")

    def spied(outputs, batch):
        seen.append(outputs.dtype)
        return loss(outputs, batch)

    value = set_gradients(network, spied, data.train, np.arange(16), CPU, micro_batch=16, seed=0, precision=precision)
    return value, [p.grad for p in network.parameters()], network.dtypes, seen


def test_layers_hand_on_bfloat16_and_the_loss_is_computed_in_float32(data):
    value, grads, handed_on, given_to_loss = gradients(data, Precision.BFLOAT16)
    assert set(handed_on) == {torch.bfloat16}
    assert given_to_loss == [torch.float32]
    assert value.dtype == torch.float32
    assert {grad.dtype for grad in grads} == {torch.float32}


def test_gradients_in_bfloat16_are_those_of_float32_but_for_rounding(data):
    exact, narrow = (gradients(data, precision)[1] for precision in (Precision.FLOAT32, Precision.BFLOAT16))
    for a, b in zip(exact, narrow, strict=True):
        assert 0 < (a - b).norm() <= 0.1 * a.norm()


def test_tf32_is_float32_where_there_is_no_gpu(data):
    exact, tf32 = (gradients(data, precision)[1] for precision in (Precision.FLOAT32, Precision.TF32))
    torch.testing.assert_close(tf32, exact, rtol=0, atol=0)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("before", ["highest", "high", "medium"])
@pytest.mark.parametrize(
    ("precision", "device", "within"),
    [
        (Precision.FLOAT32, "cuda", None),
        (Precision.TF32, "cuda", "high"),
        (Precision.BFLOAT16, "cuda", "high"),
        (Precision.TF32, "cpu", None),
    ],
)
def test_the_setting_for_matrix_products_is_as_before_afterwards(before, precision, device, within):
    """`within` None: as PyTorch is set."""
    torch.set_float32_matmul_precision(before)

    def fail():
        with matrix_products(precision, torch.device(device)):
            assert torch.get_float32_matmul_precision() == (within or before)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.get_float32_matmul_precision() == before


def test_an_autocast_of_one_s_own_stays():
    with torch.autocast("cpu", torch.bfloat16), layers(Precision.FLOAT32, CPU):
        assert torch.is_autocast_enabled("cpu")


def test_only_what_is_narrower_than_float32_is_widened():
    for dtype, wide in ((torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64,) * 2):
        assert widened(torch.zeros(1, dtype=dtype)).dtype == wide
    with layers(Precision.FLOAT32, CPU):
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("config", [SearchConfig, RetrainConfig])
def test_a_precision_is_given_by_its_name(config):
    assert config(precision="bfloat16").precision is Precision.BFLOAT16
    with pytest.raises(ConfigError, match=r"unknown precision 'bfloat61'.*bfloat16"):
        config(precision="bfloat61")


@pytest.mark.parametrize(
    ("known", "device", "computes"),
    [
        ({"avx512_bf16": True}, "cpu", True),
        ({"amx_bf16": True}, "cpu", True),
        ({"avx512_bf16": False, "avx512_f": True}, "cpu", False),
        ({}, "cpu", False),
        ({"avx512_bf16": True}, "cuda", False),
    ],
)
def test_a_processor_tells_whether_it_computes_in_bfloat16(known, device, computes, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert computes_bfloat16(torch.device(device)) is computes


def test_of_a_pytorch_that_cannot_tell_it_is_not_believed(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not computes_bfloat16(CPU)


@pytest.mark.parametrize("narrow", [True, False])
def test_fit_trains_in_what_the_processor_computes_in(narrow, monkeypatch):
    monkeypatch.setattr("dashnas.presets.computes_bfloat16", lambda device: narrow)
    seen = set()

    def spied(precision, device):
        seen.add(precision)
        return layers(precision, device)

    monkeypatch.setattr("dashnas.microbatch.layers", spied)
    x = np.random.default_rng(0).normal(size=(40, 1, 20)).astype(np.float32)
    summary = fit((x, np.arange(40) % 2), replace(short(), precision=None)).summary
    training = Precision.BFLOAT16 if narrow else Precision.FLOAT32
    assert summary["precision"] == {"search": "float32", "training": training}
    assert seen == {Precision.FLOAT32, training}


@pytest.mark.parametrize(
    ("asked", "kind", "training"),
    [
        ({}, TargetKind.CLASSES, "bfloat16"),
        ({"preset": "quick"}, TargetKind.MULTI_LABEL, "bfloat16"),
        ({}, TargetKind.DENSE_BINARY, "bfloat16"),
        ({}, TargetKind.DENSE_CLASSES, "bfloat16"),
        ({}, TargetKind.REGRESSION, "float32"),
        ({}, TargetKind.DENSE_REGRESSION, "float32"),
        ({"preset": "paper"}, TargetKind.CLASSES, "float32"),
        ({"precision": Precision.FLOAT32}, TargetKind.CLASSES, "float32"),
        ({"preset": "paper", "precision": Precision.BFLOAT16}, TargetKind.REGRESSION, "bfloat16"),
    ],
)
def test_numbers_and_what_is_asked_for_otherwise_are_not_trained_for_in_bfloat16(asked, kind, training, monkeypatch):
    monkeypatch.setattr("dashnas.presets.computes_bfloat16", lambda device: True)
    shape = (8, 8) if kind.is_dense else (32,)
    config = resolve(Options(**asked), DataSpec(channels=1, spatial_shape=shape, target_kind=kind, outputs=2), 100)
    assert config.retrain.precision == training
    assert config.search.precision == asked.get("precision", "float32")


@pytest.mark.parametrize(
    ("shape", "kind", "training"),
    [
        ((2, 9), TargetKind.CLASSES, "float32"),
        ((9, 2), TargetKind.MULTI_LABEL, "float32"),
        ((3, 3), TargetKind.CLASSES, "bfloat16"),
        ((2, 9), TargetKind.DENSE_CLASSES, "bfloat16"),
        ((2,), TargetKind.CLASSES, "bfloat16"),
    ],
)
def test_images_on_which_a_stride_would_meet_a_single_position_are_not_trained_on_in_bfloat16(
    shape, kind, training, monkeypatch
):
    monkeypatch.setattr("dashnas.presets.computes_bfloat16", lambda device: True)
    spec = DataSpec(channels=1, spatial_shape=shape, target_kind=kind, outputs=2)
    assert resolve(Options(), spec, 100).retrain.precision == training
    schedule = Schedule(search_epochs=1, tune_trials=1, tune_epochs=1, retrain_epochs=1, precision="bfloat16")
    for asked in (Options(precision=Precision.BFLOAT16), Options(schedule=schedule)):
        if training == "bfloat16":
            resolve(asked, spec, 100)
            continue
        told = f"bfloat16 needs images of at least 3 positions along each axis, and these have {shape[0]} x {shape[1]};"
        with pytest.raises(ConfigError, match=told):
            resolve(asked, spec, 100)
        resolve(replace(asked, device="cuda"), spec, 100)


def test_the_stock_network_is_trained_in_float32(monkeypatch):
    monkeypatch.setattr("dashnas.presets.computes_bfloat16", lambda device: True)
    x = np.random.default_rng(0).normal(size=(40, 1, 20)).astype(np.float32)
    data = prepare((x, np.arange(40) % 2), DataConfig(), seed=0)
    metric = get_metric(None, TargetKind.CLASSES)
    task = MethodTask(name="", data=replace(data, test=None), metric=metric, options=Options())
    assert stock_options(task).precision is Precision.FLOAT32


def short(backbone=None):
    """An epoch of each phase."""
    space = {"kernel_sizes": (3, 5), "dilations": (1, 2), "width": 4, "backbone": backbone}
    return Options(epochs=1, tune_trials=1, batch_size=16, precision="bfloat16", plan="model", **space)


@pytest.mark.parametrize(
    ("backbone", "shape"), [("resnet1d", (1, 20)), ("tcn", (1, 20)), ("wrn", (1, 8, 8)), ("convnext", (1, 32, 32))]
)
def test_every_backbone_is_searched_and_trained_in_bfloat16(backbone, shape):
    x = np.random.default_rng(0).normal(size=(40, *shape)).astype(np.float32)
    result = fit((x, np.arange(40) % 2), short(backbone))
    assert {p.dtype for p in result.model.network.parameters()} == {torch.float32}
    assert np.isfinite(result.summary["scores"]["test"]["value"])


def test_series_of_unequal_length_are_trained_in_bfloat16():
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(2, 10 + i % 7)).astype(np.float32) for i in range(40)]
    assert np.isfinite(fit((x, np.arange(40) % 2), short()).summary["scores"]["test"]["value"])


def test_dense_targets_are_trained_in_bfloat16():
    x = np.random.default_rng(0).normal(size=(40, 1, 8, 8)).astype(np.float32)
    assert np.isfinite(fit((x, x[:, 0] + 1), short()).summary["scores"]["test"]["value"])
