"""From a backbone to a supernet, from a supernet to a choice, and from a choice to an ordinary network."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

from dashnas.errors import ConfigError, ConversionError
from dashnas.observe import ANY_CONVOLUTION, Call, copied, observe
from dashnas.ops.aggconv import AggConv, AggConv1d, AggConv2d
from dashnas.ops.causal import CausalConv1d
from dashnas.ops.relaxation import Relaxation
from dashnas.space import Architecture, Candidate, SearchSpace, per_axis

SHORTCUT_NAMES = ("shortcut", "downsample", "skip", "pool", "channel_match")
"""A convolution whose qualified name contains one of these is taken for a shortcut and kept."""

LITTLE_LARGER = 0.01
"""Share of a model's weights that a candidate may add to those of its layer though the outcome is to be no larger:
kernels of few channels, such as those of a first layer, cost little and may reach far (docs/search-quality.md)."""

_AGGCONVS: dict[type[nn.Module], type[AggConv]] = {nn.Conv1d: AggConv1d, nn.Conv2d: AggConv2d}
_SEVERAL_PLACES = "so that one choice would have to serve several places"
_Convolution = nn.Conv1d | nn.Conv2d


@dataclass(frozen=True)
class Searchable:
    """A convolution that can become a mixture."""

    map_shape: tuple[int, ...]
    """Spatial shape of the layer's input."""
    candidates: tuple[Candidate, ...]
    """What the layer may become."""
    dropped: tuple[Candidate, ...]
    """Candidates of the search space that reach beyond the layer's own map."""
    larger: tuple[Candidate, ...] = ()
    """Candidates that are left out because the model would become larger."""


@dataclass(frozen=True)
class Conversion:
    """What a conversion does with each convolution of a model."""

    searchable: Mapping[str, Searchable]
    """By layer name, in the model's order."""
    kept: Mapping[str, str]
    """Layer name to the reason why it stays as it is."""


def find_searchable(
    model: nn.Module,
    space: SearchSpace,
    sample: Tensor | tuple[Tensor, ...],
    *,
    depthwise: bool = True,
    drop_beyond_map: bool = True,
    no_larger: bool = False,
) -> Conversion:
    """Tell which convolutions of a model can be searched, by running it once on a sample.

    A convolution can be searched when it is a plain `Conv1d` or `Conv2d` with a weight of its own, has a
    kernel larger than 1 and zero "same" padding (output = ceil(input / stride)), is no shortcut by its name,
    and is called once per forward pass, on a batch.

    Args:
        model: any module; it is left as it is.
        space: the candidates of every layer.
        sample: input of the model, or a tuple of inputs.
        depthwise: whether depthwise layers are searched too.
        drop_beyond_map: leave out candidates whose half reach along an axis is not smaller than the layer's own map,
            since their outer taps would only see padding; the smallest candidate always stays. Along an axis of
            length 1 only the middle tap sees data: of candidates that differ there alone, the smallest stays.
        no_larger: leave out candidates with more taps than the layer's own kernel; those that add few weights
            (`LITTLE_LARGER`) stay if the other layers save as many in any case, and the fewest taps always do.

    Raises:
        ConfigError: a space `per_axis` for a layer with one axis.
        ConversionError: the model fails on the sample, cannot be copied, or has no convolution to search.
    """
    uses = observe(model, sample)
    owners = _owners(model)
    searchable: dict[str, Searchable] = {}
    kept: dict[str, str] = {}
    for name, module in model.named_modules():
        if not isinstance(module, ANY_CONVOLUTION):
            continue
        reason = _reason_to_keep(name, module, uses.get(name, []), owners, depthwise)
        if reason:
            kept[name] = reason
        else:
            map_shape = uses[name][0].input_shape[2:]
            if space.per_axis and len(map_shape) == 1:
                raise ConfigError(f"per_axis is for images, but layer {name!r} has one axis only; leave it out")
            candidates = space.candidates()
            fitting = _fitting(candidates, map_shape) if drop_beyond_map else candidates
            searchable[name] = Searchable(map_shape, fitting, tuple(c for c in candidates if c not in fitting))
    if not searchable:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in kept.items()) or "it has no convolutions"
        raise ConversionError(f"no convolution of this model can be searched ({reasons})")
    return Conversion(_no_larger(model, searchable) if no_larger else searchable, kept)


