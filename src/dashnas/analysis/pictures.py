"""The kinds of picture by name: from cells and choices to the table behind it and the drawing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dashnas.analysis.cells import Cell
from dashnas.analysis.critical_difference import PostHoc, critical_difference
from dashnas.analysis.error_table import ErrorTable, Missing, error_table
from dashnas.analysis.fields import LayerField, field_rows, receptive_fields
from dashnas.analysis.profiles import performance_profile
from dashnas.analysis.random_gain import random_gain, random_gain_rows
from dashnas.analysis.ranks import median_improvements, median_ranks, rank_rows
from dashnas.analysis.speed_accuracy import speed_accuracy, speed_accuracy_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What may be chosen for a picture; each kind takes what it needs."""

    mix: bool = False
    """As of `comparable`."""
    missing: Missing | None = None
    """As of `ErrorTable.settle_missing`."""
    floor: float | None = None
    """As of `performance_profile`."""
    best_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Methods by the name of the curve that is the best of them on each task; the others are drawn by themselves."""
    reference: str | None = None
    """Method that ranks are drawn with an improvement over."""
    random: str = "random"
    """Method that draws architectures at random."""
    post_hoc: PostHoc = "wilcoxon-holm"
    """As of `critical_difference`."""
    networks: tuple[LayerField, ...] = ()
    """Layers of networks that belong to no score, such as those that a paper draws."""
    title: str = ""
    """Of the drawing; mixed protocols are named below it."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """The table behind a picture, and how to draw it."""

    rows: list[dict[str, Any]]
    """The table, an object for each row."""
    draw: Callable[[], "Figure"]
    """Makes the figure; needs matplotlib."""


def profile(cells: Sequence[Cell], choices: Choices) -> Picture:
    """Performance profiles."""
    from dashnas.analysis.drawing import draw_profile

    made = performance_profile(_table(cells, choices), missing=choices.missing, floor=choices.floor)
    return Picture(rows=made.rows(), draw=lambda: draw_profile(made, _title(cells, choices)))


def ranks(cells: Sequence[Cell], choices: Choices) -> Picture:
    """Ranks, and improvements over a reference if one is named."""
    from dashnas.analysis.drawing import draw_ranks

    table, reference = _table(cells, choices), choices.reference
    better = median_improvements(table, reference) if reference else ()
    return Picture(
        rows=rank_rows(table, reference),
        draw=lambda: draw_ranks(median_ranks(table), better, reference or "", _title(cells, choices)),
    )


def critical_differences(cells: Sequence[Cell], choices: Choices) -> Picture:
    """A critical-difference diagram."""
    from dashnas.analysis.drawing import draw_critical_difference

    found = critical_difference(_table(cells, choices), post_hoc=choices.post_hoc, missing=choices.missing)
    return Picture(rows=found.rows(), draw=lambda: draw_critical_difference(found, _title(cells, choices)))


def speed_and_accuracy(cells: Sequence[Cell], choices: Choices) -> Picture:
    """Speed against accuracy."""
    from dashnas.analysis.drawing import draw_speed_accuracy

    points = speed_accuracy(_table(cells, choices), missing=choices.missing, floor=choices.floor)
    return Picture(rows=speed_accuracy_rows(points), draw=lambda: draw_speed_accuracy(points, _title(cells, choices)))


def gains(cells: Sequence[Cell], choices: Choices) -> Picture:
    """Gains over random architectures."""
    from dashnas.analysis.drawing import draw_random_gain

    made = random_gain(cells, random=choices.random, mix=choices.mix)
    return Picture(
        rows=random_gain_rows(made), draw=lambda: draw_random_gain(made, choices.random, _title(cells, choices))
    )


def fields_of_layers(cells: Sequence[Cell], choices: Choices) -> Picture:
    """Receptive fields of the layers that were searched."""
    from dashnas.analysis.drawing import draw_receptive_fields

    of_cells = receptive_fields(cells) if cells or not choices.networks else []
    made = [*choices.networks, *of_cells]
    return Picture(rows=field_rows(made), draw=lambda: draw_receptive_fields(made, _title(cells, choices)))


PICTURES: dict[str, Callable[[Sequence[Cell], Choices], Picture]] = {
    "profile": profile,
    "ranks": ranks,
    "critical-difference": critical_differences,
    "speed-accuracy": speed_and_accuracy,
    "random-gain": gains,
    "receptive-fields": fields_of_layers,
}
"""All kinds by name."""


def _title(cells: Sequence[Cell], choices: Choices) -> str:
    protocols = dict.fromkeys(cell.protocol for cell in cells)
    if len(protocols) < 2:
        return choices.title
    return f"{choices.title}\nprotocols mixed: {', '.join(protocols)}".strip()


def _table(cells: Sequence[Cell], choices: Choices) -> ErrorTable:
    table = error_table(cells, mix=choices.mix)
    if not choices.best_of:
        return table
    grouped = {method for members in choices.best_of.values() for method in members}
    alone = {method: (method,) for method in table.methods if method not in grouped}
    return table.best_of({**choices.best_of, **alone})
