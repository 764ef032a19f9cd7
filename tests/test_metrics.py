import json
from functools import partial

import numpy as np
import pytest
from sklearn import metrics as sk

from dashnas.data.spec import TargetKind
from dashnas.errors import ConfigError, DataError
from dashnas.metrics import DEFAULT_METRICS, METRICS, Metric, UndefinedScoreError, confidence, get_metric, score

N, CLASSES, SPATIAL = 40, 3, (5, 4)
NOT_FINITE = [np.nan, np.inf, -np.inf]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def example(kind, rng, n=N):
    """Predictions that know something about their targets, shaped as the kind asks."""
    match kind:
        case TargetKind.CLASSES:
            targets = rng.integers(CLASSES, size=n)
            predictions = np.eye(CLASSES)[targets] + rng.normal(size=(n, CLASSES))
        case TargetKind.DENSE_CLASSES:
            targets = rng.integers(CLASSES, size=(n, *SPATIAL))
            predictions = np.moveaxis(np.eye(CLASSES)[targets], -1, 1) + rng.normal(size=(n, CLASSES, *SPATIAL))
        case TargetKind.MULTI_LABEL | TargetKind.DENSE_BINARY:
            shape = (n, CLASSES) if kind is TargetKind.MULTI_LABEL else (n, 1, *SPATIAL)
            targets = rng.integers(2, size=shape).astype(np.float32)
            predictions = targets - 0.5 + rng.normal(size=shape)
        case TargetKind.REGRESSION | TargetKind.DENSE_REGRESSION:
            shape = (n, 2) if kind is TargetKind.REGRESSION else (n, 2, *SPATIAL)
            targets = rng.normal(size=shape) + 3
            predictions = targets + rng.normal(size=shape)
    return predictions.astype(np.float32), targets


def softmax(logits):
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


FITTING = [pytest.param(m, k, id=f"{m.name}-{k}") for m in METRICS.values() for k in sorted(m.kinds)]


class TestAgainstScikitLearn:
    def test_class_metrics(self, rng):
        logits, targets = example(TargetKind.CLASSES, rng)
        decisions, probabilities = logits.argmax(axis=1), softmax(logits.astype(np.float64))
        expected = {
            "error": 1 - sk.accuracy_score(targets, decisions),
            "macro_f1": sk.f1_score(targets, decisions, average="macro"),
            "auroc": sk.roc_auc_score(targets, probabilities, multi_class="ovr", average="macro"),
            "map": sk.average_precision_score(np.eye(CLASSES)[targets], probabilities, average="macro"),
        }
        assert {name: METRICS[name].compute(logits, targets, None) for name in expected} == pytest.approx(expected)

    def test_auroc_of_two_classes_is_the_binary_one(self, rng):
        targets = rng.integers(2, size=N)
        logits = np.eye(2)[targets] + rng.normal(size=(N, 2))
        expected = sk.roc_auc_score(targets, softmax(logits)[:, 1])
        assert METRICS["auroc"].compute(logits, targets, None) == pytest.approx(expected)

    def test_multi_label_metrics(self, rng):
        logits, targets = example(TargetKind.MULTI_LABEL, rng)
        expected = {
            "error": sk.hamming_loss(targets, logits > 0),
            "macro_f1": sk.f1_score(targets, logits > 0, average="macro"),
            "auroc": sk.roc_auc_score(targets, logits, average="macro"),
            "map": sk.average_precision_score(targets, logits, average="macro"),
        }
        assert {name: METRICS[name].compute(logits, targets, None) for name in expected} == pytest.approx(expected)

    def test_dense_binary_pools_the_positions(self, rng):
        logits, targets = example(TargetKind.DENSE_BINARY, rng)
        expected = sk.roc_auc_score(targets.ravel(), logits.ravel())
        assert METRICS["auroc"].compute(logits, targets, None) == pytest.approx(expected)

    def test_dense_classes_keep_the_axis_of_classes(self, rng):
        logits, targets = example(TargetKind.DENSE_CLASSES, rng)
        expected = 1 - sk.accuracy_score(targets.ravel(), logits.argmax(axis=1).ravel())
        assert METRICS["error"].compute(logits, targets, None) == pytest.approx(expected)

    def test_regression_metrics(self, rng):
        predictions, targets = example(TargetKind.REGRESSION, rng)
        expected = {
            "mae": sk.mean_absolute_error(targets, predictions),
            "rmse": sk.mean_squared_error(targets, predictions) ** 0.5,
            "r2": sk.r2_score(targets, predictions),
        }
        assert {name: METRICS[name].compute(predictions, targets, None) for name in expected} == (
            pytest.approx(expected)
        )


