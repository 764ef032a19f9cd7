"""Training of one phase: rates, order, steps, what is saved and how it goes on."""

import math
import weakref
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dashnas.config import LearningRateSchedule
from dashnas.data import Batch, TargetKind
from dashnas.errors import NotEnoughMemoryError, RunError, is_out_of_memory
from dashnas.losses import Loss
from dashnas.microbatch import share_micro_batch, shared_micro_batch
from dashnas.progress import Silent
from dashnas.runs import CheckpointClock, read_events
from dashnas.training import DivergedError, Interrupted, Phase, _order, rate_factor, sgd, steps_per_epoch, train
from tiny import prepared, session

STEPS = LearningRateSchedule(shape="steps", milestones=(60, 120, 160), factor=0.2)


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(0, 1), (59, 1), (60, 0.2), (61, 0.2), (119, 0.2), (120, 0.2**2), (159, 0.2**2), (160, 0.2**3), (199, 0.2**3)],
)
def test_the_rate_falls_at_the_milestone_epoch_itself(epoch, factor):
    """Discrepancy 5 of the specification: the paper's reading, one epoch before the authors' code."""
    for share in (0.0, 0.5, 0.99):
        assert rate_factor(STEPS, epoch, share, 200) == pytest.approx(factor)


def test_a_cosine_falls_from_one_to_zero_at_every_step():
    cosine = LearningRateSchedule()
    assert rate_factor(cosine, 0, 0.0, 10) == 1
    assert rate_factor(cosine, 5, 0.0, 10) == pytest.approx(0.5)
    assert rate_factor(cosine, 9, 1.0, 10) == pytest.approx(0)
    optimiser = sgd([{"params": [nn.Parameter(torch.zeros(1))], "lr": 0.1}], 0.9)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=40)
    for step in range(40):
        epoch, share = divmod(step / 4, 1)
        assert 0.1 * rate_factor(cosine, int(epoch), share, 10) == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        reference.step()


@pytest.mark.parametrize(
    ("samples", "batch_size", "steps"), [(64, 16, 4), (65, 16, 4), (66, 16, 5), (3, 16, 1), (1, 16, 1), (17, 16, 1)]
)
def test_a_last_batch_of_one_sample_is_left_out(samples, batch_size, steps):
    assert steps_per_epoch(samples, batch_size) == steps


@pytest.mark.parametrize(("batches", "share", "steps"), [(100, 0.2, 21), (10, 0.99, 10), (5, 0.01, 1), (1, 0.5, 1)])
def test_a_share_of_the_batches_is_rounded_down_plus_one(batches, share, steps):
    assert steps_per_epoch(batches * 8, 8, share) == steps


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_the_optimiser_is_nesterov_s_where_there_is_momentum(momentum):
    optimiser = sgd([{"params": [nn.Parameter(torch.zeros(1))], "lr": 0.1, "weight_decay": 1e-3}], momentum)
    group = optimiser.param_groups[0]
    assert (group["lr"], group["initial_lr"], group["momentum"], group["weight_decay"]) == (0.1, 0.1, momentum, 1e-3)
    assert group["nesterov"] == (momentum > 0)


