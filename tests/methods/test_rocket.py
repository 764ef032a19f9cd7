"""Random convolutions of signals: what they fit, and what the classifier after them answers."""

from dataclasses import replace

import numpy as np
import pytest

from dashnas.data import DataConfig, TargetKind, prepare
from dashnas.methods import MethodTask, get_method
from dashnas.metrics import get_metric
from dashnas.presets import Options
from dashnas.progress import Silent
from tiny import prepared


def task(data):
    metric = get_metric(None, data.spec.target_kind)
    return MethodTask(name="tiny", data=replace(data, test=None), metric=metric, options=Options(threads=1))


def signals(classes=2, length=20, samples=60, lengths=None):
    rng = np.random.default_rng(0)
    y = np.arange(samples) % classes
    x = rng.normal(size=(samples, 1, length)) + np.sin(np.outer(1 + y, np.arange(length)))[:, None]
    given = {} if lengths is None else {"lengths": np.resize(lengths, samples)}
    return prepare({"x": x, "y": y, **given}, DataConfig(target=TargetKind.CLASSES), seed=0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda: prepared(dims=2), "it is for signals, and these are 2-D"),
        (lambda: prepared(TargetKind.REGRESSION), "it is for one class per sample, and the targets are regression"),
        (lambda: signals(length=11), "it is for signals of at least 12 samples, and these have 11"),
        (lambda: signals(length=12), None),
        (
            lambda: signals(length=12, lengths=[12, 5]),
            "it would take what fills up short series for data, and these are of unequal length",
        ),
    ],
)
def test_it_fits_classes_of_signals_that_are_long_enough(data, reason):
    assert get_method("rocket").misfit(task(data())) == reason


@pytest.mark.slow  # the transform is compiled first
@pytest.mark.parametrize("classes", [2, 3])
def test_it_tells_classes_apart_and_repeats_with_the_seed(tmp_path, monkeypatch, classes):
    monkeypatch.setattr("dashnas.methods.rocket.KERNELS", 200)
    data = signals(classes)
    part, given = data.test.open(), task(data)
    given_seed = {"budget_seconds": 9.0, "folder": tmp_path, "reporter": Silent()}
    first, again, other = (get_method("rocket").fit(given, seed=seed, **given_seed) for seed in (0, 0, 1))
    answers = first.model.predict(part)
    assert answers.shape == (len(part), classes)
    assert given.metric.compute(answers, part.targets(), None) < 0.2
    np.testing.assert_array_equal(again.model.predict(part), answers)
    assert not np.array_equal(other.model.predict(part), answers)
    assert first.report["kernels"] == 200
