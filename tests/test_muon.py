"""Muon against its definition and against PyTorch's optimisers."""

import copy

import pytest
import torch

from dashnas.muon import Muon, make_orthogonal

CONVOLUTIONS = [(8, 4, 5), (4, 8, 3, 3), (6, 1, 7)]


def muon(*weights, lr=0.05, momentum=0.8, weight_decay=0.1):
    return Muon([{"params": list(weights)}], lr=lr, momentum=momentum, weight_decay=weight_decay)


def step(optimiser, weights, gradients):
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient.clone()
    optimiser.step()


def draw(*shapes, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]


def trainable(*weights):
    return [weight.clone().requires_grad_() for weight in weights]


def defined(matrix):
    """Five iterations of Jordan et al. 2024, as written there."""
    near = matrix / matrix.norm()
    for _ in range(5):
        square = near @ near.mT
        near = 3.4445 * near + (-4.7750 * square + 2.0315 * square @ square) @ near
    return near


@pytest.mark.parametrize("shape", [(16, 8), (16, 80), (80, 16), (5, 1), (32, 32)])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e20])
def test_matrices_become_what_the_iterations_make_of_them(shape, size):
    """Also where others have as many rows, and others do not."""
    matrices = draw(shape, shape, (16, 3))
    expected = [defined(matrix) for matrix in matrices]
    make_orthogonal([matrix.mul_(size) for matrix in matrices])
    torch.testing.assert_close(matrices, expected)


@pytest.mark.parametrize("shape", [(16, 80), (80, 16), (32, 32)])
def test_their_singular_values_are_close_to_one_and_their_vectors_stay(shape):
    [matrix] = draw(shape)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    make_orthogonal([matrix])
    found = left.mT @ matrix @ right.mT
    torch.testing.assert_close(found, torch.diag(found.diagonal()))
    far = values > values.norm() / 400
    assert far.sum() > 10
    assert ((found.diagonal()[far] > 0.67) & (found.diagonal()[far] < 1.21)).all()


@pytest.mark.parametrize("size", [0.0, 1e-25, 1e-12])
def test_where_gradients_have_vanished_the_update_does_too(size):
    """Jordan et al. 2024 add 1e-7 to the norm. Squares of the second are 0 in float32."""
    [matrix] = draw((3, 4), dtype=torch.float32)
    make_orthogonal([matrix.mul_(size)])
    assert matrix.norm() <= 0.05


def test_it_is_as_exact_where_matrix_products_are_not():
    """A matrix of rank one, whose other eigenvalues come out below 0 and grow in bfloat16."""
    column, row = draw((64, 1), (1, 200), dtype=torch.float32)
    there, here = column @ row, column @ row
    make_orthogonal([there])
    with torch.autocast("cpu", torch.bfloat16):
        make_orthogonal([here])
    assert torch.equal(here, there)
    assert 0.67 < here.norm() < 1.21


@pytest.mark.parametrize("shape", CONVOLUTIONS)
def test_a_convolution_takes_the_steps_of_the_definition(shape):
    """The decay and the scale are those of Liu et al. 2025, Equation 4; the momentum is Nesterov's."""
    start, *gradients = draw(*[shape] * 4)
    [weight], expected, mean = trainable(start), start.flatten(1), 0.0
    optimiser = muon(weight)
    for gradient in gradients:
        step(optimiser, [weight], [gradient])
        mean = 0.8 * mean + 0.2 * gradient.flatten(1)
        update = defined(0.2 * gradient.flatten(1) + 0.8 * mean)
        expected = (1 - 0.05 * 0.1) * expected - 0.05 * 0.2 * max(expected.shape) ** 0.5 * update
    torch.testing.assert_close(weight.detach().flatten(1), expected)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="PyTorch has its own from 2.9 on")
