"""How the data were read, in lines for the user, so that a wrong reading is seen before training."""

from collections.abc import Mapping

from dashnas.data.arrays import SUFFIXES
from dashnas.data.checks import counted_share
from dashnas.data.inputs import Layout
from dashnas.data.kinds import KindReading
from dashnas.data.parts import Part
from dashnas.data.series import describe_lengths
from dashnas.data.spec import DataSpec
from dashnas.data.tables import Table

LONGEST_NAME = 40
"""Letters of a class name that are shown."""


def describe(
    origin: str,
    tables: Mapping[str, Table],
    layout: Layout,
    kind: KindReading,
    spec: DataSpec,
    parts: Mapping[str, Part],
    how: str,
    replaced: int,
) -> tuple[str, ...]:
    """Shapes and what they were taken for, classes, parts and how they came about, what masks leave."""
    train = tables["train"]
    lines = [
        f"data: {origin}",
        f"x: {train.shape('x')} {train.dtype('x')}, read as {len(train)} samples of {layout}",
        f"y: {train.shape('y')} {train.dtype('y')}, read as {kind.kind.value}, because {kind.why}",
    ]
    if spec.unequal_lengths:
        lines.append(describe_lengths(tables.values()))
    if spec.classes is not None:
        names = ", ".join(map(_shown, spec.classes[:10])) + (", ..." if len(spec.classes) > 10 else "")
        lines.append(f"classes: {len(spec.classes)} ({names})")
    lines.append("split: " + ", ".join(f"{name} {len(p)}" for name, p in parts.items()) + f" ({how})")
    for part, table in tables.items():
        if "mask" in table.names:
            lines.append(
                f"mask{SUFFIXES[part]}: {counted_share(table):.1%} of the positions count, "
                "those where it is 1; the others are ignored"
            )
    if replaced:
        lines.append(f"imputed: {replaced} input values replaced by the training mean of their channel")
    return tuple(lines)


def _shown(name: str | int) -> str:
    """A class name on one line: cut where it is long, quoted where it holds what a terminal would act on."""
    text = str(name) if str(name).isprintable() else repr(name)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 3]}..."
