"""Settings refuse values that make no sense, and survive a trip through JSON."""

import json
from dataclasses import FrozenInstanceError, asdict, fields, is_dataclass, replace

import pytest

from dashnas import config as config_module
from dashnas.config import (
    FitConfig,
    LearningRateSchedule,
    RetrainConfig,
    Schedule,
    SearchConfig,
    TuneConfig,
    Tuner,
    differences,
)
from dashnas.errors import ConfigError
from dashnas.recipe import Recipe
from dashnas.space import SearchSpace

SCHEDULE = {"search_epochs": 1, "tune_trials": 1, "tune_epochs": 1, "retrain_epochs": 1}

REFUSED = [
    (LearningRateSchedule, {"shape": "linear"}, "shape must be 'cosine' or 'steps', got 'linear'"),
    (LearningRateSchedule, {"factor": 0.0}, r"factor must lie in \(0, 1\], got 0.0"),
    (LearningRateSchedule, {"factor": 1.5}, r"factor must lie in \(0, 1\], got 1.5"),
    (Recipe, {"learning_rate": 0.0}, "learning_rate must be positive, got 0.0"),
    (Recipe, {"learning_rate": float("nan")}, "learning_rate must be positive, got nan"),
    (Recipe, {"weight_decay": -1e-4}, "weight_decay must not be negative, got -0.0001"),
    (Recipe, {"momentum": 1.0}, r"momentum must lie in \[0, 1\), got 1.0"),
    (Recipe, {"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
    (Recipe, {"cutout": 1.0}, r"cutout must lie in \[0, 1\), got 1.0"),
    *(
        (config, {**more, name: value}, rf"{name} must lie in \[0, 10\], got {value}")
        for config, more, name in (
            (Recipe, {}, "sam_radius"),
            (RetrainConfig, {}, "sam_radius_in_budget"),
            (Schedule, SCHEDULE, "sam_radius"),
        )
        for value in (-0.1, float("nan"), 10.5, float("inf"))
    ),
    (
        Recipe,
        {"learning_rate": 0.5, "weight_decay": 2.0},
        "learning_rate x weight_decay must be below 1, .*; got 0.5 x 2, lower either$",
    ),
    (SearchConfig, {"learning_rate": -1}, "learning_rate must be positive, got -1"),
    (SearchConfig, {"arch_learning_rate": 0}, "arch_learning_rate must be positive, got 0"),
    (SearchConfig, {"temperature": 0}, "temperature must be positive, got 0"),
    (SearchConfig, {"weight_decay": -1}, "weight_decay must not be negative, got -1"),
    (SearchConfig, {"arch_weight_decay": -1}, "arch_weight_decay must not be negative, got -1"),
    (SearchConfig, {"size_penalty": -1}, "size_penalty must not be negative, got -1"),
    (SearchConfig, {"momentum": -0.1}, "momentum must lie in"),
    (SearchConfig, {"subsample": 0}, r"subsample must lie in \(0, 1\], got 0"),
    (SearchConfig, {"subsample": 1.1}, "subsample must lie in"),
    (SearchConfig, {"clip": 0}, "clip must be positive, or None for none, got 0"),
    (SearchConfig, {"arch_grad_norm": 0}, "arch_grad_norm must be positive, or None for none, got 0"),
    (SearchConfig, {"kernel_std": 0.0}, "kernel_std must be positive, or None for none, got 0"),
    (SearchConfig, {"strategy": "furier"}, "unknown strategy 'furier'; did you mean 'fourier'"),
    (SearchConfig, {"plan": "guess"}, "unknown plan 'guess'"),
    (TuneConfig, {"tuner": "halve"}, "unknown tuner 'halve'; did you mean 'halving'"),
    (TuneConfig, {"subsample": 0}, "subsample must lie in"),
    (TuneConfig, {"reduction": 1}, "reduction must be at least 2, got 1"),
    (RetrainConfig, {"clip": -1.0}, "clip must be positive, or None for none, got -1.0"),
    (Schedule, {**SCHEDULE, "search_epochs": -1}, "search_epochs must not be negative, got -1"),
    (Schedule, {**SCHEDULE, "tune_trials": 0}, "tune_trials must be at least 1, got 0"),
    (Schedule, {**SCHEDULE, "tune_epochs": 0}, "tune_epochs must be at least 1, got 0"),
    (Schedule, {**SCHEDULE, "tune_epochs": 1.5}, "tune_epochs must be a whole number, got 1.5"),
    (Schedule, {**SCHEDULE, "width": True}, "width must be a whole number, got True"),
    (Schedule, {**SCHEDULE, "backbone_epochs": "2"}, "backbone_epochs must be a whole number, got '2'"),
    (Schedule, {**SCHEDULE, "retrain_epochs": 0}, "retrain_epochs must be at least 1, got 0"),
    (FitConfig, {"memory_bytes": 0}, "memory must be a positive number of bytes, got 0"),
    (FitConfig, {"batch_size": 1}, "batch_size must be at least 2, for batch normalisation; got 1"),
    (Recipe, {"learning_rate": float("inf")}, "learning_rate must be positive, got inf"),
    (SearchConfig, {"learning_rate": float("inf")}, "learning_rate must be positive, got inf"),
    (Schedule, {**SCHEDULE, "search_epochs": 10**20}, "search_epochs must be at most 1000000000, got 1000"),
    (Schedule, {**SCHEDULE, "tune_trials": 10**20}, "tune_trials must be at most 1000000000, got 1000"),
    (Schedule, {**SCHEDULE, "width": 10**20}, "width must be at most 1000000000, got 1000"),
    (FitConfig, {"batch_size": 10**20}, "batch_size must be at most 1000000000, got 1000"),
    (FitConfig, {"width": 10**20}, "width must be at most 1000000000, got 1000"),
    (FitConfig, {"seed": -1}, "seed must not be negative, got -1"),
    (FitConfig, {"width": 0}, "width must be at least 1, got 0"),
    (FitConfig, {"search_width": 0}, "search_width must be at least 1, got 0"),
    (FitConfig, {"threads": 0}, "threads must be at least 1, got 0"),
    (FitConfig, {"budget_seconds": 0}, "budget must be a positive time, got 0 seconds"),
    (FitConfig, {"budget_seconds": 9, "schedule": Schedule(**SCHEDULE)}, "either a budget or epochs, not both"),
]


@pytest.mark.parametrize(("config", "values", "message"), REFUSED)
def test_values_that_make_no_sense_are_refused(config, values, message):
    with pytest.raises(ConfigError, match=message):
        config(**values)


CONFIGS = [
    value for value in vars(config_module).values()
    if is_dataclass(value) and value.__module__ == config_module.__name__
]  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS)
def test_configurations_are_frozen_and_take_keywords_only(config):
    made = config(**SCHEDULE) if config is Schedule else config()
    with pytest.raises(FrozenInstanceError):
        setattr(made, fields(config)[0].name, None)
    with pytest.raises(TypeError, match="positional argument"):
        config(1)


def test_a_tuner_may_be_given_by_its_name():
    assert TuneConfig(tuner="grid").tuner is Tuner.GRID


def test_everything_survives_a_trip_through_json():
    made = FitConfig(schedule=Schedule(**SCHEDULE), class_weights=(1.0, 2.0))
    content = json.loads(json.dumps(made.to_json()))
    assert differences(content, json.loads(json.dumps(asdict(made)))) == [
        "ensemble (None there, 1 now)",
        "recipe.cutout (None there, 0.0 now)",
        "recipe.sam_radius (None there, 0.0 now)",
        "retrain.sam_radius_in_budget (None there, 0.0 now; "
        "0.1 in default and quick for all but numbers within a budget that has a race, unless --sam-radius is "
        "given, of which 0 goes on without)",
        "search.no_larger (None there, False now; "
        "true in a race within a budget where no kernel sizes and no dilations are asked for)",
    ]
    both = replace(
        made, recipe=Recipe(cutout=0.2, sam_radius=0.1), retrain=RetrainConfig(sam_radius_in_budget=0.3)
    ).to_json()
    assert (both["recipe"]["cutout"], both["recipe"]["sam_radius"]) == (0.2, 0.1)
    assert both["retrain"]["sam_radius_in_budget"] == 0.3
    assert content["tune"]["tuner"] == "halving"
    assert content["schedule"]["retrain_epochs"] == 1


def test_settings_without_a_choice_per_axis_are_those_of_runs_from_before_there_was_one():
    space = SearchSpace(kernel_sizes=(3, 5), dilations=(1,))
    begun_then = json.loads(json.dumps(FitConfig(space=space).to_json()))
    assert begun_then["space"] == {"kernel_sizes": [3, 5], "dilations": [1]}
    now = json.loads(json.dumps(FitConfig(space=replace(space, per_axis=True)).to_json()))
    assert differences(begun_then, now) == ["space.per_axis (None there, True now)"]


def test_settings_without_an_ensemble_are_those_of_runs_from_before_there_was_one():
    assert "ensemble" not in FitConfig().to_json()
    assert FitConfig(ensemble=2).to_json()["ensemble"] == 2


def test_settings_of_a_search_without_a_bound_are_those_of_runs_from_before_there_was_one():
    assert "no_larger" not in FitConfig().to_json()["search"]
    assert FitConfig(search=SearchConfig(no_larger=True)).to_json()["search"]["no_larger"] is True


@pytest.mark.parametrize(("width", "wider"), [(16, 16), (16, 8), (None, 32)])
def test_a_wider_backbone_is_wider(width, wider):
    with pytest.raises(ConfigError, match=rf"backbone_width must be larger than width \({width}\), .* got {wider}"):
        Schedule(**SCHEDULE, width=width, backbone_width=wider)


def test_differences_name_each_setting_by_its_path_with_both_values():
    old = {"seed": 0, "search": {"clip": 1.0, "gumbel": True}, "gone": 1, "space": None}
    new = {"seed": 5, "search": {"clip": None, "gumbel": True}, "come": 2, "space": {"dilations": [1]}}
    assert differences(old, new) == [
        "come (None there, 2 now)",
        "gone (1 there, None now)",
        "search.clip (1.0 there, None now)",
        "seed (0 there, 5 now)",
        "space (None there, {'dilations': [1]} now)",
    ]
    assert differences(old, old) == []


def test_a_difference_in_what_is_no_option_tells_what_it_follows_from():
    unasked, asked = {"search": {"no_larger": True}}, {"search": {}}
    assert differences(unasked, asked) == [
        "search.no_larger (True there, None now; "
        "true in a race within a budget where no kernel sizes and no dilations are asked for)"
    ]
