"""One phase of training, as it runs in search, tuning and retraining alike: steps, checkpoints, events.

Every step is a function of the state before it and of (seed, epoch, step) alone: order of the samples, dropout,
cutout and noise are drawn from seeds derived from these. So a run that is killed and resumed takes the same steps as
one that is not, and a checkpoint needs no state of any generator.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dashnas.config import LearningRateSchedule
from dashnas.data.parts import Part
from dashnas.errors import ConfigError, DashnasError, NotEnoughMemoryError, RunError, is_out_of_memory
from dashnas.interrupt import graceful_interrupt
from dashnas.large_kernels import by_fourier
from dashnas.losses import Loss
from dashnas.microbatch import set_gradients, share_micro_batch, shared_micro_batch, smaller
from dashnas.muon import SECOND_MOMENT, Muon
from dashnas.precision import Precision, matrix_products
from dashnas.progress import Reporter
from dashnas.runs import CheckpointClock, Run
from dashnas.seeding import derive_seed, isolated_rng
from dashnas.sharpness import worst_nearby


class Interrupted(KeyboardInterrupt):
    """The user asked to stop; the step was finished and its state saved."""


class DivergedError(DashnasError, ArithmeticError):
    """The training loss is no longer a finite number."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """Where a phase runs and whom it tells."""

    run: Run
    reporter: Reporter
    device: torch.device
    stop_requested: Callable[[], bool] = lambda: False
    """Asked after each step, as Ctrl-C is."""


@dataclass(kw_only=True)
class Phase:
    """What one phase trains, and how."""

    name: str
    model: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: LearningRateSchedule
    part: Part
    loss: Loss
    epochs: int
    batch_size: int
    seed: int
    network_name: str = "network"
    """Phases that train networks of the same name share their micro-batch."""
    until: int | None = None
    """Epochs after which it pauses, to be trained further by another call; None is to its end."""
    subsample: float = 1.0
    """Share of the batches that each epoch visits."""
    large_kernels: tuple[str, ...] = ()
    """Convolutions of the model that Fourier transforms compute on a CPU."""
    precision: Precision = Precision.FLOAT32
    """Of the steps."""
    clip: float | None = None
    """Largest norm of all gradients together."""
    cutout: float = 0.0
    """Largest share of each axis that is blanked out of a sample."""
    sam_radius: float = 0.0
    """How far from the weights the gradient of a step is taken, 0 being at the weights; see `dashnas.sharpness`."""
    shape_gradients: Callable[[], None] | None = None
    """Called between the backward pass and the clipping."""
    after_epoch: Callable[[int], dict[str, Any]] | None = None
    """Called after each epoch with its index; what it returns joins the epoch's event. {"stop": True} ends the
    phase."""


@dataclass
class Progress:
    """How far a phase is; saved with its checkpoint."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    samples: int = 0
    micro_batch: int = 0
    """Most samples that are computed at once; 0 before the phase has begun."""
    finished: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)
    """What `after_epoch` returned, by epoch."""


def train(phase: Phase, session: Session) -> Progress:
    """Train to the end of the phase, or until it shall pause, from its last checkpoint if there is one.

    Raises:
        Interrupted: a stop was requested; the state is saved.
        DivergedError: the loss of an epoch is not finite.
        NotEnoughMemoryError: memory ran out with as few samples at once as there may be.
    """
    model, device = phase.model.to(session.device), session.device
    progress = _resume(phase, session)
    clock = CheckpointClock()
    steps = steps_per_epoch(len(phase.part), phase.batch_size, phase.subsample)
    session.reporter.begin(phase.name, phase.epochs * steps, progress.epoch * steps + progress.step)
    started = time.monotonic() - progress.seconds

    def save() -> None:
        progress.loss_sum = loss_sum.item()
        _save(phase, session, progress, started)

    with isolated_rng(device), graceful_interrupt() as interrupted:
        until = phase.epochs if phase.until is None else min(phase.until, phase.epochs)
        while progress.epoch < until and not progress.finished:
            model.train()
            order = _order(phase, progress.epoch)
            # Sums stay on the device, so that a step does not wait for the one before.
            loss_sum = torch.tensor(progress.loss_sum, dtype=torch.float64, device=device)
            for step in range(progress.step, steps):
                set_rates(phase, progress.epoch, step / steps)
                loss = _step(phase, session, progress, order[step], save)
                loss_sum += loss.double() * len(order[step])
                progress.samples += len(order[step])
                progress.step = step + 1
                session.reporter.advance()
                stop = interrupted() or session.stop_requested()
                if stop or clock.is_due():
                    save()
                if stop:
                    raise Interrupted
            _finish_epoch(phase, session, progress, loss_sum.item() / progress.samples, time.monotonic() - started)
    progress.finished = progress.finished or progress.epoch == phase.epochs
    _save(phase, session, progress, started)
    session.reporter.end()
    return progress


