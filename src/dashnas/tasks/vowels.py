"""JapaneseVowels: which of nine men says /ae/, from twelve LPC cepstrum coefficients over time.

Archive split, 270 training and 370 test series of 7 to 29 frames. Here each series is resampled to 25 frames
by linear interpolation, since the networks take inputs of one length.

Published errors (dl-4-tsc result tables, Ismail Fawaz et al. 2019, mean of 10 runs) are on the same split,
but on series of unequal length; compare with care.
"""

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.tasks.sktime_files import SKTIME, VOWELS_TEST, VOWELS_TRAIN, Case, parse_ts
from dashnas.tasks.task import Arrays, RealTask
from dashnas.tasks.wheels import read_members

FRAMES = 25


def resample(series: np.ndarray, length: int) -> np.ndarray:
    """Interpolate linearly between the first and the last frame, which stay where they are.

    Args:
        series: shape (channels, any length).
        length: frames wanted.

    Returns:
        Series of shape (channels, length).
    """
    frames = series.shape[1]
    positions = np.linspace(0, frames - 1, length)
    return np.stack([np.interp(positions, np.arange(frames), channel) for channel in series])


def build() -> Arrays:
    """Arrays x, y, x_test, y_test; speakers 1 to 9."""
    members = read_members(SKTIME)
    x, y = _arrays(parse_ts(members[VOWELS_TRAIN]))
    x_test, y_test = _arrays(parse_ts(members[VOWELS_TEST]))
    return {"x": x, "y": y, "x_test": x_test, "y_test": y_test}


def _arrays(cases: list[Case]) -> tuple[np.ndarray, np.ndarray]:
    x = np.stack([resample(case.series, FRAMES) for case in cases])  # (n, 12, FRAMES)
    return x.astype(np.float32), np.array([int(case.answer) for case in cases])


TASK = RealTask(
    name="vowels",
    description="who speaks, from cepstra of a vowel: 12x25 -> 9 classes, 270 + 370 test",
    about=__doc__,
    package=SKTIME,
    kind=TargetKind.CLASSES,
    metric="error",
    shapes={"x": (270, 12, FRAMES), "y": (270,), "x_test": (370, 12, FRAMES), "y_test": (370,)},
    classes=9,
    published={
        "MLP": 0.024,
        "FCN": 0.007,
        "ResNet": 0.008,
        "Encoder": 0.024,
        "MCDCNN": 0.056,
        "Time-CNN": 0.044,
    },
    build=build,
)
