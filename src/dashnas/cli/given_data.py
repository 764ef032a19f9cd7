"""What a command learns from: a file of the user's, or one of the tasks."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dashnas.data import TaskSource
    from dashnas.presets import Options


def given_data(data: Path | None, task: str | None, options: "Options") -> tuple["Path | TaskSource", "Options"]:
    """What DATA or --task means, and the options with the task's metric if none was asked for.

    Raises:
        ConfigError: both or neither are given, or no task has this name.
        DataError: the task's data cannot be had.
    """
    from dashnas.errors import ConfigError

    if task is None:
        if data is None:
            raise ConfigError("nothing to learn from; give a file such as mydata.npz, or --task NAME for a known set")
        return data, options
    if data is not None:
        raise ConfigError(f"give either a file or a task, not both; got {data} and --task {task}")
    from dashnas.known_task import known_task  # which imports what makes each task, and is not for those with a file

    return known_task(task, options)
