"""AggConv by the library's own convolutions with merged kernels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dashnas.ops.convolve import convolve
from dashnas.ops.geometry import Geometry
from dashnas.ops.merge import Grid


class MixedWeights:
    """One convolution with the dense merged kernel.

    Reference: Shen et al. 2022, Section 3.2.1, Equation 3.
    """

    def grids(self, geometry: Geometry, map_shape: tuple[int, ...]) -> tuple[Grid, ...]:
        """One grid, as far as the taps reach, without gaps."""
        return (Grid(tuple(tuple(range(-reach, reach + 1)) for reach in geometry.reach(map_shape))),)

    def forward(self, x: Tensor, kernels: Sequence[Tensor], grids: Sequence[Grid], geometry: Geometry) -> Tensor:
        """A convolution for each grid, results added up."""
        total: Tensor | None = None
        for kernel, grid in zip(kernels, grids, strict=True):
            weight = _weight(kernel, x.dtype)
            result = convolve(x, weight, dilation=_dilation(grid), stride=geometry.stride, groups=geometry.groups)
            total = result if total is None else total.add_(result)
        assert total is not None
        return total

    def backward(
        self,
        grad: Tensor,
        x: Tensor,
        kernels: Sequence[Tensor],
        grids: Sequence[Grid],
        geometry: Geometry,
        needs_grad_x: bool,
    ) -> tuple[Tensor | None, list[Tensor]]:
        """The library's own backward pass for each grid."""
        grad_x: Tensor | None = None
        grad_kernels = []
        for kernel, grid in zip(kernels, grids, strict=True):
            weight, dilation = _weight(kernel, x.dtype), _dilation(grid)
            padding = [(size - 1) * d // 2 for size, d in zip(weight.shape[2:], dilation, strict=True)]
            of_x, of_weight, _ = torch.ops.aten.convolution_backward(
                grad,
                x,
                weight,
                None,
                geometry.stride,
                padding,
                dilation,
                False,  # transposed
                [0] * len(padding),  # output padding
                geometry.groups,
                [needs_grad_x, True, False],
            )
            if needs_grad_x:
                grad_x = of_x if grad_x is None else grad_x.add_(of_x)
            grad_kernels.append(of_weight.to(kernel.dtype).permute(*range(2, weight.dim()), 0, 1).contiguous())
        return grad_x, grad_kernels


class Grouped(MixedWeights):
    """A dilated convolution for each dilation, with the kernels of that dilation merged."""

    def grids(self, geometry: Geometry, map_shape: tuple[int, ...]) -> tuple[Grid, ...]:
        """A grid for each dilation, as far as its taps reach within the map."""
        grids = []
        for dilation in dict.fromkeys(geometry.dilations):
            halves = []
            for axis, (step, length) in enumerate(zip(dilation, map_shape, strict=True)):
                sizes = (
                    size[axis]
                    for size, other in zip(geometry.kernel_sizes, geometry.dilations, strict=True)
                    if other == dilation
                )
                halves.append(min(max(sizes) // 2, (length - 1) // step))
            offsets = tuple(
                tuple(i * step for i in range(-half, half + 1)) for half, step in zip(halves, dilation, strict=True)
            )
            grids.append(Grid(offsets, dilation))
        return tuple(grids)


def _weight(kernel: Tensor, dtype: torch.dtype) -> Tensor:
    """(*taps, out, in) as a convolution takes it, (out, in, *taps)."""
    return kernel.permute(-2, -1, *range(kernel.dim() - 2)).to(dtype, memory_format=torch.contiguous_format)


def _dilation(grid: Grid) -> tuple[int, ...]:
    return grid.dilation or (1,) * len(grid.offsets)
