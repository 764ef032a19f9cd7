"""Convolutions that look at no future sample, as the networks of the DASH authors' 1-D tasks use them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dashnas.errors import ConfigError


class CausalConv1d(nn.Conv1d):
    """A convolution of stride 1 whose output at a time step depends on that step and earlier ones only.

    The input is padded with (kernel_size - 1) * dilation zeros on the left, so the length stays as it is. The
    authors' code pads both sides and cuts off the right end, which gives the same numbers.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: number of taps; a tuple of one is taken as well, as in `torch.nn.Conv1d`.
        dilation: distance between neighbouring taps, in samples.
        groups: as in `torch.nn.Conv1d`.
        bias: whether to add a bias.

    Shapes: (batch, in_channels, length) to (batch, out_channels, length).

    Raises:
        ConfigError: a kernel size or a dilation below 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int],
        *,
        dilation: int | tuple[int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        for name, value in (("kernel_size", kernel_size), ("dilation", dilation)):
            if (value if isinstance(value, int) else value[0]) < 1:
                raise ConfigError(f"{name} of a causal convolution must be at least 1, got {value}")
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (batch, in_channels, length) to (batch, out_channels, length)."""
        return super().forward(self._pad(x))

    def _pad(self, x: Tensor) -> Tensor:
        return F.pad(x, ((self.kernel_size[0] - 1) * self.dilation[0], 0))


class WeightNormCausalConv1d(CausalConv1d):
    """A causal convolution with the kernel scale * weight / |weight|, the norm being over the whole tensor.

    Computes what `torch.nn.utils.parametrizations.weight_norm(conv, dim=None)` does. That function exchanges
    the class of the layer for one made on the fly, which cannot be called to make the same layer with another
    kernel size; this one can.

    Reference: Salimans and Kingma 2016, Equation 2, there with one scale per output channel.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int],
        *,
        dilation: int | tuple[int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation, groups=groups, bias=bias)
        self.scale = nn.Parameter(torch.linalg.vector_norm(self.weight.detach()))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (batch, in_channels, length) to (batch, out_channels, length)."""
        kernel = self.weight * (self.scale / torch.linalg.vector_norm(self.weight))
        return self._conv_forward(self._pad(x), kernel, self.bias)  # type: ignore[no-any-return]