@pytest.mark.parametrize("shape", CONVOLUTIONS)
def test_convolutions_move_as_by_pytorch_s_own_of_matrices(shape):
    """Which computes in bfloat16."""
    start, *gradients = draw(*[shape] * 4, dtype=torch.float32)
    [ours], [theirs] = trainable(start), trainable(start.flatten(1))
    own = torch.optim.Muon([theirs], lr=0.05, momentum=0.8, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    optimiser = muon(ours)
    for gradient in gradients:
        step(optimiser, [ours], [gradient])
        step(own, [theirs], [gradient.flatten(1)])
    moved = (theirs.view(shape) - start).norm()
    assert moved > 0.1
    assert (ours - theirs.view(shape)).norm() < 0.02 * moved


def test_all_other_weights_move_as_by_adamw():
    shapes = (4, 3), (5,), ()
    starts, gradients = draw(*shapes), [draw(*shapes), draw(*shapes)]
    ours, theirs = trainable(*starts), trainable(*starts)
    optimiser, adamw = muon(*ours), torch.optim.AdamW(theirs, lr=0.05, betas=(0.8, 0.999), weight_decay=0.1)
    for now in gradients:
        step(optimiser, ours, now)
        step(adamw, theirs, now)
    torch.testing.assert_close(ours, theirs)


def test_the_steps_of_adamw_are_counted_in_float32():
    """Of bfloat16 there would be no more than 256."""
    [weight] = trainable(*draw((4, 3), dtype=torch.bfloat16))
    optimiser = muon(weight)
    step(optimiser, [weight], draw((4, 3), dtype=torch.bfloat16))
    assert optimiser.state[weight]["step"].dtype == torch.float32


def test_the_layout_of_a_weight_in_memory_makes_no_difference():
    start, gradient = draw((4, 6, 3, 3), (4, 6, 3, 3))
    [plain], [last] = trainable(start), trainable(start.to(memory_format=torch.channels_last))
    step(muon(plain), [plain], [gradient])
    step(muon(last), [last], [gradient.to(memory_format=torch.channels_last)])
    torch.testing.assert_close(last, plain)


def test_each_group_has_its_own_rate_and_decay_and_parameters_without_gradients_stay():
    before = draw((4, 2, 3), (6, 2, 3), (4, 2, 3))
    first, second, third = trainable(*before)
    groups = [{"params": [first], "lr": 0.5, "weight_decay": 0.2}, {"params": [second, third]}]
    optimiser = Muon(groups, lr=0.0, momentum=0.9, weight_decay=0.1)
    step(optimiser, [first, second], [torch.zeros_like(first), torch.ones_like(second)])
    torch.testing.assert_close(first.detach(), 0.9 * before[0])
    assert torch.equal(second, before[1])
    assert torch.equal(third, before[2])


def test_a_state_that_was_saved_goes_on_as_if_it_had_not_been():
    shapes = (4, 2, 3), (4, 2), (4,)
    weights, gradients = trainable(*draw(*shapes)), draw(*shapes)
    optimiser = muon(*weights)
    step(optimiser, weights, gradients)
    saved, copies = copy.deepcopy(optimiser.state_dict()), trainable(*(weight.detach() for weight in weights))
    other = muon(*copies, lr=0.9)
    other.load_state_dict(saved)
    for each in (optimiser, other):
        step(each, weights if each is optimiser else copies, gradients)
    for weight, again in zip(weights, copies, strict=True):
        assert torch.equal(weight, again)


def test_a_layer_that_has_died_does_not_move():
    """Whatever the mean of its earlier gradients is, which goes on when it lives again."""
    start, gradient = draw((4, 2, 3), (4, 2, 3))
    [weight] = trainable(start)
    optimiser = muon(weight, weight_decay=0.0)
    step(optimiser, [weight], [gradient])
    moved = weight.detach().clone()
    step(optimiser, [weight], [torch.zeros_like(gradient)])
    assert torch.equal(weight, moved)
    step(optimiser, [weight], [gradient])
    assert not torch.equal(weight, moved)
