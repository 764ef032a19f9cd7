"""What a real task is: arrays that a function makes, where they come from, and what others reached."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.tasks.wheels import Package

Arrays = dict[str, np.ndarray]
"""As in a user's `.npz`: `x`, `y`, and where there are any `x_val`, `y_val`, `x_test`, `y_test`, `group`,
`lengths`, `lengths_test`."""


@dataclass(frozen=True, kw_only=True)
class RealTask:
    """A small real data set that comes inside an ordinary package, as arrays that anybody could have made."""

    name: str
    """As on the command line."""
    description: str
    """One line: what is measured, what is to be predicted."""
    about: str | None
    """The docstring of its module: the data, the split, the sources of `published`; None under `python -OO`."""
    package: Package
    """Where the data come from."""
    kind: TargetKind
    """What is predicted."""
    metric: str
    """Name of the metric that `published` is in."""
    shapes: Mapping[str, tuple[int, ...]]
    """Of every array that `build` makes."""
    classes: int | None = None
    """How many different classes `y` has; None for other kinds of targets."""
    published: Mapping[str, float] = field(default_factory=dict)
    """Method to score, from the sources in the module's docstring; empty where none is comparable."""
    build: Callable[[], Arrays]
    """Makes the arrays; may download."""

    @property
    def dims(self) -> int:
        """1 for signals, 2 for images and fields."""
        return len(self.shapes["x"]) - 2

    @property
    def samples(self) -> dict[str, int]:
        """How many samples each given part has; what is not given is cut from `training`."""
        parts = {"training": "x", "validation": "x_val", "test": "x_test"}
        return {part: self.shapes[name][0] for part, name in parts.items() if name in self.shapes}
