"""DASH on the temporal convolutional network, as in Shen et al. 2022, Table 2 (DASH-TCN)."""

from dashnas.methods.dash import Dash
from dashnas.methods.registry import register_method


@register_method("dash-tcn")
def dash_tcn() -> Dash:
    """DASH on a temporal convolutional network, for signals."""
    return Dash(backbone="tcn")
