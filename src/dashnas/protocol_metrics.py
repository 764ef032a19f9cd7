"""Metrics of the named protocols: errors in the units of the papers' tables, and what the public codes compute.

All are errors, lower is better. Those with `@batch` in their name are means over batches of that size with equal
weight, as the public codes have them; a last batch that is smaller weighs as much as a full one. The order of a loader
that shuffles is drawn here from a fixed seed.
"""

from collections.abc import Callable, Mapping

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.errors import ConfigError
from dashnas.metrics import (
    CATEGORICAL,
    METRICS,
    NUMERICAL,
    Answers,
    Compute,
    Metric,
    Pool,
    UndefinedScoreError,
    auroc,
    error,
    get_metric,
    macro_f1,
    mean_average_precision,
    relative_l2,
)

Fields = Mapping[str, np.ndarray]

_BINARY = frozenset({TargetKind.DENSE_BINARY})
_CLASSES = frozenset({TargetKind.CLASSES})
_LABELS = frozenset({TargetKind.MULTI_LABEL})
_MAPS = frozenset({TargetKind.DENSE_REGRESSION})

FAR_APART = 24
"""Residues between two of a chain from which on their distance counts in MAE_8."""
NEAR = 8.0
"""Largest true distance that counts in MAE_8, in Angstrom."""
LOWEST_DISTANCE = 0.01
"""Predictions below are raised to this, in Angstrom."""
PADDING = 5
"""Cells around a map of distances."""


def complement(compute: Compute, scale: float = 1.0) -> Compute:
    """1 - compute, so that lower is better."""
    return lambda predictions, targets, mask: scale * (1 - compute(predictions, targets, mask))


