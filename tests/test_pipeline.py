"""The main job on every kind of target: it runs to its end, says what came of it, and what it learned is there."""

import json
import math
import shutil
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import count

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from dashnas import TrainedModel, dry_run, evaluate, fit, retrain, search, search_only, training, tune
from dashnas.backbones import GridHead, PointHead
from dashnas.config import Schedule
from dashnas.data import DataConfig, TargetKind, prepare
from dashnas.errors import ConfigError, ConversionError, NotEnoughMemoryError, RunError
from dashnas.job import Job
from dashnas.metrics import get_metric, score
from dashnas.presets import SAM_RADIUS
from dashnas.probe import HeadProbe
from dashnas.recipe import RECIPES, Optimiser, Recipe
from dashnas.runs import CheckpointClock, read_events
from dashnas.space import Architecture, Candidate
from dashnas.training import DivergedError, Interrupted
from tiny import CLASSES, SPATIAL, Messages, arrays, options

KINDS = list(TargetKind)
OUTPUTS = {
    TargetKind.CLASSES: 3,
    TargetKind.MULTI_LABEL: 2,
    TargetKind.REGRESSION: 1,
    TargetKind.DENSE_BINARY: 1,
    TargetKind.DENSE_CLASSES: 3,
    TargetKind.DENSE_REGRESSION: 1,
}


@pytest.fixture(scope="module", params=[1, 2], ids=["1-D", "2-D"])
def dims(request) -> int:
    return request.param


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> TargetKind:
    return request.param


@pytest.fixture(scope="module")
def finished(kind, dims, tmp_path_factory):
    """A run on 60 easy samples."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    epochs, batch_size = (12, 8) if kind.is_dense else (10, 16)
    chosen = options(epochs=epochs, search_epochs=1, tune_epochs=2, tune_trials=1, batch_size=batch_size)
    if dims == 2:
        chosen = replace(chosen, learning_rate=0.02)  # so few steps are too few for the usual one of images
    with pytest.MonkeyPatch.context() as patched:
        # The intervals have tests of their own, and take longer than the training.
        patched.setattr("dashnas.evaluate.score", partial(score, resamples=10))
        return fit(arrays(kind, dims), replace(chosen, data=DataConfig(target=kind)), out=folder), folder


def test_result_json_says_all_that_the_format_promises(finished, kind):
    summary, folder = finished[0].summary, finished[1]
    assert summary == json.loads((folder / "result.json").read_text())
    assert summary["format"] == 1
    assert summary["task_kind"] == kind.value
    metric = get_metric(None, kind)
    assert summary["metric"] == {"name": metric.name, "higher_is_better": metric.higher_is_better}
    for scores in (summary["scores"], summary["backbone_scores"]):
        assert math.isfinite(scores["validation"])
        test = scores["test"]
        assert test["low"] <= test["value"] <= test["high"]
        assert (test["metric"], test["samples"]) == (metric.name, summary["samples"]["test"])
    assert Architecture.from_json(summary["architecture"]) == Architecture.load(folder / "architecture.json")
    assert {c.kernel_size for c in Architecture.from_json(summary["architecture"]).values()} <= {3, 5}
    assert summary["backbone"] == {
        "name": "resnet1d" if len(finished[0].model.spec.spatial_shape) == 1 else "wrn",
        "width": 4,
        "untouched_width": 4,
        "official": False,
    }
    assert summary["parameters"] == sum(p.numel() for p in finished[0].model.network.parameters())
    for cost in (summary["inference"], summary["backbone_inference"]):
        assert set(cost) == {"flops", "milliseconds"}
        assert all(value > 0 for value in cost.values())
    assert set(summary["seconds"]) >= {"search", "tune", "retrain", "backbone"}
    assert all(seconds > 0 for seconds in summary["seconds"].values())
    assert (summary["seed"], summary["device"]) == (0, "cpu")
    assert set(summary["versions"]) >= {"dashnas", "torch", "numpy"}
    assert torch.__version__.startswith(summary["versions"]["torch"].split("+")[0])
    assert sum(summary["samples"].values()) == 60


def test_events_tell_every_epoch(finished):
    events = [json.loads(line) for line in (finished[1] / "events.jsonl").read_text().splitlines()]
    epochs = finished[0].summary["schedule"]["retrain_epochs"]
    planned = {"search": 1, "tune-0": 2, "tune-backbone": 2, "retrain": epochs, "backbone": epochs}
    assert [(e["phase"], e["epoch"]) for e in events] == [
        (phase, epoch) for phase, planned_epochs in planned.items() for epoch in range(planned_epochs)
    ]
    assert all(math.isfinite(e["loss"]) and e["learning_rate"] > 0 and e["seconds"] >= 0 for e in events)
    searched = [e for e in events if e["phase"] == "search"]
    for event in searched:
        assert set(event["mixture_entropy"]) == set(finished[0].summary["architecture"])
        assert all(0 <= entropy <= math.log(4) + 1e-4 for entropy in event["mixture_entropy"].values())
    tried = next(e for e in events if (e["phase"], e["epoch"]) == ("tune-0", 1))
    assert tried["score"] == tried["best"] == finished[0].summary["scores"]["validation"]
    assert tried["metric"] == finished[0].summary["metric"]["name"]


def test_predictions_have_the_shape_and_the_terms_of_the_targets(finished, kind, dims):
    model, spatial = TrainedModel.load(finished[1]), SPATIAL[dims]
    answers = model.predict(arrays(kind, dims, samples=20, seed=1)["x"])
    where = spatial if kind.is_dense else ()
    if kind.is_regression:
        assert {n: a.shape for n, a in answers.items()} == {"prediction": (20, *where)}
        return
    assert set(answers) == {"label", "probability"}
    separate = kind in (TargetKind.MULTI_LABEL, TargetKind.DENSE_BINARY)
    axis = () if kind is TargetKind.DENSE_BINARY else (OUTPUTS[kind],)
    assert answers["probability"].shape == (20, *axis, *where)
    assert answers["label"].shape == (20, *(axis if separate else ()), *where)
    if separate:
        assert set(np.unique(answers["label"])) <= {0, 1}
        np.testing.assert_array_equal(answers["label"], answers["probability"] > 0.5)
    else:
        np.testing.assert_allclose(answers["probability"].sum(axis=1), 1, rtol=1e-5)
        names = np.array(CLASSES if kind is TargetKind.CLASSES else range(3))
        np.testing.assert_array_equal(answers["label"], names[answers["probability"].argmax(axis=1)])


def test_predictions_beat_the_best_constant_guess(finished, kind, dims):
    """On new samples; with half the errors, or half the squared ones, as the signal is easy."""
    fresh = arrays(kind, dims, samples=60, seed=1)
    answers = TrainedModel.load(finished[1]).predict(fresh["x"])
    y = fresh["y"]
    if kind.is_regression:
        counts = fresh.get("mask", np.isfinite(y))
        squared, spread = np.square(answers["prediction"] - y)[counts].mean(), np.var(y[counts])
        assert squared < 0.5 * spread
    else:
        _, counts = np.unique(y, return_counts=True)
        assert np.mean(answers["label"] != y) < 0.5 * (1 - counts.max() / counts.sum())


def test_the_saved_network_predicts_what_the_trained_one_does(finished, kind, dims):
    x = arrays(kind, dims, samples=7, seed=2)["x"]
    loaded, trained = TrainedModel.load(finished[1]).predict(x), finished[0].model.predict(x)
    for name in trained:
        np.testing.assert_array_equal(loaded[name], trained[name])


def test_masked_positions_count_nowhere(tmp_path):
    """Whatever stands under the mask: runs on the same data otherwise are the same to the last digit."""
    data = arrays(TargetKind.DENSE_REGRESSION)
    other = {**data, "y": np.where(data["mask"], data["y"], 1e6)}
    chosen = options(tune_trials=1)
    a, b = (fit(d, chosen, out=tmp_path / name).summary for d, name in ((data, "nan"), (other, "number")))
    assert a["scores"] == b["scores"]
    assert a["backbone_scores"] == b["backbone_scores"]


def test_groups_are_never_split(tmp_path):
    data = arrays(TargetKind.CLASSES)
    group = np.repeat(np.arange(20), 3)
    summary = fit({**data, "group": group}, options(tune_trials=1)).summary
    assert sum(summary["samples"].values()) == 60
    parts = prepare({**data, "group": group}, DataConfig(), seed=0)
    assert parts.test is not None
    of = [set(part.fields["group"]) for part in (parts.train, parts.validation, parts.test.open())]
    assert len(of[0] | of[1] | of[2]) == sum(map(len, of)) == 20
    assert [len(parts.train), len(parts.validation)] == [summary["samples"][n] for n in ("train", "validation")]


class Items(Dataset):
    """A map-style Dataset whose items are dicts."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"x": self.x[i], "y": self.y[i]}


