"""The last layer of a network: from features to one answer per sample, or to one per position.

All take a mask of real positions (batch, 1, length) beside features of series of unequal length; see `ops.masked`.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn

from dashnas.data.spec import DataSpec
from dashnas.ops.masked import hide_padding, masked_mean
from dashnas.seeding import isolated_rng

HeadFactory = Callable[[int], nn.Module]
"""Makes the head for a number of features; all heads give logits and keep their weights in `linear`."""


class PointHead(nn.Module):
    """The mean over all positions, then a linear layer: (batch, features, *spatial) to (batch, outputs)."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (batch, features, *spatial) to (batch, outputs)."""
        mean = x.flatten(start_dim=2).mean(dim=-1) if mask is None else masked_mean(x, mask)
        return self.linear(mean)  # type: ignore[no-any-return]


class GridHead(nn.Module):
    """The mean over each cell of a grid, then a linear layer that knows which cell is which.

    Cells cut each axis into equal parts, that of a series of unequal length into parts of its own length. A position
    that two cells share counts in both, by its share.

    Args:
        features: channels of what comes in.
        outputs: channels of what goes out.
        cells: per spatial axis.
    """

    def __init__(self, features: int, outputs: int, cells: tuple[int, ...]) -> None:
        super().__init__()
        self.cells = cells
        self.linear = nn.Linear(features * math.prod(cells), outputs)

    @classmethod
    def like(cls, head: PointHead, cells: tuple[int, ...]) -> Self:
        """One that gives what a head without a grid gives, until it is trained."""
        linear, number = head.linear, math.prod(cells)
        grid = cls(linear.in_features, linear.out_features, cells).to(linear.weight.device)
        with torch.no_grad():
            grid.linear.weight.copy_(linear.weight.repeat_interleave(number, dim=1) / number)
            grid.linear.bias.copy_(linear.bias)
        return grid

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (batch, features, *spatial) to (batch, outputs)."""
        return self.linear(cell_means(x, self.cells, mask).flatten(start_dim=1))  # type: ignore[no-any-return]


def keep_positions(network: nn.Module, cells: tuple[int, ...]) -> None:
    """Replace the head of a network, a mean over all positions, by that over the cells of a grid; the answers stay."""
    assert isinstance(network.head, PointHead)
    with isolated_rng(network.head.linear.weight.device):  # fresh weights are drawn, to be replaced at once
        network.head = GridHead.like(network.head, cells)


def cell_means(x: Tensor, cells: tuple[int, ...], mask: Tensor | None = None) -> Tensor:
    """The mean over each cell of a grid, as `GridHead` cuts them.

    Args:
        x: (batch, features, *spatial).
        cells: per spatial axis.
        mask: (batch, 1, length), True at real positions of series of unequal length.

    Returns:
        (batch, features, *cells).
    """
    x = hide_padding(x, mask)
    for axis, number in enumerate(cells, start=2):
        size = x.shape[axis]
        width = (size if mask is None else mask.sum(dim=-1, keepdim=True)) / number
        position = torch.arange(size, device=x.device)[:, None]
        cell = torch.arange(number, device=x.device)
        overlap = torch.minimum(position + 1, (cell + 1) * width) - torch.maximum(position, cell * width)
        share = overlap.clamp(min=0) / width  # (size, number), or (batch, size, number)
        x = (x.movedim(axis, -1) @ share.to(x.dtype)).movedim(-1, axis)
    return x


class DenseHead(nn.Module):
    """A linear layer at each position: (batch, features, *spatial) to (batch, outputs, *spatial)."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        # Not a 1x1 convolution, which the search would list and a point head would have to name otherwise.
        self.linear = nn.Linear(features, outputs)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (batch, features, *spatial) to (batch, outputs, *spatial), zeros at padding."""
        return hide_padding(self.linear(x.movedim(1, -1)).movedim(-1, 1), mask)


class LastStepHead(nn.Module):
    """A linear layer on the last time step, which in a causal network has seen all: to (batch, outputs)."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (batch, features, length) to (batch, outputs)."""
        if mask is None:
            return self.linear(x[..., -1])  # type: ignore[no-any-return]
        last = mask.sum(dim=-1, keepdim=True) - 1  # (batch, 1, 1)
        return self.linear(x.take_along_dim(last, dim=-1)[..., 0])  # type: ignore[no-any-return]


def head_for(spec: DataSpec, *, last_step: bool = False) -> HeadFactory:
    """`DenseHead` for dense targets, else `PointHead`, or `LastStepHead` if asked; all know their outputs."""
    point = LastStepHead if last_step else PointHead
    return partial(DenseHead if spec.target_kind.is_dense else point, outputs=spec.outputs)
