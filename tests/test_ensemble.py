"""Several networks that answer together: their mean, which networks they are, and how they are trained and kept."""

import json
from contextlib import suppress
from itertools import count

import numpy as np
import pytest
import torch
from torch import nn

from dashnas import TrainedModel, dry_run, fit, training
from dashnas.budget import EpochCosts, plan, untouched_alone
from dashnas.config import TuneConfig
from dashnas.data import TargetKind
from dashnas.ensemble import Ensemble
from dashnas.errors import ConfigError, RunError
from dashnas.race import improves_with
from dashnas.runs import read_events
from tiny import arrays, options

KINDS = list(TargetKind)


class Fixed(nn.Module):
    """Answers the same whatever it is asked."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x, lengths=None):
        return self.answer if lengths is None else self.answer + lengths.view(-1, 1)


def ensemble(kind: TargetKind, *answers: torch.Tensor) -> torch.Tensor:
    return Ensemble([Fixed(answer) for answer in answers], kind)(torch.zeros(1))


@pytest.mark.parametrize("kind", [TargetKind.CLASSES, TargetKind.DENSE_CLASSES])
def test_probabilities_of_classes_are_averaged(kind):
    where = (5,) if kind.is_dense else ()
    answers = torch.randn(3, 4, 6, *where)
    probabilities = ensemble(kind, *answers).softmax(dim=1)
    torch.testing.assert_close(probabilities, answers.softmax(dim=2).mean(dim=0))


@pytest.mark.parametrize("kind", [TargetKind.MULTI_LABEL, TargetKind.DENSE_BINARY])
def test_probabilities_of_yes_are_averaged(kind):
    answers = torch.randn(3, 4, 6)
    torch.testing.assert_close(ensemble(kind, *answers).sigmoid(), answers.sigmoid().mean(dim=0))


@pytest.mark.parametrize("kind", [TargetKind.REGRESSION, TargetKind.DENSE_REGRESSION])
def test_numbers_are_averaged(kind):
    answers = torch.randn(3, 4, 6)
    torch.testing.assert_close(ensemble(kind, *answers), answers.mean(dim=0))


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_logits_stay_finite(kind):
    answers = torch.tensor([[[1e4, -1e4]], [[-1e4, 1e4]]])
    together = ensemble(kind, *answers)
    assert together.isfinite().all()
    torch.testing.assert_close(together[:, 0], together[:, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_member_answers_for_itself(kind):
    answer = torch.randn(4, 6)
    together = ensemble(kind, answer)
    if kind in (TargetKind.CLASSES, TargetKind.DENSE_CLASSES):
        together, answer = together.softmax(dim=1), answer.softmax(dim=1)
    torch.testing.assert_close(together, answer)


def test_all_members_are_told_how_long_series_are():
    network = Ensemble([Fixed(torch.zeros(2, 1)), Fixed(torch.ones(2, 1))], TargetKind.REGRESSION)
    answers = network(torch.zeros(2, 1, 5), torch.tensor([3, 5]))
    torch.testing.assert_close(answers, torch.tensor([[3.5], [5.5]]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return fit(arrays(TargetKind.CLASSES), options(ensemble=3), out=folder), folder


def test_copies_of_the_network_are_trained_alike_with_other_weights(finished):
    fitted, folder = finished
    assert fitted.summary["members"] == ["derived"] * 3
    epochs = fitted.summary["schedule"]["retrain_epochs"]
    seen = [(event["phase"], event["epoch"]) for event in read_events(folder)]
    for phase in ("retrain", "member-1", "member-2", "backbone"):
        assert [epoch for name, epoch in seen if name == phase] == list(range(epochs))
    assert isinstance(fitted.model.network, Ensemble)
    first, second, third = (member.state_dict() for member in fitted.model.network.members)
    for one, other in ((first, second), (first, third), (second, third)):
        assert not torch.equal(one["head.linear.weight"], other["head.linear.weight"])


def test_the_first_member_is_the_outcome_of_a_run_without_an_ensemble(finished):
    alone = fit(arrays(TargetKind.CLASSES), options()).model.network.state_dict()
    torch.testing.assert_close(finished[0].model.network.members[0].state_dict(), alone, rtol=0, atol=0)


def test_parameters_and_costs_are_those_of_all_members(finished):
    alone, summary = fit(arrays(TargetKind.CLASSES), options()).summary, finished[0].summary
    assert summary["parameters"] == 3 * alone["parameters"]
    assert summary["inference"]["flops"] == 3 * alone["inference"]["flops"]
    assert summary["backbone_parameters"] == alone["backbone_parameters"]
    assert summary["backbone_scores"] == alone["backbone_scores"]


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_ensemble_answers_as_the_trained_one(kind, dims, tmp_path):
    fitted = fit(arrays(kind, dims), options(ensemble=2, epochs=1), out=tmp_path / "run")
    x = arrays(kind, dims, samples=5, seed=1)["x"]
    loaded = TrainedModel.load(tmp_path / "run")
    assert len(loaded.members) == 2
    for name, answers in fitted.model.predict(x).items():
        np.testing.assert_array_equal(loaded.predict(x)[name], answers)


@pytest.mark.parametrize("member", [1, 2])
def test_a_run_that_was_stopped_in_a_later_member_ends_as_one_that_was_not(member, finished, tmp_path, monkeypatch):
    taken, take = 0, training._step

    def stop_at(phase, *arguments, **more):
        nonlocal taken
        taken += phase.name == f"member-{member}"
        if taken == 2:
            raise KeyboardInterrupt
        return take(phase, *arguments, **more)

    asked, run = options(ensemble=3), tmp_path / "run"
    monkeypatch.setattr(training, "_step", stop_at)
    with pytest.raises(KeyboardInterrupt):
        fit(arrays(TargetKind.CLASSES), asked, out=run)
    assert "retrain" in {event["phase"] for event in read_events(run)}
    monkeypatch.setattr(training, "_step", take)
    fit(arrays(TargetKind.CLASSES), asked, out=run)
    assert (run / "model.safetensors").read_bytes() == (finished[1] / "model.safetensors").read_bytes()


@pytest.fixture
def race(monkeypatch):
    """What an ensemble of three comes to where each rival of the winner helps, or does not."""

    def run(helpful: set[str], out=None, **more):
        monkeypatch.setattr("dashnas.race.can_be_beaten", lambda *_: True)
        monkeypatch.setattr("dashnas.race.improves_with", lambda job, other, *_: other in helpful)
        asked = options(**{"race": True, "ensemble": 3, "tune_trials": 4, "epochs": 2, **more})
        return fit(arrays(TargetKind.CLASSES), asked, out=out).summary

    return run


@pytest.mark.parametrize("helpful", [set(), {"derived"}, {"random"}, {"derived", "random", "backbone"}])
def test_rivals_that_help_are_members_the_best_first_then_copies_of_the_winner(helpful, race):
    summary = race(helpful)
    winner, *others = summary["members"]
    assert winner == summary["network"]
    scores = summary["race"]
    rivals = sorted((name for name in scores if name != winner and name in helpful), key=scores.__getitem__)
    assert set(others[: len(rivals)]) == set(rivals)
    assert [scores[name] for name in others[: len(rivals)]] == sorted(scores[name] for name in rivals)
    assert others[len(rivals) :] == [winner] * (2 - len(rivals))


def test_no_more_rivals_are_members_than_there_are_seats(race):
    summary = race({"derived", "random", "backbone"}, ensemble=2)
    assert len(summary["members"]) == 2


@pytest.mark.parametrize(("alone", "together", "higher", "helps"), [
    (0.5, 0.4, False, True), (0.5, 0.5, False, False), (0.5, 0.6, False, False), (0.5, 0.6, True, True),
])  # fmt: skip
def test_a_rival_helps_where_both_together_are_better_than_the_winner(alone, together, higher, helps, monkeypatch):
    monkeypatch.setattr(
        "dashnas.race.validate", lambda network, *_, **__: together if isinstance(network, Ensemble) else alone
    )
    told = []
    monkeypatch.setattr("dashnas.race.can_be_beaten", lambda *_: True)
    monkeypatch.setattr(
        "dashnas.race.improves_with", lambda *arguments: told.append(improves_with(*arguments)) or told[-1]
    )
    kind = TargetKind.MULTI_LABEL if higher else TargetKind.CLASSES
    fit(arrays(kind), options(race=True, ensemble=2, tune_trials=1))
    assert told == [helps]


def test_an_untouched_backbone_that_is_a_member_is_trained_once(race, monkeypatch, tmp_path):
    numbers = count(1)
    monkeypatch.setattr("dashnas.tune.value_of", lambda *_: 1 / next(numbers))  # each is better than the one before
    monkeypatch.setattr("dashnas.tune.confidence_of", lambda *_: 1.0)
    monkeypatch.setattr("dashnas.probe.HeadProbe.pays", False)
    summary = race({"backbone"}, tune_trials=1, out=tmp_path / "run")
    assert summary["members"] == ["derived", "backbone", "derived"]
    phases = {event["phase"] for event in read_events(tmp_path / "run")}
    assert phases == {"search", "tune-0", "tune-1", "retrain", "backbone", "member-2"}


def test_an_ensemble_shares_the_time_of_the_final_training():
    costs = EpochCosts(search=0.0, derived=1.0, backbone=1.0, retrain_share=1.0)
    three = EpochCosts(search=0.0, derived=1.0, backbone=1.0, retrain_share=1.0, members=3)
    one, many = (
        plan(100.0, cost, trials=1, enough_epochs=1, tune=TuneConfig()).retrain_epochs for cost in (costs, three)
    )
    # 88 s, for half as many epochs of two trials and as many of each member.
    assert (one, many) == (44, 22)
    assert untouched_alone(90.0, three) == 30


def test_a_dry_run_tells_the_time_of_all_members(monkeypatch):
    monkeypatch.setattr("dashnas.calibration.time_steps", lambda *_, **__: 0.1)
    alone, three = (
        dry_run(arrays(TargetKind.CLASSES), options(ensemble=number)).seconds["retrain"] for number in (1, 3)
    )
    assert three == pytest.approx(3 * alone)


@pytest.mark.parametrize("others", [["derived"], ["derived", "nobody"], [1, 2]])
def test_members_that_cannot_be_are_damage(others, tmp_path, monkeypatch):
    asked, run = options(ensemble=3), tmp_path / "run"
    monkeypatch.setattr("dashnas.phases.Job.retrain", lambda *_, **__: pytest.skip("trained"))
    with suppress(pytest.skip.Exception):
        fit(arrays(TargetKind.CLASSES), asked, out=run)
    winner = json.loads((run / "winner.json").read_text())
    (run / "winner.json").write_text(json.dumps(winner | {"others": others}))
    with pytest.raises(RunError, match=r"winner\.json is damaged"):
        fit(arrays(TargetKind.CLASSES), asked, out=run)


@pytest.mark.parametrize(("ensemble", "message"), [(0, "at least 1, got 0"), (10**9, "at most 100, got 1000000000")])
def test_an_ensemble_has_a_sensible_number_of_networks(ensemble, message):
    with pytest.raises(ConfigError, match=f"ensemble must be {message}"):
        fit(arrays(TargetKind.CLASSES), options(ensemble=ensemble))
