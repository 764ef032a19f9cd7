"""One dense kernel in place of many dilated ones: convolution is linear in its kernel."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from math import prod

import torch
from torch import Tensor


def merge(
    kernels: Sequence[Tensor],
    mixture: Tensor,
    dilations: Sequence[tuple[int, ...]],
    map_shape: tuple[int, ...],
) -> Tensor:
    """Add up dilated kernels, weighted by the mixture and aligned at their centres.

    A tap further from the centre than the map is long only ever meets padding, so it is left out.

    Args:
        kernels: one per candidate, (out_channels, in_channels // groups, *kernel_size), odd sizes.
        mixture: (num_candidates,).
        dilations: of each candidate, per axis, in samples.
        map_shape: spatial shape of the layer's input.

    Returns:
        (out_channels, in_channels // groups, *(2 * reach + 1)), with `reach` as in `merged_reach`.

    Reference: Shen et al. 2022, Section 3.2.1, Equation 3; there zeros are appended at the end, which would
    shift small kernels against large ones, so here they are centred as in the authors' code.
    """
    reach = merged_reach(kernels, dilations, map_shape)
    merged = merge_periodic(kernels, mixture, dilations, map_shape, tuple(2 * r + 1 for r in reach))
    return merged.roll(reach, tuple(range(2, merged.dim())))


def merge_periodic(
    kernels: Sequence[Tensor],
    mixture: Tensor,
    dilations: Sequence[tuple[int, ...]],
    map_shape: tuple[int, ...],
    period: tuple[int, ...],
) -> Tensor:
    """Merge as `merge` does, with the centre at position 0 and taps before it at the end of each axis.

    Args:
        kernels: as in `merge`.
        mixture: as in `merge`.
        dilations: as in `merge`.
        map_shape: as in `merge`.
        period: per axis, at least 2 * reach + 1.

    Returns:
        (out_channels, in_channels // groups, *period).
    """
    sizes = tuple(tuple(kernel.shape[2:]) for kernel in kernels)
    reach = merged_reach(kernels, dilations, map_shape)
    kept, positions, owners = _layout(sizes, tuple(dilations), reach, period)
    device = mixture.device
    taps = torch.cat([kernel.flatten(2) for kernel in kernels], dim=-1)[..., kept.to(device)]
    weighted = taps * mixture[owners.to(device)]
    merged = weighted.new_zeros(*weighted.shape[:2], prod(period))
    merged = merged.scatter_add(-1, positions.to(device).expand_as(weighted), weighted)
    return merged.reshape(*merged.shape[:2], *period)


def merged_reach(
    kernels: Sequence[Tensor], dilations: Sequence[tuple[int, ...]], map_shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Distance from the centre of a merged kernel to its last tap, per axis, in samples.

    The largest (kernel_size - 1) * dilation / 2, but no more than the map has neighbours: its size - 1.
    """
    return tuple(
        min(max(k.shape[2 + axis] // 2 * d[axis] for k, d in zip(kernels, dilations, strict=True)), length - 1)
        for axis, length in enumerate(map_shape)
    )


@lru_cache(maxsize=256)
def _layout(
    sizes: tuple[tuple[int, ...], ...],
    dilations: tuple[tuple[int, ...], ...],
    reach: tuple[int, ...],
    period: tuple[int, ...],
) -> tuple[Tensor, Tensor, Tensor]:
    """Where taps go: of all taps in a row, which are kept, their place in the flat merged kernel, their candidate."""
    kept, positions, owners = [], [], []
    start = 0
    for candidate, (size, dilation) in enumerate(zip(sizes, dilations, strict=True)):
        offsets = product(*([(i - s // 2) * d for i in range(s)] for s, d in zip(size, dilation, strict=True)))
        for tap, offset in enumerate(offsets):
            if all(abs(o) <= r for o, r in zip(offset, reach, strict=True)):
                place = 0
                for o, n in zip(offset, period, strict=True):
                    place = place * n + o % n
                kept.append(start + tap)
                positions.append(place)
                owners.append(candidate)
        start += prod(size)
    # Tensors made under inference mode could not be used in training later.
    with torch.inference_mode(False):
        return torch.tensor(kept), torch.tensor(positions), torch.tensor(owners)
