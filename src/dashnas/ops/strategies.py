"""The ways to compute AggConv, by the paper's names; all return the same values and gradients."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from dashnas.ops.fourier import fourier
from dashnas.ops.mixed_results import mixed_results
from dashnas.ops.mixed_weights import mixed_weights


class Strategy(Protocol):
    """Computes the mixture of several "same" convolutions with zero padding.

    Args:
        x: (batch, in_channels, *spatial).
        kernels: one per candidate, (out_channels, in_channels // groups, *kernel_size), odd sizes.
        mixture: (num_candidates,), the weight of each candidate.
        dilations: of each candidate, per axis, in samples.
        stride: per axis; the output keeps positions 0, stride, 2 stride, ...
        groups: as in `torch.nn.functional.conv1d`.

    Returns:
        (batch, out_channels, *ceil(spatial / stride)).
    """

    def __call__(
        self,
        x: Tensor,
        kernels: Sequence[Tensor],
        mixture: Tensor,
        dilations: Sequence[tuple[int, ...]],
        *,
        stride: tuple[int, ...],
        groups: int,
    ) -> Tensor: ...


STRATEGIES: dict[str, Strategy] = {
    "mixed_results": mixed_results,
    "mixed_weights": mixed_weights,
    "fourier": fourier,
}
"""Every strategy by name; a new one is one more line here, and the contract suite tests it."""
