"""`dashnas bench export`: the table of a comparison for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from dashnas.cli.bench_run import DEFAULT_STORE
from dashnas.cli.bench_table import Folder, Mix


def export(
    folder: Folder = DEFAULT_STORE,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="csv, json, latex or markdown.")] = "csv",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to; printed if not given.")] = None,
    mix: Mix = False,
) -> None:
    """Write the table of a comparison for a spreadsheet, a paper or a program.

    For example:

      dashnas bench export runs/bench --format latex --out table.tex
      dashnas bench export runs/bench --format csv
    """
    from dashnas.bench import Store
    from dashnas.bench.export import export as write
    from dashnas.bench.table import make_rows
    from dashnas.storage import atomic_file

    text = write(make_rows(Store(folder).results(), mix=mix), form)
    if out is None:
        typer.echo(text, nl=False)
        return
    with atomic_file(out) as file:
        file.write(text.encode())
