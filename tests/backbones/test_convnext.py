"""ConvNeXt: sizes, order of layers, strides, what is searched, first weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dashnas.backbones import ConvNeXt, build_backbone, convnext_strides, initialise_convnext_layer
from dashnas.backbones.convnext import ConvNeXtBlock, PatchEmbedding
from dashnas.convert import derive, discretise, find_searchable, mixtures, to_supernet
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.errors import ConfigError, ConversionError
from dashnas.ops import AggConv
from dashnas.space import Candidate, SearchSpace

SEARCHED = [
    (f"stages.{stage}.{block}.conv", 2**stage) for stage, depth in enumerate((3, 3, 9, 3)) for block in range(depth)
]
SPACE = SearchSpace(kernel_sizes=(3, 5), dilations=(1, 2))


def test_number_of_parameters_is_the_published_one(make_spec):
    # ConvNeXt-T of Liu et al. 2022, Table 1: 28.6 M. The exact number is that of its authors' published weights.
    spec = make_spec(224, 224, channels=3, outputs=1000)
    network = build_backbone("convnext", spec, width=96)  # 1 s; on the meta device the initialisation takes 6 s
    assert sum(p.numel() for p in network.parameters()) == 28_589_128


@pytest.mark.parametrize(
    ("side", "maps"),
    [
        (224, [56, 28, 14, 7]),  # Liu et al. 2022, Table 9
        (256, [64, 32, 16, 8]),
        (100, [25, 13, 7, 7]),
        (32, [8, 8, 8, 8]),
        (25, [7, 7, 7, 7]),
        (24, [24, 12, 12, 12]),  # 24 / 4 = 6 is too small
        (13, [13, 7, 7, 7]),
        (12, [12, 12, 12, 12]),
        (4, [4, 4, 4, 4]),
        (1, [1, 1, 1, 1]),
    ],
)
def test_strides_leave_seven_positions_or_are_not_taken(side, maps, make_spec):
    for shape, axis in (((side, 224), 0), ((224, side), 1)):  # each axis for itself
        network, x, seen = build_backbone("convnext", make_spec(*shape), width=1), torch.zeros(1, 2, *shape), []
        for embed in network.embeddings:
            x = embed(x)
            seen.append(x.shape[2 + axis])
        assert seen == maps
        assert network.stages[-1](x).shape[2 + axis] == maps[-1]
        assert convnext_strides(shape)[0][axis] == (4 if side >= 25 else 1)


def test_the_dense_network_has_no_strides(make_spec):
    network = build_backbone("convnext", make_spec(64, 64, dense=True))
    assert {conv.stride for conv in network.modules() if isinstance(conv, nn.Conv2d)} == {(1, 1)}


def test_the_last_patch_of_an_axis_is_completed_by_zeros():
    embed = PatchEmbedding(2, 3, stride=(4, 2)).double()
    x = torch.randn(1, 2, 9, 5, dtype=torch.float64)
    padded = torch.zeros(1, 2, 12, 6, dtype=torch.float64)
    padded[..., :9, :5] = x
    torch.testing.assert_close(embed(x), F.conv2d(padded, embed.conv.weight, embed.conv.bias, stride=(4, 2)))


@pytest.mark.parametrize("kind", TargetKind)
@pytest.mark.parametrize("shape", [(4, 4), (30, 9)])
def test_logits_have_the_shape_of_every_kind_of_target(kind, shape):
    spec = DataSpec(channels=5, spatial_shape=shape, target_kind=kind, outputs=3)
    network = build_backbone("convnext", spec, width=4)
    assert network(torch.randn(2, 5, *shape)).shape == (2, 3, *(shape if kind.is_dense else ()))


def test_a_block_is_that_of_the_paper():
    # Liu et al. 2022, Figure 4: depthwise 7x7, LN, 1x1 to four times the channels, GELU, 1x1 back; there 1x1
    # convolutions over (batch, channels, height, width), here linear layers with the channels last.
    block = ConvNeXtBlock(4, dropout=0.0, layer_scale=1.0).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    y = F.conv2d(x, block.conv.weight, block.conv.bias, padding=3, groups=4)
    variance, mean = torch.var_mean(y, dim=1, keepdim=True, correction=0)
    y = (y - mean) / (variance + 1e-6).sqrt()
    y = y * block.norm.weight.view(-1, 1, 1) + block.norm.bias.view(-1, 1, 1)
    y = F.gelu(F.conv2d(y, block.expand.weight[..., None, None], block.expand.bias))
    y = F.conv2d(y, block.project.weight[..., None, None], block.project.bias)
    assert y.shape == x.shape
    torch.testing.assert_close(block(x), x + block.layer_scale.view(-1, 1, 1) * y)


def test_the_mean_over_positions_is_normalised_before_the_head(make_spec):
    network = build_backbone("convnext", make_spec(8, 8), width=4).double()
    nn.init.normal_(network.norm.weight)
    nn.init.normal_(network.norm.bias)
    network.embeddings, network.stages = nn.ModuleList(), nn.ModuleList()
    x = torch.randn(2, 32, 8, 8, dtype=torch.float64)
    features = F.layer_norm(x.mean(dim=(2, 3)), (32,), network.norm.weight, network.norm.bias, eps=1e-6)
    torch.testing.assert_close(network(x), network.head.linear(features))


def test_dropout_lets_samples_skip_a_block_in_training():
    block = ConvNeXtBlock(4, dropout=0.25, layer_scale=1.0)
    x = torch.randn(1, 4, 5, 5).expand(400, -1, -1, -1)
    branch = block.eval()(x[:1]) - x[:1]
    factors = (block.train()(x) - x).mul(branch).sum(dim=(1, 2, 3)) / branch.square().sum()
    skipped = factors.abs() < 1e-3
    torch.testing.assert_close(factors[~skipped], torch.full_like(factors[~skipped], 4 / 3), rtol=1e-3, atol=0)
    assert 70 < skipped.sum() < 130  # 100 expected, deviation 8.7


@pytest.mark.parametrize("layer", [nn.Linear(300, 200), nn.Conv2d(200, 200, 7, groups=200), nn.Conv2d(30, 200, (4, 2))])
def test_first_weights_keep_variances_and_biases_are_zero(layer):
    initialise_convnext_layer(layer)
    assert layer.weight.std().item() == pytest.approx(layer.weight[0].numel() ** -0.5, rel=0.03)
    assert not layer.bias.any()


def test_every_layer_of_the_network_gets_these_first_weights_and_a_layer_scale_of_one(make_spec):
    network = build_backbone("convnext", make_spec(32, 32), width=16)
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert not any(layer.bias.any() for layer in layers)
    scales = {n: p for n, p in network.named_parameters() if n.endswith("layer_scale")}
    assert len(scales) == 18
    assert all(torch.equal(scale, torch.ones_like(scale)) for scale in scales.values())


def test_with_the_published_layer_scale_every_block_is_nearly_the_identity():
    network = ConvNeXt(3, nn.Identity, width=4, strides=((1, 1),) * 4, pool=False, layer_scale=1e-6)
    for stage, channels in zip(network.stages, (4, 8, 16, 32), strict=True):
        x = torch.randn(2, channels, 8, 8)
        assert 0 < (stage(x) - x).abs().max() < 1e-4


@pytest.mark.parametrize("shape", [(4, 4), (32, 32), (64, 100)])
@pytest.mark.parametrize("dense", [False, True])
def test_the_searched_layers_are_the_eighteen_depthwise_ones(shape, dense, make_spec):
    network = build_backbone("convnext", make_spec(*shape, dense=dense), width=2)
    conversion = find_searchable(network, SPACE, torch.zeros(1, 2, *shape))
    found = [(name, network.get_submodule(name)) for name in conversion.searchable]
    assert [name for name, _ in found] == [name for name, _ in SEARCHED]
    for (_, conv), (_, multiple) in zip(found, SEARCHED, strict=True):
        assert conv.in_channels == conv.out_channels == conv.groups == 2 * multiple
        assert (conv.kernel_size, conv.stride) == ((7, 7), (1, 1))
    assert {name.split(".")[0] for name in conversion.kept} == {"embeddings"}
    with pytest.raises(ConversionError, match="depthwise, and depthwise=False leaves these out"):
        find_searchable(network, SPACE, torch.zeros(1, 2, *shape), depthwise=False)


def test_inside_a_larger_model_the_same_layers_are_searched(make_spec):
    model = nn.Sequential(nn.Identity(), build_backbone("convnext", make_spec(32, 32), width=2))
    assert list(mixtures(to_supernet(model, SPACE, torch.zeros(1, 2, 32, 32)))) == [f"1.{name}" for name, _ in SEARCHED]


@pytest.mark.parametrize("dense", [False, True])
def test_a_one_hot_supernet_computes_what_the_derived_network_computes(dense, make_spec):
    spec, x = make_spec(28, 9, dense=dense), torch.randn(2, 2, 28, 9, dtype=torch.float64)
    network = build_backbone("convnext", spec, width=4, for_search=True).double()
    supernet = to_supernet(network, SPACE, x)
    assert len(mixtures(supernet)) == 18
    for i, layer in enumerate(mixtures(supernet).values()):
        nn.init.constant_(layer.arch_parameters, -1e6)
        layer.arch_parameters.data[i % len(layer.candidates)] = 0.0
    derived = derive(supernet, discretise(supernet))
    assert not any(isinstance(module, AggConv) for module in derived.modules())
    torch.testing.assert_close(derived(x), supernet(x), rtol=1e-10, atol=1e-12)


def test_a_backbone_of_another_width_takes_the_choices_of_the_search(make_spec):
    spec, x = make_spec(32, 32), torch.randn(1, 2, 32, 32)
    architecture = discretise(to_supernet(build_backbone("convnext", spec, width=2), SPACE, x))
    assert {choice.kernel_size for choice in architecture.values()} <= {3, 5}
    network = build_backbone("convnext", spec, width=8)
    derived = derive(network, architecture, initialise=initialise_convnext_layer)
    assert list(derived.state_dict()) == list(network.state_dict())
    assert derived(x).shape == (1, 3)
    for name, choice in architecture.items():
        conv = derived.get_submodule(name)
        assert type(conv) is nn.Conv2d
        assert conv.groups == conv.in_channels
        assert Candidate(conv.kernel_size[0], conv.dilation[0]) == choice


def test_refuses_signals(make_spec):
    with pytest.raises(ConfigError, match=r"'convnext' is for 2-D data .*shape \(64,\); backbones that fit: resnet1d"):
        build_backbone("convnext", make_spec(64))
