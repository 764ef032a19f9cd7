"""Darcy flow: the pressure of water in ground of two permeabilities, at each point of a grid.

Files: `piececonst_r421_N1024_smooth1.mat` (training and validation) and `piececonst_r421_N1024_smooth2.mat` (test),
with `coeff` and `sol` on 421x421 points, of which every fifth is used: 85x85. A file of 85x85 points is taken as it is.
The first 1000 fields of the first file and 100 of the second are used.

All protocols: permeability and pressure are normalised at each point by mean and standard deviation over the training
fields; beside the permeability, the network sees the coordinates of the points. It learns and is scored by the relative
L2 error of the decoded pressure. Fields 900 to 999 are for validation; the final training uses all 1000.
clean and dash-official: the mean over all test fields.
nb360-official: the mean over batches of 8, of which the last has 4.
"""

from pathlib import Path
from typing import Any

import numpy as np

from dashnas.data.normalise import Normaliser, as_scale
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.tables import Array, ArrayTable
from dashnas.data.task_data import NB360, PaperSettings, Samples, TaskData
from dashnas.errors import DataError
from dashnas.tasks.mat_files import read_fields, side_of
from dashnas.tasks.official import OfficialTask, find_file, need_finite, share

TRAIN, TEST = "piececonst_r421_N1024_smooth1.mat", "piececonst_r421_N1024_smooth2.mat"
"""The first for training and validation, the second for the test."""
STEP = 5
SIDE = 85
MOST_TRAIN, MOST_TEST = 1000, 100
EPSILON = 1e-5
"""Added to each standard deviation."""
BATCH = 10


def read(folder: Path, protocol: str, seed: int) -> TaskData:
    """The fields of the official files; nothing is left to the seed."""
    path = find_file(folder, TRAIN)
    train = _table(path, MOST_TRAIN)
    test = _table(find_file(folder, TEST), MOST_TEST)
    n, side = len(train), train.shape("x")[-1]
    if test.shape("x")[1:] != train.shape("x")[1:]:
        raise DataError(f"the test fields in {folder} have {test.shape('x')[-1]} points a side, the others {side}")
    held = share(n, 100, 1000)
    fitted = np.arange(n - held)
    return TaskData(
        origin=str(folder),
        spec=DataSpec(channels=3, spatial_shape=(side, side), target_kind=TargetKind.DENSE_REGRESSION, outputs=1),
        normaliser=pointwise_normaliser(train.take(fitted, ["x", "y"])) if len(fitted) > 1 else Normaliser.identity(3),
        train=Samples(train, fitted),
        validation=Samples(train, np.arange(n - held, n)),
        final=Samples(train, np.arange(n)),
        test=Samples(test, np.arange(len(test))),
        how="validation is the end of the training file",
        metric="relative_l2@batch8" if protocol == NB360 else "relative_l2",
        also=("relative_l2",),
        paper=PaperSettings(batch_size=BATCH, kernel_sizes=(3, 5, 7, 9), loss_scale=BATCH),
    )


def coordinates(side: int) -> Array:
    """Two maps (2, side, side) from 0 to 1: the first grows along the last axis, the second along the other."""
    line = np.linspace(0, 1, side, dtype=np.float32)
    return np.stack(np.meshgrid(line, line))


def pointwise_normaliser(fields: dict[str, Array]) -> Normaliser:
    """Mean and unbiased standard deviation at each point of coefficient and pressure; coordinates stay as they are."""
    x, y = fields["x"][:, :1].astype(np.float64), fields["y"].astype(np.float64)
    (x_mean, x_std), (y_mean, y_std) = ((v.mean(axis=0), v.std(axis=0, ddof=1) + EPSILON) for v in (x, y))
    zeros = np.zeros((2, *x_mean.shape[1:]))
    return Normaliser(
        input_mean=as_scale(np.concatenate([x_mean, zeros])),
        input_std=as_scale(np.concatenate([x_std, zeros + 1])),
        target_mean=as_scale(y_mean),
        target_std=as_scale(y_std),
    )


def _table(path: Path, most: int) -> ArrayTable:
    side = side_of(path, "coeff")
    step = None if side == SIDE else STEP
    coeff, sol = (need_finite(read_fields(path, key, most=most, step=step), key, path) for key in ("coeff", "sol"))
    if coeff.shape != sol.shape or coeff.shape[1] != coeff.shape[2]:
        raise DataError(f"{path} has coeff of shape {coeff.shape} but sol {sol.shape}, after taking every fifth point")
    grid: Any = np.broadcast_to(coordinates(coeff.shape[1]), (len(coeff), 2, *coeff.shape[1:]))
    return ArrayTable({"x": np.concatenate([coeff[:, None], grid], axis=1), "y": sol[:, None]})


OFFICIAL = OfficialTask(
    name="darcy",
    description="pressure in porous ground: 3x85x85 -> a number per position, 1000 + 100 test",
    about=__doc__,
    kind=TargetKind.DENSE_REGRESSION,
    metric="relative_l2",
    shapes={"x": (1000, 3, 85, 85), "y": (1000, 1, 85, 85), "x_test": (100, 3, 85, 85), "y_test": (100, 1, 85, 85)},
    samples={"training": 900, "validation": 100, "test": 100},
    licence="MIT",
    megabytes=3200,
    files=(TRAIN, TEST),
    published={"WRN": 0.073, "DARTS": 0.026, "DASH": 0.0079, "FNO": 0.008},
    read=read,
)
