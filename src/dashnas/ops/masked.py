"""Series of unequal length in one batch: what is padding must neither be seen nor counted.

A mask (batch, 1, length) is True at real positions, which come first. It is re-applied wherever positions meet: before
convolutions, whose zero padding then continues the series as it does at the end of the longest, and in means.
"""

import torch
from torch import Tensor, nn

from dashnas.precision import widened


def real_positions(lengths: Tensor, longest: int) -> Tensor:
    """The mask of series: shape (batch, 1, longest), bool, from lengths of shape (batch,)."""
    return (torch.arange(longest, device=lengths.device) < lengths[:, None])[:, None]


def hide_padding(x: Tensor, mask: Tensor | None) -> Tensor:
    """Values (batch, channels, length) with zeros in place of padding, whatever stood there; no mask hides nothing."""
    return x if mask is None else torch.where(mask, x, 0.0)  # not a product: 0 * nan is not 0


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """The mean over the real positions of each series, (batch, channels, length) to (batch, channels)."""
    return hide_padding(x, mask).sum(dim=-1) / mask.sum(dim=-1)


class MaskedBatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation whose statistics are those of the real positions; without a mask that of PyTorch."""

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalise (batch, channels, length); what comes out at padding means nothing.

        Args:
            input: values; at padding finite ones.
            mask: (batch, 1, length), True at real positions; None where all are.
        """
        if mask is None or not self.training:  # running statistics are the same for every position
            return super().forward(input)
        dtype, input = input.dtype, widened(input)  # sums over many positions, as PyTorch has them
        count = mask.sum()
        mean = hide_padding(input, mask).sum(dim=(0, 2), keepdim=True) / count
        centred = input - mean
        variance = hide_padding(centred, mask).square().sum(dim=(0, 2), keepdim=True) / count
        self._track(mean.detach().flatten(), variance.detach().flatten() * count / (count - 1).clamp(min=1))
        normalised = centred * (variance + self.eps).rsqrt()
        return torch.addcmul(self.bias[:, None], normalised, self.weight[:, None]).to(dtype)

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics as PyTorch does, with the variance that divides by one less."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
