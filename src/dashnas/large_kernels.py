"""Large, dilated kernels in training: slow as direct convolutions, by Fourier transforms as fast as smaller ones."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dashnas.observe import observe
from dashnas.ops.aggconv import aggconv, with_bias
from dashnas.ops.costs import Load, estimate
from dashnas.ops.geometry import Geometry
from dashnas.precision import Precision, computes_bfloat16

WORTH_IT = 0.43
"""Transforms are taken where the model of the cost promises at most this share of a direct convolution's time.

Measured on 100 layers, what it promises as 0.43 is 0.4 to 1 (`benchmarks/large_kernels.py` measures whole networks).
"""

NARROW = 0.6
"""Share of its time that a direct convolution takes in bfloat16, where a processor computes in it; transforms stay in
float32. Measured on an AMD EPYC: training steps take 0.4 to 0.7 of the time."""

BEYOND_MAP = 2.0
"""How much slower a direct convolution is whose kernel is longer than the map: PyTorch has no fast way for these."""


def large_kernels(
    network: nn.Module, sample: Tensor, *, batch_size: int, precision: Precision = Precision.FLOAT32
) -> tuple[str, ...]:
    """Names of the convolutions that `by_fourier` computes faster on a CPU, by the model of the cost; none is timed.

    Args:
        network: a copy of it is run on the sample, to see how large each layer's map is.
        sample: its input, of any number of samples; on the device "meta", nothing is computed.
        batch_size: samples of a training step.
        precision: that it is trained in.

    Raises:
        ConversionError: the network fails on the sample, or cannot be copied.
    """
    found = []
    narrow = NARROW if precision is Precision.BFLOAT16 and computes_bfloat16(torch.device("cpu")) else 1.0
    for name, calls in observe(network, sample).items():
        conv: Any = network.get_submodule(name)
        if len(calls) > 1 or type(conv) not in (nn.Conv1d, nn.Conv2d) or not _is_same(conv):
            continue
        load = Load(batch_size, conv.in_channels, conv.out_channels, calls[0].input_shape[2:], _geometry(conv))
        spans = ((size - 1) * dilation + 1 for size, dilation in zip(conv.kernel_size, conv.dilation, strict=True))
        is_beyond = any(span > length for span, length in zip(spans, load.map_shape, strict=True))
        direct = estimate("mixed_results", load) * (BEYOND_MAP if is_beyond else 1) * narrow
        if estimate("dft", load) <= WORTH_IT * direct:
            found.append(name)
    return tuple(found)


@contextmanager
def by_fourier(network: nn.Module, layers: Sequence[str]) -> Iterator[None]:
    """Within it, let Fourier transforms compute some convolutions; values and gradients are the same up to rounding.

    Args:
        network: gives the same results with the same parameters as ever once it is left.
        layers: from `large_kernels`.
    """
    convolutions: list[Any] = [network.get_submodule(name) for name in layers]
    for conv in convolutions:
        conv._conv_forward = partial(_convolve, _geometry(conv))  # hides the method of that name
    try:
        yield
    finally:
        for conv in convolutions:
            del conv._conv_forward


def _is_same(conv: Any) -> bool:
    """Whether it has a kernel around each position, with zeros around the map."""
    if conv.padding_mode != "zeros" or conv.padding == "valid" or set(conv.kernel_size) == {1}:
        return False
    reach = tuple((size - 1) * dilation / 2 for size, dilation in zip(conv.kernel_size, conv.dilation, strict=True))
    return all(size % 2 for size in conv.kernel_size) and conv.padding in ("same", reach)


def _geometry(conv: Any) -> Geometry:
    return Geometry((tuple(conv.kernel_size),), (tuple(conv.dilation),), tuple(conv.stride), conv.groups)


def _convolve(geometry: Geometry, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    bank = weight.flatten(2).movedim(-1, 0).contiguous()
    result = aggconv(x, bank, torch.ones(1, dtype=weight.dtype, device=weight.device), geometry, "dft")
    return with_bias(result, bias)
