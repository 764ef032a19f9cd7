"""A random architecture: what remains of DASH when its search is taken out."""

import time
from dataclasses import replace
from pathlib import Path

import torch

from dashnas.backbones import build_backbone, default_backbone
from dashnas.convert import find_searchable
from dashnas.data.spec import DataSpec
from dashnas.methods.dash import search_tune_retrain
from dashnas.methods.method import Fitted, MethodTask
from dashnas.methods.registry import register_method
from dashnas.phases import settled_schedule
from dashnas.progress import Reporter
from dashnas.seeding import generator, isolated_rng
from dashnas.space import Architecture, SearchSpace
from dashnas.workspace import open_job


@register_method("random")
class RandomArchitecture:
    """Kernel sizes and dilations drawn from the paper's search space, then tuned and trained as there."""

    def misfit(self, task: MethodTask) -> str | None:
        """See `Method`."""
        return None

    def fit(self, task: MethodTask, *, budget_seconds: float, seed: int, folder: Path, reporter: Reporter) -> Fitted:
        """See `Method`."""
        started = time.monotonic()
        drawn = random_architecture(default_backbone(task.data.spec), task.data.spec, seed)
        options = replace(task.options, seed=seed, budget_seconds=budget_seconds, architecture=drawn)
        with open_job(task.data, options, folder, reporter, started=started, networks=("derived",)) as job:
            return search_tune_retrain(job, settled_schedule(job))


def random_architecture(backbone: str, spec: DataSpec, seed: int, *, width: int | None = None) -> Architecture:
    """An architecture for the layers that a search has, each choice drawn from all candidates that fit its map.

    Args:
        backbone: a name in `dashnas.backbones.BACKBONES`.
        spec: the data set, which decides what candidates there are.
        seed: the same one gives the same architecture.
        width: of the backbone; it makes no difference to the layers, only to the time this takes.
    """
    with isolated_rng(torch.device("cpu")):
        network = build_backbone(backbone, spec, width=width, for_search=True)
        sample = torch.zeros(2, spec.channels, *spec.spatial_shape)
        layers = find_searchable(network, SearchSpace.for_dims(spec.spatial_dims), sample).searchable
    rng = generator(seed, "random architecture")
    return Architecture(
        {
            name: layer.candidates[int(torch.randint(len(layer.candidates), (), generator=rng))]
            for name, layer in layers.items()
        }
    )
