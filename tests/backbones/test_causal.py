"""Causal convolutions: the numbers of the authors' pad-and-cut, and no look ahead."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dashnas.errors import ConfigError
from dashnas.ops.causal import CausalConv1d, WeightNormCausalConv1d

BOTH = pytest.mark.parametrize("conv_type", [CausalConv1d, WeightNormCausalConv1d])


@BOTH
@pytest.mark.parametrize("dilation", [1, 3, 15])
@pytest.mark.parametrize("kernel_size", [1, 2, 7, 8])
def test_equals_padding_both_sides_and_cutting_off_the_end(conv_type, kernel_size, dilation):
    conv = conv_type(4, 6, kernel_size, dilation=dilation, groups=2).double()
    if conv_type is WeightNormCausalConv1d:
        conv.scale.data = torch.linalg.vector_norm(conv.weight.detach())  # so that the kernel is the weight
    x = torch.randn(2, 4, 40, dtype=torch.float64)  # (batch, in_channels, length)
    reach = (kernel_size - 1) * dilation
    expected = F.conv1d(x, conv.weight, conv.bias, padding=reach, dilation=dilation, groups=2)[..., :40]
    torch.testing.assert_close(conv(x), expected)


@BOTH
def test_a_later_sample_changes_no_earlier_output(conv_type):
    conv = conv_type(2, 3, 5, dilation=2)
    x = torch.randn(1, 2, 30)
    changed = x.clone()
    changed[..., 17:] += 1
    torch.testing.assert_close(conv(changed)[..., :17], conv(x)[..., :17], rtol=0, atol=0)
    assert not torch.equal(conv(changed)[..., 17], conv(x)[..., 17])


@BOTH
def test_takes_tuples_of_one_and_goes_without_bias(conv_type):
    conv = conv_type(2, 3, (5,), dilation=(2,), bias=False)
    assert conv.bias is None
    assert conv(torch.randn(1, 2, 4)).shape == (1, 3, 4)


@pytest.mark.parametrize("scale", [None, 0.3])
def test_weight_normalisation_is_that_of_pytorch_over_the_whole_tensor(scale):
    conv = WeightNormCausalConv1d(2, 3, 5, dilation=2).double()
    if scale is not None:
        nn.init.constant_(conv.scale, scale)
    plain = CausalConv1d(2, 3, 5, dilation=2).double()
    plain.load_state_dict({name: value for name, value in conv.state_dict().items() if name != "scale"})
    expected = nn.utils.parametrizations.weight_norm(plain, dim=None)
    parametrisation = expected.parametrizations.weight
    with torch.no_grad():
        parametrisation.original0.copy_(conv.scale)

    x = torch.randn(2, 2, 20, dtype=torch.float64)
    torch.testing.assert_close(conv(x), expected(x))
    conv(x).square().sum().backward()
    expected(x).square().sum().backward()
    torch.testing.assert_close(conv.scale.grad, parametrisation.original0.grad)
    torch.testing.assert_close(conv.weight.grad, parametrisation.original1.grad)


def test_weight_normalisation_survives_a_copy():
    conv = WeightNormCausalConv1d(2, 3, 5)
    x = torch.randn(1, 2, 9)
    torch.testing.assert_close(copy.deepcopy(conv)(x), conv(x), rtol=0, atol=0)


@pytest.mark.parametrize("values", [{"kernel_size": 0}, {"kernel_size": (-3,)}, {"dilation": 0}, {"dilation": (0,)}])
def test_refuses_kernel_sizes_and_dilations_below_one(values):
    (name,) = values
    with pytest.raises(ConfigError, match=f"{name} of a causal convolution must be at least 1, got"):
        CausalConv1d(2, 3, **{"kernel_size": 3, **values})
