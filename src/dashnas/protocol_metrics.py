"""Metrics of the named protocols: errors in the units of the papers' tables, and what the public codes compute.

All are errors, lower is better. Those with `@batch` in their name are means over batches of that size with equal
weight, as the public codes have them; a last batch that is smaller weighs as much as a full one. The order of a loader
that shuffles is drawn here from a fixed seed.
"""

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.errors import ConfigError
from dashnas.mae8 import (
    distance_maps,
    mean_of_means,
    mean_of_pairs_of_means,
    of_first_two,
    shuffled_lengths,
    stitched,
)
from dashnas.metrics import (
    CATEGORICAL,
    METRICS,
    NUMERICAL,
    Answers,
    Compute,
    Fields,
    Metric,
    UndefinedScoreError,
    auroc,
    error,
    get_metric,
    macro_f1,
    mean_average_precision,
    relative_l2,
)

_BINARY = frozenset({TargetKind.DENSE_BINARY})
_CLASSES = frozenset({TargetKind.CLASSES})
_LABELS = frozenset({TargetKind.MULTI_LABEL})
_MAPS = frozenset({TargetKind.DENSE_REGRESSION})


HALF = 0.0
"""The logit of probability one half."""


def complement(compute: Compute) -> Compute:
    """1 - compute, so that lower is better."""
    return lambda predictions, targets, mask: 1 - compute(predictions, targets, mask)


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
    return rates(predictions, targets, mask, HALF)[0]


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
        distance_maps(upper_weight=0.25, lengths=of_first_two),
        ("length",),
    ),
    Metric(
        "mae8@nb360-official",
        False,
        _MAPS,
        mean_of_means,
        stitched(distance_maps(upper_weight=0.25, lengths=shuffled_lengths)),
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
