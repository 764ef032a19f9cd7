"""A "same" convolution over one or two axes by `torch.nn.functional`, the oracle of every strategy."""

import torch.nn.functional as F
from torch import Tensor

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d}
"""By number of spatial axes."""


def convolve(x: Tensor, kernel: Tensor, *, dilation: tuple[int, ...], stride: tuple[int, ...], groups: int) -> Tensor:
    """Cross-correlate with zeros around, so that output position i is centred on input position i * stride.

    Args:
        x: (batch, in_channels, *spatial).
        kernel: (out_channels, in_channels // groups, *kernel_size), odd sizes.
        dilation: per axis, in samples.
        stride: per axis, in samples.
        groups: as in `torch.nn.functional.conv1d`.

    Returns:
        (batch, out_channels, *ceil(spatial / stride)).
    """
    padding = tuple((size - 1) * d // 2 for size, d in zip(kernel.shape[2:], dilation, strict=True))
    conv = CONVOLUTIONS[x.dim() - 2]
    return conv(x, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups)
