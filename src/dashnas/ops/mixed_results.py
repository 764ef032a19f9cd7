"""AggConv as the sum of the results of its convolutions: the definition, and the slowest way."""

from collections.abc import Sequence

from torch import Tensor

from dashnas.ops.convolve import convolve


def mixed_results(
    x: Tensor,
    kernels: Sequence[Tensor],
    mixture: Tensor,
    dilations: Sequence[tuple[int, ...]],
    *,
    stride: tuple[int, ...],
    groups: int,
) -> Tensor:
    """Convolve with every candidate and add the results up, weighted by the mixture.

    Shapes as in `dashnas.ops.strategies.Strategy`.

    Reference: Shen et al. 2022, Section 3.2, Equation 2.
    """
    total: Tensor | None = None
    for kernel, weight, dilation in zip(kernels, mixture, dilations, strict=True):
        result = weight * convolve(x, kernel, dilation=dilation, stride=stride, groups=groups)
        total = result if total is None else total + result
    assert total is not None
    return total
