"""Whatever a caller has set in PyTorch, a run is the same, and what was set stays."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from dashnas import DataConfig, TargetKind, TrainedModel, fit
from dashnas.torch_settings import usual_settings
from tiny import arrays, options


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
}


@pytest.fixture(params=SETTINGS)
def setting(request):
    return SETTINGS[request.param]


def _state() -> tuple[object, ...]:
    modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    return *modes, torch.get_default_dtype(), torch.get_default_device()


def test_within_them_tensors_are_as_where_nothing_was_set(setting):
    usual = _state()
    with setting():
        before = _state()
        assert before != usual
        with usual_settings():
            assert _state() == usual
        assert _state() == before
        with pytest.raises(ZeroDivisionError), usual_settings():
            raise ZeroDivisionError
        assert _state() == before


@pytest.mark.parametrize(("kind", "dims"), [(TargetKind.CLASSES, 1), (TargetKind.DENSE_REGRESSION, 2)])
def test_a_run_is_the_same(setting, kind, dims, tmp_path):
    chosen = options(search_epochs=1, tune_epochs=1, tune_trials=1, data=DataConfig(target=kind))
    data = arrays(kind, dims)
    expected = fit(data, chosen)
    with setting():
        result = fit(data, chosen, out=tmp_path / "run")
        answers = TrainedModel.load(tmp_path / "run").predict(data["x"])
    assert result.summary["scores"] == expected.summary["scores"]
    for name, values in expected.model.predict(data["x"]).items():
        np.testing.assert_array_equal(answers[name], values)
