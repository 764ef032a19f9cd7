"""Tecator: how much fat is in a piece of meat, from 100 points of its near-infrared absorbance spectrum.

172 training and 43 test spectra; fat in percent, 0.9 to 49.1. Thodberg 1993; free to redistribute with the
note of the instrument's maker. No published figure on this split is known to us.
"""

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.tasks.sktime_files import SKTIME, TECATOR_TEST, TECATOR_TRAIN, Case, parse_ts
from dashnas.tasks.task import Arrays, RealTask
from dashnas.tasks.wheels import read_members


def build() -> Arrays:
    """Arrays x, y, x_test, y_test; y is fat in percent."""
    members = read_members(SKTIME)
    x, y = _arrays(parse_ts(members[TECATOR_TRAIN]))
    x_test, y_test = _arrays(parse_ts(members[TECATOR_TEST]))
    return {"x": x, "y": y, "x_test": x_test, "y_test": y_test}


def _arrays(cases: list[Case]) -> tuple[np.ndarray, np.ndarray]:
    x = np.stack([case.series for case in cases])  # (n, 1, 100)
    return x.astype(np.float32), np.array([float(case.answer) for case in cases], dtype=np.float32)


TASK = RealTask(
    name="tecator",
    description="fat in meat from its infrared spectrum: 1x100 -> percent, 172 + 43 test",
    about=__doc__,
    package=SKTIME,
    kind=TargetKind.REGRESSION,
    metric="rmse",
    shapes={"x": (172, 1, 100), "y": (172,), "x_test": (43, 1, 100), "y_test": (43,)},
    build=build,
)
