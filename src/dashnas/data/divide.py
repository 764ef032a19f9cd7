"""A data set divided into its parts: those that were given, and the others cut from `x`."""

from collections.abc import Mapping

import numpy as np

from dashnas.data.config import DataConfig
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.split import Indices, split, split_groups
from dashnas.data.stack import StackedTable
from dashnas.data.tables import Array, Table, chunks
from dashnas.data.targets import class_codes, shape_targets


def divide(
    tables: Mapping[str, Table], spec: DataSpec, config: DataConfig, seed: int
) -> tuple[dict[str, Indices], str]:
    """Choose the samples of every part.

    Args:
        tables: by given part; what is not given is cut from the training table.
        spec: what the samples are; classes are cut in equal shares.
        config: how large the cut parts are.
        seed: the same seed cuts the same parts.

    Returns:
        Rows of every part in its own table or the training table, and in words how they came about.
    """
    given = {part: np.arange(len(table)) for part, table in tables.items()}
    wanted = {"validation": config.validation_fraction, "test": config.test_fraction}
    fractions = {part: share for part, share in wanted.items() if part not in given and share > 0}
    if not fractions:
        return given, "all given"
    table = tables["train"]
    strata, presence = _strata(table, spec)
    how = "at random" if spec.target_kind is not TargetKind.CLASSES else "each with its share of every class"
    if "group" in table.names:
        groups = table.take(slice(None), ["group"])["group"]
        cut = split_groups(strata, groups, fractions, seed=seed, presence=presence)
        how += f", {len(np.unique(groups))} groups kept whole"
    else:
        cut = split(strata, fractions, seed=seed, presence=presence)
    return given | cut, f"{' and '.join(fractions)} cut from x {how}, seed {seed}"


def _strata(table: Table, spec: DataSpec) -> tuple[Indices, Array | None]:
    """The class of each sample, or which classes each holds where that may be several."""
    zeros = np.zeros(len(table), np.int64)
    if spec.target_kind is TargetKind.CLASSES:
        assert spec.classes is not None
        y = table.take(slice(None), ["y"])["y"]
        return class_codes(y.reshape(len(y)), spec.classes), None
    if spec.target_kind.is_regression:
        return zeros, None
    names = [name for name in ("y", "mask") if name in table.names]
    present = [_present(piece["y"], piece.get("mask"), spec) for _, piece in chunks(table, names)]
    return zeros, np.concatenate(present)


def _present(y: Array, mask: Array | None, spec: DataSpec) -> Array:
    """Labels that hold, or classes that occur where they count; (batch, outputs), two for a binary map."""
    keep = None if mask is None else mask.astype(bool)
    shaped = shape_targets(y, keep, spec)
    if spec.target_kind is TargetKind.MULTI_LABEL:
        return shaped.astype(bool)
    binary = spec.target_kind is TargetKind.DENSE_BINARY
    codes = shaped[:, 0].astype(np.int64) if binary else shaped
    sample = np.broadcast_to(np.arange(len(y)).reshape(-1, *(1,) * spec.spatial_dims), codes.shape)
    present = np.zeros((len(y), 2 if binary else spec.outputs), bool)
    present[(sample, codes) if keep is None else (sample[keep], codes[keep])] = True
    return present


def join_development(tables: Mapping[str, Table], rows: Mapping[str, Indices], spec: DataSpec) -> tuple[Table, Indices]:
    """Training and validation samples as rows of one table; given parts are stacked, not copied."""
    if "validation" not in tables:
        return tables["train"], np.concatenate([rows["train"], rows["validation"]])
    stacked = StackedTable([tables["train"], tables["validation"]], spec.spatial_shape)
    return stacked, np.concatenate([rows["train"], rows["validation"] + len(tables["train"])])
