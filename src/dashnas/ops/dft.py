"""Discrete Fourier transforms as products with matrices: short ones need neither padding nor shuffling.

Transforms in two steps multiply along a first axis of positions and then along a second. For an image these are its
rows and columns. A long signal is cut into pieces (position = first * length + second, frequency = first +
num_first * second), and the second matrix then differs from one first frequency to the next.

Reference for signals in two steps: Cooley and Tukey 1965.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dashnas.ops.geometry import Geometry, stride_phases
from dashnas.ops.spectral import Transform, Transforms

SHORT_SIGNAL = 400
"""Up to this period one product in place of two: it multiplies more, in fewer and larger calls."""


class OneStep:
    """A transform by one product with a matrix of all frequencies and positions.

    Args:
        turns: (num_rows, row_length, positions), as shares of a turn.
        counts: (num_rows,), what a row counts in synthesis.
        of_maps: whether values lie in memory as maps do, or as kernels.
        dtype: of the values.
        device: of the values.
    """

    def __init__(
        self,
        turns: NDArray[np.float64],
        counts: NDArray[np.float64],
        of_maps: bool,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.num_rows, self.row_length, self._num_positions = turns.shape
        self._of_maps = of_maps
        matrix = _cosines_and_sines(turns)  # (num_rows, row_length, 2, positions)
        self._matrix = _tensor(matrix, dtype, device)
        self._back = _tensor(matrix * counts[:, None, None, None], dtype, device)

    def begin(self, values: Tensor) -> Tensor:
        """The values, (positions, columns)."""
        return values.t()

    def analyse(self, begun: Tensor, part: slice) -> Tensor:
        """(positions, columns) to (frequencies of the part, 2, columns)."""
        return (self._matrix[part].flatten(0, 2) @ begun).view(-1, 2, begun.shape[-1])

    def begin_synthesis(self, columns: int) -> Tensor:
        """Zeros (positions, columns)."""
        if self._of_maps:
            return self._matrix.new_zeros(columns, self._num_positions).t()
        return self._matrix.new_zeros(self._num_positions, columns)

    def synthesise(self, begun: Tensor, spectrum: Tensor, part: slice) -> None:
        """Add what some frequencies contribute."""
        begun.addmm_(self._back[part].flatten(0, 2).t(), spectrum.flatten(0, 1))

    def finish(self, begun: Tensor) -> Tensor:
        """The sum, (columns, positions)."""
        return begun.t()


class Separable:
    """A transform of images: real products along each axis, then sums and differences.

    A real signal has a cosine and a sine sum at each frequency, c + is. Along two axes these are four real numbers, and
    they tell the transform at two frequencies: c s' + s c' and the like, with either sign. Complex products along one
    axis would multiply twice as much.

    Rows are frequencies of the last axis; a row has those of the other axis, in the parts of two signs.

    Args:
        turns: per axis, (num_frequencies, positions), as shares of a turn.
        counts: per axis, (num_frequencies,), what a frequency counts in synthesis.
        dtype: of the values.
        device: of the values.
    """

    def __init__(
        self,
        turns: Sequence[NDArray[np.float64]],
        counts: Sequence[NDArray[np.float64]],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        inner, last = (_cosines_and_sines(axis) for axis in turns)  # (num_frequencies, 2, positions)
        weights, last_weights = (count[:, None, None] for count in counts)
        self.num_rows, self.row_length = len(last), 2 * len(inner)
        self._last = _tensor(_flat(last), dtype, device)
        self._last_back = _tensor(_flat(last * last_weights).T, dtype, device)
        # What cosines along the last axis are multiplied by, and what sines are.
        matrices = np.stack([_flat(inner), _flat(np.stack([inner[:, 1], -inner[:, 0]], axis=1))])
        # Each frequency has its number in both signs' parts, so that it would count twice.
        back = matrices * np.tile(_flat(weights.repeat(2, axis=1)) / 2, (2, 1, 1))
        self._inner, self._inner_back = _tensor(matrices, dtype, device), _tensor(back.swapaxes(1, 2), dtype, device)

    def begin(self, values: Tensor) -> Tensor:
        """Sums along the last axis of values (columns, positions): (2 * num_rows, inner positions, columns)."""
        planes = values.t().view(-1, self._last.shape[1], len(values))  # (inner positions, last positions, columns)
        return torch.bmm(self._last.expand(len(planes), -1, -1), planes).transpose(0, 1)

    def analyse(self, begun: Tensor, part: slice) -> Tensor:
        """Some rows of the spectrum, in each the frequencies of both signs: (frequencies, 2, columns)."""
        rows = begun[2 * part.start : 2 * part.stop]
        spectrum = torch.bmm(_repeated(self._inner, len(rows) // 2), rows)
        difference, total = spectrum.view(-1, 2, *spectrum.shape[1:]).unbind(1)
        difference.sub_(total)
        torch.add(difference, total, alpha=2, out=total)
        return spectrum.view(-1, 2, spectrum.shape[-1])

    def begin_synthesis(self, columns: int) -> Tensor:
        """Room for what `begin` returns; each part writes its own."""
        return self._last.new_empty(2 * self.num_rows, self._inner.shape[2], columns)

    def synthesise(self, begun: Tensor, spectrum: Tensor, part: slice) -> None:
        """Take the inner sums of some rows back; the spectrum is used as room to work."""
        sums = spectrum.view(-1, self.row_length, spectrum.shape[-1])
        difference, total = sums.view(-1, 2, *sums.shape[1:]).unbind(1)
        total.sub_(difference)
        torch.add(total, difference, alpha=2, out=difference)
        torch.bmm(_repeated(self._inner_back, len(sums) // 2), sums, out=begun[2 * part.start : 2 * part.stop])

    def finish(self, begun: Tensor) -> Tensor:
        """Take the sums along the last axis back: (columns, positions), a transposed view."""
        rows = begun.transpose(0, 1)  # (inner positions, 2 * num_rows, columns)
        planes = torch.bmm(self._last_back.expand(len(rows), -1, -1), rows)
        return planes.view(-1, begun.shape[-1]).t()


class TwoStep:
    """A transform by one product along a first axis of positions and one along a second.

    Args:
        first: (num_rows, first positions), as shares of a turn.
        second: (num_rows or 1, row_length, second positions), as shares of a turn.
        counts: (num_rows,), what a row counts in synthesis.
        num_positions: how many of the first * second positions there are; the rest is taken for zero.
        of_maps: whether values lie in memory as maps do, or as kernels.
        dtype: of the values.
        device: of the values.
    """

    def __init__(
        self,
        first: NDArray[np.float64],
        second: NDArray[np.float64],
        counts: NDArray[np.float64],
        num_positions: int,
        of_maps: bool,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.num_rows, self._num_first = first.shape
        _, self.row_length, self._num_second = second.shape
        self._num_positions, self._of_maps = num_positions, of_maps
        matrix = _cosines_and_sines(first)  # (num_rows, 2, first positions)
        self._first = _tensor(_flat(matrix), dtype, device)
        self._first_back = _tensor(_flat(matrix * counts[:, None, None]).T, dtype, device)
        angles = 2 * np.pi * second
        cos, sin = np.cos(angles), np.sin(angles)  # (num_rows or 1, row_length, second positions)
        # The real and the imaginary part of a complex product, from real and imaginary part side by side.
        matrix = np.stack([np.concatenate([cos, sin], axis=2), np.concatenate([-sin, cos], axis=2)], axis=2)
        matrix = matrix.reshape(len(matrix), 2 * self.row_length, 2 * self._num_second)
        self._second = _tensor(matrix, dtype, device).expand(self.num_rows, -1, -1)

    def begin(self, values: Tensor) -> Tensor:
        """(columns, positions) to its transform along the first axis, (num_rows, 2 * second positions, columns)."""
        columns = len(values)
        if missing := self._num_first * self._num_second - self._num_positions:
            values = F.pad(values, (0, missing))
        if self._of_maps:
            cubes = values.view(columns, self._num_first, self._num_second)
            product = torch.bmm(self._first.expand(columns, -1, -1), cubes)
            return product.view(columns, self.num_rows, 2 * self._num_second).permute(1, 2, 0)
        product = self._first @ values.t().view(self._num_first, -1)
        return product.view(self.num_rows, 2 * self._num_second, columns)

    def analyse(self, begun: Tensor, part: slice) -> Tensor:
        """The second step for some first frequencies: (frequencies of the part, 2, columns)."""
        return torch.bmm(self._second[part], begun[part]).view(-1, 2, begun.shape[-1])

    def begin_synthesis(self, columns: int) -> Tensor:
        """Room for what `begin` returns; each part writes its own."""
        if self._of_maps:
            return self._first.new_empty(columns, self.num_rows, 2 * self._num_second).permute(1, 2, 0)
        return self._first.new_empty(self.num_rows, 2 * self._num_second, columns)

    def synthesise(self, begun: Tensor, spectrum: Tensor, part: slice) -> None:
        """Take the second step back for some first frequencies."""
        rows = spectrum.view(-1, 2 * self.row_length, begun.shape[-1])
        if self._of_maps:
            begun[part] = torch.bmm(rows.mT, self._second[part]).mT
        else:
            torch.bmm(self._second[part].mT, rows, out=begun[part])

    def finish(self, begun: Tensor) -> Tensor:
        """Take the first step back: (columns, positions)."""
        columns = begun.shape[-1]
        if self._of_maps:
            rows = begun.permute(2, 0, 1).view(columns, 2 * self.num_rows, self._num_second)
            cubes = torch.bmm(self._first_back.expand(columns, -1, -1), rows)
            return cubes.flatten(1)[:, : self._num_positions].contiguous()
        values = self._first_back @ begun.view(2 * self.num_rows, -1)
        return values.view(-1, columns)[: self._num_positions].t()


@lru_cache(maxsize=128)
def dft(geometry: Geometry, map_shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Transforms:
    """The transforms of a layer."""
    shape, period = geometry.output_shape(map_shape), smallest_period(geometry, map_shape)
    # Tensors made under inference mode could not be used in training later.
    with torch.inference_mode(False):
        if len(shape) == 2:
            kernels = (
                _separable([np.negative(steps) for steps in phase.steps], period, dtype, device)
                for phase in stride_phases(geometry, map_shape)
            )
            return Transforms(_separable([np.arange(n) for n in shape], period, dtype, device), tuple(kernels))
        if period[0] <= SHORT_SIGNAL:
            maps = _transform([np.arange(n) for n in shape], period, True, dtype, device)
            return Transforms(maps, transforms_of_kernels(geometry, map_shape, period, dtype, device))
        return _of_long_signals(geometry, map_shape, period[0], dtype, device)


def smallest_period(geometry: Geometry, map_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Per axis, the length of the output and the furthest step of a tap.

    A circular correlation of this period equals the zero-padded one on the output: what wraps around comes from
    the zeros behind the data.
    """
    steps = [phase.steps for phase in stride_phases(geometry, map_shape)]
    return tuple(
        length + max(abs(step) for phase in steps for step in phase[axis])
        for axis, length in enumerate(geometry.output_shape(map_shape))
    )


