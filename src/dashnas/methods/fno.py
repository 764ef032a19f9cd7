"""The Fourier neural operator with the recipe of its authors, which NAS-Bench-360 has as the expert of Darcy flow."""

import time
from pathlib import Path

import torch

from dashnas.backbones.fno import FNO2d
from dashnas.budget import RESERVE, most_epochs, time_steps
from dashnas.config import LearningRateSchedule
from dashnas.data import Part
from dashnas.device import find_device
from dashnas.inference_cost import num_parameters
from dashnas.losses import Loss, make_loss
from dashnas.methods.method import Fitted, MethodTask, NetworkModel
from dashnas.methods.registry import register_method
from dashnas.progress import Reporter
from dashnas.runs import Run
from dashnas.seeding import derive_seed, isolated_rng
from dashnas.training import Phase, Session, steps_per_epoch, train

LEARNING_RATE, WEIGHT_DECAY, BATCH_SIZE = 1e-3, 1e-4, 20
HALVINGS = 5
"""The learning rate is halved after each of this many equal pieces of the training (authors: each 100 of 500
epochs)."""


@register_method("fno")
class FNO:
    """The Fourier neural operator of Li et al. 2021 with its own recipe, for images with a target per position."""

    def misfit(self, task: MethodTask) -> str | None:
        """See `Method`."""
        spec = task.data.spec
        if spec.spatial_dims != 2:
            return f"it is for images and fields, and these are {spec.spatial_dims}-D"
        if not spec.target_kind.is_dense:
            return f"it is for a target per position, and the targets are {spec.target_kind.value}"
        return None

    def fit(self, task: MethodTask, *, budget_seconds: float, seed: int, folder: Path, reporter: Reporter) -> Fitted:
        """See `Method`."""
        started = time.monotonic()
        device, data = find_device(task.options.device), task.data
        loss = make_loss(data.spec, data.normaliser, metric_name=task.metric.name)
        settings = {"budget_seconds": budget_seconds, "seed": seed, "data_fingerprint": data.fingerprint}
        with Run(folder, settings) as run:

            def epochs_that_fit() -> int:
                # The same part that is trained on later, so that its batches have their real cost.
                sample = make_phase(data.development, loss, epochs=1, seed=seed)
                seconds = time_steps(sample, device) * steps_per_epoch(len(data.development), BATCH_SIZE)
                usable = (started + budget_seconds - time.monotonic()) * (1 - RESERVE)
                return max(most_epochs(usable, whole=seconds), 1)

            epochs = int(run.remember("epochs.json", epochs_that_fit))
            phase = make_phase(data.development, loss, epochs=epochs, seed=seed)
            progress = train(phase, Session(run=run, reporter=reporter, device=device))
        return Fitted(
            model=NetworkModel(phase.model, BATCH_SIZE, device),
            epochs=epochs,
            parameters=num_parameters(phase.model),
            report={"train_seconds": progress.seconds},
        )


def make_phase(part: Part, loss: Loss, *, epochs: int, seed: int) -> Phase:
    """The training of a fresh network, always with the same weights."""
    spec = part.spec
    with isolated_rng(torch.device("cpu")):
        torch.manual_seed(derive_seed(seed, "weights"))
        network = FNO2d(spec.channels, spec.outputs, spec.spatial_shape)  # type: ignore[arg-type]  # 2-D, as checked
    group = {"params": list(network.parameters()), "lr": LEARNING_RATE, "initial_lr": LEARNING_RATE}
    milestones = tuple(round(epochs * piece / HALVINGS) for piece in range(1, HALVINGS))
    return Phase(
        name="train",
        model=network,
        optimiser=torch.optim.Adam([group], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY),
        schedule=LearningRateSchedule(shape="steps", milestones=milestones, factor=0.5),
        part=part,
        loss=loss,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        seed=derive_seed(seed, "train"),
    )
