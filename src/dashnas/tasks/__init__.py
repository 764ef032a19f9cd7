"""Real data sets to try dashnas on, each an `.npz` file that anybody could have made."""

from dashnas.tasks.registry import TASKS, check, fetch, get_task
from dashnas.tasks.task import RealTask

__all__ = ["TASKS", "RealTask", "check", "fetch", "get_task"]
