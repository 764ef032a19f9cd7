"""Limits of the outcome: the likeliest architecture that keeps them, and what a run does to keep them."""

import math
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dashnas import fit
from dashnas.config import Schedule
from dashnas.convert import Conversion, derive, discretise, mixtures
from dashnas.data import TargetKind
from dashnas.errors import ConfigError
from dashnas.inference_cost import InferenceCost, num_parameters
from dashnas.job import Job
from dashnas.limits import MARGIN, Choice, Cost, Limits, choices_of, likeliest_within, parse_latency, parse_number
from dashnas.phases import settled_schedule
from dashnas.presets import Options
from dashnas.race import entrants
from dashnas.space import Architecture, Candidate, per_axis
from dashnas.workspace import workspace
from tiny import Messages, arrays, options

SIZES = (3, 5, 7)


def choices(*layers: dict[int, float]) -> dict[str, list[Choice]]:
    """Of layers with kernel size to log-probability; a weight and ten operations per tap."""
    return {
        f"layer{number}": [Choice(Candidate(size), score, size, 10 * size) for size, score in layer.items()]
        for number, layer in enumerate(layers)
    }


def weights(architecture: Architecture) -> int:
    return sum(choice.kernel_size for choice in architecture.values())


def likelihood(layers: dict[str, list[Choice]], architecture: Architecture) -> float:
    return sum(
        next(choice.log_probability for choice in layer if choice.candidate == architecture[name])
        for name, layer in layers.items()
    )


def test_the_layer_gives_way_that_loses_least_likelihood_for_what_it_saves():
    layers = choices({3: -1.0, 7: -0.5}, {3: -9.0, 7: -0.1})
    chosen = likeliest_within(layers, Limits(parameters=10), lambda one: weights(one) <= 10)
    assert chosen == Architecture({"layer0": Candidate(3), "layer1": Candidate(7)})


def within_a_time(**more: Any) -> Options:
    """Of a run whose epochs are what fits a budget, which searches for no network larger than the untouched one."""
    free = {"kernel_sizes": None, "dilations": None}
    return options(**{"race": True, "epochs": None, "tune_trials": None, "budget_seconds": 60.0, **free, **more})


def preferring_the_largest(one: Job, by: float) -> tuple[nn.Module, Conversion]:
    """A supernet whose largest candidates are likelier than the others, by this much in each layer's parameters."""
    supernet, conversion = one.supernet()
    for layer in mixtures(supernet).values():
        taps = torch.tensor([math.prod(per_axis(c.kernel_size, layer.spatial_dims)) for c in layer.candidates])
        layer.arch_parameters.data = by * (taps == taps.max())
    return supernet, conversion


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("more", [{}, {"max_parameters": 10**6}, {"max_latency_seconds": 60.0}])
@pytest.mark.parametrize("width", [4, 16])
def test_within_a_time_whatever_the_search_chooses_is_no_larger_than_the_untouched_network(dims, width, more):
    with workspace(arrays(TargetKind.CLASSES, dims), within_a_time(width=width, **more), None, None) as one:
        chosen = one._choose(*preferring_the_largest(one, 5.0))
        untouched, size = (num_parameters(one.network(each)) for each in (None, chosen))
    assert 0.5 * untouched < size <= untouched


@pytest.mark.parametrize("asked", [{"kernel_sizes": (3, 9)}, {"dilations": (1, 2)}, {"race": False}])
def test_candidates_that_are_asked_for_and_those_that_do_not_race_may_make_it_larger(asked):
    with workspace(arrays(TargetKind.CLASSES), within_a_time(width=4, **asked), None, None) as one:
        chosen = one._choose(*preferring_the_largest(one, 5.0))
        assert num_parameters(one.network(chosen)) > num_parameters(one.network(None))


