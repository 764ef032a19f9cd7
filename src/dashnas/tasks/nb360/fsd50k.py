"""FSD50K: which of 200 sounds a clip holds.

Files: the folder `chunks` with `tr.csv`, `val.csv`, `eval.csv`, `lbl_map.json` and chunks of a second, and
`noise_22050/*.wav`; or the data set as its makers publish it, in the folders `FSD50K.dev_audio`, `FSD50K.eval_audio`
and `FSD50K.ground_truth`, whose clips are cut here. A chunk becomes a log-mel spectrogram of 96 bands and 101 frames.
Training sees a chunk of each clip, drawn, with parts masked out and noise mixed in; scores are of clips, by the mean of
the logits of their chunks.

All protocols: 36,796 clips to train on, 4,170 for validation and 10,231 for the test; the final training is without
validation part. 1 - mean average precision over the labels that occur.
dash-official: a column of zeros is added to each spectrogram.
"""

from pathlib import Path

import numpy as np

from dashnas.data.normalise import Normaliser
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.task_data import DASH, PaperSettings, Samples, TaskData
from dashnas.errors import DataError
from dashnas.tasks.nb360.clips import Clips, read_chunks, read_clips
from dashnas.tasks.nb360.log_mel import BANDS, FRAMES
from dashnas.tasks.nb360.sounds import ChunkTable, ClipTable
from dashnas.tasks.official import OfficialTask, find_file

LABELS = 200
MANIFESTS = {"train": "tr.csv", "val": "val.csv", "test": "eval.csv"}


def read(folder: Path, protocol: str, seed: int) -> TaskData:
    """The clips of the official files; nothing is left to the seed."""
    clips = {part: _clips(folder, part) for part in MANIFESTS}
    frames = FRAMES + 1 if protocol == DASH else FRAMES
    noise = sorted(path for place in ("noise_22050", "data/noise_22050") for path in (folder / place).glob("*.wav"))
    train = ClipTable(clips["train"], noise, frames)
    validation, test = (ChunkTable(clips[part], frames) for part in ("val", "test"))
    fitted = Samples(train, np.arange(len(train)))
    return TaskData(
        origin=str(folder),
        spec=DataSpec(channels=1, spatial_shape=(BANDS, frames), target_kind=TargetKind.MULTI_LABEL, outputs=LABELS),
        normaliser=Normaliser.identity(1),
        train=fitted,
        validation=Samples(validation, np.arange(len(validation))),
        final=fitted,
        test=Samples(test, np.arange(len(test))),
        how="as published, the final training without validation part; samples of validation and test are chunks",
        metric="1-map@clip",
        warnings=() if noise else (f"no noise is mixed in, since there is none in {folder / 'noise_22050'}",),
        paper=PaperSettings(batch_size=128, kernel_sizes=(3, 5, 7, 9), pos_weight=10.0, small_grid=True),
    )


def _clips(folder: Path, part: str) -> Clips:
    found = find_file(folder, "chunks", "data/chunks", "FSD50K.ground_truth")
    published = found.name == "FSD50K.ground_truth"
    clips: Clips = read_clips(folder, part) if published else read_chunks(found, MANIFESTS[part])
    if clips.labels.shape[1] != LABELS:
        raise DataError(f"{found} has {clips.labels.shape[1]} labels; expected {LABELS}")
    return clips


OFFICIAL = OfficialTask(
    name="fsd50k",
    description="sounds of all kinds: 1x96x101 -> 200 labels, 36796 + 10231 test clips",
    about=__doc__,
    kind=TargetKind.MULTI_LABEL,
    metric="1-map@clip",
    shapes={"x": (36_796, 1, BANDS, FRAMES), "y": (36_796, LABELS)},
    samples={"training": 36_796},
    licence="CC BY 4.0",
    megabytes=24_000,
    files=("chunks", "noise_22050"),
    published={"WRN": 0.92, "DARTS": 0.94, "DASH": 0.60, "VGG-like": 0.62},
    read=read,
)
