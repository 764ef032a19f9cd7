"""Chosen kernels by the strategy that computes them fastest: large and dilated ones are slow as direct convolutions."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dashnas.ops.aggconv import aggconv
from dashnas.ops.costs import Load
from dashnas.ops.geometry import Geometry
from dashnas.ops.plan import choose
from dashnas.ops.strategies import STRATEGIES

DIRECT = ("mixed_results", "mixed_weights", "grouped")
"""Strategies that come to a convolution of the library where there is a single kernel."""

_Convolution = nn.Conv1d | nn.Conv2d


class PlannedConv1d(nn.Conv1d):
    """A `torch.nn.Conv1d` with "same" zero padding and an odd kernel size, computed by a strategy."""

    strategy: str

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _by_strategy(self.strategy, input, weight, bias, _geometry(self))


class PlannedConv2d(nn.Conv2d):
    """A `torch.nn.Conv2d` with "same" zero padding and odd kernel sizes, computed by a strategy."""

    strategy: str

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _by_strategy(self.strategy, input, weight, bias, _geometry(self))


_PLANNED: Mapping[type, type] = {nn.Conv1d: PlannedConv1d, nn.Conv2d: PlannedConv2d}


def plan_convolutions(
    network: nn.Module, sample: Tensor, device: torch.device, *, batch_size: int, measure: bool
) -> dict[str, str]:
    """By layer name, the strategy of each convolution that the library's own is not the fastest for.

    Args:
        network: run once on the sample, to see how large each layer's map is.
        sample: its input.
        device: where it will be trained.
        batch_size: samples of a training step.
        measure: as in `dashnas.ops.plan.choose`.
    """
    plan = {}

    def note(name: str, conv: _Convolution, x: Tensor) -> None:
        load = Load(batch_size, conv.in_channels, conv.out_channels, tuple(x.shape[2:]), _geometry(conv))
        strategy = choose(load, x.dtype, device, measure=measure)
        if strategy not in DIRECT:
            plan[name] = strategy

    hooks = [
        conv.register_forward_pre_hook(lambda conv, inputs, name=name: note(name, conv, inputs[0]))
        for name, conv in network.named_modules()
        if isinstance(conv, _Convolution) and _can_be_planned(conv)
    ]
    was_training = network.training
    with torch.no_grad():
        network.eval()(sample)
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return plan


def use_plan(network: nn.Module, plan: Mapping[str, str]) -> None:
    """Let the strategies of a plan compute the layers that it names; weights and their names stay.

    Raises:
        KeyError: a layer that is no convolution which could be planned, or an unknown strategy.
    """
    for name, strategy in plan.items():
        conv: Any = network.get_submodule(name)
        if strategy not in STRATEGIES:
            raise KeyError(strategy)
        conv.__class__, conv.strategy = _PLANNED[type(conv)], strategy


def _can_be_planned(conv: _Convolution) -> bool:
    return (
        type(conv) in _PLANNED
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
        and set(conv.kernel_size) != {1}
        and all(
            size % 2 and width == (size - 1) * dilation // 2
            for size, width, dilation in zip(conv.kernel_size, conv.padding, conv.dilation, strict=True)
        )
    )


def _geometry(conv: _Convolution) -> Geometry:
    return Geometry((tuple(conv.kernel_size),), (tuple(conv.dilation),), tuple(conv.stride), conv.groups)


def _by_strategy(strategy: str, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    bank = weight.flatten(2).movedim(-1, 0).contiguous()
    result = aggconv(x, bank, weight.new_ones(1), geometry, strategy)
    return result if bias is None else result + bias.to(result.dtype).view(-1, *(1,) * (x.dim() - 2))
