"""What a search gains over random architectures of its space."""

import math

import pytest
from some_cells import cell, cells

from dashnas.analysis import random_gain
from dashnas.analysis.random_gain import random_gain_rows
from dashnas.errors import ConfigError

RUNS = cells({"dash": {"crop": [0.1, 0.3]}, "random": {"crop": [0.3, 0.5]}, "wrn": {"crop": 0.5, "ecg": 0.1}})


def test_a_gain_is_relative_to_the_mean_error_of_random_architectures():
    gains = {gain.method: gain for gain in random_gain(RUNS)}
    assert gains["dash"].percent == pytest.approx(50)
    assert gains["dash"].by_seed == pytest.approx((75, 25))
    assert gains["wrn"].percent == pytest.approx(-25)


def test_random_architectures_gain_nothing_over_themselves_on_average():
    (gain,) = [gain for gain in random_gain(RUNS) if gain.method == "random"]
    assert gain.percent == pytest.approx(0)
    assert gain.by_seed == pytest.approx((25, -25))


def test_tasks_without_random_architectures_are_left_out():
    assert {gain.task for gain in random_gain(RUNS)} == {"crop"}


def test_a_diverged_run_is_infinitely_worse():
    gains = random_gain([*RUNS, cell(method="bad", value=math.inf)])
    assert gains[-1].percent == -math.inf


def test_rows_are_the_gains():
    assert random_gain_rows(random_gain(RUNS))[-1] == {
        "task": "crop",
        "method": "wrn",
        "percent": pytest.approx(-25),
        "by_seed": (pytest.approx(-25),),
    }


def test_no_random_architectures_are_refused():
    with pytest.raises(ConfigError, match="unknown method of random architectures 'random'"):
        random_gain([cell()])


@pytest.mark.parametrize("error", [0.0, math.inf])
def test_random_architectures_that_nothing_can_be_compared_with_are_refused(error):
    with pytest.raises(ConfigError, match=f"the average random architecture on 'crop' has error {error}"):
        random_gain([cell(), cell(method="random", value=error)])
