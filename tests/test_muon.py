"""Muon against its definition and against PyTorch's optimisers."""

import copy

import pytest
import torch
from torch import nn

from dashnas.muon import Muon, orthogonal

SHAPES = [(16, 8), (16, 80), (80, 16), (5, 1), (32, 32)]


def step(optimiser, weights, gradients):
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient.clone()
    optimiser.step()


def draw(*shapes, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1e-20, 1.0, 1e20])
def test_singular_values_are_brought_close_to_one_and_vectors_stay(shape, size):
    matrix, other, _ = draw(shape, shape, (16, 3))
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    found = left.mT @ orthogonal([other, size * matrix, _])[1] @ right.mT
    torch.testing.assert_close(found, torch.diag(found.diagonal()))
    big = values > 0.01 * values.norm()  # smaller ones are not there yet
    assert big.any()
    assert ((found.diagonal()[big] > 0.65) & (found.diagonal()[big] < 1.25)).all()


def test_where_nothing_is_asked_for_nothing_moves():
    assert torch.equal(orthogonal([torch.zeros(3, 4)])[0], torch.zeros(3, 4))


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="PyTorch has its own from 2.9 on")
@pytest.mark.parametrize("shape", [(8, 4, 5), (4, 8, 3, 3), (6, 1, 7)])
def test_convolutions_move_as_by_pytorch_s_own_of_matrices(shape):
    """Whose singular values are computed in bfloat16."""
    start, *gradients = draw(*[shape] * 4, dtype=torch.float32)
    ours, theirs = start.clone().requires_grad_(), start.flatten(1).clone().requires_grad_()
    optimisers = (
        Muon([{"params": [ours]}], lr=0.05, momentum=0.8, weight_decay=0.1),
        torch.optim.Muon([theirs], lr=0.05, momentum=0.8, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    )
    for gradient in gradients:
        step(optimisers[0], [ours], [gradient])
        step(optimisers[1], [theirs], [gradient.flatten(1)])
    moved = (theirs.view(shape) - start).norm()
    assert moved > 0.1
    assert (ours - theirs.view(shape)).norm() < 0.02 * moved


def test_all_other_weights_move_as_by_adamw():
    starts, gradients = draw((4, 3), (5,), ()), [draw((4, 3), (5,), ()), draw((4, 3), (5,), ())]
    ours, theirs = ([start.clone().requires_grad_() for start in starts] for _ in range(2))
    optimisers = (
        Muon([{"params": ours}], lr=0.02, momentum=0.8, weight_decay=0.1),
        torch.optim.AdamW(theirs, lr=0.02, betas=(0.8, 0.999), weight_decay=0.1),
    )
    for now in gradients:
        step(optimisers[0], ours, now)
        step(optimisers[1], theirs, now)
    torch.testing.assert_close(ours, theirs)


def test_the_first_update_of_a_convolution_is_about_as_large_as_that_of_adamw():
    """Liu et al. 2025, Section 2.2; AdamW's is about 0.2 to 0.4 once it has a mean, and 1 at first."""
    weight, gradient = draw((32, 16, 5), (32, 16, 5))
    before = weight.clone()
    step(Muon([{"params": [weight.requires_grad_()]}], lr=1.0, weight_decay=0.0), [weight], [gradient])
    assert 0.13 < (weight.detach() - before).square().mean().sqrt() < 0.25


def test_each_group_has_its_own_rate_and_decay_and_parameters_without_gradients_stay():
    first, second, third = (weight.requires_grad_() for weight in draw((4, 2, 3), (4, 2, 3), (4, 2, 3)))
    before = [weight.detach().clone() for weight in (first, second, third)]
    optimiser = Muon([{"params": [first], "lr": 0.5, "weight_decay": 0.2}, {"params": [second, third]}], lr=0.0)
    step(optimiser, [first, second], [torch.zeros_like(first), torch.ones_like(second)])
    torch.testing.assert_close(first, 0.9 * before[0])
    assert torch.equal(second, before[1])
    assert torch.equal(third, before[2])


def test_a_state_that_was_saved_goes_on_as_if_it_had_not_been():
    weights = [weight.requires_grad_() for weight in draw((4, 2, 3), (4, 2), (4,))]
    gradients = draw((4, 2, 3), (4, 2), (4,))
    optimiser = Muon([{"params": weights}])
    step(optimiser, weights, gradients)
    saved, copies = copy.deepcopy(optimiser.state_dict()), [nn.Parameter(weight.detach().clone()) for weight in weights]
    other = Muon([{"params": copies}], lr=0.9)
    other.load_state_dict(saved)
    step(optimiser, weights, gradients)
    step(other, copies, gradients)
    for weight, again in zip(weights, copies, strict=True):
        assert torch.equal(weight, again)
