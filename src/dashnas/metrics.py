"""Metrics by name, computed over a whole set at once, each with its direction and the targets it fits.

A metric takes three arrays, as a network and a data set give them; `n` counts samples, `*s` is the spatial
shape:

| target kind      | predictions, the network's raw outputs | targets        |
|------------------|----------------------------------------|----------------|
| classes          | (n, classes) logits                    | (n,) integers  |
| multi-label      | (n, labels) logits                     | (n, labels)    |
| regression       | (n, values), original scale            | (n, values)    |
| dense-binary     | (n, 1, *s) logits                      | (n, 1, *s)     |
| dense-classes    | (n, classes, *s) logits                | (n, *s)        |
| dense-regression | (n, values, *s), original scale        | (n, values, *s)|

The mask is (n, *s), True where a position counts; None when every position counts. Masked positions count
nowhere, whatever stands there.

A network that diverged gives a bad score, never an exception: an output that is not finite counts as the
worst possible answer. Its class is wrong, its decision is wrong, it ranks below every negative or above every
positive, and its distance is infinite (R² is minus infinity). Nothing but lost outputs gives error 1, F1 and
AUROC 0, and a mean average precision at the base rate, since there all positives tie at the end.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil, floor, isfinite, isnan
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    roc_auc_score,
)

from dashnas.data.spec import TargetKind
from dashnas.errors import ConfigError, DataError, unknown_name
from dashnas.plain_json import plain_json

Compute = Callable[[np.ndarray, np.ndarray, np.ndarray | None], float]


class Answers(NamedTuple):
    """What a metric compares; shapes in the module's docstring."""

    predictions: np.ndarray
    targets: np.ndarray
    mask: np.ndarray | None


Fields = Mapping[str, np.ndarray]
"""Further values that travel with the samples, by name; each (n, ...)."""

Pool = Callable[[Answers, Fields], Answers]
"""(answers per sample, fields of the samples) to the answers that are scored, such as one per recording."""

CATEGORICAL = frozenset({TargetKind.CLASSES, TargetKind.MULTI_LABEL, TargetKind.DENSE_BINARY, TargetKind.DENSE_CLASSES})
NUMERICAL = frozenset({TargetKind.REGRESSION, TargetKind.DENSE_REGRESSION})

_INTERVAL = (0.025, 0.975)
# 200 resamples of a large dense set can take longer than its training; 20 still tell the order of the noise.
_RESAMPLED_VALUES = 50_000_000
_FEWEST_RESAMPLES = 20
_DEARER = 5
"""By as much fewer resamples are affordable for a choice, of which there are several in a run."""

FEWEST_WEIGHED = 10
"""Samples that evidence is drawn from; of fewer, draws with replacement differ too little."""

ENOUGH_CONFIDENCE = 0.9
"""How sure it must be that something is better than what was there before it, to take its place, where no more or less
is asked for."""


class UndefinedScoreError(DataError):
    """A metric that has no value on these targets, such as an AUROC where only one outcome occurs."""


@dataclass(frozen=True)
class Metric:
    """A number that says how good predictions are, and which way is up."""

    name: str
    """As on the command line and in result files."""
    higher_is_better: bool
    """The metric's direction."""
    kinds: frozenset[TargetKind]
    """The kinds of targets it fits."""
    compute: Compute
    """(predictions, targets, mask) to the value; shapes in the module's docstring."""
    pool: Pool | None = None
    """What comes before `compute` where the samples are parts of what is scored; None scores them as they are."""
    fields: tuple[str, ...] = ()
    """Fields of the samples that `pool` needs."""

    def is_better(self, a: float, b: float) -> bool:
        """Whether `a` is strictly better than `b`; NaN is worse than any number."""
        if isnan(a) or isnan(b):
            return not isnan(a)
        return a > b if self.higher_is_better else a < b


