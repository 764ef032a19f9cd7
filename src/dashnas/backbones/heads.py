"""The last layer of a network: from features to one answer per sample, or to one per position."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from dashnas.data.spec import DataSpec

HeadFactory = Callable[[int], nn.Module]
"""Makes the head for a number of features; all heads give logits and keep their weights in `linear`."""


class PointHead(nn.Module):
    """The mean over all positions, then a linear layer: (batch, features, *spatial) to (batch, outputs)."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, features, *spatial) to (batch, outputs)."""
        return self.linear(x.flatten(start_dim=2).mean(dim=-1))  # type: ignore[no-any-return]


class DenseHead(nn.Module):
    """A linear layer at each position: (batch, features, *spatial) to (batch, outputs, *spatial)."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        # Not a 1x1 convolution, which the search would list and a point head would have to name otherwise.
        self.linear = nn.Linear(features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, features, *spatial) to (batch, outputs, *spatial)."""
        return self.linear(x.movedim(1, -1)).movedim(-1, 1)  # type: ignore[no-any-return]


class LastStepHead(nn.Module):
    """A linear layer on the last time step, which in a causal network has seen all: to (batch, outputs)."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, features, length) to (batch, outputs)."""
        return self.linear(x[..., -1])  # type: ignore[no-any-return]


def head_for(spec: DataSpec, *, last_step: bool = False) -> HeadFactory:
    """`DenseHead` for dense targets, else `PointHead`, or `LastStepHead` if asked; all know their outputs."""
    point = LastStepHead if last_step else PointHead
    return partial(DenseHead if spec.target_kind.is_dense else point, outputs=spec.outputs)