def test_torch_datasets_are_data_like_any_other(tmp_path):
    x = arrays(TargetKind.CLASSES)["x"].astype(np.float32)
    y = np.arange(60) % 3
    cut = {"train": slice(0, 36), "validation": slice(36, 48), "test": slice(48, 60)}
    of_tensors = {n: TensorDataset(torch.tensor(x[c]), torch.tensor(y[c])) for n, c in cut.items()}
    of_items = {n: Items(x[c], y[c]) for n, c in cut.items()}
    of_arrays = {f"{n}{s}": a[cut[p]] for p, s in (("train", ""), ("validation", "_val"), ("test", "_test"))
                 for n, a in (("x", x), ("y", y))}  # fmt: skip
    chosen = options(tune_trials=1)
    first, *others = (fit(source, chosen).summary for source in (of_arrays, of_tensors, of_items))
    for other in others:
        assert other["scores"] == first["scores"]
        assert other["samples"] == first["samples"] == {"train": 36, "validation": 12, "test": 12}


def test_class_weights_change_what_is_learned(tmp_path):
    """One class counts a thousand times as much as the others: the network says it more often."""
    data = arrays(TargetKind.CLASSES)
    data["x"] *= 0  # nothing to learn but how often a class counts
    data["x"] += np.random.default_rng(0).normal(size=data["x"].shape)
    chosen = options(tune_trials=1, epochs=4, class_weights=(0.001, 1.0, 0.001))
    answers = fit(data, chosen).model.predict(data["x"])
    assert np.mean(answers["label"] == CLASSES[1]) > 0.9


def test_without_a_test_part_there_is_no_test_score():
    summary = fit(arrays(TargetKind.CLASSES), options(tune_trials=1, data=DataConfig(test_fraction=0))).summary
    assert set(summary["scores"]) == set(summary["backbone_scores"]) == {"validation"}
    assert summary["samples"]["test"] == 0


