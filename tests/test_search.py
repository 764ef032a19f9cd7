"""The search: what the architecture parameters descend, and that it finds what is there."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dashnas.config import SearchConfig
from dashnas.convert import mixtures
from dashnas.data import DataConfig, TargetKind, prepare
from dashnas.losses import make_loss
from dashnas.ops import STRATEGIES, GumbelSoftmax, Softmax
from dashnas.runs import read_events
from dashnas.search import make_supernet, search, search_phase
from dashnas.space import Candidate, SearchSpace
from dashnas.training import take_step
from tiny import arrays, prepared, session

SPACE = SearchSpace(kernel_sizes=(3, 5), dilations=(1, 2))


class TwoLayers(nn.Module):
    """Two convolutions of 1 or 2 axes, and a head."""

    def __init__(self, dims: int = 1, outputs: int = 3, width: int = 4, channels: int = 2, dense: bool = False) -> None:
        super().__init__()
        conv, norm = ((nn.Conv1d, nn.BatchNorm1d), (nn.Conv2d, nn.BatchNorm2d))[dims - 1]
        self.conv1 = conv(channels, width, 3, padding=1)
        self.norm1 = norm(width)
        self.conv2 = conv(width, width, 3, padding=1)
        self.norm2 = norm(width)
        self.head = conv(width, outputs, 1)
        self.dense = dense

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(self.conv1(x)).relu()
        x = self.norm2(self.conv2(x)).relu()
        out = self.head(x)
        return out if self.dense else out.flatten(2).mean(dim=2)


def made(config: SearchConfig, kind: TargetKind = TargetKind.CLASSES, dims: int = 1, space: SearchSpace = SPACE):
    """A supernet, its phase and its data."""
    data = prepared(kind, dims)
    model = TwoLayers(dims, data.spec.outputs, dense=kind.is_dense)
    supernet, _ = make_supernet(model, space, data.train.batch(np.arange(2)).x, config)
    loss = make_loss(data.spec, data.normaliser, metric_name="error")
    return supernet, search_phase(supernet, data.train, loss, config, epochs=2, batch_size=16, seed=0), data


PENALTIES = [
    # K, D, norm of 1e-5 f for point and for dense tasks: specification, table in 2.2
    ((3, 5, 7, 9), (1, 3, 7, 15), 1.87e-3, 2.56e-3),
    ((3, 5, 7), (1, 3, 7), 5.98e-4, 1.58e-3),
    ((3, 7, 11, 15, 19), (1, 3, 7, 15), 4.36e-3, 5.53e-3),
    ((3, 5), (1, 2), 1.18e-4, 8.25e-4),
]


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize(("kernel_sizes", "dilations", "point", "dense"), PENALTIES)
@pytest.mark.parametrize("kind", [TargetKind.CLASSES, TargetKind.DENSE_BINARY])
def test_the_size_penalty_has_the_norm_of_the_specification(kernel_sizes, dilations, point, dense, kind, dims):
    config = SearchConfig(arch_grad_norm=None, drop_beyond_map=False)
    supernet, phase, _ = made(config, kind, dims, SearchSpace(kernel_sizes=kernel_sizes, dilations=dilations))
    for layer in mixtures(supernet).values():
        layer.arch_parameters.grad = torch.zeros_like(layer.arch_parameters)
    phase.shape_gradients()
    for layer in mixtures(supernet).values():
        assert len(layer.candidates) == len(kernel_sizes) * len(dilations)
        norm = layer.arch_parameters.grad.norm().item()
        assert float(f"{norm:.2e}") == (dense if kind.is_dense else point)


@pytest.mark.parametrize("kind", [TargetKind.CLASSES, TargetKind.DENSE_BINARY])
def test_the_gradient_of_each_layer_is_scaled_and_the_penalty_added(kind):
    """G <- g arch_grad_norm / (|g| + 1e-8) + 1e-5 f, by hand; specification 2.2."""
    supernet, phase, _ = made(SearchConfig(arch_grad_norm=0.02, size_penalty=1e-5), kind)
    gradient = torch.tensor([3.0, 0.0, -4.0, 0.0])  # of norm 5
    for layer in mixtures(supernet).values():
        assert [str(c) for c in layer.candidates] == ["k3_d1", "k3_d2", "k5_d1", "k5_d2"]
        layer.arch_parameters.grad = gradient.clone()
    weight = supernet.conv1.kernels
    weight.grad = torch.ones_like(weight)
    phase.shape_gradients()
    size = [30, 30, 50, 50] if kind.is_dense else [3, 5, 5, 9]  # 10 k, or (k - 1) d + 1
    expected = 0.02 * torch.tensor([0.6, 0.0, -0.8, 0.0]) + 1e-5 * torch.tensor(size)
    for layer in mixtures(supernet).values():
        torch.testing.assert_close(layer.arch_parameters.grad, expected)
    assert torch.equal(weight.grad, torch.ones_like(weight))


def test_of_several_axes_the_largest_size_counts():
    space = SearchSpace(kernel_sizes=(3, (3, 7)), dilations=(1, (2, 1)))
    supernet, phase, _ = made(SearchConfig(arch_grad_norm=None, drop_beyond_map=False), dims=2, space=space)
    layer = supernet.conv1
    layer.arch_parameters.grad = torch.zeros(4)
    phase.shape_gradients()
    assert [str(c) for c in layer.candidates] == ["k3_d1", "k3_d2x1", "k3x7_d1", "k3x7_d2x1"]
    torch.testing.assert_close(layer.arch_parameters.grad, 1e-5 * torch.tensor([3.0, 5.0, 7.0, 7.0]))


def test_architecture_parameters_are_a_group_of_their_own():
    config = SearchConfig(learning_rate=0.2, arch_learning_rate=0.03, weight_decay=1e-3, arch_weight_decay=0.0)
    supernet, phase, _ = made(config)
    weights, arch = phase.optimiser.param_groups
    ids = {id(layer.arch_parameters) for layer in mixtures(supernet).values()}
    assert {id(p) for p in arch["params"]} == ids
    assert {id(p) for p in weights["params"]} == {id(p) for p in supernet.parameters()} - ids
    assert (weights["lr"], weights["weight_decay"], weights["momentum"]) == (0.2, 1e-3, 0.9)
    assert (arch["lr"], arch["weight_decay"], arch["momentum"]) == (0.03, 0.0, 0.9)


def test_one_step_moves_weights_and_architecture_parameters_together():
    supernet, phase, _ = made(SearchConfig())
    before = {name: p.detach().clone() for name, p in supernet.named_parameters()}
    take_step(phase, np.arange(16), torch.device("cpu"))
    assert not [name for name, p in supernet.named_parameters() if torch.equal(p, before[name])]


def test_all_gradients_together_are_clipped():
    _, phase, _ = made(SearchConfig(clip=0.01))
    take_step(phase, np.arange(16), torch.device("cpu"))
    norm = torch.cat([p.grad.flatten() for p in phase.model.parameters()]).norm()
    assert norm.item() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize(("gumbel", "relaxation"), [(True, GumbelSoftmax), (False, Softmax)])
def test_the_relaxation_is_as_the_settings_say(gumbel, relaxation):
    supernet, _, _ = made(SearchConfig(gumbel=gumbel, temperature=0.5))
    for layer in mixtures(supernet).values():
        assert type(layer.relaxation) is relaxation
        assert not gumbel or layer.relaxation.temperature == 0.5


def run_search(data, folder, config=None, seed=0, epochs=3, space=SPACE, model=None):
    torch.manual_seed(seed)
    config = config or SearchConfig()
    of = data.spec
    model = model or TwoLayers(outputs=of.outputs, channels=of.channels, dense=of.target_kind.is_dense)
    supernet, _ = make_supernet(model, space, data.train.batch(np.arange(2)).x, config)
    loss = make_loss(data.spec, data.normaliser, metric_name="error")
    with session(folder) as there:
        found, seconds = search(
            supernet, data.train, loss, config, epochs=epochs, batch_size=16, seed=seed, session=there
        )
    assert seconds > 0
    return found, supernet


@pytest.mark.parametrize("strategy", ["auto", *(name for name in STRATEGIES if name != "mixed_results")])
@pytest.mark.parametrize("dims", [1, 2])
def test_every_strategy_searches_the_same_to_rounding(strategy, dims, tmp_path):
    data = prepared(dims=dims)
    searched = []
    for name in ("mixed_results", strategy):
        torch.manual_seed(0)
        model = TwoLayers(dims, data.spec.outputs)
        config = SearchConfig(strategy=name)
        found, supernet = run_search(data, tmp_path / name, config, epochs=2, model=model)
        losses = torch.tensor([event["loss"] for event in read_events(tmp_path / name)])
        searched.append((found, losses, {name: p.detach() for name, p in supernet.named_parameters()}))
    (found, losses, weights), (other_found, other_losses, other_weights) = searched
    assert dict(found) == dict(other_found)
    torch.testing.assert_close(other_losses, losses, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(other_weights, weights, rtol=1e-2, atol=1e-4)


def test_test_and_validation_data_change_nothing_about_the_search(tmp_path):
    given = arrays(TargetKind.CLASSES)
    parts = {"x": given["x"][:40], "y": given["y"][:40], "x_val": given["x"][40:50], "y_val": given["y"][40:50],
             "x_test": given["x"][50:], "y_test": given["y"][50:]}  # fmt: skip
    noise = np.random.default_rng(5)
    other = parts | {
        name: noise.normal(100, 50, parts[name].shape) if name[0] == "x" else noise.permutation(parts[name])
        for name in ("x_val", "y_val", "x_test", "y_test")
    }
    (found, a), (again, b) = (
        run_search(prepare(content, DataConfig(), seed=0), tmp_path / name)
        for content, name in ((parts, "a"), (other, "b"))
    )
    assert found == again
    torch.testing.assert_close(a.state_dict(), b.state_dict(), rtol=0, atol=0)


def test_the_choice_is_the_largest_architecture_parameter(tmp_path):
    found, supernet = run_search(prepared(), tmp_path)
    assert list(found) == ["conv1", "conv2"]
    for name, layer in mixtures(supernet).items():
        assert found[name] == layer.candidates[int(layer.arch_parameters.argmax())]


def test_events_tell_the_entropy_of_each_mixture(tmp_path):
    _, supernet = run_search(prepared(), tmp_path, epochs=2)
    told = read_events(tmp_path)[-1]["mixture_entropy"]
    for name, layer in mixtures(supernet).items():
        p = layer.arch_parameters.detach().softmax(0)
        assert told[name] == pytest.approx(-(p * p.log()).sum().item(), abs=1e-4)


@pytest.mark.parametrize("lag", [2, 5])
def test_a_planted_pair_of_taps_is_found(lag, tmp_path):
    """Dense targets: each is the product of the samples `lag` before and after; one kernel relates them all."""
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], size=(120, 1, 40)) * rng.uniform(0.5, 1.5, size=(120, 1, 40))
    y = (np.roll(x[:, 0], lag, axis=1) * np.roll(x[:, 0], -lag, axis=1) > 0).astype(np.int64)
    data = prepare({"x": x, "y": y}, DataConfig(target=TargetKind.DENSE_BINARY), seed=0)
    space = SearchSpace(kernel_sizes=(3,), dilations=(1, 2, 3, 5))
    config = SearchConfig(size_penalty=0.0, arch_learning_rate=0.1)
    found, _ = run_search(data, tmp_path, config, epochs=12, space=space)
    assert found["conv1"] == Candidate(3, lag)


def test_a_planted_pair_of_taps_is_found_by_a_kernel_dilated_along_the_height_alone(tmp_path):
    """As above, in images: the samples lie 2 rows and 1 column before and after, which no square kernel relates."""
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], size=(200, 1, 12, 8)) * rng.uniform(0.5, 1.5, size=(200, 1, 12, 8))
    y = (np.roll(x[:, 0], (2, 1), axis=(1, 2)) * np.roll(x[:, 0], (-2, -1), axis=(1, 2)) > 0).astype(np.int64)
    data = prepare({"x": x, "y": y}, DataConfig(target=TargetKind.DENSE_BINARY), seed=0)
    space = SearchSpace(kernel_sizes=(1, 3), dilations=(1, 2), per_axis=True)
    config = SearchConfig(size_penalty=0.0, arch_learning_rate=0.1)
    one_layer = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 1, 1))
    found, _ = run_search(data, tmp_path, config, epochs=16, space=space, model=one_layer)
    assert found == {"0": Candidate(3, (2, 1))}
