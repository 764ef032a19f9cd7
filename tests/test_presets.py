"""The `paper` preset value by value, and what users' wishes make of the presets.

"Appendix" is Shen et al. 2022, Appendix A.5.2; "code" the authors' code, as in tables 1.2 and 2 of the project's
specification of the tasks.
"""

import dataclasses

import pytest

from dashnas.config import LearningRateSchedule, Schedule, Tuner
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.errors import ConfigError
from dashnas.presets import PRESETS, QUICK_STEPS, SAM_RADIUS, Options, resolve, tuning_share, usual_schedule
from dashnas.recipe import RECIPES, Optimiser
from dashnas.space import Architecture, Candidate, SearchSpace
from dashnas.training import steps_per_epoch

ARCHITECTURE = Architecture({"conv": Candidate(3)})


def spec(dims: int, kind: TargetKind = TargetKind.CLASSES, outputs: int = 10, side: int = 32) -> DataSpec:
    shape = (100,) if dims == 1 else (side, side)
    return DataSpec(channels=3, spatial_shape=shape, target_kind=kind, outputs=outputs)


def paper(dims: int, kind: TargetKind = TargetKind.CLASSES, outputs: int = 10, samples: int = 5000, **more):
    return resolve(Options(preset="paper", **more), spec(dims, kind, outputs), samples)


POINT = [TargetKind.CLASSES, TargetKind.MULTI_LABEL, TargetKind.REGRESSION]
DENSE = [TargetKind.DENSE_BINARY, TargetKind.DENSE_CLASSES, TargetKind.DENSE_REGRESSION]


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("kind", POINT + DENSE)
def test_the_search_has_the_paper_s_settings(dims, kind):
    search = paper(dims, kind).search
    rate = 0.01 if kind.is_dense else 0.1
    assert search.learning_rate == rate  # Appendix: 0.1 for point, 0.01 for dense tasks
    assert search.arch_learning_rate == rate / 2  # Appendix: 0.05 and 0.005
    assert search.momentum == 0.9  # Appendix, of weights and architecture parameters
    assert search.weight_decay == search.arch_weight_decay == 5e-4  # Appendix, of both
    # Appendix: decay by 0.2 at epoch 60, also in 1-D, where the code decays at 30, 60 and 90 (discrepancy 6)
    assert search.schedule == LearningRateSchedule(shape="steps", milestones=(60,), factor=0.2)
    assert search.clip == 1.0  # Appendix
    assert search.temperature == 1.0  # Appendix
    assert search.gumbel  # Section 3.3
    assert search.subsample == 0.2  # Appendix
    assert search.size_penalty == 1e-5  # Appendix
    assert search.arch_grad_norm == 1 / 100  # code, 1 / grad_scale with its default
    assert search.kernel_std == 0.01  # code, specification 2.1
    assert not search.separable  # the paper's convolutions are full (discrepancy 1)
    assert not search.drop_beyond_map  # the paper has no such rule
    assert not search.no_larger  # Section 3.3: the likeliest of each layer
    assert search.strategy == "auto"


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("kind", [TargetKind.CLASSES, TargetKind.DENSE_BINARY])
def test_epochs_and_final_training_are_the_paper_s(dims, kind):
    config = paper(dims, kind)
    # Appendix: 100 epochs of search, 24 configurations of 80, 200 of retraining
    assert config.schedule == Schedule(search_epochs=100, tune_trials=24, tune_epochs=80, retrain_epochs=200)
    milestones = (30, 60, 90, 120, 160) if dims == 1 else (60, 120, 160)  # Appendix
    assert config.retrain.schedule == LearningRateSchedule(shape="steps", milestones=milestones, factor=0.2)
    assert config.retrain.clip is None  # code: in search only (discrepancy 7)
    assert config.tune.tuner is Tuner.GRID  # Section 3.3


def test_backbones_widths_and_space_are_the_paper_s():
    images = paper(2)
    assert (images.backbone, images.width, images.search_width) == ("wrn", 64, 16)  # WRN-16-4; WRN-16-1 in the code
    assert images.space == SearchSpace(kernel_sizes=(3, 5, 7, 9), dilations=(1, 3, 7, 15))  # Section 3.3
    signals = paper(1)
    assert signals.backbone == "resnet1d"
    assert signals.space == SearchSpace(kernel_sizes=(3, 7, 11, 15, 19), dilations=(1, 3, 7, 15))  # Section 3.3


