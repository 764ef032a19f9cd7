"""The wheel of sktime, which carries three of the tasks, and the `.ts` format of its files."""

from typing import NamedTuple

import numpy as np

from dashnas.tasks.wheels import Package

_DATA = "sktime/datasets/data"
VOWELS_TRAIN = f"{_DATA}/JapaneseVowels/JapaneseVowels_TRAIN.ts"
VOWELS_TEST = f"{_DATA}/JapaneseVowels/JapaneseVowels_TEST.ts"
OSULEAF_TRAIN = f"{_DATA}/OSULeaf/OSULeaf_TRAIN.ts"
OSULEAF_TEST = f"{_DATA}/OSULeaf/OSULeaf_TEST.ts"
TECATOR_TRAIN = f"{_DATA}/Tecator/Tecator_TRAIN.ts"
TECATOR_TEST = f"{_DATA}/Tecator/Tecator_TEST.ts"

SKTIME = Package(
    source="sktime",
    version="1.2.0",
    licence="BSD-3-Clause",
    megabytes=8.2,
    members={
        VOWELS_TRAIN: "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
        VOWELS_TEST: "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
        OSULEAF_TRAIN: "86b9d6e860414ffd26cebc62fff84ffb37fa588ef3e5bf79e4094a437c36ddfc",
        OSULEAF_TEST: "6c549dd354f9e42d5985fa5fab75321ca9acefc7873457e71467fc8a31f107ce",
        TECATOR_TRAIN: "e38de03007d2d6f29181b07a972fb2048c19ea67fe92df8cf43818f1dcb45f95",
        TECATOR_TEST: "3d06319c07274e6236d4b4d39e2d2a31e172a8a86510ab72ff50724463a22698",
    },
)


class Case(NamedTuple):
    """One series of a `.ts` file."""

    series: np.ndarray
    """(channels, length); lengths differ between cases."""
    answer: str
    """Class label or number, as it stands in the file."""


def parse_ts(content: bytes) -> list[Case]:
    """Read a `.ts` file: a case per line, `:` between channels, `,` between values, the answer last."""
    lines = content.decode("utf-8").splitlines()
    rows = [line.split(":") for line in lines if line.strip() and not line.startswith(("@", "#"))]
    return [Case(np.array([c.split(",") for c in channels], dtype=float), a) for *channels, a in rows]