def test_the_backbone_has_the_same_recipe_width_and_epochs(tmp_path):
    summary = fit(arrays(TargetKind.CLASSES), options(), out=tmp_path / "run").summary
    phases = [json.loads(line)["phase"] for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert phases.count("backbone") == phases.count("retrain") == summary["schedule"]["retrain_epochs"]


RACE = {"race": True, "tune_trials": 1}


@pytest.fixture
def beatable(monkeypatch):
    """Lets a search follow, however few mistakes the untouched backbone makes on the dozen samples of these runs."""
    monkeypatch.setattr("dashnas.race.can_be_beaten", lambda *_: True)


@pytest.fixture
def told(monkeypatch, beatable):
    """Lets a race end as it is told: the validation score of each trial in turn; what is lower is surely better."""

    def tell(**scores):
        order, given = iter(scores.values()), []

        def value_of(*_):
            given.append(next(order))
            return given[-1]

        monkeypatch.setattr(tune, "value_of", value_of)
        monkeypatch.setattr(tune, "confidence_of", lambda *_: float(given[-1] < min(given[:-1])))

    return tell


@pytest.mark.parametrize("winner", ["backbone", "derived"])
def test_the_network_that_wins_the_race_is_trained_and_saved(winner, told, tmp_path):
    told(backbone=0.4 if winner == "derived" else 0.2, derived=0.3)
    result = fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run")
    summary, phases = result.summary, {event["phase"] for event in read_events(tmp_path / "run")}
    assert summary["network"] == winner
    assert summary["race"] == {"backbone": 0.4 if winner == "derived" else 0.2, "derived": 0.3}
    found = Architecture.load(tmp_path / "run" / "architecture.json")
    assert result.model.architecture == (found if winner == "derived" else None)
    assert (summary["architecture"] is None) == (winner == "backbone")
    assert phases == {"search", "tune-0", "tune-1", "backbone"} | ({"retrain"} if winner == "derived" else set())
    assert summary["scores"]["validation"] == min(summary["race"].values())
    assert summary["backbone_scores"]["validation"] == summary["race"]["backbone"]
    if winner == "backbone":
        assert summary["scores"] == summary["backbone_scores"]
        assert summary["parameters"] == summary["backbone_parameters"]


def test_a_tie_leaves_the_backbone_untouched(told):
    told(backbone=0.3, derived=0.3)
    assert fit(arrays(TargetKind.CLASSES), options(**RACE)).summary["network"] == "backbone"


def test_with_many_recipes_a_random_architecture_races_too(told, tmp_path):
    told(backbone=0.5, derived=0.4, random=0.2, **{f"recipe {i}": 0.9 for i in range(3)})
    result = fit(arrays(TargetKind.CLASSES), options(race=True, tune_trials=4, tune_epochs=1), out=tmp_path / "run")
    assert result.summary["network"] == "random"
    assert result.model.architecture not in (None, Architecture.load(tmp_path / "run" / "architecture.json"))
    trials = json.loads((tmp_path / "run" / "tune.json").read_text())
    assert [trial["network"] for trial in trials] == ["backbone", "derived", *["random"] * 4]


def test_the_winner_goes_on_with_the_weights_that_it_has(told, monkeypatch, tmp_path):
    """And so does the untouched backbone, which is compared with it."""
    begun = {}

    def spied(phase, session):
        begun[phase.name] = {name: value.clone() for name, value in phase.model.state_dict().items()}
        return training.train(phase, session)

    monkeypatch.setattr(retrain, "train", spied)
    told(backbone=0.5, derived=0.3)
    fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run")
    for phase, network in (("backbone", "backbone"), ("retrain", "derived")):
        weights = torch.load(tmp_path / "run" / "checkpoints" / f"tuned-{network}.pt", weights_only=True)
        torch.testing.assert_close(begun[phase], weights["network"], rtol=0, atol=0)
    assert any(begun["retrain"][name].abs().sum() > 0 for name in begun["retrain"] if "num_batches" in name)


def test_weights_of_the_race_that_are_gone_are_missed(told, tmp_path, monkeypatch):
    told(backbone=0.5, derived=0.3)
    monkeypatch.setattr(retrain, "train", lambda phase, session: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "tuned-derived.pt").unlink()
    with pytest.raises(RunError, match=r"tuned-derived.pt is missing .*delete tune.json and winner.json"):
        fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run")


@pytest.fixture
def minute(monkeypatch):
    """A budget that has a search in it, however busy the machine is, and does not last: steps are told to be slow."""
    monkeypatch.setattr("dashnas.calibration.time_steps", lambda *_, **__: 0.1)
    monkeypatch.setattr("dashnas.budget.MAX_EPOCHS", 10)
    return {"epochs": None, "tune_trials": None, "budget_seconds": 60.0}


@pytest.fixture
def unbeatable(monkeypatch):
    """Lets the untouched backbone be so good that there can be no evidence for any other network."""
    monkeypatch.setattr("dashnas.race.confidence_of", lambda *_: 0.89)


@pytest.mark.parametrize("budget", [True, False])
def test_where_no_network_could_win_nothing_is_searched(budget, unbeatable, minute, tmp_path):
    listener, asked = Messages(), options(race=True, **(minute if budget else {}))
    fitted = fit(arrays(TargetKind.CLASSES), asked, out=tmp_path / "run", reporter=listener)
    assert any(
        "can be hoped to be better with enough confidence; nothing is searched" in text for text in listener.told
    )
    assert {event["phase"] for event in read_events(tmp_path / "run")} == {"tune-0", "backbone"}
    summary = fitted.summary
    assert (summary["network"], summary["architecture"], summary["race"]) == ("backbone", None, None)
    schedule = summary["schedule"]
    assert (schedule["search_epochs"], schedule["tune_trials"]) == (0, 1)
    assert schedule["tune_epochs"] == schedule["backbone_epochs"]
    assert summary["no_search"] == "unbeatable"
    assert set(summary["micro_batch"]) == {"backbone"}
    assert summary["inference"] == summary["backbone_inference"]
    assert math.isfinite(summary["scores"]["validation"])


def test_too_few_samples_to_tell_are_said(tmp_path):
    listener, asked = Messages(), options(**RACE)
    asked = replace(asked, data=DataConfig(validation_fraction=0.1))
    summary = fit(arrays(TargetKind.CLASSES), asked, reporter=listener).summary
    assert summary["no_search"] == "unbeatable"
    samples = summary["samples"]["validation"]
    told = f"the validation part has {samples} samples, it takes 10 to tell which network is better; nothing is"
    assert any(text.startswith(told) for text in listener.told)


def test_a_network_that_could_win_is_searched_after_the_untouched_one_has_raced(told, tmp_path):
    told(backbone=0.4, derived=0.3)
    fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run")
    phases = dict.fromkeys(event["phase"] for event in read_events(tmp_path / "run"))
    assert list(phases) == ["tune-0", "search", "tune-1", "retrain", "backbone"]


ONLY = {"kernel_sizes": (3,), "dilations": (1,)}


def raced(run):
    """The networks whose trainings were scored on the validation part."""
    return {trial["network"] for trial in json.loads((run / "tune.json").read_text())}


@pytest.mark.parametrize("trials", [1, 4], ids=["1 recipe", "4 recipes"])
@pytest.mark.parametrize("race", [True, False])
def test_a_single_candidate_is_taken_without_a_search(race, trials, beatable, tmp_path):
    """The random architecture, which has a place beside four recipes, would be the same again."""
    listener, asked = Messages(), options(race=race, tune_trials=trials, **ONLY)
    summary = fit(arrays(TargetKind.CLASSES), asked, out=tmp_path / "run", reporter=listener).summary
    assert "each layer has one candidate, which it takes without a search" in listener.told
    assert "search" not in {event["phase"] for event in read_events(tmp_path / "run")}
    assert summary["seconds"]["search"] == 0
    assert summary["no_search"] is None
    assert raced(tmp_path / "run") == ({"backbone", "derived"} if race else {"derived"})


@pytest.mark.parametrize("budget", [True, False])
def test_where_there_is_nothing_but_own_kernels_the_untouched_backbone_is_trained_alone(budget, minute, tmp_path):
    """Kernels of 3x3 are those of the Wide ResNet."""
    listener, asked = Messages(), options(race=True, **(minute if budget else {"tune_trials": 4}), **ONLY)
    summary = fit(arrays(TargetKind.CLASSES, dims=2), asked, out=tmp_path / "run", reporter=listener).summary
    assert "each layer has nothing but its own kernel to choose from; nothing is searched" in listener.told
    assert {event["phase"] for event in read_events(tmp_path / "run")} == {"tune-0", "backbone"}
    assert raced(tmp_path / "run") == {"backbone"}
    assert (summary["network"], summary["race"], summary["no_search"]) == ("backbone", None, "no-choice")
    schedule = summary["schedule"]
    assert (schedule["search_epochs"], schedule["tune_trials"]) == (0, 1)
    for forgotten in ("result.json", "schedule.json") if not budget else ("result.json",):
        (tmp_path / "run" / forgotten).unlink()
    again = fit(arrays(TargetKind.CLASSES, dims=2), asked, out=tmp_path / "run").summary
    assert (again["scores"], again["no_search"]) == (summary["scores"], "no-choice")
    repeated = options(race=True, epochs=None, tune_trials=None, schedule=Schedule(**schedule), **ONLY)
    assert fit(arrays(TargetKind.CLASSES, dims=2), repeated).summary["scores"] == summary["scores"]


def test_there_is_no_searching_for_nothing_but_own_kernels(tmp_path):
    with pytest.raises(ConfigError, match="nothing but its own kernel to choose from; give other --kernel-sizes"):
        search_only(arrays(TargetKind.CLASSES, dims=2), options(race=True, **ONLY), out=tmp_path / "run")


def test_without_a_race_own_kernels_are_what_comes_out(tmp_path):
    summary = fit(arrays(TargetKind.CLASSES, dims=2), options(**ONLY), out=tmp_path / "run").summary
    assert (summary["network"], summary["no_search"]) == ("derived", None)


@pytest.mark.parametrize("trials", [1, 4], ids=["1 recipe", "4 recipes"])
def test_a_search_that_ends_at_the_untouched_backbone_does_not_race_it(trials, beatable, monkeypatch, tmp_path):
    """With four recipes a random architecture still does."""
    own = {"stem": 3, "stages.0.0.conv1": 3}
    monkeypatch.setattr(Job, "_choose", lambda *_: Architecture({name: Candidate(k, 1) for name, k in own.items()}))
    listener, asked = Messages(), options(race=True, tune_trials=trials, ensemble=2)
    summary = fit(arrays(TargetKind.CLASSES, dims=2), asked, out=tmp_path / "run", reporter=listener).summary
    assert "what was searched is the untouched backbone itself, and does not race against it" in listener.told
    assert "search" in {event["phase"] for event in read_events(tmp_path / "run")}
    assert raced(tmp_path / "run") == ({"backbone"} if trials == 1 else {"backbone", "random"})
    assert summary["no_search"] == "same"
    assert len(summary["members"]) == 2


def test_where_there_is_nothing_but_own_kernels_a_dry_run_times_no_other_network():
    dry = dry_run(arrays(TargetKind.CLASSES, dims=2), options(race=True, **ONLY))
    assert dry.schedule.search_epochs == dry.seconds["search"] == dry.seconds["retrain"] == 0
    assert 0 < dry.seconds["tune"] < dry.seconds["backbone"]
    assert set(dry.needs) == {"backbone"}


@pytest.mark.parametrize("forgotten", ["winner.json", "schedule.json", "search.json"])
def test_a_run_without_a_search_is_resumed_as_such(forgotten, unbeatable, monkeypatch, tmp_path):
    undisturbed = fit(arrays(TargetKind.CLASSES), options(**RACE)).summary
    with monkeypatch.context() as patched:
        patched.setattr(retrain, "train", lambda phase, session: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run")
    (tmp_path / "run" / forgotten).unlink()
    resumed = fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run").summary
    assert resumed["scores"] == undisturbed["scores"]
    assert resumed["schedule"] == undisturbed["schedule"]


def test_a_run_without_a_search_can_be_repeated_by_its_schedule(unbeatable, minute, tmp_path):
    first = fit(arrays(TargetKind.CLASSES), options(race=True, **minute), out=tmp_path / "run").summary
    schedule = Schedule(**json.loads((tmp_path / "run" / "schedule.json").read_text()))
    again = fit(
        arrays(TargetKind.CLASSES), options(race=True, epochs=None, tune_trials=None, schedule=schedule)
    ).summary
    assert again["scores"] == first["scores"]
    assert again["no_search"] == "schedule"


class TestSharpnessAwareTraining:
    @pytest.fixture
    def asked(self, told, minute, monkeypatch):
        """A minute that leaves the final training sharpness-aware; the searched network wins."""
        monkeypatch.setattr("dashnas.scheduling.SAM_EPOCHS", 1)
        monkeypatch.setattr("dashnas.scheduling.most_epochs", lambda *_, **__: 3)
        told(backbone=0.5, derived=0.3)
        return options(race=True, ensemble=2, **minute)

    def test_is_told_and_all_networks_have_it(self, asked, monkeypatch, tmp_path):
        radii = set()
        train = retrain.train

        def noted(phase, session):
            radii.add((phase.name, phase.sam_radius))
            return train(phase, session)

        monkeypatch.setattr(retrain, "train", noted)
        listener = Messages()
        summary = fit(arrays(TargetKind.CLASSES), asked, out=tmp_path / "run", reporter=listener).summary
        assert {"retrain", "backbone"} <= {name for name, _ in radii}
        assert {radius for _, radius in radii} == {SAM_RADIUS}
        assert summary["schedule"]["sam_radius"] == SAM_RADIUS
        assert summary["recipe"]["sam_radius"] == summary["backbone_recipe"]["sam_radius"] == SAM_RADIUS
        assert any(text.startswith("recipe: ") and text.endswith("sam radius 0.1") for text in listener.told)

    def test_goes_on_where_it_was_stopped_and_is_repeated_by_its_schedule(self, asked, told, monkeypatch, tmp_path):
        undisturbed = fit(arrays(TargetKind.CLASSES), asked, out=tmp_path / "a").summary
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        for path in ("result.json", "checkpoints/retrain.pt", "checkpoints/backbone.pt", "checkpoints/member-1.pt"):
            (tmp_path / "b" / path).unlink(missing_ok=True)
        steps = count(1)
        monkeypatch.setattr("dashnas.training.graceful_interrupt", lambda: nullcontext(lambda: next(steps) == 5))
        with pytest.raises(Interrupted):
            fit(arrays(TargetKind.CLASSES), asked, out=tmp_path / "b")
        resumed = fit(arrays(TargetKind.CLASSES), asked, out=tmp_path / "b").summary
        assert resumed["scores"] == undisturbed["scores"]
        told(backbone=0.5, derived=0.3)
        schedule = Schedule(**undisturbed["schedule"])
        repeating = options(race=True, ensemble=2, width=None, epochs=None, tune_trials=None, schedule=schedule)
        repeated = fit(arrays(TargetKind.CLASSES), repeating).summary
        assert repeated["recipe"]["sam_radius"] == SAM_RADIUS
        assert repeated["scores"] == undisturbed["scores"]


@pytest.mark.parametrize("winner", ["backbone", "derived"])
def test_an_untouched_backbone_that_is_wider_is_trained_and_saved_as_such(winner, told, tmp_path):
    told(backbone=0.4 if winner == "derived" else 0.2, derived=0.3)
    schedule = Schedule(
        search_epochs=1, tune_trials=1, tune_epochs=2, retrain_epochs=2, width=4, backbone_epochs=1, backbone_width=8
    )
    asked = options(race=True, epochs=None, tune_trials=None, width=None, schedule=schedule)
    summary = fit(arrays(TargetKind.CLASSES), asked, out=tmp_path / "run").summary
    assert summary["network"] == winner
    assert summary["backbone"]["untouched_width"] == 8
    assert summary["backbone"]["width"] == (8 if winner == "backbone" else 4)
    loaded = TrainedModel.load(tmp_path / "run")
    assert sum(p.numel() for p in loaded.network.parameters()) == summary["parameters"]
    widths = {name: m.out_channels for name, m in loaded.network.named_modules() if name == "blocks.0.units.0.conv"}
    assert widths == {"blocks.0.units.0.conv": summary["backbone"]["width"]}


def test_a_search_after_a_run_that_left_it_out_is_refused(unbeatable, tmp_path):
    fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run")
    with pytest.raises(
        ConfigError, match=r"left its search out, since no network could be hoped to be better .*another --out"
    ):
        search_only(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run")


def test_an_architecture_that_is_gone_after_the_race_is_searched_again(told, tmp_path):
    told(backbone=0.5, derived=0.3)
    fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run")
    before = Architecture.load(tmp_path / "run" / "architecture.json")
    for name in ("architecture.json", "result.json", "checkpoints/search.pt"):
        (tmp_path / "run" / name).unlink()
    assert fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run").model.architecture == before


@pytest.mark.parametrize("error", [RuntimeError, TypeError])
def test_a_cost_that_cannot_be_measured_is_null(error, monkeypatch):
    def fails(*_):
        raise error("one sample is too few")

    monkeypatch.setattr("dashnas.pipeline.inference_cost", fails)
    listener = Messages()
    summary = fit(arrays(TargetKind.CLASSES), options(), reporter=listener).summary
    assert (summary["inference"], summary["backbone_inference"]) == (None, None)
    assert "warning: what an answer costs could not be measured: one sample is too few" in listener.told


def test_a_search_alone_is_made_in_any_case(unbeatable, tmp_path):
    architecture = search_only(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run")
    assert {event["phase"] for event in read_events(tmp_path / "run")} == {"search"}
    fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run")
    assert Architecture.load(tmp_path / "run" / "architecture.json") == architecture


def test_a_run_stopped_before_its_search_is_resumed_without_a_second_trial(monkeypatch, tmp_path, beatable):
    with monkeypatch.context() as patched:
        patched.setattr(Job, "search", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run")
    trials = json.loads((tmp_path / "run" / "tune.json").read_text())
    resumed = fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run")
    assert json.loads((tmp_path / "run" / "tune.json").read_text())[:1] == trials
    assert resumed.summary["scores"] == fit(arrays(TargetKind.CLASSES), options(**RACE)).summary["scores"]


def test_a_budget_too_short_for_a_search_trains_the_untouched_backbone_alone(monkeypatch, tmp_path):
    monkeypatch.setattr("dashnas.budget.FEWEST_EPOCHS", 10**9)
    asked = options(race=True, epochs=None, tune_trials=None, budget_seconds=3.0)
    result = fit(arrays(TargetKind.CLASSES), asked, out=tmp_path / "run")
    assert result.summary["schedule"]["search_epochs"] == 0
    assert result.summary["network"] == "backbone"
    assert result.summary["race"] is None
    phases = {event["phase"] for event in read_events(tmp_path / "run")}
    assert phases == {"tune-0", "backbone"} | ({"retrain"} if result.summary["head"]["kept"] else set())
    assert not (tmp_path / "run" / "architecture.json").exists()
    assert fit(arrays(TargetKind.CLASSES), asked, out=tmp_path / "run").summary == result.summary


@pytest.fixture
def probed(monkeypatch):
    """Lets the probe of the head end as it is told."""

    def tell(confidence):
        monkeypatch.setattr("dashnas.race.probe_head", lambda *_, **__: HeadProbe((8,), 0.4, 0.3, confidence))

    return tell


@pytest.mark.parametrize("winner", ["backbone", "derived"])
def test_a_head_that_keeps_positions_is_trained_where_there_is_evidence_for_it(winner, told, probed, tmp_path):
    """On the features that the winner of the race has learned; the untouched backbone beside it stays untouched."""
    told(backbone=0.4 if winner == "derived" else 0.2, derived=0.3)
    probed(0.95)
    data = arrays(TargetKind.CLASSES)
    result = fit(data, options(**RACE), out=tmp_path / "run")
    summary, phases = result.summary, {event["phase"] for event in read_events(tmp_path / "run")}
    assert summary["head"] == {"cells": [8], "mean": 0.4, "grid": 0.3, "confidence": 0.95, "kept": True}
    assert (summary["network"], summary["architecture"] is None) == (winner, winner == "backbone")
    assert phases == {"search", "tune-0", "tune-1", "backbone", "retrain"}
    assert isinstance(result.model.network.head, GridHead)
    extra = 7 * 3 * result.model.network.head.linear.in_features // 8
    if winner == "backbone":
        assert summary["parameters"] == summary["backbone_parameters"] + extra
    loaded = TrainedModel.load(tmp_path / "run")
    assert loaded.topology.cells == (8,)
    for name, values in result.model.predict(data["x"]).items():
        np.testing.assert_array_equal(loaded.predict(data["x"])[name], values)
    assert fit(data, options(**RACE), out=tmp_path / "run").summary == summary


@pytest.mark.parametrize("cells", ["x", [0], [-1], [9], [8.5], [4, 4], 8, [10**30]])
def test_cells_that_cannot_be_are_damage(cells, told, probed, tmp_path):
    told(backbone=0.2, derived=0.3)
    probed(0.95)
    fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "cells": cells}))
    with pytest.raises(RunError, match=r"config.json is damaged"):
        TrainedModel.load(tmp_path / "run")


def test_without_evidence_the_head_stays(told, probed):
    told(backbone=0.2, derived=0.3)
    probed(0.94)
    result = fit(arrays(TargetKind.CLASSES), options(**RACE))
    assert not result.summary["head"]["kept"]
    assert isinstance(result.model.network.head, PointHead)
    assert result.summary["parameters"] == result.summary["backbone_parameters"]


def test_a_head_that_keeps_positions_pays_where_the_answer_lies_in_them(tmp_path):
    """Which sixth of a noisy series has a bump: its mean over all positions says nothing."""
    generator = np.random.default_rng(0)
    y = generator.integers(6, size=240)
    x = 0.3 * generator.normal(size=(240, 1, 48))
    for row, sixth in zip(x, y, strict=True):
        start = 8 * sixth + generator.integers(6)
        row[0, start : start + 3] += 3
    result = fit({"x": x, "y": y}, options(race=True, tune_trials=1, epochs=6, width=4), out=tmp_path / "run")
    assert result.summary["head"]["kept"]
    assert result.summary["scores"]["test"]["value"] < result.summary["backbone_scores"]["test"]["value"]


def test_dense_targets_have_no_head_to_choose(told):
    told(backbone=0.2, derived=0.3)
    assert fit(arrays(TargetKind.DENSE_CLASSES), options(**RACE)).summary["head"] is None


def test_a_search_alone_is_refused_where_the_budget_is_too_short_for_it(monkeypatch, tmp_path):
    monkeypatch.setattr("dashnas.budget.FEWEST_EPOCHS", 10**9)
    asked = options(race=True, epochs=None, tune_trials=None, budget_seconds=3.0)
    with pytest.raises(ConfigError, match=r"are too few to search.*more than 13% of them.*larger --budget"):
        search_only(arrays(TargetKind.CLASSES), asked, out=tmp_path / "run")


@pytest.fixture
def before_training(told, tmp_path, monkeypatch):
    """A run with a race that the searched network won, stopped before the final training."""
    told(backbone=0.5, derived=0.3)
    with monkeypatch.context() as patched:
        patched.setattr(retrain, "train", lambda phase, session: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("winner.json", '{"network": 5', "winner.json is damaged"),
        (
            "architecture.json",
            "{",
            "architecture.json is not an architecture.*delete it and give the same command again",
        ),
        ("winner.json", '{"network": "backbone", "recipe": {}, "schedule": {}}', "winner.json is damaged.*delete it"),
        ("winner.json", ("confidence", "x"), "winner.json is damaged"),
        ("winner.json", ("cells", [0]), "winner.json is damaged.*no cells of a head"),
        ("winner.json", ("cells", [9]), "winner.json is damaged.*at most .8. were tried"),
        ("tune.json", None, "tune.json is damaged.*unknown networks .'elsewhere'.*delete it"),
        (
            "checkpoints/tuned-derived.pt",
            "search",
            "tuned-derived.pt does not fit .*delete it, tune.json and winner.json",
        ),
        ("checkpoints/tuned-derived.pt", "tuned-backbone", "tuned-derived.pt does not fit"),
    ],
)
def test_damage_after_a_race_is_told_with_what_mends_it(file, content, message, before_training):
    path = before_training / file
    if isinstance(content, tuple):
        winner = json.loads(path.read_text())
        winner["head"][content[0]] = content[1]
        path.write_text(json.dumps(winner))
    elif content is None:
        path.write_text(path.read_text().replace('"derived"', '"elsewhere"'))
    elif file.endswith(".pt"):
        path.write_bytes((before_training / "checkpoints" / f"{content}.pt").read_bytes())
    else:
        path.write_text(content)
    with pytest.raises(RunError, match=message):
        fit(arrays(TargetKind.CLASSES), options(**RACE), out=before_training)


def test_how_long_a_begun_training_is_cannot_be_decided_anew(tmp_path, monkeypatch):
    asked = options(race=True, epochs=None, tune_trials=None, budget_seconds=4.0)
    with monkeypatch.context() as patched:
        patched.setattr("dashnas.pipeline.final_scores", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fit(arrays(TargetKind.CLASSES), asked, out=tmp_path / "run")
    (tmp_path / "run" / "winner.json").unlink()
    with pytest.raises(RunError, match=r"winner.json is missing .*delete .*checkpoints/backbone.pt too"):
        fit(arrays(TargetKind.CLASSES), asked, out=tmp_path / "run")


def test_a_backbone_that_diverges_in_the_race_is_trained_afresh_beside_the_winner(diverging, minute, tmp_path):
    diverging.add("tune-0")
    asked = options(race=True, **minute)
    result = fit(arrays(TargetKind.CLASSES), asked, out=tmp_path / "run")
    assert result.summary["race"]["backbone"] is None
    assert result.summary["network"] != "backbone"
    assert math.isfinite(result.summary["backbone_scores"]["test"]["value"])


@pytest.mark.parametrize("step", [3, 9, 14])
def test_a_run_with_a_race_is_resumed_as_if_it_had_not_been_stopped(step, tmp_path, monkeypatch, beatable):
    monkeypatch.setattr(CheckpointClock, "is_due", lambda self: True)
    undisturbed = fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "a")
    calls, take = iter(range(1, 10_000)), training._step

    def stopped(*given):
        if next(calls) == step:
            raise KeyboardInterrupt
        return take(*given)

    monkeypatch.setattr(training, "_step", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "b")
    monkeypatch.setattr(training, "_step", take)
    resumed = fit(arrays(TargetKind.CLASSES), options(**RACE), out=tmp_path / "b")
    for name in ("scores", "backbone_scores", "race", "network", "architecture"):
        assert resumed.summary[name] == undisturbed.summary[name]
    for name, weight in undisturbed.model.network.state_dict().items():
        torch.testing.assert_close(resumed.model.network.state_dict()[name], weight, rtol=0, atol=0)


def test_an_architecture_that_equals_the_backbone_scores_as_the_backbone_does(monkeypatch):
    """Both are trained alike: where the searched network is the stock one, both rows of the table agree."""
    monkeypatch.setattr("dashnas.backbones.resnet1d.KERNEL_SIZES", (3, 3, 3))
    monkeypatch.setattr("dashnas.model.derive", lambda network, architecture, initialise: network)
    stock = Architecture({f"blocks.{b}.units.{u}.conv": Candidate(3) for b in range(3) for u in range(3)})
    summary = fit(arrays(TargetKind.CLASSES), options(tune_trials=1, architecture=stock)).summary
    assert summary["scores"] == summary["backbone_scores"]
    assert summary["parameters"] == summary["backbone_parameters"]


def test_search_alone_is_the_first_part_of_fit(tmp_path):
    data = arrays(TargetKind.CLASSES)
    architecture = search_only(data, options(), out=tmp_path / "run")
    assert not (tmp_path / "run" / "result.json").exists()
    searched_at = (tmp_path / "run" / "architecture.json").stat().st_mtime_ns
    result = fit(data, options(), out=tmp_path / "run")
    assert Architecture.from_json(result.summary["architecture"]) == architecture
    assert (tmp_path / "run" / "architecture.json").stat().st_mtime_ns == searched_at
    assert result.summary["scores"] == fit(data, options()).summary["scores"]


def test_a_dry_run_trains_nothing_and_tells_the_costs():
    would = dry_run(arrays(TargetKind.CLASSES), options())
    assert would.schedule == Schedule(search_epochs=1, tune_trials=2, tune_epochs=1, retrain_epochs=2)
    assert set(would.seconds) == {"search", "tune", "retrain", "backbone"}
    assert all(seconds > 0 for seconds in would.seconds.values())
    assert all(need.peak_bytes > 0 for need in would.needs.values())
    assert len(would.conversion.searchable) == 9


def test_a_run_of_other_data_is_refused(tmp_path):
    fit(arrays(TargetKind.CLASSES), options(tune_trials=1), out=tmp_path / "run")
    with pytest.raises(RunError, match="data_fingerprint"):
        fit(arrays(TargetKind.CLASSES, seed=1), options(tune_trials=1), out=tmp_path / "run")


def test_settings_that_cannot_work_leave_no_folder_behind(tmp_path):
    wrong = options(architecture=Architecture({"no_such_layer": Candidate(3)}))
    with pytest.raises(ConversionError, match="no_such_layer"):
        fit(arrays(TargetKind.CLASSES), wrong, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("given", [{"dropout": 0.1}, {"learning_rate": 1.5}, {"weight_decay": 0.0}])
def test_a_recipe_outside_the_space_that_others_are_drawn_from_is_tried_all_the_same(given, tmp_path):
    fit(arrays(TargetKind.CLASSES), options(tune_trials=2, epochs=1, **given), out=tmp_path / "run")
    trials = json.loads((tmp_path / "run" / "tune.json").read_text())
    assert len(trials) == 2
    assert Recipe(**trials[0]["recipe"]) == replace(RECIPES[Optimiser.MUON], **given)


@pytest.fixture
def diverging(monkeypatch):
    """Lets the trainings of these names diverge."""
    names = set()

    def diverge_there(phase, session):
        if phase.name in names:
            raise DivergedError(f"the loss of {phase.name} became nan in epoch 1; try a lower learning rate")
        return training.train(phase, session)

    for module in (tune, retrain):
        monkeypatch.setattr(module, "train", diverge_there)
    return names


def test_a_backbone_that_diverges_in_tuning_has_no_validation_score(diverging):
    diverging.add("tune-backbone")
    summary = fit(arrays(TargetKind.CLASSES), options(tune_trials=1)).summary
    assert summary["backbone_scores"]["validation"] is None
    assert math.isfinite(summary["backbone_scores"]["test"]["value"])
    assert math.isfinite(summary["scores"]["validation"])


@pytest.mark.parametrize(
    ("phase", "slower", "other"),
    [("retrain", "recipe", "backbone_recipe"), ("backbone", "backbone_recipe", "recipe")],
)
def test_a_final_training_that_diverges_is_repeated_with_a_tenth_of_the_rate(phase, slower, other, diverging, tmp_path):
    diverging.add(phase)
    summary = fit(arrays(TargetKind.CLASSES), options(tune_trials=1), out=tmp_path / "run").summary
    assert summary[slower] == {**summary[other], "learning_rate": summary[other]["learning_rate"] / 10}
    assert math.isfinite(summary["scores"]["test"]["value"])
    assert f"{phase}-again" in {event["phase"] for event in read_events(tmp_path / "run")}


def test_a_search_that_diverges_is_repeated_with_a_tenth_of_the_rates(monkeypatch, tmp_path):
    rates = []

    def diverge_at_first(phase, session):
        rates.append([group["lr"] for group in phase.optimiser.param_groups])
        if len(rates) == 1:
            raise DivergedError("the loss of search became nan in epoch 1; try a lower learning rate")
        return training.train(phase, session)

    monkeypatch.setattr(search, "train", diverge_at_first)
    summary = fit(arrays(TargetKind.CLASSES), options(tune_trials=1), out=tmp_path / "run").summary
    assert rates == [[0.1, 0.05], pytest.approx([0.01, 0.005])]
    assert math.isfinite(summary["scores"]["test"]["value"])
    assert "search-again" in {event["phase"] for event in read_events(tmp_path / "run")}


def test_a_final_training_that_always_diverges_ends_the_run(diverging, tmp_path):
    diverging.update({"retrain", "retrain-again", "retrain-again-again"})
    with pytest.raises(DivergedError, match="the loss of retrain-again-again became nan"):
        fit(arrays(TargetKind.CLASSES), options(tune_trials=1), out=tmp_path / "run")
    assert not (tmp_path / "run" / "result.json").exists()


def test_regression_far_from_zero_keeps_its_small_differences():
    """Values near 1e9 that differ by ones: float32 has none of these between 1e9 and 1e9 + 64."""
    data = arrays(TargetKind.REGRESSION, samples=90)
    data["y"] = data["y"] + 1e9
    result = fit(data, options(epochs=8, tune_trials=1, search_epochs=1, tune_epochs=1, batch_size=16))
    answers = result.model.predict(data["x"])["prediction"]
    assert np.square(answers - data["y"]).mean() < 0.5 * data["y"].var()
    assert result.summary["scores"]["test"]["value"] < data["y"].std()


def test_a_run_leaves_the_generators_and_threads_of_its_process_as_they_were(tmp_path, monkeypatch):
    asked_for, set_num_threads = [], torch.set_num_threads
    monkeypatch.setattr(torch, "set_num_threads", lambda n: asked_for.append(n) or set_num_threads(1))
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]
    fit(arrays(TargetKind.CLASSES), options(tune_trials=1, epochs=1, threads=2), out=tmp_path / "run")
    TrainedModel.load(tmp_path / "run")
    assert asked_for == [2, 1]
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)


