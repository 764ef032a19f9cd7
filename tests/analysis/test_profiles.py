"""Performance profiles: the check values of the papers' tables, and what the curves mean."""

import math

import pytest
from some_cells import table

from dashnas.analysis import error_table, performance_profile, published, tasks_of_group
from dashnas.analysis.papers import PAPER_FIGURES
from dashnas.errors import ConfigError


def of_figure(name):
    """The profile of a figure of the papers, in the order of its methods."""
    figure = PAPER_FIGURES[name]
    made = error_table(published(figure.table)).select(figure.methods)
    if figure.group:
        made = made.select(tasks=tasks_of_group(figure.group, made.tasks))
    if figure.best_of:
        made = made.best_of(figure.best_of)
    return performance_profile(made)


# Computed by hand from the printed tables.
@pytest.mark.parametrize(
    ("figure", "tau", "shares"),
    [
        ("dash-fig4", 1, (0.1, 0.0, 0.2, 0.0, 0.7)),
        ("dash-fig4", 1.25, (0.2, 0.2, 0.6, 0.4, 0.9)),
        ("dash-fig4", 1.5, (0.7, 0.7, 0.7, 0.6, 1.0)),
        ("dash-fig4", 2, (0.9, 0.9, 0.8, 0.9, 1.0)),
        ("nb360-fig2", 1, (0.2, 0.0, 0.1, 0.0, 0.7)),
        ("nb360-fig2", 1.25, (0.5, 0.5, 0.6, 0.4, 0.8)),
        ("nb360-fig2", 2, (0.9, 0.9, 0.9, 0.9, 0.9)),
        ("nb360-fig2", 3, (1.0, 0.9, 1.0, 1.0, 1.0)),
        ("nb360-fig2-2d-point", 1, (0.5, 0.0, 0.25, 0.0, 0.25)),
    ],
)
def test_profiles_of_the_papers(figure, tau, shares):
    profile = of_figure(figure)
    assert tuple(profile.share(method, tau) for method in PAPER_FIGURES[figure].methods) == shares


def test_best_of_curves_of_figure_1a():
    profile = of_figure("dash-fig1a")
    # Smallest errors: automated on spherical and psicov; hand-designed on cifar100, cosmic and ecg; DASH on the others.
    assert [profile.share(curve, 1) for curve in ("best automated", "hand-designed", "DASH")] == [0.2, 0.3, 0.5]


def test_the_smallest_error_is_that_of_the_methods_in_the_profile():
    made = table({"a": {"x": 0.1}, "b": {"x": 0.2}, "c": {"x": 0.3}})
    assert performance_profile(made).ratios["c"] == pytest.approx((3,))
    assert performance_profile(made.select(["b", "c"])).ratios["c"] == pytest.approx((1.5,))


def test_a_ratio_that_is_a_factor_but_for_rounding_is_within_it():
    profile = performance_profile(table({"a": {"x": 0.7}, "b": {"x": 2.1}}))
    assert profile.ratios["b"][0] > 3
    assert profile.share("b", 3) == 1


def test_a_diverged_run_is_within_no_factor():
    profile = performance_profile(table({"a": {"x": 0.1, "y": 0.1}, "b": {"x": 0.1, "y": math.inf}}))
    assert profile.share("b", 1e9) == 0.5
    assert profile.taus() == (1.0,)


def test_a_task_on_which_all_diverged_counts_against_all():
    profile = performance_profile(table({"a": {"x": math.inf, "y": 0.1}, "b": {"x": math.inf, "y": 0.2}}))
    assert [profile.share(method, 2) for method in "ab"] == [0.5, 0.5]


def test_missing_scores_need_a_word():
    holes = table({"a": {"x": 0.1, "y": 0.2}, "b": {"x": 0.2}})
    with pytest.raises(ConfigError, match="1 of 4 scores are missing"):
        performance_profile(holes)
    assert performance_profile(holes, missing="drop").share("b", 2) == 1
    assert performance_profile(holes, missing="infinite").share("b", 2) == 0.5


def test_rows_are_the_points_of_the_curves():
    rows = performance_profile(table({"a": {"x": 0.1}, "b": {"x": 0.2}})).rows()
    assert rows == [
        {"method": "a", "tau": 1.0, "share": 1.0},
        {"method": "a", "tau": 2.0, "share": 1.0},
        {"method": "b", "tau": 1.0, "share": 0.0},
        {"method": "b", "tau": 2.0, "share": 1.0},
    ]


class TestZeros:
    made = table({"a": {"x": 0.0, "y": 0.1}, "b": {"x": 0.02, "y": 0.1}})

    def test_an_error_of_zero_is_refused(self):
        with pytest.raises(
            ConfigError, match=r"a performance profile needs positive errors.*'a' has error 0 on 'x'.*floor="
        ):
            performance_profile(self.made)

    def test_a_floor_stands_in_for_it(self):
        assert performance_profile(self.made, floor=0.01).ratios["b"] == pytest.approx((2, 1))

    def test_a_floor_must_be_positive(self):
        with pytest.raises(ConfigError, match="floor must be above 0, got 0"):
            performance_profile(self.made, floor=0)
