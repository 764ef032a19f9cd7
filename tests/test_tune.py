"""Tuning: which recipes are tried, which are stopped early, which is the best, and how a study goes on."""

import json
import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from dashnas import tune as tune_module
from dashnas.config import RetrainConfig, Schedule, TuneConfig, Tuner
from dashnas.data import TargetKind
from dashnas.errors import DashnasError, RunError
from dashnas.losses import make_loss
from dashnas.metrics import get_metric
from dashnas.recipe import RECIPES, Recipe
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


def two_networks(name: str, recipe: Recipe) -> nn.Module:
    torch.manual_seed(3 if name == "backbone" else 4)
    return Network(recipe)


def a_larger_second(name: str, recipe: Recipe) -> nn.Module:
    made = two_networks(name, recipe)
    if name != "backbone":
        made.spare = nn.Parameter(torch.zeros(1))
    return made


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
    backbone_epochs=None,
    make=lambda name, recipe: network(recipe),
    has_time=None,
    tried=None,
):
    schedule = Schedule(
        search_epochs=1,
        tune_trials=trials,
        tune_epochs=epochs,
        retrain_epochs=1,
        backbone_epochs=backbone_epochs,
        tried=tried,
    )
    return Tuning(
        make,
        race,
        data.train,
        data.validation,
        make_loss(data.spec, data.normaliser, metric_name=metric),
        get_metric(metric, data.spec.target_kind),
        TuneConfig(tuner=tuner, small_grid=small_grid, race="backbone" in race),
        RetrainConfig(),
        schedule=schedule,
        recipe=recipe or Recipe(),
        batch_size=16,
        seed=seed,
        has_time=has_time,
    )


class Told:
    """Trials that are told their scores instead of being trained, by the number of the trial and the epochs.

    `sure` has, by the number of a trial, how sure it is in a race that it is better than the best before it; else 0.
    """

    def __init__(self, monkeypatch, scores, diverge=(), sure=None):
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
        monkeypatch.setattr(tune_module, "value_of", lambda *_: scores(current["trial"], current["epoch"]))
        monkeypatch.setattr(tune_module, "confidence_of", lambda *_: (sure or {}).get(current["trial"], 0.0))
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


@pytest.mark.parametrize(("optimiser", "rates"), [("adamw", (3e-4, 1e-2)), ("muon", (3e-3, 0.1))])
def test_recipes_are_drawn_for_the_optimiser_of_the_given_one(optimiser, rates, data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: 0.5)
    given = RECIPES[optimiser]
    for recipe in [t.recipe for t in run(study(data, recipe=given), tmp_path)[0]][1:]:
        assert recipe.optimiser == optimiser
        assert rates[0] <= recipe.learning_rate <= rates[1]
        assert 1e-3 <= recipe.weight_decay <= 0.3


RACE = ("backbone", "derived")
"""Networks that race."""


def test_networks_race_under_the_given_recipe_and_others_are_for_the_best_of_them(data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: [0.5, 0.4, 0.6, 0.3][trial], sure={1: 1.0})
    given = Recipe(learning_rate=0.7)
    trials, _ = run(study(data, trials=3, recipe=given, race=RACE), tmp_path)
    assert [t.network for t in trials] == ["backbone", "derived", "derived", "derived"]
    assert [t.recipe == given for t in trials] == [True, True, False, False]


@pytest.mark.parametrize(("most", "tried"), [(0, 2), (2, 2), (4, 4), (9, 6)])
def test_recipes_are_tried_while_there_is_time_and_the_race_in_any_case(most, tried, data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: 0.5)
    asked = []

    def has_time(trials):
        asked.append(len(trials))
        return len(trials) < most

    race = {"trials": 5, "race": ("backbone", "derived"), "make": two_networks}
    trials, _ = run(study(data, **race, has_time=has_time), tmp_path)
    assert len(trials) == tried
    assert min(asked) == 2
    again, _ = run(study(data, **race, has_time=has_time), tmp_path, done=trials)
    assert again == trials
    # A run that is repeated by its schedule has no clock, but the number.
    repeated, _ = run(study(data, **race, tried=tried - 1), tmp_path)
    assert len(repeated) == tried


def test_a_race_may_begin_with_the_first_network_alone(data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: [0.5, 0.4][trial])
    with session(tmp_path / "run") as there:
        (first,) = study(data, trials=1, race=("backbone",)).run([], there, lambda _: None, most=1)
        trials = study(data, trials=1, race=RACE).run([first], there, lambda _: None)
    assert (first.network, first.state) == ("backbone", "complete")
    assert [t.network for t in trials] == ["backbone", "derived"]
    assert trials[0] == first


def test_a_first_network_that_diverges_is_not_tried_again_at_once(data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: 0.5, diverge=(0,))
    with session(tmp_path / "run") as there:
        (first,) = study(data, trials=1, race=("backbone",)).run([], there, lambda _: None, most=1)
    assert first.state == "diverged"


