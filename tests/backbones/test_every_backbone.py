"""What holds for every backbone; a new one is a line in CASES, or two where it has an official form."""

import copy

import pytest
import torch
from torch import nn

from dashnas.backbones import BACKBONES, build_backbone
from dashnas.convert import to_supernet
from dashnas.space import SearchSpace

WIDTH = 4
CASES = [
    pytest.param("wrn", {}, id="wrn"),
    pytest.param("wrn", {"official": True}, id="wrn-official"),
    pytest.param("convnext", {}, id="convnext"),
    pytest.param("resnet1d", {}, id="resnet1d"),
    pytest.param("resnet1d", {"official": True}, id="resnet1d-official"),
    pytest.param("resnet1d", {"official": True, "for_search": True}, id="resnet1d-official-search"),
    pytest.param("tcn", {}, id="tcn"),
    pytest.param("tcn", {"official": True}, id="tcn-official"),
    pytest.param("tcn", {"official": True, "for_search": True}, id="tcn-official-search"),
]
SHAPES = {1: [(4,), (5,), (64,), (4000,)], 2: [(4, 4), (1, 4), (5, 4), (7, 32), (256, 256)]}
every_backbone = pytest.mark.parametrize(("name", "options"), CASES)


def _names(network: nn.Module) -> list[str]:
    return [name for name, _ in network.named_modules()]