def test_a_run_depends_on_its_seed_alone():
    """Not on the state of anybody's generators."""
    data, chosen = arrays(TargetKind.CLASSES), options(tune_trials=2, epochs=1)
    first = fit(data, chosen).summary
    torch.manual_seed(123)
    np.random.seed(123)
    assert fit(data, chosen).summary["scores"] == first["scores"]
    other = fit(data, replace(chosen, seed=1)).summary
    assert other["scores"] != first["scores"]


class MemoryRunsOut:
    """From a step of a phase on, more than 8 samples at once do not fit, or are not tried."""

    def __init__(self, phase: str, step: int, *, fails: bool) -> None:
        self.phase, self.step, self.fails = phase, step, fails
        self.network: str | None = None
        self.steps: set[int] = set()
        self.compute = training.compute_gradients

    def __call__(self, phase, indices, device, *, micro_batch, seed):
        if phase.name == self.phase and seed:  # 0 is that of steps taken only to be weighed
            self.steps.add(seed)
            if len(self.steps) > self.step:
                self.network = phase.network_name
        if phase.network_name != self.network:
            return self.compute(phase, indices, device, micro_batch=micro_batch, seed=seed)
        loss = self.compute(phase, indices, device, micro_batch=8 if not self.fails else micro_batch, seed=seed)
        if self.fails and min(micro_batch, len(indices)) > 8:
            raise MemoryError
        return loss


