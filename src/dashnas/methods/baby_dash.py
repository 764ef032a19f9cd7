"""DASH with a small search space, as in Shen et al. 2022, Section 4.3 (BABY DASH)."""

from dashnas.methods.dash import Dash
from dashnas.methods.registry import register_method


@register_method("baby-dash")
def baby_dash() -> Dash:
    """DASH with kernel sizes 3 and 5 and dilations 1 and 2 only."""
    return Dash(kernel_sizes=(3, 5), dilations=(1, 2), race=False)
