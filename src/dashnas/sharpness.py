"""Sharpness-aware minimisation: a step by the gradient not at the weights, but where the loss is worst nearby."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def worst_nearby(model: nn.Module, radius: float) -> Iterator[None]:
    """Within it, the weights of a model are moved uphill, along their gradients; after it they are as they were.

    So are running statistics, whatever was computed meanwhile. Gradients that are computed there remain. Where all of
    them are 0 nothing is moved.

    Args:
        model: with gradients; parameters that have none stay.
        radius: the norm of the move, of all parameters together.

    Reference: Foret et al. 2021 (arXiv:2010.01412), Equation 2.
    """
    moved = [parameter for parameter in model.parameters() if parameter.grad is not None]
    kept = [*moved, *model.buffers()]
    with torch.no_grad():
        before = [tensor.clone() for tensor in kept]
        norm = torch.nn.utils.get_total_norm([p.grad for p in moved if p.grad is not None])
        scale = radius / norm.clamp(min=torch.finfo(norm.dtype).tiny)
        for parameter in moved:
            assert parameter.grad is not None
            parameter.add_(scale.to(parameter) * parameter.grad)
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(kept, before, strict=True):
                tensor.copy_(value)
