"""Small random data sets of every kind, for the tests of this folder."""

import numpy as np

from dashnas.data import TargetKind

SPATIAL = {"1-D": (12,), "2-D": (4, 5)}


def inputs(samples: int = 40, spatial: tuple[int, ...] = (12,), channels: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 2, (samples, channels, *spatial))


def targets(kind: TargetKind, samples: int = 40, spatial: tuple[int, ...] = (12,), seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return {
        TargetKind.CLASSES: lambda: np.arange(samples) % 3,
        TargetKind.MULTI_LABEL: lambda: rng.integers(0, 2, (samples, 4)),
        TargetKind.REGRESSION: lambda: rng.normal(50, 7, (samples, 2)),
        TargetKind.DENSE_BINARY: lambda: rng.integers(0, 2, (samples, *spatial)),
        TargetKind.DENSE_CLASSES: lambda: rng.integers(0, 3, (samples, *spatial)),
        TargetKind.DENSE_REGRESSION: lambda: rng.normal(50, 7, (samples, *spatial)),
    }[kind]()


def arrays(kind: TargetKind, samples: int = 40, spatial: tuple[int, ...] = (12,), **more: np.ndarray) -> dict:
    return {"x": inputs(samples, spatial), "y": targets(kind, samples, spatial), **more}
