"""Fast Fourier transforms, for maps so long that a product with a matrix costs more."""

from functools import lru_cache

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from dashnas.ops.dft import smallest_period, transforms_of_kernels
from dashnas.ops.geometry import Geometry
from dashnas.ops.spectral import Transforms


class Fft:
    """The library's transform of maps, zero-padded to a period.

    Args:
        map_shape: spatial shape of a map.
        period: per axis.
        dtype: of the values.
        device: of the values.
    """

    def __init__(
        self, map_shape: tuple[int, ...], period: tuple[int, ...], dtype: torch.dtype, device: torch.device
    ) -> None:
        self.num_rows, self.row_length = period[0] // 2 + 1, period[1] if len(period) == 2 else 1
        self._map_shape, self._period = map_shape, period
        self._axes = tuple(range(len(period)))[::-1]  # the last one named is the halved one
        self._dtype, self._device = dtype, device

    def begin(self, values: Tensor) -> Tensor:
        """The whole spectrum of (columns, positions), complex, (num_rows, row_length, columns)."""
        maps = values.t().contiguous().view(*self._map_shape, -1)
        spectrum: Tensor = torch.fft.rfftn(maps, s=self._period[::-1], dim=self._axes)
        return spectrum.view(self.num_rows, self.row_length, -1)

    def analyse(self, begun: Tensor, part: slice) -> Tensor:
        """Some rows, (frequencies, 2, columns)."""
        return torch.view_as_real(begun[part].flatten(0, 1)).mT.contiguous()

    def begin_synthesis(self, columns: int) -> Tensor:
        """Room for the whole spectrum."""
        dtype = torch.complex128 if self._dtype == torch.float64 else torch.complex64
        return torch.empty(self.num_rows, self.row_length, columns, dtype=dtype, device=self._device)

    def synthesise(self, begun: Tensor, spectrum: Tensor, part: slice) -> None:
        """Put some rows into their place."""
        torch.view_as_real(begun[part].flatten(0, 1)).copy_(spectrum.mT)

    def finish(self, begun: Tensor) -> Tensor:
        """(columns, positions)."""
        columns = begun.shape[-1]
        spectrum = begun.view(self.num_rows, *self._period[1:], columns)
        maps: Tensor = torch.fft.irfftn(spectrum, s=self._period[::-1], dim=self._axes)
        return maps[tuple(map(slice, self._map_shape))].reshape(-1, columns).t().contiguous()


@lru_cache(maxsize=128)
def fft(geometry: Geometry, map_shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Transforms:
    """The transforms of a layer, with a period as in `dashnas.ops.dft.dft` or a little longer."""
    period = tuple(next_fast_len(n, real=True) for n in smallest_period(geometry, map_shape))
    maps = Fft(geometry.output_shape(map_shape), period, dtype, device)
    with torch.inference_mode(False):
        return Transforms(maps, transforms_of_kernels(geometry, map_shape, period, dtype, device))
