"""A batch in pieces: the gradients of a step add up over micro-batches, so that a step takes less memory.

The gradient is that of the mean over the whole batch, however it is cut. What is not the same: batch normalisation
sees one piece at a time, in its statistics too, and dropout and cutout draw the same for each piece.
"""

import math
from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor, nn

from dashnas.cutout import cut_out
from dashnas.data.parts import Part
from dashnas.lengths import network_outputs
from dashnas.losses import Loss
from dashnas.precision import Precision, layers, widened
from dashnas.runs import Run, damage_named

FEWEST = 2
"""Samples of a micro-batch: batch normalisation needs two."""

MICRO_BATCHES = "micro_batch.json"
"""File of a run: most samples that are computed at once, by network."""


def pieces(indices: np.ndarray, micro_batch: int) -> list[np.ndarray]:
    """Cut a batch into as few micro-batches as will do, of nearly equal size.

    None has a single sample, unless the batch has just one: of an odd batch in twos, one piece has three.
    """
    num_pieces = min(math.ceil(len(indices) / micro_batch), len(indices) // FEWEST)
    return np.array_split(indices, max(num_pieces, 1))


def smaller(micro_batch: int) -> int | None:
    """Half of a micro-batch, or None where there is no smaller one."""
    return None if micro_batch <= FEWEST else (micro_batch + 1) // 2


def set_gradients(
    model: nn.Module,
    loss: Loss,
    part: Part,
    indices: np.ndarray,
    device: torch.device,
    *,
    micro_batch: int,
    seed: int,
    precision: Precision = Precision.FLOAT32,
    cutout: float = 0.0,
) -> Tensor:
    """Set the gradients of a model to those of the loss on a batch, computed piece by piece.

    Args:
        model: its old gradients are dropped.
        loss: tells the mean over a piece and how much the piece counts.
        part: where the samples are read.
        indices: the batch, positions in `part`.
        device: where to compute.
        micro_batch: most samples of a piece.
        seed: of all noise; each piece starts from it, so that all see the same mixture in a search.
        precision: of the forward and backward pass.
        cutout: largest share of each axis that is blanked out of a sample.

    Returns:
        The loss of the batch, a scalar on the device.
    """
    model.zero_grad(set_to_none=True)
    cut = pieces(indices, micro_batch)
    losses, weights = [], []
    for piece in cut:
        torch.manual_seed(seed)
        batch = part.batch(piece, device, seed=seed)
        x = cut_out(batch.x, cutout, batch.lengths) if cutout else batch.x
        with layers(precision, device):
            outputs = network_outputs(model, x, batch.lengths)
        value = loss(widened(outputs), batch)
        if len(cut) == 1:
            value.backward()  # type: ignore[no-untyped-call]
            return value.detach()
        weight = loss.weight(batch).to(value)
        (value * weight).backward()  # type: ignore[no-untyped-call]
        losses.append(value.detach() * weight)
        weights.append(weight)
    total = torch.stack(weights).sum()
    # Where everything is masked, losses and gradients are 0 already.
    total = torch.where(total > 0, total, 1.0)
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad /= total
    return torch.stack(losses).sum() / total


def shared_micro_batch(run: Run, network: str, batch_size: int) -> int:
    """The micro-batch of a network in a run; the whole batch where nothing else was settled."""
    with damage_named(run.folder / MICRO_BATCHES):
        return int(run.read(MICRO_BATCHES, default={}).get(network, batch_size))


def keep_micro_batches(run: Run, networks: Collection[str]) -> None:
    """Forget what was settled for all but these networks, which a run turned out not to train."""
    settled = run.read(MICRO_BATCHES, default={})
    run.write(MICRO_BATCHES, {name: samples for name, samples in settled.items() if name in networks})


def share_micro_batch(run: Run, network: str, micro_batch: int) -> None:
    """Let all later phases that train the same network use a micro-batch."""
    run.write(MICRO_BATCHES, {**run.read(MICRO_BATCHES, default={}), network: micro_batch})