class Recorder(nn.Module):
    """A linear network that notes what it was shown, and draws a random number in each step."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * 16, 3)
        self.seen: list[Tensor] = []
        self.drawn: list[float] = []
        self.modes: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        self.drawn.append(torch.rand(()).item())
        self.modes.append(self.training)
        return self.linear(x.flatten(1))


@Loss
def cross_entropy(output: Tensor, batch: Batch) -> Tensor:
    return nn.functional.cross_entropy(output, batch.y)


@pytest.fixture(scope="module")
def part():
    return prepared(TargetKind.CLASSES, samples=55).train  # 33 samples: two batches of 16, and one that is left out


def phase(part, model: nn.Module | None = None, **more) -> Phase:
    torch.manual_seed(7)
    model = Recorder() if model is None else model
    optimiser = sgd([{"params": list(model.parameters()), "lr": 0.1}], 0.9)
    settings = {
        "name": "retrain", "optimiser": optimiser, "schedule": LearningRateSchedule(), "part": part,
        "loss": cross_entropy, "epochs": 3, "batch_size": 16, "seed": 1,
    }  # fmt: skip
    return Phase(model=model, **{**settings, **more})


def trained(part, tmp_path, **more) -> Phase:
    made = phase(part, **more)
    with session(tmp_path) as there:
        train(made, there)
    return made


def test_the_order_is_a_fresh_permutation_for_each_seed_and_epoch(part, tmp_path):
    assert len(part) == 33
    everything = part.batch(np.arange(33)).x
    shown = trained(part, tmp_path / "a").model.seen
    assert [len(x) for x in shown] == [16, 16] * 3
    index = {x.numpy().tobytes(): i for i, x in enumerate(everything)}
    epochs = [[index[x.numpy().tobytes()] for batch in shown[2 * e : 2 * e + 2] for x in batch] for e in range(3)]
    assert all(len(set(epoch)) == 32 for epoch in epochs)  # nothing twice
    assert epochs[0] != epochs[1] != epochs[2]
    torch.manual_seed(99)
    np.random.seed(99)
    again = trained(part, tmp_path / "b").model.seen
    assert all(torch.equal(a, b) for a, b in zip(shown, again, strict=True))
    other = trained(part, tmp_path / "c", seed=2).model.seen
    assert not torch.equal(torch.cat(shown), torch.cat(other))


def test_every_epoch_of_a_subsample_draws_from_all_samples(part, tmp_path):
    shown = trained(part, tmp_path, epochs=30, batch_size=4, subsample=0.2).model.seen
    assert [len(x) for x in shown] == [4, 4] * 30  # int(0.2 * 8) + 1 = 2 batches
    assert len({x.numpy().tobytes() for batch in shown for x in batch}) == 33


def test_samples_are_cut_another_way_at_every_step_and_the_same_way_in_every_run(part, tmp_path):
    whole = trained(part, tmp_path / "whole").model.seen
    cut, again = (trained(part, tmp_path / name, cutout=0.9).model.seen for name in ("cut", "again"))
    assert all(torch.equal(a, b) for a, b in zip(cut, again, strict=True))
    assert all(torch.equal(a[a != 0], b[a != 0]) for a, b in zip(cut, whole, strict=True))
    windows = [(a != b).sum().item() for a, b in zip(cut, whole, strict=True)]
    assert len(set(windows)) > 3


class TestSharpnessAware:
    """Foret et al. 2021, Algorithm 1."""

    @pytest.mark.parametrize("micro_batch", [16, 5])
    def test_steps_take_the_gradient_where_the_loss_is_worst_nearby(self, part, tmp_path, micro_batch):
        expected = phase(part)
        model, optimiser = expected.model, expected.optimiser
        for epoch in range(3):
            for step, indices in enumerate(_order(expected, epoch)[:2]):
                batch = part.batch(indices)
                start = [parameter.detach().clone() for parameter in model.parameters()]
                optimiser.zero_grad()
                cross_entropy(model(batch.x), batch).backward()
                norm = torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).norm()
                with torch.no_grad():
                    for parameter in model.parameters():
                        parameter += 0.2 * parameter.grad / norm
                optimiser.zero_grad()
                cross_entropy(model(batch.x), batch).backward()
                with torch.no_grad():
                    for parameter, value in zip(model.parameters(), start, strict=True):
                        parameter.copy_(value)
                optimiser.param_groups[0]["lr"] = 0.1 * rate_factor(expected.schedule, epoch, step / 2, 3)
                optimiser.step()
        with session(tmp_path) as there:
            share_micro_batch(there.run, "network", micro_batch)
            made = phase(part, sam_radius=0.2)
            train(made, there)
        torch.testing.assert_close(state(made), state(expected), rtol=0, atol=1e-6)
        plain = trained(part, tmp_path / "plain").model.linear.weight
        assert (made.model.linear.weight - plain).abs().max() > 1e-3

    def test_the_loss_that_is_told_is_the_one_at_the_weights_themselves(self, part, tmp_path):
        for name, more in {"plain": {}, "sam": {"sam_radius": 0.5}}.items():
            trained(part, tmp_path / name, epochs=1, batch_size=33, **more)
        assert read_events(tmp_path / "sam")[0]["loss"] == read_events(tmp_path / "plain")[0]["loss"]

    def test_a_loss_that_is_infinite_nearby_in_the_last_step_is_a_training_that_diverged(self, part, tmp_path):
        losses = count(1)

        @Loss
        def loss(output: Tensor, batch: Batch) -> Tensor:
            return cross_entropy(output, batch) * (math.inf if next(losses) == 4 else 1)

        with pytest.raises(DivergedError):
            trained(part, tmp_path, epochs=1, loss=loss, sam_radius=0.2)

    def test_noise_is_the_same_at_both_places(self, part, tmp_path):
        drawn = trained(part, tmp_path, sam_radius=0.2).model.drawn
        assert drawn[::2] == drawn[1::2]
        assert len(set(drawn)) == 6

    @pytest.mark.parametrize("from_step", [6, 7])  # losses of the fourth step: at the weights, and nearby
    def test_where_memory_runs_out_at_either_place_the_step_is_repeated_in_pieces(self, part, tmp_path, from_step):
        expected = settled_from(3, 8, part, tmp_path / "a", sam_radius=0.2)
        made = normed(part, sam_radius=0.2, loss=memory_for(8, from_step=from_step))
        with session(tmp_path / "b") as there:
            assert train(made, there).micro_batch == 8
        torch.testing.assert_close(state(made), state(expected), rtol=0, atol=0)


def test_noise_differs_between_steps_and_not_between_runs(part, tmp_path):
    """Whatever the state of the default generator is."""
    drawn = []
    for state in (1, 2):
        made = phase(part)
        torch.manual_seed(state)
        with session(tmp_path / str(state)) as there:
            train(made, there)
        drawn.append(made.model.drawn)
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 6


def test_training_leaves_the_default_generator_as_it_was(part, tmp_path):
    made, state = phase(part), torch.get_rng_state()
    with session(tmp_path) as there:
        train(made, there)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_step_is_that_of_pytorch_s_sgd_with_the_rate_of_the_schedule(part, tmp_path):
    made = trained(part, tmp_path, clip=0.05)
    torch.manual_seed(7)
    reference = Recorder()
    optimiser = torch.optim.SGD(reference.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    everything = part.batch(np.arange(33))
    index = {x.numpy().tobytes(): i for i, x in enumerate(everything.x)}
    for step, x in enumerate(made.model.seen):
        y = everything.y[[index[sample.numpy().tobytes()] for sample in x]]
        optimiser.param_groups[0]["lr"] = 0.1 * 0.5 * (1 + math.cos(math.pi * step / 6))
        optimiser.zero_grad()
        nn.functional.cross_entropy(reference(x), y).backward()
        nn.utils.clip_grad_norm_(reference.parameters(), 0.05)
        optimiser.step()
    torch.testing.assert_close(dict(made.model.named_parameters()), dict(reference.named_parameters()))


def test_gradients_are_shaped_before_they_are_clipped(part, tmp_path):
    """Discrepancy 46 of the specification: what is added to the gradient is clipped with it."""
    norms = []

    def shape() -> None:
        for p in made.model.parameters():
            p.grad.fill_(100.0)

    made = phase(part, shape_gradients=shape, clip=1.0)
    step = made.optimiser.step
    made.optimiser.step = lambda: norms.append(
        torch.cat([p.grad.flatten() for p in made.model.parameters()]).norm().item()
    ) or step()  # fmt: skip
    with session(tmp_path) as there:
        train(made, there)
    assert norms == pytest.approx([1.0] * 6, rel=1e-4)


def test_an_event_tells_phase_epoch_loss_rate_seconds_and_what_was_found(part, tmp_path):
    made = phase(part, epochs=2, after_epoch=lambda epoch: {"score": 0.5 + epoch})
    with session(tmp_path) as there:
        progress = train(made, there)
    first, second = read_events(tmp_path)
    assert set(first) == {"phase", "epoch", "loss", "learning_rate", "micro_batch", "seconds", "score"}
    assert (first["phase"], first["epoch"], first["score"]) == ("retrain", 0, 0.5)
    assert second["learning_rate"] == pytest.approx(0.1 * 0.5 * (1 + math.cos(math.pi * 1.5 / 2)))
    assert first["seconds"] <= second["seconds"] <= progress.seconds + 1e-3  # they are rounded
    assert progress.history == [{"score": 0.5}, {"score": 1.5}]


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples(part, tmp_path):
    losses = iter([1.0, 3.0])

    @Loss
    def loss(output: Tensor, _: Batch) -> Tensor:
        return 0 * output.sum() + next(losses)

    trained(part, tmp_path, epochs=1, loss=loss, batch_size=20)  # 20 samples, then 13
    assert read_events(tmp_path)[0]["loss"] == pytest.approx((20 * 1.0 + 13 * 3.0) / 33)


def test_the_network_trains_in_training_mode_even_after_it_was_evaluated(part, tmp_path):
    made = phase(part, after_epoch=lambda _: made.model.eval() and {})
    with session(tmp_path) as there:
        train(made, there)
    assert all(made.model.modes)


def test_a_phase_may_be_stopped_by_what_it_found(part, tmp_path):
    made = phase(part, after_epoch=lambda epoch: {"stop": epoch == 1})
    with session(tmp_path) as there:
        assert train(made, there).epoch == 2
        assert train(phase(part), there).epoch == 2  # and stays so
    assert [e["epoch"] for e in read_events(tmp_path)] == [0, 1]
    assert "stop" not in read_events(tmp_path)[0]


def test_an_epoch_that_was_not_scored_has_no_score(part, tmp_path):
    trained(part, tmp_path)
    assert [e["score"] for e in read_events(tmp_path)] == [None] * 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_phase(part, tmp_path, value):
    calls = iter(range(100))

    @Loss
    def loss(output: Tensor, batch: Batch) -> Tensor:
        return cross_entropy(output, batch) * (value if next(calls) == 3 else 1)

    with (
        session(tmp_path) as there,
        pytest.raises(DivergedError, match=r"the loss of retrain became (nan|inf) in epoch 2; try a lower"),
    ):
        train(phase(part, loss=loss), there)
    assert [e["epoch"] for e in read_events(tmp_path)] == [0]


def stop_at(step: int) -> Callable[[], bool]:
    calls = iter(range(1, 1000))
    return lambda: next(calls) == step


@pytest.mark.parametrize("step", [1, 2, 3, 6])
def test_a_stop_is_resumed_as_if_it_had_not_been(part, tmp_path, step):
    undisturbed = trained(part, tmp_path / "a")
    with session(tmp_path / "b", stop_requested=stop_at(step)) as there, pytest.raises(Interrupted):
        train(phase(part), there)
    resumed = trained(part, tmp_path / "b")
    assert len(resumed.model.seen) == 6 - step
    for name, weight in undisturbed.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], weight)
    events = [[{**e, "seconds": 0} for e in read_events(tmp_path / name)] for name in "ab"]
    assert events[0] == events[1]


class Death(BaseException):
    """As if the process had been killed."""


@pytest.mark.parametrize("step", range(1, 7))
def test_a_death_is_resumed_from_the_last_checkpoint_as_if_it_had_not_been(part, tmp_path, step, monkeypatch):
    """Checkpoints at every second step: some epochs are told twice on the way, and once in the end."""
    ticks = iter(range(1000))
    monkeypatch.setattr(CheckpointClock, "is_due", lambda self: next(ticks) % 2 == 1)
    undisturbed = trained(part, tmp_path / "a")

    def die_at() -> bool:
        if next(calls) == step:
            raise Death
        return False

    calls = iter(range(1, 1000))
    with session(tmp_path / "b", stop_requested=die_at) as there, pytest.raises(Death):
        train(phase(part), there)
    resumed = trained(part, tmp_path / "b")
    for name, weight in undisturbed.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], weight)
    events = [[{**e, "seconds": 0} for e in read_events(tmp_path / name)] for name in "ab"]
    assert events[0] == events[1]


def test_a_finished_phase_is_not_trained_again(part, tmp_path):
    first = trained(part, tmp_path)
    again = trained(part, tmp_path)
    assert again.model.seen == []
    torch.testing.assert_close(again.model.state_dict(), first.model.state_dict(), rtol=0, atol=0)


class Clock(Silent):
    """Every step takes a second."""

    now = 50.0

    def advance(self) -> None:
        self.now += 1


def test_the_seconds_of_a_resumed_phase_include_those_before(part, tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("dashnas.training.time.monotonic", lambda: clock.now)
    with session(tmp_path, stop_requested=stop_at(3), reporter=clock) as there, pytest.raises(Interrupted):
        train(phase(part), there)
    clock.now += 1000  # between the processes
    with session(tmp_path, reporter=clock) as there:
        assert train(phase(part), there).seconds == 6
    assert [event["seconds"] for event in read_events(tmp_path)] == [2, 4, 6]


class Counter(Silent):
    """Counts what a bar would show."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int, int]] = []
        self.advanced = self.ended = 0

    def begin(self, phase: str, steps: int, done: int) -> None:
        self.begun.append((phase, steps, done))

    def advance(self) -> None:
        self.advanced += 1

    def end(self) -> None:
        self.ended += 1


