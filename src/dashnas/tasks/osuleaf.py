"""OSULeaf: which of six trees a leaf is from, from its outline, as a series along the boundary.

Archive split, 200 training and 242 test series of 427 samples.

Published errors, all on this split:
    1-NN with Euclidean distance and with DTW (learned window): summary table of the UCR archive.
    MLP, FCN, ResNet: Ismail Fawaz et al. 2019 (dl-4-tsc), mean of 5 runs.
    InceptionTime: Ismail Fawaz et al. 2020, authors' table.
    ROCKET: Dempster et al. 2020, authors' table, mean of 10 runs.
"""

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.tasks.sktime_files import OSULEAF_TEST, OSULEAF_TRAIN, SKTIME, Case, parse_ts
from dashnas.tasks.task import Arrays, RealTask
from dashnas.tasks.wheels import read_members


def build() -> Arrays:
    """Arrays x, y, x_test, y_test; trees 1 to 6."""
    members = read_members(SKTIME)
    x, y = _arrays(parse_ts(members[OSULEAF_TRAIN]))
    x_test, y_test = _arrays(parse_ts(members[OSULEAF_TEST]))
    return {"x": x, "y": y, "x_test": x_test, "y_test": y_test}


def _arrays(cases: list[Case]) -> tuple[np.ndarray, np.ndarray]:
    x = np.stack([case.series for case in cases])  # (n, 1, 427)
    return x.astype(np.float32), np.array([int(case.answer) for case in cases])


TASK = RealTask(
    name="osuleaf",
    description="trees from the outline of a leaf: 1x427 -> 6 classes, 200 + 242 test",
    about=__doc__,
    package=SKTIME,
    kind=TargetKind.CLASSES,
    metric="error",
    shapes={"x": (200, 1, 427), "y": (200,), "x_test": (242, 1, 427), "y_test": (242,)},
    classes=6,
    published={
        "1-NN Euclidean": 0.479,
        "1-NN DTW": 0.388,
        "MLP": 0.440,
        "FCN": 0.021,
        "ResNet": 0.020,
        "InceptionTime": 0.058,
        "ROCKET": 0.059,
    },
    build=build,
)