def error_pct(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Wrong answers in percent."""
    return 100 * error(predictions, targets, mask)


def per_batch(compute: Compute, batch_size: int, *, shuffled: bool = False) -> Compute:
    """The mean of a metric over consecutive batches.

    Args:
        compute: the metric.
        batch_size: samples of a batch.
        shuffled: whether the samples are brought into an order that is always the same, but not theirs.
    """

    def mean(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None) -> float:
        n = len(targets)
        order = np.random.RandomState(0).permutation(n) if shuffled else np.arange(n)
        batches = [order[start : start + batch_size] for start in range(0, n, batch_size)]
        return float(np.mean([compute(predictions[b], targets[b], None if mask is None else mask[b]) for b in batches]))

    return mean


def rates(
    predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None, threshold: float
) -> tuple[float, float]:
    """Shares of the positives that are missed and of the negatives that are not, over all positions that count.

    Args:
        predictions: logits.
        targets: 0 and 1.
        mask: where a position counts.
        threshold: logit above which an answer is yes; one that is not finite is a wrong answer.

    Raises:
        UndefinedScoreError: there is no positive, or no negative.
    """
    counted = np.ones(targets.shape, bool) if mask is None else np.broadcast_to(mask[:, None], targets.shape)
    logits, on = predictions[counted], targets[counted] > 0
    if not on.any() or on.all():
        raise UndefinedScoreError("balanced errors need positions of both kinds, positive and negative")
    yes = np.where(np.isfinite(logits), logits > threshold, ~on)
    return float(np.mean(~yes[on])), float(np.mean(yes[~on]))


def balanced_error(threshold: float) -> Compute:
    """(false negative rate + false positive rate) / 2 of the answers above a logit.

    It is 1 - the area under the ROC curve of these hard answers.
    """
    return lambda predictions, targets, mask: sum(rates(predictions, targets, mask, threshold)) / 2


def false_negative_rate(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Share of the positives whose probability is not above one half."""
    return rates(predictions, targets, mask, 0.0)[0]


def by_record(answers: Answers, fields: Fields) -> Answers:
    """One answer per recording: what most of its windows say; where two are level, the one that was said first.

    Args:
        answers: per window; predictions (windows, classes), targets (windows,).
        fields: `record`, which recording a window is from.

    Returns:
        Predictions are 1 for the class that won and 0 else; recordings are in order of their first window.
    """
    finite = np.isfinite(answers.predictions).all(axis=1)
    said = np.where(finite, np.nan_to_num(answers.predictions).argmax(axis=1), -1)  # a diverged network says nothing
    first, member = _in_order(fields["record"])
    votes = np.full((len(first), answers.predictions.shape[1]), np.nan)
    for record, windows in enumerate(_members(member, len(first))):
        classes, when, count = np.unique(said[windows], return_index=True, return_counts=True)
        winner = classes[np.lexsort((when, -count))[0]]
        if winner >= 0:
            votes[record] = np.arange(votes.shape[1]) == winner
    return Answers(votes, answers.targets[first], None)


def by_clip(answers: Answers, fields: Fields) -> Answers:
    """One answer per clip: the mean of the logits of its chunks, before any sigmoid.

    Args:
        answers: per chunk; predictions and targets (chunks, labels).
        fields: `clip`, which clip a chunk is from.
    """
    first, member = _in_order(fields["clip"])
    sums = np.zeros((len(first), answers.predictions.shape[1]))
    np.add.at(sums, member, answers.predictions)
    return Answers(sums / np.bincount(member)[:, None], answers.targets[first], None)


def _in_order(names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row of each name, in order of appearance; and for each row which of these it belongs to."""
    _, first, member = np.unique(names, return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))
    return np.sort(first), place[member]


def _members(member: np.ndarray, groups: int) -> list[np.ndarray]:
    """The rows of each group, in order."""
    order = np.argsort(member, kind="stable")
    return np.split(order, np.cumsum(np.bincount(member, minlength=groups))[:-1])


Lengths = Callable[[np.ndarray], np.ndarray]
"""From the true number of residues of each protein to the one that its map is cut to."""


def distance_maps(*, upper_weight: float = 0.5, lengths: Lengths | None = None) -> Pool:
    """Pairs of residues whose distance counts in MAE_8, with the two predictions of each pair averaged.

    Args:
        upper_weight: of the prediction above the diagonal; the other one has the rest. The public codes average twice
            in place, which comes to 0.25.
        lengths: what the public codes mistake the lengths for; None takes the true ones.
    """

    def pool(answers: Answers, fields: Fields) -> Answers:
        true = fields["length"].astype(np.int64)
        cut = true if lengths is None else lengths(true)
        maps = np.maximum(answers.predictions, LOWEST_DISTANCE)  # keeps NaN
        mixed = upper_weight * maps + (1 - upper_weight) * np.swapaxes(maps, -1, -2)
        rows, columns = np.indices(answers.targets.shape[2:]) - PADDING
        counts = (rows >= 0) & (columns - rows >= FAR_APART)
        mask = counts & (columns < cut[:, None, None]) & (answers.targets[:, 0] <= NEAR)
        return Answers(mixed, answers.targets, mask)

    return pool


def stitched(pool: Pool) -> Pool:
    """Put maps that were predicted in square tiles together first.

    The samples are tiles, row by row, all of a map after each other; the field `id` says which map a tile is from.
    """

    def whole(answers: Answers, fields: Fields) -> Answers:
        first, _ = _in_order(fields["id"])
        per_map = len(fields["id"]) // len(first)
        side = round(per_map**0.5)
        predictions, targets = (_stitch(tiles, side) for tiles in (answers.predictions, answers.targets))
        return pool(Answers(predictions, targets, None), {name: values[first] for name, values in fields.items()})

    return whole


def _stitch(tiles: np.ndarray, side: int) -> np.ndarray:
    """(maps * side * side, channels, size, size) to (maps, channels, side * size, side * size)."""
    channels, size = tiles.shape[1], tiles.shape[2]
    grid = tiles.reshape(-1, side, side, channels, size, size).transpose(0, 3, 1, 4, 2, 5)
    return grid.reshape(-1, channels, side * size, side * size)


def mean_of_means(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> float:
    """The mean absolute error of each sample where its mask counts, averaged over those where it counts somewhere.

    Raises:
        UndefinedScoreError: the mask counts nowhere.
    """
    errors = _mean_errors(predictions, targets, mask)
    if np.isnan(errors).all():
        raise UndefinedScoreError(
            f"mae8 needs a protein with two residues that are at least {FAR_APART} apart in the chain and at most "
            f"{NEAR:g} Angstrom in space"
        )
    return float(np.nanmean(errors))


def mean_of_pairs_of_means(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> float:
    """The same, averaged over batches of two first; a batch in which nothing counts makes it infinite."""
    errors = _mean_errors(predictions, targets, mask)
    batches = [errors[start : start + 2] for start in range(0, len(errors), 2)]
    return float(np.mean([np.inf if np.isnan(batch).all() else np.nanmean(batch) for batch in batches]))


def _mean_errors(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The mean absolute error of each sample; infinite where a prediction is not finite, NaN where nothing counts."""
    means = np.full(len(targets), np.nan)
    for i in range(len(targets)):
        counted = np.ones(targets.shape[2:], bool) if mask is None else mask[i]
        if counted.any():
            distances = np.abs(predictions[i, 0][counted].astype(np.float64) - targets[i, 0][counted])
            means[i] = distances.mean() if np.isfinite(distances).all() else np.inf
    return means


def _of_first_two(lengths: np.ndarray) -> np.ndarray:
    return lengths[np.arange(len(lengths)) % min(2, len(lengths))]


def _shuffled(lengths: np.ndarray) -> np.ndarray:
    return lengths[np.random.RandomState(0).permutation(len(lengths))]


HALF = 0.0
"""The logit of probability one half."""

_PLAIN = (
    Metric("error_pct", False, CATEGORICAL, error_pct),
    Metric("1-macro_f1", False, CATEGORICAL, complement(macro_f1)),
    Metric("1-auroc", False, CATEGORICAL, complement(auroc)),
    Metric("1-map", False, CATEGORICAL, complement(mean_average_precision)),
    Metric("bal_err@p0.5", False, _BINARY, balanced_error(HALF)),
    Metric("bal_err@logit0.5", False, _BINARY, balanced_error(0.5)),
    Metric("fnr@p0.5", False, _BINARY, false_negative_rate),
)
_PER_BATCH = (
    *(Metric(f"error_pct@batch{n}", False, _CLASSES, per_batch(error_pct, n)) for n in (64, 128, 256)),
    Metric("1-macro_f1@batch1024", False, _CLASSES, per_batch(complement(macro_f1), 1024, shuffled=True)),
    Metric("1-auroc@batch512", False, _LABELS, per_batch(complement(auroc), 512, shuffled=True)),
    Metric("fnr@p0.5@batch4", False, _BINARY, per_batch(false_negative_rate, 4)),
    Metric("relative_l2@batch8", False, NUMERICAL, per_batch(relative_l2, 8)),
)
_POOLED = (
    Metric("1-macro_f1@record", False, _CLASSES, complement(macro_f1), by_record, ("record",)),
    Metric("1-map@clip", False, _LABELS, complement(mean_average_precision), by_clip, ("clip",)),
    Metric("mae8", False, _MAPS, mean_of_means, distance_maps(), ("length",)),
    Metric(
        "mae8@dash-official",
        False,
        _MAPS,
        mean_of_pairs_of_means,
        distance_maps(upper_weight=0.25, lengths=_of_first_two),
        ("length",),
    ),
    Metric(
        "mae8@nb360-official",
        False,
        _MAPS,
        mean_of_means,
        stitched(distance_maps(upper_weight=0.25, lengths=_shuffled)),
        ("length", "id"),
    ),
)

PROTOCOL_METRICS: dict[str, Metric] = {metric.name: metric for metric in (*_PLAIN, *_PER_BATCH, *_POOLED)}
"""By name; beside `dashnas.metrics.METRICS`, which any data can be scored by."""


def find_metric(name: str | None, kind: TargetKind) -> Metric:
    """A metric of either registry; None gives the default of the target kind.

    Raises:
        ConfigError: no metric has this name, or it does not fit the target kind.
    """
    if name not in PROTOCOL_METRICS:
        return get_metric(name, kind)
    metric = PROTOCOL_METRICS[name]
    if kind not in metric.kinds:
        fitting = ", ".join(sorted(m.name for m in (*METRICS.values(), *_PLAIN) if kind in m.kinds))
        raise ConfigError(f"metric {name!r} does not fit {kind.value} targets; these do: {fitting}")
    return metric


def pooled(metric: Metric, answers: Answers, fields: Fields) -> Answers:
    """What a metric compares.

    Raises:
        ConfigError: it needs a field that the samples do not have.
    """
    if metric.pool is None:
        return answers
    if missing := [name for name in metric.fields if name not in fields]:
        raise ConfigError(
            f"metric {metric.name!r} needs a field {missing[0]!r} beside x and y, one value per sample; "
            "it belongs to a task that has one, so choose another metric for other data"
        )
    return metric.pool(answers, fields)
