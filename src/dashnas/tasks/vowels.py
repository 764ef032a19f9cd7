"""JapaneseVowels: which of nine men says /ae/, from twelve LPC cepstrum coefficients over time.

Archive split, 270 training and 370 test series of 7 to 29 frames, padded with zeros; `lengths` says how long each is.

Published errors (dl-4-tsc result tables, Ismail Fawaz et al. 2019, mean of 10 runs) are on the same split.
"""

import numpy as np

from dashnas.data.ragged import pad_series
from dashnas.data.spec import TargetKind
from dashnas.tasks.sktime_files import SKTIME, VOWELS_TEST, VOWELS_TRAIN, parse_ts
from dashnas.tasks.task import Arrays, RealTask
from dashnas.tasks.wheels import read_members


def build() -> Arrays:
    """Arrays x, y, lengths, x_test, y_test, lengths_test; speakers 1 to 9."""
    members = read_members(SKTIME)
    train, test = parse_ts(members[VOWELS_TRAIN]), parse_ts(members[VOWELS_TEST])
    cases = train + test
    x, lengths = pad_series([case.series for case in cases], "x")  # (n, 12, longest)
    columns = {"x": x.astype(np.float32), "y": np.array([int(case.answer) for case in cases]), "lengths": lengths}
    at = len(train)
    return {k: v[:at] for k, v in columns.items()} | {f"{k}_test": v[at:] for k, v in columns.items()}


TASK = RealTask(
    name="vowels",
    description="who speaks, from cepstra of a vowel: 12 x 7 to 29 -> 9 classes, 270 + 370 test",
    about=__doc__,
    package=SKTIME,
    kind=TargetKind.CLASSES,
    metric="error",
    shapes={
        "x": (270, 12, 29),
        "y": (270,),
        "lengths": (270,),
        "x_test": (370, 12, 29),
        "y_test": (370,),
        "lengths_test": (370,),
    },
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