@pytest.mark.parametrize(
    ("kind", "outputs", "width"),
    [
        (TargetKind.CLASSES, 4, 4),  # ECG, specification 5.2
        (TargetKind.CLASSES, 10, 16),
        (TargetKind.CLASSES, 24, 64),  # Satellite
        (TargetKind.MULTI_LABEL, 36, 64),  # DeepSEA
        (TargetKind.REGRESSION, 24, 4),
    ],
)
def test_the_width_rule_of_the_1d_network(kind, outputs, width):
    config = paper(1, kind, outputs)
    assert config.width == config.search_width == width  # Appendix A.5.1


LOOPS = [
    # task, samples of the two-way and the three-way training split, batch size; B, search/epoch, share, B3, tune/epoch
    ("cifar100", 50_000, 40_000, 64, 782, 157, 0.01, 625, 7),
    ("spherical", 50_000, 40_000, 64, 782, 157, 0.01, 625, 7),
    ("darcy", 1_000, 900, 10, 100, 21, 0.05, 90, 5),
    ("psicov", 3_456, 3_456, 8, 432, 87, 0.05, 432, 22),
    ("cosmic", 4_410, 4_410, 4, 1103, 221, 0.01, 1103, 12),
    ("ninapro", 3_297, 2_638, 128, 26, 6, 0.2, 21, 5),
    ("fsd50k", 36_796, 36_796, 128, 288, 58, 0.05, 288, 15),
    ("ecg", 295_000, 261_740, 1024, 289, 58, 0.05, 256, 13),
    ("satellite", 900_000, 800_000, 256, 3516, 704, 0.01, 3125, 32),
    ("deepsea", 74_243, 71_753, 256, 291, 59, 0.05, 281, 15),
]


@pytest.mark.parametrize("row", LOOPS, ids=lambda row: row[0])
def test_loop_sizes_are_those_of_table_1_2(row):
    _, two_way, three_way, batch, b, searched, share, b3, tuned = row
    assert steps_per_epoch(two_way, batch) == b
    assert steps_per_epoch(two_way, batch, 0.2) == searched
    assert tuning_share(b) == share
    assert steps_per_epoch(three_way, batch) == b3
    assert steps_per_epoch(three_way, batch, share) == tuned


@pytest.mark.parametrize("row", LOOPS, ids=lambda row: row[0])
def test_the_share_of_the_tuning_follows_the_batches_of_training_and_validation_part(row):
    _, two_way, three_way, batch, _, _, share, _, _ = row
    config = resolve(Options(preset="paper", batch_size=batch), spec(2), three_way, two_way)
    assert config.tune.subsample == share


def test_the_authors_depthwise_search_is_an_option():
    assert paper(2, separable=True).search.separable


@pytest.mark.parametrize(("samples", "batch_size"), [(9, 16), (100, 16), (200, 32), (5000, 64)])
def test_the_default_batch_is_about_a_quarter_of_small_data(samples, batch_size):
    assert resolve(Options(), spec(1), samples).batch_size == batch_size


@pytest.mark.parametrize("preset", ["default", "quick"])
def test_what_is_searched_is_no_larger_than_the_untouched_network_where_epochs_are_what_fits_a_time(preset):
    timed = Schedule(search_epochs=1, tune_trials=1, tune_epochs=1, retrain_epochs=1, backbone_epochs=2)
    expected = {
        True: [{"budget_seconds": 60}, {"schedule": timed}],
        False: [
            {},
            {"epochs": 10},
            {"budget_seconds": 60, "race": False},
            {"budget_seconds": 60, "kernel_sizes": (3, 9)},
            {"budget_seconds": 60, "dilations": (1, 3)},
            {"schedule": dataclasses.replace(timed, backbone_epochs=None)},
        ],
    }
    for no_larger, asked in expected.items():
        for more in asked:
            assert resolve(Options(preset=preset, **more), spec(1), 300).search.no_larger is no_larger


