"""AggConv as one convolution with the merged kernel."""

from collections.abc import Sequence

from torch import Tensor

from dashnas.ops.convolve import convolve
from dashnas.ops.merge import merge


def mixed_weights(
    x: Tensor,
    kernels: Sequence[Tensor],
    mixture: Tensor,
    dilations: Sequence[tuple[int, ...]],
    *,
    stride: tuple[int, ...],
    groups: int,
) -> Tensor:
    """Merge the dilated kernels into a dense one and convolve once.

    Shapes as in `dashnas.ops.strategies.Strategy`.

    Reference: Shen et al. 2022, Section 3.2.1, Equation 3.
    """
    kernel = merge(kernels, mixture, dilations, tuple(x.shape[2:]))
    return convolve(x, kernel, dilation=(1,) * (x.dim() - 2), stride=stride, groups=groups)