def _randomise_statistics(network: nn.Module) -> nn.Module:
    """Give every normalisation running statistics and factors of its own, as after training."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return network.double().eval()


def test_no_registered_backbone_is_left_out_here():
    assert {case.values[0] for case in CASES} == set(BACKBONES)


@pytest.mark.parametrize("dense", [False, True])
@every_backbone
def test_logits_have_the_shape_of_the_targets_from_the_smallest_to_the_largest_input(name, options, dense, make_spec):
    for shape in SHAPES[BACKBONES[name].spatial_dims]:
        spec = make_spec(*shape, dense=dense)
        network = build_backbone(name, spec, width=2, **options)
        expected = shape if dense else ()
        with torch.no_grad():
            if max(shape) < 256:  # the large ones once only, for the time they take
                assert network.train()(torch.randn(2, 2, *shape)).shape == (2, 3, *expected)
            assert network.eval()(torch.randn(1, 2, *shape)).shape == (1, 3, *expected)


@pytest.mark.parametrize("dense", [False, True])
@every_backbone
def test_a_backbone_and_its_supernet_can_be_built_without_memory(name, options, dense, make_spec):
    shape = {1: (40,), 2: (20, 24)}[BACKBONES[name].spatial_dims]
    with torch.device("meta"):
        backbone = build_backbone(name, make_spec(*shape, dense=dense), width=10**4, **{"for_search": True} | options)
        supernet = to_supernet(backbone, SearchSpace(kernel_sizes=(9, 11), dilations=(1,)), torch.zeros(2, 2, *shape))
    assert all(tensor.is_meta for tensor in (*supernet.parameters(), *supernet.buffers()))


@pytest.mark.parametrize("channels", [1, 2, WIDTH, 2 * WIDTH])
@every_backbone
def test_any_number_of_channels_trains_and_every_weight_gets_a_gradient(name, options, channels, make_spec):
    shape = (8,) * BACKBONES[name].spatial_dims
    network = build_backbone(name, make_spec(*shape, channels=channels), width=WIDTH, dropout=0.1, **options)
    network(torch.randn(4, channels, *shape)).square().sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@pytest.mark.parametrize("official", [False, True])
@pytest.mark.parametrize("name", BACKBONES)
def test_layers_have_the_same_names_at_every_width_and_for_every_kind_of_target(name, official, make_spec):
    shape = (16,) * BACKBONES[name].spatial_dims
    names = [
        _names(build_backbone(name, make_spec(*shape, dense=dense), width=width, official=official))
        for width in (1, 4, 16)
        for dense in (False, True)
    ]
    assert all(other == names[0] for other in names)


@pytest.mark.parametrize("name", ["resnet1d", "tcn"])
def test_the_official_network_has_the_same_layers_in_search_and_retraining(name, make_spec):
    search, retrain = (build_backbone(name, make_spec(32), official=True, for_search=phase) for phase in (True, False))
    assert _names(search) == _names(retrain)


@pytest.mark.parametrize("name", BACKBONES)
def test_all_convolutions_are_plain_unless_the_official_network_is_retrained(name, make_spec):
    shape = (32,) * BACKBONES[name].spatial_dims
    plain = {nn.Conv1d, nn.Conv2d}
    for options in ({}, {"for_search": True}, {"official": True, "for_search": True}):
        network = build_backbone(name, make_spec(*shape), width=WIDTH, **options)
        convolutions = {type(m) for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d)}
        assert convolutions <= plain, options


@every_backbone
def test_dropout_reaches_every_block_and_is_off_by_default(name, options, make_spec):
    shape = (8,) * BACKBONES[name].spatial_dims

    def probabilities(**dropout):
        network = build_backbone(name, make_spec(*shape), width=WIDTH, **dropout, **options)
        return {module.p for module in network.modules() if isinstance(module, nn.Dropout)}

    assert probabilities() == {0.0}
    assert probabilities(dropout=0.3) == {0.3}


@every_backbone
def test_a_copy_computes_the_same(name, options, make_spec):
    shape = (8,) * BACKBONES[name].spatial_dims
    network = build_backbone(name, make_spec(*shape), width=WIDTH, **options).eval()
    other = build_backbone(name, make_spec(*shape), width=WIDTH, **options).eval()
    x = torch.randn(2, 2, *shape)
    assert not torch.equal(network(x), other(x))
    other.load_state_dict(network.state_dict())
    torch.testing.assert_close(other(x), network(x), rtol=0, atol=0)
    torch.testing.assert_close(copy.deepcopy(network)(x), network(x), rtol=0, atol=0)


@every_backbone
def test_moving_the_input_moves_a_dense_output_away_from_the_borders(name, options, make_spec):
    if BACKBONES[name].spatial_dims == 1:
        # The official TCN reaches 3060 samples back; the other networks see less.
        length, border, shift = (7000, 3300, 37) if name == "tcn" else (200, 50, 11)
        x = torch.randn(1, 2, length, dtype=torch.float64)
    else:
        border, shift = (55, 3) if name == "convnext" else (14, 3)
        x = torch.randn(1, 2, 2 * border + 12, 2 * border + 17, dtype=torch.float64)
    spec = make_spec(*x.shape[2:], dense=True)
    network = _randomise_statistics(build_backbone(name, spec, width=2, **options))
    axes = tuple(range(2, x.ndim))
    inner = (..., *(slice(border + shift, -border) for _ in axes))
    with torch.no_grad():
        moved_output = network(x.roll((shift,) * len(axes), axes))
        output_moved = network(x).roll((shift,) * len(axes), axes)
    assert output_moved[inner].std() > 0
    torch.testing.assert_close(moved_output[inner], output_moved[inner])


def _reach(network: nn.Module, channels: int, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """How far before and after the middle position the input matters to the output there, per axis."""
    x = torch.randn(1, channels, *shape, dtype=torch.float64, requires_grad=True)
    middle = tuple(n // 2 for n in shape)
    network(x)[(0, slice(None), *middle)].sum().backward()
    touched = x.grad[0].abs().sum(0).nonzero()  # (positions, axes)
    return [(m - int(t.min()), int(t.max()) - m) for m, t in zip(middle, touched.T, strict=True)]


@pytest.mark.parametrize(
    ("name", "shape", "options", "reach"),
    [
        # Thirteen convolutions of kernel size 3 without strides.
        ("wrn", (41, 43), {}, [(13, 13)] * 2),
        # Eighteen of kernel size 7; of 9 positions all are seen.
        ("convnext", (111, 9), {}, [(54, 54), (4, 4)]),
        # Three blocks of kernel sizes 8, 5, 3; the even one looks one sample further to the right.
        ("resnet1d", (101,), {}, [(18, 21)]),
        ("resnet1d", (101,), {"official": True, "for_search": True}, [(18, 21)]),
        ("resnet1d", (101,), {"official": True}, [(39, 0)]),
        # On 101 samples the dilations are 1, 2, 4, 8, 16, 32, 32, 32, so that all is seen.
        ("tcn", (101,), {}, [(50, 50)]),
        ("tcn", (101,), {"official": True, "for_search": True}, [(50, 50)]),
        # tasks.md 2.3: a receptive field of 1 + 2 * 6 * (2^8 - 1) = 3061 samples.
        ("tcn", (6400,), {"official": True}, [(3060, 0)]),
    ],
)
def test_a_centred_network_sees_both_sides_alike_and_a_causal_one_no_future_sample(
    name, shape, options, reach, make_spec
):
    network = build_backbone(name, make_spec(*shape, dense=True), width=8, **options).double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.constant_(module.bias, 3)  # keeps enough ReLUs open for the gradient to get through
    assert _reach(network.eval(), 2, shape) == reach
