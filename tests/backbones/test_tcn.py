"""The temporal convolutional network: sizes, dilations, head, and what the authors' code retrains."""

import pytest
import torch
from torch import nn

from dashnas.backbones import build_backbone, tcn_dilations
from dashnas.convert import derive
from dashnas.ops.causal import WeightNormCausalConv1d
from dashnas.space import Architecture, Candidate


@pytest.mark.parametrize(
    ("channels", "outputs", "parameters"),
    [
        (1, 4, 1_056_320),  # ECG
        (1, 24, 1_058_340),  # Satellite
        (4, 36, 1_061_952),  # DeepSEA
    ],
)
def test_number_of_parameters_is_that_of_the_authors_code(channels, outputs, parameters, make_spec):
    # Source: specs/baselines.md 2.3; officially each convolution has one more, the scale of its norm.
    spec = make_spec(64, channels=channels, outputs=outputs)
    for options, expected in (({"official": True}, parameters), ({}, parameters - 16)):
        network = build_backbone("tcn", spec, **options)
        assert sum(p.numel() for p in network.parameters()) == expected


@pytest.mark.parametrize("official", [False, True])
def test_searchable_convolutions_come_in_order_with_doubling_dilations(official, make_spec):
    network = build_backbone("tcn", make_spec(1000), width=4, official=official)
    found = [
        (name, conv.in_channels, conv.out_channels, conv.kernel_size[0], conv.dilation[0])
        for name, conv in network.named_modules()
        if isinstance(conv, nn.Conv1d) and "shortcut" not in name
    ]
    assert found == [
        (f"blocks.{block}.conv{i}", 2 if (block, i) == (0, 1) else 4, 4, 7, 2**block)
        for block in range(8)
        for i in (1, 2)
    ]


@pytest.mark.parametrize("block", range(8))
def test_the_shortcut_is_a_projection_only_where_channels_change(block, make_spec):
    network = build_backbone("tcn", make_spec(16), width=4)
    assert isinstance(network.blocks[block].shortcut, nn.Conv1d if block == 0 else nn.Identity)


@pytest.mark.parametrize(
    ("length", "dilations"),
    [
        (1, (1, 1, 1, 1, 1, 1, 1, 1)),
        (4, (1, 1, 1, 1, 1, 1, 1, 1)),
        (6, (1, 1, 1, 1, 1, 1, 1, 1)),
        (7, (1, 2, 2, 2, 2, 2, 2, 2)),
        (300, (1, 2, 4, 8, 16, 32, 64, 64)),
        (384, (1, 2, 4, 8, 16, 32, 64, 64)),
        (385, (1, 2, 4, 8, 16, 32, 64, 128)),
        (None, (1, 2, 4, 8, 16, 32, 64, 128)),
    ],
)
def test_dilations_stop_growing_where_half_the_reach_would_be_the_length(length, dilations):
    assert tcn_dilations(length) == dilations


def test_the_official_dilations_grow_whatever_the_length(make_spec):
    network = build_backbone("tcn", make_spec(16), width=4, official=True)
    assert [block.conv1.dilation[0] for block in network.blocks] == [2**i for i in range(8)]


def test_the_network_answers_from_all_positions_and_the_official_one_from_the_last(make_spec):
    spec = make_spec(32)
    features = torch.randn(2, 4, 32)
    network = build_backbone("tcn", spec, width=4)
    official = build_backbone("tcn", spec, width=4, official=True)
    torch.testing.assert_close(network.head(features), network.head.linear(features.mean(-1)))
    torch.testing.assert_close(official.head(features), official.head.linear(features[..., -1]))


def test_only_the_projection_of_the_official_network_starts_small(make_spec):
    network = build_backbone("tcn", make_spec(32, channels=50), official=True)
    assert network.blocks[0].shortcut.weight.std().item() == pytest.approx(0.01, rel=0.1)
    plain = build_backbone("tcn", make_spec(32, channels=50))
    assert plain.blocks[0].shortcut.weight.std() > 0.05


def test_deriving_from_the_official_network_keeps_its_weight_normalisation(make_spec):
    network = build_backbone("tcn", make_spec(64), width=4, official=True)
    derived = derive(network, Architecture({"blocks.1.conv2": Candidate(11, 3)}))
    conv = derived.blocks[1].conv2
    assert type(conv) is WeightNormCausalConv1d
    assert (conv.kernel_size, conv.dilation) == ((11,), (3,))
    torch.testing.assert_close(conv.scale, torch.linalg.vector_norm(conv.weight))
    assert derived(torch.randn(2, 2, 64)).shape == (2, 3)
