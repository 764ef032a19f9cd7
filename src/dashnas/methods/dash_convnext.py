"""DASH on ConvNeXt, whose depthwise convolutions are searched."""

from dashnas.methods.dash import Dash
from dashnas.methods.registry import register_method


@register_method("dash-convnext")
def dash_convnext() -> Dash:
    """DASH on ConvNeXt, for images and fields."""
    return Dash(backbone="convnext")
