"""How a budget becomes epochs, and how a time is written."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from dashnas.budget import (
    FEWEST_EPOCHS,
    MANY_TRIALS,
    MAX_EPOCHS,
    PLENTY_OF_EPOCHS,
    RESERVE,
    SEARCH_SHARE,
    EpochCosts,
    backbone_epochs,
    full_trials,
    parse_seconds,
    plan,
    time_steps,
    with_cheapest_search,
)
from dashnas.config import RetrainConfig, Schedule, TuneConfig, Tuner
from dashnas.errors import ConfigError
from dashnas.losses import make_loss
from dashnas.recipe import Recipe
from dashnas.retrain import retrain_phase
from tiny import prepared

TIMES = [
    ("90", 90),
    ("45s", 45),
    ("10m", 600),
    ("1.5h", 5400),
    ("1h30m", 5400),
    ("1d", 86_400),
    ("2d3h4m5s", 183_845),
    (" 10M ", 600),
    ("0.5s", 0.5),
    ("1e3", 1000),
]


@pytest.mark.parametrize(("text", "seconds"), TIMES)
def test_a_time_is_numbers_with_units_or_just_seconds(text, seconds):
    assert parse_seconds(text) == seconds


REFUSED = [
    *((text, "must be a positive time") for text in ("", "0", "0m", "-5", "-1m", "nan", "inf", "infd")),
    *((text, "cannot read") for text in ("ten", "m", "5x", "1h30", "10m5", "5 minutes", "1ms", "h1", "1,5h")),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_anything_else_is_refused_and_the_form_is_shown(text, message):
    with pytest.raises(ConfigError, match=f"{message}.*write it as 90s, 10m or 1h30m"):
        parse_seconds(text)


TUNE, RACE = TuneConfig(), TuneConfig(race=True)
SECONDS = st.floats(1e-3, 1e3)
COSTS = st.builds(
    EpochCosts,
    search=st.just(0.0) | SECONDS,
    derived=SECONDS,
    backbone=SECONDS,
    retrain_share=st.floats(1.01, 2.0),
    beside=st.just(0.0) | SECONDS,
)
BUDGETS = st.floats(-100, 1e6)


def cost(schedule: Schedule, costs: EpochCosts, tune: TuneConfig = TUNE) -> float:
    """By the plan's own reckoning."""
    if tune.race and costs.search and not schedule.search_epochs:  # the untouched backbone alone
        return ((schedule.backbone_epochs or 0) + schedule.retrain_epochs * costs.retrain_share) * costs.backbone
    tuning = full_trials(schedule.tune_trials, tune) * costs.derived
    # In a race the untouched backbone gets the time of a trial.
    tuning += max(costs.derived, costs.backbone) if tune.race else costs.backbone
    tuning += costs.derived if tune.race and schedule.tune_trials >= MANY_TRIALS else 0
    final = costs.retrain_share * (costs.derived + costs.beside)
    return schedule.search_epochs * costs.search + schedule.tune_epochs * tuning + schedule.retrain_epochs * final


@example(
    budget=0.0,
    costs=EpochCosts(search=0.0, derived=1.0, backbone=1.0, retrain_share=2.0),
    trials=2,
    enough=1,
    tune=TUNE,
)
@given(BUDGETS, COSTS, st.integers(1, 8), st.integers(1, 60), st.sampled_from([TUNE, RACE]))
def test_a_plan_fits_the_budget_or_is_the_shortest_there_is(budget, costs, trials, enough, tune):
    schedule = plan(budget, costs, trials=trials, enough_epochs=enough, tune=tune)
    shortest = schedule.tune_trials == schedule.retrain_epochs == 1
    assert shortest or cost(schedule, costs, tune) <= budget * (1 - RESERVE) * (1 + 1e-9)


def test_where_nothing_is_derived_the_untouched_backbone_has_all_of_the_time_and_a_quarter_is_a_trial():
    costs = EpochCosts(search=0.0, derived=0.0, backbone=1.0, retrain_share=1.0)
    schedule = plan(100 / (1 - RESERVE), costs, trials=8, enough_epochs=10, tune=RACE)
    assert schedule == Schedule(search_epochs=0, tune_trials=1, tune_epochs=25, retrain_epochs=75, backbone_epochs=25)


@given(st.floats(1, 1e6), COSTS, st.integers(1, 8), st.integers(1, 60))
def test_after_the_untouched_backbone_has_raced_its_time_is_for_the_others(budget, costs, trials, enough):
    costs = replace(costs, search=0.0)
    asked = {"trials": trials, "enough_epochs": enough, "tune": RACE}
    raced, not_raced = (plan(budget, costs, **asked, untouched_raced=raced) for raced in (True, False))
    own = raced.tune_epochs * max(costs.derived, costs.backbone)
    spent = cost(raced, costs, RACE) - own
    assert raced.retrain_epochs == 1 or spent <= budget * (1 - RESERVE) * (1 + 1e-9)
    assert (raced.tune_trials, raced.tune_epochs) >= (not_raced.tune_trials, not_raced.tune_epochs)


