"""Satellite: which of 24 land covers a pixel shows, from its brightness over 46 passes.

Files: `satellite_train.npy` and `satellite_test.npy`, each a dictionary of `data` (900,000 or 100,000 series of 46) and
`label` (1 to 24) in an array of Python objects.

clean: each series minus its mean and divided by its standard deviation; the last 100,000 of the training file are for
validation if all classes occur there, else 100,000 drawn by a fixed seed; the final training uses all 900,000. Error in
percent.
nb360-official: the same, always with the last 100,000.
dash-official: raw values. 100,000 of a permutation are left out while choosing, and the 100,000 before them are for
validation although they are trained on too. The error is the mean over batches of 256.
"""

from pathlib import Path

import numpy as np

from dashnas.data.normalise import Normaliser
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.split import Indices
from dashnas.data.tables import Array, ArrayTable
from dashnas.data.task_data import DASH, NB360, PaperSettings, Samples, TaskData
from dashnas.tasks.official import (
    OfficialTask,
    find_file,
    need_finite,
    need_keys,
    need_labels,
    need_shape,
    share,
    shuffled,
)
from dashnas.tasks.safe_pickle import load_npy

CLASSES = 24
LENGTH = 46


def read(folder: Path, protocol: str, seed: int) -> TaskData:
    """The series of the official files."""
    train, test = (_table(folder, part, raw=protocol == DASH) for part in ("train", "test"))
    n = len(train)
    fitted, chosen, how = divide(train.take(slice(None), ["y"])["y"], protocol, seed)
    return TaskData(
        origin=str(folder),
        spec=DataSpec(
            channels=1,
            spatial_shape=(LENGTH,),
            target_kind=TargetKind.CLASSES,
            outputs=CLASSES,
            classes=tuple(range(CLASSES)),
        ),
        normaliser=Normaliser.identity(1),
        train=Samples(train, fitted),
        validation=Samples(train, chosen),
        final=Samples(train, np.arange(n)),
        test=Samples(test, np.arange(len(test))),
        how=how,
        metric="error_pct@batch256" if protocol == DASH else "error_pct",
        also=("error_pct",),
        warnings=("validation samples are trained on too, as in the authors' code",) if protocol == DASH else (),
        paper=PaperSettings(batch_size=256, kernel_sizes=(3, 7, 11, 15, 19)),
    )


def divide(labels: Array, protocol: str, seed: int) -> tuple[Indices, Indices, str]:
    """Training and validation rows of the training file, and in words how they came about."""
    n = len(labels)
    held = share(n, 100_000, 900_000)
    if protocol == DASH:
        kept = shuffled(n, seed)[: n - held]
        return kept, kept[-held:], f"drawn by seed {seed}"
    order, how = np.arange(n), "validation is the end of the training file"
    if protocol != NB360 and len(np.unique(labels[n - held :])) < CLASSES:
        order, how = shuffled(n, 0), "validation is drawn by seed 0, since the end of the file lacks classes"
    return np.sort(order[: n - held]), np.sort(order[n - held :]), how


def standardise(series: Array) -> Array:
    """Each series minus its mean and divided by its population standard deviation; a constant one becomes 0."""
    centred = series - series.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    standardised: Array = centred / np.where(spread > 0, spread, 1.0)
    return standardised


def _table(folder: Path, part: str, *, raw: bool) -> ArrayTable:
    path = find_file(folder, f"satellite_{part}.npy")
    content = need_keys(load_npy(path, encoding="latin1"), ("data", "label"), path)
    series = need_finite(need_shape(content["data"], (None, LENGTH), "data", path), "data", path)
    x = (series if raw else standardise(series.astype(np.float64))).astype(np.float32)[:, None]
    return ArrayTable({"x": x, "y": need_labels(content["label"], len(x), CLASSES, "label", path, first=1)})


OFFICIAL = OfficialTask(
    name="satellite",
    description="land cover from 46 passes of a satellite: 1x46 -> 24 classes, 900000 + 100000 test",
    about=__doc__,
    kind=TargetKind.CLASSES,
    metric="error_pct",
    shapes={"x": (900_000, 1, 46), "y": (900_000,), "x_test": (100_000, 1, 46), "y_test": (100_000,)},
    classes=CLASSES,
    samples={"training": 800_000, "validation": 100_000, "test": 100_000},
    licence="GPL 3.0",
    megabytes=357,
    files=("satellite_train.npy", "satellite_test.npy"),
    published={"WRN": 15.49, "DARTS": 12.51, "DASH": 12.28, "ROCKET": 19.8},
    read=read,
)