@dataclass(frozen=True)
class Score:
    """A metric's value on a set, with the 95 % interval that the set's size leaves it."""

    metric: str
    """Name of the metric."""
    value: float
    """On the whole set; infinite when the network diverged."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    samples: int
    """Size of the set."""
    also: Mapping[str, float] = field(default_factory=dict)
    """Values by further metrics, and on variants of the set; NaN where there is none."""

    def to_json(self) -> dict[str, Any]:
        """As plain values; JSON has no infinity, so that null stands for the score of a diverged network."""
        own = plain_json(asdict(self))
        return own if self.also else {name: value for name, value in own.items() if name != "also"}


def score(
    metric: Metric,
    predictions: np.ndarray,
    targets: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    seed: int = 0,
    resamples: int = 200,
) -> Score:
    """Compute a metric and its 95 % interval, by the percentile bootstrap over samples.

    Whole samples are drawn, since the positions of one sample are not independent. Draws on which the metric
    is undefined are left out. Where the percentiles miss the value itself (few samples, skewed metrics), the
    interval is widened to hold it. On very large sets fewer resamples are drawn: as many as come to 5e7
    predicted values, but 20 at least.

    Args:
        metric: from `get_metric`, or one's own.
        predictions: as in the module's docstring.
        targets: as in the module's docstring.
        mask: as in the module's docstring.
        seed: of the resampling; the same seed gives the same interval.
        resamples: how many sets are drawn; 0 gives an interval of no width.

    Raises:
        UndefinedScoreError: the metric has no value on these targets.
        DataError: shapes that do not fit each other.
    """
    value = metric.compute(predictions, targets, mask)
    most = min(resamples, _affordable(predictions.size))
    values = [value, *(drawn for (drawn,) in _resampled(metric, (predictions,), targets, mask, seed, most))]
    # Order statistics instead of np.quantile, whose interpolation makes NaN out of two infinities.
    ranked, last = sorted(values), len(values) - 1
    low, high = ranked[floor(_INTERVAL[0] * last)], ranked[ceil(_INTERVAL[1] * last)]
    return Score(metric=metric.name, value=value, low=min(low, value), high=max(high, value), samples=len(targets))


def confidence(
    metric: Metric,
    predictions: np.ndarray,
    rival: np.ndarray,
    targets: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    seed: int = 0,
    resamples: int = 200,
) -> float:
    """How sure it is that predictions are better than a rival's, 0 to 1, by the paired bootstrap over samples.

    The share of draws on which they are; a draw on which both are alike counts half. Draws are as in `score`. From
    fewer than 10 samples nothing is told: 0.5.

    Args:
        metric: from `get_metric`, or one's own.
        predictions: as in the module's docstring.
        rival: other predictions for the same samples.
        targets: as in the module's docstring.
        mask: as in the module's docstring.
        seed: of the resampling.
        resamples: how many sets are drawn; on large sets fewer, down to 20.

    Reference: Efron and Tibshirani 1993; Berg-Kirkpatrick et al. 2012, Section 3, for pairs of systems.
    """
    if len(targets) < FEWEST_WEIGHED:
        return 0.5
    most = min(resamples, _affordable(_DEARER * predictions.size))
    outcomes = [
        1.0 if metric.is_better(ours, theirs) else 0.0 if metric.is_better(theirs, ours) else 0.5
        for ours, theirs in _resampled(metric, (predictions, rival), targets, mask, seed, most)
    ]
    return float(np.mean(outcomes)) if outcomes else 0.5


def is_evidence(confidence: float | None, enough: float = ENOUGH_CONFIDENCE) -> bool:
    """Whether it is sure enough that something is better; None is nothing that was asked."""
    return confidence is not None and confidence >= enough


def _affordable(num_values: int) -> int:
    """How often so many predicted values may be drawn."""
    return max(_FEWEST_RESAMPLES, _RESAMPLED_VALUES // num_values)


def _resampled(
    metric: Metric,
    candidates: Sequence[np.ndarray],
    targets: np.ndarray,
    mask: np.ndarray | None,
    seed: int,
    resamples: int,
) -> Iterator[tuple[float, ...]]:
    """The metric's value of each candidate's predictions on samples drawn with replacement, the same for all.

    Draws on which the metric is undefined are left out.
    """
    generator = np.random.default_rng(seed)
    for _ in range(resamples):
        draw = generator.integers(len(targets), size=len(targets))
        drawn_mask = None if mask is None else mask[draw]
        try:
            values = tuple(metric.compute(p[draw], targets[draw], drawn_mask) for p in candidates)
        except UndefinedScoreError:
            continue
        yield values


def get_metric(name: str | None, kind: TargetKind) -> Metric:
    """Look a metric up by name; None gives the default of the target kind.

    Raises:
        ConfigError: no metric has this name, or it does not fit the target kind.
    """
    if name is None:
        return METRICS[DEFAULT_METRICS[kind]]
    if name not in METRICS:
        raise ConfigError(unknown_name("metric", name, METRICS))
    metric = METRICS[name]
    if kind not in metric.kinds:
        fitting = ", ".join(sorted(m.name for m in METRICS.values() if kind in m.kinds))
        raise ConfigError(f"metric {name!r} does not fit {kind.value} targets; these do: {fitting}")
    return metric


def error(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Fraction of wrong answers, 0 to 1: of samples or positions, or of single labels for yes/no targets."""
    outputs, answers = _positions(predictions, targets, mask)
    return float(np.mean(decisions(outputs, answers) != answers))


