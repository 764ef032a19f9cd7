"""Digits: which digit was written, from 8x8 counts of ink; comes with scikit-learn, a smoke test only.

1797 images without a split of their own. Nothing comparable is published on them.
"""

import numpy as np
import sklearn
from sklearn.datasets import load_digits

from dashnas.data.spec import TargetKind
from dashnas.tasks.task import Arrays, RealTask
from dashnas.tasks.wheels import Package


def build() -> Arrays:
    """Arrays x, y; ink in 0..16."""
    digits = load_digits()
    return {"x": digits.images[:, None].astype(np.float32), "y": digits.target.astype(np.int64)}


TASK = RealTask(
    name="digits8",
    description="handwritten digits: 1x8x8 -> 10 classes, 1797 without a test part",
    about=__doc__,
    package=Package(source="scikit-learn", version=sklearn.__version__, licence="BSD-3-Clause"),
    kind=TargetKind.CLASSES,
    metric="error",
    shapes={"x": (1797, 1, 8, 8), "y": (1797,)},
    classes=10,
    build=build,
)