def transforms_of_kernels(
    geometry: Geometry,
    map_shape: tuple[int, ...],
    period: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
) -> tuple[Transform, ...]:
    """Of kernels merged on their own places, phase by phase."""
    return tuple(
        _transform([np.negative(steps) for steps in phase.steps], period, False, dtype, device)
        for phase in stride_phases(geometry, map_shape)
    )


def _transform(
    positions: Sequence[NDArray[np.int64]],
    period: tuple[int, ...],
    of_maps: bool,
    dtype: torch.dtype,
    device: torch.device,
) -> Transform:
    """From positions, per axis, to rows of first frequencies: in one step for signals, in two for images."""
    turns = _turns(np.arange(period[0] // 2 + 1), positions[0], period[0])
    counts = _counts(period[0]) / math.prod(period)
    if len(period) == 1:
        return OneStep(turns[:, None], counts, of_maps, dtype, device)
    # The second axis has the same matrix for all first frequencies.
    second = _turns(np.arange(period[1]), positions[1], period[1])[None]
    return TwoStep(turns, second, counts, math.prod(map(len, positions)), of_maps, dtype, device)


def _separable(
    positions: Sequence[NDArray[np.int64]], period: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> Separable:
    turns = [_turns(np.arange(n // 2 + 1), axis, n) for axis, n in zip(positions, period, strict=True)]
    return Separable(turns, [_counts(n) / n for n in period], dtype, device)


def _of_long_signals(
    geometry: Geometry, map_shape: tuple[int, ...], period: int, dtype: torch.dtype, device: torch.device
) -> Transforms:
    (length,) = geometry.output_shape(map_shape)
    num_first, num_second = factors(length, period)
    period = num_first * num_second
    first_frequencies = np.arange(num_first // 2 + 1)
    frequencies = first_frequencies[:, None] + num_first * np.arange(num_second)  # (num_rows, row_length)
    counts = _counts(num_first) / period
    first = _turns(first_frequencies, np.arange(math.ceil(length / num_second)), num_first)
    second = _turns(frequencies, np.arange(num_second), period)
    kernels = (
        OneStep(_turns(frequencies, np.negative(phase.steps[0]), period), counts, False, dtype, device)
        for phase in stride_phases(geometry, map_shape)
    )
    return Transforms(TwoStep(first, second, counts, length, True, dtype, device), tuple(kernels))


@lru_cache(maxsize=512)
def factors(length: int, period: int) -> tuple[int, int]:
    """Numbers of first and second frequencies of a long signal, their product at least the period, that cost least."""

    def cost(num_second: int) -> int:
        num_first = math.ceil(period / num_second)
        rows = num_first // 2 + 1
        return rows * num_second * (2 * math.ceil(length / num_second) + 4 * num_second + CONTRACTION)

    num_second = min(range(1, period + 1), key=cost)
    return math.ceil(period / num_second), num_second


CONTRACTION = 256
"""Multiplications per frequency and column that a product over the channels costs, about."""


def _turns(frequencies: NDArray[np.int64], positions: NDArray[np.int64], period: int) -> NDArray[np.float64]:
    """Shares of a turn, (*frequencies, positions), reduced before they lose digits."""
    return (frequencies[..., None] * positions % period) / period


def _counts(period: int) -> NDArray[np.float64]:
    """How often each frequency from 0 to period // 2 stands for itself and its mirror image."""
    counts = np.full(period // 2 + 1, 2.0)
    counts[0] = 1
    if period % 2 == 0:
        counts[-1] = 1
    return counts


def _cosines_and_sines(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Real and imaginary part of exp(-2 pi i turns): (..., positions) to (..., 2, positions)."""
    angles = 2 * np.pi * turns
    return np.stack([np.cos(angles), -np.sin(angles)], axis=-2)


def _flat(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """(frequencies, 2, positions) to (2 * frequencies, positions)."""
    return array.reshape(-1, array.shape[-1])


@lru_cache(maxsize=128)
def _repeated(matrices: Tensor, times: int) -> Tensor:
    """Matrices (2, m, n) again and again, (2 * times, m, n)."""
    # Tensors made under inference mode could not be used in training later.
    with torch.inference_mode(False):
        return matrices.repeat(times, 1, 1)


def _tensor(array: NDArray[np.float64], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(array, dtype=dtype, device=device)
