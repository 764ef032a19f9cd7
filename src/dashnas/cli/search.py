"""`dashnas search`: the search alone."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dashnas.cli.arguments import Data, Json, Quiet, Task, default_run
from dashnas.cli.options import takes_options
from dashnas.cli.reporters import reporter

if TYPE_CHECKING:
    from dashnas.presets import Options


@takes_options()
def search(
    data: Data = None,
    *,
    task: Task = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run, where architecture.json will lie. Default: runs/NAME-OF-DATA."),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
    options: "Options",
) -> None:
    """Search kernel sizes and dilations for DATA, and save architecture.json.

    fit with the same options and folder goes on from there; retrain trains the
    architecture on these data or others. A --budget is for the whole of fit,
    and the search takes its share of it.

    For example:

      dashnas search mydata.npz --out runs/mine
      dashnas search mydata.npz --search-epochs 30 --kernel-sizes 3,5,7
      dashnas search --task digits8 --out runs/digits8
    """
    from dashnas import pipeline
    from dashnas.cli.given_data import given_data
    from dashnas.cli.print_out import print_out
    from dashnas.cli.result_tables import architecture_table

    source, options = given_data(data, task, options)
    out = out or default_run(source)
    with reporter(quiet=quiet) as told:
        architecture = pipeline.search_only(source, options, out=out, reporter=told)
    if as_json:
        typer.echo(json.dumps(architecture.to_json(), indent=2))
    else:
        print_out(architecture_table(architecture.to_json()), f"saved in {out / 'architecture.json'}")
