"""A batch in pieces: its gradient is that of the whole."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dashnas.config import SearchConfig
from dashnas.data import TargetKind
from dashnas.data.parts import Part
from dashnas.errors import RunError
from dashnas.losses import Loss, class_weights, make_loss
from dashnas.microbatch import pieces, set_gradients, share_micro_batch, shared_micro_batch, smaller
from dashnas.search import make_supernet
from dashnas.space import SearchSpace
from tiny import prepared, session

CPU = torch.device("cpu")


@given(st.integers(1, 200), st.integers(2, 70))
def test_pieces_are_the_batch_in_order_and_none_has_a_single_sample(batch, micro_batch):
    cut = pieces(np.arange(batch), micro_batch)
    assert np.concatenate(cut).tolist() == list(range(batch))
    sizes = {len(piece) for piece in cut}
    assert min(sizes) >= min(batch, 2)
    assert max(sizes) <= (3 if micro_batch == 2 and batch % 2 else micro_batch)
    assert max(sizes) - min(sizes) <= 1


def test_a_micro_batch_is_halved_down_to_two():
    halved = [64]
    while (fewer := smaller(halved[-1])) is not None:
        halved.append(fewer)
    assert halved == [64, 32, 16, 8, 4, 2]
    assert [smaller(5), smaller(3), smaller(1)] == [3, 2, None]


class Dense(nn.Module):
    """One linear layer for any kind of target, in float64."""

    def __init__(self, part: Part) -> None:
        super().__init__()
        self.dense = part.spec.target_kind.is_dense
        self.layer = nn.Conv1d(2, part.spec.outputs, 3, padding=1).double()

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer(x.double())
        return out if self.dense else out.mean(dim=2)


def gradients(model: nn.Module, loss: Loss, part: Part, micro_batch: int, samples: int = 24) -> tuple[Tensor, list]:
    """Loss and gradients of a batch."""
    value = set_gradients(model, loss, part, np.arange(samples), CPU, micro_batch=micro_batch, seed=3)
    return value, [parameter.grad.clone() for parameter in model.parameters()]


class Masked(Part):
    """A part with a mask that leaves much of some samples and all of one out."""

    def batch(self, indices, device="cpu", *, seed=None):
        batch = super().batch(indices, device, seed=seed)
        random = np.stack([np.random.default_rng(i).random(16) > 0.1 * (i % 11) for i in indices])
        return batch._replace(mask=torch.from_numpy(random))


CASES = [(kind, weighted, masked) for kind in TargetKind for weighted in (False, True) for masked in (False, True)]
CASES = [c for c in CASES if not (c[1] and c[0].is_regression) and (c[0].is_dense or not c[2])]


@pytest.mark.parametrize(("kind", "weighted", "masked"), CASES)
@pytest.mark.parametrize("micro_batch", [2, 7, 12])
def test_loss_and_gradient_are_those_of_the_whole_batch(kind, weighted, masked, micro_batch):
    data = prepared(kind)
    part = data.train
    if masked:
        part = Masked(part._table, part._rows, part.spec, part.normaliser)
    weights = class_weights((0.2,) + (3.0,) * (part.spec.outputs - 1), part) if weighted else None
    metric = "relative_l2" if kind is TargetKind.DENSE_REGRESSION else "error"
    loss = make_loss(data.spec, data.normaliser, metric_name=metric, weights=weights)
    model = Dense(part)
    expected, whole = gradients(model, loss, part, 24)
    actual, cut = gradients(model, loss, part, micro_batch)
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(cut, whole, rtol=1e-5, atol=1e-9)  # weights and losses of classes are float32


def test_fields_that_are_zero_count_in_no_piece():
    kind = TargetKind.DENSE_REGRESSION
    data = prepared(kind)

    class Zeros(Part):
        def batch(self, indices, device="cpu", *, seed=None):
            batch = super().batch(indices, device, seed=seed)
            zero = self.normaliser.encode_target(torch.zeros_like(batch.y))
            empty = torch.from_numpy(np.asarray(indices) < 13).view(-1, 1, 1)
            return batch._replace(y=torch.where(empty, zero, batch.y), mask=None)

    part = Zeros(data.train._table, data.train._rows, data.spec, data.normaliser)
    loss = make_loss(data.spec, data.normaliser, metric_name="relative_l2")
    model = Dense(part)
    expected, whole = gradients(model, loss, part, 24)
    actual, cut = gradients(model, loss, part, 4)  # three pieces of zeros alone
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(cut, whole)
    assert expected > 0


def test_a_batch_that_is_masked_throughout_has_gradients_of_zero_in_pieces_too():
    data = prepared(TargetKind.DENSE_CLASSES)

    class Nothing(Part):
        def batch(self, indices, device="cpu", *, seed=None):
            batch = super().batch(indices, device, seed=seed)
            return batch._replace(mask=torch.zeros(len(indices), 16, dtype=torch.bool))

    part = Nothing(data.train._table, data.train._rows, data.spec, data.normaliser)
    loss = make_loss(data.spec, data.normaliser, metric_name="error")
    value, grads = gradients(Dense(part), loss, part, 4)
    assert value == 0
    assert not any(grad.any() for grad in grads)


def test_all_pieces_see_the_same_mixture():
    """Its noise is drawn once for each layer and step, whatever the batch is cut into."""
    data = prepared()
    backbone = nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))
    space = SearchSpace(kernel_sizes=(3, 5), dilations=(1, 2))
    supernet, _ = make_supernet(backbone, space, data.train.batch(np.arange(2)).x, SearchConfig())
    loss = make_loss(data.spec, data.normaliser, metric_name="error")
    expected, whole = gradients(supernet, loss, data.train, 24)
    actual, cut = gradients(supernet, loss, data.train, 8)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(cut, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cutout", [0.0, 0.5])
def test_a_network_sees_samples_that_were_cut(cutout):
    part = prepared().train
    seen = []
    model = Dense(part)
    model.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    loss = make_loss(part.spec, part.normaliser, metric_name="error")
    for seed in (3, 3, 4):
        set_gradients(model, loss, part, np.arange(24), CPU, micro_batch=24, seed=seed, cutout=cutout)
    whole = part.batch(np.arange(24)).x
    assert torch.equal(seen[0], whole) == (not cutout)
    assert torch.equal(seen[0][seen[0] != 0], whole[seen[0] != 0])
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2]) == (not cutout)


def test_networks_of_the_same_name_share_a_micro_batch(tmp_path):
    with session(tmp_path) as there:
        assert shared_micro_batch(there.run, "derived", 64) == 64
        share_micro_batch(there.run, "derived", 16)
        share_micro_batch(there.run, "search", 8)
        assert shared_micro_batch(there.run, "derived", 64) == 16
        assert shared_micro_batch(there.run, "backbone", 64) == 64


@pytest.mark.parametrize("damage", ["[16]", '{"derived": "many"}', "{"])
def test_a_damaged_file_is_named(damage, tmp_path):
    with session(tmp_path) as there:
        (tmp_path / "micro_batch.json").write_text(damage)
        with pytest.raises(RunError, match=r"micro_batch\.json is damaged.*delete it"):
            shared_micro_batch(there.run, "derived", 64)
