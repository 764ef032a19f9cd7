"""The tasks by name: small real ones, each an `.npz` file like a user's own, the official ones, and registered ones."""

import pkgutil
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from dashnas.data.task_data import TaskSource
from dashnas.errors import ConfigError, DataError, name_for_registry, unknown_name
from dashnas.storage import atomic_file, cache_folder
from dashnas.tasks import nb360
from dashnas.tasks.faults import faults_of_file, is_whole
from dashnas.tasks.official import OfficialSource, OfficialTask, check_official, official_folder
from dashnas.tasks.task import RealTask


def _find_tasks() -> dict[str, RealTask]:
    """The `TASK` of every module of this package that has one, by name; a new task is a new file."""
    return {task.name: task for task in _found("dashnas.tasks", Path(__file__).parent, "TASK")}


def _find_official_tasks() -> dict[str, OfficialTask]:
    """The `OFFICIAL` of every module of `nb360` that has one."""
    return {task.name: task for task in _found("dashnas.tasks.nb360", Path(nb360.__file__).parent, "OFFICIAL")}


def _found(package: str, folder: Path, name: str) -> list[Any]:
    names = sorted(module.name for module in pkgutil.iter_modules([str(folder)]))
    modules = [import_module(f"{package}.{module}") for module in names]
    return [getattr(module, name) for module in modules if hasattr(module, name)]


TASKS: dict[str, RealTask] = _find_tasks()
"""All small real tasks by name."""

OFFICIAL_TASKS: dict[str, OfficialTask] = _find_official_tasks()
"""The ten tasks of NAS-Bench-360 by name."""

OWN_TASKS: dict[str, TaskSource] = {}
"""What was registered from outside, by name."""

# Part of the path of built files; goes up whenever a task's arrays change, so that old files are left behind.
_BUILD = 2


def register_task(task: TaskSource) -> None:
    """Enter a data set of one's own into the registry, so that `dashnas bench run --import` finds it by its name.

    Raises:
        ConfigError: no task, or one whose name is taken or holds a character that a file name or a list must not have.
    """
    if isinstance(task, type) or not isinstance(task, TaskSource):
        raise ConfigError(
            f"a task is an object with a name and a function task_data(protocol, seed), got {task!r}; write "
            "register_task(MyTask()) with a class of your own, as in examples/own_task.py"
        )
    name = name_for_registry("task", task.name, {*TASKS, *OFFICIAL_TASKS, *OWN_TASKS})
    OWN_TASKS[name] = task


def get_task(name: str) -> RealTask | OfficialTask:
    """The task of that name, small or official.

    Raises:
        ConfigError: no task has this name.
    """
    known: dict[str, RealTask | OfficialTask] = {**TASKS, **OFFICIAL_TASKS}
    if name in OWN_TASKS:
        raise ConfigError(f"{name} is a task of your own, of which nothing but its data is known; name one of ours")
    if name not in known:
        raise ConfigError(unknown_name("task", name, {*known, *OWN_TASKS}))
    return known[name]


def task_source(name: str) -> Path | TaskSource:
    """What `fit` takes to learn a task: the fetched file of a small one, where official files are found, or its own.

    Raises:
        ConfigError: no task has this name.
        DataError: the data of a small task cannot be had.
        StorageError: the cache cannot be written.
    """
    if name in OWN_TASKS:
        return OWN_TASKS[name]
    task = get_task(name)
    return OfficialSource(task) if isinstance(task, OfficialTask) else fetch(name)


def cached_file(name: str) -> Path:
    """Where `fetch` puts a task's file; it need not be there yet."""
    return cache_folder() / "tasks" / str(_BUILD) / f"{name}.npz"


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
    task, cached = _small(name), cached_file(name)
    if not is_whole(cached):
        with atomic_file(cached) as file:
            np.savez(file, allow_pickle=False, **task.build())
    return cached if out is None else _copy(cached, out)


def check(name: str) -> Path:
    """Check a task's file in the cache, after fetching it if it is not there.

    A file that is there is judged as it is, also a damaged one, which `fetch` would mend.

    Returns:
        Path of the file, or of the folder of an official task, whose files must lie there.

    Raises:
        ConfigError: no task has this name.
        DataError: the data cannot be had, or are not as declared; the message names all that is wrong.
        StorageError: the cache cannot be written.
    """
    if isinstance(official := get_task(name), OfficialTask):
        return check_official(official)
    task, cached = _small(name), cached_file(name)
    was_there = cached.exists()
    if not was_there:
        fetch(name)
    if faults := faults_of_file(task, cached):
        mend = (
            f"remove it (rm {shlex.quote(str(cached))}) and give the command again, which makes it anew"
            if was_there
            else "it was made just now, so this is a bug of dashnas; please report it"
        )
        raise DataError(f"{cached} is not the task {name}: {'; '.join(faults)}; {mend}")
    return cached


def _small(name: str) -> RealTask:
    task = get_task(name)
    if isinstance(task, OfficialTask):
        raise DataError(
            f"{name} is no single .npz file; place its files ({', '.join(task.files)}) in {official_folder(name)}"
        )
    return task


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