def take_step(
    phase: Phase, indices: np.ndarray, device: torch.device, *, micro_batch: int | None = None, seed: int = 0
) -> Tensor:
    """One step of gradient descent on the samples at `indices`; the loss before it, a scalar on the device."""
    loss = compute_gradients(phase, indices, device, micro_batch=micro_batch or len(indices), seed=seed)
    _descend(phase)
    return loss


def compute_gradients(
    phase: Phase, indices: np.ndarray, device: torch.device, *, micro_batch: int, seed: int
) -> Tensor:
    """The part of a step that needs the memory; it changes gradients and running statistics alone."""
    # On a GPU they were not measured against cuDNN.
    by_transforms = phase.large_kernels if device.type == "cpu" else ()
    gradients = partial(
        set_gradients, phase.model, phase.loss, phase.part, indices, device,
        micro_batch=micro_batch, seed=seed, precision=phase.precision, cutout=phase.cutout,
    )  # fmt: skip
    with by_fourier(phase.model, by_transforms), matrix_products(phase.precision, device):
        loss = gradients()
        if phase.sam_radius:
            with worst_nearby(phase.model, phase.sam_radius):
                nearby = gradients()
            # Told as that of the step, so that it counts as diverged.
            loss = torch.where(nearby.isfinite(), loss, nearby)
        return loss


def _step(phase: Phase, session: Session, progress: Progress, indices: np.ndarray, save: Callable[[], None]) -> Tensor:
    """One step, repeated with half the samples at once for as long as memory runs out."""
    buffers = list(phase.model.buffers())
    seed = derive_seed(phase.seed, progress.epoch, progress.step)
    while True:
        before = [buffer.clone() for buffer in buffers]
        try:
            loss = compute_gradients(phase, indices, session.device, micro_batch=progress.micro_batch, seed=seed)
            break
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside of the handler, where the error no longer holds what the failed attempt had computed.
        phase.model.zero_grad(set_to_none=True)
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)
        if session.device.type == "cuda":
            torch.cuda.empty_cache()
        _halve(phase, session, progress, len(indices), save)
    _descend(phase)
    return loss


def _halve(phase: Phase, session: Session, progress: Progress, batch_size: int, save: Callable[[], None]) -> None:
    where = f"memory ran out in epoch {progress.epoch + 1}, step {progress.step + 1} of {phase.name}"
    fewer = smaller(min(progress.micro_batch, batch_size))
    progress.micro_batch = fewer or progress.micro_batch
    save()
    if fewer is None:
        raise NotEnoughMemoryError(
            f"{where}, even with {progress.micro_batch} samples at once; a smaller --width or fewer --kernel-sizes "
            "need less, or end what else takes memory and give the same command again"
        )
    share_micro_batch(session.run, phase.network_name, fewer)
    session.reporter.message(f"warning: {where}; it goes on with {fewer} samples at once, whose gradients add up")


def _descend(phase: Phase) -> None:
    if phase.shape_gradients is not None:
        phase.shape_gradients()
    if phase.clip is not None:
        torch.nn.utils.clip_grad_norm_(phase.model.parameters(), phase.clip)
    phase.optimiser.step()


def set_rates(phase: Phase, epoch: int, share_of_epoch: float) -> None:
    """Set the learning rate of every parameter group."""
    factor = rate_factor(phase.schedule, epoch, share_of_epoch, phase.epochs)
    for group in phase.optimiser.param_groups:
        group["lr"] = group["initial_lr"] * factor


def steps_per_epoch(samples: int, batch_size: int, subsample: float = 1.0) -> int:
    """Batches of an epoch: all of them, or int(subsample * batches) + 1 as in the authors' code."""
    full, rest = divmod(samples, batch_size)
    # A last batch of one sample is left out: batch normalisation needs two.
    batches = max(full + (rest > 1), 1)
    return batches if subsample == 1 else min(int(subsample * batches) + 1, batches)