@given(st.floats(1, 1e6), COSTS, st.integers(1, 8), st.integers(1, 60))
def test_before_a_race_the_search_has_no_more_than_its_share_and_the_training_enough(budget, costs, trials, enough):
    schedule = plan(budget, costs, trials=trials, enough_epochs=enough, tune=RACE)
    assert schedule.search_epochs * costs.search <= SEARCH_SHARE * budget * (1 - RESERVE) * (1 + 1e-9)
    assert schedule.search_epochs <= math.ceil(schedule.retrain_epochs / 2)
    if schedule.search_epochs:
        assert schedule.retrain_epochs >= FEWEST_EPOCHS
        # With plenty of epochs for the training, the race is as long; else half as long.
        is_whole = schedule.tune_epochs == schedule.retrain_epochs >= PLENTY_OF_EPOCHS
        assert is_whole or schedule.tune_epochs == math.ceil(schedule.retrain_epochs / 2)


@pytest.mark.parametrize(("budget", "searched", "trained"), [(40, 0, 27), (100, 3, 18), (200, 6, 38)])
def test_a_budget_too_short_for_a_race_is_the_untouched_backbone_s_alone(budget, searched, trained):
    costs = EpochCosts(search=4.0, derived=2.0, backbone=1.0, retrain_share=1.0)
    schedule = plan(budget, costs, trials=1, enough_epochs=10, tune=RACE)
    assert (schedule.search_epochs, schedule.retrain_epochs) == (searched, trained)


@pytest.mark.parametrize(("budget", "raced", "trained"), [(88, 22, 44), (90, 30, 30), (300, 100, 100)])
def test_a_race_is_as_long_as_the_training_where_that_leaves_plenty_of_epochs_else_half_as_long(budget, raced, trained):
    costs = EpochCosts(search=0.0, derived=1.0, backbone=1.0, retrain_share=1.0)
    schedule = plan(budget / (1 - RESERVE) * (1 + 1e-9), costs, trials=1, enough_epochs=10, tune=RACE)
    assert (schedule.tune_epochs, schedule.retrain_epochs) == (raced, trained)


@pytest.mark.parametrize(
    ("seconds", "trial", "trained"), [(1, None, 1), (2, None, 2), (3, 1, 2), (7, 1, 6), (40, 10, 30), (1000, 100, 300)]
)
def test_the_first_quarter_of_a_training_without_a_race_is_a_trial(seconds, trial, trained):
    """It gives a validation score, and features to look for positions in; of one or two epochs there is none."""
    costs = EpochCosts(search=1e4, derived=1.0, backbone=1.0, retrain_share=1.0)
    schedule = plan((seconds + 1e-9) / (1 - RESERVE), costs, trials=1, enough_epochs=10, tune=RACE)
    assert (schedule.backbone_epochs, schedule.retrain_epochs) == (trial, trained)


@given(SECONDS, st.floats(1, 1e5), st.floats(0.05, 1.0))
def test_where_the_cheapest_search_does_not_fit_none_does(backbone, budget, subsample):
    def searches(costs):
        return plan(budget, costs, trials=1, enough_epochs=10, tune=RACE).search_epochs > 0

    costs = EpochCosts(search=0.0, derived=0.0, backbone=backbone, retrain_share=1.2)
    by_sam = with_cheapest_search(replace(costs, backbone=2 * backbone), subsample, sharpness_aware=True)
    assert by_sam.search == with_cheapest_search(costs, subsample).search
    for search, derived in ((2.0, 0.5), (3.0, 1.0), (2.0, 2.0), (20.0, 4.0)):
        dearer = replace(costs, search=search * subsample * backbone, derived=derived * backbone)
        assert searches(with_cheapest_search(costs, subsample)) or not searches(dearer)


