"""Backbones by name: defaults, own backbones, refusals."""

import inspect

import pytest
from torch import nn

from dashnas import backbones
from dashnas.backbones import (
    BACKBONES,
    TCN,
    ConvNeXt,
    ResNet1d,
    WideResNet,
    build_backbone,
    default_backbone,
    register_backbone,
)
from dashnas.errors import ConfigError


def test_all_lists_exactly_the_public_names():
    public = {n for n, member in vars(backbones).items() if not n.startswith("_") and not inspect.ismodule(member)}
    assert set(backbones.__all__) == public


@pytest.mark.parametrize(
    ("name", "shape", "kind", "first", "width"),
    [
        (None, (8,), ResNet1d, "blocks.0.units.0.conv", 64),
        ("resnet1d", (8,), ResNet1d, "blocks.0.units.0.conv", 64),
        ("tcn", (8,), TCN, "blocks.0.conv1", 100),
        (None, (8, 8), WideResNet, "stages.0.0.conv1", 16),
        ("wrn", (8, 8), WideResNet, "stages.0.0.conv1", 16),
        ("convnext", (8, 8), ConvNeXt, "stages.0.0.conv", 16),
    ],
)
def test_width_is_that_of_the_first_stage(name, shape, kind, first, width, make_spec):
    network = build_backbone(name, make_spec(*shape))
    assert type(network) is kind
    assert network.get_submodule(first).out_channels == width
    assert build_backbone(name, make_spec(*shape), width=5).get_submodule(first).out_channels == 5


def test_a_backbone_of_ones_own_is_built_by_its_name(make_spec, monkeypatch):
    monkeypatch.setattr(backbones.registry, "BACKBONES", {})

    @register_backbone("mine", spatial_dims=1, default_width=7)
    def build(spec, *, width, dropout, official, for_search):
        return nn.Conv1d(spec.channels, width, 1)

    assert build_backbone("mine", make_spec(8)).out_channels == 7
    with pytest.raises(ConfigError, match="'mine' is registered already; choose another name"):
        register_backbone("mine", spatial_dims=1, default_width=7)(build)
    with pytest.raises(ConfigError, match=r"unknown optimiser 'adam'.*adamw"):
        register_backbone("another", spatial_dims=1, default_width=7, optimiser="adam")(build)
    with pytest.raises(ConfigError, match="spatial_dims must be 1 for signals or 2 for images, got 3"):
        register_backbone("another", spatial_dims=3, default_width=7)(build)
    assert "another" not in BACKBONES


@pytest.mark.parametrize("embedding", [nn.Embedding, nn.EmbeddingBag])
def test_refuses_sparse_gradients(embedding, make_spec, monkeypatch):
    monkeypatch.setattr(backbones.registry, "BACKBONES", {})

    @register_backbone("mine", spatial_dims=1, default_width=7)
    def build(spec, *, width, dropout, official, for_search):
        return nn.Sequential(nn.Conv1d(spec.channels, width, 1), embedding(4, 7, sparse=width == 7))

    assert build_backbone("mine", make_spec(8), width=6)
    with pytest.raises(ConfigError, match=r"'mine' has an embedding with sparse gradients, .*; build it with sparse=F"):
        build_backbone("mine", make_spec(8))


class _Stateful(nn.Conv1d):
    def get_extra_state(self):
        return {"steps": 3}


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: None, "the builder of backbone 'mine' returned None; expected a torch.nn.Module"),
        (
            lambda: nn.Sequential(_Stateful(1, 1, 1)),
            "'mine' holds what is no tensor and cannot be saved, 0._extra_state;",
        ),
    ],
)
def test_refuses_what_can_be_neither_trained_nor_saved(made, message, make_spec, monkeypatch):
    monkeypatch.setattr(backbones.registry, "BACKBONES", {})
    register_backbone("mine", spatial_dims=1, default_width=7)(lambda *_, **__: made())
    with pytest.raises(ConfigError, match=message):
        build_backbone("mine", make_spec(8))


def test_registered_names_fit_the_data_they_are_the_default_of(make_spec):
    for shape in ((8,), (8, 8)):
        assert BACKBONES[default_backbone(make_spec(*shape))].spatial_dims == len(shape)


def test_refuses_an_unknown_name_and_gives_the_nearest(make_spec):
    with pytest.raises(ConfigError, match=r"unknown backbone 'resnet1'; did you mean 'resnet1d'\? Known: .*tcn, wrn"):
        build_backbone("resnet1", make_spec(8))


def test_refuses_a_backbone_for_data_of_another_dimension_and_says_which_fit(make_spec):
    with pytest.raises(
        ConfigError, match=r"'tcn' is for 1-D data .*shape \(8, 9\); backbones that fit: convnext, wrn$"
    ):
        build_backbone("tcn", make_spec(8, 9))
    with pytest.raises(ConfigError, match=r"'wrn' is for 2-D data .*shape \(8,\); backbones that fit: resnet1d, tcn"):
        build_backbone("wrn", make_spec(8))


def test_refuses_data_that_are_neither_signals_nor_images(make_spec):
    with pytest.raises(ConfigError, match=r"samples here have 3 spatial axes \(4, 4, 4\); bring them to"):
        build_backbone(None, make_spec(4, 4, 4))


@pytest.mark.parametrize("width", [0, -16])
def test_refuses_a_width_below_one(width, make_spec):
    with pytest.raises(ConfigError, match=f"width must be at least 1, got {width}; the default of 'wrn' is 16"):
        build_backbone("wrn", make_spec(8, 8), width=width)


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_refuses_a_dropout_that_is_no_probability_below_one(dropout, make_spec):
    with pytest.raises(ConfigError, match=f"dropout must be a probability below 1, got {dropout}"):
        build_backbone("wrn", make_spec(8, 8), dropout=dropout)