@pytest.mark.parametrize("preset", ["default", "quick"])
def test_the_final_training_may_be_sharpness_aware_in_a_race_within_a_budget_unless_something_else_is_asked_for(preset):
    for more in ({"budget_seconds": 60}, {"budget_seconds": 60, "kernel_sizes": (3, 9)}):
        config = resolve(Options(preset=preset, **more), spec(1), 300)
        assert (config.retrain.sam_radius_in_budget, config.recipe.sam_radius) == (SAM_RADIUS, 0.0)
    timed = Schedule(search_epochs=1, tune_trials=1, tune_epochs=1, retrain_epochs=1, backbone_epochs=2)
    for more in ({}, {"epochs": 10}, {"budget_seconds": 60, "race": False}, {"schedule": timed}):
        assert resolve(Options(preset=preset, **more), spec(1), 300).retrain.sam_radius_in_budget == 0
    for kind in TargetKind:
        may = resolve(Options(preset=preset, budget_seconds=60), spec(1, kind), 300).retrain.sam_radius_in_budget > 0
        assert may is not kind.is_regression
    for asked in (0.0, 0.3):
        config = resolve(Options(preset=preset, budget_seconds=60, sam_radius=asked), spec(1), 300)
        assert (config.retrain.sam_radius_in_budget, config.recipe.sam_radius) == (0.0, asked)
    assert resolve(Options(preset="paper", budget_seconds=60), spec(1), 300).retrain.sam_radius_in_budget == 0


@pytest.mark.parametrize(("asked", "kept"), [(None, 0.1), (0.0, None), (0.3, None)])
def test_a_schedule_is_repeated_with_its_sharpness_aware_training_unless_something_else_is_asked_for(asked, kept):
    schedule = Schedule(search_epochs=1, tune_trials=1, tune_epochs=1, retrain_epochs=1, sam_radius=0.1)
    resolved = resolve(Options(schedule=schedule, sam_radius=asked), spec(1), 300).schedule
    assert resolved == dataclasses.replace(schedule, sam_radius=kept)


def test_defaults_clip_the_final_training_and_drop_what_reaches_beyond_the_map():
    config = resolve(Options(), spec(1), 300)
    assert (config.width, config.search_width) == (64, None)
    assert config.retrain.clip == 1.0
    assert config.search.drop_beyond_map
    assert config.tune.tuner is Tuner.HALVING


@pytest.mark.parametrize(
    ("samples", "epochs"), [(64, 120), (64 * 25, 100), (64 * 50, 50), (64 * 1000, 20)]
)  # 2500 steps, but at least 20 and at most 120 epochs
def test_the_usual_schedule_has_about_the_same_steps_for_any_size(samples, epochs):
    assert usual_schedule("default", samples) == Schedule(
        search_epochs=epochs // 2, tune_trials=8, tune_epochs=epochs // 2, retrain_epochs=epochs
    )


def test_quick_tries_one_recipe_on_a_narrow_network():
    config = resolve(Options(preset="quick"), spec(1), 300)
    assert config.width == 16
    assert config.schedule is not None
    assert config.schedule.tune_trials == QUICK_STEPS.trials == 1


def test_epochs_halve_for_search_and_tuning_unless_they_are_given():
    assert resolve(Options(epochs=5), spec(1), 300).schedule == Schedule(
        search_epochs=3, tune_trials=8, tune_epochs=3, retrain_epochs=5
    )
    given = Options(epochs=5, search_epochs=7, tune_trials=2, tune_epochs=1)
    assert resolve(given, spec(1), 300).schedule == Schedule(
        search_epochs=7, tune_trials=2, tune_epochs=1, retrain_epochs=5
    )


@pytest.mark.parametrize("preset", ["default", "quick"])
@pytest.mark.parametrize(
    ("dims", "wishes", "recipe", "batch_size"),
    [
        (1, {}, RECIPES[Optimiser.MUON], 64),
        (1, {"backbone": "tcn"}, RECIPES[Optimiser.MUON], 64),
        (1, {"optimiser": "sgd"}, RECIPES[Optimiser.SGD], 64),
        (1, {"optimiser": "adamw"}, RECIPES[Optimiser.ADAMW], 64),
        (2, {}, RECIPES[Optimiser.MUON], 16),
        (2, {"backbone": "convnext"}, RECIPES[Optimiser.ADAMW], 16),
        (2, {"optimiser": "adamw"}, RECIPES[Optimiser.ADAMW], 16),
        (2, {"device": "cuda"}, RECIPES[Optimiser.MUON], 64),
        (2, {"batch_size": 32}, RECIPES[Optimiser.MUON], 32),
        (2, {"optimiser": "sgd"}, RECIPES[Optimiser.SGD], 64),
    ],
)
def test_networks_are_trained_by_muon_and_those_of_images_on_a_cpu_in_small_batches(
    preset, dims, wishes, recipe, batch_size
):
    config = resolve(Options(preset=preset, **wishes), spec(dims), 300)
    assert (config.recipe, config.batch_size) == (recipe, batch_size)


