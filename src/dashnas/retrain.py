"""Training an ordinary network under a recipe: the last phase, and each trial of the tuning."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from dashnas.config import RetrainConfig
from dashnas.data.parts import Part
from dashnas.errors import ConversionError
from dashnas.large_kernels import large_kernels
from dashnas.losses import Loss
from dashnas.precision import Precision
from dashnas.recipe import Optimiser, Recipe
from dashnas.training import Phase, Session, adamw, muon, sgd, train

_OPTIMISERS = {Optimiser.SGD: sgd, Optimiser.ADAMW: adamw, Optimiser.MUON: muon}
"""The function that makes each, of groups of parameters and a momentum."""


def retrain_phase(
    name: str,
    network: nn.Module,
    part: Part,
    loss: Loss,
    recipe: Recipe,
    config: RetrainConfig,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    network_name: str | None = None,
    subsample: float = 1.0,
    after_epoch: Callable[[int], dict[str, Any]] | None = None,
) -> Phase:
    """The training of one network, as a phase to run or to time; see `retrain`."""
    group = {
        "params": list(network.parameters()),
        "lr": recipe.learning_rate,
        "weight_decay": recipe.weight_decay,
    }
    return Phase(
        name=name,
        model=network,
        optimiser=_OPTIMISERS[recipe.optimiser]([group], recipe.momentum),
        schedule=config.schedule,
        part=part,
        loss=loss,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        network_name=network_name or name,
        subsample=subsample,
        large_kernels=_large_kernels(network, part, batch_size, config.precision),
        precision=config.precision,
        clip=config.clip,
        cutout=recipe.cutout,
        sam_radius=recipe.sam_radius,
        after_epoch=after_epoch,
    )


def _large_kernels(network: nn.Module, part: Part, batch_size: int, precision: Precision) -> tuple[str, ...]:
    sample = torch.zeros(2, part.spec.channels, *part.spec.spatial_shape, device="meta")
    try:
        return large_kernels(network, sample, batch_size=batch_size, precision=precision)
    except ConversionError:
        return ()  # a network that wants real numbers, or more than a sample, is trained as it is


def retrain(
    name: str,
    network: nn.Module,
    part: Part,
    loss: Loss,
    recipe: Recipe,
    config: RetrainConfig,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    session: Session,
    network_name: str | None = None,
) -> float:
    """Train a network to the last epoch, whose weights it keeps.

    Args:
        name: of the phase, in events and checkpoints.
        network: trained in place.
        part: what it is trained on.
        loss: what its weights descend.
        recipe: learning rate and the like.
        config: schedule and clipping.
        epochs: passes over the part.
        batch_size: samples of a step.
        seed: of order, dropout and cutout.
        session: where it runs.
        network_name: name that it shares its micro-batch under with other phases of the same network.

    Returns:
        The seconds it took, resumed parts included.
    """
    phase = retrain_phase(
        name,
        network,
        part,
        loss,
        recipe,
        config,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        network_name=network_name,
    )
    return train(phase, session).seconds
