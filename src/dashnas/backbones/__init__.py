"""Networks of fixed topology whose convolutions are searched; `build_backbone` makes them by name."""

from dashnas.backbones.convnext import ConvNeXt, convnext_strides, initialise_convnext_layer
from dashnas.backbones.heads import DenseHead, GridHead, HeadFactory, LastStepHead, PointHead, head_for, keep_positions
from dashnas.backbones.registry import (
    BACKBONES,
    Backbone,
    Builder,
    build_backbone,
    default_backbone,
    register_backbone,
)
from dashnas.backbones.resnet1d import ResNet1d, paper_width
from dashnas.backbones.tcn import TCN, tcn_dilations
from dashnas.backbones.wrn import WideResNet, initialise_wrn_convolution

__all__ = [
    "BACKBONES",
    "TCN",
    "Backbone",
    "Builder",
    "ConvNeXt",
    "DenseHead",
    "GridHead",
    "HeadFactory",
    "LastStepHead",
    "PointHead",
    "ResNet1d",
    "WideResNet",
    "build_backbone",
    "convnext_strides",
    "default_backbone",
    "head_for",
    "initialise_convnext_layer",
    "initialise_wrn_convolution",
    "keep_positions",
    "paper_width",
    "register_backbone",
    "tcn_dilations",
]