def to_supernet(
    model: nn.Module,
    space: SearchSpace,
    sample: Tensor | tuple[Tensor, ...],
    *,
    strategy: str = "auto",
    plan: str = "measure",
    relaxation: Relaxation | None = None,
    separable: bool = False,
    depthwise: bool = True,
    drop_beyond_map: bool = True,
    no_larger: bool = False,
    kernel_std: float | None = None,
    strict: bool = False,
) -> nn.Module:
    """Copy a model with its convolutions exchanged for mixtures of the candidates of a search space.

    `find_searchable` says which convolutions these are; the others stay as they are. Layer names do not
    change.

    Args:
        model: any module with Conv1d or Conv2d; it is left as it is.
        space: the candidates of every layer.
        sample: input of the model, or a tuple of inputs; shows how large each layer's map is.
        strategy: how to compute the mixtures, a name in `dashnas.ops.STRATEGIES`, or "auto" for the fastest in each
            layer.
        plan: where the strategy is "auto", "measure" times strategies of similar cost, "model" never does.
        relaxation: from architecture parameters to mixture; None is a plain softmax.
        separable: make layers with as many inputs as outputs depthwise, as the authors' code does by default;
            the paper's formulas have full convolutions.
        depthwise: whether depthwise layers are searched too.
        drop_beyond_map: leave out candidates that reach beyond a layer's own map.
        no_larger: leave out candidates that would make the model larger, as far as others are left (`find_searchable`).
        kernel_std: standard deviation of fresh kernels; None draws them as `torch.nn.Conv1d` does.
        strict: refuse a model of which some convolution cannot be searched.

    Raises:
        ConfigError: a space `per_axis` for a layer with one axis.
        ConversionError: the model fails on the sample or cannot be copied; no convolution can be searched;
            or, with `strict`, not all of them.
    """
    conversion = find_searchable(
        model, space, sample, depthwise=depthwise, drop_beyond_map=drop_beyond_map, no_larger=no_larger
    )
    if strict and conversion.kept:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in conversion.kept.items())
        raise ConversionError(f"strict=True, but these convolutions cannot be searched: {reasons}")
    supernet = copied(model)
    for name, layer in conversion.searchable.items():
        conv = supernet.get_submodule(name)
        assert isinstance(conv, nn.Conv1d | nn.Conv2d)
        make_depthwise = separable and conv.in_channels == conv.out_channels
        mixture = _AGGCONVS[type(conv)](
            conv.in_channels,
            conv.out_channels,
            layer.candidates,
            stride=tuple(conv.stride),
            groups=conv.in_channels if make_depthwise else conv.groups,
            bias=conv.bias is not None,
            strategy=strategy,
            plan=plan,
            relaxation=relaxation,
            kernel_std=kernel_std,
        )
        mixture.to(conv.weight).train(conv.training)
        _copy_bias(conv, mixture)
        supernet = _replaced(supernet, name, mixture)
    return supernet


def mixtures(supernet: nn.Module) -> dict[str, AggConv]:
    """The relaxed layers of a supernet by name, in its order."""
    return {name: module for name, module in supernet.named_modules() if isinstance(module, AggConv)}


def discretise(supernet: nn.Module) -> Architecture:
    """Take the candidate with the largest architecture parameter in each layer.

    Raises:
        ConversionError: the model is no supernet.

    Reference: Shen et al. 2022, Algorithm 1.
    """
    layers = mixtures(supernet)
    if not layers:
        raise ConversionError("this model has no relaxed layers; make it a supernet with to_supernet first")
    return Architecture({name: layer.choice() for name, layer in layers.items()})


def has_choice(conversion: Conversion) -> bool:
    """Whether any layer has more than one candidate."""
    return any(len(layer.candidates) > 1 for layer in conversion.searchable.values())


def keeps_own_kernels(model: nn.Module, architecture: Architecture) -> bool:
    """Whether an architecture chooses the kernel and the dilation that each of its layers has in a model already."""
    modules = dict(model.named_modules())

    def is_own(name: str, choice: Candidate) -> bool:
        conv = modules.get(name)
        if not isinstance(conv, nn.Conv1d | nn.Conv2d):
            return False  # which `derive` tells
        dims = len(conv.kernel_size)
        chosen = per_axis(choice.kernel_size, dims), per_axis(choice.dilation, dims)
        return chosen == (tuple(conv.kernel_size), tuple(conv.dilation))

    return all(is_own(name, choice) for name, choice in architecture.items())


def largest_architecture(conversion: Conversion) -> Architecture:
    """The architecture that costs most to train."""
    return Architecture(
        {name: max(layer.candidates, key=_training_cost(layer)) for name, layer in conversion.searchable.items()}
    )


def smallest_architecture(conversion: Conversion) -> Architecture:
    """The architecture that costs least to train."""
    return Architecture(
        {name: min(layer.candidates, key=_training_cost(layer)) for name, layer in conversion.searchable.items()}
    )


def _training_cost(layer: Searchable) -> Callable[[Candidate], tuple[int, int]]:
    """What tells which candidate of a layer costs more to train: its taps, and how far they reach."""
    spatial_dims = len(layer.map_shape)

    def cost(candidate: Candidate) -> tuple[int, int]:
        taps = math.prod(per_axis(candidate.kernel_size, spatial_dims))
        return taps, sum(candidate.half_reach(spatial_dims))

    return cost