@pytest.mark.parametrize(("derived", "epochs"), [(3.0, 30), (1.0, 10), (0.5, 10), (100.0, MAX_EPOCHS // 2)])
def test_the_untouched_backbone_races_as_long_as_its_rival(derived, epochs):
    """With no fewer epochs, and no more than half of the most there are in a final training."""
    costs = EpochCosts(search=0.0, derived=derived, backbone=1.0, retrain_share=1.0)
    assert backbone_epochs(10, costs) == epochs
    schedule = plan(1000.0, costs, trials=1, enough_epochs=10, tune=RACE)
    assert schedule.epochs_of("backbone") == backbone_epochs(schedule.tune_epochs, costs)
    assert plan(1000.0, costs, trials=1, enough_epochs=10, tune=TUNE).backbone_epochs is None


@pytest.mark.parametrize(("backbone", "epochs"), [(1.0, 10), (2.0, 5), (100.0, 1)])
def test_a_wider_untouched_backbone_races_as_long_with_fewer_epochs(backbone, epochs):
    costs = EpochCosts(search=0.0, derived=1.0, backbone=backbone, retrain_share=1.0, wider_backbone=True)
    assert backbone_epochs(10, costs) == epochs


def test_a_wider_untouched_backbone_takes_no_time_off_the_others():
    costs = EpochCosts(search=1.0, derived=1.0, backbone=1.0, retrain_share=1.0)
    alike = plan(200.0, costs, trials=1, enough_epochs=10, tune=RACE)
    wider = plan(200.0, replace(costs, backbone=4.0, wider_backbone=True), trials=1, enough_epochs=10, tune=RACE)
    assert wider == replace(alike, backbone_epochs=wider.tune_epochs // 4)


@given(BUDGETS, COSTS, st.integers(1, 8), st.integers(1, 60))
def test_every_phase_has_an_epoch_and_none_too_many(budget, costs, trials, enough):
    schedule = plan(budget, costs, trials=trials, enough_epochs=enough, tune=TUNE)
    assert 1 <= schedule.retrain_epochs <= MAX_EPOCHS
    assert 1 <= schedule.tune_trials <= trials
    assert schedule.tune_epochs == math.ceil(schedule.retrain_epochs / 2)
    assert schedule.search_epochs == (schedule.tune_epochs if costs.search else 0)


@given(BUDGETS, COSTS, st.integers(1, 8), st.integers(1, 60))
def test_no_epoch_more_would_fit(budget, costs, trials, enough):
    schedule = plan(budget, costs, trials=trials, enough_epochs=enough, tune=TUNE)
    epochs = schedule.retrain_epochs + 1
    half = math.ceil(epochs / 2)
    longer = replace(schedule, retrain_epochs=epochs, tune_epochs=half, search_epochs=half if costs.search else 0)
    assert epochs > MAX_EPOCHS or cost(longer, costs) > budget * (1 - RESERVE) * (1 - 1e-9)


@given(BUDGETS, st.floats(1.0, 10.0), COSTS, st.integers(1, 8), st.integers(1, 60))
@settings(max_examples=200)
def test_a_larger_budget_never_gives_fewer_trials_nor_with_as_many_fewer_epochs(budget, factor, costs, trials, enough):
    smaller, larger = (
        plan(b, costs, trials=trials, enough_epochs=enough, tune=TUNE) for b in (budget, abs(budget) * factor)
    )
    assert larger.tune_trials >= smaller.tune_trials
    if larger.tune_trials == smaller.tune_trials:
        assert larger.retrain_epochs >= smaller.retrain_epochs


def test_a_short_budget_gives_up_trials_before_epochs():
    costs = EpochCosts(search=1.0, derived=1.0, backbone=1.0, retrain_share=1.25, beside=1.0)

    def trials(budget):
        return plan(budget, costs, trials=8, enough_epochs=10, tune=TUNE).tune_trials

    assert [trials(b) for b in (1000, 60, 30, 1)] == [8, 4, 1, 1]


def test_halving_makes_a_trial_after_the_first_cost_less():
    assert full_trials(1, TUNE) == 1
    assert full_trials(8, TUNE) == pytest.approx(3.8)


def test_a_grid_costs_what_all_its_trials_do_and_is_never_cut_short():
    grid = TuneConfig(tuner=Tuner.GRID, subsample=0.1)
    assert full_trials(24, grid) == pytest.approx(2.4)
    costs = EpochCosts(search=1.0, derived=1.0, backbone=1.0, retrain_share=1.25)
    schedule = plan(100, costs, trials=24, enough_epochs=100, tune=grid)
    assert schedule.tune_trials == 24
    # 88 usable seconds; half as many epochs of search and tuning, 1 + 2.4 + 0.1 each, beside 1.25 each
    assert schedule.retrain_epochs == 28


def phase():
    data = prepared()
    network = nn.Sequential(nn.Flatten(), nn.Linear(32, 50), nn.Dropout(0.5), nn.ReLU(), nn.Linear(50, 3))
    loss = make_loss(data.spec, data.normaliser, metric_name="error")
    return retrain_phase("probe", network, data.train, loss, Recipe(), RetrainConfig(), epochs=1, batch_size=16, seed=0)


@pytest.mark.parametrize(("seconds", "median"), [([9.0, 4.0], 4.0), ([1.0, 1.0, 2.0], 1.5)])
def test_slow_steps_are_timed_less_often(seconds, median, monkeypatch):
    clock = iter(np.cumsum([value for step in seconds for value in (0, step)]))
    monkeypatch.setattr("dashnas.budget.time.perf_counter", lambda: next(clock))
    assert time_steps(phase(), torch.device("cpu")) == median


def test_timed_steps_tell_seconds_and_leave_the_generators_alone(monkeypatch):
    clock = iter(np.cumsum([0, 0.9, 0, 0.125, 0, 0.5, 0, 0.25]))  # the warm-up, and three steps
    monkeypatch.setattr("dashnas.budget.time.perf_counter", lambda: next(clock))
    made, state = phase(), torch.get_rng_state()
    assert time_steps(made, torch.device("cpu")) == 0.25
    assert torch.equal(torch.get_rng_state(), state)
