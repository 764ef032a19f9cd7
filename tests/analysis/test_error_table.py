"""From cells to errors of methods on tasks, and what may not stand in one table."""

import math

import numpy as np
import pytest
from some_cells import cell, table

from dashnas.analysis import error_table, published
from dashnas.errors import ConfigError

NAN, INF = math.nan, math.inf


def test_errors_are_means_over_seeds():
    made = table({"dash": {"crop": [0.2, 0.4], "darcy16": 0.5}, "wrn": {"crop": 0.6}})
    assert (made.methods, made.tasks) == (("dash", "wrn"), ("crop", "darcy16"))
    np.testing.assert_allclose(made.errors, [[0.3, 0.5], [0.6, NAN]])


def test_a_diverged_seed_makes_the_error_infinite():
    assert table({"dash": {"crop": [0.2, INF]}}).errors == INF


def test_scores_of_which_more_is_better_are_turned_into_errors():
    assert error_table([cell(value=0.9, higher_is_better=True, metric="auroc")]).errors == pytest.approx(0.1)


def test_percent_and_fractions_agree():
    made = error_table([cell(method="a", value=23.35, metric="error_pct"), cell(method="b", value=0.2335)])
    np.testing.assert_allclose(made.errors, [[0.2335], [0.2335]])
    assert made.metrics == {"crop": "error"}


def test_times_are_means_over_seeds_unless_one_is_unknown():
    timed = [cell(seed=0, seconds=10.0), cell(seed=1, seconds=20.0), cell(method="wrn", seconds=None)]
    np.testing.assert_allclose(error_table(timed).seconds, [[15], [NAN]])
    assert math.isnan(error_table([*timed, cell(seed=2, seconds=None)]).seconds[0, 0])


def test_rows_are_the_scores_that_there_are():
    made = table({"dash": {"crop": 0.3, "darcy16": 0.5}, "wrn": {"crop": 0.6}}, seconds=2.0)
    assert made.rows()[1] == {"task": "darcy16", "method": "dash", "metric": "error", "error": 0.5, "seconds": 2.0}
    assert len(made.rows()) == 3


def test_protocols_are_not_mixed_unless_asked_for():
    mixed = [cell(), cell(method="wrn", protocol="nb360-official")]
    with pytest.raises(ConfigError, match=r"different protocols: clean \(1\), nb360-official \(1\).*--mix"):
        error_table(mixed)
    assert error_table(mixed, mix=True).protocols == ("clean", "nb360-official")


def test_published_tables_are_not_mixed_with_each_other_either():
    with pytest.raises(ConfigError, match=r"published:dash-table2.*published:nb360-table2"):
        error_table([*published("dash-table2"), *published("nb360-table2")])


def test_metrics_of_a_task_are_not_mixed_unless_asked_for():
    mixed = [cell(), cell(method="wrn", metric="macro_f1", higher_is_better=True)]
    with pytest.raises(ConfigError, match=r"'crop' are of different metrics: error, macro_f1;.*--mix"):
        error_table(mixed)
    assert error_table(mixed, mix=True).metrics == {"crop": "error / macro_f1"}


def test_one_metric_with_two_directions_is_two_metrics():
    with pytest.raises(ConfigError, match=r"error \(lower is better\), error \(higher is better\)"):
        error_table([cell(), cell(method="wrn", higher_is_better=True)])


def test_in_a_mixture_a_method_of_two_protocols_becomes_two():
    mixed = [cell(), cell(protocol="dash-official"), cell(method="wrn")]
    made = error_table(mixed, mix=True)
    assert made.methods == ("dash [clean]", "dash [dash-official]", "wrn")


def test_nothing_to_compare_is_refused():
    with pytest.raises(ConfigError, match="no scores to compare; name a published table or a store"):
        error_table([])


def test_a_score_that_comes_twice_is_refused():
    with pytest.raises(ConfigError, match="'dash' has 2 scores on 'crop' with seed 0; keep one"):
        error_table([cell(), cell()])


@pytest.mark.parametrize(("value", "higher"), [(-0.1, False), (1.5, True), (NAN, False)])
def test_an_error_below_zero_or_no_number_is_refused(value, higher):
    with pytest.raises(ConfigError, match=f"expected a number of at least 0.*higher_is_better={higher}"):
        error_table([cell(value=value, higher_is_better=higher)])


class TestSelect:
    made = table({"dash": {"a": 0.1, "b": 0.2}, "wrn": {"a": 0.3, "b": 0.4}})

    def test_methods_and_tasks_in_the_order_asked_for(self):
        chosen = self.made.select(["wrn", "dash"], ["b"])
        np.testing.assert_array_equal(chosen.errors, [[0.4], [0.2]])
        assert (chosen.methods, chosen.tasks, chosen.metrics) == (("wrn", "dash"), ("b",), {"b": "error"})

    def test_an_unknown_method_is_refused_with_the_nearest_name(self):
        with pytest.raises(ConfigError, match="unknown method 'wnr'; did you mean 'wrn'"):
            self.made.select(["wnr"])

    def test_an_unknown_task_is_refused(self):
        with pytest.raises(ConfigError, match=r"unknown task 'c'. Known: a, b"):
            self.made.select(tasks=["c"])

    def test_no_name_at_all_is_refused(self):
        with pytest.raises(ConfigError, match="no method is left to compare; known: dash, wrn"):
            self.made.select([])


class TestBestOf:
    made = table({"a": {"x": 0.1, "y": 0.4}, "b": {"x": 0.2, "z": INF}, "c": {"x": 0.3, "y": 0.3}})

    def test_the_smallest_error_of_a_group_on_each_task(self):
        best = self.made.best_of({"ab": ["a", "b"], "c": ["c"]})
        assert best.methods == ("ab", "c")
        np.testing.assert_array_equal(best.errors, [[0.1, 0.4, INF], [0.3, 0.3, NAN]])

    def test_only_a_group_of_one_has_a_time(self):
        timed = table({"a": {"x": 0.1}, "b": {"x": 0.2}, "c": {"x": 0.3}}, seconds=5.0)
        np.testing.assert_array_equal(timed.best_of({"ab": ["a", "b"], "c": ["c"]}).seconds, [[NAN], [5]])

    def test_a_method_that_is_not_there_is_refused(self):
        with pytest.raises(ConfigError, match="unknown method 'd'"):
            self.made.best_of({"ad": ["a", "d"]})


class TestMissing:
    made = table({"a": {"x": 0.1, "y": 0.4}, "b": {"x": 0.2}})

    def test_holes_are_refused_unless_it_is_said_what_to_do(self):
        with pytest.raises(ConfigError, match=r"1 of 4 scores are missing, such as 'b' on 'y'.*'drop' leaves 1 of 2"):
            self.made.settle_missing(None)

    def test_drop_leaves_the_task_out_for_all(self):
        assert self.made.settle_missing("drop").tasks == ("x",)

    def test_infinite_counts_it_as_failed(self):
        np.testing.assert_array_equal(self.made.settle_missing("infinite").errors, [[0.1, 0.4], [0.2, INF]])

    def test_a_table_without_holes_needs_no_word(self):
        whole = self.made.select(tasks=["x"])
        assert whole.settle_missing(None) is whole

    def test_nothing_left_is_refused(self):
        with pytest.raises(ConfigError, match="no task was run with all of a, b; leave methods out"):
            table({"a": {"x": 0.1}, "b": {"y": 0.2}}).settle_missing("drop")
