"""One dense kernel in place of many dilated ones: convolution is linear in its kernel."""

from collections.abc import Sequence

from torch import Tensor


def merge(
    kernels: Sequence[Tensor],
    mixture: Tensor,
    dilations: Sequence[tuple[int, ...]],
    map_shape: tuple[int, ...],
) -> Tensor:
    """Add up dilated kernels, weighted by the mixture and aligned at their centres.

    A tap further from the centre than the map is long only ever meets padding, so it is left out.

    Args:
        kernels: one per candidate, (out_channels, in_channels // groups, *kernel_size), odd sizes.
        mixture: (num_candidates,).
        dilations: of each candidate, per axis, in samples.
        map_shape: spatial shape of the layer's input.

    Returns:
        (out_channels, in_channels // groups, *(2 * reach + 1)) with per axis
        reach = min(max (kernel_size - 1) * dilation / 2, map size - 1).

    Reference: Shen et al. 2022, Section 3.2.1, Equation 3; there zeros are appended at the end, which would
    shift small kernels against large ones, so here they are centred as in the authors' code.
    """
    radii = [tuple(size // 2 for size in kernel.shape[2:]) for kernel in kernels]
    reach = tuple(
        min(max(r[axis] * d[axis] for r, d in zip(radii, dilations, strict=True)), length - 1)
        for axis, length in enumerate(map_shape)
    )
    merged = kernels[0].new_zeros(*kernels[0].shape[:2], *(2 * r + 1 for r in reach))
    for kernel, weight, radius, dilation in zip(kernels, mixture, radii, dilations, strict=True):
        source, target = [slice(None)] * 2, [slice(None)] * 2
        for r, d, limit in zip(radius, dilation, reach, strict=True):
            taps = min(r, limit // d)  # taps on either side of the centre that can meet data
            source.append(slice(r - taps, r + taps + 1))
            target.append(slice(limit - taps * d, limit + taps * d + 1, d))
        merged[tuple(target)] += weight * kernel[tuple(source)]
    return merged
