"""Samples with a part blanked out, so that a network does not rely on any one of its parts."""

import torch
from torch import Tensor


def cut_out(x: Tensor, share: float, lengths: Tensor | None = None) -> Tensor:
    """Inputs in which a window of each sample is 0, the mean of what is normalised, in all of its channels.

    Place and size of a window are drawn from PyTorch's default generator, for each sample on its own.

    Args:
        x: (batch, channels, *spatial).
        share: of each axis, that a window takes at most; any smaller one is as likely.
        lengths: (batch,), positions of each series (one axis) before its padding; None where there is no padding.

    Reference: DeVries and Taylor 2017 (arXiv:1708.04552), whose windows have one size and may lie partly outside.
    """
    inside = torch.ones((), dtype=torch.bool, device=x.device)
    for axis in range(2, x.dim()):
        size = torch.tensor(x.shape[axis], device=x.device) if lengths is None else lengths
        width = (torch.rand(len(x), device=x.device) * share * size).round()
        start = (torch.rand(len(x), device=x.device) * (size - width + 1)).floor()
        positions = torch.arange(x.shape[axis], device=x.device)
        within = (positions >= start[:, None]) & (positions < (start + width)[:, None])
        inside = inside & within.view(len(x), *(-1 if other == axis else 1 for other in range(1, x.dim())))
    return x.masked_fill(inside, 0.0)
