"""Predictions and scores of a trained network, on the original scale of the targets and over a whole part."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from dashnas.data.normalise import Normaliser
from dashnas.data.parts import Part, SealedTest
from dashnas.data.spec import TargetKind
from dashnas.errors import is_out_of_memory
from dashnas.lengths import network_outputs
from dashnas.metrics import Answers, Metric, Score, UndefinedScoreError, confidence, decisions, score
from dashnas.precision import widened
from dashnas.protocol_metrics import pooled

COUNT_MISTAKES = ("error", "error_pct", "macro_f1", "1-macro_f1")
"""Metrics of classes, up to an `@`, under which a sample is right or wrong; others go by the order of samples."""


def predict(
    network: nn.Module, inputs: Iterable[tuple[Tensor, Tensor | None]], normaliser: Normaliser, device: torch.device
) -> np.ndarray:
    """The network's outputs, regression values decoded to their original scale.

    Args:
        network: takes (batch, channels, *spatial), and lengths where there are any.
        inputs: batches of normalised inputs, each with its lengths, (batch,), or None.
        normaliser: decodes regression values; leaves logits as they are.
        device: where to compute.

    Returns:
        (samples, outputs) or (samples, outputs, *spatial); float32, of regression float64, since a scale with a
        large mean and a small spread does not fit into less.
    """
    network.to(device).eval()
    with torch.inference_mode():
        there = ((x.to(device), None if lengths is None else lengths.to(device)) for x, lengths in inputs)
        outputs = [normaliser.decode_target(widened(_forward(network, x, lengths))).cpu() for x, lengths in there]
    return torch.cat(outputs).numpy()


def _forward(network: nn.Module, x: Tensor, lengths: Tensor | None) -> Tensor:
    """A network's outputs, of half the samples at a time for as long as memory runs out."""
    try:
        return network_outputs(network, x, lengths)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error) or len(x) == 1:
            raise
    halves = zip(x.tensor_split(2), (None, None) if lengths is None else lengths.tensor_split(2), strict=True)
    return torch.cat([_forward(network, half, half_lengths) for half, half_lengths in halves])


def validate(network: nn.Module, part: Part, metric: Metric, *, batch_size: int, device: torch.device) -> float:
    """The metric's value of a network on a part, without an interval."""
    return value_of(metric, predict_part(network, part, batch_size, device), part)


def value_of(metric: Metric, predictions: np.ndarray, part: Part) -> float:
    """The metric's value of predictions for a part, without an interval."""
    return metric.compute(*_answers(metric, predictions, part))


def right_answers(part: Part) -> np.ndarray:
    """Predictions for a part that are right everywhere: numbers as they are, logits of +1 or -1."""
    targets, spec = part.targets(), part.spec
    if spec.target_kind.is_regression:
        return targets
    if spec.target_kind in (TargetKind.CLASSES, TargetKind.DENSE_CLASSES):
        logits = 2 * np.eye(spec.outputs, dtype=np.float32) - 1
        return np.moveaxis(logits[targets], -1, 1)
    return 2 * targets - 1


def hoped_for(metric: Metric, predictions: np.ndarray, part: Part) -> np.ndarray:
    """The best that another network may be hoped to predict: a third of the mistakes put right, rounded down.

    That is of classes, under metrics that count mistakes; else all are. On all five tasks of NAS-Bench-360 that tell
    classes the searched network has more than two thirds of the errors of the untouched one.

    Args:
        metric: what tells which predictions are better.
        predictions: of the network that is to be beaten.
        part: what they are for.

    Reference: Shen et al. 2022, Table 2.
    """
    right = right_answers(part)
    if part.spec.target_kind is not TargetKind.CLASSES or metric.name.partition("@")[0] not in COUNT_MISTAKES:
        return right
    targets = part.targets()
    mistakes = np.flatnonzero(decisions(predictions, targets) != targets)
    better = predictions.copy()
    # Every third one, so that they are from all over the part.
    better[mistakes[2::3]] = right[mistakes[2::3]]
    return better


def confidence_of(metric: Metric, predictions: np.ndarray, rival: np.ndarray, part: Part) -> float:
    """How sure it is that predictions for a part are better than a rival's; see `dashnas.metrics.confidence`."""
    ours, theirs = (_answers(metric, answers, part) for answers in (predictions, rival))
    return confidence(metric, ours.predictions, theirs.predictions, ours.targets, ours.mask)


def refuse_undefined(metric: Metric, part: Part) -> None:
    """Make sure that a metric has a value on a part, whatever the predictions.

    Raises:
        UndefinedScoreError: it has none, such as an AUROC where only one outcome occurs.
        ConfigError: it needs a field that the samples do not have.
    """
    kind, targets = part.spec.target_kind, part.targets()
    by_class = kind in (TargetKind.CLASSES, TargetKind.DENSE_CLASSES)
    shape = (len(targets), part.spec.outputs, *targets.shape[1:]) if by_class else targets.shape
    metric.compute(*pooled(metric, Answers(np.zeros(shape, np.float32), targets, part.mask()), part.fields))


def final_scores(
    networks: dict[str, nn.Module],
    test: SealedTest,
    metric: Metric,
    *,
    batch_size: int,
    device: torch.device,
    also: Sequence[Metric] = (),
) -> dict[str, Score]:
    """Open the test part, once everything is chosen, and score each network on it; see `final_score`."""

    def score_of(network: nn.Module) -> Score:
        return final_score(lambda part: predict_part(network, part, batch_size, device), test, metric, also)

    return {name: score_of(network) for name, network in networks.items()}


def final_score(
    predict: Callable[[Part], np.ndarray], test: SealedTest, metric: Metric, also: Sequence[Metric] = ()
) -> Score:
    """Open the test part, once everything is chosen, and score a model on it with a 95 % interval.

    The values of further metrics come with it, and the metric's own on each variant of the test part, under such a name
    as `1-auroc@clean-sky`; what has no value there is NaN.

    Args:
        predict: gives the predictions for a part, as `dashnas.metrics` takes them.
        test: the sealed part.
        metric: what is measured.
        also: further metrics, told beside it.

    Raises:
        UndefinedScoreError: the metric has no value on the test part.
    """
    part = test.open()
    predictions = predict(part)
    others = {other.name: _value_if_any(other, predictions, part) for other in also}
    variants = {
        f"{metric.name}@{name}": _value_if_any(metric, predict(variant), variant)
        for name, variant in test.open_variants().items()
    }
    return replace(score(metric, *_answers(metric, predictions, part)), also=others | variants)


def _value_if_any(metric: Metric, predictions: np.ndarray, part: Part) -> float:
    try:
        return value_of(metric, predictions, part)
    except UndefinedScoreError:
        return np.nan


def _answers(metric: Metric, predictions: np.ndarray, part: Part) -> Answers:
    """What the metric compares on a part."""
    return pooled(metric, Answers(predictions, part.targets(), part.mask()), part.fields)


def predict_part(network: nn.Module, part: Part, batch_size: int, device: torch.device) -> np.ndarray:
    """The network's outputs on a whole part, as `dashnas.metrics` takes them."""
    inputs = ((batch.x, batch.lengths) for batch in part.batches(batch_size, device))
    return predict(network, inputs, part.normaliser, device)
