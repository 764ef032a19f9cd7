"""Heads: one answer per sample or per position."""

import math

import pytest
import torch
import torch.nn.functional as F

from dashnas.backbones import DenseHead, GridHead, LastStepHead, PointHead, head_for
from dashnas.backbones.heads import cell_means
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.ops.masked import real_positions


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


@pytest.mark.parametrize(
    ("spatial", "cells"), [((12,), (4,)), ((12,), (5,)), ((3,), (8,)), ((6, 9), (2, 3)), ((5, 4), (4, 4))]
)
def test_a_grid_head_begins_as_the_mean_over_all_positions(spatial, cells):
    """Whether or not the cells divide the positions evenly, and where there are more cells than positions."""
    head = PointHead(4, 3)
    grid, x = GridHead.like(head, cells), torch.randn(2, 4, *spatial)
    torch.testing.assert_close(grid(x), head(x))
    assert grid.linear.weight.shape == (3, 4 * math.prod(cells))


@pytest.mark.parametrize(("spatial", "cells"), [((12,), (4,)), ((6, 9), (2, 3))])
def test_cells_that_divide_the_positions_are_pooled_as_pytorch_does(spatial, cells):
    x = torch.randn(2, 4, *spatial)
    pool = F.adaptive_avg_pool1d if len(cells) == 1 else F.adaptive_avg_pool2d
    torch.testing.assert_close(cell_means(x, cells), pool(x, cells if len(cells) > 1 else cells[0]))


def test_a_position_that_two_cells_share_counts_in_both_by_its_share():
    x = torch.tensor([[[1.0, 2.0, 4.0]]])
    torch.testing.assert_close(cell_means(x, (2,)), torch.tensor([[[(1 + 0.5 * 2) / 1.5, (0.5 * 2 + 4) / 1.5]]]))


def test_a_series_is_cut_by_its_own_length():
    """Batched with a longer one, whatever stands in its padding, as alone."""
    short, long = torch.randn(1, 4, 5), torch.randn(1, 4, 11)
    padded = F.pad(short, (0, 6), value=math.nan)
    mask = real_positions(torch.tensor([5, 11]), 11)
    both = cell_means(torch.cat([padded, long]), (4,), mask)
    torch.testing.assert_close(both, torch.cat([cell_means(short, (4,)), cell_means(long, (4,))]))


def test_a_grid_head_tells_positions_apart_and_its_gradient_is_right():
    grid = GridHead(2, 3, (4,)).double()
    x = torch.randn(2, 2, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(grid, (x,))
    assert not torch.allclose(grid(x), grid(x.flip(-1)))
