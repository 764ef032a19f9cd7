"""Median ranks and improvements: Table 3 of NAS-Bench-360 comes out of its Table 2, and so do its misprints."""

import math

import pytest
from some_cells import table

from dashnas.analysis import error_table, median_improvements, median_ranks, published
from dashnas.analysis.papers import PAPER_FIGURES, printed
from dashnas.analysis.ranks import rank_rows
from dashnas.errors import ConfigError

TABLE_3 = error_table(published("nb360-table2")).select(PAPER_FIGURES["nb360-ranks"].methods)


def test_median_ranks_are_those_of_table_3():
    ranks = {rank.method: rank.median for rank in median_ranks(TABLE_3)}
    assert ranks == {row["method"]: float(row["median_rank"]) for row in printed("nb360-table3")}


def test_ranks_count_the_tasks_that_a_method_was_run_on():
    tasks = {rank.method: len(rank.by_task) for rank in median_ranks(TABLE_3)}
    assert tasks == {row["method"]: int(row["tasks"]) for row in printed("nb360-table3")}


def test_improvements_over_the_wrn_are_those_of_table_3_with_its_misprints_corrected():
    better = {one.method: one.median_percent for one in median_improvements(TABLE_3, "WRN default")}
    for row in printed("nb360-table3", corrected=True):
        assert better[row["method"]] == pytest.approx(float(row["improvement_percent"]), abs=0.05)


def test_ties_get_the_average_rank():
    made = table({"a": {"x": 0.1}, "b": {"x": 0.1}, "c": {"x": 0.3}})
    assert [rank.median for rank in median_ranks(made)] == [1.5, 1.5, 3]


def test_a_diverged_run_comes_last():
    assert [rank.median for rank in median_ranks(table({"a": {"x": math.inf}, "b": {"x": 0.9}}))] == [2, 1]


def test_only_methods_run_on_a_task_are_ranked_there():
    made = table({"a": {"x": 0.3, "y": 0.3}, "b": {"x": 0.1}, "c": {"x": 0.2, "y": 0.4}})
    first = median_ranks(made)[0]
    assert (first.median, first.mean) == (2, 2)
    assert first.by_task == {"x": 3, "y": 1}


def test_improvement_is_told_for_each_task_both_were_run_on():
    made = table({"wrn": {"x": 0.4, "y": 0.2}, "a": {"x": 0.3}, "b": {"x": 0.5, "y": 0.1}})
    by_task = [one.by_task for one in median_improvements(made, "wrn")]
    assert by_task == [{"x": 0, "y": 0}, {"x": pytest.approx(25)}, {"x": pytest.approx(-25), "y": pytest.approx(50)}]


def test_a_diverged_run_is_infinitely_worse():
    (_, worse) = median_improvements(table({"wrn": {"x": 0.4}, "a": {"x": math.inf}}), "wrn")
    assert worse.median_percent == -math.inf


def test_rows_have_both():
    made = table({"wrn": {"x": 0.4}, "a": {"x": 0.2}})
    assert "median_improvement_percent" not in rank_rows(made)[1]
    assert rank_rows(made, "wrn")[1] == {
        "method": "a",
        "median_rank": 1.0,
        "mean_rank": 1.0,
        "tasks": 1,
        "median_improvement_percent": 50.0,
    }


def test_an_unknown_reference_is_refused():
    with pytest.raises(ConfigError, match="unknown reference method 'wnr'; did you mean 'wrn'"):
        median_improvements(table({"wrn": {"x": 0.4}}), "wnr")


def test_a_reference_without_error_is_refused():
    with pytest.raises(ConfigError, match="the improvement over 'wrn' needs positive errors"):
        median_improvements(table({"wrn": {"x": 0.0}, "a": {"x": 0.1}}), "wrn")


def test_a_reference_that_diverged_is_refused():
    with pytest.raises(ConfigError, match="the reference 'wrn' diverged on 'y'"):
        median_improvements(table({"wrn": {"x": 0.1, "y": math.inf}}), "wrn")


def test_no_task_in_common_is_refused():
    with pytest.raises(ConfigError, match="'a' and the reference 'wrn' were run on no task in common"):
        median_improvements(table({"wrn": {"x": 0.1}, "a": {"y": 0.1}}), "wrn")
