"""ConvNeXt for images and fields: eighteen searchable depthwise convolutions, one in each block.

It starts from other values than the published network, which begins with weights of deviation 0.02 and a layer scale
of 1e-6 and needs AdamW to leave them: stochastic gradient descent over schedules as short as here does not. `official`
changes nothing.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dashnas.backbones.heads import HeadFactory, head_for
from dashnas.backbones.registry import register_backbone
from dashnas.data.spec import DataSpec
from dashnas.recipe import Optimiser

DEPTHS = (3, 3, 9, 3)
STRIDES = (4, 2, 2, 2)
KERNEL_SIZE = 7
EXPANSION = 4
SMALLEST_MAP = 7
"""Fewest positions along an axis that a stride may leave: those of the last stage of ConvNeXt on 224 x 224."""
EPSILON = 1e-6


def convnext_strides(spatial_shape: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The stride of each stage, per axis: 4, 2, 2, 2, but 1 where fewer than `SMALLEST_MAP` positions would be left.

    So 224 positions become 56, 28, 14, 7; of 32 the stages have 8, 8, 8, 8, and of 13 they have 13, 7, 7, 7.
    """

    def along(side: int) -> list[int]:
        strides = []
        for stride in STRIDES:
            strides.append(stride if math.ceil(side / stride) >= SMALLEST_MAP else 1)
            side = math.ceil(side / strides[-1])
        return strides

    height, width = spatial_shape
    return tuple(zip(along(height), along(width), strict=True))


def initialise_convnext_layer(layer: nn.Module) -> None:
    """Draw the weights of a convolution or linear layer so that variances stay, set the bias to zero."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each position of (batch, channels, height, width)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPSILON)

    def forward(self, input: Tensor) -> Tensor:
        """Keep the shape (batch, channels, height, width)."""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class PatchEmbedding(nn.Module):
    """Cut a map into patches as large as the stride, and map each to one position by a linear layer.

    Zeros at the end of an axis complete its last patch, so that no position of the input is lost.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, stride, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, height, width) to out_channels and sides of ceil(side / stride)."""
        (high, wide), (height, width) = self.conv.stride, x.shape[2:]
        return self.conv(F.pad(x, (0, -width % wide, 0, -height % high)))  # type: ignore[no-any-return]


class ConvNeXtBlock(nn.Module):
    """A depthwise convolution, normalisation, and two linear layers at each position, added to the input.

    Args:
        channels: of input and output; four times as many between the linear layers.
        dropout: the probability that a sample skips the block in training (stochastic depth).
        layer_scale: what the sum's second term is multiplied by at first; learned, one number per channel.
    """

    def __init__(self, channels: int, *, dropout: float, layer_scale: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, KERNEL_SIZE, padding=KERNEL_SIZE // 2, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPSILON)
        # Not 1x1 convolutions: channels come last here, where a linear layer needs no transposition.
        self.expand = nn.Linear(channels, EXPANSION * channels)
        self.project = nn.Linear(EXPANSION * channels, channels)
        self.layer_scale = nn.Parameter(torch.full((channels,), layer_scale))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (batch, channels, height, width)."""
        y = self.norm(self.conv(x).movedim(1, -1))  # (batch, height, width, channels)
        y = self.layer_scale * self.project(F.gelu(self.expand(y)))
        kept = self.dropout(x.new_ones(len(x), 1, 1, 1))  # 0 for a sample that skips the block
        return x + kept * y.movedim(-1, 1)  # type: ignore[no-any-return]


class ConvNeXt(nn.Module):
    """Four stages of 3, 3, 9 and 3 blocks with width, 2 width, 4 width and 8 width channels, and a head.

    Args:
        in_channels: channels of the input.
        head: makes the head for 8 * width features.
        width: channels of the first stage, 96 for ConvNeXt-T.
        strides: of the embedding before each stage, per axis; all 1 keeps every position, for dense targets.
        pool: take the mean over all positions before the last normalisation, for a head that sees no position.
        dropout: the probability that a sample skips a block in training.
        layer_scale: what blocks multiply their result by at first; 1e-6 as published.

    Reference: Liu et al. 2022, "A ConvNet for the 2020s". There the probability to skip a block grows from the
    first to the last; here it is the same for all.
    """

    def __init__(
        self,
        in_channels: int,
        head: HeadFactory,
        *,
        width: int,
        strides: Sequence[tuple[int, int]],
        pool: bool,
        dropout: float = 0.0,
        layer_scale: float = 1.0,
    ) -> None:
        super().__init__()
        channels = [width * 2**stage for stage in range(len(DEPTHS))]
        stem = nn.Sequential(PatchEmbedding(in_channels, width, stride=strides[0]), ChannelNorm(width))
        self.embeddings = nn.ModuleList([stem])
        for (before, after), stride in zip(pairwise(channels), strides[1:], strict=True):
            self.embeddings.append(nn.Sequential(ChannelNorm(before), PatchEmbedding(before, after, stride=stride)))
        self.stages = nn.ModuleList(
            nn.Sequential(*(ConvNeXtBlock(n, dropout=dropout, layer_scale=layer_scale) for _ in range(depth)))
            for n, depth in zip(channels, DEPTHS, strict=True)
        )
        self.pool = nn.AdaptiveAvgPool2d(1) if pool else nn.Identity()
        self.norm = ChannelNorm(channels[-1])
        self.head = head(channels[-1])
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                initialise_convnext_layer(module)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, height, width) to logits, in the shape of the head."""
        for embed, stage in zip(self.embeddings, self.stages, strict=True):
            x = stage(embed(x))
        return self.head(self.norm(self.pool(x)))  # type: ignore[no-any-return]


@register_backbone(
    "convnext", spatial_dims=2, default_width=16, initialise=initialise_convnext_layer, optimiser=Optimiser.ADAMW
)
def _build(spec: DataSpec, *, width: int, dropout: float, official: bool, for_search: bool) -> nn.Module:
    dense = spec.target_kind.is_dense
    return ConvNeXt(
        spec.channels,
        head_for(spec),
        width=width,
        strides=((1, 1),) * len(DEPTHS) if dense else convnext_strides(spec.spatial_shape),
        pool=not dense,
        dropout=dropout,
    )