def test_what_would_be_larger_is_told_of():
    listener = Messages()
    with workspace(arrays(TargetKind.CLASSES, 2), within_a_time(), None, listener) as one:
        _, conversion = one.supernet()
        one._tell_conversion(conversion)
    larger = sum(len(layer.larger) for layer in conversion.searchable.values())
    assert larger > 13
    assert any(
        told.startswith("searching 13 layers")
        and told.endswith(
            f"; {larger} have more taps than their layer's own kernel and were left out, so that the network is no "
            "larger than the untouched one; --kernel-sizes keeps all that it names"
        )
        for told in listener.told
    )


def test_a_wider_untouched_network_in_the_race_allows_no_more():
    with workspace(arrays(TargetKind.CLASSES), within_a_time(), None, None) as one:
        one.use_width(4, backbone_width=8)
        chosen = one._choose(*preferring_the_largest(one, 5.0))
        assert one.cost(chosen).parameters <= one.cost(None, width=4).parameters < one.cost(None).parameters


def test_what_hardly_costs_likelihood_gives_way_first_and_that_is_told():
    """The last layer is sure of a large kernel, so that the others make room for it."""
    listener = Messages()
    asked = options(width=4, kernel_sizes=(3, 9), dilations=(1,), max_parameters=2300)
    with workspace(arrays(TargetKind.CLASSES), asked, None, listener) as one:
        supernet, conversion = preferring_the_largest(one, 0.05)
        *undecided, last = mixtures(supernet)
        mixtures(supernet)[last].arch_parameters.data *= 100
        chosen, likeliest = one._choose(supernet, conversion), discretise(supernet)
        size, largest = (num_parameters(one.network(each)) for each in (chosen, likeliest))
    assert chosen[last].kernel_size == 9
    assert 3 in {chosen[name].kernel_size for name in undecided}
    assert size <= 2300 < largest
    assert (
        f"the likeliest architecture has {largest:,} parameters, more than 2,300 parameters; "
        f"the one that is taken in its place has {size:,} parameters"
    ) in listener.told


def test_where_no_architecture_keeps_the_limits_the_smallest_is_taken_and_told(monkeypatch):
    listener = Messages()
    asked = options(width=4, kernel_sizes=(3, 9), dilations=(1,), max_parameters=2300)
    with workspace(arrays(TargetKind.CLASSES), asked, None, listener) as one:
        monkeypatch.setattr(one, "is_within_limits", lambda *_, **__: False)
        chosen = one._choose(*preferring_the_largest(one, 5.0))
    assert {choice.kernel_size for choice in chosen.values()} == {3}
    assert any(told.endswith(", the smallest of the search space") for told in listener.told)


def test_without_a_budget_the_likeliest_is_taken_whatever_its_size_and_so_does_the_paper():
    untimed = options(race=True, kernel_sizes=None, dilations=None)
    for asked in (untimed, within_a_time(preset="paper", race=None)):
        with workspace(arrays(TargetKind.CLASSES), asked, None, None) as one:
            chosen = one._choose(*preferring_the_largest(one, 0.001))
            assert num_parameters(one.network(chosen)) > num_parameters(one.network(None))


def test_the_smallest_is_taken_where_none_fits():
    layers = choices({3: -9.0, 7: -0.1}, {5: -9.0, 7: -0.1})
    chosen = likeliest_within(layers, Limits(parameters=1), lambda one: False)
    assert chosen == Architecture({"layer0": Candidate(3), "layer1": Candidate(5)})


def test_latency_is_saved_where_the_operations_are():
    """Two layers of equal weights, of which one has a hundred times the positions."""
    many, few = (
        [Choice(Candidate(size), score, size, positions * size) for size, score in ((3, -1.0), (7, -0.5))]
        for positions in (100, 1)
    )
    layers = {"few": few, "many": many}
    small = Candidate(3)
    chosen = likeliest_within(layers, Limits(latency_seconds=1.0), lambda one: one["many"] == small)
    assert chosen == Architecture({"few": Candidate(7), "many": small})


SCORES = st.lists(st.floats(-5, 0), min_size=3, max_size=3)


