"""What is padding is neither seen nor counted; batch normalisation is PyTorch's, on the real positions alone."""

import torch
from torch import nn

from dashnas.ops.masked import MaskedBatchNorm1d, hide_padding, masked_mean, real_positions

LENGTHS = torch.tensor([3, 7, 1])
MASK = real_positions(LENGTHS, 7)


def normalisations(channels: int = 4) -> tuple[MaskedBatchNorm1d, nn.BatchNorm1d]:
    """Ours and PyTorch's, with the same weights and statistics."""
    ours, theirs = MaskedBatchNorm1d(channels).double(), nn.BatchNorm1d(channels).double()
    for values in (ours.weight, ours.bias, ours.running_mean):
        nn.init.normal_(values)
    nn.init.uniform_(ours.running_var, 0.5, 2)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def signals(length: int = 7) -> torch.Tensor:
    return torch.randn(3, 4, length, dtype=torch.float64, requires_grad=True)


def test_the_real_positions_are_the_first_of_each_series():
    assert MASK.shape == (3, 1, 7)
    assert MASK[0, 0].tolist() == [True] * 3 + [False] * 4
    assert MASK.sum(dim=-1)[:, 0].tolist() == LENGTHS.tolist()


def test_hidden_padding_is_zero_whatever_stood_there_and_gets_no_gradient():
    x = signals()
    with torch.no_grad():
        x[0, 0, 3], x[2, 1, 5] = torch.nan, torch.inf
    hidden = hide_padding(x, MASK)
    hidden.sum().backward()
    assert hidden.isfinite().all()
    assert torch.equal(x.grad, MASK.double().expand_as(x))


def test_without_a_mask_nothing_is_hidden():
    x = signals()
    assert hide_padding(x, None) is x


def test_a_masked_mean_is_that_of_each_series_alone():
    x = signals()
    expected = torch.stack([one[:, :length].mean(dim=-1) for one, length in zip(x, LENGTHS, strict=True)])
    torch.testing.assert_close(masked_mean(x, MASK), expected)


def test_masked_normalisation_is_that_of_pytorch_on_the_real_positions_as_one_batch():
    ours, theirs = normalisations()
    x = signals()
    weights = torch.randn(3, 4, 7, dtype=torch.float64)
    rows = x.movedim(1, -1)[MASK[:, 0]]  # (sum of lengths, channels)
    expected = theirs(rows)
    wanted = torch.autograd.grad((expected * weights.movedim(1, -1)[MASK[:, 0]]).sum(), [x, *theirs.parameters()])
    result = ours(x, MASK)
    torch.testing.assert_close(result.movedim(1, -1)[MASK[:, 0]], expected)
    gradients = torch.autograd.grad((hide_padding(result, MASK) * weights).sum(), [x, *ours.parameters()])
    torch.testing.assert_close(gradients, wanted)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())  # running statistics among them


def test_where_nothing_is_masked_normalisation_is_that_of_pytorch():
    ours, theirs = normalisations()
    x = signals()
    torch.testing.assert_close(ours(x, torch.ones_like(MASK)), theirs(x))
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


def test_without_a_mask_and_in_evaluation_normalisation_is_that_of_pytorch_bit_for_bit():
    ours, theirs = normalisations()
    x = signals()
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.eval()(x, MASK), theirs.eval()(x))
    assert all(torch.equal(ours.state_dict()[name], value) for name, value in theirs.state_dict().items())


def test_what_stands_at_padding_changes_neither_statistics_nor_real_positions():
    (one, _), (other, _) = normalisations(), normalisations()
    other.load_state_dict(one.state_dict())
    x = signals().detach()
    changed = torch.where(MASK, x, 1e9)
    assert torch.equal(hide_padding(one(x, MASK), MASK), hide_padding(other(changed, MASK), MASK))
    assert torch.equal(one.running_mean, other.running_mean)
    assert torch.equal(one.running_var, other.running_var)


def test_a_single_real_position_leaves_statistics_finite():
    norm = MaskedBatchNorm1d(4)
    norm(torch.randn(1, 4, 3), real_positions(torch.tensor([1]), 3))
    assert norm.running_var.isfinite().all()
