"""Inputs and regression targets on a scale that suits training, and predictions back on the user's own."""

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Literal, Self, overload

import numpy as np
import torch
from torch import Tensor

from dashnas.data.tables import Array

Scale = tuple[Any, ...]
"""A float per channel, or nested tuples of the shape (channels, *spatial)."""

_NARROW = (torch.float32, torch.float16, torch.bfloat16, torch.uint8, torch.int8, torch.int16, torch.bool)


@dataclass(frozen=True, kw_only=True)
class Normaliser:
    """Mean and standard deviation per input channel and, for regression kinds, per output.

    They come from the training part alone. What is constant there has the standard deviation 1, so that it
    becomes zero. Targets of kinds that are not regression pass through unchanged. A task may scale every position by
    itself; each value is then a nested tuple of the spatial shape.
    """

    input_mean: Scale
    """One per input channel."""
    input_std: Scale
    """One per input channel, above 0."""
    target_mean: Scale | None = None
    """One per output; None where targets are not numbers to regress."""
    target_std: Scale | None = None
    """One per output, above 0; None where targets are not numbers to regress."""

    def __post_init__(self) -> None:
        # Nested tuples are slow to read, with a scale per position as slow as a network on a GPU, and every step of a
        # training reads them.
        for field in fields(self):
            object.__setattr__(self, f"_{field.name}", np.array(getattr(self, field.name), np.float64))

    def encode_input(self, x: Tensor) -> Tensor:
        """Inputs (batch, channels, *spatial) of any numeric type, normalised, as float32."""
        return self._encode(x, "input")

    def encode_target(self, y: Tensor) -> Tensor:
        """Targets to regress (batch, outputs, ...), normalised, as float32; of other kinds as they are."""
        if self.target_mean is None or self.target_std is None:
            return y
        return self._encode(y, "target")

    @overload
    def decode_target(self, prediction: Tensor) -> Tensor: ...
    @overload
    def decode_target(self, prediction: Array) -> Array: ...
    def decode_target(self, prediction: Tensor | Array) -> Tensor | Array:
        """Predictions (batch, outputs, ...) on the user's own scale, the inverse of `encode_target`.

        Regression comes back in float64 (float32 on devices without it), since a scale with a large mean and
        a small spread does not fit into float32; other kinds come back as they are.
        """
        if self.target_mean is None or self.target_std is None:
            return prediction
        if isinstance(prediction, Tensor):
            wide = prediction.to(_widest(prediction.device))
            return wide * self._along_axis_1("target_std", wide) + self._along_axis_1("target_mean", wide)
        decoded: Array = self.decode_target(torch.from_numpy(np.array(prediction, np.float64))).numpy()
        return decoded

    def to_json(self) -> dict[str, Any]:
        """As plain containers, for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """The inverse of `to_json`, after a trip through a JSON file."""
        target_mean, target_std = content["target_mean"], content["target_std"]
        return cls(
            input_mean=as_scale(content["input_mean"]),
            input_std=as_scale(content["input_std"]),
            target_mean=None if target_mean is None else as_scale(target_mean),
            target_std=None if target_std is None else as_scale(target_std),
        )

    @classmethod
    def identity(cls, channels: int) -> Self:
        """One that leaves inputs of so many channels and all targets as they are."""
        return cls(input_mean=(0.0,) * channels, input_std=(1.0,) * channels)

    @cached_property
    def usual_target(self) -> float:
        """How large the targets at one position are, as the root of the mean square of what is usual in training."""
        if self.target_mean is None or self.target_std is None:
            return 1.0
        squares = np.square(self.target_mean) + np.square(self.target_std)
        return float(np.sqrt(squares.reshape(len(squares), -1).mean(axis=1).sum()))

    def _encode(self, values: Tensor, which: Literal["input", "target"]) -> Tensor:
        # Subtracting in the type of the values keeps small changes on a large offset, such as times in seconds.
        working = values.to(torch.float32 if values.dtype in _NARROW else _widest(values.device))
        centred = working - self._along_axis_1(f"{which}_mean", working)
        return (centred / self._along_axis_1(f"{which}_std", working)).to(torch.float32)

    def _along_axis_1(self, name: str, like: Tensor) -> Tensor:
        # Where a network is exported with its scales, PyTorch makes constants of tuples, but not always of arrays.
        scale = getattr(self, name if torch.compiler.is_compiling() else f"_{name}")
        tensor = torch.tensor(scale, dtype=like.dtype, device=like.device)
        return tensor if tensor.ndim > 1 else tensor.reshape(-1, *(1,) * (like.ndim - 2))


def as_scale(values: Any) -> Scale:
    """Nested lists, or an array, as nested tuples."""
    plain = values.tolist() if isinstance(values, np.ndarray) else values
    return tuple(as_scale(value) if isinstance(value, list | tuple) else value for value in plain)


def _widest(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64
