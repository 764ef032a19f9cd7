"""Cosmic: which pixels of an image of the Hubble telescope a cosmic ray hit (deepCR, ACS/WFC).

Files: `npy_train/f435w/PROPOSAL/VISIT/K_INDEX.npy` and the same below `npy_test`: image, mask of the rays and, in most,
a mask of pixels to ignore; and `sky.npy` in a visit's folder, the brightness of its sky. Only fields of galaxies are
used, 4,830 and 420 images, and of each the 128x128 pixels in its middle. Training adds some of the sky; so do, always
the same, validation and test. A second score tells of the test images as they are, by the same metric with the suffix
`@clean-sky`.

clean: files in sorted order, of which 483 drawn by the seed are for validation; the final training uses all 4,830.
1 - AUROC of the scores of all pixels that are not ignored.
nb360-official: the last tenth in sorted order is for validation. The balanced error of the answers above a logit of
0.5, ignored pixels and all.
dash-official: 420 images drawn by the seed are for validation, and are left out of the final training too. The share of
hit pixels that were missed, at a probability of 0.5, as the mean over batches of 4.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dashnas.data.normalise import Normaliser
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.tables import Array, Rows
from dashnas.data.task_data import CLEAN, DASH, NB360, PaperSettings, Samples, TaskData
from dashnas.errors import DataError
from dashnas.tasks.official import OfficialTask, find_file, share, shuffled
from dashnas.tasks.safe_pickle import load_npy

FILTER = "f435w"
GALAXIES = frozenset(
    [
        "10760_2",
        "10760_4",
        "13737_2",
        "13737_3",
        "9490_a3",
        "12513_2",
        "12513_3",
        "10182_pb",
        "10182_pd",
        "10342_3",
        "14343_1",
        "13057_1",
        "10260_7",
        "10260_5",
        "10407_3",
        "13364_95",
        "10190_28",
        "10190_13",
        "9490_a2",
        "13691_11",
        "12058_12",
        "12058_16",
        "12058_1",
        "12058_6",
        "14704_1",
        "13804_6",
    ]
)
"""Proposal and visit of the fields of galaxies; the others are clusters of stars, or empty."""
CROP = slice(64, 192)
SIDE = 128
SKY = (-0.9, 3.0)
"""Between which the share of the sky is drawn that is added to an image."""
NO_SKY = (0.0, 0.0)


def read(folder: Path, protocol: str, seed: int) -> TaskData:
    """The images of the official folders."""
    found = {part: images(find_file(folder, f"npy_{part}")) for part in ("train", "test")}
    # The code of NAS-Bench-360 scores ignored pixels too.
    train, scored, test, clean = (
        GalaxyTable(found["train"], masked=True),
        GalaxyTable(found["train"], masked=protocol != NB360),
        GalaxyTable(found["test"], masked=protocol != NB360),
        GalaxyTable(found["test"], masked=protocol != NB360, sky=NO_SKY),
    )
    n = len(train)
    held = share(n, 420, 4830) if protocol == DASH else share(n, 1, 10)
    order = np.arange(n) if protocol == NB360 else shuffled(n, seed)
    fitted = np.sort(order[: n - held])
    return TaskData(
        origin=str(folder),
        spec=DataSpec(channels=1, spatial_shape=(SIDE, SIDE), target_kind=TargetKind.DENSE_BINARY, outputs=1),
        normaliser=Normaliser.identity(1),
        train=Samples(train, fitted),
        validation=Samples(scored, np.sort(order[n - held :])),
        final=Samples(train, fitted if protocol == DASH else np.arange(n)),
        test=Samples(test, np.arange(len(test))),
        test_variants={"clean-sky": Samples(clean, np.arange(len(clean)))},
        how="the end in sorted order" if protocol == NB360 else f"validation is drawn by seed {seed}",
        metric={CLEAN: "1-auroc", NB360: "bal_err@logit0.5", DASH: "fnr@p0.5@batch4"}[protocol],
        also=("1-auroc", "bal_err@p0.5", "fnr@p0.5", "bal_err@logit0.5"),
        paper=PaperSettings(batch_size=4, kernel_sizes=(3, 5, 7, 9), grad_scale=1000, small_grid=True),
    )


def images(folder: Path) -> list[Path]:
    """The image files of the fields of galaxies, sorted.

    Raises:
        DataError: there are none.
    """
    found = sorted(
        path
        for path in folder.glob(f"{FILTER}/*/*/*.npy")
        if path.name != "sky.npy" and f"{path.parts[-3]}_{path.parts[-2]}" in GALAXIES
    )
    if not found:
        raise DataError(
            f"{folder} holds no image of a field of galaxies; expected files such as {FILTER}/10760/2/1_0.npy, as the "
            "archive unpacks them"
        )
    return found


class GalaxyTable:
    """Images of fields of galaxies, read when they are asked for; with some of the sky added.

    Args:
        paths: of the images.
        masked: whether pixels to ignore are left out.
        sky: between which the share of the sky is drawn.
    """

    def __init__(self, paths: Sequence[Path], *, masked: bool, sky: tuple[float, float] = SKY) -> None:
        self._paths = tuple(paths)
        self._masked = masked
        self._sky_share = sky

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""
        return ("x", "y", "mask") if self._masked else ("x", "y")

    def __len__(self) -> int:
        return len(self._paths)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a column, with the samples on the first axis."""
        return (len(self), SIDE, SIDE) if name == "mask" else (len(self), 1, SIDE, SIDE)

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of a column's values."""
        return np.dtype({"x": np.float32, "y": np.uint8, "mask": np.bool_}[name])

    def take(self, rows: Rows, names: Sequence[str]) -> dict[str, Array]:
        """These images; how much sky is added depends on the row alone."""
        places = np.arange(len(self))[rows]
        return self._read(places, names, (np.random.RandomState(row).uniform(*self._sky_share) for row in places))

    def draw(self, rows: Array, names: Sequence[str], generators: Sequence[np.random.Generator]) -> dict[str, Array]:
        """These images, with as much sky as is drawn."""
        return self._read(rows, names, (random.uniform(*self._sky_share) for random in generators))

    def _read(self, rows: Array, names: Sequence[str], skies: Iterable[float]) -> dict[str, Array]:
        columns = {name: np.empty((len(rows), *self.shape(name)[1:]), self.dtype(name)) for name in names}
        for i, (row, sky) in enumerate(zip(rows, skies, strict=True)):
            path = self._paths[row]
            layers = _layers(path)
            if "x" in columns:
                columns["x"][i] = layers[0] + sky * _sky(path)
            if "y" in columns:
                columns["y"][i] = layers[1] > 0
            if "mask" in columns:
                columns["mask"][i] = layers[2] == 0 if len(layers) == 3 else True
        return columns


