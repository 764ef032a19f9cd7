"""The scores that a command compares: of runs in a store, and published ones."""

from collections.abc import Sequence
from pathlib import Path

from dashnas.analysis.cells import Cell
from dashnas.analysis.fields import LayerField, layer_fields
from dashnas.analysis.groups import tasks_of_group
from dashnas.analysis.papers import PAPER_FIGURES, PAPER_TABLES, PaperFigure, published, searched_networks
from dashnas.analysis.papers.figures import figure_of
from dashnas.errors import ConfigError, unknown_name

_NETWORKS = "dash-appendix-a8"
"""The table of networks without scores."""


def figure_named(name: str, kind: str | None = None) -> PaperFigure:
    """A figure of the papers, by its own name or by that of the table behind it.

    Args:
        name: of a figure or table. A table that the papers draw no such figure of is taken in full.
        kind: of picture, to choose among the figures of a table; None is a profile.

    Raises:
        ConfigError: neither a figure nor a table has this name.
    """
    if name in PAPER_FIGURES:
        return PAPER_FIGURES[name]
    if name not in PAPER_TABLES:
        raise ConfigError(unknown_name("published table or figure", name, {*PAPER_TABLES, *PAPER_FIGURES}))
    kind = kind or "profile"
    whole = PaperFigure(name=name, kind=kind, table=name, methods=(), source=PAPER_TABLES[name].source)
    return figure_of(name, kind) or whole


def gather(
    figures: Sequence[PaperFigure], stores: Sequence[Path], *, every_method: bool = False, corrected: bool = False
) -> list[Cell]:
    """The cells of stores, then of published tables.

    Args:
        figures: of whose tables the methods that they show are taken.
        stores: folders.
        every_method: take all methods of the tables.
        corrected: as of `published`.

    Raises:
        ConfigError: a table without scores.
        RunError: a folder that is no store.
    """
    cells: list[Cell] = []
    if stores:
        from dashnas.bench.store import read_cells  # imports torch, which published numbers do without

        cells = [cell for folder in stores for cell in read_cells(folder)]
    for figure in figures:
        if figure.table != _NETWORKS:
            scores = published(figure.table, corrected=corrected)
            cells += choose(scores, None if every_method else figure.methods or None)
    return cells


def networks_of(figures: Sequence[PaperFigure]) -> tuple[LayerField, ...]:
    """The layers of networks that are drawn in figures without a score."""
    if all(figure.table != _NETWORKS for figure in figures):
        return ()
    networks = searched_networks().items()
    return tuple(layer for task, network in networks for layer in layer_fields(network, task=task, method="DASH"))


def choose(
    cells: Sequence[Cell],
    methods: Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
    group: str | None = None,
) -> list[Cell]:
    """The cells of these methods, in the order they are named, on these tasks, if they are in the group; None is all.

    Raises:
        ConfigError: a name that no cell has, or no task of the group.
    """
    known = {cell.method: None for cell in cells}, {cell.task: None for cell in cells}
    for what, wanted, names in zip(("method", "task"), (methods, tasks), known, strict=True):
        for name in wanted or ():
            if name not in names:
                raise ConfigError(unknown_name(what, name, names))
    tasks = list(known[1]) if tasks is None else tasks
    tasks = tasks_of_group(group, tasks) if group and cells else tasks
    kept = [cell for cell in cells if cell.task in tasks]
    if methods is None:
        return kept
    return [cell for method in methods for cell in kept if cell.method == method]