class TestByHand:
    def test_error_is_a_fraction(self):
        logits = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0], [0.0, 5.0]])
        assert METRICS["error"].compute(logits, np.array([0, 1, 1, 1]), None) == 0.25

    def test_macro_f1_counts_a_class_that_is_only_predicted(self):
        logits = np.eye(3)[[0, 0, 1, 2]]  # class 2 occurs in the decisions only, class F1 = 1, 2/3, 0
        assert METRICS["macro_f1"].compute(logits, np.array([0, 0, 1, 1]), None) == pytest.approx(5 / 9)

    def test_macro_f1_skips_a_class_that_occurs_nowhere(self):
        logits = np.eye(4)[[0, 0, 1]]
        assert METRICS["macro_f1"].compute(logits, np.array([0, 0, 1]), None) == 1.0

    @pytest.mark.parametrize("name", ["auroc", "map", "macro_f1"])
    def test_labels_without_positives_are_skipped(self, name):
        logits = np.array([[2.0, -1.0], [1.0, -2.0], [-3.0, -3.0]])
        targets = np.array([[1, 0], [1, 0], [0, 0]])
        assert METRICS[name].compute(logits, targets, None) == 1.0

    def test_auroc_sees_differences_that_a_softmax_rounds_away(self):
        logits = np.array([[200.0, 0.0], [100.0, 0.0]])  # both probabilities are 1.0 in float64
        assert METRICS["auroc"].compute(logits, np.array([0, 1]), None) == 1.0

    def test_relative_l2_is_the_mean_of_the_samples_ratios(self):
        targets = np.array([[[3.0, 4.0]], [[0.0, 2.0]]])  # norms 5 and 2
        predictions = targets + np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
        assert METRICS["relative_l2"].compute(predictions, targets, None) == pytest.approx((1 / 5 + 1 / 2) / 2)

    def test_relative_l2_skips_a_sample_whose_target_is_zero(self):
        targets = np.array([[[3.0, 4.0]], [[0.0, 0.0]]])
        predictions = np.array([[[4.0, 4.0]], [[0.0, 9.0]]])
        assert METRICS["relative_l2"].compute(predictions, targets, None) == pytest.approx(1 / 5)

    def test_rmse_pools_all_values(self):
        predictions = np.array([[3.0, 0.0], [0.0, 0.0]])
        assert METRICS["rmse"].compute(predictions, np.zeros((2, 2)), None) == 1.5

    def test_r2_skips_a_constant_output(self):
        targets = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
        assert METRICS["r2"].compute(targets + np.array([0.0, 1.0]), targets, None) == 1.0


