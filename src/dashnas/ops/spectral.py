"""AggConv as a product in the Fourier basis, so that its cost does not grow with the kernels.

By the convolution theorem the spectrum of the result is, frequency by frequency, the spectrum of the input times
that of the merged kernel: a matrix product over the channels. Spectra are made and used up some frequencies at a
time, so that neither those of the maps nor those of the kernels are ever held whole.

Reference: Shen et al. 2022, Section 3.2.2, Equation 4.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from dashnas.ops.geometry import Geometry, Phase
from dashnas.ops.merge import Grid

PART_ELEMENTS = 2**21
"""Numbers in the spectra that are held at a time. Fewer cost more calls, more gain nothing (measured)."""


class Pair(NamedTuple):
    """Real and imaginary parts, for which one batched product of real matrices serves better than of complex ones."""

    real: Tensor
    imag: Tensor

    def view(self, *shape: int) -> "Pair":
        return Pair(self.real.view(*shape), self.imag.view(*shape))

    def add_(self, other: "Pair") -> "Pair":
        """In place."""
        return Pair(self.real.add_(other.real), self.imag.add_(other.imag))

    def transpose(self) -> "Pair":
        return Pair(self.real.transpose(1, 2), self.imag.transpose(1, 2))

    def channels(self, group: int, size: int) -> "Pair":
        """The channels of one group, which are the last axis."""
        part = slice(group * size, (group + 1) * size)
        return Pair(self.real[..., part], self.imag[..., part])


class Transform(Protocol):
    """Between values at some positions and their spectrum, for many columns at a time.

    Values are (columns, positions), and lie in memory in this order if they are maps and in the opposite one if they
    are kernels. Frequencies come in `num_rows` rows of `row_length`; a part is a slice of rows. The values are real,
    so rows that are the mirror image of others are left out, and synthesis counts the others twice.
    """

    num_rows: int
    row_length: int

    def begin(self, values: Tensor) -> Tensor:
        """What all parts of the spectrum of values (columns, positions) have in common."""
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
        """The values (columns, positions)."""
        ...


class Transforms(NamedTuple):
    """The transforms of one layer, which have their frequencies in common."""

    maps: Transform
    """Of the output, and of each phase of the input."""
    kernels: tuple[Transform, ...]
    """One for each phase. A tap at step s is a value at position -s, which makes the product a cross-correlation."""


class Spectral:
    """Correlation in the Fourier basis, phase by phase. Transforms are computed in float32 at least.

    Args:
        transforms: from geometry, spatial shape, dtype and device to the transforms; cached by the caller.
    """

    def __init__(
        self, transforms: Callable[[Geometry, tuple[int, ...], torch.dtype, torch.device], Transforms]
    ) -> None:
        self._transforms = transforms

    def grids(self, geometry: Geometry, map_shape: tuple[int, ...]) -> tuple[Grid, ...]:
        """A grid for each phase, of those places where there are taps."""
        return tuple(Grid(phase.offsets) for phase in geometry.phases(map_shape))

    def forward(self, x: Tensor, kernels: Sequence[Tensor], grids: Sequence[Grid], geometry: Geometry) -> Tensor:
        """Analyse, multiply, synthesise."""
        transform, phases, taps = self._begin(x, kernels, geometry)
        shape = (len(x), kernels[0].shape[-2])
        result = _Synthesis(transform, shape)
        for part in _parts(transform, phases[0].shape, taps[0].shape, shape):
            products = (
                _result(of_x.spectrum(part), of_taps.spectrum(part), geometry.groups)
                for of_x, of_taps in zip(phases, taps, strict=True)
            )
            result.add(reduce(Pair.add_, products), part)
        return result.finish().reshape(*shape, *geometry.output_shape(x.shape[2:])).to(x.dtype)

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
        transform, phases, taps = self._begin(x, kernels, geometry)
        of_grad = _Analysis(transform, _rows_of_maps(grad), grad.shape[:2])
        grad_phases = [_Synthesis(of_x.transform, of_x.shape) for of_x in phases if needs_grad_x]
        grad_taps = [_Synthesis(of_taps.transform, of_taps.shape) for of_taps in taps]
        for part in _parts(transform, phases[0].shape, taps[0].shape, of_grad.shape):
            grad_part = of_grad.spectrum(part)
            for of_taps, result in zip(taps, grad_phases, strict=False):
                result.add(_gradient_of_input(grad_part, of_taps.spectrum(part), geometry.groups), part)
            for of_x, result in zip(phases, grad_taps, strict=True):
                result.add(_gradient_of_kernel(grad_part, of_x.spectrum(part), geometry.groups), part)
        grad_x = _join([result.finish() for result in grad_phases], x, geometry) if needs_grad_x else None
        return grad_x, [
            result.finish().t().reshape(kernel.shape).to(kernel.dtype)
            for result, kernel in zip(grad_taps, kernels, strict=True)
        ]

    def _begin(
        self, x: Tensor, kernels: Sequence[Tensor], geometry: Geometry
    ) -> tuple[Transform, list["_Analysis"], list["_Analysis"]]:
        """The transform of maps, and what both passes analyse: the phases of x and the taps of each."""
        dtype = torch.promote_types(torch.float32, x.dtype)
        maps, transforms = self._transforms(geometry, tuple(x.shape[2:]), dtype, x.device)
        phases = [_Analysis(maps, _rows_of_maps(phase), x.shape[:2]) for phase in _split(x, geometry)]
        taps = [
            _Analysis(transform, _rows_of_kernel(kernel), kernel.shape[-2:])
            for transform, kernel in zip(transforms, kernels, strict=True)
        ]
        return maps, phases, taps


class _Analysis:
    """Columns whose spectrum is made part by part."""

    def __init__(self, transform: Transform, values: Tensor, shape: Sequence[int]) -> None:
        self.transform, self.shape = transform, shape
        self._begun = transform.begin(values)

    def spectrum(self, part: slice) -> Pair:
        """(frequencies, *shape)."""
        return self.transform.analyse(self._begun, part).view(-1, *self.shape)


class _Synthesis:
    """Columns whose spectrum is used up part by part."""

    def __init__(self, transform: Transform, shape: Sequence[int]) -> None:
        self._transform, self._columns = transform, math.prod(shape)
        self._begun = transform.begin_synthesis(self._columns)

    def add(self, spectrum: Pair, part: slice) -> None:
        """(frequencies, *shape)."""
        self._transform.synthesise(self._begun, spectrum.view(-1, self._columns), part)

    def finish(self) -> Tensor:
        """(columns, positions)."""
        return self._transform.finish(self._begun)


def _rows_of_maps(maps: Tensor) -> Tensor:
    """(batch, channels, *spatial) to (batch * channels, positions)."""
    return _wide(maps).contiguous().flatten(2).flatten(0, 1)


def _rows_of_kernel(kernel: Tensor) -> Tensor:
    """(*taps, out, in) to (out * in, taps), a view."""
    return _wide(kernel).flatten(-2).flatten(0, -2).t()


def _wide(values: Tensor) -> Tensor:
    """In the dtype of transforms."""
    return values.to(torch.promote_types(torch.float32, values.dtype))


def _split(x: Tensor, geometry: Geometry) -> list[Tensor]:
    """The phases of maps, filled up with zeros to the size of the output."""
    map_shape = tuple(x.shape[2:])
    wanted = geometry.output_shape(map_shape)
    phases = [x[_places(phase, geometry)] for phase in geometry.phases(map_shape)]
    missing = [[n - m for n, m in zip(wanted, phase.shape[2:], strict=True)] for phase in phases]
    return [F.pad(phase, [n for m in reversed(ends) for n in (0, m)]) for phase, ends in zip(phases, missing, strict=True)]


def _join(phases: Sequence[Tensor], x: Tensor, geometry: Geometry) -> Tensor:
    """Maps like x from the values of its phases, (batch * channels, positions); zeros where no tap falls."""
    map_shape = tuple(x.shape[2:])
    joined = x.new_zeros(x.shape)
    for values, phase in zip(phases, geometry.phases(map_shape), strict=True):
        place = joined[_places(phase, geometry)]
        maps = values.view(*x.shape[:2], *geometry.output_shape(map_shape))
        place.copy_(maps[(..., *map(slice, place.shape[2:]))])
    return joined


def _places(phase: Phase, geometry: Geometry) -> tuple[Any, ...]:
    """An index into maps."""
    return (..., *(slice(start, None, step) for start, step in zip(phase.start, geometry.stride, strict=True)))


def _parts(transform: Transform, *shapes: Sequence[int]) -> Iterator[slice]:
    """Slices of rows whose spectra, of columns of these shapes, are of a bearable size."""
    rows = max(1, PART_ELEMENTS // (2 * transform.row_length * sum(map(math.prod, shapes))))
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
