"""The networks of a run, and its search."""

import contextlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dashnas.backbones import BACKBONES, PointHead, register_backbone, registry
from dashnas.calibration import calibrate
from dashnas.config import Schedule
from dashnas.convert import mixtures
from dashnas.data import DataConfig, TargetKind
from dashnas.errors import ConfigError, ConversionError, RunError
from dashnas.recipe import Recipe
from dashnas.space import Architecture, Candidate
from dashnas.workspace import workspace
from tiny import SPATIAL, Messages, arrays, job, options

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
        calibrate(one)
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


def test_a_strategy_that_was_asked_for_is_taken_everywhere():
    with job(options(strategy="fourier")) as one:
        supernet, conversion = one.supernet()
        assert set(one.plan_strategies(supernet, conversion).values()) == {"fourier"}


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


def test_entropy_starts_near_that_of_no_preference():
    with job() as one:
        for layer in mixtures(one.supernet()[0]).values():
            assert layer.mixture_entropy() == pytest.approx(math.log(len(layer.candidates)), abs=1e-4)


@pytest.mark.parametrize(("planned", "own", "used"), [(None, 0.0, 0.0), (None, 0.2, 0.2), (0.1, 0.0, 0.1)])
def test_the_final_training_is_as_sharpness_aware_as_the_schedule_or_else_the_recipe_says(
    planned, own, used, monkeypatch
):
    radii = []

    def worst_nearby(model, radius):
        radii.append(radius)
        return contextlib.nullcontext()

    monkeypatch.setattr("dashnas.training.worst_nearby", worst_nearby)
    with job() as one:
        trained = one.retrain("retrain", ARCHITECTURE, Recipe(sam_radius=own), replace(SCHEDULE, sam_radius=planned))
    assert trained.recipe.sam_radius == used
    assert set(radii) == ({used} if used else set())


class _Answering(nn.Module):
    """A network whose answers are what becomes of the right ones."""

    def __init__(self, spec, change):
        super().__init__()
        convolution = nn.Conv1d if spec.spatial_dims == 1 else nn.Conv2d
        head = nn.Identity() if spec.target_kind.is_dense else nn.Sequential(nn.Flatten(2), nn.AdaptiveAvgPool1d(1))
        self.layers = nn.Sequential(convolution(spec.channels, spec.outputs, 3, padding=1), head)
        self.is_dense, self.change = spec.target_kind.is_dense, change

    def forward(self, x):
        answers = self.layers(x)
        return self.change(self, answers if self.is_dense else answers[..., 0])


WRONG = {
    "a tuple": (
        lambda _, answers: (answers, answers),
        r"by a tuple; expected a tensor of real numbers of shape \({}\)",
    ),
    "nothing": (lambda _, answers: None, r"by a NoneType; expected"),
    "one more": (lambda _, answers: torch.cat([answers, answers[:, :1]], 1), r"of shape \(2, .*; expected .*\({}\)$"),
    "an axis more": (lambda _, answers: answers[..., None], r"of shape \({}, 1\) and torch.float32; expected"),
    "an axis less": (lambda _, answers: answers[:, 0], r"expected a tensor of real numbers of shape \({}\)"),
    "one sample": (lambda _, answers: answers[:1], r"of shape \(1, .*; expected .*\({}\)$"),
    "labels": (lambda _, answers: answers.long(), r"of shape \({}\) and torch.int64; expected"),
    "no gradient": (
        lambda _, answers: answers.detach(),
        "answers of backbone 'mine' depend on no weight that is trained",
    ),
}


OUTPUTS = {TargetKind.CLASSES: 3, TargetKind.DENSE_CLASSES: 3, TargetKind.MULTI_LABEL: 2}


@pytest.fixture
def answering(monkeypatch):
    """Enters a backbone whose right answers are changed by a function."""
    monkeypatch.setattr(registry, "BACKBONES", {**BACKBONES})

    def enter(change, dims=1):
        @register_backbone("mine", spatial_dims=dims, default_width=4)
        def build(spec, *, width, dropout, official, for_search):
            return _Answering(spec, change)

    return enter