@pytest.mark.parametrize(("side", "batch_size"), [(63, 64), (64, 16)])
def test_so_are_large_ones_on_a_gpu(side, batch_size):
    assert resolve(Options(device="cuda"), spec(2, side=side), 300).batch_size == batch_size


@pytest.mark.parametrize("batch_size", [None, 8, 256])
def test_the_usual_epochs_do_not_depend_on_the_batch_size(batch_size):
    assert resolve(Options(batch_size=batch_size), spec(2), 3200).schedule == usual_schedule("default", 3200)


def test_an_optimiser_brings_its_usual_rate_to_every_preset_without_a_grid():
    large = DataSpec(channels=3, spatial_shape=(224, 224), target_kind=TargetKind.CLASSES, outputs=1000)
    assert resolve(Options(preset="imagenet", optimiser="adamw"), large, 1000).recipe == RECIPES[Optimiser.ADAMW]
    with pytest.raises(ConfigError, match="takes its recipes from a grid; leave out optimiser"):
        resolve(Options(preset="paper", optimiser="adamw"), spec(1), 300)
    with pytest.raises(ConfigError, match=r"unknown optimiser 'adam'.*adamw"):
        Options(optimiser="adam")


@pytest.mark.parametrize(("race", "epochs"), [(True, 9), (False, None)])
def test_without_a_race_a_schedule_has_no_epochs_for_it(race, epochs):
    """And no wider network for it."""
    raced = Schedule(
        search_epochs=1, tune_trials=1, tune_epochs=3, retrain_epochs=3, width=4, backbone_epochs=9, backbone_width=8
    )
    schedule = resolve(Options(schedule=raced, race=race), spec(1), 300).schedule
    assert schedule is not None
    assert schedule.backbone_epochs == epochs
    assert schedule.backbone_width == (8 if race else None)


def test_a_budget_leaves_epochs_and_width_open_in_the_default_preset_alone():
    config = resolve(Options(budget_seconds=60), spec(1), 300)
    assert config.schedule is None
    assert config.width is None
    assert resolve(Options(budget_seconds=60, width=8), spec(1), 300).width == 8
    assert resolve(Options(budget_seconds=60, preset="quick"), spec(1), 300).width == 16


def test_a_given_architecture_takes_the_search_away():
    whole = Schedule(search_epochs=2, tune_trials=1, tune_epochs=1, retrain_epochs=4)
    for chosen in (Options(epochs=4), Options(schedule=whole)):
        schedule = resolve(dataclasses.replace(chosen, architecture=ARCHITECTURE), spec(1), 300).schedule
        assert schedule is not None
        assert (schedule.search_epochs, schedule.retrain_epochs) == (0, 4)


def test_a_wish_for_a_width_is_one_for_search_and_training():
    config = paper(2, width=24)
    assert (config.width, config.search_width) == (24, None)


@pytest.mark.parametrize("preset", PRESETS)
def test_height_and_width_choose_each_for_itself_when_asked_to(preset):
    config = resolve(Options(preset=preset, per_axis=True), spec(2), 300)
    assert config.space == SearchSpace.for_dims(2, per_axis=True)
    config = resolve(Options(preset=preset, per_axis=True, kernel_sizes=(1, 5), dilations=(1, 2)), spec(2), 300)
    assert config.space == SearchSpace(kernel_sizes=(1, 5), dilations=(1, 2), per_axis=True)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_learning_rate_of_the_search_brings_half_of_it_for_the_architecture_parameters(preset):
    usual = resolve(Options(preset=preset), spec(1), 300)
    assert usual.search.arch_learning_rate == usual.search.learning_rate / 2
    config = resolve(Options(preset=preset, search_learning_rate=0.02), spec(1), 300)
    search = dataclasses.replace(usual.search, learning_rate=0.02, arch_learning_rate=0.01)
    assert config == dataclasses.replace(usual, search=search)


def test_a_network_that_is_given_does_not_race():
    assert resolve(Options(), spec(1), 300).tune.race
    assert not resolve(Options(architecture=Architecture({"a": Candidate(3)})), spec(1), 300).tune.race
    assert not resolve(Options(race=False), spec(1), 300).tune.race


def test_the_schedule_of_a_run_that_had_no_time_to_search_can_be_repeated():
    assert resolve(Options(schedule=NO_SEARCH), spec(1), 300).schedule == NO_SEARCH


