"""MNIST-1D: ten template curves, padded, stretched, shifted, sheared and buried in noise (Greydanus 2020).

Synthetic; made here from the parameters of `mnist1d.data.make_dataset(get_dataset_args())`, release
0.0.2.post1, with the same random numbers in the same order, so that the result is that function's up to
rounding. As there, mean and deviation are those of training and test part together.

Published errors: Greydanus and Kobak 2024, on the authors' own drawing of the set from the same parameters.
"""

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.tasks.task import Arrays, RealTask
from dashnas.tasks.wheels import Package

SAMPLES = 5000
TRAINING_SAMPLES = 4000
LENGTH = 40
SEED = 42

_PADDING_SAMPLES = (36, 60)
_SCALE = 0.4
_MAX_SHIFT_SAMPLES = 48
_CORRELATED_NOISE = 0.25
_CORRELATION_SAMPLES = 2
_WHITE_NOISE = 0.02
_SHEAR = 0.75
_NOT_PADDING = 1e-8  # added to the curve, so that its own zeros can be told from the padding's

_CURVES = np.array(
    [
        [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
        [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
        [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
        [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
        [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
        [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
        [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
        [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
    ]
)


def templates() -> np.ndarray:
    """One curve per digit, (10, 12): whitened, starting and ending at 0, with deviation 1/6."""
    curves: np.ndarray = _CURVES - _CURVES.mean(axis=1, keepdims=True)
    curves /= curves.std(axis=1, keepdims=True)
    curves -= curves[:, :1]
    curves /= 6
    return curves


def make_sample(template: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Turn a template (12,) into a sample (LENGTH,); the order of the draws is part of the definition."""
    low, high = _PADDING_SAMPLES
    padding = low + int(random.rand() * (high - low + 1))
    signal = _stretch(np.append(template + _NOT_PADDING, np.zeros(padding)), len(template) + high)
    signal *= 1 + _SCALE * (random.rand() - 0.5)
    signal = np.roll(signal, random.choice(_MAX_SHIFT_SAMPLES))
    noise = _smooth(_CORRELATED_NOISE * random.randn(len(signal)), _CORRELATION_SAMPLES)
    signal = np.where(signal != 0, signal, noise)
    signal = signal + _WHITE_NOISE * random.randn(len(signal))
    signal = signal - _SHEAR * (random.rand() - 0.5) * np.linspace(-0.5, 0.5, len(signal))
    return _stretch(signal, LENGTH)


def build() -> Arrays:
    """Arrays x, y, x_test, y_test."""
    random = np.random.RandomState(SEED)  # the generator of the definition; new code takes a Generator
    y = np.repeat(np.arange(10), SAMPLES // 10)
    curves = templates()
    x = np.stack([make_sample(curves[digit], random) for digit in y])
    order = random.permutation(SAMPLES)
    x, y = ((x - x.mean()) / x.std())[order], y[order]
    x = x[:, None].astype(np.float32)  # (SAMPLES, 1, LENGTH)
    n = TRAINING_SAMPLES
    return {"x": x[:n], "y": y[:n], "x_test": x[n:], "y_test": y[n:]}


def _stretch(signal: np.ndarray, length: int) -> np.ndarray:
    stretched: np.ndarray = np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(signal)), signal)
    return stretched


def _smooth(signal: np.ndarray, deviation_samples: int) -> np.ndarray:
    """Gaussian filter, cut at four deviations, the signal mirrored at its ends."""
    reach = 4 * deviation_samples
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation_samples) ** 2)
    mirrored = np.pad(signal, reach, mode="symmetric")
    return np.convolve(mirrored, kernel / kernel.sum(), mode="valid")


TASK = RealTask(
    name="mnist1d",
    description="noisy curves of ten digits: 1x40 -> 10 classes, 4000 + 1000 test",
    about=__doc__,
    package=Package(source="mnist1d", version="0.0.2.post1", licence="Apache-2.0"),
    kind=TargetKind.CLASSES,
    metric="error",
    shapes={"x": (4000, 1, LENGTH), "y": (4000,), "x_test": (1000, 1, LENGTH), "y_test": (1000,)},
    classes=10,
    published={"logistic regression": 0.68, "MLP": 0.32, "CNN": 0.06, "GRU": 0.09, "person": 0.04},
    build=build,
)
