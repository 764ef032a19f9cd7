"""WideResNet-16: sizes, order of layers, strides, first weights."""

import math

import pytest
import torch
from torch import nn

from dashnas.backbones import build_backbone, initialise_wrn_convolution

# specs/tasks.md 5.1: number, layer, channels at k=1 and k=4 (C = 3), stride.
TABLE = [
    ("stem", (3, 16), (3, 16), 1),
    ("stages.0.0.conv1", (16, 16), (16, 64), 1),
    ("stages.0.0.conv2", (16, 16), (64, 64), 1),
    ("stages.0.1.conv1", (16, 16), (64, 64), 1),
    ("stages.0.1.conv2", (16, 16), (64, 64), 1),
    ("stages.1.0.conv1", (16, 32), (64, 128), 1),
    ("stages.1.0.conv2", (32, 32), (128, 128), 2),
    ("stages.1.1.conv1", (32, 32), (128, 128), 1),
    ("stages.1.1.conv2", (32, 32), (128, 128), 1),
    ("stages.2.0.conv1", (32, 64), (128, 256), 1),
    ("stages.2.0.conv2", (64, 64), (256, 256), 2),
    ("stages.2.1.conv1", (64, 64), (256, 256), 1),
    ("stages.2.1.conv2", (64, 64), (256, 256), 1),
]


def _convolutions(network: nn.Module, *, shortcuts: bool = False) -> dict[str, nn.Conv2d]:
    modules = network.named_modules()
    return {n: m for n, m in modules if isinstance(m, nn.Conv2d) and n.endswith("shortcut") == shortcuts}


@pytest.mark.parametrize(
    ("width", "channels", "outputs", "dense", "parameters"),
    [
        (16, 3, 100, False, 181_476),  # WRN-16-1, CIFAR-100
        (64, 3, 100, False, 2_774_276),  # WRN-16-4 from here on: CIFAR-100
        (64, 1, 18, False, 2_752_914),  # NinaPro
        (64, 1, 200, False, 2_799_688),  # FSD50K
        (64, 57, 1, True, 2_756_609),  # PSICOV
        (64, 3, 1, True, 2_748_833),  # Darcy flow
        (64, 1, 1, True, 2_748_545),  # Cosmic
    ],
)
@pytest.mark.parametrize("official", [False, True])
def test_number_of_parameters_is_that_of_the_authors_code(
    width, channels, outputs, dense, parameters, official, make_spec
):
    # Source: specs/tasks.md 5.1, counted there in the DASH authors' code at kernel size 3 and dilation 1.
    spec = make_spec(32, 32, channels=channels, outputs=outputs, dense=dense)
    network = build_backbone("wrn", spec, width=width, official=official)
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize(("width", "column"), [(16, 1), (64, 2)])
def test_searchable_convolutions_come_in_the_order_of_the_table(width, column, make_spec):
    network = build_backbone("wrn", make_spec(32, 32, channels=3), width=width)
    found = [
        (name, (conv.in_channels, conv.out_channels), conv.stride, conv.kernel_size, conv.bias is not None)
        for name, conv in _convolutions(network).items()
    ]
    assert found == [(row[0], row[column], (row[3],) * 2, (3, 3), True) for row in TABLE]


@pytest.mark.parametrize(
    ("width", "dense", "expected"),
    [
        (16, False, {"stages.1.0.shortcut": 2, "stages.2.0.shortcut": 2}),
        (16, True, {"stages.1.0.shortcut": 1, "stages.2.0.shortcut": 1}),
        (64, False, {"stages.0.0.shortcut": 1, "stages.1.0.shortcut": 2, "stages.2.0.shortcut": 2}),
    ],
)
def test_shortcuts_are_projections_only_where_channels_or_stride_change(width, dense, expected, make_spec):
    network = build_backbone("wrn", make_spec(32, 32, dense=dense), width=width)
    shortcuts = _convolutions(network, shortcuts=True)
    assert {name: conv.stride[0] for name, conv in shortcuts.items()} == expected
    assert all(conv.kernel_size == (1, 1) and conv.bias is not None for conv in shortcuts.values())


def test_the_dense_network_has_no_strides(make_spec):
    network = build_backbone("wrn", make_spec(32, 32, dense=True))
    assert {conv.stride for conv in _convolutions(network).values()} == {(1, 1)}


@pytest.mark.parametrize("block", ["0.0", "1.0"])  # an identity and a projection
def test_the_shortcut_sees_the_raw_input_of_its_block(block, make_spec):
    network = build_backbone("wrn", make_spec(8, 8), width=16).eval()
    block = network.stages.get_submodule(block)
    for parameter in block.conv2.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(2, 16, 8, 8)
    torch.testing.assert_close(block(x), block.shortcut(x), rtol=0, atol=0)


def test_first_weights_are_xavier_uniform_with_gain_root_two_and_biases_zero(make_spec):
    network = build_backbone("wrn", make_spec(32, 32), width=64)
    convolutions = _convolutions(network) | _convolutions(network, shortcuts=True)
    for conv in convolutions.values():
        taps = math.prod(conv.kernel_size)
        bound = math.sqrt(2) * math.sqrt(6 / ((conv.in_channels + conv.out_channels) * taps))
        assert 0.95 * bound < conv.weight.abs().max() <= bound
        assert not conv.bias.any()


def test_drawing_a_convolution_without_bias_afresh_works_too():
    conv = nn.Conv2d(2, 3, 3, bias=False)
    before = conv.weight.clone()
    initialise_wrn_convolution(conv)
    assert not torch.equal(conv.weight, before)


def test_only_the_last_normalisation_of_the_official_network_has_momentum_nine_tenths(make_spec):
    for official, last in ((False, 0.1), (True, 0.9)):
        network = build_backbone("wrn", make_spec(8, 8), official=official)
        momenta = {n: m.momentum for n, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)}
        assert momenta.pop("norm") == last
        assert set(momenta.values()) == {0.1}
