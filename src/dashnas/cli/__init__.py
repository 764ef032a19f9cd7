"""The command line: one file per command. Nothing heavy is imported before a command really runs."""

import typer

from dashnas.cli.bench import bench
from dashnas.cli.exits import ExitCodes
from dashnas.cli.fit import fit
from dashnas.cli.predict import predict
from dashnas.cli.retrain import retrain
from dashnas.cli.search import search
from dashnas.cli.show import show
from dashnas.cli.tasks import tasks

app = typer.Typer(
    cls=ExitCodes,
    help="From a file of arrays to a trained network whose kernel sizes and dilations fit the data.",
    epilog="Start with: dashnas fit mydata.npz --out runs/mine",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (fit, search, retrain, show, predict):
    app.command()(command)
app.add_typer(tasks, name="tasks")
app.add_typer(bench, name="bench")


def main() -> None:
    """Run the command that was typed."""
    app(prog_name="dashnas")
