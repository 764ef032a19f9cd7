"""What is learned from where a task is named rather than a file: its data, and the options it brings along."""

from dataclasses import replace
from pathlib import Path

from dashnas import tasks
from dashnas.data import TaskSource
from dashnas.presets import Options


def known_task(name: str, options: Options) -> tuple[Path | TaskSource, Options]:
    """The data of a task, and the options with its metric if none was asked for.

    The file of a small task is fetched into the cache. The metric of any other is that of the protocol, and is left to
    it. With a target other than the task's own kind, the metric is left to that.

    Raises:
        ConfigError: no task has this name.
        DataError: the task's data cannot be had.
    """
    small = tasks.TASKS.get(name)
    if small is not None and options.metric is None and options.data.target in (None, small.kind):
        options = replace(options, metric=small.metric)
    return tasks.task_source(name), options
