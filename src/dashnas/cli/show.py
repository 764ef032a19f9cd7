"""`dashnas show`: what a run came to, or how far it is."""

import json
from pathlib import Path
from typing import Annotated

import typer

from dashnas.cli.arguments import Json


def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    plan: Annotated[bool, typer.Option("--plan", help="How the search computed each layer.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a run came to, or how far it is.

    Scores of the searched network and of the untouched backbone, the kernel
    size, dilation and span (first tap to last, in samples) of each layer, the
    recipe, and what it took.

    For example:

      dashnas show runs/mine
      dashnas show runs/mine --json
      dashnas show runs/mine --plan
    """
    from dashnas.cli.print_out import print_out
    from dashnas.cli.result_tables import plan_table, result_tables
    from dashnas.cli.unfinished import unfinished_tables
    from dashnas.model import load_result
    from dashnas.runs import read_plan

    if plan:
        strategies = read_plan(run)
        if as_json:
            typer.echo(json.dumps(strategies, indent=2))
        else:
            print_out(plan_table(strategies))
        return
    unfinished = (run / "run.json").exists() and not (run / "result.json").exists()
    if as_json:
        typer.echo(json.dumps(load_result(run), indent=2))
    elif unfinished:
        print_out(*unfinished_tables(run))
    else:
        print_out(*result_tables(run, load_result(run)))
