"""Gains over random architectures, a row for each task."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dashnas.analysis.drawing.canvas import GREY, legend_below, marker_style, new_figure, set_title, tidy
from dashnas.analysis.random_gain import RandomGain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_random_gain(gains: Sequence[RandomGain], random: str = "random", title: str = "") -> "Figure":
    """For each task and method the mean over seeds, and small points for the seeds; random architectures in grey."""
    tasks = list(dict.fromkeys(gain.task for gain in gains))
    methods = sorted(dict.fromkeys(gain.method for gain in gains), key=lambda method: method == random)
    figure = new_figure(6.8, 1.6 + len(tasks) * (0.16 * len(methods) + 0.22))
    axes = figure.add_subplot()
    axes.axvline(0, color=GREY, linewidth=1)
    for index, method in enumerate(methods):
        style = {"color": GREY, "marker": "|"} if method == random else marker_style(index)
        shift = (index - (len(methods) - 1) / 2) * 0.75 / len(methods)
        for gain in (gain for gain in gains if gain.method == method):
            y = tasks.index(gain.task) + shift
            seeds = [value for value in gain.by_seed if value != -float("inf")]
            axes.scatter(seeds, [y] * len(seeds), s=14, alpha=0.5, linewidths=1 if method == random else 0, **style)
            if gain.percent != -float("inf"):
                axes.scatter(gain.percent, y, s=60, linewidths=2 if method == random else 0, label=method, **style)
    for edge in range(1, len(tasks)):
        axes.axhline(edge - 0.5, color=GREY, linewidth=0.5, alpha=0.5)
    axes.set_yticks(range(len(tasks)), tasks)
    axes.set_ylim(len(tasks) - 0.5, -0.5)
    axes.set_xlabel("% smaller error than the average random architecture")
    tidy(axes)
    axes.grid(visible=False, axis="y")
    set_title(figure, title)
    legend_below(figure, axes)
    return figure
