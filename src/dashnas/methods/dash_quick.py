"""DASH with the preset `quick`."""

from dashnas.methods.dash import Dash
from dashnas.methods.registry import register_method


@register_method("dash-quick")
def dash_quick() -> Dash:
    """DASH with the preset quick: width 16 and one recipe."""
    return Dash(preset="quick")
