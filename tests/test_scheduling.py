"""How a budget becomes a schedule, and what is made of it after the search and after the race."""

import math
from dataclasses import asdict, replace

import pytest

from dashnas.budget import RESERVE, EpochCosts, full_trials
from dashnas.calibration import Calibration
from dashnas.config import Schedule, TuneConfig
from dashnas.data import TargetKind
from dashnas.errors import NotEnoughMemoryError
from dashnas.job import WIDTHS, Job
from dashnas.phases import Searched, searched, settled_schedule
from dashnas.scheduling import schedule_after_race, schedule_after_search, schedule_within
from dashnas.space import Architecture, Candidate
from dashnas.workspace import workspace
from tiny import Messages, arrays, job, options

SCHEDULE = Schedule(search_epochs=1, tune_trials=1, tune_epochs=1, retrain_epochs=1)
ARCHITECTURE = Architecture({"blocks.0.units.0.conv": Candidate(3)})


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

        def calibrate(job):
            asked.append(one.config.width)
            cost = seconds_per_width * (one.config.width / 16) ** 2
            return Calibration(
                EpochCosts(search=cost, derived=cost, backbone=cost, retrain_share=1.25, beside=cost), {}
            )

        monkeypatch.setattr("dashnas.scheduling.calibrate", calibrate)
        schedule = schedule_within(one, 100)
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
        monkeypatch.setattr(
            "dashnas.scheduling.len", lambda part: 125 if part is one.data.development else 100, raising=False
        )
        after = schedule_after_race(one, schedule, members, seconds, spent=50.0, touched=touched)
    assert after == replace(schedule, retrain_epochs=epochs)


@pytest.mark.parametrize(
    ("seconds", "more", "beside", "members", "epochs", "radius"),
    [
        # 50 s, of which 12 % in reserve, at 1.25 epochs' time each
        (0.35, {}, False, 1, 50, 0.1),  # 50 of twice the time
        (0.36, {}, False, 1, 97, None),  # 48 of twice the time would be too few
        (0.01, {}, False, 1, 400, 0.1),  # the most there are
        (0.35, {"sam_radius": 0.0}, False, 1, 100, None),
        (0.2, {}, True, 1, 88, None),  # two networks share the time
        (0.1, {}, True, 1, 88, 0.1),
        (0.1, {}, True, 2, 58, 0.1),
    ],
)
def test_with_time_for_many_epochs_half_as_many_are_sharpness_aware(
    seconds, more, beside, members, epochs, radius, monkeypatch
):
    schedule = Schedule(search_epochs=3, tune_trials=1, tune_epochs=2, retrain_epochs=4, width=16)
    with job(options(race=True, epochs=None, tune_trials=None, budget_seconds=100, **more)) as one:
        one.beside = beside
        monkeypatch.setattr(
            "dashnas.scheduling.len", lambda part: 125 if part is one.data.development else 100, raising=False
        )
        trained = ["derived"] * members
        decided_before = replace(schedule, sam_radius=0.2)  # by a process that was killed before it went on
        after = schedule_after_race(one, decided_before, trained, {"derived": seconds}, spent=50.0, touched=True)
    assert after == replace(schedule, retrain_epochs=epochs, sam_radius=radius)


def test_no_width_is_taken_that_leaves_no_time_to_search(monkeypatch):
    free = options(race=True, width=None, epochs=None, tune_trials=None, budget_seconds=100)
    with job(free) as one:

        def calibrate(job):
            cost = 0.5 * (one.config.width / 16) ** 2
            return Calibration(EpochCosts(search=cost, derived=cost, backbone=cost / 20, retrain_share=1.25), {})

        monkeypatch.setattr("dashnas.scheduling.calibrate", calibrate)
        schedule = schedule_within(one, 100)
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

    monkeypatch.setattr("dashnas.calibration.time_steps", steps)
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
        "dashnas.calibration.time_steps",
        lambda phase, *_, **__: 1e-3 * (narrow if phase.precision == "bfloat16" else wide),
    )
    free = options(epochs=None, tune_trials=None, budget_seconds=100, precision=asked, **more)
    with job(free) as one:
        schedule = settled_schedule(one)
        assert one.config.retrain.precision == chosen
        assert one.config.search.precision == (asked or "float32")
        assert schedule.precision == (None if asked else chosen)
        if "race" in more:
            after = schedule_after_search(one, schedule, ARCHITECTURE, 1.0, untouched_raced=True)
            assert after.precision == schedule.precision
    repeated = options(epochs=None, tune_trials=None, width=None, schedule=schedule, **more)
    with job(repeated) as one:
        monkeypatch.setattr("dashnas.calibration.time_steps", lambda *_, **__: pytest.fail("timed"))
        settled_schedule(one)
        assert one.config.retrain.precision == (chosen if not asked else "bfloat16")
    for precision in ("float32", "tf32"):
        with job(replace(repeated, precision=precision)) as one:
            settled_schedule(one)
            assert one.config.retrain.precision == precision


