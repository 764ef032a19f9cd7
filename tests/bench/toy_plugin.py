"""Two tasks and a few methods that take no time, as a file that `dashnas bench run --import` takes."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.errors import DataError
from dashnas.methods import Fitted, register_method
from dashnas.tasks import RealTask
from dashnas.tasks.registry import TASKS
from dashnas.tasks.wheels import Package


def build() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = (rng.normal(size=(60, 2, 16)) + y[:, None, None]).astype(np.float32)
    return {"x": x[:40], "y": y[:40], "x_test": x[40:], "y_test": y[40:]}


for name in ("toy", "other-toy"):
    TASKS[name] = RealTask(
        name=name, description="toy", about=None,
        package=Package(source="none", version="0", licence="", megabytes=0, members={}),
        kind=TargetKind.CLASSES, metric="error", classes=3, build=build,
        shapes={"x": (40, 2, 16), "y": (40,), "x_test": (20, 2, 16), "y_test": (20,)},
    )  # fmt: skip


@dataclass(frozen=True)
class Constant:
    """Answers with one class."""

    answer: int

    def predict(self, part):
        return np.eye(3)[np.full(len(part), self.answer)]


class Toy:
    """Answers with the class of the seed."""

    def misfit(self, task):
        return None

    def fit(self, task, *, budget_seconds, seed, folder, reporter):
        return Fitted(model=Constant(seed % 3), report={"budget": budget_seconds})


@register_method("toy")
class Counting(Toy):
    """Counts how often it was called, in a file beside the data."""

    def fit(self, task, **given):
        with Path(os.environ["DASHNAS_CALLS"]).open("a") as file:
            file.write(f"{task.name} {given['seed']} {os.getpid()} {os.environ['OMP_NUM_THREADS']}\n")
        time.sleep(float(os.environ.get("DASHNAS_SLEEP", 0)))
        return super().fit(task, **given)


@register_method("picky")
class Picky(Toy):
    """Fits nothing."""

    def misfit(self, task):
        return "it likes no task"


@register_method("broken")
class Broken(Toy):
    """Fails while there is no file that says it is mended."""

    def fit(self, task, **given):
        if not Path(os.environ["DASHNAS_CALLS"]).with_name("mended").exists():
            raise ZeroDivisionError("a bug")
        return super().fit(task, **given)


@register_method("refusing")
class Refusing(Toy):
    """Refuses its data."""

    def fit(self, task, **given):
        raise DataError("these data will not do; bring others")


@register_method("killed")
class Killed(Toy):
    """Is killed, as by a machine without memory."""

    def fit(self, task, **given):
        os.kill(os.getpid(), signal.SIGKILL)
