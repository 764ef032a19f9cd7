"""Muon: stochastic gradient descent whose updates of convolutions are made orthogonal.

The update of a weight, as a matrix of its outputs by all else, has its singular values brought close to 1: directions
that gradients hardly point in are then learned as fast as those that they mostly do. PyTorch's own `torch.optim.Muon`
takes matrices only, and nothing beside them.

Reference: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
"""

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
        for weight, gradient in gradients.items():
            mean = self._state(weight, "mean")
            mean.lerp_(gradient, 1 - group["momentum"])
            update = orthogonal(gradient.lerp(mean, group["momentum"]).flatten(1))
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


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix with the same singular vectors, (rows, columns), but singular values of about 1; 0 stays 0."""
    a, b, c = COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    near = matrix.mT if is_tall else matrix
    near = near / near.norm().clamp(min=torch.finfo(near.dtype).tiny)
    for _ in range(ITERATIONS):
        square = near @ near.mT
        near = torch.addmm(near, torch.addmm(square, square, square, beta=b, alpha=c), near, beta=a)
    return near.mT if is_tall else near