class TestMask:
    @pytest.mark.parametrize(("metric", "kind"), [p for p in FITTING if p.values[1].is_dense])
    def test_masked_positions_count_nowhere(self, metric, kind, rng):
        predictions, targets = example(kind, rng)
        mask = rng.random((N, *SPATIAL)) < 0.6
        expected = metric.compute(predictions, targets, mask)
        predictions[np.broadcast_to(~mask[:, None], predictions.shape)] = np.nan
        hidden = ~mask[:, None] if targets.ndim == predictions.ndim else ~mask
        targets[np.broadcast_to(hidden, targets.shape)] = 1
        assert metric.compute(predictions, targets, mask) == expected

    @pytest.mark.parametrize(("metric", "kind"), [p for p in FITTING if p.values[1].is_dense])
    def test_masking_columns_is_the_same_as_cutting_them_off(self, metric, kind, rng):
        predictions, targets = example(kind, rng)
        mask = np.ones((N, *SPATIAL), dtype=bool)
        mask[..., 2:] = False
        cut = metric.compute(predictions[..., :2], targets[..., :2], None)
        assert metric.compute(predictions, targets, mask) == pytest.approx(cut, rel=1e-12)

    def test_a_mask_of_another_shape_is_refused(self, rng):
        predictions, targets = example(TargetKind.DENSE_BINARY, rng)
        with pytest.raises(DataError, match=r"mask must have shape \(40, 5, 4\), .* got \(40, 1, 5, 4\)"):
            METRICS["error"].compute(predictions, targets, np.ones((N, 1, *SPATIAL), dtype=bool))

    @pytest.mark.parametrize("name", ["error", "auroc"])
    def test_nothing_left_is_an_error(self, name, rng):
        predictions, targets = example(TargetKind.DENSE_BINARY, rng)
        with pytest.raises(UndefinedScoreError, match="every position is masked"):
            METRICS[name].compute(predictions, targets, np.zeros((N, *SPATIAL), dtype=bool))


class TestDivergedNetwork:
    def test_a_lost_decision_is_no_class_of_its_own(self):
        logits = np.array([[2.0, 0.0], [np.nan, 0.0], [0.0, 2.0]])
        # Class F1 is 2/3 and 1; a third class, "lost", with F1 0, would count the loss twice.
        assert METRICS["macro_f1"].compute(logits, np.array([0, 0, 1]), None) == pytest.approx(5 / 6)

    def test_one_lost_logit_loses_the_ranks_of_its_sample_for_every_class(self):
        logits = np.array([[2.0, 0.0], [np.nan, 0.0], [0.0, 2.0]])
        assert METRICS["auroc"].compute(logits, np.array([0, 0, 1]), None) == 0.5

    @pytest.mark.parametrize("bad", NOT_FINITE)
    @pytest.mark.parametrize(("metric", "kind"), FITTING)
    def test_a_lost_output_is_never_good_news(self, metric, kind, bad, rng):
        predictions, targets = example(kind, rng)
        before = metric.compute(predictions, targets, None)
        predictions[:5] = bad
        after = metric.compute(predictions, targets, None)
        assert metric.is_better(before, after)

    @pytest.mark.parametrize("bad", NOT_FINITE)
    @pytest.mark.parametrize(("metric", "kind"), FITTING)
    def test_only_lost_outputs_give_the_worst_score(self, metric, kind, bad, rng):
        predictions, targets = example(kind, rng)
        worst = {"error": 1.0, "macro_f1": 0.0, "auroc": 0.0, "r2": -np.inf}
        if metric.name == "map":  # all positives tie at the end of the ranking: the base rate, as by guessing
            worst["map"] = METRICS["map"].compute(np.zeros_like(predictions), targets, None)
        value = metric.compute(np.full_like(predictions, bad), targets, None)
        assert value == pytest.approx(worst.get(metric.name, np.inf))

    @pytest.mark.parametrize("metric", ["mae", "rmse", "relative_l2", "r2"])
    def test_numbers_whose_squares_overflow_do_not_raise(self, metric, rng):
        _, targets = example(TargetKind.REGRESSION, rng)
        value = METRICS[metric].compute(np.full(targets.shape, 1e200), targets, None)
        assert METRICS[metric].is_better(0.0, value)

    def test_its_interval_is_infinite_and_its_json_is_valid(self, rng):
        predictions, targets = example(TargetKind.REGRESSION, rng)
        result = score(METRICS["rmse"], predictions * np.nan, targets)
        assert (result.low, result.high) == (np.inf, np.inf)
        assert json.loads(json.dumps(result.to_json(), allow_nan=False))["value"] is None


