"""The Fourier neural operator for fields: convolutions that learn the lowest frequencies, over the whole map at once.

It has no convolution whose kernel could be searched, so that it is no entry of `BACKBONES`.

Reference: Li et al. 2021, "Fourier Neural Operator for Parametric Partial Differential Equations".
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH = 32
MODES = 12
LAYERS = 4
HIDDEN = 128
"""Features between the two linear layers of the head."""
PADDING = 9
"""Zeros at the far end of both axes, since the transform takes maps to be periodic and they are not."""


def spectral_convolution(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Multiply the lowest frequencies of a map by matrices, and drop all others.

    Args:
        x: shape (batch, in_channels, height, width).
        low: complex, shape (in_channels, out_channels, modes_high, modes_wide); of the frequencies 0 to modes_high - 1
            along the height and 0 to modes_wide - 1 along the width.
        high: the same for -modes_high to -1 along the height.

    Returns:
        Shape (batch, out_channels, height, width).
    """
    modes_high, modes_wide = low.shape[2:]
    spectrum = torch.fft.rfft2(x)  # (batch, in_channels, height, width // 2 + 1)
    result = spectrum.new_zeros(len(x), low.shape[1], *spectrum.shape[2:])
    for rows, weight in ((slice(0, modes_high), low), (slice(-modes_high, None), high)):
        result[:, :, rows, :modes_wide] = torch.einsum(
            "bihw,iohw->bohw", spectrum[:, :, rows, :modes_wide], weight
        )  # fmt: skip
    convolved: Tensor = torch.fft.irfft2(result, s=x.shape[2:])
    return convolved


class SpectralConv2d(nn.Module):
    """`spectral_convolution` with weights of its own, drawn uniformly between 0 and 1 / (in_channels out_channels)."""

    def __init__(self, in_channels: int, out_channels: int, modes: tuple[int, int]) -> None:
        super().__init__()
        scale = 1 / (in_channels * out_channels)
        shape = (in_channels, out_channels, *modes)
        self.low = nn.Parameter(scale * torch.rand(*shape, dtype=torch.cfloat))
        self.high = nn.Parameter(scale * torch.rand(*shape, dtype=torch.cfloat))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, height, width) to out_channels, keeping the sides."""
        return spectral_convolution(x, self.low, self.high)


class FNO2d(nn.Module):
    """Lift, four layers of a spectral and a 1x1 convolution side by side, and a head at each position.

    Args:
        in_channels: channels of the input; two with the coordinates of each position join them.
        outputs: values at each position.
        spatial_shape: sides of the map, which decide how many frequencies there are.
        width: features in between.
        modes: most frequencies along each axis, of each sign.
    """

    def __init__(
        self,
        in_channels: int,
        outputs: int,
        spatial_shape: tuple[int, int],
        *,
        width: int = WIDTH,
        modes: int = MODES,
    ) -> None:
        super().__init__()
        height, wide = (side + PADDING for side in spatial_shape)
        kept = (min(modes, height // 2), min(modes, wide // 2 + 1))
        self.lift = nn.Linear(in_channels + 2, width)
        self.spectral = nn.ModuleList(SpectralConv2d(width, width, kept) for _ in range(LAYERS))
        self.pointwise = nn.ModuleList(nn.Conv2d(width, width, kernel_size=1) for _ in range(LAYERS))
        self.project = nn.Linear(width, HIDDEN)
        self.head = nn.Linear(HIDDEN, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, height, width) to (batch, outputs, height, width)."""
        height, width = x.shape[2:]
        x = torch.cat([x, coordinates(x)], dim=1).movedim(1, -1)
        x = F.pad(self.lift(x).movedim(-1, 1), (0, PADDING, 0, PADDING))
        for layer, (spectral, pointwise) in enumerate(zip(self.spectral, self.pointwise, strict=True)):
            x = spectral(x) + pointwise(x)
            x = F.gelu(x) if layer + 1 < LAYERS else x
        x = x[..., :height, :width].movedim(1, -1)
        return self.head(F.gelu(self.project(x))).movedim(-1, 1)  # type: ignore[no-any-return]


def coordinates(x: Tensor) -> Tensor:
    """The row and the column of each position, from 0 to 1: (batch, 2, height, width)."""
    axes = [torch.linspace(0, 1, side, device=x.device, dtype=x.dtype) for side in x.shape[2:]]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).expand(len(x), -1, -1, -1)
