"""What every strategy must do; a new one is tested here once it stands in `dashnas.ops.STRATEGIES`.

The oracle is Equation 2 of the paper in float64, through `torch.nn.functional` and nothing of ours.
"""

import copy
import functools
import math
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dashnas.ops import STRATEGIES, AggConv1d, AggConv2d, aggconv
from dashnas.ops.geometry import Geometry
from dashnas.space import Candidate

CONV = {1: F.conv1d, 2: F.conv2d}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A layer and the map it works on."""

    candidates: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    """(kernel size, dilation) of each, per axis."""
    map_shape: tuple[int, ...]
    batch: int = 2
    in_channels: int = 3
    out_channels: int = 3
    groups: int = 1
    stride: int | tuple[int, ...] = 1
    layout: str = "contiguous"

    @property
    def dilations(self) -> list[tuple[int, ...]]:
        return [dilation for _, dilation in self.candidates]

    @property
    def strides(self) -> tuple[int, ...]:
        return self.stride if isinstance(self.stride, tuple) else (self.stride,) * len(self.map_shape)

    @property
    def geometry(self) -> Geometry:
        kernel_sizes, dilations = zip(*self.candidates, strict=True)
        return Geometry(kernel_sizes, dilations, self.strides, self.groups)

    def inputs(self) -> tuple[Tensor, list[Tensor], Tensor]:
        """x, kernels and mixture in float64; the mixture is no distribution, as the operator needs none."""
        x = torch.randn(self.batch, self.in_channels, *self.map_shape, dtype=torch.float64)
        if self.layout == "channels_last":
            x = x.to(memory_format=torch.channels_last)
        elif self.layout == "transposed":
            x = x.transpose(1, -1).contiguous().transpose(1, -1)
        elif self.layout == "strided":
            x = x.repeat_interleave(2, dim=-1)[..., ::2]
        assert x.is_contiguous() == (self.layout == "contiguous")
        kernels = [
            torch.randn(self.out_channels, self.in_channels // self.groups, *kernel_size, dtype=torch.float64)
            for kernel_size, _ in self.candidates
        ]
        return x, kernels, torch.rand(len(kernels), dtype=torch.float64) + 0.1


def square(spatial_dims, kernel_sizes, dilations):
    """Every pair, the same along all axes."""
    return tuple(((k,) * spatial_dims, (d,) * spatial_dims) for k in kernel_sizes for d in dilations)


ALONG_1D = square(1, (3, 7), (1, 3))
ALONG_2D = square(2, (3, 5), (1, 2))

CASES = {
    "1-D, even length": Case(candidates=ALONG_1D, map_shape=(24,)),
    "1-D, odd length": Case(candidates=ALONG_1D, map_shape=(25,)),
    "1-D, paper's space": Case(candidates=square(1, (3, 7, 11, 15, 19), (1, 3, 7, 15)), map_shape=(46,)),
    "1-D, map smaller than the kernels": Case(candidates=square(1, (5, 9), (1, 7)), map_shape=(4,)),
    "1-D, length 1": Case(candidates=ALONG_1D, map_shape=(1,)),
    "1-D, even length, stride 2": Case(candidates=ALONG_1D, map_shape=(24,), stride=2),
    "1-D, odd length, stride 2": Case(candidates=ALONG_1D, map_shape=(25,), stride=2),
    "1-D, stride 3": Case(candidates=ALONG_1D, map_shape=(26,), stride=3),
    "1-D, long": Case(candidates=square(1, (3, 7, 11), (1, 3, 15)), map_shape=(331,)),
    "1-D, long, stride 2": Case(candidates=ALONG_1D, map_shape=(801,), stride=2),
    "1-D, long, stride 3": Case(candidates=ALONG_1D, map_shape=(1210,), stride=3),
    "1-D, long, in pieces of unequal length, stride 2": Case(candidates=ALONG_1D, map_shape=(863,), stride=2),
    "1-D, stride longer than the map": Case(candidates=ALONG_1D, map_shape=(2,), stride=3),
    "1-D, more outputs than inputs": Case(candidates=ALONG_1D, map_shape=(20,), in_channels=2, out_channels=5),
    "1-D, fewer outputs than inputs": Case(candidates=ALONG_1D, map_shape=(20,), in_channels=5, out_channels=1),
    "1-D, groups": Case(candidates=ALONG_1D, map_shape=(20,), in_channels=4, out_channels=6, groups=2),
    "1-D, depthwise": Case(candidates=ALONG_1D, map_shape=(20,), groups=3),
    "1-D, depthwise with a multiplier": Case(candidates=ALONG_1D, map_shape=(20,), out_channels=6, groups=3),
    "1-D, batch 1": Case(candidates=ALONG_1D, map_shape=(20,), batch=1),
    "1-D, one candidate": Case(candidates=(((5,), (3,)),), map_shape=(20,)),
    "1-D, kernel size 1": Case(candidates=square(1, (1, 3), (1, 4)), map_shape=(20,)),
    "1-D, channels last in memory": Case(candidates=ALONG_1D, map_shape=(20,), layout="transposed"),
    "1-D, every other sample of a longer array": Case(candidates=ALONG_1D, map_shape=(20,), layout="strided"),
    "2-D, even map": Case(candidates=ALONG_2D, map_shape=(12, 12)),
    "2-D, odd map": Case(candidates=ALONG_2D, map_shape=(11, 11)),
    "2-D, paper's space": Case(candidates=square(2, (3, 5, 7, 9), (1, 3, 7, 15)), map_shape=(16, 16)),
    "2-D, map smaller than the kernels": Case(candidates=square(2, (5, 9), (1, 7)), map_shape=(4, 3)),
    "2-D, smaller than the kernels along one axis": Case(candidates=ALONG_2D, map_shape=(3, 20)),
    "2-D, one row": Case(candidates=ALONG_2D, map_shape=(1, 15)),
    "2-D, one column": Case(candidates=ALONG_2D, map_shape=(15, 1)),
    "2-D, one pixel": Case(candidates=ALONG_2D, map_shape=(1, 1), batch=4),
    "2-D, oblong map": Case(candidates=ALONG_2D, map_shape=(7, 12)),
    "2-D, even map, stride 2": Case(candidates=ALONG_2D, map_shape=(12, 10), stride=2),
    "2-D, odd map, stride 2": Case(candidates=ALONG_2D, map_shape=(11, 9), stride=2),
    "2-D, a stride per axis": Case(candidates=ALONG_2D, map_shape=(11, 10), stride=(1, 3)),
    "2-D, stride 3": Case(candidates=ALONG_2D, map_shape=(11, 10), stride=3),
    "2-D, stride longer than the map along one axis": Case(candidates=ALONG_2D, map_shape=(2, 9), stride=3),
    "2-D, stride 2, crosses that meet no odd row and column at once": Case(
        candidates=(((1, 3), (1, 1)), ((3, 1), (1, 1))), map_shape=(9, 8), stride=2
    ),
    "2-D, stride 2, channels last": Case(candidates=ALONG_2D, map_shape=(9, 8), stride=2, layout="channels_last"),
    "2-D, groups, stride 2": Case(
        candidates=ALONG_2D, map_shape=(9, 8), in_channels=4, out_channels=6, groups=2, stride=2
    ),
    "2-D, other outputs than inputs": Case(candidates=ALONG_2D, map_shape=(9, 8), in_channels=2, out_channels=5),
    "2-D, groups": Case(candidates=ALONG_2D, map_shape=(9, 8), in_channels=4, out_channels=6, groups=2),
    "2-D, depthwise": Case(candidates=ALONG_2D, map_shape=(9, 8), groups=3),
    "2-D, depthwise, stride 2": Case(candidates=ALONG_2D, map_shape=(9, 8), groups=3, stride=2),
    "2-D, oblong kernels": Case(candidates=(((3, 7), (1, 1)), ((5, 1), (2, 2)), ((1, 9), (1, 1))), map_shape=(9, 12)),
    "2-D, a dilation per axis": Case(candidates=(((3, 5), (1, 3)), ((5, 3), (4, 1))), map_shape=(9, 12)),
    "2-D, batch 1": Case(candidates=ALONG_2D, map_shape=(9, 8), batch=1),
    "2-D, channels last": Case(candidates=ALONG_2D, map_shape=(9, 8), layout="channels_last"),
    "2-D, width and channels exchanged": Case(candidates=ALONG_2D, map_shape=(9, 8), layout="transposed"),
    "2-D, every other column of a wider array": Case(candidates=ALONG_2D, map_shape=(9, 8), layout="strided"),
}

TINY = {
    "1-D, stride 2": Case(
        candidates=square(1, (3, 5), (1, 2)), map_shape=(5,), in_channels=1, out_channels=2, stride=2
    ),
    "1-D, groups": Case(candidates=square(1, (3,), (1, 4)), map_shape=(4,), in_channels=2, out_channels=2, groups=2),
    "2-D": Case(
        candidates=(((3, 1), (1, 1)), ((1, 3), (1, 2))),
        map_shape=(3, 4),
        in_channels=2,
        out_channels=1,
        batch=1,
    ),
}

every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)
every_case = pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
FEW = (
    "1-D, odd length, stride 2",
    "1-D, map smaller than the kernels",
    "2-D, groups",
    "2-D, a dilation per axis",
)
few_cases = pytest.mark.parametrize("case", [pytest.param(CASES[name], id=name) for name in FEW])


def oracle(x, kernels, mixture, dilations, stride, groups):
    """Equation 2: one convolution per candidate, results weighted and summed."""
    total = 0.0
    for kernel, weight, dilation in zip(kernels, mixture, dilations, strict=True):
        padding = [(size - 1) * d // 2 for size, d in zip(kernel.shape[2:], dilation, strict=True)]
        conv = CONV[x.dim() - 2]
        total += weight * conv(x, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return total


def run(strategy, case, x, kernels, mixture):
    bank = torch.cat([kernel.flatten(2).movedim(-1, 0) for kernel in kernels])
    return aggconv(x, bank, mixture, case.geometry, strategy)


def with_gradients(function, cotangent, x, kernels, mixture):
    """The result of a function, and its gradients with respect to all that went in, by name."""
    x, mixture, *kernels = (t.detach().requires_grad_() for t in (x, mixture, *kernels))
    result = function(x, kernels, mixture)
    gradients = torch.autograd.grad(result, (x, mixture, *kernels), cotangent.to(result))
    names = ("x", "mixture", *(f"kernel {i}" for i in range(len(kernels))))
    return {
        "result": result.detach(),
        **{f"gradient of {n}": g for n, g in zip(names, gradients, strict=True)},
    }


@functools.cache
def inputs_and_expected(case):
    """Inputs of a case, and the oracle's result and gradients, once for all strategies and precisions.

    The cotangent is the result itself, so these are the gradients of half its square sum. A random one can
    make the terms of the mixture's gradient cancel to nearly nothing, and a relative error in bfloat16 then
    says nothing.
    """

    def theirs(x, kernels, mixture):
        return oracle(x, kernels, mixture, case.dilations, case.strides, case.groups)

    torch.manual_seed(0)  # as before each test, so that it does not matter which comes first
    inputs = case.inputs()
    return inputs, with_gradients(theirs, theirs(*inputs), *inputs)


def relative_error(actual, expected):
    """max|a - b| / max|b|, as the issue has it."""
    return float((actual.double() - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(
    ("dtype", "autocast", "tolerance"),
    [
        pytest.param(torch.float64, False, 1e-9, id="float64"),
        pytest.param(torch.float32, False, 1e-4, id="float32"),
        pytest.param(torch.float32, True, 2e-2, id="bfloat16 autocast"),
    ],
)
@every_case
@every_strategy
def test_result_and_all_gradients_are_those_of_mixed_results(strategy, case, dtype, autocast, tolerance):
    (x, kernels, mixture), expected = inputs_and_expected(case)

    def ours(x, kernels, mixture):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            return run(strategy, case, x, kernels, mixture)

    cotangent = expected["result"]
    actual = with_gradients(ours, cotangent, x.to(dtype), [k.to(dtype) for k in kernels], mixture.to(dtype))
    assert actual["result"].dtype == (torch.bfloat16 if autocast else dtype)
    assert {name: t.shape for name, t in actual.items()} == {name: t.shape for name, t in expected.items()}
    errors = {name: relative_error(actual[name], expected[name]) for name in expected}
    assert {name: error for name, error in errors.items() if not error <= tolerance} == {}


@every_case
@pytest.mark.parametrize("strategy", ["fourier", "dft"])
def test_a_spectrum_made_row_by_row_gives_the_same(strategy, case, monkeypatch):
    monkeypatch.setattr("dashnas.ops.spectral.PART_ELEMENTS", 1)
    inputs, expected = inputs_and_expected(case)
    actual = with_gradients(functools.partial(run, strategy, case), expected["result"], *inputs)
    assert max(relative_error(actual[name], expected[name]) for name in expected) <= 1e-9


@every_case
@pytest.mark.parametrize("strategy", ["fourier", "dft"])
def test_result_and_gradient_of_the_input_lie_contiguously(strategy, case):
    inputs, expected = inputs_and_expected(case)
    actual = with_gradients(functools.partial(run, strategy, case), expected["result"], *inputs)
    assert actual["result"].is_contiguous()
    assert actual["gradient of x"].is_contiguous()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("map_shape", [(20,), (431,), (9, 8)])
@every_strategy
def test_an_input_without_gradient_leaves_those_of_the_kernels_as_they_are(strategy, map_shape, stride):
    case = Case(candidates=square(len(map_shape), (3, 5), (1, 2)), map_shape=map_shape, stride=stride)
    (x, kernels, mixture), expected = inputs_and_expected(case)
    kernels = [kernel.clone().requires_grad_() for kernel in kernels]
    gradients = torch.autograd.grad(run(strategy, case, x, kernels, mixture), kernels, expected["result"])
    for i, gradient in enumerate(gradients):
        torch.testing.assert_close(gradient, expected[f"gradient of kernel {i}"])


@every_strategy
def test_kernels_of_another_precision_are_converted(strategy):
    case = CASES["2-D, even map"]
    (x, kernels, mixture), expected = inputs_and_expected(case)
    result = run(strategy, case, x, [kernel.float() for kernel in kernels], mixture.float())
    assert result.dtype == torch.float64
    assert relative_error(result, expected["result"]) <= 1e-4


@every_case
@every_strategy
def test_output_has_ceil_of_size_over_stride_positions(strategy, case):
    expected = (math.ceil(n / stride) for n, stride in zip(case.map_shape, case.strides, strict=True))
    assert run(strategy, case, *case.inputs()).shape == (case.batch, case.out_channels, *expected)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in TINY.items()])
@every_strategy
def test_gradients_are_those_of_finite_differences(strategy, case):
    x, kernels, mixture = case.inputs()
    inputs = [t.requires_grad_() for t in (x, mixture, *kernels)]
    assert torch.autograd.gradcheck(lambda x, m, *k: run(strategy, case, x, k, m), inputs)


@few_cases
@every_strategy
def test_linear_in_the_input(strategy, case):
    x, kernels, mixture = case.inputs()
    other = torch.randn_like(x)
    of_sum = run(strategy, case, 2 * x - 3 * other, kernels, mixture)
    parts = [run(strategy, case, part, kernels, mixture) for part in (x, other)]
    torch.testing.assert_close(of_sum, 2 * parts[0] - 3 * parts[1])


@few_cases
@every_strategy
def test_linear_in_the_mixture(strategy, case):
    x, kernels, mixture = case.inputs()
    other = torch.randn_like(mixture)
    of_sum = run(strategy, case, x, kernels, 2 * mixture - 3 * other)
    parts = [run(strategy, case, x, kernels, part) for part in (mixture, other)]
    torch.testing.assert_close(of_sum, 2 * parts[0] - 3 * parts[1])


@pytest.mark.parametrize("spatial_dims", [1, 2])
@every_strategy
def test_a_shifted_input_gives_a_shifted_result_away_from_the_borders(strategy, spatial_dims):
    candidates = square(spatial_dims, (3, 5), (1, 3))  # half reach 6
    case = Case(candidates=candidates, map_shape=(30,) * spatial_dims)
    x, kernels, mixture = case.inputs()
    axes = tuple(range(2, 2 + spatial_dims))
    shift = (3, -2)[:spatial_dims]
    shifted = run(strategy, case, x.roll(shift, axes), kernels, mixture)
    inner = (slice(None), slice(None), *(slice(9, 21),) * spatial_dims)  # half reach + shift from each border
    expected = run(strategy, case, x, kernels, mixture).roll(shift, axes)
    torch.testing.assert_close(shifted[inner], expected[inner])


@few_cases
@every_strategy
def test_a_one_hot_mixture_is_the_plain_layer(strategy, case):
    x, kernels, _ = case.inputs()
    for chosen, (kernel, (kernel_size, dilation)) in enumerate(zip(kernels, case.candidates, strict=True)):
        mixture = F.one_hot(torch.tensor(chosen), len(kernels)).double()
        padding = [(k - 1) * d // 2 for k, d in zip(kernel_size, dilation, strict=True)]
        settings = {"stride": case.stride, "padding": padding, "dilation": dilation, "groups": case.groups}
        plain = CONV[x.dim() - 2](x, kernel, **settings)
        torch.testing.assert_close(run(strategy, case, x, kernels, mixture), plain)


@every_strategy
def test_nothing_that_goes_in_is_changed(strategy):
    case = CASES["2-D, groups"]
    inputs = case.inputs()
    before = copy.deepcopy(inputs)
    run(strategy, case, *inputs)
    torch.testing.assert_close(inputs, before, rtol=0, atol=0)


@every_strategy
def test_autocast_leaves_float64_alone_as_it_does_for_convolutions(strategy):
    case = CASES["1-D, even length"]
    inputs = case.inputs()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = run(strategy, case, *inputs)
    torch.testing.assert_close(result, oracle(*inputs, case.dilations, case.strides, case.groups))


# The modules with each strategy.

LAYERS = {  # names of candidates that do not sort as the candidates do: k11 before k3, d15 before d3
    "AggConv1d": (AggConv1d, (Candidate(3, 15), Candidate(3, 2), Candidate(11), Candidate(5)), (2, 4, 19)),
    "AggConv2d": (AggConv2d, (Candidate(5), Candidate(3, 2), Candidate((3, 5), (2, 1))), (2, 4, 5, 6)),
}


@pytest.fixture(params=LAYERS)
def layer_and_input(request, strategy):
    kind, candidates, shape = LAYERS[request.param]
    layer = kind(4, 6, candidates, stride=2, groups=2, strategy=strategy).double()
    with torch.no_grad():
        layer.bias.normal_()
        layer.arch_parameters.normal_()
    return layer, torch.randn(shape, dtype=torch.float64)


@every_strategy
def test_module_is_the_softmax_mixture_plus_the_bias(layer_and_input):
    layer, x = layer_and_input
    kernels = [layer.kernel_of(candidate) for candidate in layer.candidates]
    mixture = layer.arch_parameters.softmax(0)
    expected = oracle(x, kernels, mixture, layer.geometry.dilations, layer.stride, layer.groups)
    torch.testing.assert_close(layer(x), expected + layer.bias.view(-1, *(1,) * layer.spatial_dims))


@every_strategy
def test_every_parameter_of_the_module_gets_a_gradient(layer_and_input):
    layer, x = layer_and_input
    layer(x).square().sum().backward()
    assert [name for name, p in layer.named_parameters() if p.grad is None or not p.grad.all()] == []


@every_strategy
def test_a_deep_copy_computes_the_same_and_is_independent(layer_and_input):
    layer, x = layer_and_input
    before = layer(x)
    twin = copy.deepcopy(layer)
    torch.testing.assert_close(twin(x), before, rtol=0, atol=0)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    torch.testing.assert_close(layer(x), before, rtol=0, atol=0)


@every_strategy
def test_state_dict_restores_a_fresh_module(layer_and_input, strategy):
    layer, x = layer_and_input
    fresh = type(layer)(4, 6, layer.candidates, stride=2, groups=2, strategy=strategy).double()
    assert not torch.equal(fresh(x), layer(x))
    fresh.load_state_dict(layer.state_dict())
    torch.testing.assert_close(fresh(x), layer(x), rtol=0, atol=0)


@every_strategy
def test_torch_func_calls_differentiates_and_batches_the_module(layer_and_input):
    layer, x = layer_and_input
    parameters = dict(layer.named_parameters())

    def loss(parameters, x):
        return torch.func.functional_call(layer, parameters, (x,)).square().sum()

    gradients = torch.func.grad(loss)(parameters, x)
    layer(x).square().sum().backward()
    torch.testing.assert_close(gradients, {name: p.grad for name, p in parameters.items()})
    other = {name: torch.randn_like(p) for name, p in parameters.items()}
    stacked = {name: torch.stack([parameters[name], other[name]]) for name in parameters}
    losses = torch.func.vmap(loss, in_dims=(0, None))(stacked, x)
    torch.testing.assert_close(losses, torch.stack([loss(parameters, x), loss(other, x)]))


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # PyTorch 2.13's own doing
@every_strategy
def test_torch_compile_takes_the_module_whole(layer_and_input):
    layer, x = layer_and_input
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), layer(x))
    for training_on in (x, x.clone().requires_grad_()):
        gradients = []
        for module in (compiled, layer):
            layer.zero_grad()
            module(training_on).square().sum().backward()
            gradients.append({name: p.grad for name, p in layer.named_parameters()})
        torch.testing.assert_close(*gradients)
    torch.compiler.reset()


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "mixed_results"])
def test_nothing_is_kept_for_the_backward_pass_but_what_went_in(strategy):
    case = CASES["2-D, even map"]
    x, kernels, mixture = case.inputs()
    inputs = {t.data_ptr() for t in (x, mixture)}
    bank = torch.cat([kernel.flatten(2).movedim(-1, 0) for kernel in kernels]).requires_grad_()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.data_ptr()), lambda t: t):
        aggconv(x, bank, mixture, case.geometry, strategy)
    assert set(saved) == inputs | {bank.data_ptr()}


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "mixed_results"])
def test_second_derivatives_are_refused(strategy):
    case = CASES["1-D, even length"]
    x, kernels, mixture = case.inputs()
    result = run(strategy, case, x.requires_grad_(), kernels, mixture)
    (gradient,) = torch.autograd.grad(result.square().sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="no second derivatives"):
        gradient.sum().backward()