class TestUndefined:
    @pytest.mark.parametrize(
        ("name", "predictions", "targets", "message"),
        [
            ("auroc", np.zeros((4, 3)), np.full(4, 2), "every one has a single outcome"),
            ("auroc", np.zeros((4, 2)), np.ones((4, 2)), "every one has a single outcome"),
            ("map", np.zeros((4, 2)), np.zeros((4, 2)), "map needs a label that is on somewhere"),
            ("macro_f1", np.zeros((4, 2)), np.zeros((4, 2)), "all targets and decisions are 0"),
            ("relative_l2", np.ones((4, 1, 3)), np.zeros((4, 1, 3)), "targets that are not all zero"),
            ("r2", np.ones((4, 1)), np.full((4, 1), 2.0), "r2 needs targets that vary"),
            ("error", np.zeros((0, 3)), np.zeros(0, dtype=int), "there are no samples"),
        ],
    )
    def test_says_what_is_missing(self, name, predictions, targets, message):
        with pytest.raises(UndefinedScoreError, match=message):
            METRICS[name].compute(predictions, targets, None)

    def test_draws_without_a_value_are_left_out_of_the_interval(self):
        logits, targets = np.array([[1.0], [0.0], [-1.0]]), np.array([[1], [0], [0]])
        result = score(METRICS["auroc"], logits, targets)  # a draw without sample 0 has no positive
        assert (result.low, result.value, result.high) == (1.0, 1.0, 1.0)

    def test_shapes_that_do_not_fit(self):
        with pytest.raises(DataError, match=r"shape \(4, 3\) do not fit targets of shape \(5,\)"):
            METRICS["error"].compute(np.zeros((4, 3)), np.zeros(5), None)


class TestDirection:
    @pytest.mark.parametrize(("metric", "kind"), FITTING)
    def test_perfect_predictions_are_better_than_noisy_ones(self, metric, kind, rng):
        predictions, targets = example(kind, rng)
        if kind is TargetKind.CLASSES or kind is TargetKind.DENSE_CLASSES:
            perfect = np.moveaxis(np.eye(CLASSES)[targets], -1, 1)
        else:
            perfect = targets - 0.5 if not kind.is_regression else targets
        value = partial(metric.compute, targets=targets, mask=None)
        assert metric.is_better(value(perfect), value(predictions))
        assert not metric.is_better(value(predictions), value(perfect))

    def test_equal_values_are_not_better(self):
        assert not METRICS["error"].is_better(0.5, 0.5)

    def test_nan_is_worse_than_anything(self):
        assert METRICS["error"].is_better(np.inf, np.nan)
        assert not METRICS["error"].is_better(np.nan, np.inf)
        assert not METRICS["auroc"].is_better(np.nan, np.nan)


class TestByName:
    @pytest.mark.parametrize("kind", TargetKind)
    def test_every_kind_has_a_default_that_fits(self, kind):
        assert get_metric(None, kind) is get_metric(DEFAULT_METRICS[kind], kind)

    def test_an_unknown_name_lists_the_known_ones(self):
        with pytest.raises(ConfigError, match=r"metric 'eror'; did you mean 'error'\? Known: auroc, error,"):
            get_metric("eror", TargetKind.CLASSES)

    def test_a_metric_for_other_targets_lists_those_that_fit(self):
        with pytest.raises(ConfigError, match="'auroc' does not fit regression targets; these do: mae, r2, rel"):
            get_metric("auroc", TargetKind.REGRESSION)


