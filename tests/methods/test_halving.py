"""Successive halving, on a table of known losses."""

import math

import numpy as np
import pytest

from dashnas.methods.halving import Rung, make_rungs, successive_halving, total_epochs
from dashnas.metrics import METRICS

LOWER, HIGHER = METRICS["error"].is_better, METRICS["auroc"].is_better


@pytest.mark.parametrize(
    ("trials", "epochs", "rungs"),
    [
        # The spec's example: R = 200, eta = 4 gives 3, 12, 50, 200 with four rungs and 12, 50, 200 with three.
        (64, 200, [(64, 3), (16, 12), (4, 50), (1, 200)]),
        (28, 200, [(28, 12), (7, 50), (1, 200)]),
        (16, 200, [(16, 12), (4, 50), (1, 200)]),
        (1, 200, [(1, 200)]),
        (64, 5, [(64, 1), (16, 5)]),  # too few epochs for more rungs
        (64, 1, [(64, 1)]),
        (4096, 4096, [(4096, 16), (1024, 64), (256, 256), (64, 1024), (16, 4096)]),  # five rungs at most
    ],
)
def test_rungs_keep_one_in_four_for_four_times_as_long(trials, epochs, rungs):
    assert make_rungs(trials, epochs) == [Rung(*rung) for rung in rungs]


def test_the_epochs_of_all_trials_count_what_each_had_before():
    assert total_epochs(make_rungs(16, 16)) == 16 * 1 + 4 * 3 + 1 * 12


def replay(losses, rungs, sign):
    """What is trained, by the definition: in each rung the best of the one before, in the order of their rank."""
    trials, trained = list(range(rungs[0].trials)), []
    for rung in rungs:
        trials = trials[: rung.trials]
        trained += [(trial, rung.epochs) for trial in trials]
        order = [sign * losses[trial, rung.epochs] for trial in trials]
        ranks = np.argsort([math.inf if math.isnan(loss) else loss for loss in order], kind="stable")
        trials = [trials[rank] for rank in ranks]
    return trained, trials[0]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("is_better", "sign"), [(LOWER, 1), (HIGHER, -1)])
def test_trials_are_trained_as_a_replay_of_the_definition_has_it(seed, is_better, sign):
    rng = np.random.default_rng(seed)
    losses = rng.normal(size=(64, 201))
    losses[rng.random(losses.shape) < 0.1] = math.nan
    losses[:, ::2] = losses[:, ::2].round(1)  # some are equal
    rungs, trained = make_rungs(64, 200), []

    def train(trial, epochs):
        trained.append((trial, epochs))
        return losses[trial, epochs]

    best = successive_halving(rungs, train, is_better)
    expected, last = replay(losses, rungs, sign)
    assert trained == expected
    assert best == (None if math.isnan(losses[last, 200]) else last)


def test_a_trial_that_diverged_is_not_promoted_and_nothing_is_best_where_all_did():
    scores = {0: math.nan, 1: 0.5, 2: math.nan, 3: math.nan}
    assert successive_halving(make_rungs(4, 4), lambda trial, epochs: scores[trial], LOWER) == 1
    assert successive_halving(make_rungs(4, 4), lambda trial, epochs: math.nan, LOWER) is None
