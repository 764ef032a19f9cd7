"""What a real task is: arrays that a function makes, where they come from, and what others reached."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.tasks.wheels import Package

Arrays = dict[str, np.ndarray]
"""As in a user's `.npz`: `x`, `y`, and where there are any `x_test`, `y_test`, `group`."""


@dataclass(frozen=True, kw_only=True)
class RealTask:
    """A small real data set that comes inside an ordinary package, as arrays that anybody could have made."""

    name: str
    """As on the command line."""
    description: str
    """One line: what is measured, what is to be predicted."""
    package: Package
    """Where the data come from."""
    kind: TargetKind
    """What is predicted."""
    metric: str
    """Name of the metric that `published` is in."""
    published: Mapping[str, float] = field(default_factory=dict)
    """Method to score, from the sources in the module's docstring; empty where none is comparable."""
    build: Callable[[], Arrays]
    """Makes the arrays; may download."""
