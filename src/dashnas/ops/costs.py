"""What a forward and a backward pass of each strategy cost, by counting: good enough to rank them.

The unit is the time of one multiplication in a large matrix product. The weights of everything else against it are
from `benchmarks/costs.py` on a CPU of two cores.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Self

from scipy.fft import next_fast_len

from dashnas.ops.dft import SHORT_SIGNAL, factors, smallest_period
from dashnas.ops.direct import Grouped, MixedWeights
from dashnas.ops.geometry import Geometry, stride_phases

CONVOLUTION = 1.0
"""A multiplication in a convolution of the library."""
DEPTHWISE = 28.0
"""A multiplication in a depthwise convolution of the library."""
TOUCH = 12.0
"""A number that is read or written once more."""
CALL = 8e5
"""A call into the library."""
BUTTERFLY = 16.0
"""A number in one stage of a fast Fourier transform."""


@dataclass(frozen=True)
class Load:
    """A layer and what it works on."""

    batch: int
    in_channels: int
    out_channels: int
    map_shape: tuple[int, ...]
    """Spatial shape of the input."""
    geometry: Geometry

    def with_batch(self, batch: int) -> Self:
        """The same layer on another number of samples."""
        return replace(self, batch=batch)

    @property
    def pairs(self) -> int:
        """Pairs of an input and an output channel that are connected."""
        return self.in_channels * self.out_channels // self.geometry.groups

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel stands alone."""
        return self.geometry.groups == self.in_channels == self.out_channels

    def __str__(self) -> str:
        """All of it in one line, as a key."""
        geometry = self.geometry
        candidates = " ".join(
            f"{'x'.join(map(str, size))}/{'x'.join(map(str, dilation))}"
            for size, dilation in zip(geometry.kernel_sizes, geometry.dilations, strict=True)
        )
        spatial, stride = ("x".join(map(str, values)) for values in (self.map_shape, geometry.stride))
        return (
            f"batch {self.batch}, {self.in_channels} to {self.out_channels} channels, groups {geometry.groups}, "
            f"map {spatial}, stride {stride}, candidates {candidates}"
        )


def estimate(strategy: str, load: Load) -> float:
    """The cost of a strategy, forward and backward."""
    return _COSTS[strategy](load)


def _mixed_results(load: Load) -> float:
    sizes = [prod(size) for size in load.geometry.kernel_sizes]
    outputs = prod(load.geometry.output_shape(load.map_shape)) * load.batch
    return 3 * _convolution(load, sum(sizes)) + 6 * TOUCH * outputs * load.out_channels * len(sizes)


def _mixed_weights(load: Load) -> float:
    (grid,) = MixedWeights().grids(load.geometry, load.map_shape)
    return 3 * _convolution(load, prod(map(len, grid.offsets))) + _merging(load)


def _grouped(load: Load) -> float:
    grids = Grouped().grids(load.geometry, load.map_shape)
    taps = sum(prod(map(len, grid.offsets)) for grid in grids)
    outputs = prod(load.geometry.output_shape(load.map_shape)) * load.batch * load.out_channels
    return 3 * _convolution(load, taps) + _merging(load) + len(grids) * (15 * CALL + 3 * TOUCH * outputs)


def _convolution(load: Load, taps: int) -> float:
    outputs = prod(load.geometry.output_shape(load.map_shape)) * load.batch
    weight = DEPTHWISE if load.is_depthwise else CONVOLUTION
    return float(weight * taps * outputs * load.pairs + CALL)


def _merging(load: Load) -> float:
    return 6 * TOUCH * load.geometry.num_taps * load.pairs + 10 * CALL


def _dft(load: Load) -> float:
    shape, period = load.geometry.output_shape(load.map_shape), smallest_period(load.geometry, load.map_shape)
    if len(period) == 2:
        frequencies = 2 * math.prod(n // 2 + 1 for n in period)
        return _spectral(load, frequencies, _by_axes(shape, period), lambda taps: _by_axes(taps, period))
    if period[0] <= SHORT_SIGNAL:
        frequencies = period[0] // 2 + 1
        return _spectral(
            load, frequencies, _in_one_step(shape[0], frequencies), lambda taps: _in_one_step(taps[0], frequencies)
        )
    first, second = factors(shape[0], period[0])
    frequencies = (first // 2 + 1) * second
    of_maps = _in_two_steps((math.ceil(shape[0] / second), second), (first, second))
    return _spectral(load, frequencies, of_maps, lambda taps: _in_one_step(taps[0], frequencies))


def _fourier(load: Load) -> float:
    period = tuple(next_fast_len(n, real=True) for n in smallest_period(load.geometry, load.map_shape))
    frequencies = (period[0] // 2 + 1) * prod(period[1:])
    of_maps = BUTTERFLY * prod(period) * math.log2(prod(period) + 1) + 6 * TOUCH * 2 * frequencies
    if len(period) == 2:
        return _spectral(load, frequencies, of_maps, lambda taps: _in_two_steps(taps, period))
    return _spectral(load, frequencies, of_maps, lambda taps: _in_one_step(taps[0], frequencies))


def _spectral(load: Load, frequencies: int, of_map: float, of_kernel: Callable[[tuple[int, ...]], float]) -> float:
    """Transforms of all columns, as often as they are made or taken back, and the products over the channels."""
    phases = stride_phases(load.geometry, load.map_shape)
    maps = load.batch * (3 * load.in_channels * len(phases) + 2 * load.out_channels)
    kernels = 3 * load.pairs * len(phases)
    transforms = maps * of_map + 3 * load.pairs * sum(of_kernel(tuple(map(len, phase.offsets))) for phase in phases)
    per_product = 4 * TOUCH if load.is_depthwise else 4
    products = 3 * frequencies * load.batch * load.pairs * len(phases) * per_product
    touched = 2 * frequencies * (maps + kernels)
    return transforms + products + 2 * TOUCH * touched + _merging(load) + 60 * len(phases) * CALL


def _in_one_step(places: int, frequencies: int) -> float:
    return 2.0 * frequencies * places


def _by_axes(places: tuple[int, ...], period: tuple[int, ...]) -> float:
    inner, last = (2 * (n // 2 + 1) for n in period)
    sums_and_differences = 3 * TOUCH * last * inner
    return last * places[0] * (places[1] + inner) + sums_and_differences


def _in_two_steps(places: tuple[int, ...], period: tuple[int, ...]) -> float:
    rows = period[0] // 2 + 1
    return 2 * rows * places[0] * places[1] + 4 * rows * period[1] * places[1] + 2 * TOUCH * 2 * rows * places[1]


_COSTS: dict[str, Callable[[Load], float]] = {
    "mixed_results": _mixed_results,
    "mixed_weights": _mixed_weights,
    "grouped": _grouped,
    "dft": _dft,
    "fourier": _fourier,
}
