"""The 1-D ResNet: sizes, order of layers, shortcuts, and the accidents of the authors' code."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dashnas.backbones import build_backbone, paper_width
from dashnas.convert import derive
from dashnas.ops.causal import CausalConv1d
from dashnas.space import Architecture, Candidate


@pytest.mark.parametrize(
    ("num_classes", "width"), [(2, 4), (4, 4), (9, 4), (10, 16), (19, 16), (20, 64), (24, 64), (919, 64)]
)
def test_the_papers_width_grows_with_the_number_of_classes_up_to_64(num_classes, width):
    assert paper_width(num_classes) == width


@pytest.mark.parametrize(
    ("channels", "outputs", "width", "parameters"),
    [
        (1, 4, paper_width(4), 2_240),  # ECG
        (1, 24, paper_width(24), 506_840),  # Satellite
        (4, 36, paper_width(36), 510_116),  # DeepSEA
        (1, 4, 64, 504_260),  # ECG in NAS-Bench-360, specs/baselines.md 2.2
    ],
)
@pytest.mark.parametrize("options", [{}, {"official": True}, {"official": True, "for_search": True}])
def test_number_of_parameters_is_that_of_the_authors_code(channels, outputs, width, parameters, options, make_spec):
    # Source: specs/tasks.md 5.2, counted there in the DASH authors' code at kernel sizes 8, 5, 3. An identity
    # shortcut has no parameters, so the network without the accidents has as many.
    spec = make_spec(64, channels=channels, outputs=outputs)
    network = build_backbone("resnet1d", spec, width=width, **options)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_searchable_convolutions_come_in_order(make_spec):
    network = build_backbone("resnet1d", make_spec(64, channels=5), width=4)
    found = [
        (name, conv.in_channels, conv.out_channels, conv.kernel_size[0])
        for name, conv in network.named_modules()
        if isinstance(conv, nn.Conv1d) and "shortcut" not in name
    ]
    assert found == [
        ("blocks.0.units.0.conv", 5, 4, 8),
        ("blocks.0.units.1.conv", 4, 4, 5),
        ("blocks.0.units.2.conv", 4, 4, 3),
        ("blocks.1.units.0.conv", 4, 8, 8),
        ("blocks.1.units.1.conv", 8, 8, 5),
        ("blocks.1.units.2.conv", 8, 8, 3),
        ("blocks.2.units.0.conv", 8, 8, 8),
        ("blocks.2.units.1.conv", 8, 8, 5),
        ("blocks.2.units.2.conv", 8, 8, 3),
    ]


def test_every_block_adds_its_input_before_the_last_relu(make_spec):
    network = _with_empty_units(build_backbone("resnet1d", make_spec(16, channels=5), width=4))
    for block, channels in zip(network.blocks, (5, 4, 8), strict=True):
        x = torch.randn(2, channels, 16)
        torch.testing.assert_close(block(x), F.relu(x if block.shortcut is None else block.shortcut(x)), rtol=0, atol=0)
    x = torch.randn(2, 8, 16)
    torch.testing.assert_close(network.blocks[2](x), F.relu(x), rtol=0, atol=0)


@pytest.mark.parametrize("for_search", [False, True])
def test_the_official_blocks_add_it_after_the_last_relu_and_the_third_not_at_all(for_search, make_spec):
    network = _with_empty_units(
        build_backbone("resnet1d", make_spec(16, channels=5), width=4, official=True, for_search=for_search)
    )
    for block, channels in zip(network.blocks[:2], (5, 4), strict=True):
        x = torch.randn(2, channels, 16)
        torch.testing.assert_close(block(x), block.shortcut(x), rtol=0, atol=0)
    assert not network.blocks[2](torch.randn(2, 8, 16)).any()


def _with_empty_units(network: nn.Module) -> nn.Module:
    """Let the last unit of each block give zero, so that only the shortcut is left of it."""
    for block in network.blocks:
        nn.init.zeros_(block.units[2].norm.weight)
        nn.init.zeros_(block.units[2].norm.bias)
    return network.eval()


def test_a_kernel_of_even_size_looks_one_sample_further_to_the_right(make_spec):
    conv = build_backbone("resnet1d", make_spec(32)).blocks[0].units[0].conv
    x = torch.randn(2, 2, 32)
    expected = F.conv1d(F.pad(x, (3, 4)), conv.weight, conv.bias)
    torch.testing.assert_close(conv(x), expected)


def test_no_warning_about_even_kernels_reaches_the_user():
    # In a process of its own, because PyTorch gives this warning once per process.
    script = """
import warnings, torch
from dashnas.backbones import build_backbone
from dashnas.data.spec import DataSpec, TargetKind
warnings.simplefilter("error")
spec = DataSpec(channels=1, spatial_shape=(16,), target_kind=TargetKind.CLASSES, outputs=2)
build_backbone("resnet1d", spec, width=2)(torch.randn(2, 1, 16))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_deriving_from_the_official_network_keeps_its_convolutions_causal(make_spec):
    network = build_backbone("resnet1d", make_spec(64), width=4, official=True)
    derived = derive(network, Architecture({"blocks.1.units.0.conv": Candidate(11, 7)}))
    conv = derived.blocks[1].units[0].conv
    assert type(conv) is CausalConv1d
    assert (conv.kernel_size, conv.dilation) == ((11,), (7,))
    assert derived(torch.randn(2, 2, 64)).shape == (2, 3)
