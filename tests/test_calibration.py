"""Memory and time of the networks of a run, before it trains them."""

import pytest
from torch import nn

import dashnas.calibration
from dashnas.calibration import SOME_DROPOUT, _sample_phases, calibrate, calibrate_backbone, settle_micro_batches
from dashnas.convert import largest_architecture, mixtures
from dashnas.errors import NotEnoughMemoryError
from dashnas.inference_cost import num_parameters
from dashnas.job import NETWORKS
from dashnas.memory import count_step
from dashnas.phases import settled_schedule
from dashnas.presets import SAM_RADIUS
from dashnas.space import Architecture, Candidate
from dashnas.training import steps_per_epoch
from tiny import job, options

ARCHITECTURE = Architecture({"blocks.0.units.0.conv": Candidate(3)})


def test_calibration_weighs_the_largest_network_that_may_be_derived():
    with job() as one:
        seen = []
        network = one.network
        one.network = lambda architecture, dropout=0.0: seen.append(architecture) or network(architecture, dropout)
        calibration = calibrate(one)
    assert {str(choice) for choice in seen[0].values()} == {"k5_d2"}
    assert seen[1] is None
    assert set(calibration.needs) == {"search", "derived", "backbone"}
    costs = calibration.costs
    assert min(costs.search, costs.derived, costs.backbone) > 0
    assert costs.retrain_share == pytest.approx(48 / 36)  # 36 samples for training, 12 for validation


@pytest.mark.parametrize("networks", [(*NETWORKS,), ("search", "derived")])
@pytest.mark.parametrize(("preset", "wider"), [("default", None), ("default", 8), ("paper", None)])
def test_the_derived_network_that_is_timed_is_the_largest_there_may_be(networks, preset, wider, monkeypatch):
    def seconds(phase, *_, **__):
        """Of a step: the weights of the network, in millions."""
        return 1e-6 * num_parameters(phase.model)

    monkeypatch.setattr("dashnas.calibration.time_steps", seconds)
    free = {"kernel_sizes": None, "dilations": None}
    budget = {"race": True, "epochs": None, "budget_seconds": 60.0, **free} if preset == "default" else {}
    with job(options(preset=preset, tune_trials=None, **budget)) as one:
        one.networks = set(networks)
        one.use_width(4, backbone_width=wider)
        costs = calibrate(one).costs
        _, conversion = one.supernet()
        derived = one.network(largest_architecture(conversion))
        untouched = num_parameters(one.network(Architecture({})))
        batches = steps_per_epoch(len(one.data.train), one.batch_size)
    step = 1e-6 * num_parameters(derived) * batches
    assert costs.derived == pytest.approx(step)
    if preset == "default":
        assert num_parameters(derived) <= untouched
    assert costs.search > 0


def test_with_a_given_architecture_no_search_is_timed():
    with job(options(architecture=ARCHITECTURE)) as one:
        calibration = calibrate(one)
        assert calibration.costs.search == 0
        assert set(calibration.needs) == {"derived", "backbone"}
        assert one.search(None) == (ARCHITECTURE, 0.0)


def test_dropout_takes_time_only_where_the_recipe_has_it(monkeypatch):
    """Its memory is counted in any case, for the recipes that are drawn later."""
    timed, weighed = set(), set()

    def look(found, result):
        def looked(phase, device, **_):
            dropouts = (module.p for module in phase.model.modules() if isinstance(module, nn.Dropout))
            found.update((phase.name, probability) for probability in dropouts)
            return result(phase, device)

        return looked

    monkeypatch.setattr("dashnas.calibration.time_steps", look(timed, lambda *_: 1.0))
    monkeypatch.setattr("dashnas.calibration.count_step", look(weighed, count_step))
    for dropout in (0.0, 0.2):
        with job(options(dropout=dropout)) as one:
            calibrate(one)
        assert timed == {("search", 0.0), ("derived", dropout), ("backbone", dropout)}
        assert weighed == {("search", 0.0), *((name, dropout or SOME_DROPOUT) for name in ("derived", "backbone"))}
        timed.clear()
        weighed.clear()