def test_the_reporter_hears_of_every_step_and_of_those_done_before(part, tmp_path):
    first, second = Counter(), Counter()
    with session(tmp_path, stop_requested=stop_at(3), reporter=first) as there, pytest.raises(Interrupted):
        train(phase(part), there)
    with session(tmp_path, reporter=second) as there:
        train(phase(part), there)
    assert (first.begun, first.advanced, first.ended) == ([("retrain", 6, 0)], 3, 0)
    assert (second.begun, second.advanced, second.ended) == ([("retrain", 6, 3)], 3, 1)


@pytest.mark.parametrize(
    "damage", [{}, {"progress": {"pages": 3}}, {"progress": {}, "model": {"other": torch.ones(1)}}]
)
def test_a_whole_checkpoint_of_something_else_is_refused(damage, part, tmp_path):
    with session(tmp_path) as there:
        there.run.save_checkpoint("retrain", damage)
        with pytest.raises(RunError, match=r"of retrain does not fit .*; delete checkpoints/retrain.pt to repeat"):
            train(phase(part), there)


class Normed(nn.Module):
    """A network whose state a step also changes otherwise than by its gradients, and that draws noise."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(32, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


CPU_MESSAGE = (
    "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
)
CUBLAS_MESSAGE = "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
ERRORS = [
    RuntimeError(CPU_MESSAGE),
    RuntimeError(CUBLAS_MESSAGE),
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
]


def memory_for(samples: int, *, from_step: int = 0, error: Exception = ERRORS[0]) -> Loss:
    """A cross-entropy that runs out of memory on more samples, once it was asked for that many losses of pieces."""
    asked = iter(range(10_000))

    @Loss
    def loss(output: Tensor, batch: Batch) -> Tensor:
        if next(asked) >= from_step and len(output) > samples:
            raise error
        return cross_entropy(output, batch)

    return loss


def normed(part, **more) -> Phase:
    torch.manual_seed(7)
    return phase(part, Normed(), **more)


def state(made: Phase) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in made.model.state_dict().items()}


def settled_from(step: int, micro_batch: int, part, folder, *, before: int = 16, **more) -> Phase:
    """Trained with one micro-batch up to a step, and with a smaller one from there on."""
    with session(folder) as there:
        share_micro_batch(there.run, "network", before)
    with session(folder, stop_requested=stop_at(step)) as there, pytest.raises(Interrupted):
        train(normed(part, **more), there)
    with session(folder) as there:
        share_micro_batch(there.run, "network", micro_batch)
        made = normed(part, **more)
        train(made, there)
    return made


class Messages(Silent):
    """Notes what it is told, and whether a model has gradients by then."""

    def __init__(self, model: nn.Module | None = None) -> None:
        self.told: list[str] = []
        self.gradients: list[bool] = []
        self.parameters = [] if model is None else list(model.parameters())

    def message(self, text: str) -> None:
        self.told.append(text)
        self.gradients.append(any(p.grad is not None for p in self.parameters))


@pytest.mark.parametrize("error", ERRORS, ids=["PyTorch", "cuBLAS", "Python", "GPU"])
def test_where_memory_runs_out_a_step_is_repeated_in_pieces_and_so_are_all_after_it(part, tmp_path, error):
    expected = settled_from(3, 8, part, tmp_path / "a")
    made, listener = normed(part, loss=memory_for(8, from_step=3, error=error)), Messages()
    with session(tmp_path / "b", reporter=listener) as there:
        progress = train(made, there)
    torch.testing.assert_close(state(made), state(expected), rtol=0, atol=0)  # running statistics too
    assert progress.micro_batch == 8
    assert [event["micro_batch"] for event in read_events(tmp_path / "b")] == [16, 8, 8]
    (told,) = listener.told
    assert told == (
        "warning: memory ran out in epoch 2, step 2 of retrain; it goes on with 8 samples at once, "
        "whose gradients add up"
    )


def test_it_is_halved_as_often_as_memory_runs_out(part, tmp_path):
    expected = settled_from(2, 2, part, tmp_path / "a")
    made, listener = normed(part, loss=memory_for(3, from_step=2)), Messages()
    with session(tmp_path / "b", reporter=listener) as there:
        assert train(made, there).micro_batch == 2
    torch.testing.assert_close(state(made), state(expected), rtol=0, atol=0)
    assert [text.split("goes on with ")[1][0] for text in listener.told] == ["8", "4", "2"]


class NoBackward(torch.autograd.Function):
    """Runs out of memory in the backward pass."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        raise RuntimeError(CPU_MESSAGE)


