"""Receptive fields layer by layer, a panel for each task."""

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from dashnas.analysis.drawing.canvas import legend_below, marker_style, new_figure, set_title, tidy
from dashnas.analysis.fields import LayerField

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TICKS = (1, 3, 5, 9, 15, 31, 61, 121, 271, 541)
_SHIFT = 0.14
"""Between the points of two methods, in layers."""


def draw_receptive_fields(fields: Sequence[LayerField], title: str = "") -> "Figure":
    """A point for each network and layer and a line through each method's medians, log axis.

    In a panel with a single network, its kernel sizes and dilations stand beside the points.
    """
    tasks = list(dict.fromkeys(field.task for field in fields))
    methods = list(dict.fromkeys(field.method for field in fields))
    columns = min(len(tasks), 3)
    rows = -(-len(tasks) // columns)
    figure = new_figure(max(5.0, 4.3 * columns), 1.0 + 2.7 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for panel, task in zip(panels, tasks, strict=False):
        _draw_task(panel, [field for field in fields if field.task == task], methods)
        panel.set_title(task, fontsize="medium")
    for panel in panels[::columns]:
        panel.set_ylabel("receptive field, samples")
    spans = [field.receptive_field for field in fields]
    panels[0].set_ylim(0.6 * min(spans), 1.5 * max(spans))  # of all, which share it
    for panel in panels[len(tasks) :]:
        panel.set_visible(False)
    set_title(figure, title)
    if len(methods) > 1:
        legend_below(figure, *panels)
    return figure


def _draw_task(axes: "Axes", fields: Sequence[LayerField], methods: Sequence[str]) -> None:
    present = [method for method in methods if any(field.method == method for field in fields)]
    for index, method in enumerate(present):
        own = [field for field in fields if field.method == method]
        shift = _SHIFT * (index - (len(present) - 1) / 2)
        style = marker_style(methods.index(method))
        axes.scatter(
            [f.place + shift for f in own], [f.receptive_field for f in own], s=16, alpha=0.6, label=method, **style
        )
        places = sorted({field.place for field in own})
        middle = [median(f.receptive_field for f in own if f.place == place) for place in places]
        axes.plot([place + shift for place in places], middle, linewidth=1.5, color=style["color"])
    last = max(field.place for field in fields)
    axes.set_yscale("log")
    axes.set_xticks(range(1, last + 1, 1 + last // 15))
    axes.set_yticks(_TICKS, [str(tick) for tick in _TICKS])
    axes.minorticks_off()
    axes.set_xlabel("layer, in order")
    if len({(field.method, field.seed) for field in fields}) == 1:
        _annotate(axes, fields)
    tidy(axes)


def _annotate(axes: "Axes", fields: Sequence[LayerField]) -> None:
    """Kernel size and dilation of each layer, above its point or, in a valley of the line, below it."""
    spans = [field.receptive_field for field in fields]
    for index, field in enumerate(fields):
        neighbours = spans[max(0, index - 1) : index] + spans[index + 1 : index + 2]
        below = field.receptive_field <= min(neighbours, default=0) and field.receptive_field < max(neighbours)
        text, at = f"{field.kernel_size},{field.dilation}", (field.place, field.receptive_field)
        offset = (0, -12 if below else 6)
        axes.annotate(text, at, offset, textcoords="offset points", ha="center", fontsize=7)
    axes.set_xlabel("layer, in order; at the points: kernel size, dilation")
