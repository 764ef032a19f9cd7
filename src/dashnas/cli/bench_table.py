"""`dashnas bench table`: what a comparison came to."""

from pathlib import Path
from typing import Annotated

import typer

from dashnas.cli.arguments import Json
from dashnas.cli.bench_run import DEFAULT_STORE

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the results.")]
"""The store."""

Mix = Annotated[
    bool, typer.Option("--mix", help="Put different protocols, metrics or budgets into one table all the same.")
]
"""Whether what cannot be compared may stand side by side."""


def table(folder: Folder = DEFAULT_STORE, mix: Mix = False, as_json: Json = False) -> None:
    """Show mean and standard deviation over seeds, for each task and method.

    The best mean of a task has a star. Seconds are those that a cell took; by how
    much the slowest one missed its budget stands beside them.

    For example:

      dashnas bench table runs/bench
      dashnas bench table runs/bench --json
    """
    from dashnas.bench import Store
    from dashnas.bench.export import to_json
    from dashnas.bench.store import State
    from dashnas.bench.table import make_rows
    from dashnas.cli.bench_tables import table_parts
    from dashnas.cli.print_out import print_out

    store = Store(folder)
    rows = make_rows(store.results(), mix=mix)
    if as_json:
        typer.echo(to_json(rows), nl=False)
        return
    skipped, failed = (
        {cell: store.reason(cell) for cell in store.cells(state)} for state in (State.SKIPPED, State.FAILED)
    )
    print_out(*table_parts(rows, skipped, failed))
