"""Files like those of the official Darcy task, made from the equations: the same names and keys, other numbers.

A sample depends on the seed and its number only, so any number of processes, in any order, makes the same files. Each
is saved when it is done; a run that was stopped goes on with the missing ones.
"""

import multiprocessing
import os
import platform
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from scipy.io import savemat
from threadpoolctl import threadpool_limits

from dashnas.errors import ConfigError, DataError
from dashnas.storage import atomic_file
from dashnas.tasks.darcy_equations import FEWEST_CELLS, LI2021, sample
from dashnas.tasks.nb360.darcy import TEST, TRAIN
from dashnas.tasks.progress import Progress
from dashnas.tasks.synthetic import MARK, read_mark, write_mark

_TEST_SHARE = 11  # one sample in so many is for the test: 100 of 1100, as in the benchmark
_MAT_TEXT_BYTES = 116  # free text that a MAT file begins with
MOST_SAMPLES = 10**6  # whose names have six digits
MOST_CELLS = 4096  # beyond which no usual machine has the memory for the linear system
MOST_JOBS = 256


@dataclass(frozen=True, kw_only=True)
class DarcyRecipe:
    """What decides the numbers in the files."""

    n: int = 1100
    """Samples in both files together; one in eleven is for the test."""
    grid: int = 421
    """Cells along each axis that the equation is solved on."""
    stride: int = 5
    """Every so many cells are kept, from the first on."""
    seed: int = 0
    """Of all samples."""

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ConfigError(f"n must be at least 2, one sample to train on and one to test on; got {self.n}")
        if self.n > MOST_SAMPLES:
            raise ConfigError(f"n must be at most {MOST_SAMPLES}, got {self.n}")
        if self.grid > MOST_CELLS:
            raise ConfigError(f"grid must be at most {MOST_CELLS} cells along each axis, got {self.grid}; try 421")
        if self.grid < FEWEST_CELLS:
            raise ConfigError(f"grid must be at least {FEWEST_CELLS} cells along each axis, got {self.grid}; try 85")
        if not 1 <= self.stride < self.grid:
            raise ConfigError(f"stride must be from 1 to below grid {self.grid}, got {self.stride}; 1 keeps every cell")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed must be from 0 to {2**32 - 1}, got {self.seed}")

    @property
    def points(self) -> int:
        """Along each axis of what is kept."""
        return len(range(0, self.grid, self.stride))

    @property
    def files(self) -> dict[str, range]:
        """Numbers of the samples in each file."""
        test = max(round(self.n / _TEST_SHARE), 1)
        return {TRAIN: range(self.n - test), TEST: range(self.n - test, self.n)}


def make_darcy(recipe: DarcyRecipe, out: Path, *, jobs: int = 1, progress: Progress | None = None) -> list[Path]:
    """Make the two files, or what is missing of them.

    Args:
        recipe: what decides the numbers.
        out: folder for the files.
        jobs: processes at once, each with one thread; it changes nothing but the time.
        progress: is told of every sample.

    Returns:
        The files' paths.

    Raises:
        ConfigError: fewer than one job, or more than any machine has cores for.
        DataError: the folder holds files that were not made by this recipe.
        StorageError: they cannot be written.
    """
    if jobs < 1:
        raise ConfigError(f"jobs must be at least 1, got {jobs}")
    if jobs > MOST_JOBS:
        raise ConfigError(f"jobs must be at most {MOST_JOBS}, got {jobs}; more than there are cores gain nothing")
    if file := next((path for path in (out, *out.parents) if path.is_file()), None):
        raise DataError(f"{file} is a file; expected a folder for the two files, new or of an earlier run")
    paths = [out / name for name in recipe.files]
    if _is_made(recipe, out):
        return paths
    samples = out / f".samples-{recipe.seed}-{recipe.grid}-{recipe.stride}"
    missing = [index for index in range(recipe.n) if not _is_whole(_sample_path(samples, index), recipe)]
    tell = progress or (lambda done, total: None)
    tell(recipe.n - len(missing), recipe.n)
    for number, _ in enumerate(_solved(recipe, samples, missing, jobs), start=recipe.n - len(missing) + 1):
        tell(number, recipe.n)
    for name, indices in recipe.files.items():
        _write_mat(out / name, recipe, samples, indices)
    write_mark(out, _mark(recipe))
    shutil.rmtree(samples)
    return paths


