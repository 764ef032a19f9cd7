"""Parts of a data set, which give batches; and the test part, which is sealed until the final evaluation."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NoReturn, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dashnas.data.draws import DrawingTable
from dashnas.data.normalise import Normaliser
from dashnas.data.spec import Batch, DataSpec, TargetKind
from dashnas.data.tables import Array, Table
from dashnas.data.targets import shape_targets
from dashnas.errors import SealedTestError
from dashnas.seeding import derive_seed

_TORCH_TYPES = ["float16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool"]


class Part:
    """Samples of one data set that serve one purpose; nothing is copied until a batch is asked for."""

    def __init__(
        self,
        table: Table,
        rows: npt.NDArray[np.int64],
        spec: DataSpec,
        normaliser: Normaliser,
        *,
        impute: bool = False,
        augmented: bool = False,
    ) -> None:
        self.spec = spec
        self.normaliser = normaliser
        self._table = table
        self._rows = rows
        self._impute = impute
        self._augmented = augmented
        self._masked = "mask" in table.names
        self._fields = tuple(name for name in table.names if name not in ("x", "y", "mask", "lengths"))

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def fields(self) -> dict[str, Array]:
        """Further values that travel with the samples, such as `group`, for the whole part."""
        return self._table.take(self._rows, self._fields)

    def batch(self, indices: npt.ArrayLike, device: torch.device | str = "cpu", *, seed: int | None = None) -> Batch:
        """Read and normalise samples; no others are read.

        Args:
            indices: positions in this part, shape (batch,).
            device: where the tensors are wanted.
            seed: of all that is drawn where the part is augmented, for each sample on its own, so that a sample is the
                same whatever stands beside it. None gives them as they are scored.
        """
        special = ["mask"] * self._masked + ["lengths"] * self.spec.unequal_lengths
        names = ["x", "y", *special, *self._fields]
        columns = self._columns(self._rows[np.asarray(indices, np.int64)], names, seed)
        mask = columns["mask"].astype(bool) if self._masked else None
        return Batch(
            x=encode_inputs(columns["x"], self.spec, self.normaliser, device, impute=self._impute),
            y=self._encode_targets(columns["y"], mask).to(device),
            mask=None if mask is None else torch.from_numpy(mask).to(device),
            fields={name: columns[name] for name in self._fields},
            lengths=torch.from_numpy(columns["lengths"]).to(device) if self.spec.unequal_lengths else None,
        )

    def batches(self, batch_size: int, device: torch.device | str = "cpu") -> Iterator[Batch]:
        """The whole part, in order; the last batch may be smaller."""
        for start in range(0, len(self), batch_size):
            yield self.batch(np.arange(start, min(start + batch_size, len(self))), device)

    def targets(self) -> Array:
        """All targets on the original scale.

        Returns:
            Classes (n,) int64; multi-label and regression (n, outputs) float64; dense-binary (n, 1, *spatial)
            float64; dense-classes (n, *spatial) int64; dense-regression (n, outputs, *spatial) float64. What
            the mask leaves out is 0.
        """
        names: Sequence[str] = ["y", "mask"] if self._masked else ["y"]
        columns = self._table.take(self._rows, names)
        mask = columns["mask"].astype(bool) if self._masked else None
        return shape_targets(columns["y"], mask, self.spec)

    def mask(self) -> npt.NDArray[np.bool_] | None:
        """Which positions count, shape (n, *spatial); None when all do."""
        return self._table.take(self._rows, ["mask"])["mask"].astype(bool) if self._masked else None

    def class_counts(self) -> npt.NDArray[np.int64] | None:
        """How often each class occurs where it counts.

        Returns:
            Shape (outputs,) for classes and dense-classes; (outputs, 2), zeros and ones, for multi-label and
            dense-binary; None for regression.
        """
        if self.spec.target_kind.is_regression:
            return None
        y, mask = self.targets(), self.mask()
        if self.spec.target_kind in (TargetKind.CLASSES, TargetKind.DENSE_CLASSES):
            return np.bincount((y if mask is None else y[mask]).reshape(-1), minlength=self.spec.outputs)
        flat = np.moveaxis(y, 1, 0).reshape(self.spec.outputs, -1)
        flat = flat if mask is None else flat[:, mask.reshape(-1)]
        ones = flat.sum(axis=1).astype(np.int64)
        return np.stack([flat.shape[1] - ones, ones], axis=1)

    def subset(self, indices: npt.ArrayLike) -> "Part":
        """The samples at these positions of this part, as a part."""
        rows = self._rows[np.asarray(indices, np.int64)]
        return Part(self._table, rows, self.spec, self.normaliser, impute=self._impute, augmented=self._augmented)

    def _columns(self, rows: npt.NDArray[np.int64], names: Sequence[str], seed: int | None) -> dict[str, Array]:
        if seed is None or not self._augmented:
            return self._table.take(rows, names)
        generators = [np.random.default_rng(derive_seed(seed, "draw", int(row))) for row in rows]
        return cast(DrawingTable, self._table).draw(rows, names, generators)

    def _encode_targets(self, y: Array, mask: Array | None) -> Tensor:
        shaped = torch.from_numpy(shape_targets(y, mask, self.spec))
        if not self.spec.target_kind.is_regression:
            return shaped if shaped.dtype == torch.int64 else shaped.to(torch.float32)
        encoded = self.normaliser.encode_target(shaped)
        return encoded if mask is None else encoded.masked_fill(~torch.from_numpy(mask)[:, None], 0.0)


class SealedTest:
    """The test part. It tells its size; anything else raises until the final evaluation opens it.

    Args:
        part: the test samples.
        variants: the same samples under other conditions, by name.
    """

    __slots__ = ("__part", "__variants")

    def __init__(self, part: Part, variants: Mapping[str, Part] = MappingProxyType({})) -> None:
        self.__part = part
        self.__variants = variants

    def __len__(self) -> int:
        return len(self.__part)

    def open(self) -> Part:
        """The test part itself. Only the final evaluation calls this, after everything has been chosen."""
        return self.__part

    def open_variants(self) -> Mapping[str, Part]:
        """The variants of the test part, by name, for the same evaluation."""
        return self.__variants

    def __repr__(self) -> str:
        return f"SealedTest({len(self)} samples)"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python's own questions, such as copy's, expect the usual answer
            raise AttributeError(name)
        _refuse(name)

    def __getitem__(self, index: object) -> NoReturn:
        _refuse("its samples")

    def __iter__(self) -> NoReturn:
        _refuse("its samples")


def _refuse(name: str) -> NoReturn:
    raise SealedTestError(
        f"the test part is sealed, so {name!r} cannot be used; choose on the validation part, "
        "and let only the final evaluation call open()"
    )


def encode_inputs(
    x: Array, spec: DataSpec, normaliser: Normaliser, device: torch.device | str, *, impute: bool
) -> Tensor:
    """Inputs as the user gave them, as a network takes them.

    Returns:
        Shape (batch, channels, *spatial), float32, normalised; with `impute` 0, the training mean of the
        channel, in place of values that are not finite.
    """
    if x.dtype.name not in _TORCH_TYPES or not x.dtype.isnative:
        x = x.astype(np.float64)
    spatial = x.shape[-spec.spatial_dims :]  # series may be longer than those of the training
    tensor = torch.from_numpy(x).to(device).reshape(len(x), spec.channels, *spatial)
    encoded = normaliser.encode_input(tensor)
    return torch.where(torch.isfinite(encoded), encoded, 0.0) if impute else encoded