@pytest.mark.parametrize(
    ("sure", "better"), [(0.0, "backbone"), (0.89, "backbone"), (0.9, "derived"), (1.0, "derived")]
)
def test_it_takes_evidence_to_move_to_a_larger_network(sure, better, data, tmp_path, monkeypatch):
    """However much better the score is."""
    Told(monkeypatch, lambda trial, epoch: [0.4, 0.1, 0.05][trial], sure={1: sure})
    tuning = study(data, trials=2, race=RACE, make=a_larger_second)
    trials, _ = run(tuning, tmp_path)
    assert tuning.best(trials).network == trials[2].network == better
    assert [trial.confidence for trial in trials] == [None, sure, 0.0]


@pytest.mark.parametrize(
    ("score", "sure", "better"),
    [(0.3, 0.0, "backbone"), (0.3, 0.5, "backbone"), (0.3, 0.51, "derived"), (0.4, 0.51, "backbone")],
)
def test_a_better_score_is_enough_for_one_that_is_no_larger(score, sure, better, data, tmp_path, monkeypatch):
    """But not one that is as likely worse; with a few samples for validation, it is not known at all."""
    Told(monkeypatch, lambda trial, epoch: [0.4, score, 0.05][trial], sure={1: sure, 2: 0.51})
    tuning = study(data, trials=2, race=RACE, make=two_networks)
    trials, _ = run(tuning, tmp_path)
    assert tuning.best(trials).network == trials[2].network == better
    assert [trial.wins for trial in trials] == [False, better == "derived", False]  # not so another recipe


@pytest.mark.parametrize("wins", [None, 1, "true"])
def test_a_trial_that_is_read_again_has_to_tell_whether_it_wins(wins):
    content = {**trial_to_json(Trial(Recipe(), 0.5, 1, "complete", 1.0, {1: 0.5}, {}, "derived")), "wins": wins}
    with pytest.raises(ValueError, match=f"wins is {wins!r}"):
        trial_from_json(content)


@pytest.mark.parametrize(("sure", "better"), [(0.89, "derived"), (0.9, "random")])
def test_what_counts_is_the_size_of_the_best_before_it(sure, better, data, tmp_path, monkeypatch):
    """A random network as large as the untouched one has to beat a smaller one, which won."""

    def make(name: str, recipe: Recipe) -> nn.Module:
        return network(recipe) if name == "derived" else a_larger_second(name="larger", recipe=recipe)

    Told(monkeypatch, lambda trial, epoch: [0.4, 0.3, 0.2][trial], sure={1: 0.6, 2: sure})
    tuning = study(data, trials=1, race=("backbone", "derived", "random"), make=make)
    trials, _ = run(tuning, tmp_path)
    assert tuning.best(trials).network == better


def test_it_takes_evidence_to_move_away_from_the_given_recipe(data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: [0.5, 0.5, 0.2, 0.1][trial], sure={2: 0.8, 3: 0.95})
    tuning = study(data, trials=3, race=RACE)
    trials, _ = run(tuning, tmp_path)
    assert tuning.best(trials) is trials[3]


def test_what_is_weighed_are_the_predictions_of_both_on_the_validation_part(data, tmp_path, monkeypatch):
    """Of the trial as it was trained, and of the best before it with the weights that it has kept."""
    compared = []
    weigh = tune_module.confidence_of

    def spied(metric, ours, theirs, part):
        compared.append((ours, theirs, part, weigh(metric, ours, theirs, part)))
        return 1.0

    monkeypatch.setattr(tune_module, "confidence_of", spied)
    trials, _ = run(study(data, trials=2, epochs=3, race=RACE, make=a_larger_second), tmp_path)
    (first, beaten, part, confidence), (second, leader, _, _) = compared
    assert part is data.validation
    np.testing.assert_array_equal(first, leader)  # the second network, as it was when it won
    for predictions, score in ((beaten, trials[0].score), (first, trials[1].score), (second, trials[2].score)):
        assert np.mean(predictions.argmax(axis=1) != part.targets()) == pytest.approx(score)
    wrong = [predictions.argmax(axis=1) != part.targets() for predictions in (first, beaten)]
    assert (confidence > 0.5) == (wrong[0].mean() < wrong[1].mean())


@pytest.mark.parametrize("sure", [0.0, 1.0])
def test_the_run_keeps_the_weights_of_the_first_trial_of_each_network_and_of_what_beats_it(
    sure, data, tmp_path, monkeypatch
):
    Told(monkeypatch, lambda trial, epoch: 0.5, sure={1: 0.0, 2: sure})
    run(study(data, trials=2, race=RACE), tmp_path)
    kept = {p.stem: torch.load(p, weights_only=True)["trial"] for p in (tmp_path / "checkpoints").glob("tuned-*.pt")}
    assert kept == {"tuned-backbone": 2 if sure else 0, "tuned-derived": 1}


