"""Which kind of target `y` is, told from its shape, its type and its values."""

from dataclasses import dataclass

import numpy as np

from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.tables import Table
from dashnas.data.targets import counted_values
from dashnas.errors import DataError


@dataclass(frozen=True)
class KindReading:
    """The kind, and in the user's words why."""

    kind: TargetKind
    why: str
    outputs: int
    """Values or labels per sample or position; classes are counted elsewhere."""


def read_kind(table: Table, spatial_shape: tuple[int, ...], override: TargetKind | None) -> KindReading:
    """Tell the kind of the targets.

    In this order: the input's own spatial shape is dense (zeros and ones binary, integers classes, floats
    regression); a matrix of zeros and ones is multi-label; integers, booleans and strings are classes; floats
    are regression.

    Args:
        table: where the samples are.
        spatial_shape: the input's.
        override: the kind that the user asked for.

    Raises:
        DataError: no kind fits, or the one asked for does not.
    """
    shape, dtype = table.shape("y")[1:], table.dtype("y")
    if dtype.kind not in "biufU":
        raise DataError(f"y has the type {dtype}; expected numbers, or integers or strings as class labels")
    facts = _Facts(table, shape, spatial_shape)
    kind, why = (override, "as asked for") if override is not None else _infer(facts)
    if kind is None:
        raise DataError(
            f"y with shape {table.shape('y')} and type {dtype} fits no kind of target for inputs of size "
            f"{spatial_shape}: expected (n,) labels or numbers, (n, labels) of zeros and ones, "
            f"(n, values) of floats, or a value per position; {why}"
        )
    if expected := facts.misfit(kind):
        raise DataError(
            f"y with shape {table.shape('y')} and type {dtype} cannot be {kind.value} targets; "
            f"expected {expected}; mend y, or leave the kind to be told from the data"
        )
    return KindReading(kind, why, facts.outputs(kind))


def _infer(facts: "_Facts") -> tuple[TargetKind | None, str]:
    if facts.dense:
        if facts.dense_outputs == 1 and facts.binary():
            return TargetKind.DENSE_BINARY, "y has the input's own shape and holds only 0 and 1"
        if facts.whole_type and facts.dense_outputs == 1:
            return TargetKind.DENSE_CLASSES, "y has the input's own shape and holds integers"
        if facts.whole_type:
            return None, "for dense numbers convert y to floats"
        if not facts.text:
            return TargetKind.DENSE_REGRESSION, "y has the input's own shape and holds floats"
    if facts.single:
        if facts.text or facts.whole_type:
            return TargetKind.CLASSES, f"y holds one {'string' if facts.text else 'integer'} per sample"
        return TargetKind.REGRESSION, "y holds one float per sample"
    if len(facts.shape) == 1 and facts.shape[0] > 0 and not facts.text:
        if facts.binary():
            return TargetKind.MULTI_LABEL, "y is a matrix of zeros and ones"
        if not facts.whole_type:
            return TargetKind.REGRESSION, "y is a matrix of floats"
        return None, "for several numbers per sample convert y to floats"
    return None, "check that y is not transposed and belongs to these inputs"


class _Facts:
    """What can be seen in the targets; values are looked at only when a question needs them."""

    def __init__(self, table: Table, shape: tuple[int, ...], spatial_shape: tuple[int, ...]) -> None:
        self.table = table
        self.shape = shape
        self.spatial = spatial_shape
        self.text = table.dtype("y").kind == "U"
        self.whole_type = table.dtype("y").kind in "biu"
        self.single = shape in ((), (1,))
        extra = len(shape) - len(spatial_shape)
        # An input of one position has no shape to recognise: (n, 1) is then one value per sample.
        self.dense = int(np.prod(spatial_shape)) > 1 and extra in (0, 1) and shape[extra:] == spatial_shape
        self.dense_outputs = shape[0] if extra == 1 else 1

    def binary(self) -> bool:
        """Whether all values that count are 0 or 1."""
        return not self.text and all(bool(np.isin(v, (0, 1)).all()) for v in counted_values(self.table))

    def whole(self) -> bool:
        """Whether all values that count are whole numbers, of whatever type."""
        if self.whole_type or self.text:
            return self.whole_type
        return all(bool((np.isfinite(v) & (np.floor(v) == v)).all()) for v in counted_values(self.table))

    def outputs(self, kind: TargetKind) -> int:
        if kind.is_dense:
            return self.dense_outputs
        return self.shape[0] if self.shape else 1

    def misfit(self, kind: TargetKind) -> str | None:
        """What a kind expects, if the targets are something else."""
        flat, place = len(self.shape) < 2, ", ".join(map(str, self.spatial))
        one = self.dense and self.dense_outputs == 1
        match kind:
            case TargetKind.CLASSES:
                fits = self.single and (self.text or self.whole())
                expected = "integers or strings of shape (n,)"
            case TargetKind.MULTI_LABEL:
                fits, expected = flat and self.binary(), "zeros and ones of shape (n, labels)"
            case TargetKind.REGRESSION:
                fits, expected = flat and not self.text, "numbers of shape (n,) or (n, values)"
            case TargetKind.DENSE_BINARY:
                fits, expected = one and self.binary(), f"zeros and ones of shape (n, {place})"
            case TargetKind.DENSE_CLASSES:
                fits, expected = one and self.whole(), f"integers of shape (n, {place})"
            case TargetKind.DENSE_REGRESSION:
                fits = self.dense and not self.text
                expected = f"numbers of shape (n, {place}) or (n, values, {place})"
        return None if fits else expected


def kind_near_misses(table: Table, spec: DataSpec) -> list[str]:
    """Targets that fit their kind, but look as if another were meant."""
    if spec.target_kind.is_dense:
        return []
    y = table.take(slice(None), ["y"])["y"]
    different = len(np.unique(y)) if y.ndim == 1 else 0
    if spec.target_kind is TargetKind.MULTI_LABEL and spec.outputs > 1 and (y.sum(axis=1) == 1).all():
        return ["every row of y has exactly one 1; for classes that exclude each other give y.argmax(axis=1)"]
    if spec.target_kind is TargetKind.REGRESSION and 0 < different <= 20 < len(y) and (np.floor(y) == y).all():
        return [f"y holds only {different} different whole numbers; if they are classes, use --target classes"]
    if spec.target_kind is TargetKind.CLASSES and y.dtype.kind in "iu" and different > max(20, len(y) // 5):
        return [f"y holds {different} different integers; if they are amounts, use --target regression"]
    return []
