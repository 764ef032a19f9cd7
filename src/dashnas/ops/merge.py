"""One kernel in place of many dilated ones: convolution is linear in its kernel."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dashnas.ops.geometry import Geometry, Offsets, axis_offsets


class Grid(NamedTuple):
    """Places of a merged kernel's taps, and who goes there."""

    offsets: Offsets
    """What lies elsewhere is left out."""
    dilation: tuple[int, ...] | None = None
    """Merge only the candidates with this dilation; None merges all."""


def merge(bank: Tensor, mixture: Tensor, geometry: Geometry, grid: Grid) -> Tensor:
    """Add up dilated kernels, weighted by the mixture and aligned at their centres.

    Args:
        bank: (num_taps, out_channels, in_channels // groups), as in `Geometry`.
        mixture: (num_candidates,).
        geometry: of the candidates.
        grid: of the merged kernel.

    Returns:
        (*lengths of the grid's offsets, out_channels, in_channels // groups).

    Reference: Shen et al. 2022, Section 3.2.1, Equation 3; there zeros are appended at the end, which would
    shift small kernels against large ones, so here they are centred as in the authors' code.
    """
    layout = _layout(geometry, grid, bank.device)
    weights = mixture.to(bank.dtype)[layout.owners]
    # Sums weighted rows without writing them down first: 2 to 25 times as fast as index_add.
    merged = F.embedding_bag(layout.taps, bank.flatten(1), layout.starts, mode="sum", per_sample_weights=weights)
    return merged.view(*map(len, grid.offsets), *bank.shape[1:])


def merge_backward(
    grads: Sequence[Tensor], bank: Tensor, mixture: Tensor, geometry: Geometry, grids: Sequence[Grid]
) -> tuple[Tensor, Tensor]:
    """The gradients of bank and mixture from those of the kernels merged on each grid; shapes as in `merge`.

    No tap may have a place on two grids.
    """
    places, owners = _places_of_taps(geometry, tuple(grids), bank.device)
    nowhere = bank.new_zeros(1, *bank.shape[1:])
    stacked = torch.cat([*(grad.reshape(-1, *bank.shape[1:]) for grad in grads), nowhere])
    of_taps = stacked.index_select(0, places)  # shaped like the bank
    products = torch.bmm(of_taps.flatten(1)[:, None], bank.flatten(1)[:, :, None]).flatten()
    grad_mixture = torch.zeros_like(mixture).index_add_(0, owners, products.to(mixture.dtype))
    of_taps *= mixture[owners, None, None]
    return of_taps, grad_mixture


@lru_cache(maxsize=512)
def _places_of_taps(geometry: Geometry, grids: tuple[Grid, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Of each tap of a bank: its row in the kernels merged on each grid, one after the other, and its candidate.

    The row behind the last one stands for taps that have no place.
    """
    sizes = [math.prod(map(len, grid.offsets)) for grid in grids]
    # Tensors made under inference mode could not be used in training later.
    with torch.inference_mode(False):
        places = torch.full((geometry.num_taps,), sum(sizes), device=device)
        for start, grid in zip(accumulate(sizes, initial=0), grids, strict=False):
            layout = _layout(geometry, grid, device)
            places[layout.taps] = start + layout.places
        taps = torch.tensor([math.prod(size) for size in geometry.kernel_sizes], device=device)
        return places, torch.repeat_interleave(taps)


class _Layout(NamedTuple):
    """Where the taps of a bank go, in the order of their places."""

    taps: Tensor
    """Rows of the bank that have a place."""
    places: Tensor
    """Of each such tap: its row in the merged kernel."""
    owners: Tensor
    """Of each such tap: its candidate."""
    starts: Tensor
    """Of each row of the merged kernel: where its taps start in the lists above."""


@lru_cache(maxsize=512)
def _layout(geometry: Geometry, grid: Grid, device: torch.device) -> _Layout:
    index = {place: row for row, place in enumerate(product(*grid.offsets))}
    entries = []
    tap = 0
    for candidate, (size, dilation) in enumerate(zip(geometry.kernel_sizes, geometry.dilations, strict=True)):
        for place in product(*map(axis_offsets, size, dilation)):
            if place in index and grid.dilation in (None, dilation):
                entries.append((index[place], tap, candidate))
            tap += 1
    places, taps, owners = zip(*sorted(entries), strict=True)
    starts = [bisect_left(places, row) for row in range(len(index))]
    # Tensors made under inference mode could not be used in training later.
    with torch.inference_mode(False):
        return _Layout(*(torch.tensor(values, device=device) for values in (taps, places, owners, starts)))
