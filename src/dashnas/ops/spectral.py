"""AggConv as a product in the Fourier basis, so that its cost does not grow with the kernels.

By the convolution theorem the spectrum of the result is, frequency by frequency, the spectrum of the input times
that of the merged kernel: a matrix product over the channels. Spectra are made and used up some frequencies at a
time, so that they need not be held whole.

Reference: Shen et al. 2022, Section 3.2.2, Equation 4.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from dashnas.ops.geometry import Geometry, Phase, stride_phases
from dashnas.ops.merge import Grid

PART_ELEMENTS = 2**21
"""Numbers in the spectra that are held at a time. Fewer cost more calls, more gain nothing (measured)."""

PART_ELEMENTS_ON_GPU = 2**26
"""The same on a GPU, which needs less time for a small part than the call takes to be made."""


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

    def analyse(self, begun: Tensor, part: slice) -> Tensor:
        """Some rows of the spectrum, (frequencies, 2, columns)."""
        ...

    def begin_synthesis(self, columns: int) -> Tensor:
        """An empty sum of parts."""
        ...

    def synthesise(self, begun: Tensor, spectrum: Tensor, part: slice) -> None:
        """Use up some rows of a spectrum, (frequencies, 2, columns); each row is given once."""
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
        return tuple(Grid(phase.offsets) for phase in stride_phases(geometry, map_shape))

    def forward(self, x: Tensor, kernels: Sequence[Tensor], grids: Sequence[Grid], geometry: Geometry) -> Tensor:
        """Analyse, multiply, synthesise."""
        transform, phases, taps = self._begin(x, kernels, geometry)
        shape = (len(x), kernels[0].shape[-2])
        result = _Synthesis(transform, shape)
        for part in _parts(transform, x.device, phases[0].shape, taps[0].shape, shape):
            products = (
                _result(of_x.spectrum(part), of_taps.spectrum(part), geometry.groups)
                for of_x, of_taps in zip(phases, taps, strict=True)
            )
            result.add(reduce(Tensor.add_, products), part)
        return result.finish().contiguous().view(*shape, *geometry.output_shape(x.shape[2:])).to(x.dtype)

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
        of_grad = _Analysis(transform, _rows_of_maps(grad, _wide(x)), grad.shape[:2])
        grad_phases = [_Synthesis(of_x.transform, of_x.shape) for of_x in phases if needs_grad_x]
        grad_taps = [_Synthesis(of_taps.transform, of_taps.shape) for of_taps in taps]
        for part in _parts(transform, x.device, phases[0].shape, taps[0].shape, of_grad.shape):
            grad_part = of_grad.spectrum(part)
            for of_taps, result in zip(taps, grad_phases, strict=False):
                result.add(_gradient_of_input(grad_part, of_taps.spectrum(part), geometry.groups), part)
            for of_x, result in zip(phases, grad_taps, strict=True):
                result.add(_gradient_of_kernel(grad_part, of_x.spectrum(part), geometry.groups), part)
        grad_x = _join([result.finish().contiguous() for result in grad_phases], x, geometry) if needs_grad_x else None
        return grad_x, [
            result.finish().t().reshape(kernel.shape).to(kernel.dtype)
            for result, kernel in zip(grad_taps, kernels, strict=True)
        ]

    def _begin(
        self, x: Tensor, kernels: Sequence[Tensor], geometry: Geometry
    ) -> tuple[Transform, list["_Analysis"], list["_Analysis"]]:
        """The transform of maps, and what both passes analyse: the phases of x and the taps of each."""
        dtype = _wide(x)
        maps, transforms = self._transforms(geometry, tuple(x.shape[2:]), dtype, x.device)
        phases = [_Analysis(maps, _rows_of_maps(phase, dtype), x.shape[:2]) for phase in _split(x, geometry)]
        taps = [
            _Analysis(transform, _rows_of_kernel(kernel, dtype), kernel.shape[-2:])
            for transform, kernel in zip(transforms, kernels, strict=True)
        ]
        return maps, phases, taps


class _Analysis:
    """Columns whose spectrum is made part by part."""

    def __init__(self, transform: Transform, values: Tensor, shape: Sequence[int]) -> None:
        self.transform, self.shape = transform, shape
        self._begun = transform.begin(values)

    def spectrum(self, part: slice) -> Tensor:
        """(frequencies, 2, *shape)."""
        spectrum = self.transform.analyse(self._begun, part)
        return spectrum.view(*spectrum.shape[:2], *self.shape)


class _Synthesis:
    """Columns whose spectrum is used up part by part."""

    def __init__(self, transform: Transform, shape: Sequence[int]) -> None:
        self._transform = transform
        self._begun = transform.begin_synthesis(math.prod(shape))

    def add(self, spectrum: Tensor, part: slice) -> None:
        """(frequencies, 2, *shape)."""
        self._transform.synthesise(self._begun, spectrum.flatten(2), part)

    def finish(self) -> Tensor:
        """(columns, positions)."""
        return self._transform.finish(self._begun)


def _wide(x: Tensor) -> torch.dtype:
    """Of the transforms of x."""
    return torch.promote_types(torch.float32, x.dtype)


def _rows_of_maps(maps: Tensor, dtype: torch.dtype) -> Tensor:
    """(batch, channels, *spatial) to (batch * channels, positions)."""
    return maps.to(dtype).contiguous().flatten(2).flatten(0, 1)


def _rows_of_kernel(kernel: Tensor, dtype: torch.dtype) -> Tensor:
    """(*taps, out, in) to (out * in, taps), a view."""
    return kernel.to(dtype).flatten(-2).flatten(0, -2).t()


def _split(x: Tensor, geometry: Geometry) -> list[Tensor]:
    """The phases of maps, filled up with zeros to the size of the output."""
    map_shape = tuple(x.shape[2:])
    parts = []
    for phase in stride_phases(geometry, map_shape):
        part = x[_places(phase, geometry)]
        missing = [n - m for n, m in zip(geometry.output_shape(map_shape), part.shape[2:], strict=True)]
        parts.append(F.pad(part, [n for m in reversed(missing) for n in (0, m)]) if any(missing) else part)
    return parts


def _join(phases: Sequence[Tensor], x: Tensor, geometry: Geometry) -> Tensor:
    """Maps like x from the values of its phases, (batch * channels, positions); zeros where no tap falls."""
    map_shape = tuple(x.shape[2:])
    if set(geometry.stride) == {1}:
        return phases[0].view(x.shape).to(x.dtype)
    joined = x.new_zeros(x.shape)
    for values, phase in zip(phases, stride_phases(geometry, map_shape), strict=True):
        place = joined[_places(phase, geometry)]
        maps = values.view(*x.shape[:2], *geometry.output_shape(map_shape))
        data: tuple[Any, ...] = (..., *map(slice, place.shape[2:]))
        place.copy_(maps[data])
    return joined


def _places(phase: Phase, geometry: Geometry) -> tuple[Any, ...]:
    """An index into maps."""
    return (..., *(slice(start, None, step) for start, step in zip(phase.start, geometry.stride, strict=True)))


def _parts(transform: Transform, device: torch.device, *shapes: Sequence[int]) -> Iterator[slice]:
    """Slices of rows whose spectra, of columns of these shapes, are of a bearable size."""
    most = PART_ELEMENTS_ON_GPU if device.type == "cuda" else PART_ELEMENTS
    rows = max(1, most // (2 * transform.row_length * sum(map(math.prod, shapes))))
    for start in range(0, transform.num_rows, rows):
        yield slice(start, min(start + rows, transform.num_rows))


def _result(x: Tensor, kernel: Tensor, groups: int) -> Tensor:
    """Sum over the channels of each group: (f, 2, batch, in) and (f, 2, out, in // groups) to (f, 2, batch, out)."""
    if _is_depthwise(groups, x.shape[3], kernel.shape[2]):
        return _times(x, kernel.mT)
    if groups == 1:
        return _product(x, kernel.mT)
    return _by_group(_product, x.chunk(groups, 3), kernel.mT.chunk(groups, 3), 3)


def _gradient_of_input(grad: Tensor, kernel: Tensor, groups: int) -> Tensor:
    """Sum over the outputs of each group: (f, 2, batch, out) and (f, 2, out, in // groups) to (f, 2, batch, in)."""
    if _is_depthwise(groups, kernel.shape[3] * groups, grad.shape[3]):
        return _times(grad, kernel.mT, conjugate=True)
    if groups == 1:
        return _product(grad, kernel, conjugate=True)
    return _by_group(partial(_product, conjugate=True), grad.chunk(groups, 3), kernel.chunk(groups, 2), 3)


def _gradient_of_kernel(grad: Tensor, x: Tensor, groups: int) -> Tensor:
    """Sum over the batch: (f, 2, batch, out) and (f, 2, batch, in) to (f, 2, out, in // groups)."""
    if _is_depthwise(groups, x.shape[3], grad.shape[3]):
        return _times(grad, x, conjugate=True).sum(2)[..., None]
    if groups == 1:
        return _correlation(grad, x)
    return _by_group(_correlation, grad.chunk(groups, 3), x.chunk(groups, 3), 2)


def _by_group(
    function: Callable[[Tensor, Tensor], Tensor], a: Sequence[Tensor], b: Sequence[Tensor], axis: int
) -> Tensor:
    """A function of each pair, results side by side."""
    return torch.cat([function(*pair) for pair in zip(a, b, strict=True)], axis)


def _is_depthwise(groups: int, inputs: int, outputs: int) -> bool:
    """Whether each channel stands alone, which makes products of matrices products of numbers."""
    return groups == inputs == outputs


def _product(a: Tensor, b: Tensor, conjugate: bool = False) -> Tensor:
    """Batched matrix products, (f, 2, m, k) and (f, 2, k, n) to (f, 2, m, n); of b's conjugate if asked."""
    both = a.flatten(1, 2)  # one product with real and imaginary part above each other is faster than two
    shape = (*a.shape[:3], b.shape[3])
    result, turned = torch.bmm(both, b[:, 0]).view(shape), torch.bmm(both, b[:, 1]).view(shape)
    sign = -1 if conjugate else 1
    result[:, 0].sub_(turned[:, 1], alpha=sign)
    result[:, 1].add_(turned[:, 0], alpha=sign)
    return result


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Batched products of a transposed and b's conjugate, (f, 2, k, m) and (f, 2, k, n) to (f, 2, m, n)."""
    real = torch.bmm(a.flatten(1, 2).mT, b.flatten(1, 2))
    imag = torch.bmm(a[:, 1].mT, b[:, 0]).baddbmm_(a[:, 0].mT, b[:, 1], alpha=-1)
    return torch.stack([real, imag], 1)


def _times(a: Tensor, b: Tensor, conjugate: bool = False) -> Tensor:
    """Products of numbers, of b's conjugate if asked; shapes broadcast."""
    result = a * b[:, :1]
    sign = -1 if conjugate else 1
    result[:, 0].addcmul_(a[:, 1], b[:, 1], value=-sign)
    result[:, 1].addcmul_(a[:, 0], b[:, 1], value=sign)
    return result
