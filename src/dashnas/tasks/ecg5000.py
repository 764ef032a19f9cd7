"""ECG5000: which of five kinds of heartbeat a single beat of an electrocardiogram is.

Archive split, 500 training and 4500 test series of 140 samples. Two kinds make up most of it: 292, 177, 10, 19
and 2 of the training beats.

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
    name="ecg5000",
    description="kinds of heartbeats, very unequal in number: 1x140 -> 5 classes, 500 + 4500 test",
    about=__doc__,
    package=UCR,
    kind=TargetKind.CLASSES,
    metric="error",
    shapes={"x": (500, 1, 140), "y": (500,), "x_test": (4500, 1, 140), "y_test": (4500,)},
    classes=5,
    published={
        "1-NN Euclidean": 0.075,
        "1-NN DTW": 0.075,
        "MLP": 0.070,
        "FCN": 0.060,
        "ResNet": 0.065,
        "InceptionTime": 0.059,
        "ROCKET": 0.053,
    },
    build=partial(read_ucr, "ECG5000"),
)
