"""Performance profiles as step curves."""

from math import log
from typing import TYPE_CHECKING

from dashnas.analysis.drawing.canvas import legend_below, line_style, new_figure, set_title, tidy
from dashnas.analysis.profiles import Profile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TICKS = (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 7, 10, 20, 50, *(10.0**power for power in range(2, 10)))
_ROOM = 0.06
"""That a tick's label takes, of the length of the axis."""


def draw_profile(profile: Profile, title: str = "") -> "Figure":
    """A curve for each method: the share of tasks (0 to 1) on which it is within a factor of the best, log axis."""
    figure = new_figure()
    axes = figure.add_subplot()
    taus = profile.taus()
    end = max(taus[-1] * 1.08, 1.3)
    for index, method in enumerate(profile.ratios):
        shares = [profile.share(method, tau) for tau in (*taus, end)]
        axes.plot((*taus, end), shares, drawstyle="steps-post", label=method, linewidth=2, **line_style(index))
    axes.set_xscale("log")
    axes.set_xlim(1, end)
    axes.set_ylim(0, 1.03)
    ticks = _ticks(end)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(r"factor $\tau$ over the smallest error")
    axes.set_ylabel(rf"share of {len(profile.tasks)} tasks within $\tau$")
    tidy(axes)
    set_title(figure, title)
    legend_below(figure, axes)
    return figure


def _ticks(end: float) -> list[float]:
    """Ticks from 1 to `end` whose labels do not meet on a log axis."""
    kept = [1.0]
    for tick in _TICKS:
        if tick <= end and log(tick / kept[-1]) >= _ROOM * log(end):
            kept.append(tick)
    return kept