@given(st.lists(SCORES, min_size=1, max_size=3), st.integers(9, 21))
def test_no_likelier_one_is_as_small(scores, limit):
    """What is found is on the hull: whatever is likelier has more weights."""
    layers = choices(*(dict(zip(SIZES, layer, strict=True)) for layer in scores))
    chosen = likeliest_within(layers, Limits(parameters=limit), lambda one: weights(one) <= limit)
    assert weights(chosen) <= limit
    every = [
        Architecture(dict(zip(layers, map(Candidate, sizes), strict=True)))
        for sizes in product(SIZES, repeat=len(layers))
    ]
    for other in every:
        if likelihood(layers, other) > likelihood(layers, chosen) + 1e-9:  # sums in another order
            assert weights(other) > weights(chosen)
    likeliest = max(every, key=lambda one: likelihood(layers, one))
    if weights(likeliest) <= limit:
        assert likelihood(layers, chosen) == pytest.approx(likelihood(layers, likeliest))


@pytest.mark.parametrize("dims", [1, 2])
def test_weights_and_operations_of_a_choice_are_those_of_the_derived_network(dims):
    with workspace(arrays(TargetKind.CLASSES, dims), options(), None, None) as job:
        supernet, conversion = job.supernet()
        choice = choices_of(supernet, conversion)
        sample = torch.zeros(1, 2, *job.data.spec.spatial_shape)

        def cost(architecture: Architecture) -> tuple[int, int]:
            network = derive(supernet, architecture).eval()
            with torch.inference_mode(), FlopCounterMode(display=False) as counter:
                network(sample)
            return num_parameters(network), counter.get_total_flops()

        least = Architecture({name: layer[0].candidate for name, layer in choice.items()})
        weights, flops = cost(least)
        for name, layer in choice.items():
            for other in layer:
                more = cost(Architecture({**least, name: other.candidate}))
                assert more[0] - weights == other.weights - layer[0].weights
                assert more[1] - flops == 2 * (other.operations - layer[0].operations)


def test_a_choice_is_as_likely_as_the_search_has_it():
    with workspace(arrays(TargetKind.CLASSES), options(), None, None) as job:
        supernet, conversion = job.supernet()
        choice = choices_of(supernet, conversion)
        for name, layer in mixtures(supernet).items():
            told = torch.tensor([one.log_probability for one in choice[name]])
            torch.testing.assert_close(told.exp(), layer.arch_parameters.detach().softmax(dim=-1))
        likeliest = {name: max(layer, key=lambda one: one.log_probability).candidate for name, layer in choice.items()}
        assert discretise(supernet) == Architecture(likeliest)


@pytest.mark.parametrize(
    ("limits", "cost", "allowed"),
    [
        (Limits(), Cost(10**9, 10.0), True),
        (Limits(parameters=100), Cost(100, None), True),
        (Limits(parameters=100), Cost(101, None), False),
        (Limits(latency_seconds=1.0), Cost(10**9, 1 - MARGIN), True),
        (Limits(latency_seconds=1.0), Cost(1, 1.0), False),
        (Limits(100, 1.0), Cost(101, 0.1), False),
        (Limits(100, 1.0), Cost(100, 1.0), False),
        (Limits(100, 1.0), Cost(100, 0.1), True),
    ],
)
def test_a_network_is_allowed_within_all_limits(limits, cost, allowed):
    assert limits.allow(cost) is allowed


def test_limits_and_costs_are_told_in_words():
    assert Limits(1500, 0.005).describe() == "1,500 parameters and 5 ms for an answer with a tenth to spare"
    assert Limits(1500).shared(3).describe() == "500 parameters, for each of 3 networks"
    assert Cost(1500, None).describe() == "1,500 parameters"
    assert Cost(1500, 0.0123456).describe() == "1,500 parameters, 12.3 ms for an answer"
    assert not Limits()
    assert Limits(parameters=1)


