"""Tuning: which recipes are tried, which are stopped early, which is the best, and how a study goes on."""

import json
import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import nn

from dashnas import tune as tune_module
from dashnas.config import Recipe, RetrainConfig, Schedule, TuneConfig, Tuner
from dashnas.data import TargetKind
from dashnas.errors import DashnasError
from dashnas.losses import make_loss
from dashnas.metrics import get_metric
from dashnas.runs import CheckpointClock, read_events
from dashnas.training import DivergedError, Interrupted
from dashnas.tune import Trial, Tuning, grid, trial_from_json, trial_to_json
from tiny import prepared, session


@pytest.fixture(scope="module")
def data():
    return prepared(TargetKind.CLASSES)


class Network(nn.Module):
    """A linear network with the dropout of its recipe."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(recipe.dropout), nn.Linear(32, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def network(recipe: Recipe) -> nn.Module:
    torch.manual_seed(3)
    return Network(recipe)


def study(
    data,
    tuner=Tuner.HALVING,
    *,
    trials=8,
    epochs=18,
    metric="error",
    seed=0,
    recipe=None,
    race=("derived",),
    small_grid=False,
):
    return Tuning(
        lambda name, recipe: network(recipe),
        race,
        data.train,
        data.validation,
        make_loss(data.spec, data.normaliser, metric_name=metric),
        get_metric(metric, data.spec.target_kind),
        TuneConfig(tuner=tuner, small_grid=small_grid),
        RetrainConfig(),
        schedule=Schedule(search_epochs=1, tune_trials=trials, tune_epochs=epochs, retrain_epochs=1),
        recipe=recipe or Recipe(),
        batch_size=16,
        seed=seed,
    )


class Told:
    """Trials that are told their scores instead of being trained, by the number of the trial and the epochs."""

    def __init__(self, monkeypatch, scores, diverge=()):
        self.names: list[str] = []
        numbers = iter(range(10_000))
        current = {}

        def train(phase, session):
            self.names.append(phase.name)
            current["trial"] = next(numbers)
            if current["trial"] in diverge:
                raise DivergedError("nan")
            return tune_module_train(phase, session)

        tune_module_train = self._no_training
        monkeypatch.setattr(tune_module, "train", train)
        monkeypatch.setattr(tune_module, "validate", lambda *_, **__: scores(current["trial"], current["epoch"]))
        self._current = current

    def _no_training(self, phase, session):
        from dashnas.training import Progress

        progress = Progress()
        for epoch in range(phase.epochs):
            self._current["epoch"] = epoch + 1
            extra = phase.after_epoch(epoch)
            progress.history.append(extra)
            progress.epoch += 1
            if extra.get("stop"):
                break
        return progress


def run(tuning, folder, done=()):
    saved = []
    with session(folder) as there:
        trials = tuning.run(list(done), there, lambda ts: saved.append(json.dumps([trial_to_json(t) for t in ts])))
    return trials, saved


GRID = [
    # Appendix A.5.2 in the order of the authors' code: learning rate, dropout, weight decay, momentum
    Recipe(learning_rate=lr, dropout=p, weight_decay=wd, momentum=m)
    for lr, p, wd, m in product((1e-1, 1e-2, 1e-3), (0.0, 0.05), (5e-4, 5e-6), (0.9, 0.99))
]


def test_the_paper_s_grid_has_24_recipes_in_the_order_of_the_code(data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: 1.0 - trial / 100)  # ever better, so that nothing is skipped
    trials, _ = run(study(data, Tuner.GRID, trials=24, epochs=2), tmp_path)
    assert [trial.recipe for trial in trials] == GRID
    assert len(trials) == 24
    assert all(trial.state == "complete" and trial.epochs == 2 for trial in trials)


@pytest.mark.parametrize(
    ("best", "tried"),
    [(0, 16), (7, 16), (8, 24), (15, 24)],
)
def test_the_last_learning_rate_is_skipped_where_the_second_was_no_better_than_the_first(
    best, tried, data, tmp_path, monkeypatch
):
    """Specification 2.3: whenever the rate changes, the best so far is compared with that of the change before."""
    Told(monkeypatch, lambda trial, epoch: 0.1 if trial == best else 0.5)
    assert len(run(study(data, Tuner.GRID, trials=24, epochs=1), tmp_path)[0]) == tried


def test_a_tie_with_the_first_learning_rate_is_no_improvement(data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: 0.5)
    tuning = study(data, Tuner.GRID, trials=24, epochs=1)
    trials, _ = run(tuning, tmp_path)
    assert len(trials) == 16
    assert tuning.best(trials) is trials[0]


def test_the_small_grid_has_three_learning_rates():
    recipes = grid(TuneConfig(small_grid=True))
    assert [recipe.learning_rate for recipe in recipes] == [1e-2, 1e-3, 1e-4]
    assert {(r.dropout, r.weight_decay, r.momentum) for r in recipes} == {(0.0, 5e-5, 0.99)}
    assert len(grid(TuneConfig())) == 24


def test_the_small_grid_is_tried_as_a_whole_and_nothing_beside_it(data, tmp_path, monkeypatch):
    """Specification 2.3; the preset paper has 24 trials for it too."""
    Told(monkeypatch, lambda trial, epoch: 1.0 - trial / 100)
    trials, _ = run(study(data, Tuner.GRID, trials=24, epochs=1, small_grid=True), tmp_path)
    assert [trial.recipe for trial in trials] == grid(TuneConfig(small_grid=True))


def test_the_grid_goes_on_where_two_learning_rates_diverged_throughout(data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: 0.5, diverge=range(16))
    trials, _ = run(study(data, Tuner.GRID, trials=24, epochs=1), tmp_path)
    assert [t.state for t in trials] == ["diverged"] * 16 + ["complete"] * 8


def test_the_grid_stops_nothing_early(data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: trial / 100)  # each worse than the ones before, at every rung
    trials, _ = run(study(data, Tuner.GRID, trials=24, epochs=18), tmp_path)
    assert {t.epochs for t in trials} == {18}


@pytest.mark.parametrize("metric", ["error", "macro_f1"])
def test_halving_stops_what_is_worse_than_one_in_three_at_a_rung(metric, data, tmp_path, monkeypatch):
    """Rungs at 2, 6 and 18 epochs. Scores by trial; good is low for the error and high for F1."""
    badness = [0.5, 0.6, 0.4, 0.7, 0.3]
    sign = -1 if metric == "macro_f1" else 1
    Told(monkeypatch, lambda trial, epoch: 1 + sign * badness[trial])
    trials, _ = run(study(data, trials=5, metric=metric), tmp_path)
    assert [t.state for t in trials] == ["complete", "pruned", "complete", "pruned", "complete"]
    assert [t.epochs for t in trials] == [18, 2, 18, 2, 18]
    assert [sorted(t.rungs) for t in trials] == [[2, 6, 18], [2], [2, 6, 18], [2], [2, 6, 18]]


def test_a_trial_may_be_stopped_at_a_later_rung(data, tmp_path, monkeypatch):
    scores = {0: {2: 0.5, 6: 0.3, 18: 0.2}, 1: {2: 0.4, 6: 0.4, 18: 0.1}}
    Told(monkeypatch, lambda trial, epoch: scores[trial][epoch])
    trials, _ = run(study(data, trials=2), tmp_path)
    assert [(t.state, t.epochs, t.score) for t in trials] == [("complete", 18, 0.2), ("pruned", 6, 0.4)]


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(1, [1]), (5, [5]), (6, [2, 6]), (11, [3, 11]), (20, [2, 6, 20]), (60, [6, 20, 60])]
)
def test_rungs_are_thirds_of_the_next_and_three_at_most(epochs, rungs, data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: 0.5)
    trials, _ = run(study(data, trials=1, epochs=epochs), tmp_path)
    assert sorted(trials[0].rungs) == rungs


def test_the_given_recipe_is_tried_first_and_others_are_drawn_by_the_seed(data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: 0.5)
    given = Recipe(learning_rate=0.7, weight_decay=0.0, momentum=0.5, dropout=0.33)  # outside of all that is drawn
    trials = [t.recipe for t in run(study(data, recipe=given), tmp_path / "a")[0]]
    assert trials[0] == given
    assert len(set(trials)) == 8
    for recipe in trials[1:]:
        assert 3e-3 <= recipe.learning_rate <= 0.3
        assert 1e-6 <= recipe.weight_decay <= 1e-2
        assert recipe.momentum in (0.8, 0.9, 0.95)
        assert recipe.dropout in (0.0, 0.05, 0.2)
    assert trials == [t.recipe for t in run(study(data, recipe=given), tmp_path / "b")[0]]
    other = [t.recipe for t in run(study(data, recipe=given, seed=1), tmp_path / "c")[0]]
    assert not set(trials[1:]) & set(other[1:])


RACE = ("backbone", "derived")


def test_networks_race_under_the_given_recipe_and_others_are_for_the_best_of_them(data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: [0.5, 0.4, 0.6, 0.3][trial])
    given = Recipe(learning_rate=0.7)
    trials, _ = run(study(data, trials=3, recipe=given, race=RACE), tmp_path)
    assert [t.network for t in trials] == ["backbone", "derived", "derived", "derived"]
    assert [t.recipe == given for t in trials] == [True, True, False, False]


@pytest.mark.parametrize(
    ("scores", "better"), [((0.4, 0.4), "backbone"), ((0.3, 0.4), "backbone"), ((0.4, 0.3), "derived")]
)
def test_it_takes_evidence_to_move_away_from_the_first(scores, better, data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: [*scores, 0.5][trial])
    tuning = study(data, trials=2, race=RACE)
    trials, _ = run(tuning, tmp_path)
    assert tuning.best(trials).network == trials[2].network == better


def test_a_race_is_run_to_its_end_by_all(data, tmp_path, monkeypatch):
    """A network that is behind at each early rung may be ahead in the end; a recipe is stopped there."""
    slow = {2: 0.9, 6: 0.8, 18: 0.1}
    Told(monkeypatch, lambda trial, epoch: 0.5 if trial == 0 else slow[epoch])
    trials, _ = run(study(data, trials=2, race=RACE), tmp_path)
    assert [(t.state, t.epochs) for t in trials] == [("complete", 18), ("complete", 18), ("pruned", 2)]


def test_a_network_that_diverges_has_lost_the_race(data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: 0.5, diverge=[0])
    tuning = study(data, trials=2, race=RACE)
    trials, _ = run(tuning, tmp_path)
    assert [t.network for t in trials] == ["backbone", "derived", "derived"]
    assert tuning.best(trials).network == "derived"


@pytest.mark.parametrize("finished", range(4))
def test_a_race_goes_on_from_its_file_as_if_it_had_not_been_stopped(finished, data, tmp_path):
    trials, saved = run(study(data, trials=3, epochs=6, race=RACE), tmp_path / "a")
    done = [trial_from_json(t) for t in json.loads(saved[finished])]
    assert numbers(run(study(data, trials=3, epochs=6, race=RACE), tmp_path / "b", done)[0]) == numbers(trials)


@pytest.mark.parametrize(("metric", "best"), [("error", 2), ("macro_f1", 0)])
def test_the_best_is_picked_by_the_metric_s_direction_the_first_on_ties(metric, best, data):
    scores = [0.5, 0.3, 0.2, 0.2]
    trials = [Trial(Recipe(), s, 18, "complete", 1.0, {}, {}, "derived") for s in scores]
    trials += [Trial(Recipe(), 0.1 if metric == "error" else 0.9, 2, "pruned", 1.0, {}, {}, "derived")]
    trials += [Trial(Recipe(), None, 0, "diverged", 0.0, {}, {}, "derived")]
    assert study(data, metric=metric).best(trials) is trials[best]


def test_a_trial_that_diverges_is_noted_and_the_others_go_on(data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: 0.5, diverge=[0, 2])
    trials, _ = run(study(data, trials=4), tmp_path)
    assert [t.state == "diverged" for t in trials] == [True, False, True, False]
    assert trials[0].score is None


@pytest.mark.parametrize("score", [math.inf, -math.inf, math.nan])
def test_a_score_that_is_no_number_is_a_divergence(score, data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: score if trial == 0 else 0.5)
    trials, saved = run(study(data, trials=2), tmp_path)
    assert [t.state for t in trials] == ["diverged", "complete"]
    assert "Infinity" not in saved[-1]
    assert "NaN" not in saved[-1]


@pytest.mark.parametrize("finished", [2, 3, 4])
def test_where_every_recipe_diverges_the_first_is_tried_at_ever_lower_rates(finished, data, tmp_path, monkeypatch):
    """Also where the study goes on in another process, at any of the trials."""
    Told(monkeypatch, lambda trial, epoch: 0.5, diverge=range(4))
    given = Recipe(learning_rate=0.1, momentum=0.8)
    trials, saved = run(study(data, trials=3, recipe=given), tmp_path / "a")
    assert [t.state for t in trials] == ["diverged"] * 4 + ["complete"]
    assert [t.recipe.learning_rate for t in trials[3:]] == pytest.approx([0.01, 0.001])
    assert {t.recipe.momentum for t in trials[3:]} == {0.8}
    done = [trial_from_json(t) for t in json.loads(saved[finished])]
    Told(monkeypatch, lambda trial, epoch: 0.5, diverge=range(4 - len(done)))
    again, _ = run(study(data, trials=3, recipe=given), tmp_path / "b", done)
    assert numbers(again) == numbers(trials)


def test_checkpoints_of_finished_trials_are_deleted(data, tmp_path):
    run(study(data, trials=2, epochs=2), tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_where_every_recipe_diverges_at_every_rate_it_is_said(data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: 0.5, diverge=range(8))
    with pytest.raises(DashnasError, match="diverged under every recipe that was tried"):
        run(study(data, trials=3), tmp_path)


def test_a_real_training_that_diverges_is_a_diverged_trial(data, tmp_path):
    trials, _ = run(study(data, trials=2, epochs=4, recipe=Recipe(learning_rate=1e30, weight_decay=1e10)), tmp_path)
    assert [t.state for t in trials] == ["diverged", "complete"]


def numbers(trials):
    return [replace(trial, seconds=0.0) for trial in trials]


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    trials, saved = run(study(data, trials=5, epochs=9), folder)
    assert {t.state for t in trials} == {"complete", "pruned"}
    return trials, saved, [{**e, "seconds": 0} for e in read_events(folder)]


@pytest.mark.parametrize("finished", range(5))
def test_a_study_goes_on_from_its_file_as_if_it_had_not_been_stopped(finished, undisturbed, data, tmp_path):
    trials, saved, _ = undisturbed
    done = [trial_from_json(t) for t in json.loads(saved[finished])]
    assert done == trials[: finished + 1]  # the round trip through tune.json
    assert numbers(run(study(data, trials=5, epochs=9), tmp_path, done)[0]) == numbers(trials)


@pytest.mark.parametrize("step", [2, 11, 27, 40])
def test_a_study_stopped_within_a_trial_goes_on_as_if_it_had_not_been(step, undisturbed, data, tmp_path, monkeypatch):
    monkeypatch.setattr(CheckpointClock, "is_due", lambda self: True)
    saved, calls = ["[]"], iter(range(1, 1000))
    with (
        session(tmp_path, stop_requested=lambda: next(calls) == step) as there,
        pytest.raises(Interrupted),
    ):
        study(data, trials=5, epochs=9).run(
            [], there, lambda ts: saved.append(json.dumps([trial_to_json(t) for t in ts]))
        )
    done = [trial_from_json(t) for t in json.loads(saved[-1])]
    trials, _ = run(study(data, trials=5, epochs=9), tmp_path, done)
    assert numbers(trials) == numbers(undisturbed[0])
    assert [{**e, "seconds": 0} for e in read_events(tmp_path)] == undisturbed[2]


def test_every_recipe_starts_from_the_same_weights_and_order(data, tmp_path):
    """Specification 2.3: one initialisation for every configuration; equal recipes come to equal scores."""
    tuning = study(data, trials=1, epochs=2)
    with session(tmp_path) as there:
        (trial,) = tuning.run([], there, lambda _: None)
        again, seconds = tuning.score_network("again", network(Recipe()), Recipe(), there)
    assert again == trial.score
    assert seconds > 0


def test_a_network_that_diverges_beside_the_trials_has_no_score(data, tmp_path):
    wild = Recipe(learning_rate=1e30, weight_decay=1e10)
    with session(tmp_path) as there:
        assert study(data, epochs=3).score_network("beside", network(wild), wild, there) == (None, 0.0)


def test_events_tell_the_score_at_rungs_and_the_best_so_far(data, tmp_path):
    trials, _ = run(study(data, trials=3, epochs=6), tmp_path)
    scored = [e for e in read_events(tmp_path) if e["score"] is not None]
    assert [(e["phase"], e["epoch"]) for e in scored][:2] == [("tune-0", 1), ("tune-0", 5)]
    assert all(e["metric"] == "error" for e in scored)
    ended = [t.score for t in trials]
    for event in scored:
        number = int(event["phase"].removeprefix("tune-"))
        own = [e["score"] for e in scored if e["phase"] == event["phase"] and e["epoch"] <= event["epoch"]]
        assert event["best"] == min(ended[:number] + own)


def test_optuna_s_own_logging_is_left_as_it_was(data, tmp_path, monkeypatch):
    import optuna

    Told(monkeypatch, lambda trial, epoch: 0.5)
    before = optuna.logging.get_verbosity()
    run(study(data, trials=1), tmp_path)
    assert optuna.logging.get_verbosity() == before