def _is_made(recipe: DarcyRecipe, out: Path) -> bool:
    """Whether the files are there.

    Raises:
        DataError: other files are.
    """
    there = [name for name in recipe.files if (out / name).exists()]
    if (mark := read_mark(out)) is None:
        if there and not _are_ours(out, there):
            raise DataError(
                f"{out / there[0]} exists and was not made here, so it may be the official file; "
                "choose another folder with --out, or move it away"
            )
        return False
    if (made := mark.get("recipe")) != _mark(recipe)["recipe"]:
        raise DataError(
            f"{out} holds files of another recipe, {made}; expected {_mark(recipe)['recipe']}: "
            f"choose another folder with --out, or remove {MARK} and the .mat files there"
        )
    return len(there) == len(recipe.files)


def _are_ours(out: Path, names: Sequence[str]) -> bool:
    """Whether files without a mark, as a run that was killed while it wrote them leaves them, begin with our text."""
    return all(_first_bytes(out / name, len(_TEXT)) == _TEXT.encode() for name in names)


def _first_bytes(path: Path, n: int) -> bytes:
    with path.open("rb") as file:
        return file.read(n)


def _mark(recipe: DarcyRecipe) -> dict[str, Any]:
    return {
        "what": "Darcy flow made by `dashnas tasks make darcy`",
        "recipe": {**asdict(recipe), "ground": asdict(LI2021)},
        "samples": {name: len(indices) for name, indices in recipe.files.items()},
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
    }


def _sample_path(folder: Path, index: int) -> Path:
    return folder / f"{index:06d}.npy"


def _is_whole(path: Path, recipe: DarcyRecipe) -> bool:
    try:
        fields = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return False
    return bool(fields.shape == (2, recipe.points, recipe.points) and fields.dtype == np.float32)


def _solved(recipe: DarcyRecipe, folder: Path, indices: Sequence[int], jobs: int) -> Iterator[None]:
    """Make and save samples; one result per sample, when it is saved."""
    if jobs == 1:
        for index in indices:
            _save_sample(recipe, folder, index)
            yield
        return
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_follow_parent)
    try:
        for future in as_completed([pool.submit(_save_sample, recipe, folder, index) for index in indices]):
            future.result()
            yield
    finally:
        pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
    """Let the parent decide when a process of the pool ends, also if it is killed itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _save_sample(recipe: DarcyRecipe, folder: Path, index: int) -> None:
    # One thread, since another number of them may round differently.
    with threadpool_limits(1):
        fields = sample(recipe.seed, index, recipe.grid)
    kept = np.stack([field[:: recipe.stride, :: recipe.stride] for field in fields]).astype(np.float32)
    with atomic_file(_sample_path(folder, index)) as file:
        np.save(file, kept)


_TEXT = "MATLAB 5.0 MAT-file, synthetic Darcy flow by dashnas"
"""Begins the text that our files begin with."""


def _write_mat(path: Path, recipe: DarcyRecipe, samples: Path, indices: range) -> None:
    shape = (len(indices), recipe.points, recipe.points)
    arrays = {"coeff": np.empty(shape, np.float32), "sol": np.empty(shape, np.float32)}
    for row, index in enumerate(indices):
        arrays["coeff"][row], arrays["sol"][row] = np.load(_sample_path(samples, index))
    text = f"{_TEXT}, seed {recipe.seed}, grid {recipe.grid}, stride {recipe.stride}"
    with atomic_file(path) as file:
        savemat(file, arrays)
        file.seek(0)  # over the text that scipy writes, which has the time in it
        file.write(text.encode()[:_MAT_TEXT_BYTES].ljust(_MAT_TEXT_BYTES))
