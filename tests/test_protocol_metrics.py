"""Each metric against scikit-learn on the whole set, or against an example by hand in which the protocols differ."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, roc_auc_score

from dashnas.data.spec import TargetKind
from dashnas.errors import ConfigError
from dashnas.metrics import Answers, UndefinedScoreError
from dashnas.protocol_metrics import (
    by_clip,
    by_record,
    find_metric,
)
from metric_value import value


class TestWholeSet:
    def test_classes(self):
        rng = np.random.default_rng(0)
        logits, targets = rng.normal(size=(50, 4)), rng.integers(0, 4, 50)
        decided = logits.argmax(axis=1)
        assert value("error_pct", logits, targets) == pytest.approx(100 * np.mean(decided != targets))
        assert value("1-macro_f1", logits, targets) == pytest.approx(1 - f1_score(targets, decided, average="macro"))

    def test_labels(self):
        rng = np.random.default_rng(0)
        logits, targets = rng.normal(size=(50, 5)), rng.integers(0, 2, (50, 5))
        assert value("1-auroc", logits, targets) == pytest.approx(1 - roc_auc_score(targets, logits, average="macro"))
        expected = 1 - average_precision_score(targets, logits, average="macro")
        assert value("1-map", logits, targets) == pytest.approx(expected)

    def test_maps(self):
        rng = np.random.default_rng(0)
        logits, targets = rng.normal(size=(3, 1, 8, 8)), rng.integers(0, 2, (3, 1, 8, 8))
        mask = rng.random((3, 8, 8)) > 0.4
        kept = targets[:, 0][mask], logits[:, 0][mask]
        assert value("1-auroc", logits, targets, mask) == pytest.approx(1 - roc_auc_score(*kept))
        for name, threshold in (("bal_err@p0.5", 0), ("bal_err@logit0.5", 0.5)):
            expected = 1 - balanced_accuracy_score(kept[0], kept[1] > threshold)
            assert value(name, logits, targets, mask) == pytest.approx(expected)
            assert expected == pytest.approx(
                1 - roc_auc_score(kept[0], kept[1] > threshold)
            )  # as the public code has it


class TestCosmic:
    """Logits 1.0, 0.3 and -1 on rays, 0.4 and -2 beside; one of the rays and one of the others may be ignored."""

    LOGITS = np.array([1.0, 0.3, -1.0, 0.4, -2.0]).reshape(1, 1, 1, 5)
    RAYS = np.array([1, 1, 1, 0, 0]).reshape(1, 1, 1, 5)
    KEPT = np.array([1, 1, 0, 1, 1], bool).reshape(1, 1, 5)

    def test_the_threshold_decides(self):
        assert value("bal_err@p0.5", self.LOGITS, self.RAYS) == pytest.approx((1 / 3 + 1 / 2) / 2)
        assert value("bal_err@logit0.5", self.LOGITS, self.RAYS) == pytest.approx((2 / 3 + 0) / 2)
        assert value("fnr@p0.5", self.LOGITS, self.RAYS) == pytest.approx(1 / 3)
        assert value("1-auroc", self.LOGITS, self.RAYS) == pytest.approx(1 - 4 / 6)

    def test_the_mask_decides(self):
        assert value("bal_err@p0.5", self.LOGITS, self.RAYS, self.KEPT) == pytest.approx((0 + 1 / 2) / 2)
        assert value("fnr@p0.5", self.LOGITS, self.RAYS, self.KEPT) == 0
        assert value("1-auroc", self.LOGITS, self.RAYS, self.KEPT) == pytest.approx(1 - 3 / 4)

    def test_batches_of_four_weigh_the_same(self):
        logits = np.full((5, 1, 1, 2), [1.0, -1.0])
        rays = np.full((5, 1, 1, 2), [1, 0])
        logits[4, ..., 0] = -1.0  # missed, alone in the second batch
        assert value("fnr@p0.5", logits, rays) == pytest.approx(1 / 5)
        assert value("fnr@p0.5@batch4", logits, rays) == pytest.approx((0 + 1) / 2)

    def test_a_lost_output_is_a_wrong_answer(self):
        assert value("bal_err@p0.5", np.full((1, 1, 1, 5), np.nan), self.RAYS) == 1

    def test_one_kind_of_pixels_has_no_balanced_error(self):
        with pytest.raises(UndefinedScoreError, match="balanced errors need positions of both kinds"):
            value("bal_err@p0.5", self.LOGITS, np.ones_like(self.RAYS))


class TestBatches:
    def test_a_small_last_batch_weighs_as_much_as_a_full_one(self):
        targets = np.zeros(65, int)
        logits = np.tile([1.0, 0.0], (65, 1))
        logits[64] = [0.0, 1.0]
        assert value("error_pct", logits, targets) == pytest.approx(100 / 65)
        assert value("error_pct@batch64", logits, targets) == pytest.approx((0 + 100) / 2)
        assert value("error_pct@batch128", logits, targets) == pytest.approx(100 / 65)

    def test_relative_errors_of_batches_of_eight(self):
        targets = np.ones((9, 1, 2, 2))
        predictions = targets.copy()
        predictions[8] = 2.0
        assert value("relative_l2@batch8", predictions, targets) == pytest.approx(1 / 2)

    def test_a_shuffled_order_is_always_the_same_one(self):
        rng = np.random.default_rng(0)
        logits, targets = rng.normal(size=(1100, 36)), rng.integers(0, 2, (1100, 36))
        first = value("1-auroc@batch512", logits, targets)
        assert first == value("1-auroc@batch512", logits, targets)
        batches = np.split(np.random.RandomState(0).permutation(1100), [512, 1024])
        expected = np.mean([1 - roc_auc_score(targets[b], logits[b], average="macro") for b in batches])
        assert first == pytest.approx(expected)
        assert first != pytest.approx(value("1-auroc", logits, targets))

    def test_classes_that_a_batch_lacks_do_not_count_in_it(self):
        order = np.random.RandomState(0).permutation(1026)
        targets, said = np.zeros(1026, int), np.zeros(1026, int)
        targets[order[0]] = said[order[0]] = 3  # the last batch has two windows, both of class 0, one of them wrong
        said[order[1025]] = 1
        whole = (0 + 1 + 2 * 1024 / 2049) / 3  # F1 of the classes 1, 3 and 0
        assert value("1-macro_f1", np.eye(4)[said], targets) == pytest.approx(1 - whole)
        batches = (1.0, (0 + 2 / 3) / 2)
        assert value("1-macro_f1@batch1024", np.eye(4)[said], targets) == pytest.approx(1 - np.mean(batches))


class TestRecords:
    """Three recordings: votes 1 1 0; 2 0 (level, 2 was said first); 3."""

    SAID = np.array([1, 1, 0, 2, 0, 3])
    RECORD = np.array([7, 7, 7, 3, 3, 5])
    TARGETS = np.array([1, 1, 1, 0, 0, 3])

    def test_most_windows_decide_and_the_first_of_those_that_are_level(self):
        answers = by_record(Answers(np.eye(4)[self.SAID], self.TARGETS, None), {"record": self.RECORD})
        assert answers.predictions.argmax(axis=1).tolist() == [1, 2, 3]
        assert answers.targets.tolist() == [1, 0, 3]

    def test_the_score_of_recordings_is_not_that_of_windows(self):
        logits = np.eye(4)[self.SAID]
        by_hand = 1 - f1_score([1, 0, 3], [1, 2, 3], average="macro", zero_division=0.0)
        assert value("1-macro_f1@record", logits, self.TARGETS, record=self.RECORD) == pytest.approx(by_hand)
        assert by_hand == pytest.approx(1 - 2 / 4)
        by_windows = 1 - f1_score(self.TARGETS, self.SAID, average="macro", zero_division=0.0)
        assert value("1-macro_f1", logits, self.TARGETS, record=self.RECORD) == pytest.approx(by_windows)

    def test_windows_of_a_recording_need_not_stand_together(self):
        order = np.array([3, 0, 5, 4, 1, 2])
        answers = by_record(
            Answers(np.eye(4)[self.SAID[order]], self.TARGETS[order], None), {"record": self.RECORD[order]}
        )
        assert answers.predictions.argmax(axis=1).tolist() == [2, 1, 3]
        assert answers.targets.tolist() == [0, 1, 3]

    def test_a_lost_output_is_a_wrong_answer(self):
        lost = np.full((6, 4), np.nan)
        assert value("1-macro_f1@record", lost, self.TARGETS, record=self.RECORD) == 1

    def test_data_without_recordings_are_refused(self):
        with pytest.raises(ConfigError, match="'1-macro_f1@record' needs a field 'record' beside x and y"):
            value("1-macro_f1@record", np.eye(4), np.arange(4))


class TestClips:
    def test_the_mean_is_taken_before_the_sigmoid(self):
        # One clip of logits 10 and -9, another of 0.2 and 0.2: means 0.5 and 0.2, but mean probabilities 0.5 and 0.55.
        logits = np.array([[10.0], [-9.0], [0.2], [0.2]])
        targets = np.array([[1], [1], [0], [0]])
        answers = by_clip(Answers(logits, targets, None), {"clip": np.array([4, 4, 2, 2])})
        np.testing.assert_allclose(answers.predictions, [[0.5], [0.2]])
        assert answers.targets.tolist() == [[1], [0]]
        assert value("1-map@clip", logits, targets, clip=[4, 4, 2, 2]) == 0
        assert value("1-map", logits, targets) > 0


def test_a_metric_that_does_not_fit_the_targets_names_those_that_do():
    with pytest.raises(ConfigError, match="metric 'mae8' does not fit classes targets; these do: 1-auroc, 1-macro_f1"):
        find_metric("mae8", TargetKind.CLASSES)


def test_other_names_are_those_of_any_data():
    assert find_metric("rmse", TargetKind.REGRESSION).name == "rmse"
    assert find_metric(None, TargetKind.CLASSES).name == "error"
