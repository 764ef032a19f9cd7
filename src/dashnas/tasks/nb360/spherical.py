"""Spherical CIFAR-100: the photographs of CIFAR-100 projected onto a sphere, each 500 by a rotation of their own.

File: `s2_cifar100.gz`, or the same unpacked as `s2_cifar100`: a pickle of 50,000 images of 3x60x60 to train on and
10,000 for the test, on a grid of polar angle times azimuth.

clean: values are divided by 255; 10,000 images, drawn by the seed, are for validation; the final training uses all
50,000. Error in percent.
nb360-official: raw values; the last 10,000 in order of the file are for validation.
dash-official: raw values; drawn as in clean; the error is the mean over batches of 64, of which the last has 16 images.
"""

import gzip
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from dashnas.data.normalise import Normaliser
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.tables import ArrayTable
from dashnas.data.task_data import CLEAN, DASH, NB360, PaperSettings, Samples, TaskData
from dashnas.tasks.official import OfficialTask, find_file, need_keys, need_labels, need_shape, share, shuffled
from dashnas.tasks.safe_pickle import load_pickle, load_pickle_file

SIDE = 60


def read(folder: Path, protocol: str, seed: int) -> TaskData:
    """The images of the official file."""
    path = find_file(folder, "s2_cifar100.gz", "s2_cifar100")
    content = need_keys(_load(path), ("train", "test"), path)
    train, test = (_table(content[part], path) for part in ("train", "test"))
    n = len(train)
    order = np.arange(n) if protocol == NB360 else shuffled(n, seed)
    held = share(n, 10_000, 50_000)
    scale = 255.0 if protocol == CLEAN else 1.0
    return TaskData(
        origin=str(path),
        spec=DataSpec(
            channels=3,
            spatial_shape=(SIDE, SIDE),
            target_kind=TargetKind.CLASSES,
            outputs=100,
            classes=tuple(range(100)),
        ),
        normaliser=Normaliser(input_mean=(0.0,) * 3, input_std=(scale,) * 3),
        train=Samples(train, np.sort(order[: n - held])),
        validation=Samples(train, np.sort(order[n - held :])),
        final=Samples(train, np.arange(n)),
        test=Samples(test, np.arange(len(test))),
        how=f"validation is {'the end of the training images' if protocol == NB360 else f'drawn by seed {seed}'}",
        metric="error_pct@batch64" if protocol == DASH else "error_pct",
        also=("error_pct",),
        paper=PaperSettings(batch_size=64, kernel_sizes=(3, 5, 7, 9), grad_scale=500),
    )


def _load(path: Path) -> Any:
    if path.suffix != ".gz":
        return load_pickle_file(path, encoding="latin1")
    with gzip.open(path) as file:
        return load_pickle(cast(IO[bytes], file), path, encoding="latin1")


def _table(part: Any, path: Path) -> ArrayTable:
    part = need_keys(part, ("images", "labels"), path)
    images = need_shape(part["images"], (None, 3, SIDE, SIDE), "images", path)
    return ArrayTable({"x": images, "y": need_labels(part["labels"], len(images), 100, "labels", path)})


OFFICIAL = OfficialTask(
    name="spherical",
    description="photographs projected onto a sphere: 3x60x60 -> 100 classes, 50000 + 10000 test",
    about=__doc__,
    kind=TargetKind.CLASSES,
    metric="error_pct",
    shapes={"x": (50_000, 3, 60, 60), "y": (50_000,), "x_test": (10_000, 3, 60, 60), "y_test": (10_000,)},
    classes=100,
    samples={"training": 40_000, "validation": 10_000, "test": 10_000},
    licence="CC BY-SA",
    megabytes=272,
    files=("s2_cifar100.gz",),
    published={"WRN": 85.77, "DARTS": 48.23, "DASH": 71.28, "S2CNN": 67.41},
    read=read,
)
