"""Crop: which of 24 kinds of land cover a pixel shows, from 46 satellite images of it.

Archive split, 7200 training and 16,800 test series of 46 values, 300 and 700 of each class; sorted by class.
The Euclidean figure below is that of series brought to mean 0 and deviation 1 one by one; here they are as in
the file. The same kind of data as the Satellite task of NAS-Bench-360.

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
    name="crop",
    description="land cover from the satellite record of a pixel: 1x46 -> 24 classes, 7200 + 16800 test",
    about=__doc__,
    package=UCR,
    kind=TargetKind.CLASSES,
    metric="error",
    shapes={"x": (7200, 1, 46), "y": (7200,), "x_test": (16800, 1, 46), "y_test": (16800,)},
    classes=24,
    published={
        "1-NN Euclidean": 0.288,
        "1-NN DTW": 0.288,
        "MLP": 0.382,
        "FCN": 0.262,
        "ResNet": 0.257,
        "InceptionTime": 0.228,
        "ROCKET": 0.249,
    },
    build=partial(read_ucr, "Crop"),
)
