"""MAE_8, which scores predicted distances in proteins: over pairs that are far apart in the chain and near in space.

A protein is a map of the distances of all pairs of its residues, with cells around it, on a canvas or in tiles of one.
"""

from collections.abc import Callable

import numpy as np

from dashnas.metrics import Answers, Fields, Pool, UndefinedScoreError

FAR_APART = 24
"""Residues between two of a chain from which on their distance counts in MAE_8."""
NEAR = 8.0
"""Largest true distance that counts in MAE_8, in Angstrom."""
LOWEST_DISTANCE = 0.01
"""Predictions below are raised to this, in Angstrom."""
PADDING = 5
"""Cells around a map of distances."""

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
        first = np.sort(np.unique(fields["id"], return_index=True)[1])
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


def of_first_two(lengths: np.ndarray) -> np.ndarray:
    """The lengths of the first two proteins in turn, as the code of DASH takes them for those of all."""
    return lengths[np.arange(len(lengths)) % min(2, len(lengths))]


def shuffled_lengths(lengths: np.ndarray) -> np.ndarray:
    """The lengths of other proteins, as the code of NAS-Bench-360 takes them; in an order that is always the same."""
    return lengths[np.random.RandomState(0).permutation(len(lengths))]
