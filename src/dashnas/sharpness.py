"""Sharpness-aware minimisation: a step by the gradient not at the weights, but where the loss is worst nearby."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

SMALLEST_NORM = 1e-12
"""Of all gradients together. Where it is smaller the move is too: it is the root of squares that may have become 0."""


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
    buffers = [(module, *named) for module in model.modules() for named in module.named_buffers(recurse=False)]
    kept = [*moved, *(buffer for *_, buffer in buffers)]
    before = [tensor.detach().clone() for tensor in kept]
    try:
        _climb(moved, radius)
        yield
    finally:  # also where memory runs out, in the midst of the move too
        with torch.no_grad():
            for tensor, value in zip(kept, before, strict=True):
                tensor.copy_(value)
        for module, name, buffer in buffers:
            setattr(module, name, buffer)  # which it may have exchanged for another


@torch.no_grad()
def _climb(parameters: Iterable[nn.Parameter], radius: float) -> None:
    """Move parameters along their gradients; no reference to these is left, so that they can be freed."""
    gradients = [(parameter, parameter.grad) for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.get_total_norm([gradient for _, gradient in gradients]).clamp(min=SMALLEST_NORM)
    for parameter, gradient in gradients:
        parameter.add_(radius * gradient / norm.to(parameter.device))
