"""Inputs for a trained model, refused where they are not what it was trained on."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dashnas.data.inputs import Layout, check_finite, read_layout
from dashnas.data.normalise import Normaliser
from dashnas.data.parts import encode_inputs
from dashnas.data.source import read_source
from dashnas.data.spec import DataSpec
from dashnas.data.tables import Array, Table
from dashnas.errors import DataError


class Inputs:
    """Samples without targets, normalised as the training samples were."""

    def __init__(self, table: Table, spec: DataSpec, normaliser: Normaliser, *, impute: bool) -> None:
        self._table = table
        self._spec = spec
        self._normaliser = normaliser
        self._impute = impute

    def __len__(self) -> int:
        return len(self._table)

    def batches(self, batch_size: int, device: torch.device | str = "cpu") -> Iterator[Tensor]:
        """Inputs (batch, channels, *spatial), float32, in order; the last batch may be smaller."""
        for start in range(0, len(self), batch_size):
            x: Array = self._table.take(np.arange(start, min(start + batch_size, len(self))), ["x"])["x"]
            yield encode_inputs(x, self._spec, self._normaliser, device, impute=self._impute)


def read_inputs(source: Any, spec: DataSpec, *, normaliser: Normaliser, impute: bool = False) -> Inputs:
    """Read the samples to predict: `x` of a source as `prepare` takes it, or x alone.

    Whether (n, a, b) are images follows from what the model was trained on. Targets may be there or not.

    Raises:
        DataError: the samples cannot be read, or have other channels or another length or size than the
            model was trained on.
    """
    table = read_source(source, trained=spec).tables["train"]
    if len(table) == 0:
        raise DataError(f"x holds no samples, shape {table.shape('x')}; expected a row per sample")
    images = len(spec.spatial_shape) == 2 and len(table.shape("x")) == 3
    layout, trained = read_layout(table, "x", images=images), Layout(spec.channels, spec.spatial_shape)
    if layout != trained:
        raise DataError(
            f"x has {layout}, but the model was trained on {trained}; cut, pad or resample it, or train again"
        )
    check_finite(table, "x", impute=impute)
    return Inputs(table, spec, normaliser, impute=impute)
