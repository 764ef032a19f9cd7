"""Watch: which of seven shoulder exercises someone does, from acceleration and rotation of a smartwatch.

140 recordings at 50 Hz (10 people, 7 exercises, both arms), cut here into windows of 200 samples without
overlap; what is left at the end of a recording is dropped. `group` is the person, so that nobody is in two
parts.

Published errors (Burns et al. 2018, first version, the same 10 people) are of 5 folds, by person for the
random forest and by time, which is easier, for the CRNN.
"""

import io

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.tasks.safe_pickle import load_npy_objects
from dashnas.tasks.task import Arrays, RealTask
from dashnas.tasks.wheels import Package, read_members

WINDOW_SAMPLES = 200
_MEMBER = "seglearn/data/watch_dataset.npy"

PACKAGE = Package(
    source="seglearn",
    version="1.2.5",
    licence="BSD-3-Clause",
    megabytes=11.3,
    members={_MEMBER: "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"},
)


def windows(recording: np.ndarray, length: int) -> np.ndarray:
    """Cut a recording (samples, channels) into whole windows (n, channels, length) without overlap."""
    n = len(recording) // length
    cut: np.ndarray = recording[: n * length].reshape(n, length, -1)
    return cut.swapaxes(1, 2)


def build() -> Arrays:
    """Arrays x, y (names of the exercises), group (numbers of the people)."""
    recordings = load_npy_objects(io.BytesIO(read_members(PACKAGE)[_MEMBER]), _MEMBER)
    parts = [windows(recording, WINDOW_SAMPLES) for recording in recordings["X"]]
    counts = [len(part) for part in parts]
    names = np.array(recordings["y_labels"])[recordings["y"]]
    return {
        "x": np.concatenate(parts).astype(np.float32),
        "y": np.repeat(names, counts),
        "group": np.repeat(recordings["subject"], counts),
    }


TASK = RealTask(
    name="watch",
    description="shoulder exercises from a smartwatch: 6x200 -> 7 classes, 1149 windows of 10 people",
    about=__doc__,
    package=PACKAGE,
    kind=TargetKind.CLASSES,
    metric="error",
    shapes={"x": (1149, 6, WINDOW_SAMPLES), "y": (1149,), "group": (1149,)},
    classes=7,
    published={"random forest (by person)": 0.127, "CRNN (by time)": 0.004},
    build=build,
)