def test_of_a_smaller_last_batch_the_half_is_taken(part, tmp_path):
    made, listener = normed(part, batch_size=20, loss=memory_for(7, from_step=1)), Messages()
    with session(tmp_path, reporter=listener) as there:
        assert train(made, there).micro_batch == 7  # after 20 samples there are 13
    assert len(listener.told) == 1


def test_gradients_and_statistics_of_the_pieces_before_are_dropped(part, tmp_path):
    """The second piece of the third step fails, in its backward pass."""
    calls = iter(range(1000))

    @Loss
    def loss(output: Tensor, batch: Batch) -> Tensor:
        return cross_entropy(NoBackward.apply(output) if next(calls) == 5 else output, batch)

    expected = settled_from(2, 4, part, tmp_path / "a", before=8)
    made = normed(part, loss=loss)
    listener = Messages(made.model)
    with session(tmp_path / "b", reporter=listener) as there:
        share_micro_batch(there.run, "network", 8)
        assert train(made, there).micro_batch == 4
    assert listener.gradients == [False]  # they take memory too, which the checkpoint needs now
    torch.testing.assert_close(state(made), state(expected), rtol=0, atol=0)


@pytest.mark.parametrize("before", [16, 2])
def test_with_as_few_samples_as_may_be_it_is_refused_and_can_be_gone_on_with(part, tmp_path, before):
    with session(tmp_path / "b") as there:
        share_micro_batch(there.run, "network", before)
    made = normed(part, loss=memory_for(1, from_step=3 * 16 // before))
    with (
        session(tmp_path / "b") as there,
        pytest.raises(NotEnoughMemoryError, match=r"epoch 2, step 2 of retrain, even with 2 samples.*smaller --width"),
    ):
        train(made, there)
    expected = settled_from(3, 2, part, tmp_path / "a", before=before)
    resumed = normed(part)
    with session(tmp_path / "b") as there:
        saved = there.run.load_checkpoint("retrain")["progress"]
        train(resumed, there)
    assert (saved["epoch"], saved["step"]) == (1, 1)
    torch.testing.assert_close(state(resumed), state(expected), rtol=0, atol=0)


@pytest.mark.parametrize("step", [4, 5, 6])
def test_a_stop_after_memory_ran_out_is_resumed_with_the_same_pieces(part, tmp_path, step):
    undisturbed = normed(part, loss=memory_for(8, from_step=3))
    with session(tmp_path / "a") as there:
        train(undisturbed, there)
    with session(tmp_path / "b", stop_requested=stop_at(step)) as there, pytest.raises(Interrupted):
        train(normed(part, loss=memory_for(8, from_step=3)), there)
    resumed = normed(part)  # and memory enough
    with session(tmp_path / "b") as there:
        train(resumed, there)
    torch.testing.assert_close(state(resumed), state(undisturbed), rtol=0, atol=0)
    events = [[{**e, "seconds": 0} for e in read_events(tmp_path / name)] for name in "ab"]
    assert events[0] == events[1]


def test_a_death_after_memory_ran_out_is_resumed_from_that_step(part, tmp_path):
    """Without another checkpoint: the one that is written when memory runs out says from where on there are pieces."""

    def die() -> bool:
        if next(calls) == 5:
            raise Death
        return False

    calls = iter(range(1, 1000))
    with session(tmp_path / "b", stop_requested=die) as there, pytest.raises(Death):
        train(normed(part, loss=memory_for(8, from_step=3)), there)
    resumed, expected = normed(part), settled_from(3, 8, part, tmp_path / "a")
    with session(tmp_path / "b") as there:
        train(resumed, there)
    torch.testing.assert_close(state(resumed), state(expected), rtol=0, atol=0)


def test_a_checkpoint_says_its_pieces_too(part, tmp_path):
    """As where a run was killed between the two, or the file of all of them was deleted."""
    with session(tmp_path, stop_requested=stop_at(5)) as there, pytest.raises(Interrupted):
        train(normed(part, loss=memory_for(8, from_step=3)), there)
    (tmp_path / "micro_batch.json").unlink()
    with session(tmp_path) as there:
        assert train(normed(part), there).micro_batch == 8
        assert shared_micro_batch(there.run, "network", 16) == 8


def test_later_phases_of_the_same_network_start_with_what_fitted(part, tmp_path):
    with session(tmp_path) as there:
        train(normed(part, network_name="derived", loss=memory_for(8)), there)
        for name, network, expected in (("tune-1", "derived", 8), ("backbone", "backbone", 16)):
            assert train(normed(part, name=name, network_name=network), there).micro_batch == expected


def test_an_error_of_another_kind_is_not_taken_for_it(part, tmp_path):
    with session(tmp_path) as there, pytest.raises(RuntimeError, match="shapes"):
        train(normed(part, loss=memory_for(8, error=RuntimeError("shapes do not fit"))), there)


def test_nothing_of_a_failed_attempt_is_held_while_it_is_repeated(part, tmp_path):
    """Or the memory would run out again."""
    outputs: list[weakref.ref[Tensor]] = []
    alive: list[bool] = []

    @Loss
    def loss(output: Tensor, batch: Batch) -> Tensor:
        if len(output) > 8:
            outputs.append(weakref.ref(output))
            raise RuntimeError(CPU_MESSAGE)
        alive.append(outputs[0]() is not None)
        return cross_entropy(output, batch)

    with session(tmp_path) as there:
        train(normed(part, loss=loss), there)
    assert not any(alive)


def test_pytorch_s_own_error_is_known_and_others_are_not():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**55, dtype=torch.uint8)
    assert is_out_of_memory(refused.value)
    with pytest.raises(RuntimeError) as other:
        torch.ones(2) @ torch.ones(3)
    assert not is_out_of_memory(other.value)
