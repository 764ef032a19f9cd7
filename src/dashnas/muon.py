"""Muon: gradient descent whose updates of convolutions are made orthogonal (Jordan et al. 2024).

The update of a weight, as a matrix of its output channels by all else, has its singular values brought close to 1:
directions that gradients hardly point in are then learned as fast as those that they mostly do. Different from the
source, and from `torch.optim.Muon`, which takes matrices alone:

- It is for weights of three axes or more, which are those of convolutions, the first one too. Jordan et al. have it for
  hidden layers of any kind.
- Updates are scaled, and weights decay, as in Liu et al. 2025 (arXiv:2502.16982, Section 2.2), so that one rate and one
  decay are right for all weights.
- The iterations are done in the dtype of the weights, which is float32 as a rule, with the products of rows in place of
  the matrix itself. These are smaller, and those of all matrices with as many rows are done at once.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from dashnas.precision import exact_products

ITERATIONS = 5
"""Of Newton and Schulz. Singular values above about 1/500 of the matrix' norm come to between 0.68 and 1.2."""

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the odd polynomial of degree five that each iteration takes of the singular values; steep at 0."""

SMALLEST_NORM = 1e-7
"""Of a matrix, in its division by it: once its values have vanished, the update does too."""

ROOT_MEAN_SQUARE = 0.2
"""Of an update, at a rate of 1: about that of AdamW (Liu et al. 2025, Equation 4)."""

SECOND_MOMENT, SMALLEST_ROOT = 0.999, 1e-8
"""AdamW's share of the mean of squares that a step keeps, and what is added to its root."""


class Muon(torch.optim.Optimizer):
    """Muon for weights of three axes or more, AdamW for all others, both with decoupled weight decay.

    Args:
        groups: of parameters, as PyTorch's optimisers take them.
        lr: learning rate, where a group has none of its own; so the others.
        momentum: share of the mean gradient that a step keeps; AdamW's first beta too.
        weight_decay: share of a weight that a step takes away at a rate of 1.
    """

    def __init__(self, groups: list[dict[str, Any]], *, lr: float, momentum: float, weight_decay: float) -> None:
        # "fused" has PyTorch keep the step counts on the device of the weights when a state is loaded.
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "fused": True})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step; parameters without a gradient stay. There is no closure."""
        for group in self.param_groups:
            gradients = {weight: weight.grad for weight in group["params"] if weight.grad is not None}
            self._by_muon({weight: gradient for weight, gradient in gradients.items() if weight.ndim > 2}, group)
            self._by_adamw({weight: gradient for weight, gradient in gradients.items() if weight.ndim <= 2}, group)

    def _by_muon(self, gradients: dict[Tensor, Tensor], group: dict[str, Any]) -> None:
        updates = []
        for weight, gradient in gradients.items():
            mean = self._state(weight, "mean")
            mean.lerp_(gradient, 1 - group["momentum"])
            updates.append(gradient.lerp(mean, group["momentum"]).flatten(1))
        make_orthogonal(updates)
        for (weight, gradient), update in zip(gradients.items(), updates, strict=True):
            scale = ROOT_MEAN_SQUARE * max(update.shape) ** 0.5
            # The mean gradient of a layer that has died would be kept at full length until it has vanished.
            update.mul_(gradient.any())
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
            eps=SMALLEST_ROOT,
            maximize=False,
            fused=True,
        )

    def _state(self, weight: Tensor, name: str) -> Tensor:
        """Of a weight, as it was after the last step; at first 0."""
        state: dict[str, Tensor] = self.state[weight]
        if name not in state:
            is_count = name == "step"
            empty = torch.zeros((), dtype=torch.float32, device=weight.device) if is_count else torch.zeros_like(weight)
            state[name] = empty
        return state[name]


def make_orthogonal(matrices: Sequence[Tensor]) -> None:
    """Bring the singular values of matrices close to 1; their singular vectors stay, and matrices of zeros.

    Args:
        matrices: each (rows, columns), of any number; changed in place, so that there is no second copy of all
            weights.
    """
    alike = defaultdict(list)
    for matrix in matrices:
        matrix.div_(matrix.norm().clamp(min=SMALLEST_NORM))
        wide = matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix
        alike[len(wide), wide.dtype, wide.device].append(wide)
    for (*_, device), wides in alike.items():
        with exact_products(device):
            factors = _factors(torch.stack([wide @ wide.mT for wide in wides]))
            for wide, factor in zip(wides, factors, strict=True):
                wide.copy_(factor @ wide)


def _factors(products: Tensor) -> Tensor:
    """What wide matrices X have to be multiplied by, of their products XX': both (number, rows, rows).

    Each iteration multiplies X by a polynomial of XX', and so XX' by its square. With fewer digits than float32 has,
    the smallest eigenvalues of XX' come out below 0, and grow.
    """
    a, b, c = COEFFICIENTS
    factors = torch.eye(products.shape[-1], dtype=products.dtype, device=products.device).expand_as(products)
    for _ in range(ITERATIONS):
        polynomial = torch.baddbmm(products, products, products, beta=b, alpha=c)
        polynomial.diagonal(dim1=1, dim2=2).add_(a)
        factors = polynomial @ factors
        products = polynomial @ products @ polynomial
    return factors
