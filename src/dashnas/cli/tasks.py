"""`dashnas tasks`: small real data sets to try things on."""

import json
from pathlib import Path
from typing import Annotated

import typer

from dashnas.cli.arguments import Json

tasks = typer.Typer(help="Small real data sets, each an .npz file like one of your own.", no_args_is_help=True)


@tasks.command("list")
def list_tasks(as_json: Json = False) -> None:
    """List the data sets.

    For example:

      dashnas tasks list
      dashnas tasks list --json
    """
    from dashnas.cli.print_out import plain_table, print_out
    from dashnas.tasks import TASKS

    if as_json:
        content = [
            {
                "name": task.name,
                "description": task.description,
                "kind": task.kind.value,
                "metric": task.metric,
                "package": f"{task.package.source} {task.package.version}",
                "licence": task.package.licence,
                "megabytes": task.package.megabytes,
                "published": dict(task.published),
            }
            for task in TASKS.values()
        ]
        typer.echo(json.dumps(content, indent=2))
        return
    table = plain_table("name", "metric", "MB to fetch", "what it is")
    table.columns[1].justify = table.columns[3].justify = "left"
    for task in TASKS.values():
        table.add_row(
            task.name,
            task.metric,
            f"{task.package.megabytes:g}" if task.package.megabytes else "-",
            task.description,
        )
    print_out(table)


@tasks.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `dashnas tasks list` has it.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to put it; without, it stays in the cache."),
    ] = None,
) -> None:
    """Fetch a data set as an .npz file, once, and print where it lies.

    For example:

      dashnas tasks fetch cricketx --out cricketx.npz
      dashnas fit "$(dashnas tasks fetch digits8)" --out runs/digits8
    """
    from dashnas import tasks

    typer.echo(str(tasks.fetch(name, out)))
