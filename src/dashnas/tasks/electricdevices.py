"""ElectricDevices: which of seven kinds of household device is on, from its use of electricity over time.

Archive split, 8926 training and 7711 test series of 96 values; sorted by class.

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
    name="electricdevices",
    description="household devices from their use of electricity: 1x96 -> 7 classes, 8926 + 7711 test",
    about=__doc__,
    package=UCR,
    kind=TargetKind.CLASSES,
    metric="error",
    shapes={"x": (8926, 1, 96), "y": (8926,), "x_test": (7711, 1, 96), "y_test": (7711,)},
    classes=7,
    published={
        "1-NN Euclidean": 0.449,
        "1-NN DTW": 0.381,
        "MLP": 0.407,
        "FCN": 0.293,
        "ResNet": 0.272,
        "InceptionTime": 0.276,
        "ROCKET": 0.271,
    },
    build=partial(read_ucr, "ElectricDevices"),
)
