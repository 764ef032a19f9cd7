"""Cosmic rays: which pixels of a telescope's image were struck by a particle, with strikes that are drawn here.

A real image of the night sky (1 m telescope of the SAAO, 150 s), cut into patches of 64x64 from three strips that
share no pixel: 300 patches of the left half for training, 100 of the next quarter for validation, 100 of the
last to test on. Each gets straight tracks of its own, bright or faint; the few real strikes are not
labelled. Nothing comparable is published on them.
"""

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.tasks.fits import read_fits_image
from dashnas.tasks.task import Arrays, RealTask
from dashnas.tasks.wheels import Package, read_members

PATCH = 64
SEED = 0
TRACKS = 3
"""Mean number on a patch."""
_COLUMNS = slice(16, 528)  # the rest of a row is no sky: TRIMSEC of the header
_STRIPS = {"": (0, 256, 300), "_val": (256, 384, 100), "_test": (384, 512, 100)}
"""Suffix of the arrays' names to first column, end, number of patches."""
_LONGEST_TRACK_PIXELS = 24
_CHARGE = (20.0, 2000.0)  # on a pixel, in counts; the sky's noise is about 9

_MEMBER = "ccdproc/tests/data/a8280271.fits"
PACKAGE = Package(
    source="ccdproc",
    version="2.5.1",
    licence="BSD-3-Clause",
    megabytes=0.4,
    members={_MEMBER: "f1a33e416b601c57a77893e11ab158e0216ab1f48c634adcabdb757d84111f02"},
)


def draw_tracks(random: np.random.RandomState) -> np.ndarray:
    """Charge of some straight tracks, (PATCH, PATCH), 0 where there is none; one of them at least is on it."""
    charge = np.zeros((PATCH, PATCH), dtype=np.float32)
    for _ in range(1 + random.poisson(TRACKS - 1)):
        angle, length = np.pi * random.uniform(), random.uniform(1, _LONGEST_TRACK_PIXELS)
        steps = np.arange(0, length, 0.25)[:, None] * [np.sin(angle), np.cos(angle)]
        places = np.floor(random.uniform(PATCH, size=2) + steps).astype(int)
        row, column = places[((places >= 0) & (places < PATCH)).all(axis=1)].T
        charge[row, column] += np.exp(random.uniform(*np.log(_CHARGE)))  # a pixel counts once for each track
    return charge


def cut(strip: np.ndarray, n: int, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Patches at random places of a strip with tracks on them, and where these are, both (n, 1, PATCH, PATCH)."""
    rows, columns = (random.randint(side - PATCH + 1, size=n) for side in strip.shape)
    patches = np.stack([strip[r : r + PATCH, c : c + PATCH] for r, c in zip(rows, columns, strict=True)])
    charge = np.stack([draw_tracks(random) for _ in range(n)])
    return (patches + charge)[:, None], (charge > 0)[:, None].astype(np.int64)


def build() -> Arrays:
    """Arrays x (counts), y (1 where a track is), x_val, y_val, x_test, y_test."""
    sky = read_fits_image(read_members(PACKAGE)[_MEMBER])[:, _COLUMNS]
    random = np.random.RandomState(SEED)  # whose numbers never change with NumPy's version, as a Generator's may
    arrays: Arrays = {}
    for suffix, (first, end, n) in _STRIPS.items():
        arrays[f"x{suffix}"], arrays[f"y{suffix}"] = cut(sky[:, first:end], n, random)
    return arrays


TASK = RealTask(
    name="cosmic-inject",
    description="pixels struck by cosmic rays: 1x64x64 -> 0 or 1 per position, 300 + 100 validation + 100 test",
    about=__doc__,
    package=PACKAGE,
    kind=TargetKind.DENSE_BINARY,
    metric="auroc",
    shapes={f"{name}{suffix}": (n, 1, PATCH, PATCH) for suffix, (*_, n) in _STRIPS.items() for name in ("x", "y")},
    build=build,
)
