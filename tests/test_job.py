"""The networks of a run, and how a budget chooses their width."""

import math
from contextlib import contextmanager
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

import dashnas.job
from dashnas.budget import RESERVE, EpochCosts, full_trials
from dashnas.config import Schedule, TuneConfig
from dashnas.convert import mixtures
from dashnas.data import TargetKind
from dashnas.errors import ConfigError, NotEnoughMemoryError, RunError
from dashnas.job import SOME_DROPOUT, WIDTHS, Calibration, Job, find_device, workspace
from dashnas.memory import count_step
from dashnas.phases import Searched, searched, settled_schedule
from dashnas.presets import Options
from dashnas.progress import Reporter, Silent
from dashnas.recipe import Recipe
from dashnas.space import Architecture, Candidate
from dashnas.tune import Trial
from tiny import arrays, options


@contextmanager
def job(chosen: Options | None = None, reporter: Reporter | None = None):
    with workspace(arrays(TargetKind.CLASSES), chosen or options(), None, reporter) as made:
        yield made


SCHEDULE = Schedule(search_epochs=1, tune_trials=1, tune_epochs=1, retrain_epochs=1)
ARCHITECTURE = Architecture({"blocks.0.units.0.conv": Candidate(3)})


def test_fresh_networks_always_have_the_same_weights():
    with job() as one:
        for architecture in (None, ARCHITECTURE):
            torch.manual_seed(1)
            first = one.network(architecture).state_dict()
            torch.manual_seed(2)
            torch.testing.assert_close(one.network(architecture).state_dict(), first, rtol=0, atol=0)
        torch.testing.assert_close(
            one.supernet()[0].state_dict(), one.supernet()[0].state_dict(), rtol=0, atol=0
        )  # fmt: skip


def test_the_weights_follow_the_seed():
    with job() as one, job(options(seed=1)) as other:
        first, second = one.network(None).state_dict(), other.network(None).state_dict()
    assert not torch.equal(first["blocks.0.units.0.conv.weight"], second["blocks.0.units.0.conv.weight"])


def test_making_networks_leaves_the_default_generator_alone():
    with job() as one:
        state = torch.get_rng_state()
        one.network(None)
        one.supernet()
        one.calibrate()
        assert torch.equal(torch.get_rng_state(), state)


def test_searched_and_untouched_network_have_the_same_layers_and_width():
    with job() as one:
        stock, derived, (supernet, _) = one.network(None), one.network(ARCHITECTURE), one.supernet()
    shapes = {name: m.out_channels for name, m in stock.named_modules() if isinstance(m, torch.nn.Conv1d)}
    assert {n: m.out_channels for n, m in derived.named_modules() if isinstance(m, torch.nn.Conv1d)} == shapes
    assert {name: layer.out_channels for name, layer in mixtures(supernet).items()}.items() <= shapes.items()


def test_the_paper_searches_on_a_narrow_network_and_trains_a_wide_one():
    wide = options(preset="paper", width=None)
    with workspace(arrays(TargetKind.CLASSES, 2), wide, None, None) as one:
        assert one.topology(None).width == 64
        narrow = {layer.out_channels for layer in mixtures(one.supernet()[0]).values()}
        assert narrow == {16, 32, 64}  # WRN-16-1


def test_calibration_times_the_largest_network_that_may_be_derived():
    with job() as one:
        seen = []
        network = one.network
        one.network = lambda architecture, dropout=0.0: seen.append(architecture) or network(architecture, dropout)
        calibration = one.calibrate()
    assert {str(choice) for choice in seen[0].values()} == {"k5_d2"}
    assert seen[1] is None
    assert set(calibration.needs) == {"search", "derived", "backbone"}
    costs = calibration.costs
    assert min(costs.search, costs.derived, costs.backbone) > 0
    assert costs.retrain_share == pytest.approx(48 / 36)  # 36 samples for training, 12 for validation


def test_with_a_given_architecture_no_search_is_timed():
    with job(options(architecture=ARCHITECTURE)) as one:
        calibration = one.calibrate()
        assert calibration.costs.search == 0
        assert set(calibration.needs) == {"derived", "backbone"}
        assert one.search(None) == (ARCHITECTURE, 0.0)