def derive(
    model: nn.Module, architecture: Architecture, *, initialise: Callable[[nn.Module], object] | None = None
) -> nn.Module:
    """Copy a model with the chosen kernels in place: an ordinary network of plain convolutions.

    The model may be the backbone, at any width, or the supernet; layer names do not change. Weights carry
    over wherever their shape is unchanged, and from a supernet always; other kernels are drawn afresh.

    Args:
        model: a network with the layers that the architecture names; it is left as it is.
        architecture: layer name to kernel size and dilation.
        initialise: draws the weights of a convolution whose kernel has a new shape; its bias carries over all
            the same. None leaves PyTorch's own.

    Raises:
        ConversionError: a layer that the model lacks, or that is no convolution whose kernel can be
            exchanged; a mixture that lacks the choice, or that the architecture leaves out.
        ConfigError: a choice for another number of axes than the layer has.
    """
    network = copied(model)
    modules, owners = dict(network.named_modules()), _owners(network)
    if left_out := [name for name in mixtures(network) if name not in architecture]:
        raise ConversionError(f"the architecture chooses nothing for the relaxed layers {left_out}")
    for name, choice in architecture.items():
        layer = modules.get(name)
        if layer is None:
            raise ConversionError(f"the architecture names layer {name!r}, but this model has no such layer")
        if isinstance(layer, AggConv):
            conv = _from_mixture(name, layer, choice)
        elif not isinstance(layer, nn.Conv1d | nn.Conv2d):
            raise ConversionError(
                f"the architecture names layer {name!r}, which is a {type(layer).__name__}, no convolution"
            )
        elif reason := _reason_against_exchange(layer, owners):
            raise ConversionError(f"the architecture names layer {name!r}, which must stay: {reason}")
        else:
            conv = _with_kernel(layer, choice, initialise)
        network = _replaced(network, name, conv.train(layer.training))
    return network


def _owners(model: nn.Module) -> Counter[int]:
    """Under how many names each parameter is met: two for a module in two places, and for a shared weight."""
    return Counter(id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False))


def _reason_to_keep(
    name: str, conv: nn.Module, calls: list[Call], owners: Mapping[int, int], depthwise: bool
) -> str | None:
    if reason := _reason_against_exchange(conv, owners):
        return reason
    if type(conv) not in _AGGCONVS:
        return f"a {type(conv).__name__}, not a plain Conv1d or Conv2d"
    assert isinstance(conv, nn.Conv1d | nn.Conv2d)
    if any(marker in name for marker in SHORTCUT_NAMES):
        return "a shortcut by its name"
    if set(conv.kernel_size) == {1}:
        return "its kernel size is 1"
    if not depthwise and conv.groups == conv.in_channels > 1:
        return "depthwise, and depthwise=False leaves these out"
    if not calls:
        return "not called in the forward pass"
    if len(calls) > 1:
        return f"called more than once, {_SEVERAL_PLACES}"
    call = calls[0]
    if len(call.input_shape) != len(conv.kernel_size) + 2:
        return "its input has no batch axis"
    before, after = call.input_shape[2:], call.output_shape[2:]
    if after != tuple(math.ceil(n / stride) for n, stride in zip(before, conv.stride, strict=True)):
        return f"its padding is not 'same': {before} becomes {after} at stride {tuple(conv.stride)}"
    return None


def _reason_against_exchange(conv: nn.Module, owners: Mapping[int, int]) -> str | None:
    """Why no convolution with another kernel can stand in for this one."""
    if isinstance(conv, LazyModuleMixin):
        return "its number of channels is still open; call the model once before it is converted"
    if "weight" not in conv._parameters:
        return "its weight is computed from other parameters, as by weight_norm or pruning"
    if type(conv) not in _AGGCONVS and not isinstance(conv, CausalConv1d):
        return f"a {type(conv).__name__}, not a plain Conv1d or Conv2d"
    assert isinstance(conv, nn.Conv1d | nn.Conv2d)
    if owners[id(conv.weight)] > 1:
        return f"its weight is in use under more than one name, {_SEVERAL_PLACES}"
    if conv.padding_mode != "zeros":
        return f"its padding mode is {conv.padding_mode!r}, not zeros"
    if not isinstance(conv, CausalConv1d) and _has_no_padding(conv):
        return "it has no padding, as in an embedding of patches"
    return None


def _has_no_padding(conv: _Convolution) -> bool:
    """Whether an axis with more than one tap goes without padding."""
    if isinstance(conv.padding, str):
        return conv.padding == "valid"
    return any(size > 1 and width == 0 for size, width in zip(conv.kernel_size, conv.padding, strict=True))


