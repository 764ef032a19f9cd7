"""DASH whose outcome is an ensemble of three."""

from dashnas.methods.dash import Dash
from dashnas.methods.registry import register_method


@register_method("dash-ensemble")
def dash_ensemble() -> Dash:
    """DASH with an ensemble of three networks, trained in the same time as one."""
    return Dash(ensemble=3)
