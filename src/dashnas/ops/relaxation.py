"""From architecture parameters to a mixture: how a discrete choice is made differentiable."""

from typing import Protocol

import torch
from torch import Tensor, nn

from dashnas.errors import ConfigError


class Relaxation(Protocol):
    """Maps arch_parameters (num_candidates,) to a mixture (num_candidates,); any callable will do."""

    def __call__(self, arch_parameters: Tensor) -> Tensor: ...


class Softmax(nn.Module):
    """The mixture is the softmax of the architecture parameters."""

    def forward(self, arch_parameters: Tensor) -> Tensor:
        """(num_candidates,) to (num_candidates,)."""
        return arch_parameters.softmax(dim=-1)


class GumbelSoftmax(nn.Module):
    """A softmax with Gumbel noise while training: one draw per layer and forward pass, shared by the batch.

    In evaluation there is no noise. (The authors' code draws it there too, which makes a supernet's scores
    random.)

    Args:
        temperature: lower is closer to a hard choice; 1 in the paper.
        generator: source of the noise; None is PyTorch's default generator, as in `torch.rand`.

    Raises:
        ConfigError: a temperature that is not above 0.

    Reference: Shen et al. 2022, Section 3.3; Xie et al. 2019 (SNAS).
    """

    def __init__(self, temperature: float = 1.0, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if not temperature > 0:
            raise ConfigError(f"temperature must be above 0, got {temperature}; 1 is the paper's")
        self.temperature = temperature
        self.generator = generator

    def forward(self, arch_parameters: Tensor) -> Tensor:
        """(num_candidates,) to (num_candidates,)."""
        logits = arch_parameters.log_softmax(dim=-1)
        if self.training:
            noise = torch.empty_like(logits).exponential_(generator=self.generator).log().neg()
            logits = logits + noise
        return (logits / self.temperature).softmax(dim=-1)
