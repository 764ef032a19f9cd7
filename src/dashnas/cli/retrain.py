"""`dashnas retrain`: training with an architecture that is known already."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dashnas.cli.arguments import Data, Json, Quiet, Task, default_run
from dashnas.cli.options import takes_options
from dashnas.cli.reporters import reporter

if TYPE_CHECKING:
    from dashnas.presets import Options

# A budget would also be spent on trying recipes; `fit --architecture FILE --budget TIME` does that.
_OF_SEARCH_AND_TUNING = (
    "budget",
    "search_epochs",
    "tune_trials",
    "schedule",
    "kernel_sizes",
    "dilations",
    "per_axis",
    "strategy",
    "plan",
    "separable",
    "search_learning_rate",
    "race",
)


@takes_options(without=_OF_SEARCH_AND_TUNING)
def retrain(
    data: Data = None,
    *,
    task: Task = None,
    architecture: Annotated[Path, typer.Option(metavar="FILE", help="architecture.json of a search or another run.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run; goes on with one that was begun. Default: runs/NAME-OF-DATA-retrain."),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
    options: "Options",
) -> None:
    """Train and score a given architecture on DATA under one recipe.

    It is trained once on the training part, for the validation score, and once
    on all but the test part. To try several recipes, or to keep to a budget,
    give --architecture to fit instead.

    For example:

      dashnas retrain mydata.npz --architecture runs/mine/architecture.json
      dashnas retrain new.npz --architecture chosen.json --optimiser sgd
      dashnas retrain --task digits8 --architecture chosen.json
    """
    from dataclasses import replace

    from dashnas import pipeline
    from dashnas.cli.given_data import given_data
    from dashnas.cli.print_out import print_out
    from dashnas.cli.result_tables import result_tables
    from dashnas.space import Architecture

    source, options = given_data(data, task, options)
    out = out or default_run(source, "-retrain")
    options = replace(options, architecture=Architecture.load(architecture), tune_trials=1)
    with reporter(quiet=quiet) as told:
        summary = pipeline.fit(source, options, out=out, reporter=told).summary
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        print_out(*result_tables(out, summary))
