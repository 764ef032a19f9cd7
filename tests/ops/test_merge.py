"""Merging dilated kernels into one."""

import pytest
import torch

from dashnas.ops.geometry import Geometry
from dashnas.ops.merge import Grid, merge, merge_backward

FAR = 1000  # a map so long that every tap can meet data


def bank_of(geometry):
    return torch.randn(geometry.num_taps, 2, 3, dtype=torch.float64)


def merged(kernel_sizes, dilations, map_shape, mixture=None):
    """The merged kernel without gaps, (*taps, out, in), and the kernels that went in, in the same form."""
    geometry = Geometry(tuple(kernel_sizes), tuple(dilations), (1,) * len(map_shape))
    bank = bank_of(geometry)
    mixture = torch.ones(len(kernel_sizes), dtype=torch.float64) if mixture is None else mixture
    grid = Grid(tuple(tuple(range(-reach, reach + 1)) for reach in geometry.reach(map_shape)))
    kernels = [bank[span].unflatten(0, size) for span, size in zip(geometry.spans, geometry.kernel_sizes, strict=True)]
    return merge(bank, mixture, geometry, grid), kernels


def test_a_dense_kernel_alone_stays_as_it_is():
    result, (kernel,) = merged([(5,)], [(1,)], (FAR,))
    torch.testing.assert_close(result, kernel, rtol=0, atol=0)


def test_dilation_puts_zeros_between_the_taps():
    result, (kernel,) = merged([(3,)], [(4,)], (FAR,))
    assert result.shape == (9, 2, 3)
    torch.testing.assert_close(result[::4], kernel, rtol=0, atol=0)
    assert result.count_nonzero() == kernel.numel()


def test_kernels_are_aligned_at_their_centres_and_weighted():
    mixture = torch.tensor([0.25, 0.75], dtype=torch.float64)
    result, (small, large) = merged([(3,), (5,)], [(1,), (2,)], (FAR,), mixture)
    expected = torch.zeros(9, 2, 3, dtype=torch.float64)  # taps at -4 ... 4
    expected[[0, 2, 4, 6, 8]] += 0.75 * large
    expected[[3, 4, 5]] += 0.25 * small
    torch.testing.assert_close(result, expected)


def test_axes_have_kernel_sizes_and_dilations_of_their_own():
    result, (kernel,) = merged([(3, 5)], [(4, 1)], (FAR, FAR))
    assert result.shape == (9, 5, 2, 3)
    torch.testing.assert_close(result[::4], kernel, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("length", "size", "kept_taps"),
    [
        (13, 25, [0, 1, 2, 3, 4]),  # reach 12 = length - 1: the outermost taps just meet data
        (12, 13, [1, 2, 3]),
        (7, 13, [1, 2, 3]),  # reach 6
        (6, 1, [2]),
        (1, 1, [2]),
    ],
)
def test_taps_that_never_meet_data_are_left_out(length, size, kept_taps):
    result, (kernel,) = merged([(5,)], [(6,)], (length,))  # taps at -12, -6, 0, 6, 12
    assert result.shape == (size, 2, 3)
    torch.testing.assert_close(result[result != 0], kernel[kept_taps].flatten(), rtol=0, atol=0)


def test_each_axis_is_cropped_by_its_own_map_size():
    result, (kernel,) = merged([(5, 5)], [(2, 2)], (3, FAR))
    assert result.shape == (5, 9, 2, 3)
    torch.testing.assert_close(result[::2, ::2], kernel[1:4], rtol=0, atol=0)


def test_a_grid_of_offsets_has_a_place_for_every_tap_and_no_others():
    geometry = Geometry(((3,), (5,)), ((1,), (4,)), (1,))
    assert geometry.offsets((FAR,)) == ((-8, -4, -1, 0, 1, 4, 8),)
    assert geometry.offsets((8,)) == ((-4, -1, 0, 1, 4),)
    assert geometry.reach((8,)) == (4,)


def test_a_grid_may_take_the_candidates_of_one_dilation_only():
    geometry = Geometry(((3,), (3,), (5,)), ((1,), (4,), (4,)), (1,))
    bank = bank_of(geometry)
    result = merge(bank, torch.ones(3, dtype=torch.float64), geometry, Grid(((-8, -4, 0, 4, 8),), (4,)))
    expected = bank[6:].clone()
    expected[1:4] += bank[3:6]
    torch.testing.assert_close(result, expected)


def test_backward_gives_the_gradients_that_autograd_gives():
    geometry = Geometry(((3, 3), (5, 3), (3, 5)), ((1, 1), (2, 2), (1, 1)), (1, 1))
    bank, mixture = bank_of(geometry).requires_grad_(), torch.rand(3, dtype=torch.float64, requires_grad=True)
    offsets = geometry.offsets((4, 4))  # cuts the outermost rows of the second kernel
    grids = [Grid(offsets, (1, 1)), Grid(offsets, (2, 2))]
    results = [merge(bank, mixture, geometry, grid) for grid in grids]
    cotangents = [torch.randn_like(result) for result in results]
    expected = torch.autograd.grad(results, (bank, mixture), cotangents)
    actual = merge_backward(cotangents, bank.detach(), mixture.detach(), geometry, grids)
    torch.testing.assert_close(actual, expected)
    assert not expected[0][9:12].any()  # a row of taps that never meets data
