"""Whether a head that keeps positions pays: linear probes of what the last layer of a trained network sees."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from dashnas.backbones.heads import PointHead, cell_means
from dashnas.data.parts import Part
from dashnas.data.spec import DataSpec
from dashnas.evaluate import confidence_of, predict_part, right_answers, value_of
from dashnas.metrics import Metric, is_evidence

CELLS = {1: (8,), 2: (4, 4)}
"""The grid to try, by the number of spatial axes."""

MOST_FITTED, MOST_SCORED = 2000, 10_000
"""Samples of the training part that a probe is fitted to, and of the validation part that it is scored on."""

SURE = 0.95
"""How sure it must be that the grid is better. Where positions tell something, probes mostly are; where they tell
nothing, one in twelve is 90 % sure all the same (docs/search-quality.md)."""

PENALTIES = np.logspace(-2, 5, 15)
"""To choose from by leave-one-out, on standardised features."""


@dataclass(frozen=True)
class HeadProbe:
    """What two ridge regressions on the features of a trained network have shown."""

    cells: tuple[int, ...]
    """Of the grid, per spatial axis."""
    mean: float
    """Validation score with the mean over all positions, which the head sees as it is."""
    grid: float
    """Validation score with the means over the cells."""
    confidence: float
    """How sure it is that the grid is better, by the paired bootstrap on the validation part."""

    @classmethod
    def from_json(cls, content: dict[str, Any], spec: DataSpec) -> Self:
        """The inverse of `dataclasses.asdict`, after a trip through a JSON file.

        Raises:
            ValueError, TypeError, KeyError: it is no such content.
        """
        cells = read_cells(content["cells"], spec)
        if cells is None:
            raise ValueError("it has no cells")
        return cls(cells, *(float(content[name]) for name in ("mean", "grid", "confidence")))

    @property
    def pays(self) -> bool:
        """Whether there is evidence for the grid."""
        return is_evidence(self.confidence, SURE)


def probe_head(
    network: nn.Module,
    train: Part,
    validation: Part,
    metric: Metric,
    *,
    batch_size: int,
    device: torch.device,
    seed: int,
) -> HeadProbe | None:
    """Fit a linear model to the features of a trained network, averaged over all positions, and over cells of a grid.

    Args:
        network: trained; its layer `head` is looked at.
        train: what the linear models are fitted to, or some of it.
        validation: what they are scored on.
        metric: which score is better.
        batch_size: samples that are computed at once.
        device: where to compute.
        seed: of which training samples are taken.

    Returns:
        None where there is nothing to gain: the head is no mean over positions, or there is just one position.
    """
    if not isinstance(getattr(network, "head", None), PointHead):
        return None
    train, validation = _some(train, MOST_FITTED, seed), _some(validation, MOST_SCORED, seed)
    (x, cells), (x_validation, _) = (_features(network, part, batch_size, device) for part in (train, validation))
    if max(cells) == 1 or not (np.isfinite(x).all() and np.isfinite(x_validation).all()):
        return None
    y = right_answers(train)

    def predicted(x: np.ndarray, x_validation: np.ndarray) -> np.ndarray:
        model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(x.reshape(len(x), -1), y)
        return np.asarray(model.predict(x_validation.reshape(len(x_validation), -1))).reshape(len(x_validation), -1)

    # PyTorch has the threads that were asked for; the linear algebra of the regression would take all.
    with threadpool_limits(torch.get_num_threads()):
        # Cells are of equal size: the mean over them is the mean over all positions.
        means, grids = predicted(x.mean(axis=2), x_validation.mean(axis=2)), predicted(x, x_validation)
    return HeadProbe(
        cells=cells,
        mean=value_of(metric, means, validation),
        grid=value_of(metric, grids, validation),
        confidence=confidence_of(metric, grids, means, validation),
    )


def read_cells(content: Any, spec: DataSpec) -> tuple[int, ...] | None:
    """The cells of a head as a JSON file has them, null being none.

    Raises:
        ValueError: no such cells can be for these data.
    """
    if content is None:
        return None
    most = CELLS[spec.spatial_dims]
    numbers = isinstance(content, list) and all(type(number) is int for number in content)
    if not numbers or len(content) != len(most) or not all(1 <= n <= m for n, m in zip(content, most, strict=True)):
        raise ValueError(f"{content!r} are no cells of a head; at most {list(most)} were tried")
    if spec.target_kind.is_dense:
        raise ValueError("targets at every position have no cells")
    return tuple(content)


def _some(part: Part, most: int, seed: int) -> Part:
    """A part, or as many of its samples as there may be."""
    return part.subset(np.sort(np.random.default_rng(seed).permutation(len(part))[:most]))


def _features(
    network: nn.Module, part: Part, batch_size: int, device: torch.device
) -> tuple[np.ndarray, tuple[int, ...]]:
    """What the head sees of each sample, (samples, features, cells), and the cells per axis."""
    seen: list[Tensor] = []
    cells = CELLS[part.spec.spatial_dims]

    def see(head: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        nonlocal cells
        x, mask = arguments[0], arguments[1] if len(arguments) > 1 else None
        if not part.spec.unequal_lengths:
            cells = tuple(map(min, cells, x.shape[2:]))
        seen.append(cell_means(x, cells, mask).flatten(start_dim=2).cpu())

    hook = network.head.register_forward_pre_hook(see)  # type: ignore[union-attr]
    try:
        predict_part(network, part, batch_size, device)
    finally:
        hook.remove()
    return torch.cat(seen).double().numpy(), cells
