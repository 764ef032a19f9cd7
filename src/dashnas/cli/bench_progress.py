"""A bar over the cells of a comparison on a terminal, nothing elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from dashnas.bench import CellName
    from dashnas.bench.runner import Watcher
    from dashnas.bench.store import State


class CellBar:
    """Shows how many cells are done, and which are at work."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("cells", total=total, cells="")
        self._at_work: list[str] = []

    def started(self, cell: "CellName") -> None:
        """See `Watcher`."""
        self._at_work.append(str(cell))
        self._show(0)

    def ended(self, cell: "CellName", state: "State") -> None:
        """See `Watcher`."""
        if str(cell) in self._at_work:
            self._at_work.remove(str(cell))
            self._progress.console.print(f"{cell}: {state}", markup=False, highlight=False)
        self._show(1)

    def _show(self, more: int) -> None:
        self._progress.update(self._task, advance=more, cells="  ".join(self._at_work))


class Nobody:
    """Shows nothing."""

    def started(self, cell: "CellName") -> None:
        """See `Watcher`."""

    def ended(self, cell: "CellName", state: "State") -> None:
        """See `Watcher`."""


@contextmanager
def watcher(total: int, *, quiet: bool) -> "Iterator[Watcher]":
    """What follows the cells, on standard error."""
    if quiet or not sys.stderr.isatty():
        yield Nobody()
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[cells]}"), console=Console(stderr=True)) as progress:
        yield CellBar(progress, total)
