"""CIFAR-100: which of 100 things a small photograph shows.

Files: `cifar-100-python/train` and `test`, or the archive `cifar-100-python.tar.gz` as it is. 50,000 images of
3x32x32 to train on and 10,000 for the test; the fine labels. Channels are normalised by constants; training shifts
and mirrors the images.

clean: 10,000 images, drawn by the seed, are for validation; the final training uses all 50,000. Error in percent.
nb360-official: the last 10,000 in order of the file are for validation; training cuts a hole of 16x16 (Cutout).
dash-official: as clean; the error is the mean over batches of 64, of which the last has 16 images.
"""

import io
import tarfile
from pathlib import Path

import numpy as np

from dashnas.data.draws import AugmentedTable
from dashnas.data.normalise import Normaliser
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.tables import Array, ArrayTable
from dashnas.data.task_data import DASH, NB360, PaperSettings, Samples, TaskData
from dashnas.errors import DataError
from dashnas.tasks.nb360.augment import cutout, mirror, of_inputs, shift
from dashnas.tasks.official import OfficialTask, find_file, need_keys, need_labels, need_shape, share, shuffled
from dashnas.tasks.safe_pickle import load_pickle

MEAN = tuple(255 * value for value in (0.5071, 0.4867, 0.4408))
STD = tuple(255 * value for value in (0.2675, 0.2565, 0.2761))
ARCHIVE = "cifar-100-python.tar.gz"


def read(folder: Path, protocol: str, seed: int) -> TaskData:
    """The images of the official files."""
    train, test = (read_part(folder, part) for part in ("train", "test"))
    n = len(train)
    held = share(n, 10_000, 50_000)
    order = np.arange(n) if protocol == NB360 else shuffled(n, seed)
    chosen = order[-held:] if protocol == NB360 else order[:held]
    steps = [shift, mirror, cutout(MEAN)] if protocol == NB360 else [shift, mirror]
    augmented = AugmentedTable(train, of_inputs(*steps))
    return TaskData(
        origin=str(folder),
        spec=DataSpec(
            channels=3,
            spatial_shape=(32, 32),
            target_kind=TargetKind.CLASSES,
            outputs=100,
            classes=tuple(range(100)),
        ),
        normaliser=Normaliser(input_mean=MEAN, input_std=STD),
        train=Samples(augmented, np.setdiff1d(order, chosen)),
        validation=Samples(train, np.sort(chosen)),
        final=Samples(augmented, np.arange(n)),
        test=Samples(test, np.arange(len(test))),
        how=f"validation is {'the end of the training file' if protocol == NB360 else f'drawn by seed {seed}'}",
        metric="error_pct@batch64" if protocol == DASH else "error_pct",
        also=("error_pct",),
        paper=PaperSettings(batch_size=64, kernel_sizes=(3, 5, 7, 9), grad_scale=5000),
    )


def read_part(folder: Path, part: str) -> ArrayTable:
    """Images `x` (n, 3, 32, 32), uint8, and fine labels `y` of an official file.

    Args:
        folder: of the files.
        part: `train` or `test`.

    Raises:
        DataError: the file is missing, damaged or holds something else.
    """
    path = find_file(folder, f"cifar-100-python/{part}", part, ARCHIVE)
    content = need_keys(_load(path, part), ("data", "fine_labels"), path)
    images = need_shape(content["data"], (None, 3 * 32 * 32), "data", path)
    if images.dtype != np.uint8:
        raise DataError(f"data in {path} has the type {images.dtype}; expected uint8")
    labels = need_labels(content["fine_labels"], len(images), 100, "fine_labels", path)
    return ArrayTable({"x": images.reshape(-1, 3, 32, 32), "y": labels})


def _load(path: Path, part: str) -> Array:
    try:
        if path.name != ARCHIVE:
            with path.open("rb") as file:
                return load_pickle(file, path, encoding="latin1")  # type: ignore[no-any-return]
        with tarfile.open(path) as archive:
            member = archive.extractfile(f"cifar-100-python/{part}")
            assert member is not None
            return load_pickle(io.BytesIO(member.read()), path, encoding="latin1")  # type: ignore[no-any-return]
    except DataError:
        raise
    except (OSError, EOFError, KeyError, AssertionError, tarfile.TarError) as error:
        raise DataError(f"{path} is damaged, cut short or no such archive ({error}); fetch it again") from error


OFFICIAL = OfficialTask(
    name="cifar100",
    description="things on photographs: 3x32x32 -> 100 classes, 50000 + 10000 test",
    about=__doc__,
    kind=TargetKind.CLASSES,
    metric="error_pct",
    shapes={"x": (50_000, 3, 32, 32), "y": (50_000,), "x_test": (10_000, 3, 32, 32), "y_test": (10_000,)},
    classes=100,
    samples={"training": 40_000, "validation": 10_000, "test": 10_000},
    licence="CC BY 4.0",
    megabytes=169,
    files=("cifar-100-python/train", "cifar-100-python/test"),
    published={"WRN": 23.35, "DARTS": 24.02, "DASH": 24.37, "DenseNet-BC": 19.39},
    read=read,
)
