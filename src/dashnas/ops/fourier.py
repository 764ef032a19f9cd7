"""Fast Fourier transforms, for maps so long that a product with a matrix costs more."""

from functools import lru_cache

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from dashnas.ops.dft import image_kernels, signal_kernels
from dashnas.ops.geometry import Geometry
from dashnas.ops.spectral import Pair, Transform, Transforms


class Fft:
    """The library's transform of maps, zero-padded to a period.

    Args:
        map_shape: spatial shape of a map.
        step: per axis; only positions 0, step, 2 step, ... have values, the others are zero.
        period: per axis.
        dtype: of the values.
        device: of the values.
    """

    def __init__(
        self,
        map_shape: tuple[int, ...],
        step: tuple[int, ...],
        period: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.num_rows, self.row_length = period[0] // 2 + 1, period[1] if len(period) == 2 else 1
        self._period = period
        self._axes = tuple(range(len(period)))[::-1]  # the last one named is the halved one
        self._map_shape = map_shape
        self._places = tuple(slice(0, n, s) for n, s in zip(map_shape, step, strict=True))
        self._shape = tuple(len(range(n)[place]) for n, place in zip(map_shape, self._places, strict=True))
        self._dtype, self._device = dtype, device

    def begin(self, values: Tensor) -> Tensor:
        """The whole spectrum of (positions, columns), complex, (num_rows, row_length, columns)."""
        maps = values.view(*self._shape, -1)
        if self._shape != self._map_shape:
            spread = maps.new_zeros(*self._map_shape, maps.shape[-1])
            spread[self._places] = maps
            maps = spread
        spectrum: Tensor = torch.fft.rfftn(maps, s=self._period[::-1], dim=self._axes)
        return spectrum.view(self.num_rows, self.row_length, -1)

    def analyse(self, begun: Tensor, part: slice) -> Pair:
        """Some rows, (frequencies, columns)."""
        rows = begun[part].flatten(0, 1)
        return Pair(rows.real.contiguous(), rows.imag.contiguous())

    def begin_synthesis(self, columns: int) -> Tensor:
        """Room for the whole spectrum."""
        dtype = torch.complex128 if self._dtype == torch.float64 else torch.complex64
        return torch.empty(self.num_rows, self.row_length, columns, dtype=dtype, device=self._device)

    def synthesise(self, begun: Tensor, spectrum: Pair, part: slice) -> None:
        """Put some rows into their place."""
        rows = begun[part].flatten(0, 1)
        rows.real.copy_(spectrum.real)
        rows.imag.copy_(spectrum.imag)

    def finish(self, begun: Tensor) -> Tensor:
        """(positions, columns)."""
        columns = begun.shape[-1]
        spectrum = begun.view(self.num_rows, *self._period[1:], columns)
        maps: Tensor = torch.fft.irfftn(spectrum, s=self._period[::-1], dim=self._axes)
        return maps[self._places].reshape(-1, columns)


@lru_cache(maxsize=128)
def fft(geometry: Geometry, map_shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Transforms:
    """The transforms of a layer, with a period as in `dashnas.ops.dft.dft` or a little longer."""
    period = tuple(
        next_fast_len(n + reach, real=True) for n, reach in zip(map_shape, geometry.reach(map_shape), strict=True)
    )
    with torch.inference_mode(False):
        kernels: Transform = (
            image_kernels(geometry, map_shape, period, dtype, device)
            if len(map_shape) == 2
            else signal_kernels(geometry, map_shape[0], period[0], dtype, device)
        )
    ones = (1,) * len(map_shape)
    return Transforms(
        Fft(map_shape, ones, period, dtype, device), Fft(map_shape, geometry.stride, period, dtype, device), kernels
    )
