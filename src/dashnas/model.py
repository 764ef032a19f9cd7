"""A trained network as people take it away: saved, loaded again, asked for predictions."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from dashnas.backbones import BACKBONES, build_backbone, keep_positions
from dashnas.convert import derive
from dashnas.data import read_inputs
from dashnas.data.normalise import Normaliser
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.ensemble import Ensemble
from dashnas.errors import RunError
from dashnas.evaluate import predict
from dashnas.probe import read_cells
from dashnas.runs import REMAKE, damage_named, read_json, write_json
from dashnas.seeding import isolated_rng
from dashnas.space import Architecture
from dashnas.storage import atomic_file
from dashnas.torch_settings import usual_settings

FORMAT = 1
"""Version of `config.json`."""


@dataclass(frozen=True, kw_only=True)
class Topology:
    """Which backbone a network is, up to kernel sizes and dilations."""

    backbone: str
    """A name in `dashnas.backbones.BACKBONES`."""
    width: int | None = None
    """Channels of its first stage; None is the backbone's own."""
    official: bool = False
    """With the accidents of the authors' code."""
    cells: tuple[int, ...] | None = None
    """Of the grid whose positions its head keeps, per spatial axis; None is the mean over all positions."""

    def build(self, spec: DataSpec, architecture: Architecture | None = None, *, dropout: float = 0.0) -> nn.Module:
        """A fresh network: the untouched backbone, or the one derived by an architecture."""
        network = build_backbone(self.backbone, spec, width=self.width, dropout=dropout, official=self.official)
        if architecture is not None:
            network = derive(network, architecture, initialise=BACKBONES[self.backbone].initialise)
        if self.cells is not None:
            keep_positions(network, self.cells)
        return network

    def build_for_search(self, spec: DataSpec) -> nn.Module:
        """A fresh backbone whose convolutions can be searched."""
        return build_backbone(self.backbone, spec, width=self.width, official=self.official, for_search=True)


