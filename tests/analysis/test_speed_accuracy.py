"""Speed against accuracy: the points of Figure 5 of the DASH paper."""

import math

import pytest
from some_cells import cell

from dashnas.analysis import error_table, published, speed_accuracy
from dashnas.analysis.speed_accuracy import speed_accuracy_rows
from dashnas.errors import ConfigError

TASKS = ("cifar100", "spherical", "darcy", "cosmic", "ninapro", "fsd50k", "ecg", "satellite", "deepsea")
# By hand from Tables 2 and 3.
FIGURE_5 = {
    "DASH": (
        (-0.223, -0.916, -2.361, -1.001, -0.405, -1.981, 0, -0.773, -1.897),
        (-0.043, -0.391, 0, 0, 0, 0, 0, 0, 0),
    ),
    "DARTS-GAEA": (
        (-1.558, -2.110, -2.565, -2.152, -0.916, -2.225, -4.679, -2.234, -3.271),
        (-0.028, 0, -1.191, -0.147, -0.985, -0.449, -0.061, -0.019, -0.251),
    ),
    "DenseNAS": (
        (-0.223, -0.223, 0, 0, 0, -0.118, -1.609, 0, -0.288),
        (-0.107, -0.414, -2.538, -0.693, -0.432, -0.065, -0.223, -0.117, -0.357),
    ),
    "WRN": (
        (0, 0, 0, -0.470, 0, 0, -1.347, -0.405, 0),
        (0, -0.576, -2.224, -0.234, -0.027, -0.427, -0.295, -0.232, -0.357),
    ),
}


@pytest.mark.parametrize("method", FIGURE_5)
def test_points_of_figure_5(method):
    points = {p.task: p for p in speed_accuracy(error_table(published("dash-table2"))) if p.method == method}
    speed, accuracy = FIGURE_5[method]
    assert [points[task].speed for task in TASKS] == pytest.approx(speed, abs=5e-4)
    assert [points[task].accuracy for task in TASKS] == pytest.approx(accuracy, abs=5e-4)


def test_methods_and_tasks_without_times_are_left_out():
    points = speed_accuracy(error_table(published("dash-table2")))
    assert {point.method for point in points} == set(FIGURE_5)
    assert {point.task for point in points} == set(TASKS)


def timed(method, task, value, seconds):
    return cell(method=method, task=task, value=value, seconds=seconds)


def test_a_missing_time_needs_a_word():
    holes = error_table(
        [timed("a", "x", 0.1, 1.0), timed("a", "y", 0.1, 1.0), timed("b", "x", 0.2, 2.0), timed("b", "y", 0.2, None)]
    )
    with pytest.raises(ConfigError, match="1 of 4 scores are missing, such as 'b' on 'y'"):
        speed_accuracy(holes)
    assert [(p.method, p.task) for p in speed_accuracy(holes, missing="drop")] == [("a", "x"), ("b", "x")]
    assert len(speed_accuracy(holes, missing="infinite")) == 3


def test_a_diverged_run_has_no_point_and_its_time_counts_for_nothing():
    (point,) = speed_accuracy(error_table([timed("a", "x", 0.1, 9.0), timed("b", "x", math.inf, 1.0)]))
    assert (point.method, point.speed, point.accuracy) == ("a", 0, 0)


def test_rows_are_the_points():
    points = speed_accuracy(error_table([timed("a", "x", 0.1, 9.0)]))
    assert speed_accuracy_rows(points) == [{"method": "a", "task": "x", "speed": 0.0, "accuracy": 0.0}]


def test_an_error_of_zero_is_refused_unless_there_is_a_floor():
    perfect = error_table([timed("a", "x", 0.0, 1.0), timed("b", "x", 0.2, 1.0)])
    with pytest.raises(ConfigError, match="speed against accuracy needs positive errors"):
        speed_accuracy(perfect)
    assert speed_accuracy(perfect, floor=0.1)[1].accuracy == pytest.approx(-math.log(2))


def test_no_times_are_refused():
    with pytest.raises(ConfigError, match="none of the scores has a time; runs of a store have them"):
        speed_accuracy(error_table(published("nb360-table2")))
