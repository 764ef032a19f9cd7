"""AggConv as the sum of the results of its convolutions: the definition, and the slowest way."""

from torch import Tensor

from dashnas.ops.convolve import convolve
from dashnas.ops.geometry import Geometry


def mixed_results(x: Tensor, bank: Tensor, mixture: Tensor, geometry: Geometry) -> Tensor:
    """Convolve with every candidate and add the results up, weighted by the mixture.

    Shapes as in `dashnas.ops.strategies.Strategy`.

    Reference: Shen et al. 2022, Section 3.2, Equation 2.
    """
    total: Tensor | None = None
    for span, size, dilation, weight in zip(
        geometry.spans, geometry.kernel_sizes, geometry.dilations, mixture, strict=True
    ):
        kernel = bank[span].view(*size, *bank.shape[1:]).movedim((-2, -1), (0, 1)).to(x.dtype)
        result = weight * convolve(x, kernel, dilation=dilation, stride=geometry.stride, groups=geometry.groups)
        total = result if total is None else total + result
    assert total is not None
    return total
