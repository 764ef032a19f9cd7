"""Official files of NAS-Bench-360 in miniature: the same names, keys, types and layouts, a few samples each."""

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.io

Maker = Callable[[Path, np.random.Generator], None]


def cifar100(folder: Path, random: np.random.Generator) -> None:
    (folder / "cifar-100-python").mkdir()
    for part, n in (("train", 40), ("test", 12)):
        labels = (np.arange(n) * 7) % 100
        data = (random.integers(0, 100, (n, 3072)) + labels[:, None]).astype(np.uint8)
        content = {"data": data, "fine_labels": labels.tolist(), "coarse_labels": [0] * n, "filenames": ["a.png"] * n}
        (folder / "cifar-100-python" / part).write_bytes(pickle.dumps(content, protocol=2))


def spherical(folder: Path, random: np.random.Generator) -> None:
    parts = {
        part: {
            "images": random.integers(0, 256, (n, 3, 60, 60)).astype(np.uint8),
            "labels": (np.arange(n) * 7) % 100,
        }
        for part, n in (("train", 20), ("test", 6))
    }
    (folder / "s2_cifar100.gz").write_bytes(gzip.compress(pickle.dumps(parts), 1))


def ninapro(folder: Path, random: np.random.Generator) -> None:
    for part, n in (("train", 40), ("val", 10), ("test", 11)):
        np.save(folder / f"ninapro_{part}.npy", random.normal(size=(n, 52, 16)))
        np.save(folder / f"label_{part}.npy", np.arange(n) % 18)


def satellite(folder: Path, random: np.random.Generator) -> None:
    for part, n in (("train", 270), ("test", 48)):
        content = {"data": 500 + 80 * random.normal(size=(n, 46)), "label": np.arange(n) % 24 + 1}
        np.save(folder / f"satellite_{part}.npy", np.array(content, dtype=object))


def deepsea(folder: Path, random: np.random.Generator) -> None:
    arrays = {}
    for part, n in (("train", 24), ("val", 12), ("test", 20)):
        arrays[f"x_{part}"] = np.eye(4, dtype=np.uint8)[random.integers(0, 4, (n, 1000))]
        arrays[f"y_{part}"] = (np.arange(n)[:, None] + np.arange(36)) % 2
    np.savez(folder / "deepsea_filtered.npz", **arrays)


def darcy(folder: Path, random: np.random.Generator, side: int = 41) -> None:
    for name, n in (("smooth1", 20), ("smooth2", 5)):
        coeff = np.where(random.normal(size=(n, side, side)) >= 0, 12.0, 3.0).astype(np.float32)
        sol = (0.1 * random.random((n, side, side)) / coeff).astype(np.float32)
        scipy.io.savemat(folder / f"piececonst_r421_N1024_{name}.mat", {"coeff": coeff, "sol": sol})


MAKERS: dict[str, Maker] = {
    maker.__name__: maker for maker in (cifar100, spherical, ninapro, satellite, deepsea, darcy)
}
"""By name of the task."""


def make(name: str, data: Path) -> Path:
    """Write the files of a task where dashnas looks for them with $DASHNAS_DATA set to `data`; gives their folder."""
    folder = data / name
    folder.mkdir(parents=True)
    MAKERS[name](folder, np.random.default_rng(0))
    return folder
