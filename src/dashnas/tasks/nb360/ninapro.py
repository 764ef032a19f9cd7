"""NinaPro DB5: which of 18 gestures a forearm makes, from the currents of its muscles.

Files: `ninapro_train.npy`, `ninapro_val.npy`, `ninapro_test.npy` and `label_*.npy` beside them: windows of 52 time
steps of 16 electrodes, which become images of 1x16x52. 2,638, 659 and 659 of them. Values are left as they are.

clean and nb360-official: error in percent; the final training uses training and validation files.
dash-official: the error is the mean over batches of 128, in which the last 19 windows weigh as much as 128 others.
"""

from pathlib import Path

import numpy as np

from dashnas.data.normalise import Normaliser
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.stack import StackedTable
from dashnas.data.tables import ArrayTable
from dashnas.data.task_data import DASH, PaperSettings, Samples, TaskData
from dashnas.tasks.official import OfficialTask, find_file, need_finite, need_labels, need_shape
from dashnas.tasks.safe_pickle import load_npy

CLASSES = 18
SPATIAL = (16, 52)
"""Electrodes and time steps."""


def read(folder: Path, protocol: str, seed: int) -> TaskData:
    """The windows of the official files; nothing is left to the seed."""
    train, validation, test = (_table(folder, part) for part in ("train", "val", "test"))
    both = StackedTable([train, validation], SPATIAL)
    return TaskData(
        origin=str(folder),
        spec=DataSpec(
            channels=1,
            spatial_shape=SPATIAL,
            target_kind=TargetKind.CLASSES,
            outputs=CLASSES,
            classes=tuple(range(CLASSES)),
        ),
        normaliser=Normaliser.identity(1),
        train=Samples(train, np.arange(len(train))),
        validation=Samples(validation, np.arange(len(validation))),
        final=Samples(both, np.arange(len(both))),
        test=Samples(test, np.arange(len(test))),
        how="as the files are",
        metric="error_pct@batch128" if protocol == DASH else "error_pct",
        also=("error_pct", "error_pct@batch128"),
        paper=PaperSettings(batch_size=128, kernel_sizes=(3, 5, 7), dilations=(1, 3, 7)),
    )


def _table(folder: Path, part: str) -> ArrayTable:
    path, labels = (find_file(folder, f"{name}_{part}.npy") for name in ("ninapro", "label"))
    windows = need_shape(load_npy(path, encoding="bytes"), (None, 52, 16), "the array", path)
    x = need_finite(windows.astype(np.float32), "the array", path).transpose(0, 2, 1)[:, None]  # (n, 1, 16, 52)
    y = need_labels(load_npy(labels, encoding="bytes"), len(x), CLASSES, "the array", labels)
    return ArrayTable({"x": x, "y": y})


OFFICIAL = OfficialTask(
    name="ninapro",
    description="gestures from muscles of a forearm: 1x16x52 -> 18 classes, 3297 + 659 test",
    about=__doc__,
    kind=TargetKind.CLASSES,
    metric="error_pct",
    shapes={"x": (3297, 1, 16, 52), "y": (3297,), "x_test": (659, 1, 16, 52), "y_test": (659,)},
    classes=CLASSES,
    samples={"training": 2638, "validation": 659, "test": 659},
    licence="CC BY-ND",
    megabytes=30,
    files=tuple(f"{name}_{part}.npy" for name in ("ninapro", "label") for part in ("train", "val", "test")),
    published={"WRN": 6.78, "DARTS": 17.67, "DASH": 6.60, "attention model": 8.73},
    read=read,
)
