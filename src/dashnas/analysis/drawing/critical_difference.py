"""Critical-difference diagrams: methods along an axis of mean ranks, bars over those that are not told apart."""

from typing import TYPE_CHECKING

from dashnas.analysis.critical_difference import CriticalDifference
from dashnas.analysis.drawing.canvas import new_figure, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE = 0.42
"""Between the labels of two methods, in inches, as all heights here."""
_BAR = 0.16
_INK = "black"


def draw_critical_difference(found: CriticalDifference, title: str = "") -> "Figure":
    """The diagram of Demsar 2006, Figure 1, best rank at the left; the caption names test, p and number of tasks."""
    methods = list(found.mean_ranks)
    left = methods[: (len(methods) + 1) // 2]
    depth = 0.3 + _BAR * len(found.alike) + _LINE * len(left)
    above = 0.95 if found.critical_difference else 0.5
    figure = new_figure(7.6, above + depth + 0.75)
    axes = figure.add_subplot()
    axes.axis("off")
    axes.set_ylim(-depth, above)
    lowest, highest = 1, len(methods)
    margin = 0.42 * (highest - lowest)  # for the names
    axes.set_xlim(lowest - margin, highest + margin)
    axes.plot([lowest, highest], [0, 0], color=_INK, linewidth=1.2)
    for rank in range(lowest, highest + 1):
        axes.plot([rank, rank], [0, 0.09], color=_INK, linewidth=1.2)
        axes.text(rank, 0.14, str(rank), ha="center", va="bottom", fontsize="small")
    _label(axes, found, left, lowest - 0.03 * margin, "right")
    _label(axes, found, methods[len(left) :][::-1], highest + 0.03 * margin, "left")
    for place, group in enumerate(found.alike):
        y = -0.14 - _BAR * place
        ends = [found.mean_ranks[group[0]] - 0.015 * highest, found.mean_ranks[group[-1]] + 0.015 * highest]
        axes.plot(ends, [y, y], color="#D55E00", linewidth=4, solid_capstyle="butt")
    if found.critical_difference:
        _ruler(axes, lowest, found.critical_difference)
    set_title(figure, title)
    figure.supxlabel(_caption(found), fontsize="small")
    return figure


def _label(axes: "Axes", found: CriticalDifference, methods: list[str], edge: float, side: str) -> None:
    """Names at one side, each joined to its place on the axis; the first is the outermost, and highest."""
    start = -0.14 - _BAR * len(found.alike) - 0.1
    for place, method in enumerate(methods):
        rank, y = found.mean_ranks[method], start - _LINE * place
        axes.plot([rank, rank, edge], [0, y, y], color=_INK, linewidth=0.9)
        text = f"{method}  {rank:.2f} " if side == "right" else f" {rank:.2f}  {method}"
        axes.text(edge, y, text, ha=side, va="center", fontsize="small")


def _ruler(axes: "Axes", start: float, width: float) -> None:
    y = 0.62
    axes.plot([start, start + width], [y, y], color=_INK, linewidth=1.2)
    for end in (start, start + width):
        axes.plot([end, end], [y - 0.06, y + 0.06], color=_INK, linewidth=1.2)
    axes.text(
        start + width / 2, y + 0.05, f"critical difference {width:.2f}", ha="center", va="bottom", fontsize="small"
    )


def _caption(found: CriticalDifference) -> str:
    test = {"nemenyi": "Nemenyi's test", "wilcoxon-holm": "Wilcoxon's signed-rank test with Holm's adjustment"}
    text = f"mean rank on {len(found.tasks)} tasks; Friedman p = {found.friedman_p:.2g}"
    if found.friedman_p >= found.alpha:
        return f"{text}: no difference is shown, so that no pair is tested"
    if found.smallest_p >= found.alpha:
        return (
            f"{text}\n{len(found.tasks)} tasks are too few for {test[found.post_hoc]} to tell any of these pairs apart"
        )
    return f"{text}\nbars join what {test[found.post_hoc]} does not tell apart at {found.alpha:g}"