def macro_f1(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> float:
    """F1, averaged over the classes (or labels) that occur in the targets or in the decisions.

    For yes/no targets a label is on where its logit is above 0; a dense-binary map has one label, "yes".

    Raises:
        UndefinedScoreError: no label is on anywhere, neither in the targets nor in the decisions.
    """
    outputs, answers = _positions(predictions, targets, mask)
    decided = decisions(outputs, answers)
    if answers.ndim == 1:
        present = np.union1d(answers, decided[decided >= 0])
        return float(f1_score(answers, decided, labels=present, average="macro", zero_division=0.0))
    labels = np.flatnonzero(answers.any(axis=0) | decided.any(axis=0))
    if not len(labels):
        raise UndefinedScoreError("macro_f1 needs a label that is on somewhere; all targets and decisions are 0")
    return float(np.mean([f1_score(answers[:, i], decided[:, i], zero_division=0.0) for i in labels]))


def auroc(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Area under the ROC curve, averaged over labels; one class against the rest for class targets.

    Classes and labels with one outcome only (never on, or always on) have no area and are skipped.

    Raises:
        UndefinedScoreError: no class or label has both outcomes.
    """
    areas = [
        roc_auc_score(on, scores) for on, scores in _rankings(predictions, targets, mask) if on.any() and not on.all()
    ]
    if not areas:
        raise UndefinedScoreError(
            "auroc needs a class or label that occurs in some samples and not in others; "
            "here every one has a single outcome; use more samples or another metric"
        )
    return float(np.mean(areas))


def mean_average_precision(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Average precision (step-wise, not interpolated), averaged over the labels that occur.

    Labels that are on nowhere are skipped. For class targets each class is a label.

    Raises:
        UndefinedScoreError: no label occurs.
    """
    rankings = _rankings(predictions, targets, mask)
    precisions = [average_precision_score(on, scores) for on, scores in rankings if on.any()]
    if not precisions:
        raise UndefinedScoreError("map needs a label that is on somewhere; all targets are 0")
    return float(np.mean(precisions))


def relative_l2(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean over samples of ||target - prediction|| / ||target||, norms over all values that count.

    Samples whose target is zero wherever it counts have no such ratio and are skipped.

    Raises:
        UndefinedScoreError: every sample's target is zero or masked.

    Reference: the measure of the Darcy flow task, Li et al. 2021 (Fourier neural operator).
    """
    _check_shapes(predictions, targets, mask)
    counts = True if mask is None else np.expand_dims(mask, 1)
    truth = np.where(counts, targets, 0).astype(np.float64).reshape(len(targets), -1)
    guess = np.where(counts, predictions, 0).astype(np.float64).reshape(len(targets), -1)
    norms = np.linalg.norm(truth, axis=1)
    if not norms.any():
        raise UndefinedScoreError("relative_l2 needs targets that are not all zero; use mae or rmse")
    if not np.isfinite(guess).all():
        return np.inf
    with np.errstate(over="ignore"):
        distances = np.linalg.norm(truth - guess, axis=1)
        return float(np.mean(distances[norms > 0] / norms[norms > 0]))


def mae(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean absolute error over all values."""
    return _distance(mean_absolute_error, np.inf, *_positions(predictions, targets, mask))


def rmse(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Root of the mean squared error over all values, pooled before the root is taken."""
    return float(np.sqrt(_distance(mean_squared_error, np.inf, *_positions(predictions, targets, mask))))


def r2(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Coefficient of determination, averaged over the outputs whose targets vary; constant ones are skipped.

    Raises:
        UndefinedScoreError: every output's targets are constant.
    """
    outputs, answers = _positions(predictions, targets, mask)
    varying = np.ptp(answers, axis=0) > 0
    if not varying.any():
        raise UndefinedScoreError("r2 needs targets that vary; use mae or rmse")
    return _distance(r2_score, -np.inf, outputs[:, varying], answers[:, varying])


def _distance(
    function: Callable[[np.ndarray, np.ndarray], float],
    worst: float,
    outputs: np.ndarray,
    answers: np.ndarray,
) -> float:
    if not np.isfinite(outputs).all():
        return worst
    with np.errstate(over="ignore", invalid="ignore"):  # outputs near 1e200 have no finite square
        value = float(function(answers, outputs))
    return value if isfinite(value) else worst


def _check_shapes(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None) -> None:
    """Predictions are (n, outputs, *s); targets equal that shape, or lack the axis of outputs."""
    positions = (*predictions.shape[:1], *predictions.shape[2:])
    if predictions.ndim < 2 or targets.shape not in (predictions.shape, positions):
        raise DataError(
            f"predictions of shape {predictions.shape} do not fit targets of shape {targets.shape}; expected "
            "(samples, outputs, *spatial), and the same or (samples, *spatial) for classes"
        )
    if mask is not None and mask.shape != positions:
        raise DataError(f"the mask must have shape {positions}, samples by positions; got {mask.shape}")


def _positions(predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """All samples and positions that count, as one list.

    Returns:
        Outputs (positions, outputs) in float64; answers (positions,) for classes, else (positions, outputs).
    """
    _check_shapes(predictions, targets, mask)
    outputs = np.moveaxis(predictions, 1, -1).reshape(-1, predictions.shape[1])
    is_class_index = targets.ndim < predictions.ndim
    answers = targets.reshape(-1) if is_class_index else np.moveaxis(targets, 1, -1).reshape(outputs.shape)
    if mask is not None:
        outputs, answers = outputs[mask.reshape(-1)], answers[mask.reshape(-1)]
    if not len(answers):
        raise UndefinedScoreError("nothing to score: there are no samples, or every position is masked")
    return outputs.astype(np.float64), answers


def decisions(outputs: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Class indices, or yes/no per label, shaped like the answers; wrong wherever an output is not finite.

    Args:
        outputs: (positions, classes) or (positions, labels), logits.
        answers: (positions,) classes, or (positions, labels) of 0 and 1.
    """
    finite = np.isfinite(outputs)
    if answers.ndim == 1:
        return np.where(finite.all(axis=1), np.where(finite, outputs, 0).argmax(axis=1), -1)
    return np.where(finite, outputs > 0, answers == 0)


def _rankings(
    predictions: np.ndarray, targets: np.ndarray, mask: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Per class or label: where it is on, and scores that rank as its probability does; each (positions,)."""
    outputs, answers = _positions(predictions, targets, mask)
    finite = np.isfinite(outputs)
    if answers.ndim == 1:
        whole = np.broadcast_to(finite.all(axis=1, keepdims=True), outputs.shape)
        logits = np.where(finite, outputs, 0)
        for index in range(outputs.shape[1]):
            # Log-odds rank as softmax probabilities do, but do not saturate to ties at 1.
            rest = np.logaddexp.reduce(np.delete(logits, index, axis=1), axis=1)
            yield _worst_where_lost(answers == index, logits[:, index] - rest, whole[:, index])
    else:
        for index in range(outputs.shape[1]):
            yield _worst_where_lost(answers[:, index] > 0, outputs[:, index], finite[:, index])


def _worst_where_lost(on: np.ndarray, scores: np.ndarray, finite: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank positives without a finite score below everything, and negatives above everything."""
    if finite.all():
        return on, scores
    ranks = np.unique(np.where(finite, scores, 0), return_inverse=True)[1]
    return on, np.where(finite, ranks, np.where(on, -1, len(scores)))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("error", False, CATEGORICAL, error),
        Metric("macro_f1", True, CATEGORICAL, macro_f1),
        Metric("auroc", True, CATEGORICAL, auroc),
        Metric("map", True, CATEGORICAL, mean_average_precision),
        Metric("relative_l2", False, NUMERICAL, relative_l2),
        Metric("mae", False, NUMERICAL, mae),
        Metric("rmse", False, NUMERICAL, rmse),
        Metric("r2", True, NUMERICAL, r2),
    )
}
"""All metrics by name."""

DEFAULT_METRICS: dict[TargetKind, str] = {
    TargetKind.CLASSES: "error",
    TargetKind.MULTI_LABEL: "map",
    TargetKind.REGRESSION: "rmse",
    TargetKind.DENSE_BINARY: "auroc",
    TargetKind.DENSE_CLASSES: "error",
    TargetKind.DENSE_REGRESSION: "relative_l2",
}
"""What is optimised and reported unless `--metric` says otherwise."""
