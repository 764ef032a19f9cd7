"""WideResNet-16 for images and fields: thirteen searchable convolutions in six pre-activation blocks.

`official` keeps one accident of the DASH authors' code: the last normalisation has momentum 0.9, so that its
running statistics are nearly those of the last batch.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from dashnas.backbones.heads import HeadFactory, head_for
from dashnas.backbones.registry import register_backbone
from dashnas.data.spec import DataSpec
from dashnas.recipe import Optimiser

STEM_CHANNELS = 16
BLOCKS_PER_STAGE = 2
KERNEL_SIZE = 3
MOMENTUM = 0.1
OFFICIAL_LAST_MOMENTUM = 0.9


def initialise_wrn_convolution(conv: nn.Module) -> None:
    """Draw a kernel Xavier-uniform with gain sqrt(2), set the bias to zero (DASH authors' code)."""
    assert isinstance(conv, nn.Conv2d)
    nn.init.xavier_uniform_(conv.weight, gain=math.sqrt(2))
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


class WideBlock(nn.Module):
    """Two convolutions, each after normalisation and ReLU, and a shortcut that sees the raw input.

    The stride sits on the second convolution, as in the DASH authors' code; Zagoruyko and Komodakis have it
    on the first.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, dropout: float) -> None:
        super().__init__()
        padding = KERNEL_SIZE // 2
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, KERNEL_SIZE, padding=padding)
        self.dropout = nn.Dropout(dropout)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, KERNEL_SIZE, stride=stride, padding=padding)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, height, width) to out_channels and sides of ceil(side / stride)."""
        y = self.dropout(self.conv1(F.relu(self.norm1(x))))
        return self.conv2(F.relu(self.norm2(y))) + self.shortcut(x)  # type: ignore[no-any-return]


class WideResNet(nn.Module):
    """WRN-16: a stem of 16 channels, three stages of width, 2 width and 4 width channels, and a head.

    Args:
        in_channels: channels of the input.
        head: makes the head for 4 * width features.
        width: channels of the first stage, 16 k for WRN-16-k.
        strides: of the first block of each stage; (1, 1, 1) keeps every position, for dense targets.
        dropout: the probability to drop a value between the two convolutions of a block.
        last_momentum: of the normalisation before the head, the share of the newest batch.

    Reference: Zagoruyko and Komodakis 2016, in the form of the DASH authors' code (biases, stride, initial
    weights). Stage widths and strides follow that code too; the formulas of the DASH paper differ from it and
    from its figures.
    """

    def __init__(
        self,
        in_channels: int,
        head: HeadFactory,
        *,
        width: int,
        strides: Sequence[int] = (1, 2, 2),
        dropout: float = 0.0,
        last_momentum: float = MOMENTUM,
    ) -> None:
        super().__init__()
        channels = (STEM_CHANNELS, width, 2 * width, 4 * width)
        self.stem = nn.Conv2d(in_channels, STEM_CHANNELS, KERNEL_SIZE, padding=KERNEL_SIZE // 2)
        self.stages = nn.Sequential(
            *(
                _stage(before, after, stride=stride, dropout=dropout)
                for (before, after), stride in zip(pairwise(channels), strides, strict=True)
            )
        )
        self.norm = nn.BatchNorm2d(channels[-1], momentum=last_momentum)
        self.head = head(channels[-1])
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                initialise_wrn_convolution(module)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, height, width) to logits, in the shape of the head."""
        return self.head(F.relu(self.norm(self.stages(self.stem(x)))))  # type: ignore[no-any-return]


def _stage(in_channels: int, out_channels: int, *, stride: int, dropout: float) -> nn.Sequential:
    """Blocks of equal width, of which the first changes channels and resolution."""
    first = WideBlock(in_channels, out_channels, stride=stride, dropout=dropout)
    others = (WideBlock(out_channels, out_channels, stride=1, dropout=dropout) for _ in range(BLOCKS_PER_STAGE - 1))
    return nn.Sequential(first, *others)


@register_backbone(
    "wrn", spatial_dims=2, default_width=16, initialise=initialise_wrn_convolution, optimiser=Optimiser.MUON
)
def _build(spec: DataSpec, *, width: int, dropout: float, official: bool, for_search: bool) -> nn.Module:
    return WideResNet(
        spec.channels,
        head_for(spec),
        width=width,
        strides=(1, 1, 1) if spec.target_kind.is_dense else (1, 2, 2),
        dropout=dropout,
        last_momentum=OFFICIAL_LAST_MOMENTUM if official else MOMENTUM,
    )