@dataclass(frozen=True, kw_only=True)
class Member:
    """Which network it is that answers in an ensemble, up to its weights."""

    topology: Topology
    architecture: Architecture | None
    """None is the untouched backbone."""


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A trained network with all that is needed to feed it and to read its answers."""

    network: nn.Module
    topology: Topology
    architecture: Architecture | None
    """None is the untouched backbone."""
    spec: DataSpec
    normaliser: Normaliser
    impute: bool = False
    """Whether inputs that are not finite are replaced, as they were in training."""
    members: tuple[Member, ...] = ()
    """Of an ensemble, the first with the topology and architecture above; empty for a single network."""

    def save(self, folder: Path | str) -> None:
        """Write `model.safetensors` and `config.json`."""
        folder = Path(folder)
        # Copied, since the file has no place for a tensor of two names, as of layers that share their weights.
        weights = {
            name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
            for name, tensor in self.network.state_dict().items()
        }
        with atomic_file(folder / "model.safetensors") as file:
            file.write(save(weights))
        write_json(
            folder / "config.json",
            {
                "format": FORMAT,
                "dashnas": version("dashnas"),
                "backbone": self.topology.backbone,
                "width": self.topology.width,
                "official": self.topology.official,
                "cells": self.topology.cells,
                "architecture": None if self.architecture is None else self.architecture.to_json(),
                "data": self.spec.to_json(),
                "normaliser": self.normaliser.to_json(),
                "impute": self.impute,
                "members": [
                    {
                        "width": member.topology.width,
                        "cells": member.topology.cells,
                        "architecture": None if member.architecture is None else member.architecture.to_json(),
                    }
                    for member in self.members
                ],
            },
        )

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Read what `save` wrote.

        Raises:
            RunError: missing, damaged, or of a later version.
        """
        folder = Path(folder)
        content = read_json(folder / "config.json")
        with damage_named(folder / "config.json"):
            if content["format"] > FORMAT:
                raise RunError(f"{folder} was saved by a later dashnas ({content['dashnas']}); upgrade to read it")
            spec = DataSpec.from_json(content["data"])
            if (name := content["backbone"]) not in BACKBONES:
                raise RunError(
                    f"{folder} has a network of the backbone {name!r}, which is not registered here; import first what "
                    "registers it"
                )
            first, *members = (
                Member(
                    topology=Topology(
                        backbone=content["backbone"],
                        width=one["width"],
                        official=content["official"],
                        cells=read_cells(one["cells"], spec),
                    ),
                    architecture=None if one["architecture"] is None else Architecture.from_json(one["architecture"]),
                )
                for one in (content, *content.get("members", ()))
            )
            normaliser = Normaliser.from_json(content["normaliser"])
            impute = bool(content["impute"])
        # Fresh weights are drawn, to be replaced at once.
        with isolated_rng(torch.device("cpu")), usual_settings(), damage_named(folder / "config.json"):
            networks = [member.topology.build(spec, member.architecture) for member in members or [first]]
        network = Ensemble(networks, spec.target_kind) if members else networks[0]
        path = folder / "model.safetensors"
        try:
            network.load_state_dict(load_file(path))
        except FileNotFoundError as error:
            raise RunError(f"{folder} has no model.safetensors; has the run been finished? If so, {REMAKE}") from error
        except (SafetensorError, RuntimeError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise RunError(
                f"{path} is damaged or does not belong to {folder / 'config.json'} ({reason}); {REMAKE}"
            ) from error
        network.eval()
        return cls(
            network=network,
            topology=first.topology,
            architecture=first.architecture,
            spec=spec,
            normaliser=normaliser,
            impute=impute,
            members=tuple(members),
        )

    def predict(
        self, source: Any, *, batch_size: int = 64, device: torch.device | str = "cpu", impute: bool = False
    ) -> dict[str, np.ndarray]:
        """Answers in the user's own terms.

        Args:
            source: samples as `fit` takes them, with or without targets, or x alone.
            batch_size: samples at a time.
            device: where to compute.
            impute: replace inputs that are not finite by the training mean of their channel, also where the model
                was trained without.

        Returns:
            For classes `label` (samples, ...) in the user's names and `probability` (samples, classes, ...); for
            labels and binary maps `label` of 0 and 1 and `probability`; for regression `prediction`, on the
            original scale. The axis of outputs is left out where there is just one value, or one binary map.

        Raises:
            DataError: the samples cannot be read, or are not of the shape that the model was trained on.
        """
        inputs = read_inputs(source, self.spec, normaliser=self.normaliser, impute=impute or self.impute)
        outputs = predict(self.network, inputs.batches(batch_size), self.normaliser, torch.device(device))
        kind = self.spec.target_kind
        if kind.is_regression:
            return {"prediction": outputs[:, 0] if self.spec.outputs == 1 else outputs}
        logits = torch.from_numpy(outputs)
        if kind in (TargetKind.CLASSES, TargetKind.DENSE_CLASSES):
            label = outputs.argmax(axis=1)
            names = label if self.spec.classes is None else np.array(self.spec.classes)[label]
            return {"label": names, "probability": logits.softmax(dim=1).numpy()}
        probability = logits.sigmoid().numpy()
        probability = probability[:, 0] if kind is TargetKind.DENSE_BINARY else probability
        return {"label": (probability > 0.5).astype(np.int64), "probability": probability}


def load_result(folder: Path | str) -> dict[str, Any]:
    """The `result.json` of a finished run.

    Raises:
        RunError: the folder is no run, or the run is not finished.
    """
    folder = Path(folder)
    if not (folder / "run.json").exists():
        raise RunError(f"{folder} is not a run of dashnas fit (it has no run.json)")
    if not (folder / "result.json").exists():
        raise RunError(f"the run {folder} is not finished; give its dashnas fit command again to go on")
    content: dict[str, Any] = read_json(folder / "result.json")
    return content
