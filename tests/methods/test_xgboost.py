"""Boosted trees: what they are trained on, what they answer, what they refuse."""

from dataclasses import replace

import numpy as np
import pytest

from dashnas.data import DataSpec, TargetKind
from dashnas.errors import ConfigError
from dashnas.methods import MethodTask, get_method
from dashnas.methods.extras import import_extra
from dashnas.methods.xgboost import ROUNDS, deadline, flat_inputs, flat_targets, matrix, needed_bytes
from dashnas.metrics import get_metric
from dashnas.presets import Options
from dashnas.progress import Silent
from tiny import SPATIAL, prepared


def task(kind=TargetKind.CLASSES, dims=1):
    data = prepared(kind, dims)
    return MethodTask(
        name="tiny", data=replace(data, test=None), metric=get_metric(None, kind), options=Options(threads=1)
    ), data.test  # fmt: skip


def fit(given, tmp_path, budget=30.0):
    return get_method("xgboost").fit(given, budget_seconds=budget, seed=0, folder=tmp_path, reporter=Silent())


@pytest.mark.parametrize(
    ("kind", "dims", "columns"),
    [
        (TargetKind.MULTI_LABEL, 1, 2),
        (TargetKind.REGRESSION, 1, 1),
        (TargetKind.DENSE_BINARY, 2, 36),
        (TargetKind.DENSE_CLASSES, 1, 3 * 16),
    ],
)
def test_every_value_to_predict_is_a_column(kind, dims, columns):
    part = prepared(kind, dims).train
    assert flat_inputs(part).shape == (len(part), 2 * np.prod(SPATIAL[dims]))
    assert flat_targets(part).shape == (len(part), columns)


def test_a_class_of_a_position_is_a_column_of_its_own():
    part = prepared(TargetKind.DENSE_CLASSES, 2).train
    columns = flat_targets(part).reshape(len(part), 3, *SPATIAL[2])
    np.testing.assert_array_equal(columns.argmax(axis=1), part.targets())
    assert (columns.sum(axis=1) == 1).all()


def test_its_answers_are_the_log_probabilities_of_the_classes(tmp_path):
    given, test = task()
    model = fit(given, tmp_path).model
    part = test.open()
    answers = model.predict(part)
    probability = model.booster.predict(model.library.DMatrix(flat_inputs(part)))
    np.testing.assert_allclose(np.exp(answers), probability, rtol=1e-6)
    assert len(np.unique(answers)) > 3  # no labels


@pytest.mark.parametrize("kind", [TargetKind.MULTI_LABEL, TargetKind.DENSE_BINARY])
def test_its_answers_to_yes_or_no_are_log_odds(tmp_path, kind):
    given, test = task(kind, 2)
    part = test.open()
    answers = fit(given, tmp_path).model.predict(part)
    assert answers.shape == part.targets().shape
    assert len(np.unique(answers)) > 3
    assert get_metric("error", kind).compute(answers, part.targets(), None) < 0.3


def test_its_answers_to_a_regression_are_on_the_scale_of_the_targets(tmp_path):
    given, test = task(TargetKind.REGRESSION)
    part = test.open()
    answers = fit(given, tmp_path).model.predict(part)
    assert answers.shape == part.targets().shape == (len(part), 1)
    assert abs(answers.mean() - 1000) < 5


def test_it_stops_early_on_the_validation_part_and_trains_as_many_rounds_on_all(tmp_path):
    given, _ = task()
    fitted = fit(given, tmp_path)
    assert 1 <= fitted.report["rounds"] < ROUNDS
    assert fitted.report["final_rounds"] == fitted.report["rounds"]
    assert fitted.validation is not None
    assert fitted.report["settings"]["objective"] == "multi:softprob"


def test_the_final_trees_have_seen_the_validation_part(tmp_path, monkeypatch):
    given, _ = task()
    sizes = []
    monkeypatch.setattr(
        "dashnas.methods.xgboost.matrix", lambda library, part: sizes.append(len(part)) or matrix(library, part)
    )
    fit(given, tmp_path)
    assert sizes == [len(given.data.train), len(given.data.validation), len(given.data.development)]


def test_the_training_ends_with_the_round_in_which_the_time_is_up():
    library, now = import_extra("xgboost"), iter([1.0, 2.0, 3.0, 4.0])
    data = library.DMatrix(np.random.default_rng(0).normal(size=(20, 2)), label=np.arange(20) % 2)
    ends = deadline(library, 3.0, lambda: next(now))
    booster = library.train({"objective": "binary:logistic", "nthread": 1}, data, num_boost_round=10, callbacks=[ends])
    assert booster.num_boosted_rounds() == 3


def test_masked_targets_do_not_fit():
    given, _ = task(TargetKind.DENSE_REGRESSION, 2)
    assert get_method("xgboost").misfit(given) == "it has no way to leave masked positions out"


def test_what_does_not_fit_the_memory_is_told_with_the_bytes(monkeypatch):
    given, _ = task()
    monkeypatch.setattr("dashnas.methods.xgboost.free_bytes", lambda device: 10_000_000)
    monkeypatch.setattr("dashnas.methods.xgboost.needed_bytes", lambda spec, samples: 25_000_000)
    assert get_method("xgboost").misfit(given) == (
        "flattened inputs and an output per value would take 25 MB, of 10 MB"
    )  # fmt: skip


def test_dense_targets_need_memory_for_each_position():
    """PSICOV, for which the published runs had not enough."""
    spec = DataSpec(channels=57, spatial_shape=(128, 128), target_kind=TargetKind.DENSE_REGRESSION, outputs=1)
    assert needed_bytes(spec, 3456) == 3456 * 128 * 128 * (8 * 57 + 32)


def test_without_the_package_it_says_what_to_install():
    with pytest.raises(ConfigError, match=r"needs no_such_package, .*; install the extra: pip install 'dashnas"):
        import_extra("no_such_package.module")
