"""PSICOV: how far apart the residues of a protein are, from what evolution tells of each pair.

Files: `deepcov.lst` and `psicov.lst`, the names of 3,456 and 150 proteins, and for each
`deepcov/features/NAME.pkl` and `deepcov/distance/NAME-cb.npy`, or the same below `psicov`. 57 maps of all pairs of
residues, with a rim of 5 cells. Training sees crops of 128x128, with distances clipped to 16 Angstrom; what is scored
are whole proteins on 512x512.

All scores are an MAE_8: the mean absolute error over pairs that are at least 24 residues apart in the chain and at most
8 Angstrom in space, averaged over proteins.
clean: the first 100 of `deepcov.lst` are for validation, the final training uses all; `psicov.lst` is the test part.
Predictions of a pair above and below the diagonal count the same.
nb360-official: the same proteins, predicted in 16 tiles of 128x128; the prediction below the diagonal counts three
times as much, and lengths are those of other proteins of the list.
dash-official: training always uses all of `deepcov.lst`, and validation is the second half of the test part. The
prediction below the diagonal counts three times as much; all proteins are cut to the length of the first or second one.
"""

from pathlib import Path

import numpy as np

from dashnas.data.normalise import Normaliser
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.task_data import CLEAN, DASH, NB360, PaperSettings, Samples, TaskData
from dashnas.tasks.nb360.protein_files import CHANNELS, read_list
from dashnas.tasks.nb360.proteins import ProteinTable, TileTable
from dashnas.tasks.official import OfficialTask, find_file, share

CROP = 128
CANVAS = 512


def read(folder: Path, protocol: str, seed: int) -> TaskData:
    """The proteins of the official folders; nothing is left to the seed."""
    tables = {
        name: ProteinTable(find_file(folder, name), read_list(find_file(folder, f"{name}.lst")), CANVAS, CROP)
        for name in ("deepcov", "psicov")
    }
    train, test = tables["deepcov"], tables["psicov"]
    everything = np.arange(len(train))
    held = share(len(train), 100, 3456)
    if protocol == DASH:
        fitted, chosen = everything, Samples(test, np.arange(len(test) // 2, len(test)))
    else:
        fitted, chosen = everything[held:], Samples(train, everything[:held])
    tested = Samples(test, np.arange(len(test)))
    if protocol == NB360:
        chosen, tested = _tiles(chosen), _tiles(tested)
    spec = DataSpec(channels=CHANNELS, spatial_shape=(CROP,) * 2, target_kind=TargetKind.DENSE_REGRESSION, outputs=1)
    whole = DataSpec(channels=CHANNELS, spatial_shape=(CANVAS,) * 2, target_kind=spec.target_kind, outputs=1)
    leak = "validation is half of the test part, as in the authors' code"
    return TaskData(
        origin=str(folder),
        spec=spec,
        scored_spec=spec if protocol == NB360 else whole,
        normaliser=Normaliser(
            input_mean=(0.0,) * CHANNELS, input_std=(1.0,) * CHANNELS, target_mean=(0.0,), target_std=(1.0,)
        ),
        train=Samples(train, fitted),
        validation=chosen,
        final=Samples(train, everything),
        test=tested,
        how="as the lists are" + ("; samples of validation and test are tiles" if protocol == NB360 else ""),
        metric="mae8" if protocol == CLEAN else f"mae8@{protocol}",
        also=() if protocol == NB360 else ("mae8", "mae8@dash-official"),
        warnings=(leak,) if protocol == DASH else (),
        paper=PaperSettings(batch_size=8, kernel_sizes=(3, 5, 7, 9), small_grid=True),
    )


def _tiles(proteins: Samples) -> Samples:
    tiles = TileTable(proteins.table, CROP)
    rows = proteins.rows[:, None] * tiles.per_map + np.arange(tiles.per_map)
    return Samples(tiles, rows.reshape(-1))


OFFICIAL = OfficialTask(
    name="psicov",
    description="distances in proteins: 57x128x128 -> a number per position, 3456 + 150 test proteins",
    about=__doc__,
    kind=TargetKind.DENSE_REGRESSION,
    metric="mae8",
    shapes={
        "x": (3456, CHANNELS, CROP, CROP),
        "y": (3456, 1, CROP, CROP),
        "x_test": (150, CHANNELS, CANVAS, CANVAS),
        "y_test": (150, 1, CANVAS, CANVAS),
    },
    samples={"training": 3356, "validation": 100, "test": 150},
    licence="GPL",
    megabytes=1100,
    files=("deepcov.lst", "psicov.lst", "deepcov", "psicov"),
    published={"WRN": 3.84, "DARTS": 2.94, "DASH": 3.30, "DEEPCON": 3.35},
    read=read,
)
