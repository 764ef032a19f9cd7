"""Whatever the user has - a path, arrays, a torch Dataset - as one table of samples per part."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from dashnas.data.arrays import SUFFIXES, tables_from_arrays
from dashnas.data.csv_table import read_csv
from dashnas.data.files import read_folder, read_npy, read_npz
from dashnas.data.image_folder import ImageConfig, is_image_folder, read_image_folder
from dashnas.data.ragged import pad_lists
from dashnas.data.spec import DataSpec
from dashnas.data.tables import Table
from dashnas.data.torch_dataset import table_from_dataset
from dashnas.errors import ConfigError, DataError, unknown_name

_AS_THEY_ARE = ImageConfig()
_PART_NAMES = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Source:
    """Samples as they lie, not yet checked beyond having as many rows in every column."""

    tables: dict[str, Table]
    """By part: train, and validation and test where they were given."""
    origin: str
    """Where they come from, for messages."""
    warnings: tuple[str, ...] = ()
    """What looks mistaken, but can be used."""


def read_source(source: Any, *, trained: DataSpec | None = None, images: ImageConfig = _AS_THEY_ARE) -> Source:
    """Find the samples.

    Args:
        source: a path to an `.npz` file, a `.csv` file, a folder of `.npy` files or one with a folder of images per
            class; a dict of arrays; a pair (x, y); a torch Dataset, or a dict of them by part. To predict also x alone.
        trained: what a trained model takes; targets are then not needed. None when training.
        images: how image files become arrays.

    Raises:
        DataError: there is nothing there, or it cannot be read.
        ConfigError: there are no image files, but settings for them.
    """
    if isinstance(source, str | Path):
        return _from_path(Path(source), trained, images)
    _refuse_image_settings(images, "the data")
    if isinstance(source, Dataset):
        table = table_from_dataset(source, "the dataset", targets=trained is None)
        return Source({"train": table}, "the dataset")
    if isinstance(source, Mapping):
        return _from_mapping(source, trained)
    if isinstance(source, tuple) and len(source) == 2:
        return _from_mapping({"x": source[0], "y": source[1]}, trained)
    if trained is not None and (hasattr(source, "shape") or isinstance(source, list)):
        return _from_mapping({"x": source}, trained)
    raise DataError(
        f"cannot read data from {type(source).__name__}; expected a path, a dict of arrays, "
        "a pair (x, y) or a torch Dataset"
    )


def _refuse_image_settings(images: ImageConfig, origin: str) -> None:
    if images != _AS_THEY_ARE:
        raise ConfigError(
            f"image_size and augment (--image-size, --augment, the imagenet presets) are for a folder of image files; "
            f"{origin} holds arrays, so leave them out"
        )


def _from_path(path: Path, trained: DataSpec | None, images: ImageConfig) -> Source:
    try:
        path = path.expanduser()
    except RuntimeError as error:  # no such user, or none has a home
        raise DataError(f"{path} cannot be found: {error}") from error
    warnings: list[str] = []
    try:
        if not path.exists():
            raise DataError(
                f"{path} does not exist; expected an .npz file, a .csv file, a folder of .npy files or of images"
            )
        if not path.is_dir() and not path.is_file():
            raise DataError(f"{path} is a pipe or a device; save the data in a file first, and give that")
        if path.is_dir() and not any(path.glob("*.npy")) and is_image_folder(path):
            form = None if trained is None else (trained.channels, trained.spatial_shape)
            found, left_out = read_image_folder(path, images, trained=form)
            return Source(found, str(path), tuple(left_out))
        _refuse_image_settings(images, str(path))
        if path.is_dir():
            arrays = read_folder(path)
            if is_image_folder(path):
                warnings.append(f"left out the images in {path}: there are .npy files; give a folder without those")
        elif path.suffix.lower() == ".csv":
            arrays = read_csv(path, length=None if trained is None else trained.spatial_shape[-1])
        elif path.suffix.lower() == ".npy" and trained is not None:
            arrays = {"x": read_npy(path)}
        else:
            arrays = read_npz(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    tables, mistakes = tables_from_arrays(arrays, str(path), targets=trained is None)
    return Source(tables, str(path), (*warnings, *mistakes))


def _from_mapping(mapping: Mapping[Any, Any], trained: DataSpec | None) -> Source:
    targets = trained is None
    if mapping and all(isinstance(value, Dataset) for value in mapping.values()):
        return _from_datasets(mapping, targets=targets)
    arrays = pad_lists(mapping, always=trained is not None and trained.unequal_lengths)
    tables, warnings = tables_from_arrays(arrays, "the arrays given", targets=targets)
    return Source(tables, "the arrays given", tuple(warnings))


def _from_datasets(datasets: Mapping[str, Dataset[Any]], *, targets: bool) -> Source:
    for name in datasets:
        if name not in _PART_NAMES:
            raise DataError(unknown_name("part", str(name), SUFFIXES))
    tables = {
        _PART_NAMES[name]: table_from_dataset(dataset, f"the {name} dataset", targets=targets)
        for name, dataset in datasets.items()
    }
    if "train" not in tables:
        raise DataError(f"no 'train' dataset among {', '.join(tables)}; it is the one that is learned from")
    return Source(tables, "the datasets")