PHASES = {"search": {"search"}, "tune-0": {"derived"}, "tune-1": {"derived"}, "retrain": {"derived"}}
PHASES |= {"tune-backbone": {"backbone"}, "backbone": {"backbone"}}


@pytest.mark.parametrize("phase", PHASES)
def test_a_run_whose_memory_runs_out_ends_as_one_with_fewer_samples_at_once_from_there_on(phase, tmp_path, monkeypatch):
    chosen, ended = options(epochs=2, search_epochs=2, tune_epochs=2), {}
    for name, fails in (("told", False), ("failed", True)):
        monkeypatch.setattr(training, "compute_gradients", MemoryRunsOut(phase, 3, fails=fails))
        ended[name] = fit(arrays(TargetKind.CLASSES), chosen, out=tmp_path / name)
        monkeypatch.undo()
    told, failed = ended["told"], ended["failed"]
    expected = dict.fromkeys(("search", "derived", "backbone"), 16) | dict.fromkeys(PHASES[phase], 8)
    assert failed.summary["micro_batch"] == expected
    assert told.summary["micro_batch"] == dict.fromkeys(expected, 16)
    torch.testing.assert_close(
        failed.model.network.state_dict(), told.model.network.state_dict(), rtol=0, atol=0
    )  # fmt: skip
    for key in ("scores", "backbone_scores", "architecture"):
        assert failed.summary[key] == told.summary[key]
    told_there = [event["micro_batch"] for event in read_events(tmp_path / "failed") if event["phase"] == phase]
    assert told_there == [16, 8]


