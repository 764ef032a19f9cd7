"""AggConv as a product in the Fourier basis, so that its cost does not grow with the kernels.

By the convolution theorem the spectrum of the result is, frequency by frequency, the spectrum of the input times
that of the merged kernel: a matrix product over the channels. Spectra are made and used up some frequencies at a
time, so that neither those of the maps nor those of the kernels are ever held whole.

Reference: Shen et al. 2022, Section 3.2.2, Equation 4.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from dashnas.ops.geometry import Geometry
from dashnas.ops.merge import Grid

PART_ELEMENTS = 2**21
"""Numbers in the spectra that are held at a time. Fewer cost more calls, more gain nothing (measured)."""


class Pair(NamedTuple):
    """Real and imaginary parts, for which one batched product of real matrices serves better than of complex ones."""

    real: Tensor
    imag: Tensor

    def view(self, *shape: int) -> "Pair":
        return Pair(self.real.view(*shape), self.imag.view(*shape))

    def transpose(self) -> "Pair":
        return Pair(self.real.transpose(1, 2), self.imag.transpose(1, 2))

    def channels(self, group: int, size: int) -> "Pair":
        """The channels of one group, which are the last axis."""
        part = slice(group * size, (group + 1) * size)
        return Pair(self.real[..., part], self.imag[..., part])


class Transform(Protocol):
    """Between values at some positions and their spectrum, for many columns at a time.

    Frequencies come in `num_rows` rows of `row_length`; a part is a slice of rows. The values are real, so rows that
    are the mirror image of others are left out, and synthesis counts the others twice.
    """

    num_rows: int
    row_length: int

    def begin(self, values: Tensor) -> Tensor:
        """What all parts of the spectrum of values (positions, columns) have in common."""
        ...

    def analyse(self, begun: Tensor, part: slice) -> Pair:
        """Some rows of the spectrum, (frequencies, columns)."""
        ...

    def begin_synthesis(self, columns: int) -> Tensor:
        """An empty sum of parts."""
        ...

    def synthesise(self, begun: Tensor, spectrum: Pair, part: slice) -> None:
        """Add some rows of a spectrum, (frequencies, columns)."""
        ...

    def finish(self, begun: Tensor) -> Tensor:
        """The values (positions, columns)."""
        ...


class Transforms(NamedTuple):
    """The transforms of one layer, which have their frequencies in common."""

    inputs: Transform
    outputs: Transform
    kernels: Transform
    """A tap at offset s is a value at position -s, which makes the product a cross-correlation."""


class Spectral:
    """Correlation in the Fourier basis. Transforms are computed in float32 at least.

    Args:
        transforms: from geometry, spatial shape, dtype and device to the transforms; cached by the caller.
    """

    def __init__(
        self, transforms: Callable[[Geometry, tuple[int, ...], torch.dtype, torch.device], Transforms]
    ) -> None:
        self._transforms = transforms

    def grids(self, geometry: Geometry, map_shape: tuple[int, ...]) -> tuple[Grid, ...]:
        """One grid, of those places where there are taps."""
        return (Grid(geometry.offsets(map_shape)),)

    def forward(self, x: Tensor, kernels: Sequence[Tensor], grids: Sequence[Grid], geometry: Geometry) -> Tensor:
        """Analyse, multiply, synthesise."""
        (kernel,) = kernels
        batch, in_channels, *map_shape = x.shape
        out_channels, per_group = kernel.shape[-2:]
        dtype = torch.promote_types(torch.float32, x.dtype)
        inputs, outputs, taps = self._transforms(geometry, tuple(map_shape), dtype, x.device)
        of_x, of_kernel = inputs.begin(_to_columns(x, dtype)), taps.begin(_to_rows(kernel, dtype))
        result = outputs.begin_synthesis(batch * out_channels)
        for part in _parts(inputs, batch * in_channels, batch * out_channels, out_channels * per_group):
            x_part = inputs.analyse(of_x, part).view(-1, batch, in_channels)
            kernel_part = taps.analyse(of_kernel, part).view(-1, out_channels, per_group)
            product = _result(x_part, kernel_part, geometry.groups)
            outputs.synthesise(result, product.view(-1, batch * out_channels), part)
        shape = (batch, out_channels, *geometry.output_shape(tuple(map_shape)))
        return _to_maps(outputs.finish(result), shape, x.dtype)

    def backward(
        self,
        grad: Tensor,
        x: Tensor,
        kernels: Sequence[Tensor],
        grids: Sequence[Grid],
        geometry: Geometry,
        needs_grad_x: bool,
    ) -> tuple[Tensor | None, list[Tensor]]:
        """The same products with the roles exchanged: correlations of the gradient."""
        (kernel,) = kernels
        batch, in_channels, *map_shape = x.shape
        out_channels, per_group = kernel.shape[-2:]
        dtype = torch.promote_types(torch.float32, x.dtype)
        inputs, outputs, taps = self._transforms(geometry, tuple(map_shape), dtype, x.device)
        of_x, of_kernel = inputs.begin(_to_columns(x, dtype)), taps.begin(_to_rows(kernel, dtype))
        of_grad = outputs.begin(_to_columns(grad, dtype))
        grad_x = inputs.begin_synthesis(batch * in_channels) if needs_grad_x else None
        grad_kernel = taps.begin_synthesis(out_channels * per_group)
        for part in _parts(inputs, batch * in_channels, batch * out_channels, out_channels * per_group):
            x_part = inputs.analyse(of_x, part).view(-1, batch, in_channels)
            grad_part = outputs.analyse(of_grad, part).view(-1, batch, out_channels)
            if grad_x is not None:
                kernel_part = taps.analyse(of_kernel, part).view(-1, out_channels, per_group)
                product = _gradient_of_input(grad_part, kernel_part, geometry.groups)
                inputs.synthesise(grad_x, product.view(-1, batch * in_channels), part)
            product = _gradient_of_kernel(grad_part, x_part, geometry.groups)
            taps.synthesise(grad_kernel, product.view(-1, out_channels * per_group), part)
        of_input = None
        if grad_x is not None:
            of_input = _to_maps(inputs.finish(grad_x), tuple(x.shape), x.dtype)
        return of_input, [taps.finish(grad_kernel).view(kernel.shape).to(kernel.dtype)]


def _to_columns(maps: Tensor, dtype: torch.dtype) -> Tensor:
    """(batch, channels, *spatial) to (positions, batch * channels)."""
    return maps.to(dtype).flatten(2).flatten(0, 1).t().contiguous()


def _to_maps(columns: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """(positions, batch * channels) to a shape (batch, channels, *spatial)."""
    return columns.t().contiguous().view(shape).to(dtype)


def _to_rows(kernel: Tensor, dtype: torch.dtype) -> Tensor:
    """(*taps, out, in) to (taps, out * in)."""
    return kernel.flatten(-2).flatten(0, -2).to(dtype)


def _parts(transform: Transform, *columns: int) -> Iterator[slice]:
    """Slices of rows whose spectra are of a bearable size."""
    rows = max(1, PART_ELEMENTS // (2 * transform.row_length * sum(columns)))
    for start in range(0, transform.num_rows, rows):
        yield slice(start, min(start + rows, transform.num_rows))


def _result(x: Pair, kernel: Pair, groups: int) -> Pair:
    """Sum over the channels of each group: (f, batch, in) and (f, out, in // groups) to (f, batch, out)."""
    if groups == 1:
        return _product(x, kernel.transpose())
    per_group, out_per_group = kernel.real.shape[2], kernel.real.shape[1] // groups
    if per_group == out_per_group == 1:
        return _elementwise(x, kernel.transpose())
    kernel = kernel.transpose()  # (f, in // groups, out)
    return _cat(_product(x.channels(g, per_group), kernel.channels(g, out_per_group)) for g in range(groups))


def _gradient_of_input(grad: Pair, kernel: Pair, groups: int) -> Pair:
    """Sum over the outputs of each group: (f, batch, out) and (f, out, in // groups) to (f, batch, in)."""
    if groups == 1:
        return _product(grad, kernel, conjugate=True)
    per_group, out_per_group = kernel.real.shape[2], kernel.real.shape[1] // groups
    kernel = kernel.transpose()  # (f, in // groups, out)
    if per_group == out_per_group == 1:
        return _elementwise(grad, kernel, conjugate=True)
    return _cat(
        _product(grad.channels(g, out_per_group), kernel.channels(g, out_per_group).transpose(), conjugate=True)
        for g in range(groups)
    )


def _gradient_of_kernel(grad: Pair, x: Pair, groups: int) -> Pair:
    """Sum over the batch: (f, batch, out) and (f, batch, in) to (f, out, in // groups)."""
    if groups == 1:
        return _product(grad.transpose(), x, conjugate=True)
    per_group, out_per_group = x.real.shape[2] // groups, grad.real.shape[2] // groups
    if per_group == out_per_group == 1:
        summed = _elementwise(grad, x, conjugate=True)
        return Pair(summed.real.sum(1)[..., None], summed.imag.sum(1)[..., None])
    products = [
        _product(grad.channels(g, out_per_group).transpose(), x.channels(g, per_group), conjugate=True)
        for g in range(groups)
    ]
    return Pair(torch.cat([p.real for p in products], 1), torch.cat([p.imag for p in products], 1))


def _product(a: Pair, b: Pair, conjugate: bool = False) -> Pair:
    """Batched matrix products, of b's conjugate if asked."""
    sign = -1 if conjugate else 1
    real = torch.bmm(a.real, b.real).baddbmm_(a.imag, b.imag, alpha=-sign)
    imag = torch.bmm(a.imag, b.real).baddbmm_(a.real, b.imag, alpha=sign)
    return Pair(real, imag)


def _elementwise(a: Pair, b: Pair, conjugate: bool = False) -> Pair:
    """Products of numbers, of b's conjugate if asked."""
    sign = -1 if conjugate else 1
    real = (a.real * b.real).addcmul_(a.imag, b.imag, value=-sign)
    imag = (a.imag * b.real).addcmul_(a.real, b.imag, value=sign)
    return Pair(real, imag)


def _cat(pairs: Iterator[Pair]) -> Pair:
    """Channels of all groups side by side."""
    reals, imags = zip(*pairs, strict=True)
    return Pair(torch.cat(reals, -1), torch.cat(imags, -1))
