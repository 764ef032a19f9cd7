"""The tuned backbone: its ranges, its schedule within a budget, and trials that go on where they were left."""

import math
from dataclasses import asdict, replace

import numpy as np
import pytest

from dashnas import training
from dashnas.budget import RESERVE, EpochCosts
from dashnas.calibration import settle_micro_batches
from dashnas.config import Schedule, TuneConfig
from dashnas.errors import DashnasError
from dashnas.methods.backbone_tuned import TRIALS_FILE, Trials, draw_recipe, halving_then_training
from dashnas.methods.halving import make_rungs, total_epochs
from dashnas.progress import Silent
from dashnas.training import DivergedError
from dashnas.workspace import open_job
from tiny import options, prepared

SCHEDULE = Schedule(search_epochs=0, tune_trials=4, tune_epochs=4, retrain_epochs=1)


@pytest.fixture
def job(tmp_path):
    data = replace(prepared(), test=None)
    with open_job(data, options(seed=3), tmp_path / "run", Silent(), started=0.0, networks=("backbone",)) as made:
        yield made


def test_recipes_come_from_the_ranges_of_nas_bench_360_and_follow_the_seed():
    drawn = [draw_recipe(0, trial) for trial in range(400)]
    rates, decays = (np.log10([asdict(r)[name] for r in drawn]) for name in ("learning_rate", "weight_decay"))
    assert -4 < rates.min() < -3.9
    assert -1.1 < rates.max() < -1
    assert -5 < decays.min() < -4.9
    assert -2.1 < decays.max() < -2
    assert abs(rates.mean() + 2.5) < 0.15
    assert {r.momentum for r in drawn} == {0.0, 0.3, 0.6, 0.9}
    assert {r.dropout for r in drawn} == {0.0, 0.3, 0.6}
    assert draw_recipe(0, 5) == drawn[5] != draw_recipe(1, 5)


def costs(seconds):
    return EpochCosts(search=0.0, derived=0.0, backbone=seconds, retrain_share=1.25)


@pytest.mark.parametrize(("budget", "trials"), [(1000.0, 64), (100.0, 16), (30.0, 4)])
def test_the_schedule_fills_the_budget_and_gives_up_trials_first(budget, trials):
    schedule = halving_then_training(budget, costs(1.0), trials=8, enough_epochs=18, tune=TuneConfig())
    assert schedule.tune_trials == trials
    assert schedule.tune_epochs == schedule.retrain_epochs

    def seconds(epochs):
        return total_epochs(make_rungs(trials, epochs)) + 1.25 * epochs

    if schedule.retrain_epochs < 200:
        assert seconds(schedule.retrain_epochs) <= budget * (1 - RESERVE) < seconds(schedule.retrain_epochs + 1)


def test_the_shortest_schedule_is_one_epoch():
    schedule = halving_then_training(0.1, costs(1.0), trials=8, enough_epochs=18, tune=TuneConfig())
    assert (schedule.tune_trials, schedule.retrain_epochs) == (4, 1)


def test_each_trial_is_trained_on_from_where_it_was(job, monkeypatch):
    settle_micro_batches(job)
    steps = []
    take = training.compute_gradients
    monkeypatch.setattr(training, "compute_gradients", lambda *given, **more: steps.append(1) or take(*given, **more))
    trials = Trials(job, SCHEDULE)
    best = trials.best()
    assert [(number, epochs) for number, epochs, _ in trials.scored] == [(n, 1) for n in range(4)] + [(best, 4)]
    per_epoch = training.steps_per_epoch(len(job.data.train), job.batch_size)
    assert len(steps) == (4 * 1 + 1 * 3) * per_epoch
    assert trials.score(best) == trials.scored[-1][2]


def test_the_first_recipe_is_the_given_one_and_the_others_are_drawn(job):
    trials = Trials(job, SCHEDULE)
    assert trials.recipe(0) == job.config.recipe
    assert [trials.recipe(n) for n in (1, 2)] == [draw_recipe(3, n) for n in (1, 2)]


def test_trials_that_were_scored_are_not_trained_again(job, monkeypatch):
    settle_micro_batches(job)
    first = Trials(job, SCHEDULE)
    best = first.best()
    monkeypatch.setattr("dashnas.methods.backbone_tuned.train", lambda *_: pytest.fail("trained again"))
    again = Trials(job, SCHEDULE)
    assert again.best() == best
    assert again.scored == first.scored == job.session.run.read(TRIALS_FILE, default=[])


def test_a_trial_that_diverged_is_kept_without_a_score_and_all_of_them_are_an_error(job, monkeypatch):
    settle_micro_batches(job)

    def diverge(phase, session):
        raise DivergedError("the loss became nan")

    monkeypatch.setattr("dashnas.methods.backbone_tuned.train", diverge)
    trials = Trials(job, SCHEDULE)
    with pytest.raises(DashnasError, match="the training diverged under every recipe that was tried"):
        trials.best()
    assert trials.scored[0] == [0, 1, None]


def test_what_a_paused_and_resumed_trial_reaches_is_what_it_reaches_at_once(job, tmp_path):
    settle_micro_batches(job)
    paused = Trials(job, SCHEDULE)
    scores = [paused._reach(0, epochs) for epochs in (1, 4)]
    data = replace(prepared(), test=None)
    with open_job(
        data, options(seed=3), tmp_path / "other", Silent(), started=0.0, networks=("backbone",)
    ) as other:  # fmt: skip
        settle_micro_batches(other)
        assert Trials(other, SCHEDULE)._reach(0, 4) == scores[1]
    assert all(map(math.isfinite, scores))
