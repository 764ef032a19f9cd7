"""The normaliser of a training part, from one look through it."""

import numpy as np

from dashnas.data.normalise import Normaliser
from dashnas.data.series import real_positions
from dashnas.data.spec import DataSpec
from dashnas.data.split import Indices
from dashnas.data.statistics import Floats, Moments
from dashnas.data.tables import Table, chunks
from dashnas.data.targets import shape_targets
from dashnas.errors import DataError


def fit_normaliser(table: Table, rows: Indices, spec: DataSpec, *, impute: bool) -> tuple[Normaliser, list[str]]:
    """Means and standard deviations of inputs, and of targets to regress, over the training samples alone.

    Args:
        table: where the samples are.
        rows: the training samples.
        spec: what they are.
        impute: whether inputs may hold NaN and infinity, which are then left out here, as padding always is.

    Returns:
        The normaliser, and warnings about what is constant.

    Raises:
        DataError: nothing varies, or a channel has no finite value, or values are too large for their square.
    """
    inputs = Moments(spec.channels)
    names = ["x", "lengths"] if spec.unequal_lengths else ["x"]
    for _, piece in chunks(table, names, rows):
        x = piece["x"].reshape(len(piece["x"]), spec.channels, *spec.spatial_shape)
        counts = np.isfinite(x) if impute and x.dtype.kind == "f" else None
        if spec.unequal_lengths:
            real = real_positions(piece["lengths"], x.shape[-1])[:, None]
            counts = real if counts is None else counts & real
        inputs.add(x, counts)
    if len(empty := np.flatnonzero(inputs.count == 0)):
        raise DataError(f"channel {empty[0]} of x has no finite value in the training part; take it out")
    _check_range(inputs, "x")
    if inputs.constant.all():
        raise DataError("x is constant in every channel, so there is nothing to learn from; check how it was made")
    warnings = _constant(inputs, "channels", "x")
    mean, std = _plain(inputs.mean), _plain(inputs.std)
    if not spec.target_kind.is_regression:
        return Normaliser(input_mean=mean, input_std=std), warnings
    targets = _target_moments(table, rows, spec)
    warnings += _constant(targets, "outputs", "y")
    normaliser = Normaliser(
        input_mean=mean, input_std=std, target_mean=_plain(targets.mean), target_std=_plain(targets.std)
    )
    return normaliser, warnings


def _target_moments(table: Table, rows: Indices, spec: DataSpec) -> Moments:
    targets = Moments(spec.outputs)
    names = [name for name in ("y", "mask") if name in table.names]
    for _, piece in chunks(table, names, rows):
        mask = piece["mask"].astype(bool) if "mask" in piece else None
        targets.add(shape_targets(piece["y"], mask, spec), None if mask is None else mask[:, None])
    if not targets.count.any():
        raise DataError("the mask leaves no target that counts in the training part; 1 is where a target counts")
    _check_range(targets, "y")
    if targets.constant.all():
        raise DataError(f"y is {targets.mean[0]:g} everywhere in the training part, so there is nothing to learn")
    return targets


def _check_range(moments: Moments, key: str) -> None:
    if not (np.isfinite(moments.mean).all() and np.isfinite(moments.std).all()):
        raise DataError(f"{key} holds values too large to take their variance; expected below 1e150, so rescale it")


def _constant(moments: Moments, what: str, key: str) -> list[str]:
    places = np.flatnonzero(moments.constant)
    if not len(places):
        return []
    shown = ", ".join(map(str, places[:10])) + (", ..." if len(places) > 10 else "")
    return [f"{len(places)} of {len(moments.mean)} {what} of {key} are constant in the training part: {shown}"]


def _plain(values: Floats) -> tuple[float, ...]:
    return tuple(values.tolist())
