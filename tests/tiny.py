"""Tiny data sets with an easy signal, for every kind of target; and what it takes to train on them for a moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dashnas.config import FitConfig
from dashnas.data import DataConfig, PreparedData, TargetKind, prepare
from dashnas.job import Job
from dashnas.presets import Options
from dashnas.progress import Reporter, Silent
from dashnas.runs import Run
from dashnas.training import Session
from dashnas.workspace import workspace

SPATIAL = {1: (16,), 2: (6, 6)}
"""Spatial shape of the inputs by number of axes."""

CLASSES = ("high", "low", "middle")
"""Names of the three classes, in the order of the network's outputs."""


def arrays(kind: TargetKind, dims: int = 1, samples: int = 60, seed: int = 0) -> dict[str, np.ndarray]:
    """Inputs of two channels, whose targets can be told from a mean or from the value at the position itself."""
    rng = np.random.default_rng(seed)
    spatial = SPATIAL[dims]
    axes = tuple(range(2, 2 + dims))
    x = rng.normal(size=(samples, 2, *spatial))
    if kind is TargetKind.CLASSES:
        y = np.arange(samples) % 3
        x += 1.5 * (y - 1).reshape(-1, 1, *(1,) * dims)
        return {"x": x, "y": np.array(["low", "middle", "high"])[y]}
    if kind is TargetKind.MULTI_LABEL:
        y = rng.integers(0, 2, (samples, 2))
        x += 1.5 * (2 * y - 1).reshape(samples, 2, *(1,) * dims)
        return {"x": x, "y": y}
    if kind is TargetKind.REGRESSION:
        x += rng.normal(size=(samples, 2, *(1,) * dims))
        return {"x": x, "y": 1000 + 5 * x.mean(axis=axes) @ np.array([1.0, -1.0])}
    if kind is TargetKind.DENSE_BINARY:
        return {"x": x, "y": (x[:, 0] > 0).astype(np.int64)}
    if kind is TargetKind.DENSE_CLASSES:
        return {"x": x, "y": np.digitize(x[:, 0], (-0.4, 0.4))}
    mask = rng.random((samples, *spatial)) > 0.2
    return {"x": x, "y": np.where(mask, 3 * x[:, 0] + 7, np.nan), "mask": mask}


def options(**changes: Any) -> Options:
    """Those of a run that takes about a second."""
    small = {"epochs": 2, "tune_trials": 2, "width": 4, "kernel_sizes": (3, 5), "dilations": (1, 2), "threads": 1}
    small["race"] = False  # so that it is known which network comes out
    return Options(**{**small, **changes})


def prepared(kind: TargetKind = TargetKind.CLASSES, dims: int = 1, **more: Any) -> PreparedData:
    """A tiny data set, read and divided."""
    return prepare(arrays(kind, dims, **more), DataConfig(target=kind), seed=0)


class Messages(Silent):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def message(self, text: str) -> None:
        self.told.append(text)


@contextmanager
def job(chosen: Options | None = None, reporter: Reporter | None = None) -> Iterator[Job]:
    """A run on tiny classes that keeps nothing."""
    with workspace(arrays(TargetKind.CLASSES), chosen or options(), None, reporter) as made:
        yield made


@contextmanager
def session(folder: Path, **more: Any) -> Iterator[Session]:
    """A run directory to train in, without anybody listening."""
    with Run(folder, {}) as run:
        yield Session(**{"run": run, "reporter": Silent(), "device": torch.device("cpu"), **more})


def config(**changes: Any) -> FitConfig:
    """The settings of a run, all defaults but these."""
    return FitConfig(**changes)