@pytest.mark.parametrize(
    ("more", "weighed", "timed"),
    [
        ({}, 0.0, 0.0),
        ({"sam_radius": 0.3}, 0.3, 0.3),
        ({"budget_seconds": 60, "race": True}, SAM_RADIUS, 0.0),  # which it may come to in the end
        ({"budget_seconds": 60, "race": True, "sam_radius": 0.0}, 0.0, 0.0),
    ],
)
def test_sharpness_aware_steps_are_weighed_where_there_may_be_some_and_timed_where_the_recipe_has_them(
    more, weighed, timed, monkeypatch
):
    seen = {"weighed": set(), "timed": set()}

    def look(kind, result):
        def looked(phase, device, **_):
            seen[kind].add((phase.name, phase.sam_radius))
            return result(phase, device)

        return looked

    monkeypatch.setattr("dashnas.calibration.time_steps", look("timed", lambda *_: 1.0))
    monkeypatch.setattr("dashnas.calibration.count_step", look("weighed", count_step))
    asked = options(epochs=None, tune_trials=None, **more) if "budget_seconds" in more else options(**more)
    with job(asked) as one:
        calibrate(one)
    assert seen["weighed"] == {("search", 0.0), ("derived", weighed), ("backbone", weighed)}
    assert seen["timed"] == {("search", 0.0), ("derived", timed), ("backbone", timed)}


@pytest.mark.parametrize(("optimiser", "usual"), [("sgd", 3), ("adamw", 4), ("muon", 4)])
def test_weights_have_to_fit_once_more_where_training_may_be_sharpness_aware(optimiser, usual, monkeypatch):
    with job() as one:
        size = sum(parameter.nbytes for parameter in one.network(None).parameters())
    for radius, copies in ((0.0, usual), (0.1, usual + 1)):
        refusals = {
            copies * size - 1: "the weights of the untouched backbone",
            copies * size: "a training step of the untouched backbone would take",
        }
        for free, message in refusals.items():
            monkeypatch.setattr("dashnas.calibration.free_bytes", lambda device, free=free: free)
            with job(options(architecture=ARCHITECTURE, optimiser=optimiser, sam_radius=radius)) as one:
                one.networks = {"backbone"}
                with pytest.raises(NotEnoughMemoryError, match=message):
                    calibrate_backbone(one)


def test_a_resumed_run_weighs_the_search_by_the_plan_that_was_saved():
    """As where micro_batch.json was damaged and deleted."""
    with job() as one:
        one.session.run.write("plan.json", dict.fromkeys(mixtures(one.supernet()[0]), "mixed_results"))
        weighed = _sample_phases(one)["search"].model
    assert {layer.strategy for layer in mixtures(weighed).values()} == {"mixed_results"}


def test_steps_are_timed_in_the_pieces_that_fit(monkeypatch):
    timed = []
    monkeypatch.setattr("dashnas.calibration.fitting_micro_batch", lambda *_: 4)
    monkeypatch.setattr(
        "dashnas.calibration.time_steps", lambda phase, device, micro_batch: timed.append(micro_batch) or 1.0
    )
    with job() as one:
        calibrate(one)
    assert timed == [4, 4, 4]


def test_memory_that_surely_suffices_is_not_measured(monkeypatch):
    """So that the outcome depends on no measurement."""
    monkeypatch.setattr("dashnas.calibration.measure_step", lambda *_: pytest.fail("measured"))
    with job() as one:
        settle_micro_batches(one)
        assert one.session.run.read("micro_batch.json", default={}) == {"search": 16, "derived": 16, "backbone": 16}


def test_what_a_budget_was_planned_with_is_not_weighed_again(monkeypatch):
    weighed = []
    count = dashnas.calibration.count_step
    monkeypatch.setattr(
        "dashnas.calibration.count_step", lambda phase, device: weighed.append(phase.name) or count(phase, device)
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
    monkeypatch.setattr("dashnas.calibration.free_bytes", lambda device: 2 * 10**9)
    with job(TOO_LARGE[network]) as one:
        for weigh in (settle_micro_batches, calibrate):
            with pytest.raises(NotEnoughMemoryError, match=f"weights of {network}, .* would take .* GB, of .* GB that"):
                weigh(one)


def test_weights_are_compared_with_what_is_free_and_what_is_allowed(monkeypatch):
    with job(options(memory_bytes=1000)) as one, pytest.raises(NotEnoughMemoryError, match="of 1 kB that are allowed"):
        calibrate(one)
    monkeypatch.setattr("dashnas.calibration.free_bytes", lambda device: 1000)
    with job() as one, pytest.raises(NotEnoughMemoryError, match="of 1 kB that are free"):
        calibrate(one)


def test_memory_that_runs_out_while_a_step_is_weighed_is_told_as_too_little(monkeypatch):
    def run_out(*_):
        raise MemoryError

    monkeypatch.setattr("dashnas.calibration.count_step", run_out)
    with (
        job() as one,
        pytest.raises(NotEnoughMemoryError, match=r"of the supernet on a few samples, of .* free; a smaller"),
    ):
        settle_micro_batches(one)
