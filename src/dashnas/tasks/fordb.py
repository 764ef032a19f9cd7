"""FordB: whether a car has a certain fault, from the noise of its engine.

Archive split, 3636 training and 810 test series of 500 samples.

Published errors, all on this split:
    1-NN with Euclidean distance and with DTW (learned window): summary table of the UCR archive.
    MLP, FCN, ResNet: Ismail Fawaz et al. 2019 (dl-4-tsc), mean of 5 runs.
    InceptionTime: Ismail Fawaz et al. 2020, authors' table.
    ROCKET: Dempster et al. 2020, authors' table, mean of 10 runs.
"""

from functools import partial

from dashnas.data.spec import TargetKind
from dashnas.tasks.task import RealTask
from dashnas.tasks.ucr_files import UCR, read_ucr

TASK = RealTask(
    name="fordb",
    description="a fault of a car from the noise of its engine: 1x500 -> 2 classes, 3636 + 810 test",
    about=__doc__,
    package=UCR,
    kind=TargetKind.CLASSES,
    metric="error",
    shapes={"x": (3636, 1, 500), "y": (3636,), "x_test": (810, 1, 500), "y_test": (810,)},
    classes=2,
    published={
        "1-NN Euclidean": 0.394,
        "1-NN DTW": 0.393,
        "MLP": 0.293,
        "FCN": 0.228,
        "ResNet": 0.187,
        "InceptionTime": 0.138,
        "ROCKET": 0.195,
    },
    build=partial(read_ucr, "FordB"),
)
