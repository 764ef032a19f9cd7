"""The Fourier neural operator as a method: what it fits, its recipe, its epochs."""

from dataclasses import replace

import pytest

from dashnas.data import TargetKind
from dashnas.losses import make_loss
from dashnas.methods import MethodTask, get_method
from dashnas.methods.fno import make_phase
from dashnas.metrics import get_metric
from dashnas.presets import Options
from dashnas.progress import Silent
from dashnas.training import rate_factor
from tiny import prepared


def task(kind, dims):
    data = replace(prepared(kind, dims), test=None)
    return MethodTask(name="tiny", data=data, metric=get_metric(None, kind), options=Options(threads=1))


@pytest.mark.parametrize(
    ("kind", "dims", "reason"),
    [
        (TargetKind.DENSE_REGRESSION, 1, "it is for images and fields, and these are 1-D"),
        (TargetKind.CLASSES, 2, "it is for a target per position, and the targets are classes"),
        (TargetKind.DENSE_REGRESSION, 2, None),
    ],
)
def test_it_fits_images_with_a_target_per_position(kind, dims, reason):
    assert get_method("fno").misfit(task(kind, dims)) == reason


def test_the_learning_rate_is_halved_four_times():
    data = prepared(TargetKind.DENSE_REGRESSION, 2)
    loss = make_loss(data.spec, data.normaliser, metric_name="relative_l2")
    phase = make_phase(data.development, loss, epochs=500, seed=0)
    factors = {epoch: rate_factor(phase.schedule, epoch, 0.0, 500) for epoch in (0, 99, 100, 200, 300, 400, 499)}
    assert factors == {0: 1, 99: 1, 100: 0.5, 200: 0.25, 300: 0.125, 400: 0.0625, 499: 0.0625}
    (group,) = phase.optimiser.param_groups
    assert (group["lr"], group["weight_decay"], phase.batch_size) == (1e-3, 1e-4, 20)


def test_the_epochs_are_decided_once(tmp_path, monkeypatch):
    given = {"budget_seconds": 1.0, "seed": 0, "folder": tmp_path / "run", "reporter": Silent()}
    monkeypatch.setattr("dashnas.methods.fno.most_epochs", lambda usable, whole: 3)
    first = get_method("fno").fit(task(TargetKind.DENSE_REGRESSION, 2), **given)
    monkeypatch.setattr("dashnas.methods.fno.most_epochs", lambda usable, whole: pytest.fail("timed again"))
    again = get_method("fno").fit(task(TargetKind.DENSE_REGRESSION, 2), **given)
    assert first.epochs == again.epochs == 3
    assert first.parameters > 0