@pytest.mark.parametrize("dims", [1, 2])
def test_the_searched_network_has_no_more_parameters_than_allowed(dims):
    data, sizes = arrays(TargetKind.CLASSES, dims), {"kernel_sizes": (3, 9)}
    without = fit(data, options(**sizes)).summary
    free, limit = without["parameters"], without["backbone_parameters"] + 100
    assert free > limit, "the limit asks for nothing"
    listener = Messages()
    summary = fit(data, options(**sizes, max_parameters=limit), reporter=listener).summary
    assert summary["parameters"] <= limit
    assert summary["limits"] == {"parameters": limit, "latency_seconds": None}
    assert any(f"has {free:,} parameters, more than {limit:,} parameters; the one that" in t for t in listener.told)


def test_what_keeps_the_limits_is_what_it_is_without_them():
    data = arrays(TargetKind.CLASSES)
    free = fit(data, options()).summary
    assert fit(data, options(max_parameters=10**6)).summary["architecture"] == free["architecture"]


def test_the_searched_network_takes_no_longer_for_an_answer_than_allowed(monkeypatch):
    """Told by its parameters, for a test that depends on no clock."""

    def cost(network, *_):
        return InferenceCost(1, num_parameters(network) / 1000)

    monkeypatch.setattr("dashnas.limits.inference_cost", cost)
    data, sizes = arrays(TargetKind.CLASSES), {"kernel_sizes": (3, 9)}
    limit = 2400
    assert fit(data, options(**sizes)).summary["parameters"] > limit, "the limit asks for nothing"
    summary = fit(data, options(**sizes, max_latency_seconds=limit / 10**6 / (1 - MARGIN))).summary
    assert summary["parameters"] <= limit


@pytest.mark.parametrize("budget", [False, True])
def test_the_width_is_as_large_as_the_limits_allow(budget, monkeypatch):
    # As if every network were trained in no time.
    monkeypatch.setattr("dashnas.calibration.time_steps", lambda *_, **__: 1e-6)
    plain = {"epochs": None, "tune_trials": None, "budget_seconds": 60.0} if budget else {}
    widths = {}
    for limit in (9_000, 40_000, 10**9):
        free = options(width=None, max_parameters=limit, **plain)
        with workspace(arrays(TargetKind.CLASSES), free, None, None) as job:
            schedule = settled_schedule(job)
            widths[limit] = job.config.width
            assert job.is_within_limits(None)
            assert schedule.width in (job.config.width, None)
    assert widths == {9_000: 8, 40_000: 16, 10**9: 64}


