"""Predictions and scores on the original scale, over a whole part at once."""

import numpy as np
import pytest
import torch
from torch import nn

from dashnas.data import DataConfig, Normaliser, TargetKind, prepare
from dashnas.evaluate import final_scores, hoped_for, predict, right_answers, validate, value_of
from dashnas.metrics import METRICS, Metric, UndefinedScoreError, get_metric, score
from dashnas.protocol_metrics import find_metric
from tiny import arrays, prepared

CPU = torch.device("cpu")


def alone(*batches):
    """Batches of inputs without lengths."""
    return [(x, None) for x in batches]


class Last(nn.Module):
    """Gives what it is given, in the shape of a regression; notes in which mode it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[bool] = []
        self.inference: list[bool] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.modes.append(self.training)
        self.inference.append(torch.is_inference_mode_enabled())
        return x[:, :1]


def test_regression_is_decoded_and_logits_are_left_alone():
    x = torch.randn(10, 2, 4)
    plain = Normaliser(input_mean=(0.0, 0.0), input_std=(1.0, 1.0))
    np.testing.assert_array_equal(predict(Last(), alone(x[:6], x[6:]), plain, CPU), x[:, :1].numpy())
    scaled = Normaliser(input_mean=(0.0,), input_std=(1.0,), target_mean=(1e9,), target_std=(2.0,))
    decoded = predict(Last(), alone(x[:6], x[6:]), scaled, CPU)
    np.testing.assert_allclose(decoded - 1e9, 2 * x[:, :1].double().numpy(), atol=1e-6)


def test_answers_are_float32_where_the_caller_computes_in_bfloat16():
    """Which NumPy has no numbers for."""
    plain = Normaliser(input_mean=(0.0,), input_std=(1.0,))
    with torch.autocast("cpu", torch.bfloat16):
        answers = predict(nn.Linear(4, 3), alone(torch.randn(3, 2, 4)), plain, CPU)
    assert answers.dtype == np.float32


def test_a_network_is_evaluated_in_evaluation_mode_without_gradients():
    network = Last().train()
    plain = Normaliser(input_mean=(0.0,), input_std=(1.0,))
    assert predict(network, alone(torch.randn(3, 2, 4)), plain, CPU).shape == (3, 1, 4)
    assert network.modes == [False]
    assert network.inference == [True]


class Logits(nn.Module):
    """A fixed linear network with batch normalisation, whose answers depend on the batch while training only."""

    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(32), nn.Linear(32, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.mark.parametrize("kind", [TargetKind.CLASSES, TargetKind.MULTI_LABEL, TargetKind.REGRESSION])
@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_scores_are_of_the_whole_part_and_not_means_over_batches(kind, batch_size):
    data = prepared(kind)
    part, network = data.validation, Logits(data.spec.outputs)
    metric = get_metric(None, kind)
    outputs = network.eval()(part.batch(np.arange(len(part))).x).detach()
    expected = metric.compute(data.normaliser.decode_target(outputs).numpy(), part.targets(), None)
    assert validate(network, part, metric, batch_size=batch_size, device=CPU) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", TargetKind)
def test_right_answers_have_the_best_score_there_is(kind):
    """Also where some positions are masked."""
    part = prepared(kind, 2).validation
    right = right_answers(part)
    for metric in (metric for metric in METRICS.values() if kind in metric.kinds):
        best = 1 if metric.higher_is_better else 0
        assert value_of(metric, right, part) == pytest.approx(best, abs=1e-9), metric.name
    shape = (len(part), part.spec.outputs, *(part.spec.spatial_shape if kind.is_dense else ()))
    assert right.shape == shape


@pytest.mark.parametrize("kind", [TargetKind.DENSE_BINARY, TargetKind.DENSE_CLASSES])
def test_right_answers_are_scored_where_the_mask_is(kind):
    made = arrays(kind, 2)
    mask = np.random.default_rng(0).random(made["y"].shape) > 0.3
    part = prepare({**made, "mask": mask}, DataConfig(target=kind), seed=0).validation
    assert value_of(METRICS["error"], right_answers(part), part) == 0


def test_right_answers_are_right_of_what_is_pooled():
    made = prepare(
        {**arrays(TargetKind.CLASSES), "record": np.arange(60) // 6 * 3 + np.arange(60) % 3}, DataConfig(), seed=0
    )
    metric = find_metric("1-macro_f1@record", TargetKind.CLASSES)
    assert value_of(metric, right_answers(made.validation), made.validation) == 0


@pytest.mark.parametrize("name", ["error", "macro_f1", "1-macro_f1"])
@pytest.mark.parametrize(("mistakes", "left"), [(0, 0), (2, 2), (3, 2), (5, 4), (6, 4), (12, 8)])
def test_of_classes_a_third_of_the_mistakes_may_be_hoped_to_be_avoided(mistakes, left, name):
    part = prepared().validation
    answers = 30 * right_answers(part)
    answers[len(answers) - mistakes :] *= -1
    hoped = hoped_for(find_metric(name, TargetKind.CLASSES), answers, part)
    assert value_of(METRICS["error"], hoped, part) == pytest.approx(left / len(part))
    assert (hoped != answers).any(axis=1).sum() == mistakes - left


def test_answers_that_are_not_finite_are_mistakes():
    part = prepared().validation
    answers = right_answers(part)
    answers[:6, 0] = np.nan
    hoped = hoped_for(METRICS["error"], answers, part)
    assert value_of(METRICS["error"], answers, part) == pytest.approx(6 / len(part))
    assert value_of(METRICS["error"], hoped, part) == pytest.approx(4 / len(part))


@pytest.mark.parametrize("kind", TargetKind)
def test_of_other_targets_and_of_what_goes_by_order_all_may_be(kind):
    part = prepared(kind, 2).validation
    right = right_answers(part)
    names = ["auroc", "map"] if kind is TargetKind.CLASSES else [m.name for m in METRICS.values() if kind in m.kinds]
    for name in names:
        np.testing.assert_array_equal(hoped_for(METRICS[name], np.zeros_like(right), part), right)


def test_the_final_scores_give_each_network_an_interval():
    data, metric = prepared(), get_metric("error", TargetKind.CLASSES)
    networks = {"a": Logits(), "b": Logits()}
    scores = final_scores(networks, data.test, metric, batch_size=4, device=CPU)
    part = data.test.open()
    outputs = networks["a"].eval()(part.batch(np.arange(len(part))).x).detach().numpy()
    assert scores["a"] == scores["b"] == score(metric, outputs, part.targets())


def test_further_metrics_come_with_the_final_score():
    data = prepared()
    names = ("error_pct", "1-macro_f1", "1-auroc")
    also = [find_metric(name, TargetKind.CLASSES) for name in names]
    error = get_metric("error", TargetKind.CLASSES)
    (got,) = final_scores({"a": Logits()}, data.test, error, batch_size=4, device=CPU, also=also).values()
    assert got.also["error_pct"] == pytest.approx(100 * got.value)
    assert got.to_json()["also"] == got.also
    assert set(got.also) == set(names)


def test_a_further_metric_without_a_value_is_null():
    def undefined(predictions, targets, mask):
        raise UndefinedScoreError("nothing to score")

    data, error = prepared(), get_metric("error", TargetKind.CLASSES)
    also = [Metric("none", False, error.kinds, undefined)]
    (got,) = final_scores({"a": Logits()}, data.test, error, batch_size=4, device=CPU, also=also).values()
    assert got.to_json()["also"] == {"none": None}


def test_masked_positions_are_not_scored():
    data = prepared(TargetKind.DENSE_REGRESSION)
    part, metric = data.validation, get_metric("mae", TargetKind.DENSE_REGRESSION)
    mask = part.mask()
    value = validate(Last(), part, metric, batch_size=7, device=CPU)
    normal = part.batch(np.arange(len(part))).x[:, :1]
    predicted = data.normaliser.decode_target(normal).numpy()
    assert value == pytest.approx(np.abs(predicted - part.targets())[:, 0][mask].mean())


class Small(Logits):
    """Runs out of memory on more than 3 samples."""

    def __init__(self, most: int = 3) -> None:
        super().__init__()
        self.most = most
        self.seen: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(x))
        if len(x) > self.most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return super().forward(x)


def test_where_memory_runs_out_predictions_are_made_in_halves():
    x = torch.randn(13, 2, 16)
    plain = Normaliser(input_mean=(0.0, 0.0), input_std=(1.0, 1.0))
    network = Small()
    np.testing.assert_allclose(
        predict(network, alone(x), plain, CPU), predict(Logits(), alone(x), plain, CPU), rtol=1e-5
    )
    assert network.seen == [13, 7, 4, 2, 2, 3, 6, 3, 3]


def test_where_not_even_one_sample_fits_the_error_passes():
    plain = Normaliser(input_mean=(0.0, 0.0), input_std=(1.0, 1.0))
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        predict(Small(most=0), alone(torch.randn(4, 2, 16)), plain, CPU)
