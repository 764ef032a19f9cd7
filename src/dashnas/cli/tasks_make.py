"""`dashnas tasks make`: data of the benchmark's kind, made where its own files cannot be had."""

from pathlib import Path
from typing import Annotated

import typer

from dashnas.cli.arguments import Quiet

make = typer.Typer(help="Make data like those of the benchmark.", no_args_is_help=True)

Out = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where to put the files; else where the task looks for them."),
]
"""Folder of what is made."""


@make.command()
def darcy(
    n: Annotated[int, typer.Option("--n", help="Samples; one in eleven is for the test.")] = 1100,
    grid: Annotated[int, typer.Option(help="Cells along each axis that the equation is solved on.")] = 421,
    stride: Annotated[int, typer.Option(help="Keep every so many cells: 5 makes 85x85 of 421x421, 1 keeps all.")] = 5,
    seed: Annotated[int, typer.Option(help="Of all samples.")] = 0,
    jobs: Annotated[int | None, typer.Option(help="Processes at once; one per core if not given.")] = None,
    out: Out = None,
    quiet: Quiet = False,
) -> None:
    """Make Darcy flow from its equations, as the benchmark's files have it.

    Pressure of water in ground of two permeabilities: a random field, then a
    sparse linear system per sample. Two .mat files with the official names
    and keys, and synthetic.json, which says that they are not the official ones.
    What was stopped goes on when the same command is given again, and ends in the
    same files with any number of jobs.

    For example:

      dashnas tasks make darcy
      dashnas tasks make darcy --n 110 --grid 85 --stride 1 --out darcy85
    """
    from dashnas.cli.counting import counting
    from dashnas.tasks.make_darcy import DarcyRecipe, make_darcy
    from dashnas.tasks.official import official_folder

    recipe = DarcyRecipe(n=n, grid=grid, stride=stride, seed=seed)
    with counting("darcy", quiet=quiet) as tell:
        paths = make_darcy(
            recipe, out or official_folder("darcy"), jobs=usable_cores() if jobs is None else jobs, progress=tell
        )
    for path in paths:
        typer.echo(str(path))


@make.command()
def spherical(
    images: Annotated[
        str,
        typer.Option(metavar="FILE", help="An .npz file with x and y, and what else there is; or cifar100."),
    ],
    seed: Annotated[int, typer.Option(help="Of all turns.")] = 0,
    turn_every: Annotated[int, typer.Option(help="Images in a row that share one turn of the sphere.")] = 500,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="An .npz file, or with .gz the official format; else NAME-sphere.npz."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Lay images onto a sphere that is turned at random, as the benchmark does.

    Each channel is projected onto 60 latitudes and 60 longitudes. Of cifar100,
    whose files `dashnas tasks fetch cifar100` brings, comes a file of the official
    name and format where the task looks for it, of other images an .npz file
    like the one given.

    For example:

      dashnas tasks make spherical --images digits.npz --turn-every 1
      dashnas tasks make spherical --images cifar100
    """
    from dashnas.cli.counting import counting
    from dashnas.data.files import read_npz
    from dashnas.errors import DataError
    from dashnas.tasks.make_spherical import (
        OFFICIAL_NAME,
        SphereRecipe,
        make_spherical,
        read_cifar100,
        write_spherical,
    )
    from dashnas.tasks.official import official_folder

    recipe = SphereRecipe(seed=seed, turn_every=turn_every)
    if images == "cifar100":
        arrays = read_cifar100(official_folder("cifar100"))
        out = out or official_folder("spherical") / OFFICIAL_NAME
    elif Path(images).is_file():
        arrays = read_npz(Path(images))
        out = out or Path(f"{Path(images).stem}-sphere.npz")
    else:
        raise DataError(f"{images} is no file; expected an .npz file with images as x, or cifar100")
    with counting("spherical", quiet=quiet) as tell:
        made = make_spherical(arrays, recipe, progress=tell)
    write_spherical(made, recipe, out)
    typer.echo(str(out))


def usable_cores() -> int:
    """Cores of the machine that this process may use."""
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
