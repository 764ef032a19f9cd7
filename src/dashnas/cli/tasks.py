"""`dashnas tasks`: small real data sets to try things on."""

import json
from pathlib import Path
from typing import Annotated

import typer

from dashnas.cli.arguments import Json

tasks = typer.Typer(
    help="Real data sets: small ones, each an .npz file like one of your own, and the ten of NAS-Bench-360.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `dashnas tasks list` has it.")]
"""Which data set."""


@tasks.command("list")
def list_tasks(as_json: Json = False) -> None:
    """List the data sets.

    For example:

      dashnas tasks list
      dashnas tasks list --json
    """
    from dashnas.cli.print_out import print_out
    from dashnas.cli.task_tables import all_tasks, list_table, task_as_json

    if as_json:
        typer.echo(json.dumps([task_as_json(task) for task in all_tasks()], indent=2))
    else:
        print_out(list_table())


@tasks.command()
def info(name: Name, as_json: Json = False) -> None:
    """Tell of a data set: shapes, parts, licence, source, published figures.

    For example:

      dashnas tasks info cricketx
      dashnas tasks info cricketx --json
    """
    from dashnas.cli.print_out import print_out
    from dashnas.cli.task_tables import info_tables, task_as_json
    from dashnas.tasks import get_task

    task = get_task(name)
    if as_json:
        typer.echo(json.dumps(task_as_json(task), indent=2))
    else:
        print_out(*info_tables(task))


@tasks.command()
def fetch(
    name: Name,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to put it; without, it stays in the cache."),
    ] = None,
) -> None:
    """Fetch a data set as an .npz file, once, and print where it lies.

    For example:

      dashnas tasks fetch cricketx --out cricketx.npz
      dashnas tasks fetch digits8
    """
    from dashnas import tasks

    typer.echo(str(tasks.fetch(name, out)))


@tasks.command()
def check(name: Name) -> None:
    """Check that the cache holds a data set as it should be, and fetch it first if it is not there.

    Ends with code 0 and one line if all is right, else with code 2 and what is
    wrong: a damaged file, arrays that are missing or have another shape or type,
    values that are not finite, labels that do not belong there.

    For example:

      dashnas tasks check cricketx
    """
    from dashnas import tasks

    typer.echo(f"{name} is right: {tasks.check(name)}")
