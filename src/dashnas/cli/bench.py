"""`dashnas bench`: methods on tasks, in one store, its tables and pictures. A file per command beside this one."""

import typer

from dashnas.cli.bench_export import export
from dashnas.cli.bench_methods import methods
from dashnas.cli.bench_plot import plot
from dashnas.cli.bench_run import run
from dashnas.cli.bench_table import table

bench = typer.Typer(help="Compare methods on tasks under one budget.", no_args_is_help=True)
for command in (run, table, plot, export, methods):
    bench.command()(command)
