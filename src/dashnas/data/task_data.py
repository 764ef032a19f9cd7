"""Data sets that know more than arrays can say: their own division, scale, augmentation, metric and rules.

A user's arrays are read, checked and divided by `prepare`. A benchmark's data come divided, under rules that depend on
the protocol they are scored by; they reach `prepare` as a `TaskSource`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from dashnas.data.normalise import Normaliser
from dashnas.data.spec import DataSpec
from dashnas.data.split import Indices
from dashnas.data.tables import Table
from dashnas.errors import ConfigError, unknown_name

CLEAN, NB360, DASH = "clean", "nb360-official", "dash-official"
PROTOCOLS = (CLEAN, NB360, DASH)
"""Rules that a score is made by: our own; those of NAS-Bench-360's public code; those of DASH's."""


def check_protocol(name: str) -> None:
    """Refuse a protocol that there is none of.

    Raises:
        ConfigError: the name is unknown.
    """
    if name not in PROTOCOLS:
        raise ConfigError(unknown_name("protocol", name, PROTOCOLS))


class Samples(NamedTuple):
    """Some rows of a table."""

    table: Table
    rows: Indices


@dataclass(frozen=True, kw_only=True)
class PaperSettings:
    """What the authors of DASH set for one task by hand; the preset `paper` takes it.

    Reference: Shen et al. 2022, Appendix A.5, and the authors' code.
    """

    batch_size: int
    """Samples of a training step."""
    kernel_sizes: tuple[int, ...]
    """To choose from."""
    dilations: tuple[int, ...] = (1, 3, 7, 15)
    """To choose from."""
    grad_scale: float = 100
    """The gradient of each layer's architecture parameters is scaled to 1 / grad_scale (code only)."""
    pos_weight: float | None = None
    """Weight of the positives of every label in the loss (code only)."""
    loss_scale: float = 1.0
    """What the mean loss is multiplied by: the batch size where the code sums over the batch."""
    small_grid: bool = False
    """Whether tuning tries three recipes instead of the grid (code only)."""


@dataclass(frozen=True, kw_only=True)
class TaskData:
    """A data set that comes divided, under one protocol."""

    origin: str
    """Where it was read, for the user."""
    spec: DataSpec
    """What a network must take and give in training."""
    scored_spec: DataSpec | None = None
    """The same of validation and test samples, where these are of another size."""
    normaliser: Normaliser
    """Scales of inputs and targets."""
    train: Samples
    """What is trained on while choosing."""
    validation: Samples
    """What is chosen by."""
    final: Samples
    """What the last training uses."""
    test: Samples
    """What the final score is measured on."""
    test_variants: Mapping[str, Samples] = field(default_factory=dict)
    """The test samples as they would be under other conditions, by name; each gets the metric too."""
    how: str
    """How it was divided, in words."""
    metric: str
    """Name of the metric that the protocol asks for."""
    also: tuple[str, ...] = ()
    """Names of further metrics that are told of the test part."""
    warnings: tuple[str, ...] = ()
    """What a reader of the scores must know."""
    paper: PaperSettings | None = None
    """The authors' settings for it."""


@runtime_checkable
class TaskSource(Protocol):
    """A benchmark's data set, as `fit` takes it."""

    @property
    def name(self) -> str:
        """Of the task."""

    def task_data(self, protocol: str, seed: int) -> TaskData:
        """Find and divide the data.

        Args:
            protocol: one of `PROTOCOLS`.
            seed: decides what the protocol leaves to chance.

        Raises:
            DataError: files are missing, damaged or hold something else.
            ConfigError: the task has no such protocol.
        """
