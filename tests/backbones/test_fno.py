"""The Fourier neural operator: its spectral convolution by its definition, its size, its shapes."""

import cmath

import pytest
import torch
import torch.nn.functional as F

from dashnas.backbones.fno import FNO2d, SpectralConv2d, coordinates, spectral_convolution


def by_definition(x, low, high):
    """Sums over the frequencies that are kept, each computed from the sum that defines it."""
    batch, _, height, width = x.shape
    modes_high, modes_wide = low.shape[2:]
    result = torch.zeros(batch, low.shape[1], height, width, dtype=torch.float64)
    rows = torch.arange(height, dtype=torch.float64)[:, None]
    columns = torch.arange(width, dtype=torch.float64)
    for weight, first in ((low, 0), (high, -modes_high)):
        for i in range(modes_high):
            for j in range(modes_wide):
                wave = torch.exp(2j * cmath.pi * ((first + i) * rows / height + j * columns / width))
                coefficient = torch.einsum("bihw,hw->bi", x.to(wave.dtype), wave.conj()) / (height * width)
                mixed = torch.einsum("bi,io->bo", coefficient, weight[:, :, i, j])
                share = 1 if j == 0 or 2 * j == width else 2  # a wave and its conjugate
                result += share * torch.einsum("bo,hw->bohw", mixed, wave).real
    return result


@pytest.mark.parametrize(("shape", "modes"), [((8, 9), (3, 4)), ((7, 8), (2, 5)), ((6, 6), (3, 4))])
def test_a_spectral_convolution_is_the_sum_over_its_frequencies(shape, modes):
    x = torch.randn(2, 3, *shape, dtype=torch.float64)
    low, high = (torch.randn(3, 4, *modes, dtype=torch.cdouble) for _ in range(2))
    torch.testing.assert_close(spectral_convolution(x, low, high), by_definition(x, low, high))


def test_its_gradients_are_those_of_the_sum():
    x = torch.randn(1, 2, 6, 7, dtype=torch.float64, requires_grad=True)
    low, high = (torch.randn(2, 2, 2, 3, dtype=torch.cdouble, requires_grad=True) for _ in range(2))
    pull = torch.randn(1, 2, 6, 7, dtype=torch.float64)
    ours = torch.autograd.grad((spectral_convolution(x, low, high) * pull).sum(), (x, low, high))
    theirs = torch.autograd.grad((by_definition(x, low, high) * pull).sum(), (x, low, high))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_it_has_the_published_number_of_parameters():
    """1,188,353 with a complex number counted once (specs: FNO-2D on Darcy flow at 85x85)."""
    network = FNO2d(1, 1, (85, 85))
    assert sum(p.numel() for p in network.parameters()) == 1_188_353


@pytest.mark.parametrize("shape", [(6, 6), (5, 16), (85, 85)])
def test_every_position_gets_its_outputs_on_maps_of_any_size(shape):
    assert FNO2d(2, 3, shape, width=4)(torch.randn(2, 2, *shape)).shape == (2, 3, *shape)


def test_the_coordinates_run_from_0_to_1_along_each_axis():
    rows, columns = coordinates(torch.zeros(2, 1, 3, 5))[1]
    torch.testing.assert_close(rows[:, 4], torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(columns[2], torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))


def test_its_weights_lie_between_0_and_1_over_the_number_of_pairs_of_channels():
    layer = SpectralConv2d(4, 5, (3, 3))
    parts = torch.view_as_real(torch.stack([layer.low, layer.high]))
    assert 0 <= parts.min() < 0.005
    assert 0.045 < parts.max() <= 1 / 20


def test_layers_are_added_to_1x1_convolutions_with_a_gelu_between_them_but_none_after_the_last():
    network, x = FNO2d(1, 2, (6, 5), width=3, modes=2), torch.randn(2, 1, 6, 5)
    y = network.lift(torch.cat([x, coordinates(x)], dim=1).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    y = F.pad(y, (0, 9, 0, 9))
    first, second, third, last = zip(network.spectral, network.pointwise, strict=True)
    for spectral, pointwise in (first, second, third):
        y = F.gelu(spectral_convolution(y, spectral.low, spectral.high) + pointwise(y))
    y = (spectral_convolution(y, last[0].low, last[0].high) + last[1](y))[:, :, :6, :5].permute(0, 2, 3, 1)
    y = network.head(F.gelu(network.project(y))).permute(0, 3, 1, 2)
    torch.testing.assert_close(network(x), y)
