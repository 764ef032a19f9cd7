"""What the benchmarks compute beside the library."""

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

# Behind the standard library, which has a module `operator` too.
sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

from figures import WAYS, merged


@pytest.mark.parametrize("dilate", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("dilation", [1, 2, 7])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_a_convolution_with_a_dilated_kernel_is_a_dilated_convolution(kernel_size, dilation, dilate):
    x = torch.randn(2, 4, 40, dtype=torch.float64)
    kernel = torch.randn(3, 4, kernel_size, dtype=torch.float64)
    expected = F.conv1d(x, kernel, dilation=dilation)
    torch.testing.assert_close(F.conv1d(x, dilate(kernel, dilation)), expected)


def test_both_ways_to_dilate_merge_to_the_same_kernel_with_the_same_gradients():
    kernels = [torch.randn(3, 2, size, dtype=torch.float64, requires_grad=True) for size in (3, 3, 5)]
    mixture = torch.rand(3, dtype=torch.float64, requires_grad=True)
    results = [merged(kernels, (1, 4, 2), mixture, dilate) for dilate in WAYS.values()]
    assert results[0].shape == (3, 2, 9)
    torch.testing.assert_close(*results)
    cotangent = torch.randn_like(results[0])
    torch.testing.assert_close(*(torch.autograd.grad(result, (*kernels, mixture), cotangent) for result in results))


def test_a_merged_kernel_is_aligned_at_the_centres():
    kernels = [torch.ones(1, 1, 3), torch.ones(1, 1, 5)]
    result = merged(kernels, (3, 1), torch.tensor([1.0, 10.0]), WAYS["kronecker"])
    assert result.flatten().tolist() == [1, 10, 10, 11, 10, 10, 1]
