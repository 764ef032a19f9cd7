"""The last layer of a network: from features to one answer per sample, or to one per position.

All take a mask of real positions (batch, 1, length) beside features of series of unequal length; see `ops.masked`.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from dashnas.data.spec import DataSpec
from dashnas.ops.masked import hide_padding, masked_mean

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
