"""`dashnas bench`: methods compared on tasks."""

import typer

from dashnas.cli.bench_plot import plot

bench = typer.Typer(help="Methods compared on tasks.", no_args_is_help=True)
bench.command()(plot)
