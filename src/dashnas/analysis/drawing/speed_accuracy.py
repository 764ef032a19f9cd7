"""Speed against accuracy as a cloud of points for each method."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dashnas.analysis.drawing.canvas import GREY, legend_below, marker_style, new_figure, set_title, tidy
from dashnas.analysis.speed_accuracy import SpeedAccuracy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_speed_accuracy(points: Sequence[SpeedAccuracy], title: str = "") -> "Figure":
    """A small marker for each task and a large one at the mean of each method; the top right corner is the best."""
    figure = new_figure()
    axes = figure.add_subplot()
    for edge in (axes.axhline, axes.axvline):
        edge(0, color=GREY, linewidth=1)
    for index, method in enumerate(dict.fromkeys(point.method for point in points)):
        own = [point for point in points if point.method == method]
        speed, accuracy = [point.speed for point in own], [point.accuracy for point in own]
        style = marker_style(index)
        axes.scatter(speed, accuracy, s=26, alpha=0.55, linewidths=0, **style)
        middle = sum(speed) / len(own), sum(accuracy) / len(own)
        ring = {"facecolors": "none", "edgecolors": style["color"], "marker": style["marker"]}
        axes.scatter(*middle, s=170, linewidths=2.2, zorder=3, label=method, **ring)
    tasks = len({point.task for point in points})
    axes.set_xlabel(r"speed: $-\ln$(time / shortest time)")
    axes.set_ylabel(r"accuracy: $-\ln$(error / smallest error)")
    axes.text(0.01, 0.01, f"small: one of {tasks} tasks; large: mean", transform=axes.transAxes, fontsize="small")
    tidy(axes)
    set_title(figure, title)
    legend_below(figure, axes)
    return figure
