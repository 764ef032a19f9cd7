"""Sharpness-aware minimisation: where the gradient of a step is taken, and that nothing else is touched."""

import weakref
from itertools import count

import pytest
import torch
from torch import nn

from dashnas.sharpness import worst_nearby


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(3 * 6, 1))


def with_gradients(model: nn.Module) -> nn.Module:
    model(torch.randn(5, 2, 8)).square().mean().backward()
    return model


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_the_weights_move_along_their_gradients_by_the_radius():
    model = with_gradients(network())
    before = [parameter.detach().clone() for parameter in model.parameters()]
    norm = torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).norm()
    with worst_nearby(model, 0.3):
        moves = [parameter.detach() - value for parameter, value in zip(model.parameters(), before, strict=True)]
        for move, parameter in zip(moves, model.parameters(), strict=True):
            # A difference of weights of about 1, in single precision.
            torch.testing.assert_close(move, 0.3 * parameter.grad / norm, rtol=0, atol=1e-6)
    assert torch.cat([move.flatten() for move in moves]).norm() == pytest.approx(0.3, rel=1e-5)


def test_afterwards_weights_and_running_statistics_are_to_the_bit_as_before_and_new_gradients_stay():
    model = with_gradients(network())
    before, old = state(model), model[0].weight.grad.clone()
    with worst_nearby(model, 0.3):
        model.zero_grad(set_to_none=True)
        with_gradients(model)
        assert not torch.equal(model[1].running_mean, before["1.running_mean"])
    torch.testing.assert_close(state(model), before, rtol=0, atol=0)
    assert not torch.equal(model[0].weight.grad, old)


def test_the_weights_are_as_before_also_where_it_failed_within():
    model = with_gradients(network())
    before = state(model)
    with pytest.raises(MemoryError), worst_nearby(model, 0.3):
        raise MemoryError
    torch.testing.assert_close(state(model), before, rtol=0, atol=0)


def test_the_weights_are_as_before_also_where_memory_runs_out_in_the_midst_of_the_move(monkeypatch):
    model = with_gradients(network())
    before = state(model)
    calls = count()

    def add(tensor, other):
        if next(calls) == 2:
            raise MemoryError
        return tensor.copy_(tensor + other)

    monkeypatch.setattr(nn.Parameter, "add_", add, raising=False)
    with pytest.raises(MemoryError), worst_nearby(model, 0.3):
        raise AssertionError("it moved")
    torch.testing.assert_close(state(model), before, rtol=0, atol=0)


def test_buffers_that_were_exchanged_are_the_old_ones_again():
    model = with_gradients(network())
    before, mean = state(model), model[1].running_mean
    with worst_nearby(model, 0.3):
        model[1].running_mean = mean + 1
    assert model[1].running_mean is mean
    torch.testing.assert_close(state(model), before, rtol=0, atol=0)


def test_gradients_too_small_for_their_squares_move_next_to_nothing():
    model = with_gradients(network())
    for parameter in model.parameters():
        parameter.grad.fill_(1e-25)
    before = state(model)
    with worst_nearby(model, 0.3):
        torch.testing.assert_close(state(model), before, rtol=0, atol=1e-12)


def test_the_old_gradients_can_be_freed_meanwhile():
    model = with_gradients(network())
    old = weakref.ref(model[0].weight.grad)
    with worst_nearby(model, 0.3):
        model.zero_grad(set_to_none=True)
        assert old() is None


@pytest.mark.parametrize("radius", [0.3, 1e6])
def test_what_has_no_gradient_or_one_of_zero_is_not_moved(radius):
    model = network()
    model[3].requires_grad_(False)
    with_gradients(model)
    for parameter in model[:3].parameters():
        parameter.grad.zero_()
    before = state(model)
    with worst_nearby(model, radius):
        torch.testing.assert_close(state(model), before, rtol=0, atol=0)
