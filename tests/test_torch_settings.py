"""Whatever a caller has set in PyTorch, a run is the same, and what was set stays."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from dashnas import DataConfig, TargetKind, TrainedModel, fit
from dashnas.torch_settings import usual_settings
from tiny import CLASSES, arrays, options


@contextmanager
def _float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


SETTINGS = {
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "float64": _float64,
    "another device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "a disabled autocast": lambda: torch.autocast("cuda", enabled=False),
}


@pytest.fixture(params=SETTINGS)
def setting(request):
    return SETTINGS[request.param]


def _state() -> tuple[object, ...]:
    modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")
    return *modes, torch.get_default_dtype(), torch.get_default_device()


def test_within_them_tensors_are_as_where_nothing_was_set(setting):
    usual = _state()
    with setting():
        before = _state()
        with usual_settings():
            assert _state() == usual
        assert _state() == before
        with pytest.raises(ZeroDivisionError), usual_settings():
            raise ZeroDivisionError
        assert _state() == before


def test_within_them_a_step_sees_the_weights_of_the_last_one(setting):
    layer, x = torch.nn.Linear(1, 1, bias=False), torch.ones(1, 1)
    with setting(), usual_settings():
        for weight in (1.0, 2.0):
            with torch.no_grad():
                layer.weight.fill_(weight)
            with torch.autocast("cpu", torch.bfloat16):
                assert layer(x).item() == weight


class _Made(Dataset):
    """Samples of classes, of which each is made when it is asked for."""

    def __init__(self) -> None:
        self.arrays = arrays(TargetKind.CLASSES)

    def __len__(self) -> int:
        return len(self.arrays["x"])

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.tensor(self.arrays["x"][index].tolist()), CLASSES.index(self.arrays["y"][index])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("data", "kind"),
    [(_Made(), TargetKind.CLASSES), (arrays(TargetKind.DENSE_REGRESSION, 2), TargetKind.DENSE_REGRESSION)],
    ids=["Dataset", "arrays"],
)
def test_a_run_is_the_same(setting, data, kind, precision, tmp_path):
    chosen = options(search_epochs=1, tune_epochs=1, tune_trials=1, precision=precision, data=DataConfig(target=kind))
    expected = fit(data, chosen)
    with setting():
        result = fit(data, chosen, out=tmp_path / "run")
        model = TrainedModel.load(tmp_path / "run")
    assert result.summary["scores"] == expected.summary["scores"]
    x = arrays(kind, len(model.spec.spatial_shape))["x"]
    for name, values in expected.model.predict(x).items():
        np.testing.assert_array_equal(model.predict(x)[name], values)
