"""Inputs for a trained model, refused where they are not what it was trained on."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dashnas.data.inputs import Layout, check_finite, read_layout
from dashnas.data.normalise import Normaliser
from dashnas.data.parts import encode_inputs
from dashnas.data.series import read_lengths
from dashnas.data.source import read_source
from dashnas.data.spec import DataSpec
from dashnas.data.tables import Table
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

    def batches(self, batch_size: int, device: torch.device | str = "cpu") -> Iterator[tuple[Tensor, Tensor | None]]:
        """Inputs (batch, channels, *spatial), float32, in order; the last batch may be smaller.

        Beside them the lengths of series, (batch,), int64, where these are of unequal length; else None.
        """
        unequal = self._spec.unequal_lengths
        for start in range(0, len(self), batch_size):
            rows = np.arange(start, min(start + batch_size, len(self)))
            columns = self._table.take(rows, ["x", "lengths"] if unequal else ["x"])
            x = encode_inputs(columns["x"], self._spec, self._normaliser, device, impute=self._impute)
            yield x, torch.from_numpy(columns["lengths"]).to(device) if unequal else None


def read_inputs(source: Any, spec: DataSpec, *, normaliser: Normaliser, impute: bool = False) -> Inputs:
    """Read the samples to predict: `x` of a source as `prepare` takes it, or x alone.

    Whether (n, a, b) are images follows from what the model was trained on. Targets may be there or not. Where it was
    trained on series of unequal length, these may be of any.

    Raises:
        DataError: the samples cannot be read, or have other channels or another length or size than the
            model was trained on; or lengths are missing, or not to be.
    """
    table = read_source(source, trained=spec).tables["train"]
    if len(table) == 0:
        raise DataError(f"x holds no samples, shape {table.shape('x')}; expected a row per sample")
    images = len(spec.spatial_shape) == 2 and len(table.shape("x")) == 3
    table = _with_lengths(table, spec, read_layout(table, "x", images=images))
    layout, trained = read_layout(table, "x", images=images), Layout(spec.channels, spec.spatial_shape)
    if layout != trained and not (spec.unequal_lengths and layout.channels == trained.channels):
        raise DataError(
            f"x has {layout}, but the model was trained on {trained}; cut, pad or resample it, or train again"
        )
    check_finite(table, "x", impute=impute)
    return Inputs(table, spec, normaliser, impute=impute)


def _with_lengths(table: Table, spec: DataSpec, layout: Layout) -> Table:
    """The samples brought to one length; as they are where they, and those of the training, have just one."""
    if spec.unequal_lengths and "lengths" not in table.names:
        raise DataError(
            "x comes without lengths, but the model was trained on series of unequal length; give `lengths` beside x, "
            "or from Python a list of series; where all are whole, numpy.full(len(x), x.shape[-1])"
        )
    tables, unequal = read_lengths({"train": table}, {"train": layout}, None, always=spec.unequal_lengths)
    if unequal and not spec.unequal_lengths:
        raise DataError(
            f"the series of x are of unequal length, but the model was trained on {spec.spatial_shape[0]} positions "
            "each; resample them to that, or train again with such series"
        )
    return tables["train"]