def rate_factor(schedule: LearningRateSchedule, epoch: int, share_of_epoch: float, epochs: int) -> float:
    """What the start learning rate is multiplied by, `share_of_epoch` into an epoch."""
    if schedule.shape == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (epoch + share_of_epoch) / epochs))
    return schedule.factor ** sum(milestone <= epoch for milestone in schedule.milestones)


def sgd(groups: list[dict[str, Any]], momentum: float) -> torch.optim.SGD:
    """Stochastic gradient descent with Nesterov momentum, knowing each group's start rate.

    It is fused: a supernet has many weights, and other forms write all of them down several times in a step.
    """
    _prepare(groups)
    return torch.optim.SGD(groups, lr=groups[0]["lr"], momentum=momentum, nesterov=momentum > 0, fused=True)


def _prepare(groups: list[dict[str, Any]]) -> None:
    """Note the start rate of each group; refuse weights that no optimiser here trains."""
    for group in groups:
        group["initial_lr"] = group["lr"]
        if any(weight.is_complex() and weight.requires_grad for weight in group["params"]):
            raise ConfigError(
                "the network has complex weights, and only real ones are trained; keep each as a pair of real numbers, "
                "and call torch.view_as_complex where it is used"
            )


def adamw(groups: list[dict[str, Any]], momentum: float) -> torch.optim.AdamW:
    """Adam with decoupled weight decay, knowing each group's start rate."""
    _prepare(groups)
    return torch.optim.AdamW(groups, lr=groups[0]["lr"], betas=(momentum, SECOND_MOMENT), fused=True)


def muon(groups: list[dict[str, Any]], momentum: float) -> Muon:
    """Muon, knowing each group's start rate."""
    _prepare(groups)
    return Muon(groups, lr=groups[0]["lr"], momentum=momentum, weight_decay=groups[0]["weight_decay"])


def _order(phase: Phase, epoch: int) -> list[np.ndarray]:
    """The samples of each step of an epoch: a fresh permutation, cut into batches."""
    rng = np.random.default_rng(derive_seed(phase.seed, "order", epoch))
    permutation = rng.permutation(len(phase.part))
    return [permutation[i : i + phase.batch_size] for i in range(0, len(permutation), phase.batch_size)]


def _finish_epoch(phase: Phase, session: Session, progress: Progress, loss: float, seconds: float) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            f"the loss of {phase.name} became {loss} in epoch {progress.epoch + 1}; try a lower learning rate"
        )
    extra = phase.after_epoch(progress.epoch) if phase.after_epoch is not None else {}
    event = {
        "phase": phase.name,
        "epoch": progress.epoch,
        "loss": loss,
        "score": None,
        "learning_rate": phase.optimiser.param_groups[0]["lr"],
        "micro_batch": progress.micro_batch,
        "seconds": round(seconds, 3),
        **{name: value for name, value in extra.items() if name != "stop"},
    }
    session.run.record(event)
    session.reporter.epoch(event, phase.epochs)
    progress.history.append(extra)
    progress.epoch += 1
    progress.step, progress.loss_sum, progress.samples = 0, 0.0, 0
    progress.finished = bool(extra.get("stop", False))


def _save(phase: Phase, session: Session, progress: Progress, started: float) -> None:
    progress.seconds = time.monotonic() - started
    state = {
        "model": phase.model.state_dict(),
        "optimiser": phase.optimiser.state_dict(),
        "progress": vars(progress),
    }
    session.run.save_checkpoint(phase.name, state)


def _resume(phase: Phase, session: Session) -> Progress:
    """The progress of the last checkpoint, whose state goes into the phase.

    Raises:
        RunError: the checkpoint is whole but belongs to something else, such as another architecture.
    """
    state = session.run.load_checkpoint(phase.name)
    progress = Progress()
    if state is not None:
        try:
            progress = Progress(**state["progress"])
            phase.model.load_state_dict(state["model"])
            phase.optimiser.load_state_dict(state["optimiser"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise RunError(
                f"the checkpoint of {phase.name} does not fit the rest of the run; "
                f"delete checkpoints/{phase.name}.pt to repeat that phase"
            ) from error
    shared = shared_micro_batch(session.run, phase.network_name, phase.batch_size)
    progress.micro_batch = min(progress.micro_batch or shared, shared)
    if progress.micro_batch < shared:
        share_micro_batch(session.run, phase.network_name, progress.micro_batch)
    session.run.forget_events(phase.name, progress.epoch)
    return progress
