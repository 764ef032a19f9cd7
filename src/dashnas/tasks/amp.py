"""AMP: whether a peptide is antimicrobial (1) or a random piece of a protein of UniProt (0), from its sequence.

2600 of each, of 7 to 174 amino acids, 33 on average; a channel per amino acid, 1 where it stands. Behind a sequence
are zeros; `lengths` says how long each is. `group` numbers the 4642 different sequences, some of which occur more than
once, so that none is in two parts. No split of its own; no published figure is on the same samples.
"""

import numpy as np

from dashnas.data.ragged import pad_series
from dashnas.data.spec import TargetKind
from dashnas.tasks.task import Arrays, RealTask
from dashnas.tasks.wheels import Package, read_members

_MEMBER = "modlamp/data/AMPvsUniProt.csv"

PACKAGE = Package(
    source="modlamp",
    version="4.3.3",
    licence="BSD-3-Clause",
    megabytes=0.2,
    members={_MEMBER: "e1db3dd659179118dcfca63723385f2f0c95c49d27060a90f7a9d5848250eb48"},
)

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
"""One letter each, in the order of the channels."""


def encode(sequence: str) -> np.ndarray:
    """Letters as rows of zeros with a 1, (20, length), float32."""
    one_hot = np.array(list(AMINO_ACIDS))[:, None] == np.array(list(sequence))
    return np.asarray(one_hot, np.float32)


def build() -> Arrays:
    """Arrays x, y (1 antimicrobial, 0 not), lengths, group (numbers of the sequences)."""
    lines = read_members(PACKAGE)[_MEMBER].decode().splitlines()[1:]  # the first line counts the others
    sequences, answers = zip(*(line.split(",") for line in lines), strict=True)
    x, lengths = pad_series([encode(sequence) for sequence in sequences], "x")  # (n, 20, longest)
    group = np.unique(sequences, return_inverse=True)[1]
    return {"x": x, "y": np.array([int(answer) for answer in answers]), "lengths": lengths, "group": group}


TASK = RealTask(
    name="amp",
    description="antimicrobial peptides from their sequence: 20 x 7 to 174 -> 2 classes, 5200 without a test part",
    about=__doc__,
    package=PACKAGE,
    kind=TargetKind.CLASSES,
    metric="error",
    shapes={"x": (5200, 20, 174), "y": (5200,), "lengths": (5200,), "group": (5200,)},
    classes=2,
    build=build,
)
