"""How the weights of a network are trained."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from math import inf

from dashnas.checks import read_name, require, require_sam_radius


class Optimiser(StrEnum):
    """How weights descend."""

    SGD = "sgd"
    """Stochastic gradient descent with Nesterov momentum."""
    ADAMW = "adamw"
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019); its second moment decays by 0.999."""
    MUON = "muon"
    """Orthogonal updates of convolutions (Jordan et al. 2024), AdamW for all else; see `dashnas.muon`."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the weights of a network are trained; the defaults are the middle of the paper's grid."""

    optimiser: Optimiser = Optimiser.SGD
    """How they descend. A plain string does too."""
    learning_rate: float = 0.1
    """Start value."""
    weight_decay: float = 5e-4
    """Of all weights: an L2 penalty with `sgd`, decoupled from the gradient with the others."""
    momentum: float = 0.9
    """Share of the last update that is kept; of the mean gradient with `adamw` and `muon`."""
    dropout: float = 0.0
    """Probability that a value is dropped, where the backbone has dropout."""
    cutout: float = 0.0
    """Largest share of each axis that is blanked out of a training sample; see `dashnas.cutout`."""
    sam_radius: float = 0.0
    """Of sharpness-aware minimisation, whose steps take twice the time; 0 is without. See `dashnas.sharpness`."""

    def __post_init__(self) -> None:
        read_name(self, "optimiser", Optimiser)
        require(0 < self.learning_rate < inf, f"learning_rate must be positive, got {self.learning_rate}")
        require(self.weight_decay >= 0, f"weight_decay must not be negative, got {self.weight_decay}")
        require(
            self.learning_rate * self.weight_decay < 1,
            "learning_rate x weight_decay must be below 1, or weights decay beyond 0 in a step; got "
            f"{self.learning_rate:g} x {self.weight_decay:g}, lower either",
        )
        require(0 <= self.momentum < 1, f"momentum must lie in [0, 1), got {self.momentum}")
        require(0 <= self.dropout < 1, f"dropout must lie in [0, 1), got {self.dropout}")
        require(0 <= self.cutout < 1, f"cutout must lie in [0, 1), got {self.cutout}")
        require_sam_radius("sam_radius", self.sam_radius)

    def describe(self) -> str:
        """In words, for a message or a table."""
        numbers = {name: value for name, value in asdict(self).items() if name != "optimiser"}
        told = (f"{name.replace('_', ' ')} {value:.3g}" for name, value in numbers.items())
        return ", ".join([self.optimiser, *told])


RECIPES = {
    Optimiser.SGD: Recipe(),
    Optimiser.ADAMW: Recipe(optimiser=Optimiser.ADAMW, learning_rate=2e-3, weight_decay=0.05),
    Optimiser.MUON: Recipe(optimiser=Optimiser.MUON, learning_rate=0.02, weight_decay=0.05, momentum=0.95),
}
"""The usual one with each optimiser. All of our backbones but ConvNeXt err less by Muon (docs/search-quality.md)."""
