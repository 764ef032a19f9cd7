"""What is fixed about a layer of candidates: their kernel sizes and dilations, the stride and the groups."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise, product
from math import prod
from typing import NamedTuple

Offsets = tuple[tuple[int, ...], ...]
"""Per axis, the distances from the centre at which a merged kernel has taps, in samples, ascending."""


class Phase(NamedTuple):
    """Every stride-th position of a map, and the taps through which outputs meet these and no others."""

    start: tuple[int, ...]
    """The first position, per axis; below the stride."""
    offsets: Offsets
    """Of the taps: start + stride * step."""
    steps: Offsets
    """The same in positions of the phase."""


@dataclass(frozen=True)
class Geometry:
    """A layer of candidates without its numbers; hashable, so that what follows from it can be cached.

    The kernels of all candidates lie in one bank (num_taps, out_channels, in_channels // groups): the taps of the
    first candidate in row-major order, then those of the second, and so on. With the taps in front, merging
    kernels and transforming them are sums and matrix products of whole rows.
    """

    kernel_sizes: tuple[tuple[int, ...], ...]
    """Of each candidate, per axis, odd, in samples."""
    dilations: tuple[tuple[int, ...], ...]
    """Of each candidate, per axis, in samples."""
    stride: tuple[int, ...]
    """Per axis; the output keeps positions 0, stride, 2 stride, ..."""
    groups: int = 1
    """As in `torch.nn.functional.conv1d`."""

    @property
    def spans(self) -> list[slice]:
        """Where each candidate's taps lie in the bank."""
        ends = accumulate((prod(size) for size in self.kernel_sizes), initial=0)
        return [slice(start, end) for start, end in pairwise(ends)]

    @property
    def num_taps(self) -> int:
        """Length of the bank."""
        return sum(prod(size) for size in self.kernel_sizes)

    def output_shape(self, map_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Spatial shape of the result: ceil(size / stride) per axis."""
        return tuple(-(-length // step) for length, step in zip(map_shape, self.stride, strict=True))

    def reach(self, map_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Distance from the centre to the last tap that can meet data, per axis, in samples.

        The largest (kernel_size - 1) * dilation / 2 is cut at size - 1: a tap further away than the map is long
        only ever meets padding.
        """
        return tuple(max(offsets[-1], -offsets[0]) for offsets in self.offsets(map_shape))

    def offsets(self, map_shape: tuple[int, ...]) -> Offsets:
        """Where any candidate has a tap that can meet data, per axis."""
        found: list[tuple[int, ...]] = []
        for axis, length in enumerate(map_shape):
            places = {
                place
                for size, dilation in zip(self.kernel_sizes, self.dilations, strict=True)
                for place in axis_offsets(size[axis], dilation[axis])
            }
            found.append(tuple(sorted(place for place in places if abs(place) < length)))
        return tuple(found)


@lru_cache(maxsize=512)
def stride_phases(geometry: Geometry, map_shape: tuple[int, ...]) -> tuple[Phase, ...]:
    """The phases of a map that taps meet; with a stride of one, that is the map itself.

    A correlation with a stride is a sum of correlations without one, one for each phase: output p meets
    position start + stride * (p + step) through the tap at start + stride * step. Phases without taps are left out.
    """
    per_axis = []
    for offsets, length, stride in zip(
        geometry.offsets(map_shape), geometry.output_shape(map_shape), geometry.stride, strict=True
    ):
        meeting = [offset for offset in offsets if abs(offset // stride) < length]
        by_start = {start: [o for o in meeting if o % stride == start] for start in range(stride)}
        per_axis.append(
            [(start, tuple(found), tuple(o // stride for o in found)) for start, found in by_start.items() if found]
        )
    phases = (Phase(*zip(*axes, strict=True)) for axes in product(*per_axis))
    return tuple(phase for phase in phases if _has_taps(geometry, phase))


def _has_taps(geometry: Geometry, phase: Phase) -> bool:
    """Whether some candidate has a tap on all axes at once."""
    places = [set(offsets) for offsets in phase.offsets]
    return any(
        all(not found.isdisjoint(axis_offsets(*axis)) for found, *axis in zip(places, size, dilation, strict=True))
        for size, dilation in zip(geometry.kernel_sizes, geometry.dilations, strict=True)
    )


def axis_offsets(kernel_size: int, dilation: int) -> list[int]:
    """Distances of a kernel's taps from its centre along one axis, in samples."""
    return [(tap - kernel_size // 2) * dilation for tap in range(kernel_size)]
