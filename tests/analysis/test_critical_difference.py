"""Critical differences: which methods are told apart."""

import math

import numpy as np
import pytest
from scipy.stats import wilcoxon
from some_cells import table

from dashnas.analysis import critical_difference
from dashnas.analysis.critical_difference import _bars, _holm
from dashnas.errors import ConfigError


def shifted(shifts, tasks=10, noise=0.05):
    """Methods whose errors differ by these factors, but for noise, on so many tasks."""
    rng = np.random.default_rng(0)
    return table(
        {m: {f"t{i}": 0.2 * s * math.exp(noise * rng.normal()) for i in range(tasks)} for m, s in shifts.items()}
    )


APART = {"a": 1.0, "b": 1.01, "c": 2.0, "d": 4.0}


@pytest.mark.parametrize(("methods", "tasks", "expected"), [(4, 14, 1.25), (5, 10, 1.93), (10, 20, 3.03)])
def test_the_critical_difference_of_nemenyi(methods, tasks, expected):
    # 2.569, 2.728 and 3.164 of Demsar 2006, Table 5a, times sqrt(k (k + 1) / (6 n)).
    made = shifted({f"m{i}": 1.0 + i for i in range(methods)}, tasks)
    assert critical_difference(made, post_hoc="nemenyi").critical_difference == pytest.approx(expected, abs=0.005)


def test_nemenyi_tells_apart_where_ranks_differ_by_more_than_the_critical_difference():
    found = critical_difference(shifted(APART), post_hoc="nemenyi")
    ranks, width = found.mean_ranks, found.critical_difference
    for (one, other), p in found.p_values.items():
        assert (p < 0.05) == (ranks[other] - ranks[one] > width)
    assert found.alike == (("b", "a"), ("a", "c"), ("c", "d"))


def test_wilcoxon_tests_each_pair_on_ratios_so_that_units_do_not_matter():
    made = shifted({"a": 1.0, "b": 1.2, "c": 1.5})
    scaled = table(
        {m: {t: e * 10**i for i, (t, e) in enumerate(zip(made.tasks, row, strict=True))}
         for m, row in zip(made.methods, made.errors, strict=True)}
    )  # fmt: skip
    p = critical_difference(made).p_values
    assert critical_difference(scaled).p_values == pytest.approx(p)
    raw = wilcoxon(np.log(made.errors[0] / made.errors[2])).pvalue
    assert p["a", "c"] == pytest.approx(3 * raw)  # the smallest of three, by Holm


def test_wilcoxon_does_not_look_at_the_other_methods():
    found = critical_difference(shifted(APART))
    assert found.alike == (("b", "a"),)
    assert found.critical_difference is None


def test_methods_are_ordered_by_mean_rank():
    found = critical_difference(shifted({"d": 4.0, "a": 1.0, "c": 2.0}))
    assert list(found.mean_ranks.items()) == [("a", 1), ("c", 2), ("d", 3)]


def test_where_friedman_finds_nothing_no_pair_is_told_apart():
    # One pair always differs in the same direction, by so little that the third method lies on both sides.
    made = table({"a": {f"t{i}": 0.2 for i in range(8)}, "b": {f"t{i}": 0.21 for i in range(8)},
                  "c": {f"t{i}": 0.1 if i % 2 else 0.4 for i in range(8)}})  # fmt: skip
    found = critical_difference(made, alpha=0.05)
    assert found.p_values["a", "b"] < 0.05 < found.friedman_p
    assert found.alike == (("a", "c", "b"),)


def test_methods_that_tie_everywhere_are_alike():
    same = {f"t{i}": 0.1 for i in range(5)}
    found = critical_difference(table({"a": same, "b": same, "c": same}))
    assert (found.friedman_p, set(found.p_values.values())) == (1.0, {1.0})
    assert found.alike == (("a", "b", "c"),)


def test_a_diverged_run_is_the_worst_of_its_task():
    made = shifted({"a": 1.0, "b": 1.2, "c": 1.5})
    errors = {m: dict(zip(made.tasks, row, strict=True)) for m, row in zip(made.methods, made.errors, strict=True)}
    errors["a"]["t0"] = errors["b"]["t0"] = math.inf
    assert critical_difference(table(errors)).mean_ranks["a"] == pytest.approx(1.15, abs=0.2)


def test_holm_multiplies_the_smallest_by_all_and_never_falls():
    assert _holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert _holm([0.9, 0.8]) == [1.0, 1.0]


def test_bars_are_the_longest_runs_of_neighbours_in_which_all_pairs_are_alike():
    assert _bars(4, {(0, 1), (1, 2), (2, 3), (1, 3)}) == [(0, 2), (1, 4)]
    assert _bars(3, {(0, 2)}) == []


def test_rows_are_the_pairs():
    (first, *_) = rows = critical_difference(shifted({"a": 1.0, "b": 2.0, "c": 4.0})).rows()
    assert [(row["method"], row["other"]) for row in rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert first["told_apart"]
    assert (first["mean_rank"], first["other_mean_rank"]) == (1, 2)
    assert (first["post_hoc"], first["tasks"]) == ("wilcoxon-holm", 10)


def test_two_methods_are_refused():
    with pytest.raises(ConfigError, match=r"at least 3 methods and 2 tasks, got 2 and 10; .*paired_comparison"):
        critical_difference(shifted({"a": 1.0, "b": 2.0}))


def test_an_unknown_test_is_refused():
    with pytest.raises(ConfigError, match="post_hoc must be one of nemenyi, wilcoxon-holm; got 'tukey'"):
        critical_difference(shifted(APART), post_hoc="tukey")


@pytest.mark.parametrize("alpha", [0, 1, 5])
def test_alpha_is_a_probability(alpha):
    with pytest.raises(ConfigError, match=f"alpha must lie between 0 and 1, got {alpha}"):
        critical_difference(shifted(APART), alpha=alpha)


def test_missing_scores_need_a_word():
    holes = table({"a": {"x": 0.1, "y": 0.2, "z": 0.2}, "b": {"x": 0.2}, "c": {"x": 0.3, "y": 0.3, "z": 0.1}})
    with pytest.raises(ConfigError, match="2 of 9 scores are missing"):
        critical_difference(holes)
    assert len(critical_difference(holes, missing="infinite").tasks) == 3


def test_ratios_of_nothing_are_refused_but_ranks_are_not():
    made = table({"a": {"x": 0.0, "y": 0.2}, "b": {"x": 0.2, "y": 0.1}, "c": {"x": 0.3, "y": 0.3}})
    with pytest.raises(ConfigError, match="Wilcoxon's test on ratios of errors needs positive errors"):
        critical_difference(made)
    assert critical_difference(made, post_hoc="nemenyi").mean_ranks["c"] == 3