def test_a_run_of_a_smaller_width_is_resumed(tmp_path):
    asked = options(width=None, max_parameters=9_000)
    first = fit(arrays(TargetKind.CLASSES), asked, out=tmp_path / "run").summary
    assert first["backbone"]["width"] == 8
    (tmp_path / "run" / "result.json").unlink()
    again = fit(arrays(TargetKind.CLASSES), asked, out=tmp_path / "run").summary
    assert again["scores"] == first["scores"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"width": 4, "max_parameters": 2000},
            "at most 2,000 parameters, but the untouched backbone of width 4 has 2,267 parameters; the smallest "
            "network of the search space of width 4 has 1,459 parameters; allow more, or give a smaller --width",
        ),
        (
            {"width": None, "max_parameters": 100},
            "at most 100 parameters, but the untouched .* parameters; allow more$",
        ),
        (
            {"max_latency_seconds": 1e-7},
            "at most 0.0001 ms for an answer with a tenth to spare, but the untouched backbone of width 4 has",
        ),
        (
            {"max_parameters": 2000, "architecture": Architecture({"blocks.0.units.0.conv": Candidate(9)})},
            "but the given network of width 4 has",
        ),
        (
            {"max_parameters": 4000, "ensemble": 2},
            "at most 2,000 parameters, for each of 2 networks, but the untouched",
        ),
        (
            {
                "max_parameters": 3000,
                "race": True,
                "epochs": None,
                "tune_trials": None,
                "width": None,
                "schedule": Schedule(
                    search_epochs=1, tune_trials=1, tune_epochs=1, retrain_epochs=1, width=4, backbone_width=8
                ),
            },
            "an untouched backbone of width 8, which has 8,435 parameters, more than 3,000 parameters; allow more",
        ),
        ({"max_parameters": 0}, "max_parameters must be at least 1, got 0"),
        ({"max_latency_seconds": -1.0}, "max_latency_seconds must be positive"),
        ({"max_latency_seconds": math.inf}, "max_latency_seconds must be positive"),
    ],
)
def test_limits_that_nothing_can_keep_are_refused_and_leave_no_folder(asked, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        fit(arrays(TargetKind.CLASSES), options(**asked), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_all_that_race_keep_the_limits():
    raced = options(race=True, tune_trials=4, kernel_sizes=(3, 5, 9), max_parameters=2300)
    with workspace(arrays(TargetKind.CLASSES), raced, None, None) as job:
        schedule = settled_schedule(job)
        architecture, _ = job.search(schedule)
        racing = entrants(job, architecture, schedule)
        assert list(racing) == ["backbone", "derived", "random"]
        assert all(job.is_within_limits(one) for one in racing.values())


def test_which_random_architecture_races_does_not_depend_on_times_of_a_later_process(monkeypatch, tmp_path):
    """Those that a resumed run measures may be others."""
    asked = options(race=True, tune_trials=4, kernel_sizes=(3, 5, 9), max_latency_seconds=1.0)
    searched = Architecture({"blocks.0.units.0.conv": Candidate(3)})
    drawn = []
    for seconds in (0.1, 0.95):  # the second is too slow for any
        monkeypatch.setattr("dashnas.limits.inference_cost", lambda *_, s=seconds: InferenceCost(1, 1000 * s))
        with workspace(arrays(TargetKind.CLASSES), asked, tmp_path / "run", None) as job:
            monkeypatch.setattr(Job, "widths", (4,))
            drawn.append(entrants(job, searched, settled_schedule(job))["random"])
    assert drawn[0] == drawn[1]
    assert {choice.kernel_size for choice in drawn[0].values()} != {3}


@pytest.mark.parametrize("dims", [1, 2])
def test_the_random_architecture_of_a_race_is_no_larger_than_the_untouched_network_where_the_searched_one_is_not(dims):
    searched = Architecture({})
    schedule = Schedule(search_epochs=1, tune_trials=4, tune_epochs=1, retrain_epochs=1, backbone_epochs=2)
    larger = []
    for seed in range(5):
        free = {"kernel_sizes": None, "dilations": None}
        asked = options(race=True, epochs=None, tune_trials=None, schedule=schedule, seed=seed, **free)
        with workspace(arrays(TargetKind.CLASSES, dims), asked, None, None) as job:
            drawn = entrants(job, searched, schedule)["random"]
            larger.append(num_parameters(job.network(drawn)) > num_parameters(job.network(None)))
            distances = {choice.dilation for choice in drawn.values()}
            assert len(distances) > 1
    assert not any(larger)


def test_networks_are_timed_once(monkeypatch):
    timed = []
    monkeypatch.setattr("dashnas.limits.inference_cost", lambda *_: timed.append(1) or InferenceCost(1, 0.1))
    with workspace(arrays(TargetKind.CLASSES), options(max_latency_seconds=1.0), None, None) as job:
        for _ in range(2):
            assert job.widths == (4,)
            assert job.is_within_limits(None)
    assert len(timed) == 2  # the untouched backbone, and the smallest of the space


def test_an_outcome_that_is_slower_than_it_was_is_warned_of(monkeypatch):
    listener = Messages()
    monkeypatch.setattr("dashnas.pipeline.inference_cost", lambda *_: InferenceCost(1, 5000.0))
    fit(arrays(TargetKind.CLASSES), options(max_latency_seconds=1.0), reporter=listener)
    assert any(t.startswith("warning: the outcome has") and t.endswith("more than was allowed") for t in listener.told)


def test_answers_that_cannot_be_timed_are_refused(monkeypatch, tmp_path):
    def fails(*_):
        raise RuntimeError("expected more than 1 value")

    monkeypatch.setattr("dashnas.limits.inference_cost", fails)
    with pytest.raises(
        ConfigError, match=r"cannot be measured \(expected more than 1 value\); leave out --max-latency"
    ):
        fit(arrays(TargetKind.CLASSES), options(max_latency_seconds=1.0), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_narrower_backbone_is_searched_no_wider():
    """The paper's images are searched at width 16 and trained at 64."""
    asked = options(preset="paper", width=None, max_parameters=60_000, tune_trials=1, race=None)
    with workspace(arrays(TargetKind.CLASSES, 2), asked, None, None) as job:
        settled_schedule(job)
        assert job.config.width == job.config.search_width == 8


def test_without_a_random_architecture_that_is_small_enough_none_races(monkeypatch):
    raced = options(race=True, tune_trials=4, max_parameters=2300)
    with workspace(arrays(TargetKind.CLASSES), raced, None, None) as job:
        searched, schedule = Architecture({"blocks.0.units.0.conv": Candidate(3)}), settled_schedule(job)
        monkeypatch.setattr(job, "is_within_limits", lambda *_, **__: False)
        assert list(entrants(job, searched, schedule)) == ["backbone", "derived"]


def test_a_head_that_would_be_too_large_stays_as_it_is(monkeypatch):
    monkeypatch.setattr("dashnas.probe.HeadProbe.pays", True)
    monkeypatch.setattr("dashnas.race.can_be_beaten", lambda *_: True)
    data, raced = arrays(TargetKind.CLASSES), options(race=True)
    kept = fit(data, raced).summary
    assert kept["head"]["kept"]
    listener = Messages()
    limit = kept["backbone_parameters"] + 10
    summary = fit(data, options(race=True, max_parameters=limit), reporter=listener).summary
    assert (summary["head"], summary["parameters"] <= limit) == (None, True)
    assert f"a head with positions would exceed {limit:,} parameters" in listener.told


def test_a_head_is_kept_only_where_all_members_of_an_ensemble_may_have_it(monkeypatch):
    monkeypatch.setattr("dashnas.probe.HeadProbe.pays", True)
    monkeypatch.setattr("dashnas.race.can_be_beaten", lambda *_: True)
    monkeypatch.setattr("dashnas.race.improves_with", lambda *_: True)
    asked = {"race": True, "ensemble": 2, "tune_trials": 1, "kernel_sizes": (9,)}
    data = arrays(TargetKind.CLASSES)
    free = fit(data, options(**asked))
    assert (free.summary["members"], free.summary["head"]["kept"]) == (["backbone", "derived"], True)
    untouched, derived = map(num_parameters, free.model.network.members)
    assert untouched < derived
    # Room for the head of the smaller one, not for that of the other.
    summary = fit(data, options(**asked, max_parameters=2 * (derived - 1))).summary
    assert summary["head"] is None
    assert summary["parameters"] <= 2 * (derived - 1)


@pytest.mark.parametrize(("text", "number"), [("50000", 50_000), ("50k", 50_000), (" 1.5M ", 1_500_000), ("1", 1)])
def test_a_number_of_parameters_is_read(text, number):
    assert parse_number(text) == number


@pytest.mark.parametrize("text", ["9" * 400, "", "0", "-5", "fifty", "50 k k", "1e3", "nan", "0.5", "5G"])
def test_what_is_no_number_of_parameters_is_refused(text):
    with pytest.raises(ConfigError, match="as a number of parameters; write it as 50000"):
        parse_number(text)


@pytest.mark.parametrize(("text", "seconds"), [("500us", 5e-4), ("5ms", 5e-3), (" 0.1 s ", 0.1)])
def test_the_time_of_an_answer_is_read(text, seconds):
    assert parse_latency(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["9" * 400 + "s", "", "5", "0ms", "-5ms", "5m", "ms", "inf s"])
def test_what_is_no_time_of_an_answer_is_refused(text):
    with pytest.raises(ConfigError, match="as the time of an answer; write it as 500us"):
        parse_latency(text)
