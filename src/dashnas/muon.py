"""Muon: stochastic gradient descent whose updates of convolutions are made orthogonal.

The update of a weight, as a matrix of its outputs by all else, has its singular values brought close to 1: directions
that gradients hardly point in are then learned as fast as those that they mostly do. PyTorch's own `torch.optim.Muon`
takes matrices only, and nothing beside them.

Reference: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

ITERATIONS = 5
"""Of Newton and Schulz; they bring singular values to 0.7 to 1.2."""

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the odd polynomial of degree five that each iteration takes of the singular values; steep at 0."""

ROOT_MEAN_SQUARE = 0.2
"""Of an update, at a rate of 1: about that of AdamW, so that one rate is right for all weights (Liu et al. 2025,
arXiv:2502.16982, Equation 4)."""

SECOND_MOMENT = 0.999
"""Share of the mean of squares that a step by AdamW keeps."""


class Muon(torch.optim.Optimizer):
    """Muon for weights of three axes or more, AdamW for all others: biases, normalisation, the last layer.

    Args:
        groups: of parameters, as PyTorch's optimisers take them.
        lr: learning rate, where a group has none of its own.
        momentum: share of the mean gradient that a step keeps.
        weight_decay: of all weights, decoupled from the gradient.
    """

    def __init__(
        self, groups: list[dict[str, Any]], *, lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.05
    ) -> None:
        # "fused" has PyTorch keep the step counts on the device of the weights when a state is loaded.
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "fused": True})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Descend along the gradients of now. Parameters without any stay; there is no closure."""
        for group in self.param_groups:
            gradients = {weight: weight.grad for weight in group["params"] if weight.grad is not None}
            self._by_muon({weight: gradients[weight] for weight in gradients if weight.ndim > 2}, group)
            self._by_adamw({weight: gradients[weight] for weight in gradients if weight.ndim <= 2}, group)

    def _by_muon(self, gradients: dict[Tensor, Tensor], group: dict[str, Any]) -> None:
        updates = []
        for weight, gradient in gradients.items():
            mean = self._state(weight, "mean")
            mean.lerp_(gradient, 1 - group["momentum"])
            updates.append(gradient.lerp(mean, group["momentum"]).flatten(1))
        for weight, update in zip(gradients, orthogonal(updates), strict=True):
            scale = ROOT_MEAN_SQUARE * max(update.shape) ** 0.5
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.sub_(update.view_as(weight), alpha=group["lr"] * scale)

    def _by_adamw(self, gradients: dict[Tensor, Tensor], group: dict[str, Any]) -> None:
        adamw(
            list(gradients),
            list(gradients.values()),
            [self._state(weight, "mean") for weight in gradients],
            [self._state(weight, "mean_square") for weight in gradients],
            [],
            [self._state(weight, "step") for weight in gradients],
            amsgrad=False,
            beta1=group["momentum"],
            beta2=SECOND_MOMENT,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=1e-8,
            maximize=False,
            fused=True,
        )

    def _state(self, weight: Tensor, name: str) -> Tensor:
        """Of a weight, as it was after the last step; at first 0."""
        state: dict[str, Tensor] = self.state[weight]
        if name not in state:
            state[name] = weight.new_zeros(()) if name == "step" else torch.zeros_like(weight)
        return state[name]


def orthogonal(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Matrices with the same singular vectors each, but singular values of about 1; what is 0 stays 0."""
    wide = [matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix for matrix in matrices]
    wide = [matrix / matrix.norm().clamp(min=torch.finfo(matrix.dtype).tiny) for matrix in wide]
    alike = defaultdict(list)
    for i, matrix in enumerate(wide):
        alike[len(matrix), matrix.dtype, matrix.device].append(i)
    for group in alike.values():
        factors = _factors(torch.stack([wide[i] @ wide[i].mT for i in group]))
        for i, factor in zip(group, factors, strict=True):
            wide[i] = factor @ wide[i]
    return [new.mT if new.shape != old.shape else new for new, old in zip(wide, matrices, strict=True)]


def _factors(gram: Tensor) -> Tensor:
    """What wide matrices have to be multiplied by, of their products with themselves: (number, rows, rows).

    Each iteration multiplies a matrix X by p(XX'), so that all of them are done with XX', which is smaller.
    """
    a, b, c = COEFFICIENTS
    factors = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device).expand_as(gram)
    for _ in range(ITERATIONS):
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        polynomial.diagonal(dim1=1, dim2=2).add_(a)
        factors = polynomial @ factors
        gram = polynomial @ gram @ polynomial
    return factors