def test_numbers_are_trained_for_in_float32_without_timing_anything_else(monkeypatch):
    monkeypatch.setattr("dashnas.presets.computes_bfloat16", lambda device: True)
    timed = set()
    monkeypatch.setattr("dashnas.calibration.time_steps", lambda phase, *_, **__: timed.add(phase.precision) or 1e-3)
    free = options(epochs=None, tune_trials=None, budget_seconds=100)
    with workspace(arrays(TargetKind.REGRESSION), free, None, None) as one:
        assert settled_schedule(one).precision is None
    assert timed == {"float32"}


def test_a_width_that_was_asked_for_is_kept_within_a_budget(monkeypatch):
    with job(options(width=8, epochs=None, tune_trials=None, budget_seconds=100)) as one:
        asked = []
        cheap = Calibration(EpochCosts(search=1e-6, derived=1e-6, backbone=1e-6, retrain_share=1.25), {})
        monkeypatch.setattr("dashnas.scheduling.calibrate", lambda job: asked.append(one.config.width) or cheap)
        assert schedule_within(one, 100).width == 8
    assert asked == [8]


def test_the_time_that_reading_and_timing_took_is_off_the_budget(monkeypatch):
    with job(options(width=8, epochs=None, tune_trials=None, budget_seconds=100)) as one:
        costs = EpochCosts(search=1.0, derived=1.0, backbone=1.0, retrain_share=1.25)
        monkeypatch.setattr("dashnas.scheduling.calibrate", lambda job: Calibration(costs, {}))
        fresh = schedule_within(one, 1000)
        one.started -= 500
        assert schedule_within(one, 1000).retrain_epochs < fresh.retrain_epochs


BUDGET = {"width": 8, "epochs": None, "search_epochs": None, "tune_trials": None, "tune_epochs": None}


class TestScheduleAfterTheSearch:
    """The network that was found costs something else than the one that the run was planned for."""

    @pytest.fixture
    def costs(self, monkeypatch):
        """An epoch of the chosen network takes a second."""
        costs = EpochCosts(search=0.0, derived=1.0, backbone=0.0, retrain_share=1.0)
        monkeypatch.setattr("dashnas.scheduling.training_costs", lambda *_: costs)

    @pytest.mark.parametrize(("spent", "searched"), [(40.0, 30.0), (0.0, 40.0)])
    def test_fills_what_is_left_of_the_budget(self, costs, spent, searched):
        """Also where an earlier process has searched."""
        with job(options(**BUDGET, budget_seconds=100.0)) as one:
            one.started -= spent
            schedule = schedule_after_search(
                one, replace(SCHEDULE, search_epochs=7, width=8), ARCHITECTURE, searched, untouched_raced=False
            )
        assert (schedule.search_epochs, schedule.width) == (7, 8)

        def seconds(epochs):
            return math.ceil(epochs / 2) * full_trials(schedule.tune_trials, TuneConfig()) + epochs

        assert seconds(schedule.retrain_epochs) <= 60 * (1 - RESERVE) < seconds(schedule.retrain_epochs + 1)

    def test_has_nothing_for_an_untouched_backbone_that_has_raced(self, monkeypatch):
        costs = EpochCosts(search=0.0, derived=1.0, backbone=1.0, retrain_share=1.0)
        monkeypatch.setattr("dashnas.scheduling.training_costs", lambda *_: costs)
        before = replace(SCHEDULE, search_epochs=7, width=8, backbone_epochs=5)
        with job(options(**BUDGET, race=True, budget_seconds=100.0)) as one:
            raced, not_raced = (
                schedule_after_search(one, before, ARCHITECTURE, 40.0, untouched_raced=raced) for raced in (True, False)
            )
        assert raced.backbone_epochs == 5
        assert raced.tune_epochs == 5 < not_raced.tune_epochs

    @pytest.mark.parametrize(("derived", "epochs"), [(2.0, 12), (0.5, 24), (0.25, 48)])
    def test_the_searched_network_gets_no_more_epochs_and_seconds_than_the_untouched_one_had(
        self, derived, epochs, monkeypatch
    ):
        costs = EpochCosts(search=0.0, derived=derived, backbone=1.0, retrain_share=1.0)
        monkeypatch.setattr("dashnas.scheduling.training_costs", lambda *_: costs)
        before = replace(SCHEDULE, search_epochs=7, width=8, backbone_epochs=12)
        with job(options(**BUDGET, race=True, budget_seconds=1000.0)) as one:
            schedule = schedule_after_search(one, before, ARCHITECTURE, 40.0, untouched_raced=True)
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


def test_a_width_that_does_not_fit_the_memory_ends_the_widening(monkeypatch):
    free = options(width=None, epochs=None, tune_trials=None, budget_seconds=100)
    with job(free) as one:

        def calibrate(job):
            if one.config.width > 32:
                raise NotEnoughMemoryError("64 does not fit")
            return Calibration(EpochCosts(search=1e-6, derived=1e-6, backbone=1e-6, retrain_share=1.25), {})

        monkeypatch.setattr("dashnas.scheduling.calibrate", calibrate)
        assert schedule_within(one, 100).width == 32
        monkeypatch.setattr(one, "widths", (64,))
        with pytest.raises(NotEnoughMemoryError, match="64 does not fit"):
            schedule_within(one, 100)
