"""Several seeds: their spread, and a paired test that does not claim more than they can show."""

import math

import numpy as np
import pytest
from scipy.stats import permutation_test, rankdata
from some_cells import cell, cells

from dashnas.analysis import paired_comparisons, published, seed_spread
from dashnas.analysis.signed_rank import log_ratios, signed_rank_p, smallest_p
from dashnas.errors import ConfigError


class TestSpread:
    def test_mean_and_sample_deviation(self):
        (spread,) = seed_spread(cells({"dash": {"crop": [0.1, 0.2, 0.6]}}))
        assert (spread.seeds, spread.mean, spread.low, spread.high) == (3, pytest.approx(0.3), 0.1, 0.6)
        assert spread.std == pytest.approx(np.std([0.1, 0.2, 0.6], ddof=1))

    def test_one_seed_has_no_deviation(self):
        assert seed_spread([cell()])[0].std is None

    def test_a_diverged_seed_leaves_no_deviation(self):
        (spread,) = seed_spread(cells({"dash": {"crop": [0.1, math.inf]}}))
        assert (spread.mean, spread.std, spread.low) == (math.inf, None, 0.1)

    def test_published_means_keep_their_deviation_as_fractions(self):
        (spread,) = [s for s in seed_spread(published("dash-table2")) if (s.method, s.task) == ("DASH", "cifar100")]
        assert (spread.seeds, spread.mean, spread.std) == (None, pytest.approx(0.2437), pytest.approx(0.0081))


class TestPaired:
    def test_seeds_of_a_task_are_its_pairs(self):
        runs = cells({"dash": {"crop": [0.1, 0.2, 0.3]}, "wrn": {"crop": [0.2, 0.5, 0.4]}})
        on_crop, over_tasks = paired_comparisons(runs, "dash", "wrn")
        assert (on_crop.task, on_crop.pairs, on_crop.better) == ("crop", 3, 3)
        assert on_crop.ratio == pytest.approx(0.5)
        assert on_crop.p == on_crop.smallest_p == 0.25
        assert (over_tasks.task, over_tasks.pairs) == (None, 1)

    def test_only_seeds_that_both_have_are_pairs(self):
        runs = [*cells({"dash": {"crop": [0.1, 0.2, 0.3]}}), cell(method="wrn", seed=1), cell(method="wrn", seed=7)]
        assert paired_comparisons(runs, "dash", "wrn")[0].pairs == 1

    def test_over_tasks_each_task_is_one_pair_however_many_seeds_it_has(self):
        tasks = {f"t{i}": [0.1, 0.2] for i in range(6)}
        doubled = {task: [2 * e for e in errors] for task, errors in tasks.items()}
        *by_task, together = paired_comparisons(cells({"dash": tasks, "wrn": doubled}), "dash", "wrn")
        assert len(by_task) == together.pairs == 6
        assert together.p == pytest.approx(2 / 2**6)
        assert together.ratio == pytest.approx(0.5)

    def test_an_even_number_of_pairs_has_the_geometric_mean_of_the_middle_two(self):
        runs = cells({"dash": {"crop": [0.1, 0.4]}, "wrn": {"crop": [0.1, 0.1]}})
        assert paired_comparisons(runs, "dash", "wrn")[0].ratio == pytest.approx(2)

    def test_a_diverged_run_loses_and_two_are_even(self):
        runs = cells({"dash": {"crop": [0.1, math.inf, 0.1]}, "wrn": {"crop": [math.inf, math.inf, 0.2]}})
        on_crop, _ = paired_comparisons(runs, "dash", "wrn")
        assert (on_crop.better, on_crop.ratio) == (2, pytest.approx(0.5))

    def test_methods_that_diverged_with_different_seeds_are_even_on_that_task(self):
        runs = cells({"dash": {"crop": [0.1, math.inf]}, "wrn": {"crop": [math.inf, 0.1]}})
        assert paired_comparisons(runs, "dash", "wrn")[-1].ratio == 1

    def test_an_unknown_method_is_refused(self):
        with pytest.raises(ConfigError, match="unknown method 'wnr'; did you mean 'wrn'"):
            paired_comparisons([cell(), cell(method="wrn")], "dash", "wnr")

    def test_no_seed_in_common_is_refused(self):
        with pytest.raises(ConfigError, match="'dash' and 'wrn' have no task and seed in common"):
            paired_comparisons([cell(seed=0), cell(method="wrn", seed=1)], "dash", "wrn")

    def test_an_error_of_zero_is_refused(self):
        with pytest.raises(ConfigError, match="an error on 'crop' is 0"):
            paired_comparisons([cell(value=0.0), cell(method="wrn")], "dash", "wrn")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("pairs", [3, 6, 9])
def test_the_p_of_the_signed_rank_test_is_that_of_all_changes_of_sign(seed, pairs):
    differences = np.random.default_rng(seed).normal(0.5, 1, pairs)

    def rank_sum(sample, axis):
        return (np.sign(sample) * rankdata(np.abs(sample), axis=axis)).sum(axis=axis)

    expected = permutation_test((differences,), rank_sum, permutation_type="samples", vectorized=True).pvalue
    assert signed_rank_p(differences) == pytest.approx(expected)


def test_differences_of_zero_count_for_nothing():
    assert signed_rank_p(np.array([0.0, 0.1, 0.2, 0.0, 0.4])) == signed_rank_p(np.array([0.1, 0.2, 0.4]))
    assert signed_rank_p(np.zeros(4)) == 1


def test_log_ratios_of_two_infinite_errors_are_zero():
    one, other = np.array([0.2, math.inf, math.inf]), np.array([0.1, 0.1, math.inf])
    np.testing.assert_allclose(log_ratios(one, other), [math.log(2), math.inf, 0])


@pytest.mark.parametrize(("pairs", "least"), [(1, 1.0), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_few_pairs_cannot_be_significant(pairs, least):
    assert smallest_p(pairs) == least
    assert signed_rank_p(np.arange(1.0, pairs + 1)) == least
