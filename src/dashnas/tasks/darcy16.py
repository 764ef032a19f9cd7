"""Darcy flow on a 16x16 grid: the pressure of water in ground of two permeabilities (Li et al. 2021).

1000 training and 50 test fields. Published figures are for finer grids (32x32, 85x85), and so not comparable.
"""

import io

import numpy as np
import torch

from dashnas.data.spec import TargetKind
from dashnas.tasks.task import Arrays, RealTask
from dashnas.tasks.wheels import Package, read_members

_TRAIN, _TEST = "neuralop/datasets/data/darcy_train_16.pt", "neuralop/datasets/data/darcy_test_16.pt"

# The smallest release that carries these files; later ones download them.
PACKAGE = Package(
    source="neuraloperator",
    version="0.2.0",
    licence="BSD-3-Clause",
    megabytes=1.3,
    members={
        _TRAIN: "0be662acdb1dab7dfd1a1da0b140e97f75cc94f98a14edcf768abe6968b3b418",
        _TEST: "d2b19af9d4a6ae04ba2de54b8ecccc8b89766472faf6ce7f506c0b2a60f69a4c",
    },
)


def build() -> Arrays:
    """Arrays x (0 or 1, the permeability), y (pressure), x_test, y_test, all (n, 1, 16, 16)."""
    members = read_members(PACKAGE)
    x, y = _arrays(members[_TRAIN])
    x_test, y_test = _arrays(members[_TEST])
    return {"x": x, "y": y, "x_test": x_test, "y_test": y_test}


def _arrays(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    fields = torch.load(io.BytesIO(content), weights_only=True)
    return tuple(fields[key].numpy().astype(np.float32)[:, None] for key in ("x", "y"))


TASK = RealTask(
    name="darcy16",
    description="pressure in porous ground: 1x16x16 -> a number per position, 1000 + 50 test",
    about=__doc__,
    package=PACKAGE,
    kind=TargetKind.DENSE_REGRESSION,
    metric="relative_l2",
    shapes={
        "x": (1000, 1, 16, 16),
        "y": (1000, 1, 16, 16),
        "x_test": (50, 1, 16, 16),
        "y_test": (50, 1, 16, 16),
    },
    build=build,
)
