"""The ways to compute AggConv; all return the same values and gradients."""

from typing import Protocol

from torch import Tensor

from dashnas.ops.dft import dft
from dashnas.ops.direct import Grouped, MixedWeights
from dashnas.ops.fourier import fft
from dashnas.ops.geometry import Geometry
from dashnas.ops.merged import Merged
from dashnas.ops.mixed_results import mixed_results
from dashnas.ops.spectral import Spectral


class Strategy(Protocol):
    """Computes the mixture of several "same" convolutions with zero padding.

    Args:
        x: (batch, in_channels, *spatial).
        bank: (num_taps, out_channels, in_channels // groups), the kernels as in `Geometry`.
        mixture: (num_candidates,), the weight of each candidate.
        geometry: kernel sizes and dilations of the candidates, stride and groups.

    Returns:
        (batch, out_channels, *ceil(spatial / stride)), in the dtype of x.
    """

    def __call__(self, x: Tensor, bank: Tensor, mixture: Tensor, geometry: Geometry) -> Tensor: ...


STRATEGIES: dict[str, Strategy] = {
    "mixed_results": mixed_results,
    "mixed_weights": Merged("mixed_weights", MixedWeights()),
    "grouped": Merged("grouped", Grouped()),
    "fourier": Merged("fourier", Spectral(fft)),
    "dft": Merged("dft", Spectral(dft)),
}
"""Every strategy by name; a new one is one more line here and its cost in `costs`, and the contract suite tests it."""
