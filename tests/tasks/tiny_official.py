"""Official files of NAS-Bench-360 in miniature: the same names, keys, types and layouts, a few samples each."""

import gzip
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from scipy.io import wavfile

from dashnas.data import DataConfig, PreparedData, prepare
from dashnas.tasks import task_source

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


def ecg(folder: Path, random: np.random.Generator) -> None:
    labels = np.array(["N", "A", "O", "~"])[np.arange(40) % 4]
    data = np.empty(len(labels), object)
    for i, label in enumerate(labels):
        # Few windows each, whatever their distance is.
        length = {"N": 2200, "A": 1180, "O": 1700, "~": 1060}[label]
        data[i] = (200 * random.normal(size=length) + 50 * i).astype(np.int16)
    (folder / "challenge2017.pkl").write_bytes(pickle.dumps({"data": data, "label": labels}))


def cosmic(folder: Path, random: np.random.Generator) -> None:
    for part, n in (("train", 5), ("test", 2)):
        for place, layers in (("f435w/10760/2", 3), ("f435w/13737/3", 2), ("f435w/9999/1", 3), ("f606w/10760/2", 3)):
            visit = folder / f"npy_{part}" / place
            visit.mkdir(parents=True)
            for i in range(n):
                stack = np.zeros((layers, 256, 256), np.float32)
                stack[1] = random.random((256, 256)) > 0.9
                stack[0] = 100 + random.normal(size=(256, 256)) + 50 * stack[1]
                if layers == 3:
                    stack[2, :, :100] = 1
                np.save(visit / f"{i % 2 + 1}_{i}.npy", stack)
            if place != "f435w/13737/3":
                np.save(visit / "sky.npy", np.array([10.0, 20.0]))


def psicov(folder: Path, random: np.random.Generator) -> None:
    for part, lengths in (("deepcov", (150, 60, 40, 40, 30, 30)), ("psicov", (40, 60, 50))):
        (folder / part / "features").mkdir(parents=True)
        (folder / part / "distance").mkdir()
        names = [f"{part}{i}" for i in range(len(lengths))]
        (folder / f"{part}.lst").write_text("".join(f"{name} {n}\n" for name, n in zip(names, lengths, strict=True)))
        for name, n in zip(names, lengths, strict=True):
            place = random.normal(size=(n, 3)).cumsum(axis=0)
            distances = np.linalg.norm(place[:, None] - place, axis=-1)
            whole = {key: random.normal(size=(n, n)) for key in ("ccmpred", "freecon", "potential")}
            features = {
                "seq": "A" * n,
                "ss": random.random((3, n)),
                "pssm": random.normal(size=(n, 22)),
                "sa": random.random(n),
                "entropy": random.random(n),
                **whole,
            }
            (folder / part / "features" / f"{name}.pkl").write_bytes(pickle.dumps(features))
            content = np.empty(3, object)
            content[:] = [n, "A" * n, distances]
            np.save(folder / part / "distance" / f"{name}-cb.npy", content)


def fsd50k(folder: Path, random: np.random.Generator) -> None:
    chunks = folder / "chunks"
    (chunks / "wav").mkdir(parents=True)
    (folder / "noise_22050").mkdir()
    (chunks / "lbl_map.json").write_text(json.dumps({f"label{i}": i for i in range(200)}))
    wavfile.write(folder / "noise_22050" / "n.wav", 22050, _sound(random, 30000))
    for part, n in (("tr", 8), ("val", 4), ("eval", 4)):
        lines = ["files,labels,ext"]
        for clip in range(n):
            for number in range(1 + clip % 3):
                name = f"{part}{clip}_{number:04d}.wav"
                wavfile.write(chunks / "wav" / name, 22050, _sound(random, 22050))
                lines.append(f'/data/elsewhere/{name},"label{clip % 3},label{100 + clip % 2}",{part}{clip}')
        (chunks / f"{part}.csv").write_text("\n".join(lines) + "\n")


def fsd50k_clips(folder: Path, random: np.random.Generator) -> None:
    """The data set as its makers publish it."""
    truth = folder / "FSD50K.ground_truth"
    truth.mkdir()
    (truth / "vocabulary.csv").write_text("".join(f"{i},label{i},/m/{i}\n" for i in range(200)))
    for table, splits in (("dev", ("train",) * 6 + ("val",) * 3), ("eval", ("",) * 3)):
        (folder / f"FSD50K.{table}_audio").mkdir()
        header = "fname,labels,mids,split" if table == "dev" else "fname,labels,mids"
        lines = [header]
        for clip, split in enumerate(splits):
            sound = _sound(random, (30000, 60000, 101430)[clip % 3])  # 0.7, 1.4 and 2.3 seconds
            wavfile.write(folder / f"FSD50K.{table}_audio" / f"{clip}.wav", 44100, sound)
            lines.append(f'{clip},"label{clip % 3},label{100 + clip % 2}","/m/0",{split}'.rstrip(","))
        (truth / f"{table}.csv").write_text("\n".join(lines) + "\n")


def _sound(random: np.random.Generator, samples: int) -> np.ndarray:
    tone = np.sin(np.arange(samples) * random.uniform(0.05, 1.5))
    return (8000 * tone + 800 * random.normal(size=samples)).astype(np.int16)


MAKERS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (cifar100, cosmic, darcy, deepsea, ecg, fsd50k, ninapro, psicov, satellite, spherical)
}
"""By name of the task."""


def prepared(name: str, data: Path, protocol: str = "clean", seed: int = 0) -> PreparedData:
    """A task whose files lie below `data`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DASHNAS_DATA", str(data))
        return prepare(task_source(name), DataConfig(), seed=seed, protocol=protocol)


def make(name: str, data: Path) -> Path:
    """Write the files of a task where dashnas looks for them with $DASHNAS_DATA set to `data`; gives their folder."""
    folder = data / name
    folder.mkdir(parents=True)
    MAKERS[name](folder, np.random.default_rng(0))
    return folder