@pytest.mark.parametrize(
    ("seconds_per_width", "chosen", "timed"),
    [
        (1e-6, 64, [16, 32, 64]),  # every width gets enough epochs
        (3e-2, 32, [16, 32, 64]),
        (1.0, 16, [16]),  # the smallest has too few already: no other is timed
    ],
)
def test_the_largest_width_is_chosen_that_still_gets_enough_epochs(seconds_per_width, chosen, timed, monkeypatch):
    free = options(width=None, epochs=None, tune_trials=None, budget_seconds=100)
    with job(free) as one:
        asked = []

        def calibrate():
            asked.append(one.config.width)
            cost = seconds_per_width * (one.config.width / 16) ** 2
            return Calibration(
                EpochCosts(search=cost, derived=cost, backbone=cost, retrain_share=1.25, beside=cost), {}
            )

        monkeypatch.setattr(one, "calibrate", calibrate)
        schedule = one.schedule_within(100)
    assert asked == timed
    assert schedule.width == chosen
    assert WIDTHS == (16, 32, 64)


@pytest.mark.parametrize(
    ("beside", "members", "touched", "seconds", "epochs"),
    [
        # 50 s, of which 12 % in reserve, at 2 * 1.25 s
        (False, ["derived"], True, {"backbone": 1.0, "derived": 2.0}, 17),
        (True, ["derived"], True, {"backbone": 1.0, "derived": 2.0}, 11),
        (True, ["backbone"], False, {"backbone": 1.0, "derived": 2.0}, 35),
        (True, ["backbone"], True, {"backbone": 1.0, "derived": 2.0}, 17),  # with another head, and the untouched one
        (True, ["derived"], True, {"derived": 2.0}, 8),  # the backbone diverged; it is taken to cost as much
        (False, ["derived"], True, {"derived": 1e9}, 1),
        (False, ["derived", "backbone", "derived"], True, {"backbone": 1.0, "derived": 2.0}, 7),
    ],
)
def test_after_a_race_the_training_fills_what_is_left(beside, members, touched, seconds, epochs, monkeypatch):
    schedule = Schedule(search_epochs=3, tune_trials=1, tune_epochs=2, retrain_epochs=4, width=16)
    with job(options(race=True, epochs=None, tune_trials=None, budget_seconds=100)) as one:
        one.beside = beside
        monkeypatch.setattr("dashnas.job.len", lambda part: 125 if part is one.data.development else 100, raising=False)
        after = one.schedule_after_race(schedule, members, seconds, spent=50.0, touched=touched)
    assert after == replace(schedule, retrain_epochs=epochs)


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
        assert one._has_time_for_recipe(trials) is has_time
    with job() as one:
        assert one._has_time_for_recipe(trials), "there is no budget"


def test_no_width_is_taken_that_leaves_no_time_to_search(monkeypatch):
    free = options(race=True, width=None, epochs=None, tune_trials=None, budget_seconds=100)
    with job(free) as one:

        def calibrate():
            cost = 0.5 * (one.config.width / 16) ** 2
            return Calibration(EpochCosts(search=cost, derived=cost, backbone=cost / 20, retrain_share=1.25), {})

        monkeypatch.setattr(one, "calibrate", calibrate)
        schedule = one.schedule_within(100)
    assert schedule.width < 64
    assert schedule.search_epochs > 0


@pytest.mark.parametrize(
    ("seconds", "widths"),
    [
        # A step of the untouched backbone of width 16; twice that with 32, four times with 64. 88 s have to have
        # 200 epochs in them, of 4 steps.
        (0.09, (16, None)),
        (0.04, (16, 32)),
        (0.02, (16, 64)),
    ],
)
def test_the_untouched_backbone_may_be_wider_where_it_gets_many_epochs(seconds, widths, monkeypatch):
    def steps(phase, *_, **__):
        width = phase.model.blocks[0].units[0].conv.out_channels / 16
        return width * (seconds if phase.name == "backbone" else 0.3)

    monkeypatch.setattr("dashnas.job.time_steps", steps)
    free = options(race=True, width=None, epochs=None, tune_trials=None, budget_seconds=100)
    with job(free) as one:
        one.started += 10  # so that it does not matter what planning takes
        schedule = settled_schedule(one)
        assert (schedule.width, schedule.backbone_width) == widths
        assert schedule.search_epochs > 0
        untouched, searched_ = one.network(None), one.network(ARCHITECTURE)
        assert untouched.blocks[0].units[0].conv.out_channels == (widths[1] or widths[0])
        assert searched_.blocks[0].units[0].conv.out_channels == widths[0]
        # Both have about as much time in the race.
        if widths[1]:
            theirs = schedule.tune_epochs * 0.3
            assert 0.8 * theirs < schedule.epochs_of("backbone") * seconds * widths[1] / 16 < 1.01 * theirs


