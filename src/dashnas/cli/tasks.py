"""`dashnas tasks`: small real data sets to try things on."""

import json
from pathlib import Path
from typing import Annotated

import typer

from dashnas.cli.arguments import Json, Quiet
from dashnas.cli.tasks_make import make

tasks = typer.Typer(
    help="Real data sets: small ones, each an .npz file like one of your own, and the ten of NAS-Bench-360.",
    no_args_is_help=True,
)
tasks.add_typer(make, name="make")

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
        typer.Option(metavar="PATH", help="File, or for an official task folder, to put it; else the cache."),
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Of official files: try this address first, with /NAME-OF-FILE added."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Fetch a data set, once, and print where it lies.

    A small one is an .npz file. An official task of NAS-Bench-360 has a folder
    of files, which are downloaded where they are not there yet; what was broken
    off goes on when the same command is given again.

    For example:

      dashnas tasks fetch cricketx --out cricketx.npz
      dashnas tasks fetch digits8
      dashnas tasks fetch ninapro
    """
    from dashnas import tasks
    from dashnas.cli.counting import counting
    from dashnas.errors import ConfigError
    from dashnas.tasks.fetch_official import fetch_official
    from dashnas.tasks.official_files import OFFICIAL_FILES

    if name in OFFICIAL_FILES:
        with counting(name, quiet=quiet, in_bytes=True) as tell:
            path = fetch_official(name, out, mirror=mirror, progress=tell)
    elif mirror is not None:
        raise ConfigError(f"--mirror is for the official tasks, {', '.join(OFFICIAL_FILES)}; {name} is none of them")
    else:
        path = tasks.fetch(name, out)
    typer.echo(str(path))


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
