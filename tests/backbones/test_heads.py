"""Heads: one answer per sample or per position."""

import pytest
import torch

from dashnas.backbones import DenseHead, LastStepHead, PointHead, head_for
from dashnas.data.spec import DataSpec, TargetKind


@pytest.mark.parametrize("shape", [(7,), (5, 3)])
def test_a_point_head_is_linear_in_the_mean_over_positions(shape):
    head = PointHead(4, 3)
    x = torch.randn(2, 4, *shape)
    torch.testing.assert_close(head(x), head.linear(x.mean(dim=tuple(range(2, x.ndim)))))


@pytest.mark.parametrize("shape", [(7,), (5, 3)])
def test_a_dense_head_answers_at_each_position_from_that_position(shape):
    head = DenseHead(4, 3)
    x = torch.randn(2, 4, *shape)
    y = head(x)
    assert y.shape == (2, 3, *shape)
    corner = (..., *(-1 for _ in shape))
    torch.testing.assert_close(y[corner], head.linear(x[corner]))


def test_a_last_step_head_sees_the_last_step():
    head = LastStepHead(4, 3)
    x = torch.randn(2, 4, 7)
    torch.testing.assert_close(head(x), head.linear(x[..., 6]))


@pytest.mark.parametrize("kind", TargetKind)
def test_each_kind_of_target_gets_its_head(kind):
    spec = DataSpec(channels=1, spatial_shape=(8,), target_kind=kind, outputs=3)
    assert type(head_for(spec)(4)) is (DenseHead if kind.is_dense else PointHead)
    assert type(head_for(spec, last_step=True)(4)) is (DenseHead if kind.is_dense else LastStepHead)
    assert head_for(spec)(4)(torch.randn(2, 4, 8)).shape[:2] == (2, 3)