@pytest.mark.parametrize(
    ("narrow", "wide", "asked", "chosen"),
    [
        (0.5, 1.0, None, "bfloat16"),
        (0.99, 1.0, None, "float32"),  # not worth the digits
        (2.0, 1.0, None, "float32"),
        (2.0, 1.0, "bfloat16", "bfloat16"),
        (0.5, 1.0, "float32", "float32"),
    ],
)
@pytest.mark.parametrize("more", [{"race": True}, {"architecture": ARCHITECTURE}])
def test_a_budget_chooses_the_precision_in_which_steps_are_faster(more, narrow, wide, asked, chosen, monkeypatch):
    monkeypatch.setattr("dashnas.presets.computes_bfloat16", lambda device: True)
    monkeypatch.setattr(
        "dashnas.job.time_steps", lambda phase, *_, **__: 1e-3 * (narrow if phase.precision == "bfloat16" else wide)
    )
    free = options(epochs=None, tune_trials=None, budget_seconds=100, precision=asked, **more)
    with job(free) as one:
        schedule = settled_schedule(one)
        assert one.config.retrain.precision == chosen
        assert one.config.search.precision == (asked or "float32")
        assert schedule.precision == (None if asked else chosen)
        if "race" in more:
            after = one.schedule_after_search(schedule, ARCHITECTURE, 1.0, untouched_raced=True)
            assert after.precision == schedule.precision
    repeated = options(epochs=None, tune_trials=None, width=None, schedule=schedule, **more)
    with job(repeated) as one:
        monkeypatch.setattr("dashnas.job.time_steps", lambda *_, **__: pytest.fail("timed"))
        settled_schedule(one)
        assert one.config.retrain.precision == (chosen if not asked else "bfloat16")
    for precision in ("float32", "tf32"):
        with job(replace(repeated, precision=precision)) as one:
            settled_schedule(one)
            assert one.config.retrain.precision == precision


def test_numbers_are_trained_for_in_float32_without_timing_anything_else(monkeypatch):
    monkeypatch.setattr("dashnas.presets.computes_bfloat16", lambda device: True)
    timed = set()
    monkeypatch.setattr("dashnas.job.time_steps", lambda phase, *_, **__: timed.add(phase.precision) or 1e-3)
    free = options(epochs=None, tune_trials=None, budget_seconds=100)
    with workspace(arrays(TargetKind.REGRESSION), free, None, None) as one:
        assert settled_schedule(one).precision is None
    assert timed == {"float32"}


def test_a_width_that_was_asked_for_is_kept_within_a_budget(monkeypatch):
    with job(options(width=8, epochs=None, tune_trials=None, budget_seconds=100)) as one:
        asked = []
        cheap = Calibration(EpochCosts(search=1e-6, derived=1e-6, backbone=1e-6, retrain_share=1.25), {})
        monkeypatch.setattr(one, "calibrate", lambda: asked.append(one.config.width) or cheap)
        assert one.schedule_within(100).width == 8
    assert asked == [8]


def test_the_time_that_reading_and_timing_took_is_off_the_budget(monkeypatch):
    with job(options(width=8, epochs=None, tune_trials=None, budget_seconds=100)) as one:
        costs = EpochCosts(search=1.0, derived=1.0, backbone=1.0, retrain_share=1.25)
        monkeypatch.setattr(one, "calibrate", lambda: Calibration(costs, {}))
        fresh = one.schedule_within(1000)
        one.started -= 500
        assert one.schedule_within(1000).retrain_epochs < fresh.retrain_epochs