def _layers(path: Path) -> Array:
    layers = load_npy(path, lazily=True)
    if not isinstance(layers, np.ndarray) or layers.ndim != 3 or len(layers) not in (2, 3):
        raise DataError(
            f"{path} has shape {np.shape(layers)}; expected image, rays and ignored pixels: 3 x height x width"
        )
    middle = layers[:, CROP, CROP].astype(np.float32)
    if middle.shape[1:] != (SIDE, SIDE):
        raise DataError(f"{path} has shape {layers.shape}; expected at least {CROP.stop} pixels a side")
    if not np.isfinite(middle).all():
        raise DataError(f"{path} has values that are NaN or infinite; the file is damaged")
    return middle


def _sky(path: Path) -> float:
    """Brightness of the sky in the exposure that an image is from; 0 where it is not known."""
    file = path.parent / "sky.npy"
    number = re.match(r"(\d+)_", path.name)
    if number is None or not file.exists():
        return 0.0
    levels = np.reshape(load_npy(file), -1)
    exposure = int(number[1])
    if not 1 <= exposure <= len(levels):
        raise DataError(f"{file} has no sky for exposure {exposure} of {path.name}; it holds {len(levels)} values")
    return float(levels[exposure - 1])


OFFICIAL = OfficialTask(
    name="cosmic",
    description="cosmic rays on images of a telescope: 1x128x128 -> yes or no per pixel, 4830 + 420 test",
    about=__doc__,
    kind=TargetKind.DENSE_BINARY,
    metric="1-auroc",
    shapes={
        "x": (4830, 1, 128, 128),
        "y": (4830, 1, 128, 128),
        "x_test": (420, 1, 128, 128),
        "y_test": (420, 1, 128, 128),
    },
    samples={"training": 4347, "validation": 483, "test": 420},
    licence="open licence",
    megabytes=8500,
    files=("npy_train", "npy_test"),
    read=read,
)