class TestInterval:
    @pytest.mark.parametrize(("metric", "kind"), FITTING)
    def test_holds_the_value_and_repeats(self, metric, kind, rng):
        predictions, targets = example(kind, rng)
        result = score(metric, predictions, targets, resamples=30)
        assert result.value == metric.compute(predictions, targets, None)
        assert result.low < result.value < result.high
        assert result.samples == N
        assert score(metric, predictions, targets, resamples=30) == result

    def test_another_seed_draws_other_samples(self, rng):
        predictions, targets = example(TargetKind.REGRESSION, rng)
        first, second = (score(METRICS["rmse"], predictions, targets, seed=seed) for seed in (0, 1))
        assert first.value == second.value
        assert first.low != second.low

    def test_is_that_of_the_binomial_distribution(self):
        wrong = np.arange(400) < 100
        result = score(METRICS["error"], np.eye(2)[wrong.astype(int)], np.zeros(400, dtype=int), resamples=2000)
        half = 1.96 * (0.25 * 0.75 / 400) ** 0.5
        assert (result.low, result.high) == pytest.approx((0.25 - half, 0.25 + half), abs=0.005)

    def test_shrinks_with_the_root_of_the_number_of_samples(self, rng):
        few = score(METRICS["mae"], *example(TargetKind.REGRESSION, rng, n=100))
        many = score(METRICS["mae"], *example(TargetKind.REGRESSION, rng, n=1600))
        assert (few.high - few.low) / (many.high - many.low) == pytest.approx(4, rel=0.25)

    def test_the_mask_travels_with_its_sample(self, rng):
        predictions, targets = example(TargetKind.DENSE_REGRESSION, rng)
        mask = rng.random((N, *SPATIAL)) < 0.5
        predictions[np.broadcast_to(~mask[:, None], predictions.shape)] = np.nan
        assert np.isfinite(score(METRICS["rmse"], predictions, targets, mask).high)

    def test_large_sets_are_drawn_less_often(self):
        draws = []
        metric = Metric("spy", False, frozenset(TargetKind), lambda p, t, m: float(draws.append(p) is None))
        for values, expected in [(10, 200), (1_000_000, 50), (5_000_000, 20)]:
            draws.clear()
            score(metric, np.zeros((1, values), dtype=np.int8), np.zeros(1))
            assert len(draws) == 1 + expected


def test_confidence_is_the_share_of_paired_draws_on_which_predictions_are_better():
    """Berg-Kirkpatrick et al. 2012, Section 3: here only one sample of ten tells the two apart, by hand 1 - 0.9^10."""
    targets = np.zeros(10, np.int64)
    right, wrong = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    ours, theirs = np.repeat(right, 10, axis=0), np.concatenate([wrong, *[right] * 9])
    metric = get_metric("error", TargetKind.CLASSES)
    drawn = 1 - 0.9**10  # else they are alike, which counts half
    expected = drawn + (1 - drawn) / 2
    assert confidence(metric, ours, theirs, targets, resamples=4000) == pytest.approx(expected, abs=0.02)
    assert confidence(metric, theirs, ours, targets, resamples=4000) == pytest.approx(1 - expected, abs=0.02)
    assert confidence(metric, ours, ours, targets) == 0.5


def test_confidence_follows_the_metric_s_direction_and_leaves_masked_positions_out():
    generator = np.random.default_rng(0)
    targets = generator.normal(size=(40, 1, 6))
    near, far = targets + 0.1 * generator.normal(size=targets.shape), targets + generator.normal(size=targets.shape)
    for name in ("rmse", "r2"):
        metric = get_metric(name, TargetKind.DENSE_REGRESSION)
        assert confidence(metric, near, far, targets) == 1.0
        assert confidence(metric, far, near, targets) == 0.0
    mask = np.zeros((40, 6), bool)
    mask[:, 0] = True
    near[:, :, 1:] += 100
    assert confidence(metric, near, far, targets, mask) == 1.0


def test_confidence_leaves_out_draws_on_which_the_metric_is_undefined():
    """One positive of twelve: where it is not drawn there is no AUROC."""
    targets = np.zeros((12, 1))
    targets[0] = 1
    metric = get_metric("auroc", TargetKind.MULTI_LABEL)
    theirs = np.arange(12.0)[:, None]
    ours = np.where(targets > 0, 20.0, theirs)
    assert confidence(metric, ours, theirs, targets) == 1.0
    assert confidence(metric, ours, theirs, np.zeros((12, 1))) == 0.5


@pytest.mark.parametrize(("samples", "sure"), [(9, 0.5), (10, 1.0)])
def test_a_few_samples_are_no_evidence(samples, sure):
    """Of 3 samples, one of two equally good predictors is better in 22 % of cases with "90 %"."""
    metric = get_metric("rmse", TargetKind.REGRESSION)
    targets = np.zeros((samples, 1))
    assert confidence(metric, targets + 0.1, targets + 1, targets) == sure
