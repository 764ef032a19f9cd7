"""Mean and spread of channels, gathered piece by piece in float64."""

import numpy as np
import numpy.typing as npt

from dashnas.data.tables import Array

Floats = npt.NDArray[np.float64]


class Moments:
    """Count, mean, standard deviation, minimum and maximum per channel of values that arrive in pieces.

    Pieces are joined by the pairwise rule of Chan, Golub and LeVeque 1979, which stays exact where the sum of
    squares minus the square of the sum would cancel.
    """

    def __init__(self, channels: int) -> None:
        self.count: Floats = np.zeros(channels)
        self.mean: Floats = np.zeros(channels)
        self._squares: Floats = np.zeros(channels)
        self._minimum: Floats = np.full(channels, np.inf)
        self._maximum: Floats = np.full(channels, -np.inf)

    def add(self, values: Array, counts: Array | None = None) -> None:
        """Take in another piece.

        Args:
            values: shape (batch, channels, ...).
            counts: bool, broadcastable to `values`, True where a value counts; None when all do.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # a spread that is not finite tells the caller
            self._add(values, counts)

    def _add(self, values: Array, counts: Array | None) -> None:
        flat = np.moveaxis(np.asarray(values, np.float64), 1, 0).reshape(len(self.mean), -1)
        if counts is None:
            self._join(
                np.full(len(flat), float(flat.shape[1])),
                flat.mean(axis=1),
                flat.min(axis=1),
                flat.max(axis=1),
                flat,
            )
            return
        keep = np.moveaxis(np.broadcast_to(counts, values.shape), 1, 0).reshape(flat.shape)
        number = keep.sum(axis=1).astype(np.float64)
        mean = np.where(keep, flat, 0).sum(axis=1) / np.maximum(number, 1)
        lowest = np.where(keep, flat, np.inf).min(axis=1)
        highest = np.where(keep, flat, -np.inf).max(axis=1)
        self._join(number, mean, lowest, highest, np.where(keep, flat, mean[:, None]))

    def _join(self, count: Floats, mean: Floats, lowest: Floats, highest: Floats, flat: Floats) -> None:
        squares = np.square(flat - mean[:, None]).sum(axis=1)
        total = np.maximum(self.count + count, 1)
        step = mean - self.mean
        self._squares += squares + np.square(step) * self.count * count / total
        self.mean += step * count / total
        self.count += count
        self._minimum = np.minimum(self._minimum, lowest)
        self._maximum = np.maximum(self._maximum, highest)

    @property
    def constant(self) -> npt.NDArray[np.bool_]:
        """Which channels hold a single value, told from the extremes: rounding may give them a spread."""
        return self._minimum >= self._maximum

    @property
    def std(self) -> Floats:
        """Standard deviation (dividing by the count), 1 for constant channels."""
        spread = np.sqrt(self._squares / np.maximum(self.count, 1))
        return np.where(self.constant | (spread == 0), 1.0, spread)