def test_dropout_takes_time_only_where_the_recipe_has_it(monkeypatch):
    """Its memory is counted in any case, for the recipes that are drawn later."""
    timed, weighed = set(), set()

    def look(found, result):
        def looked(phase, device, **_):
            dropouts = (module.p for module in phase.model.modules() if isinstance(module, nn.Dropout))
            found.update((phase.name, probability) for probability in dropouts)
            return result(phase, device)

        return looked

    monkeypatch.setattr("dashnas.job.time_steps", look(timed, lambda *_: 1.0))
    monkeypatch.setattr("dashnas.job.count_step", look(weighed, count_step))
    for dropout in (0.0, 0.2):
        with job(options(dropout=dropout)) as one:
            one.calibrate()
        assert timed == {("search", 0.0), ("derived", dropout), ("backbone", dropout)}
        assert weighed == {("search", 0.0), *((name, dropout or SOME_DROPOUT) for name in ("derived", "backbone"))}
        timed.clear()
        weighed.clear()


BUDGET = {"width": 8, "epochs": None, "search_epochs": None, "tune_trials": None, "tune_epochs": None}


class TestScheduleAfterTheSearch:
    """The network that was found costs something else than the largest, for which the run was planned."""

    @pytest.fixture
    def costs(self, monkeypatch):
        """An epoch of the chosen network takes a second."""
        costs = EpochCosts(search=0.0, derived=1.0, backbone=0.0, retrain_share=1.0)
        monkeypatch.setattr(Job, "_epoch_costs", lambda *_: costs)

    @pytest.mark.parametrize(("spent", "searched"), [(40.0, 30.0), (0.0, 40.0)])
    def test_fills_what_is_left_of_the_budget(self, costs, spent, searched):
        """Also where an earlier process has searched."""
        with job(options(**BUDGET, budget_seconds=100.0)) as one:
            one.started -= spent
            schedule = one.schedule_after_search(
                replace(SCHEDULE, search_epochs=7, width=8), ARCHITECTURE, searched, untouched_raced=False
            )
        assert (schedule.search_epochs, schedule.width) == (7, 8)

        def seconds(epochs):
            return math.ceil(epochs / 2) * full_trials(schedule.tune_trials, TuneConfig()) + epochs

        assert seconds(schedule.retrain_epochs) <= 60 * (1 - RESERVE) < seconds(schedule.retrain_epochs + 1)

    def test_has_nothing_for_an_untouched_backbone_that_has_raced(self, monkeypatch):
        costs = EpochCosts(search=0.0, derived=1.0, backbone=1.0, retrain_share=1.0)
        monkeypatch.setattr(Job, "_epoch_costs", lambda *_: costs)
        before = replace(SCHEDULE, search_epochs=7, width=8, backbone_epochs=5)
        with job(options(**BUDGET, race=True, budget_seconds=100.0)) as one:
            raced, not_raced = (
                one.schedule_after_search(before, ARCHITECTURE, 40.0, untouched_raced=raced) for raced in (True, False)
            )
        assert raced.backbone_epochs == 5
        assert raced.tune_epochs == 5 < not_raced.tune_epochs

    @pytest.mark.parametrize(("derived", "epochs"), [(2.0, 12), (0.5, 24), (0.25, 48)])
    def test_the_searched_network_gets_no_more_epochs_and_seconds_than_the_untouched_one_had(
        self, derived, epochs, monkeypatch
    ):
        costs = EpochCosts(search=0.0, derived=derived, backbone=1.0, retrain_share=1.0)
        monkeypatch.setattr(Job, "_epoch_costs", lambda *_: costs)
        before = replace(SCHEDULE, search_epochs=7, width=8, backbone_epochs=12)
        with job(options(**BUDGET, race=True, budget_seconds=1000.0)) as one:
            schedule = one.schedule_after_search(before, ARCHITECTURE, 40.0, untouched_raced=True)
        assert schedule.tune_epochs == epochs

    def test_is_kept_for_the_phases_that_follow(self, costs, monkeypatch):
        monkeypatch.setattr(Job, "search", lambda *_: (ARCHITECTURE, 1.0))
        listener = Messages()
        with job(options(**BUDGET, budget_seconds=100.0), reporter=listener) as one:
            first = searched(one, replace(SCHEDULE, width=8))
            assert first.schedule.retrain_epochs > SCHEDULE.retrain_epochs
            assert one.session.run.read("schedule.json", default=None) == asdict(first.schedule)
            assert searched(one, first.schedule) == first
        assert [text for text in listener.told if text.startswith("time left for: tune ")]

    @pytest.mark.parametrize("more", [{}, {**BUDGET, "budget_seconds": 100.0, "architecture": ARCHITECTURE}])
    def test_is_the_one_there_was_without_a_budget_or_a_search(self, costs, monkeypatch, more):
        monkeypatch.setattr(Job, "search", lambda *_: (ARCHITECTURE, 0.0))
        with job(options(**more)) as one:
            assert searched(one, SCHEDULE) == Searched(ARCHITECTURE, 0.0, SCHEDULE)
            assert one.session.run.read("schedule.json", default=None) is None


