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

from dashnas.ops.geometry import Geometry
from dashnas.ops.spectral import Pair, Transforms

SHORT_SIGNAL = 200
"""Up to this period one product in place of two: it multiplies more, in fewer and larger calls."""


class OneStep:
    """A transform by one product with a matrix of all frequencies and positions.

    Args:
        phases: (num_rows, row_length, positions), as shares of a turn.
        counts: (num_rows,), what a row counts in synthesis.
        dtype: of the values.
        device: of the values.
    """

    def __init__(
        self, phases: NDArray[np.float64], counts: NDArray[np.float64], dtype: torch.dtype, device: torch.device
    ) -> None:
        self.num_rows, self.row_length, self._num_positions = phases.shape
        angles = 2 * np.pi * phases
        self._real, self._imag = (_tensor(part, dtype, device) for part in (np.cos(angles), -np.sin(angles)))
        self._counts = _tensor(counts[:, None, None], dtype, device)

    def begin(self, values: Tensor) -> Tensor:
        """The values themselves."""
        return values

    def analyse(self, begun: Tensor, part: slice) -> Pair:
        """(positions, columns) to (frequencies of the part, columns)."""
        return Pair(self._real[part].flatten(0, 1) @ begun, self._imag[part].flatten(0, 1) @ begun)

    def begin_synthesis(self, columns: int) -> Tensor:
        """Zeros (positions, columns)."""
        return self._real.new_zeros(self._num_positions, columns)

    def synthesise(self, begun: Tensor, spectrum: Pair, part: slice) -> None:
        """Add what some frequencies contribute."""
        real, imag = ((matrix[part] * self._counts[part]).flatten(0, 1).t() for matrix in (self._real, self._imag))
        begun.addmm_(real, spectrum.real).addmm_(imag, spectrum.imag)

    def finish(self, begun: Tensor) -> Tensor:
        """The sum."""
        return begun