@pytest.mark.parametrize(("kind", "dims"), [(kind, dims) for kind in TargetKind for dims in (1, 2)])
@pytest.mark.parametrize("wrong", WRONG)
def test_refuses_a_network_whose_answers_are_none_to_the_targets(wrong, kind, dims, answering, tmp_path):
    change, message = WRONG[wrong]
    answering(change, dims)
    chosen = options(backbone="mine", data=DataConfig(target=kind))
    shape = ", ".join(map(str, (2, OUTPUTS.get(kind, 1), *(SPATIAL[dims] if kind.is_dense else ()))))
    opened = workspace(arrays(kind, dims), chosen, tmp_path / "run", None)
    with pytest.raises(ConfigError, match=message.format(shape)), opened:
        pass
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("kind", "dims"), [(kind, dims) for kind in TargetKind for dims in (1, 2)])
def test_takes_a_network_whose_answers_are_of_the_targets_shape(kind, dims, answering):
    answering(lambda _, answers: answers, dims)
    with workspace(arrays(kind, dims), options(backbone="mine", data=DataConfig(target=kind)), None, None) as one:
        assert isinstance(one.network(None), _Answering)


def test_refuses_a_network_that_reads_its_weights_as_it_is_made(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "BACKBONES", {**BACKBONES})

    @register_backbone("mine", spatial_dims=1, default_width=4)
    def build(spec, *, width, dropout, official, for_search):
        layer = nn.Conv1d(spec.channels, width, 3)
        layer.weight.data = torch.from_numpy(np.zeros((width, spec.channels, 3), np.float32))
        return layer

    message = "'mine' cannot be built without its weights, on device 'meta' .*; let it neither .* fill them in place"
    with pytest.raises(ConfigError, match=message), workspace(
        arrays(TargetKind.CLASSES), options(backbone="mine"), tmp_path / "run", None
    ):  # fmt: skip
        pass
    assert not (tmp_path / "run").exists()


def test_a_network_that_needs_numbers_to_answer_is_not_asked_without(answering):
    answering(lambda _, answers: answers * (1 if answers.sum() > 0 else 2), 1)
    with pytest.raises(ConversionError, match="the model fails on the sample"), job(options(backbone="mine")):
        pass


class _Drawing(nn.Module):
    """A network that turns its input by a matrix drawn at random."""

    def __init__(self, spec, width, keep):
        super().__init__()
        keep(self, torch.randn(spec.channels, width))
        self.layers = nn.Sequential(nn.Conv1d(width, width, 3, padding=1), PointHead(width, spec.outputs))

    def forward(self, x):
        return self.layers(torch.einsum("bcl,cw->bwl", x, self.matrix))


@pytest.mark.parametrize(
    ("keep", "is_saved"),
    [
        (lambda network, matrix: network.register_buffer("matrix", matrix), True),
        (lambda network, matrix: network.register_parameter("matrix", nn.Parameter(matrix)), True),
        (lambda network, matrix: network.register_buffer("matrix", torch.ones_like(matrix), persistent=False), True),
        (lambda network, matrix: network.register_buffer("matrix", matrix, persistent=False), False),
        (lambda network, matrix: setattr(network, "matrix", matrix), False),
    ],
)
def test_refuses_a_network_that_would_answer_otherwise_when_it_is_loaded(keep, is_saved, monkeypatch):
    monkeypatch.setattr(registry, "BACKBONES", {**BACKBONES})

    @register_backbone("mine", spatial_dims=1, default_width=4)
    def build(spec, *, width, dropout, official, for_search):
        return _Drawing(spec, width, keep)

    refused = pytest.raises(ConfigError, match=r"depend on numbers that are not saved .* or by register_buffer$")
    with contextlib.nullcontext() if is_saved else refused, job(options(backbone="mine")):
        pass
