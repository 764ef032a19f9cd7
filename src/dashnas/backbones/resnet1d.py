"""The 1-D ResNet for signals: nine searchable convolutions in three blocks.

`official` keeps three accidents of the DASH authors' code: the retrained convolutions are causal although the
searched ones are centred; the third block has no shortcut, because its channels do not change; and shortcuts
are added after the last ReLU of a block rather than before it.
"""

import warnings
from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dashnas.backbones.heads import HeadFactory, head_for
from dashnas.backbones.registry import register_backbone
from dashnas.data.spec import DataSpec
from dashnas.ops.causal import CausalConv1d
from dashnas.ops.masked import MaskedBatchNorm1d, hide_padding, real_positions
from dashnas.recipe import Optimiser

KERNEL_SIZES = (8, 5, 3)
"""Of the three convolutions of each block."""


def paper_width(num_classes: int) -> int:
    """The width that the DASH paper gives this network: 4 below 10 classes, 16 below 20, else 64.

    Outside a reproduction this is far too narrow for tasks of few classes: ECG, of 4 classes, gets a network
    of 2,240 parameters.

    Reference: Shen et al. 2022, Appendix A.5.1.
    """
    return int(min(4 ** (num_classes // 10 + 1), 64))


class ConvUnit(nn.Module):
    """Convolution, dropout, normalisation; the block adds the ReLU, as where it stands differs."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, dropout: float, causal: bool) -> None:
        super().__init__()
        self.conv: nn.Conv1d
        if causal:
            self.conv = CausalConv1d(in_channels, out_channels, kernel_size)
        else:
            _take_warning_of_even_kernels()
            self.conv = nn.Conv1d(in_channels, out_channels, kernel_size, padding="same")
        self.dropout = nn.Dropout(dropout)
        self.norm = MaskedBatchNorm1d(out_channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (batch, in_channels, length) to (batch, out_channels, length)."""
        return self.norm(self.dropout(self.conv(hide_padding(x, mask))), mask)  # type: ignore[no-any-return]


class Projection(nn.Sequential):
    """The shortcut where channels change: a 1x1 convolution and normalisation."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.Conv1d(in_channels, out_channels, kernel_size=1), MaskedBatchNorm1d(out_channels))

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (batch, in_channels, length) to (batch, out_channels, length)."""
        conv, norm = self
        return norm(conv(hide_padding(input, mask)), mask)  # type: ignore[no-any-return]


class ResidualBlock1d(nn.Module):
    """Three units and a shortcut around them; the length stays as it is.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output; where they differ, the shortcut is a 1x1 convolution and
            normalisation.
        dropout: the probability to drop a value after each convolution.
        causal: whether convolutions look at no future sample.
        late_shortcut: add the shortcut after the last ReLU, and none at all where channels do not change.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, dropout: float, causal: bool, late_shortcut: bool
    ) -> None:
        super().__init__()
        channels = (in_channels, out_channels, out_channels, out_channels)
        self.units = nn.ModuleList(
            ConvUnit(before, after, kernel_size, dropout=dropout, causal=causal)
            for (before, after), kernel_size in zip(pairwise(channels), KERNEL_SIZES, strict=True)
        )
        self.late_shortcut = late_shortcut
        self.shortcut = Projection(in_channels, out_channels) if in_channels != out_channels else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (batch, in_channels, length) to (batch, out_channels, length)."""
        y = self.units[0](x, mask)
        for unit in self.units[1:]:
            y = unit(F.relu(y), mask)
        if self.late_shortcut:
            return F.relu(y) if self.shortcut is None else F.relu(y) + self.shortcut(x, mask)
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x, mask)))


class ResNet1d(nn.Module):
    """Three residual blocks of width, 2 width and 2 width channels, and a head.

    Args:
        in_channels: channels of the input.
        head: makes the head for 2 * width features.
        width: channels of the first block.
        dropout: the probability to drop a value after each convolution.
        causal: whether convolutions look at no future sample; else they are centred, and those of even kernel
            size look one sample further to the right.
        late_shortcuts: as `late_shortcut` of `ResidualBlock1d`.

    Reference: Wang, Yan and Oates 2017, which adds shortcuts before the last ReLU in all three blocks, here
    without the normalisation on the identity shortcut. The DASH authors' code is `causal` with
    `late_shortcuts`.
    """

    def __init__(
        self,
        in_channels: int,
        head: HeadFactory,
        *,
        width: int,
        dropout: float = 0.0,
        causal: bool = False,
        late_shortcuts: bool = False,
    ) -> None:
        super().__init__()
        channels = (in_channels, width, 2 * width, 2 * width)
        self.blocks = nn.Sequential(
            *(
                ResidualBlock1d(before, after, dropout=dropout, causal=causal, late_shortcut=late_shortcuts)
                for before, after in pairwise(channels)
            )
        )
        self.head = head(channels[-1])

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map (batch, in_channels, length) to logits, in the shape of the head.

        Args:
            x: the signals.
            lengths: (batch,), how many positions of each are real, the others being padding; None where all are.
        """
        mask = None if lengths is None else real_positions(lengths, x.shape[-1])
        for block in self.blocks:
            x = block(x, mask)
        return self.head(x, mask)  # type: ignore[no-any-return]


@cache
def _take_warning_of_even_kernels() -> None:
    """Take the warning that PyTorch gives once per process on "same" padding of an even kernel.

    It is about a copy of the input, which costs nothing worth telling a user here. Padding by hand would need
    another class of convolution, which could not be searched.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tiny = torch.zeros(1, 1, 2, device="cpu")
        F.conv1d(tiny, tiny, padding="same")


@register_backbone("resnet1d", spatial_dims=1, default_width=64, optimiser=Optimiser.MUON)
def _build(spec: DataSpec, *, width: int, dropout: float, official: bool, for_search: bool) -> nn.Module:
    return ResNet1d(
        spec.channels,
        head_for(spec),
        width=width,
        dropout=dropout,
        causal=official and not for_search,
        late_shortcuts=official,
    )
