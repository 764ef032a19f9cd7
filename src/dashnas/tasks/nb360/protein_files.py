"""The files of a protein: what is known of its residues, and how far apart they are in space."""

from pathlib import Path
from typing import Any

import numpy as np

from dashnas.data.tables import Array
from dashnas.errors import DataError
from dashnas.tasks.official import need_keys, need_shape
from dashnas.tasks.safe_pickle import load_npy, load_pickle_file

CHANNELS = 57
PROFILE = 22
"""Columns of the position-specific scores."""
_MAPS = ("ccmpred", "freecon", "potential")


def read_features(path: Path) -> Array:
    """Features of all pairs of residues of a protein.

    Secondary structure (3), position-specific scores (22), solvent accessibility and entropy are known of each residue
    and give two maps each, first of the second residue of a pair, then of the first; three maps are of pairs already.

    Returns:
        Shape (57, length, length), float32; NaN becomes 0.

    Raises:
        DataError: the file is damaged or lacks something.
    """
    keys = ("ss", "pssm", "sa", "entropy", *_MAPS)
    content = need_keys(load_pickle_file(path, encoding="latin1"), keys, path)
    length = np.shape(content["sa"])[0] if np.ndim(content["sa"]) == 1 else -1
    shapes = {"ss": (3, length), "pssm": (length, PROFILE), "sa": (length,), "entropy": (length,)}
    shapes |= dict.fromkeys(_MAPS, (length, length))
    parts = {name: need_shape(content[name], shape, name, path).astype(np.float32) for name, shape in shapes.items()}
    residues = np.concatenate([parts["ss"], parts["pssm"].T, parts["sa"][None], parts["entropy"][None]])  # (27, length)
    features = np.empty((CHANNELS, length, length), np.float32)
    features[0:-3:2] = residues[:, None, :]
    features[1:-3:2] = residues[:, :, None]
    features[-3:] = [parts[name] for name in _MAPS]
    return np.nan_to_num(features)


def read_distances(path: Path) -> Array:
    """Distances between the residues of a protein, in Angstrom.

    Those below 1 become 1. The diagonal, which is not measured, becomes the mean of its neighbours to both sides.

    Returns:
        Shape (length, length), float32; NaN becomes 0.

    Raises:
        DataError: the file is damaged or holds something else.
    """
    content: Any = load_npy(path, encoding="latin1")
    if not isinstance(content, np.ndarray) or len(content) != 3:
        raise DataError(f"{path} holds {type(content).__name__}; expected three items: length, sequence and distances")
    length = int(content[0])
    raw = need_shape(content[2], (length, length), "the distances", path)
    if length < 3:
        raise DataError(f"{path} is of a protein of {length} residues; expected at least 3")
    distances = np.maximum(raw.astype(np.float32), 1)
    inner = np.arange(1, length - 1)
    distances[inner, inner] = (distances[inner, inner - 1] + distances[inner, inner + 1]) / 2
    distances[0, 0], distances[-1, -1] = distances[0, 1], distances[-1, -2]
    return np.nan_to_num(distances)


def read_list(path: Path) -> list[str]:
    """The names in a list, one a line, of which the first word counts.

    Raises:
        DataError: it holds none, or cannot be read as text.
    """
    try:
        names = [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as a list of names: {error}") from error
    if not names:
        raise DataError(f"{path} holds no names; expected one a line")
    return names
