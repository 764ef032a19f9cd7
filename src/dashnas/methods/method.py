"""What a method is: the data of a task and a budget in; a fitted model, what it cost and its own report out.

How the model came about is the method's own business. It may search, tune, sample, look up a table, grow trees or load
weights; it may bring its own network, supernet and recipe. It never gets the test part: who asked for the model opens
that once the method has returned.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from dashnas.data import PreparedData
from dashnas.data.parts import Part
from dashnas.errors import DashnasError
from dashnas.evaluate import predict_part
from dashnas.metrics import Metric
from dashnas.presets import Options
from dashnas.progress import Reporter
from dashnas.space import Architecture


class MisfitError(DashnasError):
    """A method found out on its way that it cannot learn a task under these conditions; trying again is of no use."""


@dataclass(frozen=True, kw_only=True)
class MethodTask:
    """A task as a method sees it: all but the test part."""

    name: str
    """Name of the task."""
    data: PreparedData
    """Training, validation and development part; `data.test` is None."""
    metric: Metric
    """What the model will be scored with."""
    options: Options
    """What the task asks of `dashnas.fit`, with the device and the threads to compute with."""

    def __post_init__(self) -> None:
        assert self.data.test is None, "a method must not see the test part"


class Predictor(Protocol):
    """A fitted model."""

    def predict(self, part: Part) -> np.ndarray:
        """What the model answers for each sample of a part, as `dashnas.metrics` takes it.

        That is logits for classes, labels and binary maps, and values on their original scale for regression. Targets
        of the part are not looked at.
        """


@dataclass(frozen=True)
class NetworkModel:
    """A trained network."""

    network: nn.Module
    batch_size: int
    """Samples that are computed at once."""
    device: torch.device

    def predict(self, part: Part) -> np.ndarray:
        """See `Predictor`."""
        return predict_part(self.network, part, self.batch_size, self.device)


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What a method came to."""

    model: Predictor
    """To be scored on the test part."""
    validation: float | None = None
    """The score that the method chose by, of a model that did not see the validation part; None where it chose
    nothing."""
    epochs: int | None = None
    """Passes over the data in the last training; None where there are none."""
    parameters: int | None = None
    """Numbers that were learned by descent; None for models without any."""
    architecture: Architecture | None = None
    """Where kernel sizes and dilations were chosen."""
    report: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else is worth keeping, as plain containers for a JSON file."""


class Method(Protocol):
    """A way to learn a task."""

    def misfit(self, task: MethodTask) -> str | None:
        """Why the method cannot learn this task, in a few words; None where it can."""

    def fit(self, task: MethodTask, *, budget_seconds: float, seed: int, folder: Path, reporter: Reporter) -> Fitted:
        """Learn a task.

        Args:
            task: what to learn from.
            budget_seconds: wall time from now on, all included. What does not fit is cut to the shortest there is.
            seed: of every random draw.
            folder: the method's own, kept between calls: the same call goes on where an earlier one was stopped.
            reporter: hears of the progress.

        Raises:
            Interrupted: a stop was asked for; the state is saved.
            MisfitError: it turned out only now that the method cannot learn the task within the budget.
            DashnasError: the task cannot be learned; it says why.
        """
