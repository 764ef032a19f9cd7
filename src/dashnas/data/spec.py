"""What a data set asks of a network: the shape of its inputs and the kind of its targets."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Self

import numpy as np
from torch import Tensor


class TargetKind(StrEnum):
    """What is to be predicted: one answer per sample, or one per position of the input (dense)."""

    CLASSES = "classes"
    MULTI_LABEL = "multi-label"
    REGRESSION = "regression"
    DENSE_BINARY = "dense-binary"
    DENSE_CLASSES = "dense-classes"
    DENSE_REGRESSION = "dense-regression"

    @property
    def is_dense(self) -> bool:
        """Whether every position of the input has a target of its own."""
        return self.value.startswith("dense-")

    @property
    def is_regression(self) -> bool:
        """Whether targets are numbers, which are normalised for training and scored on their own scale."""
        return self in (TargetKind.REGRESSION, TargetKind.DENSE_REGRESSION)


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """What a network must take and give; saved with the model and checked again before it predicts."""

    channels: int
    """Input channels."""
    spatial_shape: tuple[int, ...]
    """(length,) or (height, width), in samples; of series of unequal length that of the longest."""
    target_kind: TargetKind
    """What is predicted."""
    outputs: int
    """Output channels of the network: classes, labels, values, or 1 for a binary map."""
    classes: tuple[str | int, ...] | None = None
    """The user's own names of the classes, in the order of the network's outputs; None without classes."""
    unequal_lengths: bool = False
    """Whether samples are series of a length of their own, with padding behind them."""

    @property
    def spatial_dims(self) -> int:
        """1 for signals, 2 for images and fields."""
        return len(self.spatial_shape)

    @property
    def answer_shape(self) -> tuple[int, ...]:
        """What a network answers one sample by: (outputs,), or (outputs, *spatial) for dense targets."""
        return (self.outputs, *(self.spatial_shape if self.target_kind.is_dense else ()))

    def to_json(self) -> dict[str, Any]:
        """As plain containers, for a JSON file."""
        return asdict(self) | {"target_kind": self.target_kind.value}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """The inverse of `to_json`, after a trip through a JSON file."""
        classes = content["classes"]
        return cls(
            channels=content["channels"],
            spatial_shape=tuple(content["spatial_shape"]),
            target_kind=TargetKind(content["target_kind"]),
            outputs=content["outputs"],
            classes=None if classes is None else tuple(classes),
            unequal_lengths=content.get("unequal_lengths", False),
        )


class Batch(NamedTuple):
    """Samples as a network and its loss take them.

    Shapes, with `outputs` as in `DataSpec` and `*spatial` the input's spatial shape:
        x: (batch, channels, *spatial), float32, normalised.
        y: classes (batch,) int64; multi-label (batch, outputs) float32; regression (batch, outputs) float32,
            normalised; dense-binary (batch, 1, *spatial) float32; dense-classes (batch, *spatial) int64;
            dense-regression (batch, outputs, *spatial) float32, normalised.
        mask: (batch, *spatial) bool, True where a dense target counts; None when every position counts.
        fields: further values that travel with the samples, as the user named them.
        lengths: (batch,) int64, positions of each series before its padding; None where there is no padding.
    """

    x: Tensor
    y: Tensor
    mask: Tensor | None
    fields: dict[str, np.ndarray]
    lengths: Tensor | None = None
