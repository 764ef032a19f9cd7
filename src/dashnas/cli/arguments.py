"""Arguments that several commands take."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dashnas.data import TaskSource

Data = Annotated[
    Path | None, typer.Argument(metavar="DATA", help="An .npz file, a .csv file, a folder of .npy files or of images.")
]
"""What is learned from, unless a task is."""

Task = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="In place of DATA: fetch this set of `dashnas tasks list`, score by its metric."),
]
"""What is learned from, unless a file is."""

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Tell nothing of the progress.")]
"""Whether standard error stays empty."""

Json = Annotated[bool, typer.Option("--json", help="Print the outcome as JSON, and nothing else, on standard output.")]
"""Whether standard output is for programs."""


def default_run(data: "Path | TaskSource", suffix: str = "") -> Path:
    """The folder of a run for which none was named: after the file or the task."""
    name = data.resolve().stem if isinstance(data, Path) else data.name
    return Path("runs") / (name + suffix)