class Messages(Silent):
    def __init__(self):
        self.told = []

    def message(self, text):
        self.told.append(text)


def test_the_reading_of_the_data_and_what_is_searched_are_told():
    listener = Messages()
    with job(options(kernel_sizes=(3, 5), dilations=(1, 7)), reporter=listener) as one:
        one._tell_conversion(one.supernet()[1])
    assert any("60 samples of 2 channels, length 16" in text for text in listener.told)
    told = next(text for text in listener.told if text.startswith("searching"))
    # Of a map of 16 samples none of (k - 1) d / 2 = 1, 2, 7, 14 reaches beyond.
    assert told == "searching 9 layers with 36 candidates in all"
    with job(options(kernel_sizes=(3, 5), dilations=(1, 9)), reporter=listener) as one:
        one._tell_conversion(one.supernet()[1])
    told = [text for text in listener.told if text.startswith("searching")][-1]
    assert told.startswith("searching 9 layers with 27 candidates in all; 9 more reach beyond")


def test_a_resumed_search_takes_the_plan_that_was_saved(monkeypatch):
    used = []
    monkeypatch.setattr(
        "dashnas.job.search", lambda supernet, *_, **__: used.append({m.strategy for m in mixtures(supernet).values()})
    )
    with job() as one:
        one.search(SCHEDULE)
        plan = one.session.run.read("plan.json", default=None)
        assert set(plan) == set(mixtures(one.supernet()[0]))
        assert used == [set(plan.values())]
        one.session.run.write("plan.json", dict.fromkeys(plan, "grouped"))
        one.search(SCHEDULE)
        assert used[1] == {"grouped"}


def test_a_resumed_run_weighs_the_search_by_the_plan_that_was_saved():
    """As where micro_batch.json was damaged and deleted."""
    with job() as one:
        one.session.run.write("plan.json", dict.fromkeys(mixtures(one.supernet()[0]), "mixed_results"))
        weighed = one._sample_phases()["search"].model
    assert {layer.strategy for layer in mixtures(weighed).values()} == {"mixed_results"}


def test_a_strategy_that_was_asked_for_is_taken_everywhere():
    with job(options(strategy="fourier")) as one:
        supernet, conversion = one.supernet()
        assert set(one._plan(supernet, conversion).values()) == {"fourier"}


@pytest.mark.parametrize("content", [{}, {"blocks.0.units.0.conv": "fastest"}, []])
def test_a_plan_that_does_not_fit_the_search_is_damage(content):
    with job() as one:
        one.session.run.write("plan.json", content)
        with pytest.raises(RunError, match=r"plan\.json is damaged"):
            one.search(SCHEDULE)


def test_the_training_part_alone_decides_class_weights(monkeypatch):
    seen = []
    monkeypatch.setattr("dashnas.job.class_weights", lambda setting, part: seen.append(part))
    with job() as one:
        assert seen == [one.data.train]


@pytest.mark.parametrize("name", ["nonsense", "cpu:x", ""])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(ConfigError, match=r"unknown device .*; try cpu, cuda or cuda:0"):
        find_device(name)


def test_a_missing_gpu_is_said_to_be(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="PyTorch finds no GPU; use --device cpu"):
        find_device("cuda")


