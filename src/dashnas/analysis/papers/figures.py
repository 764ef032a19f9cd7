"""Which figures of the papers can be drawn again, and from what."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dashnas.analysis.papers.tables import DASH_PAPER, NB360_PAPER

_GENERAL = ("WRN", "WRN-ASHA", "DARTS-GAEA", "DenseNAS", "DASH")
_AUTOMATED = ("WRN", "WRN-ASHA", "DARTS-GAEA", "DenseNAS", "Auto-DL", "AMBER")
_NOTEBOOK = ("WRN", "DenseNAS", "DenseNAS-RS", "WRN tuned", "GAEA")


@dataclass(frozen=True, kw_only=True)
class PaperFigure:
    """A figure, or a table that is made from another, of a paper."""

    name: str
    """What it is asked for by."""
    kind: str
    """The kind of picture."""
    table: str
    """The name of the table that it is made from."""
    methods: tuple[str, ...]
    """Which of its methods."""
    source: str
    """Paper and figure."""
    reference: str | None = None
    """The method that improvements are told over."""
    group: str | None = None
    """The group of tasks; None is all of them."""
    best_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By the name of a curve, the methods whose best it is on each task."""


PAPER_FIGURES: dict[str, PaperFigure] = {
    figure.name: figure
    for figure in (
        # The caption names no methods; these are the general ones of Table 2 that were run on all ten tasks.
        PaperFigure(
            name="dash-fig4", kind="profile", table="dash-table2", methods=_GENERAL, source=f"{DASH_PAPER}, Figure 4"
        ),
        PaperFigure(
            name="dash-fig1a",
            kind="profile",
            table="dash-table2",
            methods=(*_AUTOMATED, "Expert", "DASH"),
            best_of={"best automated": _AUTOMATED, "hand-designed": ("Expert",), "DASH": ("DASH",)},
            source=f"{DASH_PAPER}, Figure 1a; the groups: appendix, Section A.1",
        ),
        PaperFigure(
            name="dash-fig5",
            kind="speed-accuracy",
            table="dash-table2",
            methods=("DARTS-GAEA", "DenseNAS", "WRN", "DASH"),
            source=f"{DASH_PAPER}, Figure 5",
        ),
        PaperFigure(
            name="nb360-fig2",
            kind="profile",
            table="nb360-notebook",
            methods=_NOTEBOOK,
            source=f"{NB360_PAPER}, Figure 2, all tasks",
        ),
        PaperFigure(
            name="nb360-fig2-2d-point",
            kind="profile",
            table="nb360-notebook",
            methods=_NOTEBOOK,
            group="2d-point",
            source=f"{NB360_PAPER}, Figure 2, 2-D point tasks",
        ),
        PaperFigure(
            name="nb360-fig1-constrained",
            kind="profile",
            table="nb360-notebook",
            methods=("WRN", "DenseNAS"),
            source=f"{NB360_PAPER}, Figure 1, left",
        ),
        PaperFigure(
            name="nb360-fig1-less-constrained",
            kind="profile",
            table="nb360-notebook",
            methods=("WRN tuned", "GAEA"),
            source=f"{NB360_PAPER}, Figure 1, right",
        ),
        PaperFigure(
            name="nb360-ranks",
            kind="ranks",
            table="nb360-table2",
            methods=(
                "WRN default",
                "WRN ASHA",
                "DenseNAS original",
                "DenseNAS random",
                "DARTS GAEA",
                "Auto-DL DARTS",
                "AMBER ENAS",
            ),
            reference="WRN default",
            source=f"{NB360_PAPER}, Table 3",
        ),
        PaperFigure(
            name="dash-appendix-a8",
            kind="receptive-fields",
            table="dash-appendix-a8",
            methods=("DASH",),
            source=f"{DASH_PAPER}, appendix, Section A.8",
        ),
    )
}
"""All of them by name."""


def figure_of(table: str, kind: str) -> PaperFigure | None:
    """The first figure of this kind that is made from a table; None if the papers have none."""
    return next((f for f in PAPER_FIGURES.values() if (f.table, f.kind) == (table, kind)), None)
