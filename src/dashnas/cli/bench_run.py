"""`dashnas bench run`: the cells of a comparison, task by method by seed."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dashnas.cli.arguments import Json, Quiet

if TYPE_CHECKING:
    from dashnas.bench import CellName, Store
    from dashnas.bench.store import State

DEFAULT_STORE = Path("runs/bench")
"""Where results go if nothing else is said."""

MOST_JOBS = 1024
"""Processes that anybody could mean to have at once."""

Results = Annotated[
    Path, typer.Option("--out", metavar="FOLDER", help="Folder of the results; goes on with an earlier one.")
]
"""The store."""

Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--import", metavar="FILE", help="A Python file that registers methods or tasks of your own; may come again."
    ),
]
"""Files that are run before names are looked up."""


def run(
    *,
    tasks: Annotated[str, typer.Option(metavar="NAMES", help="As in `dashnas tasks list`, or of --import.")],
    methods: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="As in `dashnas bench methods`, between commas. A@B is method A with the time that B took.",
        ),
    ],
    seeds: Annotated[str, typer.Option(metavar="SEEDS", help="Such as 0-2 or 0,1,2.")] = "0",
    budget: Annotated[str, typer.Option(metavar="TIME", help="Of each cell, such as 60s or 10m.")] = "60s",
    jobs: Annotated[int, typer.Option(help="Cells at a time.")] = 1,
    threads: Annotated[int, typer.Option(help="Of the CPU, for each cell.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1.")] = "cpu",
    protocol: Annotated[str, typer.Option(help="How scores are made, as in `dashnas fit`.")] = "clean",
    out: Results = DEFAULT_STORE,
    plugin: Plugins = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the cells and how far they are.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Run methods on tasks, each in a process of its own, and keep the results.

    Finished cells are left alone, so the same command goes on where it was
    stopped; two of them at once share the work. A cell that fails is noted and
    tried again next time. A method that does not fit a task is skipped.

    For example:

      dashnas bench run --tasks digits8,tecator --methods backbone,dash --budget 20s
      dashnas bench run --tasks crop,tecator --methods dash,random --seeds 0-2 --jobs 2
      dashnas bench run --tasks crop --methods dash,backbone-tuned@dash --dry-run
    """
    from dashnas.bench import Store
    from dashnas.bench.cell import Conditions
    from dashnas.bench.grid import make_grid, parse_methods, parse_names, parse_seeds
    from dashnas.bench.plugins import load_plugin
    from dashnas.bench.runner import run_grid
    from dashnas.bench.store import State
    from dashnas.budget import parse_seconds
    from dashnas.cli.bench_progress import watcher
    from dashnas.data.task_data import CLEAN
    from dashnas.device import find_device
    from dashnas.errors import ConfigError
    from dashnas.methods.registry import all_methods
    from dashnas.tasks import OFFICIAL_TASKS, OWN_TASKS, TASKS

    plugins = tuple(path.resolve() for path in plugin or ())
    for path in plugins:
        load_plugin(path)
    if not 1 <= jobs <= MOST_JOBS:
        raise ConfigError(f"jobs must be from 1 to {MOST_JOBS}, got {jobs}")
    conditions = Conditions(budget_seconds=parse_seconds(budget), threads=threads, device=device, protocol=protocol)
    find_device(device)
    named = (
        parse_names(tasks, "task", {*TASKS, *OFFICIAL_TASKS, *OWN_TASKS}),
        parse_methods(methods, all_methods()),
        parse_seeds(seeds),
    )
    if protocol != CLEAN and (small := [name for name in named[0] if name in TASKS]):
        raise ConfigError(
            f"no published scores of {', '.join(small)} are made by {protocol!r}, which is for the ten tasks of "
            f"NAS-Bench-360; leave them out, or take --protocol {CLEAN}"
        )
    known = Store(out) if dry_run and (out / "store.json").exists() else None if dry_run else Store(out, create=True)
    cells = make_grid(*named, lambda cell: known is not None and known.state(cell) is State.FINISHED)
    if known is None:
        _tell(dict.fromkeys(cells, State.OPEN), None, as_json=as_json)
        return
    if dry_run:
        _tell({cell: known.state(cell) for cell in cells}, known, as_json=as_json)
        return
    with watcher(len(cells), quiet=quiet) as watching:
        states = run_grid(known, cells, conditions, watching, jobs=jobs, plugins=plugins)
    _tell(states, known, as_json=as_json)
    if State.FAILED in states.values():
        raise typer.Exit(1)


def _tell(states: "dict[CellName, State]", store: "Store | None", *, as_json: bool) -> None:
    """Print how far each cell is, and why where it is not finished."""
    from dashnas.cli.bench_tables import states_tables

    reasons = {cell: store.reason(cell) if store is not None else "" for cell in states}
    if as_json:
        listed = [
            {"task": c.task, "method": c.method, "seed": c.seed, "state": state.value, "reason": reasons[c] or None}
            for c, state in states.items()
        ]
        typer.echo(json.dumps(listed, indent=2))
        return
    from dashnas.cli.print_out import print_out

    print_out(*states_tables(states, reasons))
