"""Networks that people wrote themselves: to supernets, to choices, to ordinary networks."""

import copy
import json
import re
import warnings
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations, prune

from dashnas.convert import (
    derive,
    discretise,
    find_searchable,
    has_choice,
    keeps_own_kernels,
    largest_architecture,
    mixtures,
    smallest_architecture,
    to_supernet,
)
from dashnas.errors import ConfigError, ConversionError
from dashnas.inference_cost import num_parameters
from dashnas.ops import STRATEGIES, AggConv, AggConv1d, AggConv2d, GumbelSoftmax
from dashnas.ops.causal import CausalConv1d, WeightNormCausalConv1d
from dashnas.space import Architecture, Candidate, SearchSpace

SPACE = SearchSpace(kernel_sizes=(3, 5), dilations=(1, 2))
PAPER = {dims: SearchSpace.for_dims(dims) for dims in (1, 2)}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Two threads that wait for each other cost more than they save on tensors this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# Networks as a user would write them.


class PlainCNN(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 2 * width, 5, padding=2, stride=2, bias=False)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(2 * width, 2)

    def forward(self, x):
        x = self.conv2(F.relu(self.norm(self.conv1(x))))
        return self.head(self.dropout(x.mean((2, 3))))


class Signals(nn.Module):
    """Residual blocks over (batch, channels, length), with a strided convolution and groups."""

    def __init__(self, width=4):
        super().__init__()
        self.stem = nn.Conv1d(2, width, 7, stride=2, padding=3)
        self.blocks = nn.ModuleList(nn.Conv1d(width, width, 3, padding="same", groups=2) for _ in range(2))
        self.shortcut = nn.Conv1d(width, width, 3, padding=1)
        self.head = nn.Conv1d(width, 3, 1)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = F.relu(block(x)) + x
        return self.head(x + self.shortcut(x))


class ConvFormer(nn.Module):
    """An embedding of patches, attention over the tokens, and a convolution in the feed-forward part."""

    def __init__(self, width=8):
        super().__init__()
        self.patches = nn.Conv2d(1, width, 4, stride=4)
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, num_heads=2, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * width)
        self.mix = nn.Conv1d(2 * width, 2 * width, 3, padding=1)
        self.narrow = nn.Linear(2 * width, width)

    def forward(self, image):
        tokens = self.patches(image).flatten(2).transpose(1, 2)  # (batch, tokens, width)
        normed = self.norm1(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        hidden = self.mix(self.widen(self.norm2(tokens)).transpose(1, 2)).transpose(1, 2)
        return (tokens + self.narrow(F.gelu(hidden))).mean(1)


def sequential(width=4):
    return nn.Sequential(
        nn.Conv1d(2, width, 3, padding=1), nn.BatchNorm1d(width), nn.ReLU(), nn.Conv1d(width, 3, 5, padding=2)
    )


def oblong(width=4):
    return nn.Sequential(
        nn.Conv2d(1, width, (3, 7), padding=(1, 3)),
        nn.ReLU(),
        nn.Conv2d(width, width, (1, 5), padding="same"),
        nn.Conv2d(width, width, (5, 3), padding=(4, 3), dilation=(2, 3), stride=(1, 2)),
    )


NETWORKS = {
    "plain CNN": (PlainCNN, (2, 3, 9, 8), ["conv1", "conv2"]),
    "Sequential": (sequential, (2, 2, 12), ["0", "3"]),
    "1-D, residual": (Signals, (2, 2, 21), ["stem", "blocks.0", "blocks.1"]),
    "non-square kernels": (oblong, (2, 1, 7, 12), ["0", "2", "3"]),
    "Transformer-like": (ConvFormer, (2, 1, 16, 12), ["mix"]),
    "one bare convolution": (lambda width=4: nn.Conv1d(2, 2 * width, 3, padding=1), (2, 2, 9), [""]),
}
every_network = pytest.mark.parametrize(
    ("network", "shape", "searchable"), [pytest.param(*value, id=name) for name, value in NETWORKS.items()]
)


def choose_at_random(supernet):
    """Make every mixture exactly one-hot: the softmax of arch parameters this far apart is 0 and 1."""
    for layer in mixtures(supernet).values():
        with torch.no_grad():
            layer.arch_parameters.zero_()
            layer.arch_parameters[torch.randint(len(layer.candidates), ())] = 1e4
    return supernet


def ours_inside(network):
    return {type(m).__name__ for m in network.modules() if type(m).__module__.startswith("dashnas")}


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same_state(model, before):
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)


# to_supernet: which layers, and what the rest keeps.


@every_network
def test_searchable_layers_become_mixtures_under_their_own_names(network, shape, searchable):
    model = network()
    supernet = to_supernet(model, SPACE, torch.randn(shape))
    assert list(mixtures(supernet)) == searchable
    for name, layer in mixtures(supernet).items():
        conv = model.get_submodule(name)
        assert isinstance(layer, AggConv1d if isinstance(conv, nn.Conv1d) else AggConv2d)
        assert layer.candidates == SPACE.candidates()
        assert (layer.in_channels, layer.out_channels, layer.groups) == (
            conv.in_channels,
            conv.out_channels,
            conv.groups,
        )
        assert layer.stride == conv.stride
        assert (layer.bias is None) == (conv.bias is None)


@pytest.mark.parametrize("strategy", STRATEGIES)
@every_network
def test_supernet_maps_shapes_as_the_model_does_and_trains(network, shape, searchable, strategy):
    model, x = network(), torch.randn(shape)
    supernet = to_supernet(model, SPACE, x, strategy=strategy)
    result = supernet(x)
    assert result.shape == model(x).shape
    result.square().mean().backward()
    assert all(layer.arch_parameters.grad.any() for layer in mixtures(supernet).values())


