"""What all pictures share: an empty figure, colours, a legend that covers nothing, saving."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashnas.errors import ConfigError
from dashnas.storage import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")

# Okabe and Ito's colours, told apart by colour-blind people too; grey for their yellow, which is too pale on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00", "#888888")
_LINES = ("-", "--", "-.", ":")
_MARKERS = "os^Dv<>P*X"

GREY = "#888888"
_DPI = 150
_TITLE, _LEGEND = 10.5, 12.0
"""Characters that fit into an inch of each."""


def new_figure(width: float = 6.4, height: float = 4.4) -> "Figure":
    """An empty figure, in inches. It belongs to nobody: no window is opened, and no global state is touched.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("drawing needs matplotlib, which is not installed: pip install 'dashnas[plot]'") from error
    return Figure(figsize=(width, height), layout="constrained")


def line_style(index: int) -> dict[str, Any]:
    """Colour and dashes of the curve with this number; the first 32 differ."""
    return {
        "color": _COLOURS[index % len(_COLOURS)],
        "linestyle": _LINES[(index % len(_COLOURS) + index // len(_COLOURS)) % len(_LINES)],
    }


def marker_style(index: int) -> dict[str, Any]:
    """Colour and marker of the points with this number; the first 40 differ."""
    return {"color": _COLOURS[index % len(_COLOURS)], "marker": _MARKERS[index % len(_MARKERS)]}


def tidy(axes: "Axes") -> None:
    """Leave out what says nothing: the frame above and to the right."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)


def set_title(figure: "Figure", title: str) -> None:
    """A title over all, in as many lines as it needs."""
    if title:
        width = int(figure.get_figwidth() * _TITLE)
        lines = [textwrap.fill(line, width) for line in title.splitlines()]
        figure.suptitle("\n".join(lines), fontsize="medium")


def legend_below(figure: "Figure", *panels: "Axes") -> None:
    """A legend of what is labelled in the panels under all of them, in as many columns as fit."""
    shown = {
        label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    width = max(map(len, shown)) + 8  # with the handle and the space between columns
    columns = max(1, min(len(shown), int(figure.get_figwidth() * _LEGEND) // width))
    figure.legend(
        shown.values(),
        shown,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize="small",
        markerscale=0.7,
    )


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a picture, in the format that the file's ending names.

    Raises:
        ConfigError: another ending.
        StorageError: it cannot be written.
    """
    check_format(path)
    with atomic_file(path) as file:
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=_DPI)


def check_format(path: Path) -> None:
    """Refuse a picture whose ending names no format.

    Raises:
        ConfigError: as said.
    """
    if path.suffix[1:].lower() not in FORMATS:
        raise ConfigError(f"a picture is a .png, .svg or .pdf; got {path}; try {path.with_suffix('.png')}")
