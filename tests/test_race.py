"""Which networks and recipes race, and what its end tells."""

from dataclasses import replace

import numpy as np
import pytest

from dashnas.evaluate import right_answers
from dashnas.race import _has_time_for_recipe, can_be_beaten
from dashnas.recipe import Recipe
from dashnas.tune import Trial
from tiny import job, options


@pytest.mark.parametrize(
    ("preset", "beside", "ensemble", "seconds", "has_time"),
    [
        # Of 88 s, the search has taken 8 and the race 2 x 20; one more recipe, and as much training on 4/3 of the data.
        ("default", False, 1, [20.0, 20.0], False),
        ("default", False, 1, [17.0, 17.0], True),
        ("default", True, 1, [17.0, 17.0], False),  # the untouched backbone is trained too
        ("default", False, 2, [17.0, 17.0], False),
        ("default", False, 1, [17.0, 17.0, 1.0], True),  # stopped early
        ("default", False, 1, [17.0, 17.0, 17.0], False),
        ("paper", False, 1, [90.0], True),  # a grid is tried as a whole
    ],
)
def test_no_recipe_is_tried_that_would_leave_less_time_than_a_trial_had(preset, beside, ensemble, seconds, has_time):
    trials = [Trial(Recipe(), 0.5, 1, "complete", one, {}, {}, "derived") for one in seconds]
    asked = options(preset=preset, ensemble=ensemble, epochs=None, tune_trials=None, budget_seconds=100)
    with job(asked) as one:
        one.beside = beside
        one.session.run.write("search.json", {"seconds": 8.0})
        assert _has_time_for_recipe(one, trials) is has_time
    with job() as one:
        assert _has_time_for_recipe(one, trials), "there is no budget"


@pytest.mark.parametrize(
    ("errors", "samples", "beaten"), [(0, 12, False), (5, 12, False), (6, 12, True), (6, 9, False)]
)
def test_six_errors_may_be_beaten_and_five_may_not(errors, samples, beaten, monkeypatch):
    """A third of them has to be evidence, for which it takes two; and of fewer than 10 samples nothing is told."""
    with job(options(race=True, tune_trials=1)) as one:
        one.data = replace(one.data, validation=one.data.validation.subset(np.arange(samples)))
        answers = right_answers(one.data.validation)
        answers[:errors] *= -1
        monkeypatch.setattr("dashnas.race.load_tuned_weights", lambda *_: None)
        monkeypatch.setattr("dashnas.race.predict_part", lambda *_: answers)
        assert can_be_beaten(one, "backbone", None, Recipe()) == beaten