class TwoStep:
    """A transform by one product along a first axis of positions and one along a second.

    Args:
        first: (num_rows, first positions), as shares of a turn.
        second: (num_rows or 1, row_length, second positions), as shares of a turn.
        counts: (num_rows,), what a row counts in synthesis.
        num_positions: how many of the first * second positions there are; the rest is taken for zero.
        dtype: of the values.
        device: of the values.
    """

    def __init__(
        self,
        first: NDArray[np.float64],
        second: NDArray[np.float64],
        counts: NDArray[np.float64],
        num_positions: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.num_rows, self._num_first = first.shape
        _, self.row_length, self._num_second = second.shape
        self._num_positions = num_positions
        angles = 2 * np.pi * first
        matrix = np.stack([np.cos(angles), -np.sin(angles)], axis=1)  # (num_rows, 2, first positions)
        self._first = _tensor(matrix.reshape(-1, self._num_first), dtype, device)
        self._first_back = _tensor((matrix * counts[:, None, None]).reshape(-1, self._num_first).T, dtype, device)
        angles = np.broadcast_to(2 * np.pi * second, (self.num_rows, *second.shape[1:]))
        cos, sin = np.cos(angles), np.sin(angles)  # (num_rows, row_length, second positions)
        # The real and the imaginary part of a complex product, from real and imaginary part side by side.
        self._real = _tensor(np.concatenate([cos, sin], axis=2), dtype, device)
        self._imag = _tensor(np.concatenate([-sin, cos], axis=2), dtype, device)

    def begin(self, values: Tensor) -> Tensor:
        """(positions, columns) to its transform along the first axis, (num_rows, 2 * second positions, columns)."""
        columns = values.shape[1]
        if missing := self._num_first * self._num_second - self._num_positions:
            values = F.pad(values, (0, 0, 0, missing))
        product = self._first @ values.view(self._num_first, -1)
        return product.view(self.num_rows, 2 * self._num_second, columns)

    def analyse(self, begun: Tensor, part: slice) -> Pair:
        """The second step for some first frequencies: (frequencies of the part, columns)."""
        rows = begun[part]
        return Pair(torch.bmm(self._real[part], rows), torch.bmm(self._imag[part], rows)).view(-1, begun.shape[-1])

    def begin_synthesis(self, columns: int) -> Tensor:
        """Room for what `begin` returns; each part writes its own."""
        return self._first.new_empty(self.num_rows, 2 * self._num_second, columns)

    def synthesise(self, begun: Tensor, spectrum: Pair, part: slice) -> None:
        """Take the second step back for some first frequencies."""
        real, imag = spectrum.view(-1, self.row_length, begun.shape[-1])
        torch.bmm(self._real[part].transpose(1, 2), real, out=begun[part])
        begun[part].baddbmm_(self._imag[part].transpose(1, 2), imag)

    def finish(self, begun: Tensor) -> Tensor:
        """Take the first step back: (positions, columns)."""
        columns = begun.shape[-1]
        values = self._first_back @ begun.view(2 * self.num_rows, -1)
        return values.view(-1, columns)[: self._num_positions]


@lru_cache(maxsize=128)
def dft(geometry: Geometry, map_shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Transforms:
    """The transforms of a layer.

    A circular correlation of period n + reach equals the zero-padded one on its first n outputs: what wraps around
    comes from the `reach` zeros behind the data.
    """
    period = tuple(n + reach for n, reach in zip(map_shape, geometry.reach(map_shape), strict=True))
    # Tensors made under inference mode could not be used in training later.
    with torch.inference_mode(False):
        if len(map_shape) == 2:
            return _of_images(geometry, map_shape, period, dtype, device)
        if period[0] <= SHORT_SIGNAL:
            return _of_short_signals(geometry, map_shape[0], period[0], dtype, device)
        return _of_long_signals(geometry, map_shape[0], period[0], dtype, device)


def image_kernels(
    geometry: Geometry,
    map_shape: tuple[int, ...],
    period: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
) -> TwoStep:
    """The transform of kernels merged on their own places of an image: rows of frequencies belong to the first axis."""
    positions = [np.negative(offsets) for offsets in geometry.offsets(map_shape)]
    return _two_step(positions, period, dtype, device)


def signal_kernels(geometry: Geometry, length: int, period: int, dtype: torch.dtype, device: torch.device) -> OneStep:
    """The transform of kernels merged on their own places of a signal; every row is one frequency."""
    (offsets,) = geometry.offsets((length,))
    return _one_step(np.negative(offsets), period, dtype, device)


def _of_images(
    geometry: Geometry,
    map_shape: tuple[int, ...],
    period: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
) -> Transforms:
    inputs = [np.arange(n) for n in map_shape]
    outputs = [np.arange(0, n, step) for n, step in zip(map_shape, geometry.stride, strict=True)]
    return Transforms(
        _two_step(inputs, period, dtype, device),
        _two_step(outputs, period, dtype, device),
        image_kernels(geometry, map_shape, period, dtype, device),
    )


def _of_short_signals(
    geometry: Geometry, length: int, period: int, dtype: torch.dtype, device: torch.device
) -> Transforms:
    return Transforms(
        _one_step(np.arange(length), period, dtype, device),
        _one_step(np.arange(0, length, geometry.stride[0]), period, dtype, device),
        signal_kernels(geometry, length, period, dtype, device),
    )


def _of_long_signals(
    geometry: Geometry, length: int, period: int, dtype: torch.dtype, device: torch.device
) -> Transforms:
    (stride,) = geometry.stride
    num_first, num_second = factors(length, period, stride)
    period = num_first * num_second
    first_frequencies = np.arange(num_first // 2 + 1)
    frequencies = first_frequencies[:, None] + num_first * np.arange(num_second)  # (num_rows, row_length)
    counts = _counts(num_first) / period
    num_pieces = math.ceil(length / num_second)
    first = _phases(first_frequencies, np.arange(num_pieces), num_first)

    def transform(step: int) -> TwoStep:
        second = _phases(frequencies, np.arange(0, num_second, step), period)
        return TwoStep(first, second, counts, math.ceil(length / step), dtype, device)

    (offsets,) = geometry.offsets((length,))
    kernels = OneStep(_phases(frequencies, np.negative(offsets), period), counts, dtype, device)
    return Transforms(transform(1), transform(stride), kernels)


@lru_cache(maxsize=512)
def factors(length: int, period: int, stride: int) -> tuple[int, int]:
    """Numbers of first and second frequencies of a long signal, their product at least the period, that cost least.

    The second is a multiple of the stride, so that each piece of the signal gives the same number of outputs.
    """

    def cost(num_second: int) -> int:
        num_first = math.ceil(period / num_second)
        rows = num_first // 2 + 1
        return rows * num_second * (2 * math.ceil(length / num_second) + 4 * num_second + CONTRACTION)

    step = max(range(stride, period + stride, stride), key=lambda n: -cost(n))
    return math.ceil(period / step), step


CONTRACTION = 256
"""Multiplications per frequency and column that a product over the channels costs, about."""


def _two_step(
    positions: Sequence[NDArray[np.int64]], period: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> TwoStep:
    """Of images, whose second axis has the same matrix for all first frequencies."""
    first, second = positions
    return TwoStep(
        _phases(np.arange(period[0] // 2 + 1), first, period[0]),
        _phases(np.arange(period[1]), second, period[1])[None],
        _counts(period[0]) / math.prod(period),
        len(first) * len(second),
        dtype,
        device,
    )


def _one_step(positions: NDArray[np.int64], period: int, dtype: torch.dtype, device: torch.device) -> OneStep:
    frequencies = np.arange(period // 2 + 1)
    return OneStep(_phases(frequencies, positions, period)[:, None], _counts(period) / period, dtype, device)


def _phases(frequencies: NDArray[np.int64], positions: NDArray[np.int64], period: int) -> NDArray[np.float64]:
    """Shares of a turn, (*frequencies, positions), reduced before they lose digits."""
    return (frequencies[..., None] * positions % period) / period


def _counts(period: int) -> NDArray[np.float64]:
    """How often each frequency from 0 to period // 2 stands for itself and its mirror image."""
    counts = np.full(period // 2 + 1, 2.0)
    counts[0] = 1
    if period % 2 == 0:
        counts[-1] = 1
    return counts


def _tensor(array: NDArray[np.float64], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(array, dtype=dtype, device=device)
