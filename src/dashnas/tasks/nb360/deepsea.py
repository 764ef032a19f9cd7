"""DeepSEA: which of 36 proteins and marks sit on a stretch of DNA.

File: `deepsea_filtered.npz` with `x_train`, `y_train`, `x_val`, `y_val`, `x_test`, `y_test`: 71,753, 2,490 and 149,400
sequences of 1000 bases, one-hot over A, C, G and T in the file already, and 36 labels each.

clean: 1 - AUROC over the whole test set, averaged over labels; the final training uses training and validation part.
nb360-official: the same, with a final training on the training part alone.
dash-official: as clean, but the mean over batches of 512 in a shuffled order.
"""

from pathlib import Path

import numpy as np

from dashnas.data.files import read_npz
from dashnas.data.normalise import Normaliser
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.stack import StackedTable
from dashnas.data.tables import Array, ArrayTable
from dashnas.data.task_data import DASH, NB360, PaperSettings, Samples, TaskData
from dashnas.errors import DataError
from dashnas.tasks.official import OfficialTask, find_file, need_binary, need_keys, need_shape

LABELS = 36
LENGTH = 1000
PARTS = ("train", "val", "test")


def read(folder: Path, protocol: str, seed: int) -> TaskData:
    """The sequences of the official file; nothing is left to the seed."""
    path = find_file(folder, "deepsea_filtered.npz")
    arrays = need_keys(read_npz(path), [f"{key}_{part}" for part in PARTS for key in "xy"], path)
    train, validation, test = (_table(arrays[f"x_{part}"], arrays[f"y_{part}"], part, path) for part in PARTS)
    both = StackedTable([train, validation], (LENGTH,))
    alone = Samples(train, np.arange(len(train)))
    return TaskData(
        origin=str(path),
        spec=DataSpec(channels=4, spatial_shape=(LENGTH,), target_kind=TargetKind.MULTI_LABEL, outputs=LABELS),
        normaliser=Normaliser.identity(4),
        train=alone,
        validation=Samples(validation, np.arange(len(validation))),
        final=alone if protocol == NB360 else Samples(both, np.arange(len(both))),
        test=Samples(test, np.arange(len(test))),
        how="as in the file" + (", the final training without validation part" if protocol == NB360 else ""),
        metric="1-auroc@batch512" if protocol == DASH else "1-auroc",
        also=("1-auroc",),
        paper=PaperSettings(batch_size=256, kernel_sizes=(3, 7, 11, 15, 19), grad_scale=10, pos_weight=4.0),
    )


def _table(x: Array, y: Array, part: str, path: Path) -> ArrayTable:
    bases = need_shape(x, (None, LENGTH, 4), f"x_{part}", path)
    # One-hot, so that a byte holds what some copies of the file spend eight on.
    bases = bases if bases.dtype.itemsize == 1 else bases.astype(np.uint8)
    if bases.max(initial=0) > 1 or bases.min(initial=0) < 0:
        raise DataError(f"x_{part} in {path} has values other than 0 and 1; expected bases in one-hot form")
    return ArrayTable({"x": bases.transpose(0, 2, 1), "y": need_binary(y, (len(x), LABELS), f"y_{part}", path)})


OFFICIAL = OfficialTask(
    name="deepsea",
    description="what binds to a stretch of DNA: 4x1000 -> 36 labels, 74243 + 149400 test",
    about=__doc__,
    kind=TargetKind.MULTI_LABEL,
    metric="1-auroc",
    shapes={"x": (74_243, 4, 1000), "y": (74_243, 36), "x_test": (149_400, 4, 1000), "y_test": (149_400, 36)},
    samples={"training": 71_753, "validation": 2490, "test": 149_400},
    licence="CC BY 4.0",
    megabytes=860,
    files=("deepsea_filtered.npz",),
    published={"WRN": 0.40, "DARTS": 0.36, "DASH": 0.28, "DeepSEA CNN": 0.30},
    read=read,
)