def test_a_trial_that_was_weighed_before_the_process_was_stopped_is_not_weighed_against_itself(
    data, tmp_path, monkeypatch
):
    Told(monkeypatch, lambda trial, epoch: 0.5, sure={2: 0.93})

    done = run_until_killed(study(data, trials=2, race=RACE), tmp_path, 2)
    Told(monkeypatch, lambda trial, epoch: 0.5, sure={0: 0.5})
    trials, _ = run(study(data, trials=2, race=RACE), tmp_path, done)
    assert (trials[2].confidence, trials[2].wins) == (0.93, True)


@pytest.mark.parametrize("damage", [{"wins": None}, {"wins": 1}, {"confidence": "x"}])
def test_what_was_decided_before_the_process_was_stopped_has_to_be_readable(damage, data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: 0.5, sure={1: 0.93})
    done = run_until_killed(study(data, trials=1, race=RACE), tmp_path, 1)
    path = tmp_path / "checkpoints" / "tuned-derived.pt"
    torch.save(torch.load(path, weights_only=True) | damage, path)
    Told(monkeypatch, lambda trial, epoch: 0.5)
    with pytest.raises(RunError, match=r"tuned-derived.pt does not fit .*delete it, tune.json and winner.json"):
        run(study(data, trials=1, race=RACE), tmp_path, done)


def test_the_untouched_backbone_races_for_epochs_of_its_own(data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: [0.5, 0.5, 0.6][trial])
    trials, _ = run(study(data, trials=2, race=RACE, backbone_epochs=30), tmp_path)
    assert [(t.network, t.epochs) for t in trials] == [("backbone", 30), ("derived", 18), ("backbone", 3)]
    assert sorted(trials[0].rungs) == [3, 10, 30]


def test_a_race_is_run_to_its_end_by_all(data, tmp_path, monkeypatch):
    """A network that is behind at each early rung may be ahead in the end; a recipe is stopped there."""
    slow = {2: 0.9, 6: 0.8, 18: 0.1}
    Told(monkeypatch, lambda trial, epoch: 0.5 if trial == 0 else slow[epoch] + trial / 100, sure={1: 1.0})
    trials, _ = run(study(data, trials=2, race=RACE), tmp_path)
    assert [(t.state, t.epochs) for t in trials] == [("complete", 18), ("complete", 18), ("pruned", 2)]


def test_recipes_are_stopped_by_those_of_the_same_network_alone(data, tmp_path, monkeypatch):
    """Here the searched network, which goes on, is worse at the first rung than the one that it beats in the end."""
    rung = [{2: 0.1, 6: 0.1, 18: 0.5}, {2: 0.9, 6: 0.9, 18: 0.2}, {2: 0.8, 6: 0.8, 18: 0.1}]
    Told(monkeypatch, lambda trial, epoch: rung[trial][epoch], sure={1: 1.0})
    trials, _ = run(study(data, trials=2, race=RACE), tmp_path)
    assert [t.state for t in trials] == ["complete"] * 3


def test_a_network_that_diverges_has_lost_the_race(data, tmp_path, monkeypatch):
    Told(monkeypatch, lambda trial, epoch: 0.5, diverge=[0])
    tuning = study(data, trials=2, race=RACE)
    trials, _ = run(tuning, tmp_path)
    assert [t.network for t in trials] == ["backbone", "derived", "derived"]
    assert tuning.best(trials).network == "derived"


@pytest.mark.parametrize("finished", range(4))
def test_a_race_goes_on_from_its_file_as_if_it_had_not_been_stopped(finished, data, tmp_path):
    race = {"trials": 3, "epochs": 6, "race": RACE, "make": two_networks}
    trials, _ = run(study(data, **race), tmp_path / "a")
    done = run_until_killed(study(data, **race), tmp_path / "b", finished)
    assert numbers(run(study(data, **race), tmp_path / "b", done)[0]) == numbers(trials)


def run_until_killed(tuning, folder, finished):
    """The trials that a process has left which was killed when this many of them were saved."""
    saved = []

    def save(trials):
        if len(trials) > finished:
            raise KeyboardInterrupt
        saved.append(json.dumps([trial_to_json(t) for t in trials]))

    with session(folder) as there, pytest.raises(KeyboardInterrupt):
        tuning.run([], there, save)
    return [trial_from_json(t) for t in json.loads(saved[-1])] if saved else []


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
    trials, _ = run(study(data, trials=2, epochs=4, recipe=Recipe(learning_rate=1e38, weight_decay=0.0)), tmp_path)
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
    wild = Recipe(learning_rate=1e38, weight_decay=0.0)
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
