"""Merging dilated kernels into one dense kernel."""

import pytest
import torch

from dashnas.ops.merge import merge

FAR = 1000  # a map so long that every tap can meet data


def merged(kernel_sizes, dilations, map_shape, mixture=None):
    kernels = [torch.randn(2, 3, *size, dtype=torch.float64) for size in kernel_sizes]
    mixture = torch.ones(len(kernels), dtype=torch.float64) if mixture is None else mixture
    return merge(kernels, mixture, dilations, map_shape), kernels


def test_a_dense_kernel_alone_stays_as_it_is():
    result, (kernel,) = merged([(5,)], [(1,)], (FAR,))
    torch.testing.assert_close(result, kernel, rtol=0, atol=0)


def test_dilation_puts_zeros_between_the_taps():
    result, (kernel,) = merged([(3,)], [(4,)], (FAR,))
    assert result.shape == (2, 3, 9)
    torch.testing.assert_close(result[..., ::4], kernel, rtol=0, atol=0)
    assert result.count_nonzero() == kernel.numel()


def test_kernels_are_aligned_at_their_centres_and_weighted():
    mixture = torch.tensor([0.25, 0.75], dtype=torch.float64)
    result, (small, large) = merged([(3,), (5,)], [(1,), (2,)], (FAR,), mixture)
    expected = torch.zeros(2, 3, 9, dtype=torch.float64)  # taps at -4 ... 4
    expected[..., [0, 2, 4, 6, 8]] += 0.75 * large
    expected[..., [3, 4, 5]] += 0.25 * small
    torch.testing.assert_close(result, expected)


def test_axes_have_kernel_sizes_and_dilations_of_their_own():
    result, (kernel,) = merged([(3, 5)], [(4, 1)], (FAR, FAR))
    assert result.shape == (2, 3, 9, 5)
    torch.testing.assert_close(result[:, :, ::4], kernel, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("length", "size", "kept_taps"),
    [
        (13, 25, [0, 1, 2, 3, 4]),  # reach 12 = length - 1: the outermost taps just meet data
        (12, 23, [1, 2, 3]),
        (7, 13, [1, 2, 3]),  # reach 6
        (6, 11, [2]),
        (1, 1, [2]),
    ],
)
def test_taps_that_never_meet_data_are_left_out(length, size, kept_taps):
    result, (kernel,) = merged([(5,)], [(6,)], (length,))  # taps at -12, -6, 0, 6, 12
    assert result.shape == (2, 3, size)
    torch.testing.assert_close(result[result != 0], kernel[..., kept_taps].flatten(), rtol=0, atol=0)


def test_each_axis_is_cropped_by_its_own_map_size():
    result, (kernel,) = merged([(5, 5)], [(2, 2)], (3, FAR))
    assert result.shape == (2, 3, 5, 9)
    torch.testing.assert_close(result[:, :, ::2, ::2], kernel[:, :, 1:4], rtol=0, atol=0)


def test_no_gradient_reaches_a_tap_that_was_left_out():
    kernel = torch.randn(1, 1, 5, requires_grad=True)
    merge([kernel], torch.ones(1), [(6,)], (7,)).sum().backward()
    assert kernel.grad.flatten().tolist() == [0, 1, 1, 1, 0]
