"""Sharpness-aware minimisation: where the gradient of a step is taken, and that nothing else is touched."""

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


def test_what_has_no_gradient_or_one_of_zero_is_not_moved():
    model = network()
    model[3].requires_grad_(False)
    with_gradients(model)
    for parameter in model[:3].parameters():
        parameter.grad.zero_()
    before = state(model)
    with worst_nearby(model, 0.3):
        torch.testing.assert_close(state(model), before, rtol=0, atol=0)