def test_what_does_not_fit_the_memory_that_is_allowed_is_computed_in_pieces(tmp_path, monkeypatch):
    # What is measured of so small a network depends on the tests before.
    monkeypatch.setattr("dashnas.calibration.measure_step", lambda counted, *_: replace(counted, overhead=1.0))
    listener, data = Messages(), arrays(TargetKind.CLASSES, samples=120)
    chosen = options(batch_size=64, tune_trials=1)
    needs = dry_run(data, chosen).needs
    tight = replace(chosen, memory_bytes=needs["search"].peak_bytes // 2)
    summary = fit(data, tight, out=tmp_path / "run", reporter=listener).summary
    assert 2 <= summary["micro_batch"]["search"] < 64
    assert json.loads((tmp_path / "run" / "micro_batch.json").read_text()) == summary["micro_batch"]
    assert {e["micro_batch"] for e in read_events(tmp_path / "run") if e["phase"] == "search"} == {
        summary["micro_batch"]["search"]
    }
    told = next(text for text in listener.told if "the supernet on a whole batch would take about" in text)
    assert f"that are allowed; {summary['micro_batch']['search']} samples are computed at once" in told
    assert math.isfinite(summary["scores"]["test"]["value"])


def test_a_resumed_run_keeps_its_pieces_whatever_is_free_by_then(tmp_path, monkeypatch):
    data, chosen = arrays(TargetKind.CLASSES), options(batch_size=16, tune_trials=1)
    monkeypatch.setattr("dashnas.calibration.fitting_micro_batch", lambda *_: 4)
    expected = fit(data, chosen, out=tmp_path / "a").summary
    search_only(data, chosen, out=tmp_path / "b")
    monkeypatch.undo()
    summary = fit(data, chosen, out=tmp_path / "b").summary
    assert summary["micro_batch"] == {"search": 4, "derived": 4, "backbone": 4}
    assert summary["scores"] == expected["scores"]
    assert fit(data, chosen).summary["scores"] != expected["scores"]


def test_what_cannot_fit_is_refused_before_training(tmp_path):
    chosen = options(memory_bytes=100_000)
    with pytest.raises(
        NotEnoughMemoryError, match=r"of the supernet would take .* 2 samples at once.*a smaller --width"
    ):
        fit(arrays(TargetKind.CLASSES), chosen, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(NotEnoughMemoryError, match="100 kB that are allowed"):
        dry_run(arrays(TargetKind.CLASSES), chosen)


def test_scores_are_computed_on_as_many_samples_at_once_as_fit(monkeypatch):
    sizes = set()
    predict = evaluate._forward
    monkeypatch.setattr(evaluate, "_forward", lambda n, x, lengths: sizes.add(len(x)) or predict(n, x, lengths))
    monkeypatch.setattr("dashnas.calibration.fitting_micro_batch", lambda *_: 4)
    fit(arrays(TargetKind.CLASSES), options(tune_trials=1))
    assert max(sizes) == 4
