"""What happens inside a model when it is run: the shapes that its convolutions meet."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from dashnas.errors import ConversionError

ANY_CONVOLUTION = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""With their subclasses."""


@dataclass(frozen=True)
class Call:
    """The shapes at one call of a convolution."""

    input_shape: tuple[int, ...]
    """(batch, channels, *spatial)."""
    output_shape: tuple[int, ...]
    """The same."""


def observe(model: nn.Module, sample: Tensor | tuple[Tensor, ...]) -> dict[str, list[Call]]:
    """Run a copy of the model on the sample, where that lies, and note the calls of each of its convolutions.

    Raises:
        ConversionError: the model cannot be copied, or fails on the sample.
    """
    calls: dict[str, list[Call]] = {}

    def recorder(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], dict[str, Tensor], Tensor], None]:
        def record(_: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor], output: Tensor) -> None:
            x = next(chain(args, kwargs.values()))
            calls.setdefault(name, []).append(Call(tuple(x.shape), tuple(output.shape)))

        return record

    inputs = sample if isinstance(sample, tuple) else (sample,)
    probe = copied(model).to(inputs[0].device).eval()  # a copy: a forward pass may change more than training flags
    for name, module in probe.named_modules():
        if isinstance(module, ANY_CONVOLUTION):
            module.register_forward_hook(recorder(name), with_kwargs=True)
    try:
        with torch.no_grad():
            probe(*inputs)
    except Exception as error:  # whatever a model of somebody else's raises
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
        raise ConversionError(f"the model fails on the sample of shape {shapes}: {error}") from error
    return calls


def copied(model: nn.Module) -> nn.Module:
    """A copy that shares nothing with the model.

    Raises:
        ConversionError: a part of it cannot be copied.
    """
    try:
        return copy.deepcopy(model)
    except Exception as error:  # whatever a part of somebody else's model raises
        raise ConversionError(f"the model cannot be copied, and it is not to be changed itself: {error}") from error
