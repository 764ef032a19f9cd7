"""Real data sets: small ones, each an `.npz` file that anybody could have made, and the ten of NAS-Bench-360."""

from dashnas.tasks.official import OfficialSource, OfficialTask, official_folder
from dashnas.tasks.registry import OFFICIAL_TASKS, OWN_TASKS, TASKS, check, fetch, get_task, register_task, task_source
from dashnas.tasks.task import RealTask

__all__ = [
    "OFFICIAL_TASKS",
    "OWN_TASKS",
    "TASKS",
    "OfficialSource",
    "OfficialTask",
    "RealTask",
    "check",
    "fetch",
    "get_task",
    "official_folder",
    "register_task",
    "task_source",
]
