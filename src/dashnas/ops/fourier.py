"""AggConv as a product in the Fourier basis, so that its cost does not grow with the kernels."""

from collections.abc import Sequence

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from dashnas.ops.merge import merge_periodic, merged_reach


def fourier(
    x: Tensor,
    kernels: Sequence[Tensor],
    mixture: Tensor,
    dilations: Sequence[tuple[int, ...]],
    *,
    stride: tuple[int, ...],
    groups: int,
) -> Tensor:
    """Merge the dilated kernels, multiply the transforms of kernel and input, transform back.

    Transforms are computed in float32 at least, also under autocast. Shapes as in
    `dashnas.ops.strategies.Strategy`.

    Reference: Shen et al. 2022, Section 3.2.2, Equation 4.
    """
    # Autocast leaves float64 alone, for convolutions too.
    casts = torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64
    result_dtype = torch.get_autocast_dtype(x.device.type) if casts else x.dtype
    with torch.autocast(x.device.type, enabled=False):
        dtype = torch.promote_types(torch.float32, x.dtype)
        result = _correlate(x.to(dtype), [k.to(dtype) for k in kernels], mixture.to(dtype), dilations, groups)
    kept = (slice(None), slice(None), *(slice(None, None, step) for step in stride))
    return result[kept].to(result_dtype)


def _correlate(
    x: Tensor, kernels: Sequence[Tensor], mixture: Tensor, dilations: Sequence[tuple[int, ...]], groups: int
) -> Tensor:
    """Cross-correlate with the merged kernel by the convolution theorem.

    A circular correlation of period n + reach equals the zero-padded one on its first n outputs: what wraps
    around comes from the `reach` zeros behind the data.
    """
    batch, _, *spatial = x.shape
    map_shape = tuple(spatial)
    reach = merged_reach(kernels, dilations, map_shape)
    period = tuple(next_fast_len(n + r, real=True) for n, r in zip(spatial, reach, strict=True))
    axes = tuple(range(2, x.dim()))
    kernel = merge_periodic(kernels, mixture, dilations, map_shape, period)
    input_spectrum = torch.fft.rfftn(x, s=period, dim=axes)
    kernel_spectrum = torch.fft.rfftn(kernel, dim=axes).conj()
    product = _contract(input_spectrum.flatten(2), kernel_spectrum.flatten(2), groups)
    spectrum = product.reshape(batch, -1, *input_spectrum.shape[2:])
    result: Tensor = torch.fft.irfftn(spectrum, s=period, dim=axes)
    return result[(slice(None), slice(None), *(slice(n) for n in spatial))]


def _contract(x: Tensor, kernel: Tensor, groups: int) -> Tensor:
    """Multiply spectra and sum over the channels of each group, as one matrix product per frequency.

    Args:
        x: (batch, in_channels, frequency).
        kernel: (out_channels, in_channels // groups, frequency).
        groups: as in `torch.nn.functional.conv1d`.

    Returns:
        (batch, out_channels, frequency).
    """
    batch, _, frequencies = x.shape
    grouped_x = x.reshape(batch, groups, -1, frequencies).permute(3, 1, 0, 2)
    grouped_kernel = kernel.reshape(groups, -1, *kernel.shape[1:]).permute(3, 0, 2, 1)
    product = grouped_x @ grouped_kernel  # (frequency, groups, batch, out_channels // groups)
    return product.permute(2, 1, 3, 0).reshape(batch, -1, frequencies)
