"""Printing for people, on standard output."""

import typer
from rich.console import Console, RenderableType
from rich.table import Table


def print_out(*parts: RenderableType) -> None:
    """Print tables and lines; text is never taken for markup, and lines are never cut."""
    console = Console(highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, str))
    for line in capture.get().splitlines():
        typer.echo(line.rstrip())  # tables fill their columns with spaces


def plain_table(*columns: str) -> Table:
    """An empty table without frames, the first column text and the others numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), caption_justify="left")
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", overflow="fold", header_style="bold")
    return table