def _fitting(candidates: tuple[Candidate, ...], map_shape: tuple[int, ...]) -> tuple[Candidate, ...]:
    """Candidates with taps on data along each axis that is longer than 1, no two of them alike there; at least one."""
    spatial_dims = len(map_shape)
    long = [axis for axis, length in enumerate(map_shape) if length > 1]
    smallest_first = sorted(candidates, key=lambda candidate: sum(candidate.half_reach(spatial_dims)))
    fitting: dict[tuple[tuple[int, int], ...], Candidate] = {}
    for candidate in smallest_first:
        reach = candidate.half_reach(spatial_dims)
        if all(reach[axis] < map_shape[axis] for axis in long):
            sizes, dilations = per_axis(candidate.kernel_size, spatial_dims), per_axis(candidate.dilation, spatial_dims)
            fitting.setdefault(tuple((sizes[axis], dilations[axis]) for axis in long), candidate)
    kept = set(fitting.values()) or {smallest_first[0]}
    return tuple(candidate for candidate in candidates if candidate in kept)


def _no_larger(model: nn.Module, searchable: Mapping[str, Searchable]) -> dict[str, Searchable]:
    """The same layers, of which no choice makes the model larger than it is, as far as their candidates allow."""
    added = {name: _added_weights(model.get_submodule(name), layer.candidates) for name, layer in searchable.items()}
    most: dict[str, float] = {name: max(0, min(weights)) for name, weights in added.items()}
    little = LITTLE_LARGER * sum(parameter.numel() for parameter in model.parameters() if not is_lazy(parameter))
    with_little = {name: max(little, weights) for name, weights in most.items()}
    if sum(max(w for w in weights if w <= with_little[name]) for name, weights in added.items()) <= 0:
        most = with_little
    result = {}
    for name, layer in searchable.items():
        kept = tuple(c for c, weights in zip(layer.candidates, added[name], strict=True) if weights <= most[name])
        result[name] = replace(layer, candidates=kept, larger=tuple(c for c in layer.candidates if c not in kept))
    return result


def _added_weights(conv: nn.Module, candidates: tuple[Candidate, ...]) -> list[int]:
    """How many weights more than now a convolution has with each candidate."""
    assert isinstance(conv, nn.Conv1d | nn.Conv2d)
    own = conv.weight.numel()
    per_tap = own // math.prod(conv.kernel_size)
    return [per_tap * math.prod(per_axis(c.kernel_size, len(conv.kernel_size))) - own for c in candidates]


def _replaced(model: nn.Module, name: str, module: nn.Module) -> nn.Module:
    """The model with one module exchanged in place; the module itself where it is the whole model."""
    if not name:
        return module
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
    return model


def _with_kernel(
    conv: _Convolution, choice: Candidate, initialise: Callable[[nn.Module], object] | None
) -> _Convolution:
    new: _Convolution
    if isinstance(conv, CausalConv1d):
        (kernel_size,), (dilation,) = per_axis(choice.kernel_size, 1), per_axis(choice.dilation, 1)
        new = type(conv)(
            conv.in_channels,
            conv.out_channels,
            kernel_size,
            dilation=dilation,
            groups=conv.groups,
            bias=conv.bias is not None,
        )
    else:
        new = _same_convolution(conv, choice, len(conv.kernel_size))
    new.to(conv.weight)
    if new.weight.shape == conv.weight.shape:
        new.load_state_dict(conv.state_dict())
        return new
    if initialise is not None:
        initialise(new)
    _copy_bias(conv, new)
    return new


def _from_mixture(name: str, layer: AggConv, choice: Candidate) -> _Convolution:
    if choice not in layer.candidates:
        raise ConversionError(
            f"layer {name!r} has no candidate {choice}; it has {', '.join(map(str, layer.candidates))}"
        )
    new = _same_convolution(layer, choice, layer.spatial_dims).to(layer.kernel_of(choice))
    new.weight.data.copy_(layer.kernel_of(choice))
    _copy_bias(layer, new)
    return new


def _same_convolution(like: _Convolution | AggConv, choice: Candidate, spatial_dims: int) -> _Convolution:
    """A fresh convolution with the chosen kernel and "same" padding, otherwise like the given layer."""
    conv_type: Callable[..., _Convolution] = nn.Conv1d if spatial_dims == 1 else nn.Conv2d
    return conv_type(
        like.in_channels,
        like.out_channels,
        per_axis(choice.kernel_size, spatial_dims),
        stride=like.stride,
        padding=choice.half_reach(spatial_dims),
        dilation=per_axis(choice.dilation, spatial_dims),
        groups=like.groups,
        bias=like.bias is not None,
    )


def _copy_bias(source: _Convolution | AggConv, target: _Convolution | AggConv) -> None:
    if source.bias is not None and target.bias is not None:
        target.bias.data.copy_(source.bias)