@every_network
def test_the_model_and_its_mode_are_left_as_they_are(network, shape, searchable):
    model = network()
    model.train()
    for module in list(model.modules())[1::2]:
        module.training = False  # a mixed state, as in fine-tuning
    before, modes = state_of(model), [m.training for m in model.modules()]
    random_state = torch.get_rng_state()
    find_searchable(model, SPACE, torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.get_rng_state(), random_state)
    supernet = to_supernet(model, SPACE, torch.randn(shape))
    for parameter in supernet.parameters():
        parameter.data.add_(1)
    assert_same_state(model, before)
    assert [m.training for m in model.modules()] == modes
    assert not any(m._forward_hooks for m in [*model.modules(), *supernet.modules()])
    assert not mixtures(model)


def test_the_sample_leaves_no_trace_in_batch_statistics_nor_elsewhere():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(1, 1, 3, padding=1)
            self.norm = nn.BatchNorm1d(1)
            self.seen = 0

        def forward(self, x):
            self.seen += 1
            return self.norm(self.conv(x))

    model = Counting().train()
    supernet = to_supernet(model, SPACE, torch.randn(4, 1, 9))
    assert (model.seen, supernet.seen) == (0, 0)
    assert model.norm.num_batches_tracked == supernet.norm.num_batches_tracked == 0


def test_all_other_weights_and_the_biases_are_those_of_the_model():
    model = PlainCNN()
    supernet = to_supernet(model, SPACE, torch.randn(2, 3, 9, 9))
    expected = {
        name: value for name, value in model.state_dict().items() if name not in ("conv1.weight", "conv2.weight")
    }
    state = supernet.state_dict()
    torch.testing.assert_close({name: state[name] for name in expected}, dict(expected), rtol=0, atol=0)
    assert {name for name in state if name.startswith("conv2")} == {
        "conv2.arch_parameters",
        "conv2.kernels",
    }


@pytest.mark.parametrize("training", [True, False])
def test_mixtures_are_in_the_training_mode_of_the_layers_they_stand_for(training):
    x = torch.randn(2, 2, 12)
    supernet = to_supernet(sequential().train(training), SPACE, x, relaxation=GumbelSoftmax())
    assert all(module.training == training for module in supernet.modules())
    assert torch.equal(supernet[0](x), supernet[0](x)) != training


def test_mixtures_have_the_dtype_of_the_layers_they_stand_for():
    supernet = to_supernet(sequential().double(), SPACE, torch.randn(2, 2, 12).double())
    assert {p.dtype for p in supernet.parameters()} == {torch.float64}


def test_options_of_the_mixtures_are_handed_on():
    def uniform(arch_parameters):
        return torch.full_like(arch_parameters, 1 / len(arch_parameters))

    supernet = to_supernet(
        nn.Sequential(nn.Conv2d(32, 32, 3, padding=1)),
        SPACE,
        torch.randn(1, 32, 8, 8),
        strategy="mixed_weights",
        relaxation=uniform,
        kernel_std=0.01,
    )
    assert supernet[0].strategy == "mixed_weights"
    assert supernet[0].relaxation is uniform
    assert supernet[0].kernel_of(Candidate(5)).std().item() == pytest.approx(0.01, rel=0.05)


def test_a_model_may_take_several_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(2, 1, 3, padding=1)

        def forward(self, a, b):
            return self.conv(input=torch.cat([a, b], 1))  # by keyword, as some do

    sample = (torch.randn(2, 1, 9), torch.randn(2, 1, 9))
    assert to_supernet(Two(), SPACE, sample)(*sample).shape == (2, 1, 9)


# Layers that stay, each with the reason.


class Reused(nn.Module):
    """Calls one layer twice."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(2, 2, 3, padding=1)
        self.again = nn.Conv1d(2, 2, 3, padding=1)

    def forward(self, x):
        return self.again(self.again(self.first(x)))


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(2, 2, 3, padding=1)
        self.twin1 = nn.Conv1d(2, 2, 3, padding=1)
        self.twin2 = nn.Conv1d(2, 2, 3, padding=1)
        self.twin2.weight = self.twin1.weight

    def forward(self, x):
        return self.twin2(self.twin1(self.first(x)))


class Unused(nn.Module):
    """Has a layer that it never calls."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(2, 2, 3, padding=1)
        self.spare = nn.Conv1d(2, 2, 3, padding=1)

    def forward(self, x):
        return self.first(x)


