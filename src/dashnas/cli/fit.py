"""`dashnas fit`: the whole way, from a file of arrays to a trained network."""

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
def fit(
    data: Data = None,
    *,
    task: Task = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run; goes on with one that was begun. Default: runs/NAME-OF-DATA."),
    ] = None,
    architecture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Skip the search, take this architecture.json.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be done, and its time and memory.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
    options: "Options",
) -> None:
    """Search, tune, train and score a network for DATA.

    DATA is an .npz file with x and y, a folder with x.npy and y.npy, a .csv with
    a row per sample, or a folder with a folder of images per class. The
    untouched backbone is trained beside the searched network. A run that was
    stopped goes on when the same command is given again.

    For example:

      dashnas fit mydata.npz
      dashnas fit mydata.npz --out runs/mine --budget 10m
      dashnas fit mydata.npz --epochs 40 --seed 1 --metric macro_f1
      dashnas fit images.npz --images --kernel-sizes 3,5,3x7 --dilations 1,3
      dashnas fit mydata.npz --max-parameters 50k --max-latency 5ms
      dashnas fit mydata.npz --ensemble 3
      dashnas fit mydata.npz --dry-run
      dashnas fit --task digits8 --out runs/digits8
    """
    from dataclasses import replace

    from dashnas import pipeline
    from dashnas.cli.dry_run import dry_run_as_json, dry_run_tables
    from dashnas.cli.given_data import given_data
    from dashnas.cli.print_out import print_out
    from dashnas.cli.result_tables import result_tables
    from dashnas.space import Architecture

    source, options = given_data(data, task, options)
    out = out or default_run(source)
    if architecture is not None:
        options = replace(options, architecture=Architecture.load(architecture))
    with reporter(quiet=quiet) as told:
        if dry_run:
            would = pipeline.dry_run(source, options, reporter=told)
        else:
            summary = pipeline.fit(source, options, out=out, reporter=told).summary
    if as_json:
        typer.echo(json.dumps(dry_run_as_json(would) if dry_run else summary, indent=2))
    else:
        print_out(*(dry_run_tables(would) if dry_run else result_tables(out, summary)))