def test_entropy_starts_near_that_of_no_preference():
    with job() as one:
        for layer in mixtures(one.supernet()[0]).values():
            assert layer.mixture_entropy() == pytest.approx(math.log(len(layer.candidates)), abs=1e-4)


def test_a_width_that_does_not_fit_the_memory_ends_the_widening(monkeypatch):
    free = options(width=None, epochs=None, tune_trials=None, budget_seconds=100)
    with job(free) as one:

        def calibrate():
            if one.config.width > 32:
                raise NotEnoughMemoryError("64 does not fit")
            return Calibration(EpochCosts(search=1e-6, derived=1e-6, backbone=1e-6, retrain_share=1.25), {})

        monkeypatch.setattr(one, "calibrate", calibrate)
        assert one.schedule_within(100).width == 32
        monkeypatch.setattr(one, "widths", (64,))
        with pytest.raises(NotEnoughMemoryError, match="64 does not fit"):
            one.schedule_within(100)


def test_steps_are_timed_in_the_pieces_that_fit(monkeypatch):
    timed = []
    monkeypatch.setattr("dashnas.job.fitting_micro_batch", lambda *_: 4)
    monkeypatch.setattr("dashnas.job.time_steps", lambda phase, device, micro_batch: timed.append(micro_batch) or 1.0)
    with job() as one:
        one.calibrate()
    assert timed == [4, 4, 4]


def test_memory_that_surely_suffices_is_not_measured(monkeypatch):
    """So that the outcome depends on no measurement."""
    monkeypatch.setattr("dashnas.job.measure_step", lambda *_: pytest.fail("measured"))
    with job() as one:
        one.settle_micro_batches()
        assert one.session.run.read("micro_batch.json", default={}) == {"search": 16, "derived": 16, "backbone": 16}


def test_what_a_budget_was_planned_with_is_not_weighed_again(monkeypatch):
    weighed = []
    count = dashnas.job.count_step
    monkeypatch.setattr(
        "dashnas.job.count_step", lambda phase, device: weighed.append(phase.name) or count(phase, device)
    )
    budget = {"epochs": None, "tune_trials": None, "budget_seconds": 1}
    with job(options(width=8, precision="float32", **budget)) as one:  # or steps in both would be weighed and timed
        settled_schedule(one)
        assert one.session.run.read("micro_batch.json", default={}) == {"search": 16, "derived": 16, "backbone": 16}
    assert sorted(weighed) == ["backbone", "derived", "search"]


HUGE = Candidate(9_999_999)
TOO_LARGE = {
    "the supernet": options(width=64, kernel_sizes=(9_999_999,), dilations=(1,), memory_bytes=10**9),
    "the derived network": options(width=64, architecture=Architecture({"blocks.0.units.1.conv": HUGE})),
}


@pytest.mark.parametrize("network", TOO_LARGE)
def test_weights_that_do_not_fit_are_never_made(network, monkeypatch):
    monkeypatch.setattr("dashnas.job.free_bytes", lambda device: 2 * 10**9)
    with job(TOO_LARGE[network]) as one:
        for weigh in (one.settle_micro_batches, one.calibrate):
            with pytest.raises(NotEnoughMemoryError, match=f"weights of {network}, .* would take .* GB, of .* GB that"):
                weigh()


def test_weights_are_compared_with_what_is_free_and_what_is_allowed(monkeypatch):
    with job(options(memory_bytes=1000)) as one, pytest.raises(NotEnoughMemoryError, match="of 0 MB that are allowed"):
        one.calibrate()
    monkeypatch.setattr("dashnas.job.free_bytes", lambda device: 1000)
    with job() as one, pytest.raises(NotEnoughMemoryError, match="of 0 MB that are free"):
        one.calibrate()


def test_memory_that_runs_out_while_a_step_is_weighed_is_told_as_too_little(monkeypatch):
    def run_out(*_):
        raise MemoryError

    monkeypatch.setattr("dashnas.job.count_step", run_out)
    with (
        job() as one,
        pytest.raises(NotEnoughMemoryError, match=r"of the supernet on a few samples, of .* free; a smaller"),
    ):
        one.settle_micro_batches()
