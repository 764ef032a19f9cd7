"""Inputs and regression targets on a scale that suits training, and predictions back on the user's own."""

from dataclasses import asdict, dataclass
from typing import Any, Self, overload

import numpy as np
import torch
from torch import Tensor

from dashnas.data.tables import Array

_NARROW = (torch.float32, torch.float16, torch.bfloat16, torch.uint8, torch.int8, torch.int16, torch.bool)


@dataclass(frozen=True, kw_only=True)
class Normaliser:
    """Mean and standard deviation per input channel and, for regression kinds, per output.

    They come from the training part alone. What is constant there has the standard deviation 1, so that it
    becomes zero. Targets of kinds that are not regression pass through unchanged.
    """

    input_mean: tuple[float, ...]
    """One per input channel."""
    input_std: tuple[float, ...]
    """One per input channel, above 0."""
    target_mean: tuple[float, ...] | None = None
    """One per output; None where targets are not numbers to regress."""
    target_std: tuple[float, ...] | None = None
    """One per output, above 0; None where targets are not numbers to regress."""

    def encode_input(self, x: Tensor) -> Tensor:
        """Inputs (batch, channels, *spatial) of any numeric type, normalised, as float32."""
        return _encode(x, self.input_mean, self.input_std)

    def encode_target(self, y: Tensor) -> Tensor:
        """Targets to regress (batch, outputs, ...), normalised, as float32; of other kinds as they are."""
        if self.target_mean is None or self.target_std is None:
            return y
        return _encode(y, self.target_mean, self.target_std)

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
            return wide * _along_axis_1(self.target_std, wide) + _along_axis_1(self.target_mean, wide)
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
            input_mean=tuple(content["input_mean"]),
            input_std=tuple(content["input_std"]),
            target_mean=None if target_mean is None else tuple(target_mean),
            target_std=None if target_std is None else tuple(target_std),
        )


def _encode(values: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    # Subtracting in the type of the values keeps small changes on a large offset, such as times in seconds.
    working = values.to(torch.float32 if values.dtype in _NARROW else _widest(values.device))
    return ((working - _along_axis_1(mean, working)) / _along_axis_1(std, working)).to(torch.float32)


def _along_axis_1(values: tuple[float, ...], like: Tensor) -> Tensor:
    tensor = torch.tensor(values, dtype=like.dtype, device=like.device)
    return tensor.reshape(-1, *(1,) * (like.ndim - 2))


def _widest(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64
