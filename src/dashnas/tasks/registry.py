"""The real tasks by name, and each of them as an `.npz` file like a user's own."""

import pkgutil
import zipfile
from importlib import import_module
from pathlib import Path

import numpy as np

from dashnas.errors import ConfigError, DataError, unknown_name
from dashnas.storage import atomic_file, cache_folder
from dashnas.tasks.task import RealTask


def _find_tasks() -> dict[str, RealTask]:
    """The `TASK` of every module of this package that has one, by name; a new task is a new file."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = [import_module(f"dashnas.tasks.{name}") for name in names]
    return {module.TASK.name: module.TASK for module in modules if hasattr(module, "TASK")}


TASKS: dict[str, RealTask] = _find_tasks()
"""All real tasks by name."""

# Part of the path of built files; goes up whenever a task's arrays change, so that old files are left behind.
_BUILD = 1


def fetch(name: str, out: Path | None = None) -> Path:
    """Make a task's `.npz` file, downloading what it needs unless that was done before.

    Args:
        name: of a task in `TASKS`.
        out: where to put a copy; None leaves the file in the cache.

    Returns:
        Path of the copy, or of the file in the cache.

    Raises:
        ConfigError: no task has this name.
        DataError: the data cannot be had, or `out` holds something else.
        StorageError: the cache or `out` cannot be written.
    """
    if name not in TASKS:
        raise ConfigError(unknown_name("task", name, TASKS))
    cached = cache_folder() / "tasks" / str(_BUILD) / f"{name}.npz"
    if not _is_whole(cached):
        with atomic_file(cached) as file:
            np.savez(file, allow_pickle=False, **TASKS[name].build())
    return cached if out is None else _copy(cached, out)


def _is_whole(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def _copy(source: Path, out: Path) -> Path:
    content = source.read_bytes()
    if not out.exists():
        with atomic_file(out) as file:
            file.write(content)
    elif out.is_dir():
        raise DataError(f"{out} is a folder; expected a file name such as {out / source.name}")
    elif out.read_bytes() != content:
        raise DataError(f"{out} exists and holds something else; remove it, or choose another name")
    return out
