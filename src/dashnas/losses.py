"""The loss that each kind of target is trained with; masked positions count nowhere."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dashnas.data.normalise import Normaliser
from dashnas.data.parts import Part
from dashnas.data.spec import Batch, DataSpec, TargetKind
from dashnas.errors import ConfigError

Loss = Callable[[Tensor, Batch], Tensor]
"""(output of the network, batch) to a scalar, the mean over samples or positions."""


def make_loss(spec: DataSpec, normaliser: Normaliser, *, metric_name: str, weights: Tensor | None = None) -> Loss:
    """The loss of a target kind.

    Cross-entropy for classes, binary cross-entropy on logits for labels and binary maps, mean squared error on
    normalised values for regression; and the relative L2 error of the decoded field itself where that is the
    metric of a dense regression.

    Args:
        spec: what the network gives.
        normaliser: decodes targets for the relative L2 error.
        metric_name: name of the metric that will judge the network.
        weights: (outputs,), the weight of each class, or of the positives of each label.
    """
    kind = spec.target_kind
    if kind is TargetKind.DENSE_REGRESSION and metric_name == "relative_l2":
        return lambda output, batch: _relative_l2(normaliser, output, batch)

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
        return _masked_mean(losses, batch.mask, share)

    return pointwise


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
    predicted, true = normaliser.decode_target(output), normaliser.decode_target(batch.y)
    if batch.mask is not None:
        inside = batch.mask.unsqueeze(1)
        predicted, true = torch.where(inside, predicted, 0.0), torch.where(inside, true, 0.0)
    error = (predicted - true).flatten(1).norm(dim=1)
    size = true.flatten(1).norm(dim=1)
    # As in the metric, a zero field has no relative error; decoding leaves a rounding error of its zeros.
    counts = size > 1e-6 * size.max()
    relative = torch.where(counts, error, 0.0) / torch.where(counts, size, 1.0)
    mean: Tensor = relative.sum() / counts.sum().clamp(min=1)
    return mean
