"""`dashnas predict`: the answers of a trained network for new samples."""

from pathlib import Path
from typing import Annotated, Any

import typer


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    new: Annotated[
        Path,
        typer.Argument(metavar="NEW", help="Samples x: .npz, .csv, a folder of .npy files, or one .npy file."),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="An .npz file to write the answers to.")],
    impute: Annotated[
        bool, typer.Option("--impute", help="Replace NaN and infinity in x by the channel's training mean.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1.")] = "cpu",
) -> None:
    """Predict NEW with the network of RUN.

    FILE gets arrays with a row per sample of NEW: label and probability for
    classes, several labels (0 or 1) and binary maps; prediction for numbers, on
    the scale of y in training. Whether (n, height, width) are images follows
    from RUN.

    For example:

      dashnas predict runs/mine new.npz --out pred.npz
      dashnas predict runs/mine new.npz --out pred.npz --force
    """
    import numpy as np

    from dashnas.device import find_device
    from dashnas.errors import ConfigError
    from dashnas.model import TrainedModel, load_result
    from dashnas.storage import atomic_file

    if out.suffix != ".npz":
        raise ConfigError(f"--out must end in .npz, the format that is written; got {out}")
    if out.exists() and not force:
        raise ConfigError(f"{out} exists; give --force to replace it, or another --out")
    where = find_device(device)
    load_result(run)  # says how to go on where there is no model yet
    model = TrainedModel.load(run)
    answers: dict[str, Any] = model.predict(new, device=where, impute=impute)
    with atomic_file(out) as file:
        np.savez(file, **answers)
    typer.echo(f"{out}: " + ", ".join(f"{name} {array.shape}" for name, array in answers.items()))
