"""What a forward and a backward pass of each strategy cost, by counting: good enough to rank them.

The unit is the time of one multiplication in a large matrix product. The weights of everything else against it are
rough, from profiles on a CPU of two cores; `benchmarks/operator.py` shows beside the measured times what they choose.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Self

from scipy.fft import next_fast_len

from dashnas.ops.dft import SHORT_SIGNAL, factors
from dashnas.ops.direct import Grouped, MixedWeights
from dashnas.ops.geometry import Geometry

CONVOLUTION = 1.0
"""A multiplication in a convolution of the library."""
DEPTHWISE = 4.0
"""A multiplication in a depthwise convolution of the library."""
TOUCH = 12.0
"""A number that is read or written once more."""
CALL = 2e5
"""A call into the library."""
BUTTERFLY = 12.0
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
    return 3 * _convolution(load, taps) + _merging(load) + len(grids) * (3 * CALL + 3 * TOUCH * outputs)


def _convolution(load: Load, taps: int) -> float:
    outputs = prod(load.geometry.output_shape(load.map_shape)) * load.batch
    weight = DEPTHWISE if load.geometry.groups > 1 else CONVOLUTION
    return float(weight * taps * outputs * load.pairs + CALL)


def _merging(load: Load) -> float:
    return 6 * TOUCH * load.geometry.num_taps * load.pairs + 10 * CALL


def _dft(load: Load) -> float:
    period = _period(load)
    if len(period) == 2:
        frequencies = (period[0] // 2 + 1) * period[1]
        return _spectral(load, frequencies, lambda places: _in_two_steps(places, period), kernels=None)
    if period[0] <= SHORT_SIGNAL:
        frequencies = period[0] // 2 + 1
        return _spectral(load, frequencies, lambda places: _in_one_step(places[0], frequencies), kernels=None)
    first, second = factors(load.map_shape[0], period[0], load.geometry.stride[0])
    frequencies = (first // 2 + 1) * second

    def of_maps(places: tuple[int, ...]) -> float:
        return _in_two_steps((math.ceil(places[0] / second), second), (first, second))

    return _spectral(load, frequencies, of_maps, kernels=lambda places: _in_one_step(places[0], frequencies))


def _fourier(load: Load) -> float:
    period = tuple(next_fast_len(length, real=True) for length in _period(load))
    frequencies = (period[0] // 2 + 1) * prod(period[1:])

    def of_maps(places: tuple[int, ...]) -> float:
        return float(BUTTERFLY * prod(period) * math.log2(prod(period) + 1) + 6 * TOUCH * 2 * frequencies)

    def of_kernels(places: tuple[int, ...]) -> float:
        return _in_two_steps(places, period) if len(period) == 2 else _in_one_step(places[0], frequencies)

    return _spectral(load, frequencies, of_maps, kernels=of_kernels)


def _spectral(
    load: Load,
    frequencies: int,
    maps: Callable[[tuple[int, ...]], float],
    kernels: Callable[[tuple[int, ...]], float] | None,
) -> float:
    """Transforms of all columns, as often as they are made or taken back, and the products over the channels."""
    geometry = load.geometry
    taps = tuple(map(len, geometry.offsets(load.map_shape)))
    transforms = (
        3 * load.batch * load.in_channels * maps(load.map_shape)
        + 2 * load.batch * load.out_channels * maps(geometry.output_shape(load.map_shape))
        + 3 * load.pairs * (kernels or maps)(taps)
    )
    products = 3 * frequencies * load.batch * load.pairs * (4 if geometry.groups == 1 else 4 * TOUCH)
    columns = load.batch * (3 * load.in_channels + 2 * load.out_channels) + 3 * load.pairs
    touched = 2 * frequencies * columns
    return transforms + products + 2 * TOUCH * touched + _merging(load) + 60 * CALL


def _in_one_step(places: int, frequencies: int) -> float:
    return 2 * frequencies * places


def _in_two_steps(places: tuple[int, ...], period: tuple[int, ...]) -> float:
    rows = period[0] // 2 + 1
    return 2 * rows * places[0] * places[1] + 4 * rows * period[1] * places[1] + 2 * TOUCH * 2 * rows * places[1]


def _period(load: Load) -> tuple[int, ...]:
    reach = load.geometry.reach(load.map_shape)
    return tuple(length + r for length, r in zip(load.map_shape, reach, strict=True))


_COSTS: dict[str, Callable[[Load], float]] = {
    "mixed_results": _mixed_results,
    "mixed_weights": _mixed_weights,
    "grouped": _grouped,
    "dft": _dft,
    "fourier": _fourier,
}
