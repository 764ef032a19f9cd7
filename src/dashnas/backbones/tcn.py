"""The temporal convolutional network for signals: sixteen searchable convolutions in eight blocks.

`official` keeps what the DASH authors' code retrains: causal convolutions with weight normalisation over the
whole tensor, which are searched as plain centred ones; the last time step as the only one that the head sees;
dilations that reach beyond short inputs; and an initial deviation of 0.01 that takes effect on the shortcut
alone.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from dashnas.backbones.heads import HeadFactory, head_for
from dashnas.backbones.registry import register_backbone
from dashnas.data.spec import DataSpec
from dashnas.ops.causal import WeightNormCausalConv1d
from dashnas.ops.masked import MaskedBatchNorm1d, hide_padding, real_positions
from dashnas.recipe import Optimiser

KERNEL_SIZE = 7
NUM_BLOCKS = 8
OFFICIAL_SHORTCUT_STD = 0.01


def tcn_dilations(length: int | None = None) -> tuple[int, ...]:
    """Double the dilation from block to block: 1, 2, 4, ..., 128.

    Args:
        length: of the input, in samples: the dilation stops growing where half the reach of a centred kernel,
            3 dilation, would not be smaller, since its outer taps would only see padding. None lets it grow.
    """
    dilations = [1]
    for _ in range(NUM_BLOCKS - 1):
        doubled = 2 * dilations[-1]
        fits = length is None or (KERNEL_SIZE // 2) * doubled < length
        dilations.append(doubled if fits else dilations[-1])
    return tuple(dilations)


class TemporalBlock(nn.Module):
    """Two times convolution, normalisation, ReLU and dropout, then the shortcut and a ReLU; the length stays.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output; where they differ, the shortcut is a 1x1 convolution.
        dilation: of both convolutions, in samples.
        dropout: the probability to drop a value after each ReLU.
        causal: whether convolutions look at no future sample and have weight normalisation; else they are
            plain.
    """

    def __init__(self, in_channels: int, out_channels: int, *, dilation: int, dropout: float, causal: bool) -> None:
        super().__init__()
        self.conv1 = _convolution(in_channels, out_channels, dilation, causal=causal)
        self.norm1 = MaskedBatchNorm1d(out_channels)
        self.conv2 = _convolution(out_channels, out_channels, dilation, causal=causal)
        self.norm2 = MaskedBatchNorm1d(out_channels)
        self.dropout = nn.Dropout(dropout)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = nn.Conv1d(in_channels, out_channels, kernel_size=1)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (batch, in_channels, length) to (batch, out_channels, length)."""
        x = hide_padding(x, mask)
        y = self.dropout(F.relu(self.norm1(self.conv1(x), mask)))
        y = self.dropout(F.relu(self.norm2(self.conv2(hide_padding(y, mask)), mask)))
        return F.relu(y + self.shortcut(x))


class TCN(nn.Module):
    """Temporal blocks of growing dilation, a normalisation, and a head.

    Args:
        in_channels: channels of the input.
        head: makes the head for `width` features.
        width: channels of every block.
        dilations: of each block, in samples.
        dropout: the probability to drop a value after each ReLU inside a block.
        causal: whether convolutions look at no future sample and have weight normalisation; else they are
            plain.
        shortcut_std: standard deviation of the shortcut's initial weights; None leaves PyTorch's own.

    Reference: Bai, Kolter and Koltun 2018, in the form of the DASH authors' code, which adds normalisation.
    """

    def __init__(
        self,
        in_channels: int,
        head: HeadFactory,
        *,
        width: int,
        dilations: Sequence[int],
        dropout: float = 0.0,
        causal: bool = False,
        shortcut_std: float | None = None,
    ) -> None:
        super().__init__()
        channels = (in_channels,) + (width,) * len(dilations)
        self.blocks = nn.Sequential(
            *(
                TemporalBlock(before, after, dilation=dilation, dropout=dropout, causal=causal)
                for (before, after), dilation in zip(pairwise(channels), dilations, strict=True)
            )
        )
        self.norm = MaskedBatchNorm1d(width)
        self.head = head(width)
        shortcut = self.blocks[0].shortcut
        if shortcut_std is not None and isinstance(shortcut, nn.Conv1d):
            nn.init.normal_(shortcut.weight, std=shortcut_std)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map (batch, in_channels, length) to logits, in the shape of the head.

        Args:
            x: the signals.
            lengths: (batch,), how many positions of each are real, the others being padding; None where all are.
        """
        mask = None if lengths is None else real_positions(lengths, x.shape[-1])
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x, mask), mask)  # type: ignore[no-any-return]


def _convolution(in_channels: int, out_channels: int, dilation: int, *, causal: bool) -> nn.Conv1d:
    if causal:
        return WeightNormCausalConv1d(in_channels, out_channels, KERNEL_SIZE, dilation=dilation)
    padding = KERNEL_SIZE // 2 * dilation
    return nn.Conv1d(in_channels, out_channels, KERNEL_SIZE, padding=padding, dilation=dilation)


@register_backbone("tcn", spatial_dims=1, default_width=100, optimiser=Optimiser.MUON)
def _build(spec: DataSpec, *, width: int, dropout: float, official: bool, for_search: bool) -> nn.Module:
    return TCN(
        spec.channels,
        head_for(spec, last_step=official),
        width=width,
        dilations=tcn_dilations(None if official else spec.spatial_shape[0]),
        dropout=dropout,
        causal=official and not for_search,
        shortcut_std=OFFICIAL_SHORTCUT_STD if official else None,
    )
