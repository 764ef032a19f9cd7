"""Layers of candidates that are timed one by one."""

from dashnas.ops.costs import Load
from dashnas.ops.geometry import Geometry
from dashnas.space import SearchSpace, per_axis


def layer(
    space: SearchSpace,
    batch: int,
    in_channels: int,
    out_channels: int,
    groups: int,
    stride: int,
    shape: tuple[int, ...],
) -> Load:
    """A layer with all candidates of a space."""
    dims, candidates = len(shape), space.candidates()
    geometry = Geometry(
        tuple(per_axis(c.kernel_size, dims) for c in candidates),
        tuple(per_axis(c.dilation, dims) for c in candidates),
        (stride,) * dims,
        groups,
    )
    return Load(batch, in_channels, out_channels, shape, geometry)
