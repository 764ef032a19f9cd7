"""The loss that each kind of target is trained with; masked positions count nowhere."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dashnas.data.normalise import Normaliser
from dashnas.data.parts import Part
from dashnas.data.spec import Batch, DataSpec, TargetKind
from dashnas.errors import ConfigError


def num_samples(batch: Batch) -> Tensor:
    """What a mean over samples divides by."""
    return torch.tensor(len(batch.x))


@dataclass(frozen=True)
class Loss:
    """A loss that is the mean over samples or positions, and what that mean divides by."""

    mean: Callable[[Tensor, Batch], Tensor]
    """(output of the network, batch) to a scalar."""
    weight: Callable[[Batch], Tensor] = num_samples
    """How much a batch counts beside others: the mean over several is that of their means, weighted by this."""

    def __call__(self, output: Tensor, batch: Batch) -> Tensor:
        """The mean over a batch."""
        return self.mean(output, batch)


def make_loss(
    spec: DataSpec,
    normaliser: Normaliser,
    *,
    metric_name: str,
    weights: Tensor | None = None,
    scale: float = 1.0,
) -> Loss:
    """The loss of a target kind.

    Cross-entropy for classes, binary cross-entropy on logits for labels and binary maps, mean squared error on
    normalised values for regression; and the relative L2 error of the decoded field itself where that is the
    metric of a dense regression.

    Args:
        spec: what the network gives.
        normaliser: decodes targets for the relative L2 error.
        metric_name: name of the metric that will judge the network.
        weights: (outputs,), the weight of each class, or of the positives of each label.
        scale: what the mean is multiplied by.
    """
    kind = spec.target_kind
    if kind is TargetKind.DENSE_REGRESSION and metric_name.partition("@")[0] == "relative_l2":
        return Loss(
            lambda output, batch: scale * _relative_l2(normaliser, output, batch),
            lambda batch: (_sizes(normaliser, batch) > 0).sum(),
        )

    def pointwise(output: Tensor, batch: Batch) -> Tensor:
        w = None if weights is None else weights.to(output)
        if kind in (TargetKind.CLASSES, TargetKind.DENSE_CLASSES):
            losses = F.cross_entropy(output, batch.y, weight=w, reduction="none")
            share = None if w is None else w[batch.y]
        elif kind.is_regression:
            losses, share = F.mse_loss(output, batch.y, reduction="none"), None
        else:
            shaped = None if w is None else w.view(-1, *(1,) * (output.dim() - 2))
            losses, share = (
                F.binary_cross_entropy_with_logits(output, batch.y, pos_weight=shaped, reduction="none"),
                None,
            )
        return scale * _masked_mean(losses, batch.mask, share)

    def weight(batch: Batch) -> Tensor:
        if weights is None or kind not in (TargetKind.CLASSES, TargetKind.DENSE_CLASSES):
            return num_samples(batch) if batch.mask is None else batch.mask.sum()
        share = weights.to(batch.y.device)[batch.y]
        return (share if batch.mask is None else share * batch.mask).sum()

    return Loss(pointwise, weight)


def class_weights(setting: str | tuple[float, ...] | None, part: Part) -> Tensor | None:
    """The weights of the classes, or of the positives of each label.

    Args:
        setting: "balanced" weights each class by the inverse of its frequency (mean 1), and the positives of each
            label by negatives / positives; numbers are taken as they are.
        part: the training part.

    Raises:
        ConfigError: a target kind without classes, a wrong number of weights, or weights below 0.
    """
    if setting is None:
        return None
    kind, outputs = part.spec.target_kind, part.spec.outputs
    if kind.is_regression:
        raise ConfigError(f"class weights need classes or labels, but the targets are {kind.value}")
    if not isinstance(setting, str):
        if len(setting) != outputs:
            raise ConfigError(f"{len(setting)} class weights were given, but there are {outputs} classes or labels")
        if not all(math.isfinite(w) and w >= 0 for w in setting) or not any(setting):
            raise ConfigError(f"class weights must be finite and not negative, one of them above 0; got {setting}")
        return torch.tensor(setting, dtype=torch.float32)
    if setting != "balanced":
        raise ConfigError(f"class weights must be 'balanced' or numbers, got {setting!r}")
    counts = part.class_counts()
    assert counts is not None
    if counts.ndim == 1:
        balanced = counts.sum() / (outputs * np.maximum(counts, 1))
    else:
        negatives, positives = counts.T
        balanced = negatives / np.maximum(positives, 1)
    return torch.tensor(balanced, dtype=torch.float32)


def _masked_mean(losses: Tensor, mask: Tensor | None, share: Tensor | None) -> Tensor:
    """Mean of the losses where the mask is set; with class weights, weighted by them as in PyTorch."""
    if mask is not None:
        if losses.dim() > mask.dim():
            mask = mask.unsqueeze(1)
        # Not a product: 0 * inf is not 0.
        losses = torch.where(mask, losses, 0.0)
        counts = mask.expand_as(losses) if share is None else mask * share
    else:
        counts = torch.ones_like(losses) if share is None else share
    return losses.sum() / counts.sum().to(losses).clamp(min=torch.finfo(losses.dtype).tiny)


def _relative_l2(normaliser: Normaliser, output: Tensor, batch: Batch) -> Tensor:
    error = _inside(normaliser.decode_target(output) - normaliser.decode_target(batch.y), batch).flatten(1).norm(dim=1)
    size = _sizes(normaliser, batch)
    # As in the metric, a zero field has no relative error.
    counts = size > 0
    relative = torch.where(counts, error, 0.0) / torch.where(counts, size, 1.0)
    mean: Tensor = relative.sum() / counts.sum().clamp(min=1)
    return mean


def _sizes(normaliser: Normaliser, batch: Batch) -> Tensor:
    """The norm of each true field, (batch,); 0 where it is none beside a field as large as in training is usual.

    Decoding leaves a rounding error of a zero field. What it is compared with is no other field of the batch, so that
    a sample counts or not whatever stands beside it.
    """
    size = _inside(normaliser.decode_target(batch.y), batch).flatten(1).norm(dim=1)
    positions = math.prod(batch.y.shape[2:]) if batch.mask is None else batch.mask.flatten(1).sum(dim=1)
    return torch.where(size > 1e-6 * normaliser.usual_target * positions**0.5, size, 0.0)


def _inside(field: Tensor, batch: Batch) -> Tensor:
    return field if batch.mask is None else torch.where(batch.mask.unsqueeze(1), field, 0.0)