class Unbatched(nn.Module):
    """Calls a layer on one (channels, length) after the other."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(2, 2, 3, padding=1)
        self.single = nn.Conv1d(2, 2, 3, padding=1)

    def forward(self, x):
        return self.single(self.first(x)[0])


class Subclass(nn.Conv1d):
    """Could do anything in its forward pass."""


def after_a_searchable_layer(*layers):
    return nn.Sequential(nn.Conv1d(2, 2, 3, padding=1), *layers)


def registered_twice():
    conv = nn.Conv1d(2, 2, 3, padding=1)
    return after_a_searchable_layer(conv, conv)


def in_a_block_registered_twice():
    block = nn.Sequential(nn.Conv1d(2, 2, 3, padding=1), nn.ReLU())
    return after_a_searchable_layer(block, block)


class Named(nn.Module):
    """Has a layer under a given name."""

    def __init__(self, name, layer):
        super().__init__()
        self.first = nn.Conv1d(2, 2, 3, padding=1)
        self.name = name
        self.add_module(name, layer)

    def forward(self, x):
        x = self.first(x)
        return x + getattr(self, self.name)(x)


def conv(**settings):
    return nn.Conv1d(2, 2, **{"kernel_size": 3, "padding": 1, **settings})


def pruned():
    model = after_a_searchable_layer(prune.l1_unstructured(conv(), "weight", 0.5))
    with torch.no_grad():
        # Now its weight is no part of a graph; otherwise PyTorch could not copy the model.
        model(torch.zeros(1, 2, 12))
    return model


SEVERAL_PLACES = "so that one choice would have to serve several places"
COMPUTED = "its weight is computed from other parameters, as by weight_norm or pruning"
KEPT = {
    "called twice": (Reused, "again", f"called more than once, {SEVERAL_PLACES}"),
    "registered twice": (
        registered_twice,
        "1",
        f"its weight is in use under more than one name, {SEVERAL_PLACES}",
    ),
    "in a block registered twice": (
        in_a_block_registered_twice,
        "1.0",
        f"its weight is in use under more than one name, {SEVERAL_PLACES}",
    ),
    "shared weight": (Tied, "twin1", f"its weight is in use under more than one name, {SEVERAL_PLACES}"),
    "never called": (Unused, "spare", "not called in the forward pass"),
    "no batch axis": (Unbatched, "single", "its input has no batch axis"),
    "kernel size 1": (
        lambda: after_a_searchable_layer(conv(kernel_size=1, padding=0)),
        "1",
        "its kernel size is 1",
    ),
    "no padding": (
        lambda: after_a_searchable_layer(conv(padding=0)),
        "1",
        "it has no padding, as in an embedding of patches",
    ),
    "padding 'valid'": (
        lambda: after_a_searchable_layer(conv(padding="valid")),
        "1",
        "it has no padding, as in an embedding of patches",
    ),
    "patches": (
        lambda: after_a_searchable_layer(conv(kernel_size=4, stride=4, padding=0)),
        "1",
        "it has no padding, as in an embedding of patches",
    ),
    "padding too small": (
        lambda: after_a_searchable_layer(conv(kernel_size=5)),
        "1",
        "its padding is not 'same': (12,) becomes (10,) at stride (1,)",
    ),
    "padding too large": (
        lambda: after_a_searchable_layer(conv(padding=2)),
        "1",
        "its padding is not 'same': (12,) becomes (14,) at stride (1,)",
    ),
    "circular padding": (
        lambda: after_a_searchable_layer(conv(padding_mode="circular")),
        "1",
        "its padding mode is 'circular', not zeros",
    ),
    "shortcut": (lambda: Named("shortcut", conv()), "shortcut", "a shortcut by its name"),
    "downsample": (lambda: Named("downsample", conv()), "downsample", "a shortcut by its name"),
    "skip": (lambda: Named("skip_conv", conv()), "skip_conv", "a shortcut by its name"),
    "weight norm": (lambda: after_a_searchable_layer(parametrizations.weight_norm(conv())), "1", COMPUTED),
    "spectral norm": (
        lambda: after_a_searchable_layer(parametrizations.spectral_norm(conv())),
        "1",
        COMPUTED,
    ),
    "pruned": (pruned, "1", COMPUTED),
    "subclass": (
        lambda: after_a_searchable_layer(Subclass(2, 2, 3, padding=1)),
        "1",
        "a Subclass, not a plain Conv1d or Conv2d",
    ),
    "causal": (
        lambda: after_a_searchable_layer(CausalConv1d(2, 2, 3)),
        "1",
        "a CausalConv1d, not a plain Conv1d or Conv2d",
    ),
}
every_kept = pytest.mark.parametrize(
    ("network", "layer", "reason"), [pytest.param(*value, id=name) for name, value in KEPT.items()]
)


@every_kept
def test_some_layers_stay_and_the_reason_is_told(network, layer, reason):
    model, x = network().eval(), torch.randn(2, 2, 12)
    conversion = find_searchable(model, SPACE, x)
    assert conversion.kept[layer] == reason
    assert layer not in conversion.searchable
    assert conversion.searchable, "the layer beside it is searched all the same"
    supernet = to_supernet(model, SPACE, x)
    assert type(supernet.get_submodule(layer)) is type(model.get_submodule(layer))
    assert list(mixtures(supernet)) == list(conversion.searchable)
    assert supernet(x).shape == model(x).shape


@every_kept
def test_strict_refuses_a_model_with_a_layer_that_stays(network, layer, reason):
    message = "strict=True, but these convolutions cannot be searched: "
    with pytest.raises(ConversionError, match=f"{message}.*{re.escape(f'{layer}: {reason}')}"):
        to_supernet(network(), SPACE, torch.randn(2, 2, 12), strict=True)


def test_strict_takes_a_model_whose_convolutions_are_all_searched():
    assert len(mixtures(to_supernet(sequential(), SPACE, torch.randn(2, 2, 12), strict=True))) == 2


def test_a_convolution_over_volumes_stays():
    class Volumes(nn.Module):
        def __init__(self):
            super().__init__()
            self.volume = nn.Conv3d(1, 1, 3, padding=1)
            self.image = nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x):
            return self.image(self.volume(x).mean(2))

    conversion = find_searchable(Volumes(), SPACE, torch.randn(1, 1, 4, 6, 6))
    assert list(conversion.searchable) == ["image"]
    assert conversion.kept == {"volume": "a Conv3d, not a plain Conv1d or Conv2d"}


def test_a_lazy_layer_stays_until_the_model_was_called_once():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Lazy modules are a new feature")
        model = after_a_searchable_layer(nn.LazyConv1d(2, 3, padding=1))
    x = torch.randn(2, 2, 12)
    reason = "its number of channels is still open; call the model once before it is converted"
    assert find_searchable(model, SPACE, x).kept == {"1": reason}
    assert find_searchable(model, SPACE, x, no_larger=True).kept == {"1": reason}
    assert model[1].has_uninitialized_params(), "finding out changes nothing"
    model(x)
    assert list(find_searchable(model, SPACE, x).searchable) == ["0", "1"]


@pytest.mark.parametrize(
    ("network", "shape", "reasons"),
    [
        (nn.Linear(3, 3), (2, 3), "it has no convolutions"),
        (
            nn.Sequential(nn.Conv1d(2, 2, 3), nn.Conv1d(2, 2, 1)),
            (2, 2, 9),
            "0: it has no padding.*; 1: its kernel size is 1",
        ),
    ],
)
def test_a_model_with_nothing_to_search_is_refused_with_the_reasons(network, shape, reasons):
    with pytest.raises(ConversionError, match=rf"no convolution of this model can be searched \({reasons}\)"):
        to_supernet(network, SPACE, torch.randn(shape))


def test_a_sample_that_the_model_cannot_take_is_refused_with_the_models_own_words():
    model = PlainCNN().train()
    before = state_of(model)
    message = r"the model fails on the sample of shape \(2, 1, 9, 9\): .*to have 3 channels, but got 1 channels"
    with pytest.raises(ConversionError, match=message):
        to_supernet(model, SPACE, torch.randn(2, 1, 9, 9))
    assert model.training
    assert not any(m._forward_hooks for m in model.modules())
    assert_same_state(model, before)


def test_a_model_that_cannot_be_copied_is_refused():
    model = after_a_searchable_layer(prune.l1_unstructured(conv(), "weight", 0.5))
    for convert in (
        lambda: to_supernet(model, SPACE, torch.randn(2, 2, 12)),
        lambda: derive(model, Architecture({})),
    ):
        with pytest.raises(ConversionError, match=r"the model cannot be copied, .* Only Tensors created explicitly"):
            convert()


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ConfigError, match="unknown strategy 'furier'; did you mean 'fourier'"):
        to_supernet(sequential(), SPACE, torch.randn(2, 2, 12), strategy="furier")


# Padding that counts as "same".


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": 3, "padding": 4, "dilation": 4},
        {"kernel_size": 4, "padding": "same"},
        {"kernel_size": 3, "padding": 1, "stride": 2},
        {"kernel_size": 7, "padding": 3, "stride": 4},
        {"kernel_size": 4, "padding": 1, "stride": 2},  # ceil(12 / 2), as the map is even
    ],
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_same_padding_is_told_by_the_map_sizes(settings):
    x = torch.randn(1, 2, 12)
    model = nn.Sequential(nn.Conv1d(2, 2, **settings))
    supernet = to_supernet(model, SPACE, x)
    assert list(mixtures(supernet)) == ["0"]
    assert supernet(x).shape == model(x).shape


def test_an_axis_with_one_tap_needs_no_padding():
    model = nn.Sequential(nn.Conv2d(1, 1, (1, 5), padding=(0, 2)))
    assert list(find_searchable(model, SPACE, torch.randn(1, 1, 6, 12)).searchable) == ["0"]


# Depthwise and separable.


def test_depthwise_layers_are_searched_like_others():
    model = after_a_searchable_layer(conv(groups=2))
    supernet = to_supernet(model, SPACE, torch.randn(2, 2, 12))
    assert list(mixtures(supernet)) == ["0", "1"]
    assert supernet[1].groups == 2
    assert supernet[1].kernel_of(Candidate(5)).shape == (2, 1, 5)


def test_depthwise_layers_can_be_left_out():
    model, x = after_a_searchable_layer(conv(groups=2)), torch.randn(2, 2, 12)
    conversion = find_searchable(model, SPACE, x, depthwise=False)
    assert list(conversion.searchable) == ["0"]
    assert conversion.kept == {"1": "depthwise, and depthwise=False leaves these out"}
    assert list(mixtures(to_supernet(model, SPACE, x, depthwise=False))) == ["0"]


def test_separable_makes_layers_depthwise_where_channels_stay():
    # The authors' code does so by default; the paper does not mention it (specs/tasks.md, section 2.1).
    model = nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=1))
    x = torch.randn(2, 2, 12)
    supernet = to_supernet(model, SPACE, x, separable=True)
    assert [layer.groups for layer in mixtures(supernet).values()] == [1, 4]
    assert supernet[1].kernel_of(Candidate(3)).shape == (4, 1, 3)
    assert [layer.groups for layer in mixtures(to_supernet(model, SPACE, x)).values()] == [1, 1]


def test_a_separable_choice_gives_full_convolutions_on_the_backbone():
    model = nn.Sequential(nn.Conv1d(4, 4, 3, padding=1))
    supernet = to_supernet(model, SPACE, torch.randn(2, 4, 12), separable=True)
    assert derive(model, discretise(supernet))[0].groups == 1


# Candidates beyond the map.


def kept_and_dropped(space, *map_shape):
    conv = nn.Conv1d if len(map_shape) == 1 else nn.Conv2d
    layer = find_searchable(nn.Sequential(conv(1, 1, 3, padding=1)), space, torch.randn(1, 1, *map_shape)).searchable[
        "0"
    ]
    assert layer.map_shape == map_shape
    return [str(c) for c in layer.candidates], [str(c) for c in layer.dropped]


@pytest.mark.parametrize(
    ("length", "kept", "dropped"),
    [
        (5, ["k3_d1", "k3_d2", "k5_d1", "k5_d2"], []),
        (4, ["k3_d1", "k3_d2", "k5_d1"], ["k5_d2"]),  # half reach 4 is not smaller than 4
        (3, ["k3_d1", "k3_d2", "k5_d1"], ["k5_d2"]),
        (2, ["k3_d1"], ["k3_d2", "k5_d1", "k5_d2"]),
        (1, ["k3_d1"], ["k3_d2", "k5_d1", "k5_d2"]),  # one always stays
    ],
)
def test_candidates_that_reach_beyond_the_map_are_dropped_and_one_stays(length, kept, dropped):
    assert kept_and_dropped(SPACE, length) == (kept, dropped)


def test_the_smallest_stays_whatever_the_order():
    space = SearchSpace(kernel_sizes=(9, 7), dilations=(15, 3))
    assert kept_and_dropped(space, 2)[0] == ["k7_d3"]


def test_each_axis_of_the_map_counts():
    assert kept_and_dropped(SPACE, 4, 20)[1] == ["k5_d2"]
    assert kept_and_dropped(SPACE, 20, 2)[0] == ["k3_d1"]
    space = SearchSpace(kernel_sizes=((1, 9), (9, 1)), dilations=(1,))
    assert kept_and_dropped(space, 3, 20) == (["k1x9_d1"], ["k9x1_d1"])


def test_an_axis_of_length_one_decides_nothing():
    # Every kernel is beyond it, so it would leave a single candidate to a signal that comes as a 1 x n image.
    assert kept_and_dropped(SPACE, 1, 20)[1] == []
    assert kept_and_dropped(SPACE, 1, 4)[1] == ["k5_d2"]
    assert kept_and_dropped(SPACE, 1, 1)[0] == ["k3_d1"]


def test_choices_per_axis_are_dropped_per_axis():
    space = SearchSpace(kernel_sizes=(1, 3, 5), dilations=(1, 3), per_axis=True)
    # Half reaches: 0, 1 (3 dense), 3 (3 at distance 3), 2 (5 dense), 6 (5 at distance 3).
    kept, dropped = kept_and_dropped(space, 20, 3)
    assert [c for c in kept if c.startswith("k5x")] == ["k5x1_d1", "k5x3_d1", "k5x1_d3x1", "k5x3_d3x1"]
    assert len(kept) == 5 * 3
    assert (len(dropped), "k3x5_d1x3" in dropped, "k3x5_d3x1" in kept) == (5 * 2, True, True)


def test_along_an_axis_of_length_one_choices_per_axis_are_all_the_same_and_the_smallest_stays():
    space = SearchSpace(kernel_sizes=(1, 3, 5), dilations=(1, 3), per_axis=True)
    assert kept_and_dropped(space, 1, 20)[0] == ["k1_d1", "k1x3_d1", "k1x3_d1x3", "k1x5_d1", "k1x5_d1x3"]
    assert kept_and_dropped(space, 20, 1)[0] == ["k1_d1", "k3x1_d1", "k3x1_d3x1", "k5x1_d1", "k5x1_d3x1"]
    assert kept_and_dropped(space, 1, 1)[0] == ["k1_d1"]
    tuples = SearchSpace(kernel_sizes=((5, 3), (3, 5), 3), dilations=(1,))
    assert kept_and_dropped(tuples, 1, 20) == (["k3x5_d1", "k3_d1"], ["k5x3_d1"])


@pytest.mark.parametrize("convert", [find_searchable, to_supernet])
def test_choices_per_axis_are_refused_for_a_layer_with_one_axis(convert):
    space = SearchSpace(kernel_sizes=(1, 3), dilations=(1,), per_axis=True)
    with pytest.raises(ConfigError, match="per_axis is for images, but layer '0' has one axis only; leave it out"):
        convert(sequential(), space, torch.randn(2, 2, 12))


def test_the_map_is_that_of_the_layer_not_of_the_network():
    model = nn.Sequential(nn.Conv1d(1, 1, 3, padding=1), nn.MaxPool1d(4), nn.Conv1d(1, 1, 3, padding=1))
    searchable = find_searchable(model, SPACE, torch.randn(1, 1, 8)).searchable
    assert [layer.map_shape for layer in searchable.values()] == [(8,), (2,)]
    assert [len(layer.candidates) for layer in searchable.values()] == [4, 1]


def test_dropping_can_be_turned_off():
    supernet = to_supernet(nn.Sequential(conv()), SPACE, torch.randn(1, 2, 2), drop_beyond_map=False)
    assert supernet[0].candidates == SPACE.candidates()


def of_kernels(dims, *kernels):
    """Convolutions of these sizes one after the other, 32 wide, on one channel."""
    conv_of = {1: nn.Conv1d, 2: nn.Conv2d}[dims]
    channels = (1, *(32 for _ in kernels))
    return nn.Sequential(
        *(conv_of(a, b, k, padding=k // 2) for (a, b), k in zip(pairwise(channels), kernels, strict=True))
    )


def sizes_where_nothing_larger_is_wanted(model, space):
    dims = model[0].weight.dim() - 2
    layers = find_searchable(model, space, torch.randn(1, 1, *(20,) * dims), no_larger=True).searchable.values()
    for layer in layers:
        assert {c.dilation for c in layer.candidates} == {1, 2}
        assert sorted(map(str, layer.candidates + layer.larger)) == sorted(map(str, space.candidates()))
        assert not layer.dropped
    return [{c.kernel_size for c in layer.candidates} for layer in layers]


@pytest.mark.parametrize("dims", [1, 2])
def test_where_nothing_larger_is_wanted_candidates_have_no_more_taps(dims):
    space = SearchSpace(kernel_sizes=(3, 5, 7), dilations=(1, 2))
    assert sizes_where_nothing_larger_is_wanted(of_kernels(dims, 3, 5, 7), space) == [{3}, {3, 5}, {3, 5, 7}]


@pytest.mark.parametrize("dims", [1, 2])
def test_what_costs_little_stays_where_other_layers_save_it(dims):
    """The first layer, of one channel, has about a hundredth of the weights; 5 becomes 3."""
    space = SearchSpace(kernel_sizes=(3, 7), dilations=(1, 2))
    first, *others = sizes_where_nothing_larger_is_wanted(of_kernels(dims, 5, *[5] * 8), space)
    assert (first, others) == ({3, 7}, [{3}] * 8)
    first, *others = sizes_where_nothing_larger_is_wanted(of_kernels(dims, 5, *[3] * 8), space)
    assert (first, others) == ({3}, [{3}] * 8)


def test_many_that_cost_little_are_not_little():
    space = SearchSpace(kernel_sizes=(3, 7), dilations=(1, 2))
    model = nn.Sequential(*(nn.Conv1d(1, 1, 5, padding=2) for _ in range(300)))
    assert sizes_where_nothing_larger_is_wanted(model, space) == [{3}] * 300


@given(
    st.lists(st.sampled_from([3, 5, 7, 9]), min_size=1, max_size=5),
    st.sets(st.sampled_from([3, 5, 7, 11, 15]), min_size=1, max_size=4),
    st.sampled_from([1, 2]),
)
@settings(max_examples=50, deadline=None)
def test_no_choice_makes_a_model_larger_where_each_layer_has_one_that_does_not(kernels, sizes, dims):
    model, space = of_kernels(dims, *kernels), SearchSpace(kernel_sizes=tuple(sorted(sizes)), dilations=(1,))
    conversion = find_searchable(model, space, torch.randn(1, 1, *(20,) * dims), no_larger=True)
    largest = derive(model, largest_architecture(conversion))
    if min(sizes) <= min(kernels):
        assert num_parameters(largest) <= num_parameters(model)


def test_the_fewest_taps_stay_where_all_are_larger():
    model, space = nn.Sequential(conv(kernel_size=3)), SearchSpace(kernel_sizes=(7, 5), dilations=(1, 2))
    layer = find_searchable(model, space, torch.randn(1, 2, 20), no_larger=True).searchable["0"]
    assert list(map(str, layer.candidates)) == ["k5_d1", "k5_d2"]


def test_a_supernet_has_the_candidates_that_conversion_tells():
    model, sample = nn.Sequential(conv(kernel_size=3)), torch.randn(1, 2, 20)
    supernet = to_supernet(model, SPACE, sample, no_larger=True)
    assert supernet[0].candidates == find_searchable(model, SPACE, sample, no_larger=True).searchable["0"].candidates
    assert len(supernet[0].candidates) < len(SPACE.candidates())


def test_choices_per_axis_do_not_fit_a_network_over_signals():
    space = SearchSpace(kernel_sizes=((3, 5),), dilations=(1,))
    with pytest.raises(ConfigError, match=r"\(3, 5\) names 2 axes, but the layer has 1"):
        to_supernet(sequential(), space, torch.randn(2, 2, 12))


# discretise.


@pytest.mark.parametrize(("kernel_sizes", "dilations", "there"), [((3,), (1,), False), ((3,), (1, 2), True)])
def test_there_is_a_choice_where_a_layer_has_two_candidates(kernel_sizes, dilations, there):
    space = SearchSpace(kernel_sizes=kernel_sizes, dilations=dilations)
    assert has_choice(find_searchable(PlainCNN(), space, torch.zeros(2, 3, 8, 8))) is there


@pytest.mark.parametrize(
    ("choices", "as_it_is"),
    [
        ({"conv1": Candidate(3, 1), "conv2": Candidate(5, 1)}, True),
        ({"conv1": Candidate((3, 3), (1, 1))}, True),
        ({}, True),
        ({"conv1": Candidate(3, 1), "conv2": Candidate(3, 1)}, False),
        ({"conv1": Candidate(3, 2), "conv2": Candidate(5, 1)}, False),
        ({"conv1": Candidate((1, 3), 1)}, False),
        ({"unknown": Candidate(3, 1)}, False),
        ({"norm": Candidate(3, 1)}, False),
    ],
)
def test_whether_an_architecture_keeps_the_kernels_that_are_there(choices, as_it_is):
    assert keeps_own_kernels(PlainCNN(), Architecture(choices)) is as_it_is


def test_discretise_takes_the_largest_architecture_parameter_of_each_layer():
    supernet = to_supernet(sequential(), SPACE, torch.randn(2, 2, 12))
    supernet[0].arch_parameters.data.copy_(torch.tensor([0.0, 0.1, 0.3, 0.2]))
    supernet[3].arch_parameters.data.copy_(torch.tensor([-1.0, -0.5, -3.0, -2.0]))
    assert discretise(supernet) == Architecture({"0": Candidate(5, 1), "3": Candidate(3, 2)})


def test_discretise_refuses_a_model_without_mixtures():
    with pytest.raises(ConversionError, match="has no relaxed layers; make it a supernet with to_supernet first"):
        discretise(sequential())


# derive.


@pytest.mark.parametrize("strategy", STRATEGIES)
@every_network
def test_a_one_hot_supernet_computes_exactly_what_the_derived_network_computes(network, shape, searchable, strategy):
    x = torch.randn(shape, dtype=torch.float64)
    model = network().double()
    space = PAPER[len(shape) - 2]
    supernet = choose_at_random(to_supernet(model, space, x, strategy=strategy, drop_beyond_map=False))
    derived = derive(supernet, discretise(supernet))
    assert ours_inside(derived) == set()
    for training in (True, False):
        supernet.train(training)
        derived.train(training)
        results = []
        for either in (supernet, derived):
            torch.manual_seed(0)  # the same dropout
            results.append(either(x))
        torch.testing.assert_close(*results, rtol=1e-10, atol=1e-12)


def test_a_separable_or_strided_supernet_too_is_what_its_derived_network_is():
    x = torch.randn(2, 4, 21, dtype=torch.float64)
    model = nn.Sequential(conv2 := nn.Conv1d(4, 4, 3, padding=1, stride=2), nn.Conv1d(4, 6, 3, padding=1)).double()
    supernet = choose_at_random(to_supernet(model, SPACE, x, separable=True))
    derived = derive(supernet, discretise(supernet))
    assert (derived[0].groups, derived[0].stride) == (4, conv2.stride)
    torch.testing.assert_close(derived(x), supernet(x), rtol=1e-10, atol=1e-12)


@every_network
def test_derived_network_is_ordinary_and_keeps_its_layer_names(network, shape, searchable):
    model, x = network(), torch.randn(shape)
    supernet = choose_at_random(to_supernet(model, SPACE, x))
    architecture = discretise(supernet)
    for source in (model, supernet):
        derived = derive(source, architecture)
        assert ours_inside(derived) == set()
        assert {type(derived.get_submodule(name)) for name in searchable} <= {nn.Conv1d, nn.Conv2d}
        assert list(derived.state_dict()) == list(model.state_dict())
        assert derived(x).shape == model(x).shape
        for name, choice in architecture.items():
            layer = derived.get_submodule(name)
            axes = len(layer.kernel_size)
            assert layer.kernel_size == (choice.kernel_size,) * axes
            assert layer.dilation == (choice.dilation,) * axes


@pytest.mark.parametrize("width", [1, 2, 7])
def test_an_architecture_serves_every_width_of_its_topology(width):
    x = torch.randn(2, 3, 9, 9)
    architecture = discretise(choose_at_random(to_supernet(PlainCNN(), SPACE, x)))
    derived = derive(PlainCNN(width), architecture)
    assert derived.conv1.weight.shape == (width, 3, *(architecture["conv1"].kernel_size,) * 2)
    assert derived(x).shape == (2, 2)


@every_network
def test_derive_leaves_its_model_as_it_is(network, shape, searchable):
    supernet = to_supernet(network(), SPACE, torch.randn(shape)).train()
    before = state_of(supernet)
    derived = derive(supernet, discretise(supernet))
    for parameter in derived.parameters():
        parameter.data.add_(1)
    assert_same_state(supernet, before)
    assert list(mixtures(supernet)) == searchable


def test_weights_carry_over_where_shapes_agree():
    model = PlainCNN()
    derived = derive(model, Architecture({"conv1": Candidate(3, 2), "conv2": Candidate(3)}))
    before, after = model.state_dict(), derived.state_dict()
    assert after["conv2.weight"].shape == (8, 4, 3, 3)
    same = {name: value for name, value in before.items() if name != "conv2.weight"}  # (8, 4, 5, 5) there
    torch.testing.assert_close({name: after[name] for name in same}, dict(same), rtol=0, atol=0)
    assert (derived.conv1.dilation, derived.conv1.padding) == ((2, 2), (2, 2))


def test_a_bias_carries_over_to_another_kernel_size():
    model = nn.Sequential(conv())
    derived = derive(model, Architecture({"0": Candidate(5)}), initialise=lambda layer: nn.init.zeros_(layer.bias))
    assert torch.equal(derived[0].bias, model[0].bias)


def test_layers_that_the_architecture_leaves_out_stay():
    model = PlainCNN()
    derived = derive(model, Architecture({"conv1": Candidate(5)}))
    assert derived.conv2.kernel_size == (5, 5)
    assert torch.equal(derived.conv2.weight, model.conv2.weight)


def test_initialise_draws_only_kernels_of_a_new_shape():
    drawn = []
    architecture = Architecture({"conv1": Candidate(5), "conv2": Candidate(5, 2)})
    derived = derive(PlainCNN(), architecture, initialise=lambda layer: drawn.append(nn.init.ones_(layer.weight)))
    assert len(drawn) == 1
    assert (derived.conv1.weight == 1).all()
    assert not (derived.conv2.weight == 1).any()


@pytest.mark.parametrize("training", [True, False])
def test_derived_layers_have_dtype_and_training_mode_of_those_before(training):
    model = sequential().double().train(training)
    supernet = to_supernet(model, SPACE, torch.randn(2, 2, 12).double())
    for source in (model, supernet):
        derived = derive(source, Architecture({"0": Candidate(5), "3": Candidate(3)}))
        assert {p.dtype for p in derived.parameters()} == {torch.float64}
        assert {m.training for m in derived.modules()} == {training}


@pytest.mark.parametrize("kind", [CausalConv1d, WeightNormCausalConv1d])
def test_a_causal_layer_stays_causal(kind):
    model = nn.Sequential(kind(2, 2, 7, groups=2, bias=False))
    derived = derive(model, Architecture({"0": Candidate(3, 4)}))
    assert type(derived[0]) is kind
    assert (derived[0].kernel_size, derived[0].dilation, derived[0].groups) == ((3,), (4,), 2)
    x = torch.randn(1, 2, 20, requires_grad=True)
    (seen,) = torch.autograd.grad(derived(x)[0, 0, 10], x)
    assert seen[0, 0].nonzero().flatten().tolist() == [2, 6, 10]


@pytest.mark.parametrize("kind", [CausalConv1d, WeightNormCausalConv1d])
def test_weights_of_a_causal_layer_carry_over(kind):
    model = nn.Sequential(kind(2, 2, 3))
    before = {name: value + 1 for name, value in model.state_dict().items()}
    model.load_state_dict(before)
    assert_same_state(derive(model, Architecture({"0": Candidate(3, 4)})), before)


def test_derived_networks_can_be_derived_again():
    first = derive(PlainCNN(), Architecture({"conv1": Candidate(1), "conv2": Candidate(3, 2)}))
    second = derive(first, Architecture({"conv1": Candidate(3), "conv2": Candidate(3, 1)}))
    assert torch.equal(second.conv2.weight, first.conv2.weight)
    assert second(torch.randn(2, 3, 9, 9)).shape == (2, 2)


def test_a_choice_may_differ_per_axis():
    x = torch.randn(2, 1, 7, 12, dtype=torch.float64)
    space = SearchSpace(kernel_sizes=(3, (1, 5)), dilations=(1, (1, 2)))
    supernet = to_supernet(oblong().double(), space, x)
    for layer in mixtures(supernet).values():
        layer.arch_parameters.data[3] = 1e4
    derived = derive(supernet, discretise(supernet))
    assert {str(choice) for choice in discretise(supernet).values()} == {"k1x5_d1x2"}
    assert (derived[0].kernel_size, derived[0].dilation, derived[0].padding) == ((1, 5), (1, 2), (0, 4))
    torch.testing.assert_close(derived(x), supernet(x), rtol=1e-10, atol=1e-12)


def test_an_architecture_from_a_file_gives_the_same_network(tmp_path):
    x = torch.randn(2, 3, 9, 9)
    supernet = choose_at_random(to_supernet(PlainCNN(), SPACE, x)).eval()
    path = tmp_path / "architecture.json"
    path.write_text(json.dumps(discretise(supernet).to_json()))
    torch.testing.assert_close(
        derive(supernet, Architecture.load(path))(x),
        derive(supernet, discretise(supernet))(x),
        rtol=0,
        atol=0,
    )


def test_derived_network_can_be_saved_without_anything_of_ours():
    supernet = choose_at_random(to_supernet(sequential(), SPACE, torch.randn(2, 2, 12)))
    derived = derive(supernet, discretise(supernet))
    assert not any(isinstance(module, AggConv) for module in derived.modules())
    program = torch.export.export(derived.eval(), (torch.randn(2, 2, 12),))
    assert not any("fft" in str(node.target) for node in program.graph.nodes)


def test_supernet_can_be_copied_with_its_noise():
    x = torch.randn(2, 2, 12)
    relaxation = GumbelSoftmax(generator=torch.Generator().manual_seed(0))
    supernet = to_supernet(sequential(), SPACE, x, relaxation=relaxation)
    assert torch.equal(copy.deepcopy(supernet)(x), supernet(x))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"conv3": Candidate(3)}, "names layer 'conv3', but this model has no such layer"),
        ({"norm": Candidate(3)}, "names layer 'norm', which is a BatchNorm2d, no convolution"),
        ({"": Candidate(3)}, "names layer '', which is a PlainCNN, no convolution"),
    ],
)
def test_derive_refuses_an_architecture_for_another_network(layers, message):
    with pytest.raises(ConversionError, match=message):
        derive(PlainCNN(), Architecture(layers))


@pytest.mark.parametrize(
    "case",
    [
        "registered twice",
        "shared weight",
        "patches",
        "padding 'valid'",
        "circular padding",
        "weight norm",
        "pruned",
        "subclass",
    ],
)
def test_derive_refuses_to_exchange_what_could_not_be_searched(case):
    network, layer, reason = KEPT[case]
    message = f"the architecture names layer '{layer}', which must stay: {reason}"
    with pytest.raises(ConversionError, match=re.escape(message)):
        derive(network(), Architecture({layer: Candidate(5)}))


def test_derive_refuses_a_choice_for_another_number_of_axes():
    with pytest.raises(ConfigError, match=r"\(3, 5, 3\) names 3 axes, but the layer has 2"):
        derive(PlainCNN(), Architecture({"conv1": Candidate((3, 5, 3))}))


def test_derive_refuses_a_choice_that_the_supernet_lacks():
    supernet = to_supernet(sequential(), SPACE, torch.randn(2, 2, 12))
    message = "layer '0' has no candidate k7_d1; it has k3_d1, k3_d2, k5_d1, k5_d2"
    with pytest.raises(ConversionError, match=message):
        derive(supernet, Architecture({"0": Candidate(7), "3": Candidate(3)}))


def test_derive_refuses_to_leave_a_mixture_in_the_network():
    supernet = to_supernet(sequential(), SPACE, torch.randn(2, 2, 12))
    with pytest.raises(ConversionError, match=r"chooses nothing for the relaxed layers \['3'\]"):
        derive(supernet, Architecture({"0": Candidate(3)}))


@pytest.mark.parametrize(
    ("space", "largest", "smallest"),
    [
        # By taps first, then by reach.
        (SearchSpace(kernel_sizes=(3, 5), dilations=(1, 2)), Candidate(5, 2), Candidate(3, 1)),
        (SearchSpace(kernel_sizes=((3, 5), (7, 1)), dilations=(1,)), Candidate((3, 5)), Candidate((7, 1))),
    ],
)
def test_largest_and_smallest_are_by_what_a_layer_costs_to_train(space, largest, smallest):
    conversion = find_searchable(PlainCNN(), space, torch.zeros(2, 3, 32, 32))
    assert set(largest_architecture(conversion).values()) == {largest}
    assert set(smallest_architecture(conversion).values()) == {smallest}
