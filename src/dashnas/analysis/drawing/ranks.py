"""Ranks, and improvements over a reference, as rows of points."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import TYPE_CHECKING

from dashnas.analysis.drawing.canvas import GREY, line_style, new_figure, set_title, tidy
from dashnas.analysis.ranks import Improvement, Rank

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_ranks(
    ranks: Sequence[Rank], improvements: Sequence[Improvement] = (), reference: str = "", title: str = ""
) -> "Figure":
    """A row for each method, best median first: a dot for each task, larger where several tasks agree; a bar: median.

    Args:
        ranks: of the methods.
        improvements: over the reference, drawn in a second panel if there are any.
        reference: its name.
        title: of the figure.
    """
    order = sorted(ranks, key=lambda rank: (rank.median, rank.mean))
    methods = [rank.method for rank in order]
    panels = 2 if improvements else 1
    figure = new_figure(3.6 + 3.2 * panels, 1.8 + 0.36 * len(methods))
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    _rows_of_points(axes[0], [list(rank.by_task.values()) for rank in order])
    axes[0].set_yticks(range(len(methods)), methods)
    axes[0].set_ylim(len(methods) - 0.5, -0.5)
    axes[0].set_xticks(range(1, 1 + len(methods)))
    axes[0].set_xlabel("rank on a task, 1 is best")
    if improvements:
        by_method = {one.method: list(one.by_task.values()) for one in improvements}
        _rows_of_points(axes[1], [by_method[method] for method in methods])
        axes[1].axvline(0, color=GREY, linewidth=1)
        axes[1].set_xlabel(f"% smaller error than {reference}")
    set_title(figure, title)
    figure.supxlabel("a dot: a task, larger where several agree; a bar: the median", fontsize="small")
    return figure


def _rows_of_points(axes: "Axes", rows: Iterable[Sequence[float]]) -> None:
    """Each row's finite values as dots with an area for how many there are, and their median as a bar."""
    style = line_style(0)["color"], line_style(1)["color"]
    for place, values in enumerate(rows):
        finite = [value for value in values if abs(value) != float("inf")]
        counts = {value: finite.count(value) for value in finite}
        sizes = [18 * count for count in counts.values()]
        places = [place] * len(counts)
        axes.scatter(list(counts), places, s=sizes, color=style[0], edgecolors="white", linewidths=0.5, zorder=3)
        middle = median(values)
        if abs(middle) != float("inf"):
            axes.plot([middle, middle], [place - 0.38, place + 0.38], color=style[1], linewidth=3, zorder=2)
    tidy(axes)