NO_SEARCH = Schedule(search_epochs=0, tune_trials=1, tune_epochs=1, retrain_epochs=1)
REFUSED = [
    ({"preset": "papers"}, "unknown preset 'papers'; did you mean 'paper'"),
    ({"budget_seconds": 60, "epochs": 3}, "either a budget or epochs, not both"),
    ({"budget_seconds": 60, "tune_trials": 3, "tune_epochs": 1}, "either a budget or tune_trials, tune_epochs"),
    ({"schedule": NO_SEARCH, "epochs": 3}, "a schedule says all epochs and trials"),
    ({"schedule": NO_SEARCH, "budget_seconds": 3}, "a schedule says all epochs and trials"),
    ({"schedule": NO_SEARCH, "race": False}, "search_epochs 0 would leave the architecture to chance"),
    ({"search_epochs": 0}, "search_epochs 0 would leave the architecture to chance"),
    ({"preset": "paper", "race": True}, "the preset 'paper' has no race"),
    ({"architecture": Architecture({"a": Candidate(3)}), "race": True}, "an architecture that is given is trained"),
    ({"epochs": 0}, "retrain_epochs must be at least 1, got 0"),
    ({"preset": "paper", "dropout": 0.1}, "the preset 'paper' takes its recipes from a grid; leave out dropout"),
    ({"preset": "paper", "sam_radius": 0.0}, "the preset 'paper' takes its recipes from a grid; leave out sam_radius"),
    ({"schedule": dataclasses.replace(NO_SEARCH, width=8), "width": 16}, "was made for width 8, but width 16 was"),
    ({"kernel_sizes": (3, 4)}, "kernel_size must be odd"),
    ({"per_axis": True}, "per_axis is for images; signals have one axis only"),
    ({"batch_size": 0}, "batch_size must be at least 2"),
    ({"preset": "paper", "batch_size": 0}, "batch_size must be at least 2"),
]


@pytest.mark.parametrize(("wishes", "message"), REFUSED)
def test_wishes_that_contradict_each_other_are_refused(wishes, message):
    with pytest.raises(ConfigError, match=message):
        resolve(Options(**wishes), spec(1), 300)


def test_a_negative_seed_is_refused_at_once():
    with pytest.raises(ConfigError, match="seed must not be negative, got -3"):
        Options(seed=-3)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_wishes_of_the_user_stand_above_every_preset(preset):
    wishes = Options(
        preset=preset, seed=3, metric="error", class_weights="balanced", backbone="tcn", width=5, kernel_sizes=(3,),
        dilations=(2,), separable=True, batch_size=7, optimiser="adamw",
        learning_rate=0.3, weight_decay=0.0, dropout=0.4, cutout=0.2, sam_radius=0.3, device="cpu", threads=1,
    )  # fmt: skip
    if preset == "paper":  # which tries a grid of its own
        wishes = dataclasses.replace(
            wishes, optimiser=None, learning_rate=None, weight_decay=None, dropout=None, cutout=None, sam_radius=None
        )
    config = resolve(wishes, spec(1), 300)
    for name in ("preset", "seed", "metric", "class_weights", "backbone", "width", "batch_size", "device", "threads"):
        assert getattr(config, name) == getattr(wishes, name), name
    for name in ("optimiser", "learning_rate", "weight_decay", "dropout", "cutout", "sam_radius"):
        assert getattr(wishes, name) in (None, getattr(config.recipe, name)), name
    assert config.search.separable
    assert config.space == SearchSpace(kernel_sizes=(3,), dilations=(2,))


@pytest.mark.parametrize(
    ("preset", "backbone", "width", "epochs"), [("imagenet", "convnext", 96, 100), ("imagenet-wrn", "wrn", 64, 50)]
)
def test_the_presets_for_imagenet_have_what_the_appendix_tells(preset, backbone, width, epochs):
    large = DataSpec(channels=3, spatial_shape=(224, 224), target_kind=TargetKind.CLASSES, outputs=1000)
    config = resolve(Options(preset=preset), large, 1_281_167)
    assert (config.backbone, config.width) == (backbone, width)  # ConvNeXt-T and WRN 16-4
    assert config.space == SearchSpace(kernel_sizes=(3, 5, 7, 9, 11), dilations=(1, 3, 7))
    assert config.search.subsample == 0.2
    assert config.schedule == Schedule(search_epochs=10, tune_trials=1, tune_epochs=1, retrain_epochs=epochs)
    assert config.data.augment
    own = resolve(Options(preset=preset, kernel_sizes=(3, 5), dilations=(1,)), large, 1_281_167).space
    assert own == SearchSpace(kernel_sizes=(3, 5), dilations=(1,))
