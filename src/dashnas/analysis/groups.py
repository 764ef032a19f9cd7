"""Groups of tasks that are looked at by themselves."""

from collections.abc import Sequence

from dashnas.errors import ConfigError, unknown_name

TASK_GROUPS: dict[str, tuple[str, ...]] = {
    "2d-point": ("cifar100", "spherical", "ninapro", "fsd50k"),
    "dense": ("darcy", "psicov", "cosmic"),
    "1d": ("ecg", "satellite", "deepsea"),
}
"""The ten tasks of NAS-Bench-360 by the shape of input and answer (Tu et al. 2022, Table 1)."""


def tasks_of_group(group: str, tasks: Sequence[str]) -> list[str]:
    """Which of these tasks belong to a group; those that are not of NAS-Bench-360 are told by their kind and dims.

    Raises:
        ConfigError: no group has this name, or none of the tasks is in it.
    """
    if group not in TASK_GROUPS:
        raise ConfigError(unknown_name("group of tasks", group, TASK_GROUPS))
    if found := [task for task in tasks if _group(task) == group]:
        return found
    raise ConfigError(f"none of the tasks is in the group {group!r}: {', '.join(tasks)}")


def _group(task: str) -> str | None:
    for group, members in TASK_GROUPS.items():
        if task in members:
            return group
    from dashnas.tasks import TASKS  # imports PyTorch, which tables of the papers do without

    if task not in TASKS:
        return None
    if TASKS[task].kind.value.startswith("dense"):
        return "dense"
    return "1d" if TASKS[task].dims == 1 else "2d-point"
