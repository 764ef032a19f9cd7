"""CricketX: which of twelve signals a cricket umpire gives, from one axis of an accelerometer at the wrist.

Archive split, 390 training and 390 test series of 300 samples, each with mean 0 and deviation 1.

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
    name="cricketx",
    description="umpire's signals from one accelerometer axis: 1x300 -> 12 classes, 390 + 390 test",
    about=__doc__,
    package=UCR,
    kind=TargetKind.CLASSES,
    metric="error",
    shapes={"x": (390, 1, 300), "y": (390,), "x_test": (390, 1, 300), "y_test": (390,)},
    classes=12,
    published={
        "1-NN Euclidean": 0.423,
        "1-NN DTW": 0.228,
        "MLP": 0.409,
        "FCN": 0.206,
        "ResNet": 0.201,
        "InceptionTime": 0.146,
        "ROCKET": 0.181,
    },
    build=partial(read_ucr, "CricketX"),
)
