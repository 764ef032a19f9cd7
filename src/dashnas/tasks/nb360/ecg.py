"""ECG: normal rhythm, atrial fibrillation, another rhythm, or noise, from one lead of a heart (PhysioNet 2017).

File: `challenge2017.pkl`, a pickle of `data` (8,528 recordings of 300 Hz, most of 30 s) and `label` (N, A, O or ~).
Each recording is normalised by itself and cut into windows of 1000 samples, whose distance depends on its label: 500,
83, 250, 25.

clean: the recordings are put into a fixed order; the first tenth is the test part, the next one is for validation; the
final training uses all others. 1 - macro F1 of recordings, each of which gets the answer that most of its windows have.
nb360-official: the same test part, but for choosing another division is made, whose validation recordings lie in the
test part in half of the cases.
dash-official: divided as nb360-official; 1 - macro F1 of windows, as the mean over shuffled batches of 1024.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dashnas.data.normalise import Normaliser
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.split import Indices
from dashnas.data.tables import Array, Rows
from dashnas.data.task_data import CLEAN, DASH, PaperSettings, Samples, TaskData
from dashnas.errors import DataError
from dashnas.tasks.official import OfficialTask, find_file, need_keys, shuffled
from dashnas.tasks.safe_pickle import load_pickle_file

LABELS = ("N", "A", "O", "~")
STRIDES = (500, 83, 250, 25)
"""Distance of the windows of a recording, by its label."""
LENGTH = 1000


def read(folder: Path, protocol: str, seed: int) -> TaskData:
    """The windows of the official file; nothing is left to the seed."""
    path = find_file(folder, "challenge2017.pkl")
    table = WindowTable(*_recordings(path))
    parts = divide(len(table.records), protocol)

    def samples(part: str) -> Samples:
        return Samples(table, table.windows_of(parts[part]))

    return TaskData(
        origin=str(path),
        spec=DataSpec(
            channels=1,
            spatial_shape=(LENGTH,),
            target_kind=TargetKind.CLASSES,
            outputs=len(LABELS),
            classes=tuple(range(len(LABELS))),
        ),
        normaliser=Normaliser.identity(1),
        train=samples("train"),
        validation=samples("validation"),
        final=samples("final"),
        test=samples("test"),
        how="whole recordings, as published; samples are windows",
        metric="1-macro_f1@batch1024" if protocol == DASH else "1-macro_f1@record",
        also=("1-macro_f1@record", "1-macro_f1"),
        warnings=() if protocol == CLEAN else ("half of the validation recordings are in the test part, as published",),
        paper=PaperSettings(batch_size=1024, kernel_sizes=(3, 7, 11, 15, 19)),
    )


def divide(records: int, protocol: str) -> dict[str, Indices]:
    """The recordings of the parts train, validation, final and test.

    The public codes hold out a fifth for choosing and cut that in two; for the final training they hold out a tenth.
    """
    order = shuffled(records, 0)
    tenth, fifth = -(-records // 10), -(-records // 5)
    parts = {"train": order[fifth:], "validation": order[tenth:fifth], "final": order[tenth:], "test": order[:tenth]}
    if protocol != CLEAN:
        held = order[:fifth]
        parts["validation"] = held[shuffled(fifth, 0)][-(-fifth // 2) :]
    return parts


def starts(length: int, label: int) -> Indices:
    """Where the windows of a recording begin; one that would end with its last sample is left out."""
    return np.arange(0, length - LENGTH, STRIDES[label], dtype=np.int64)


class WindowTable:
    """Windows of recordings, cut when they are asked for.

    Args:
        records: normalised recordings, float32.
        labels: of each recording.
    """

    def __init__(self, records: Sequence[Array], labels: Array) -> None:
        self.records = records
        self._labels = labels
        begins = [starts(len(series), int(label)) for series, label in zip(records, labels, strict=True)]
        self._record = np.repeat(np.arange(len(records)), [len(begin) for begin in begins])
        self._start = np.concatenate(begins)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""
        return ("x", "y", "record")

    def __len__(self) -> int:
        return len(self._start)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a column, with the samples on the first axis."""
        return (len(self), 1, LENGTH) if name == "x" else (len(self),)

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of a column's values."""
        return np.dtype(np.float32 if name == "x" else np.int64)

    def take(self, rows: Rows, names: Sequence[str]) -> dict[str, Array]:
        """These windows; nothing else is cut."""
        record = self._record[rows]
        columns: dict[str, Array] = {"y": self._labels[record], "record": record}
        if "x" in names:
            cut = [self.records[r][s : s + LENGTH] for r, s in zip(record, self._start[rows], strict=True)]
            columns["x"] = np.reshape(cut, (len(record), 1, LENGTH)).astype(np.float32)
        return {name: columns[name] for name in names}

    def windows_of(self, records: Indices) -> Indices:
        """All windows of these recordings, in their order."""
        ends = np.cumsum(np.bincount(self._record, minlength=len(self.records)))
        firsts = np.concatenate([[0], ends[:-1]])
        return np.concatenate([np.arange(firsts[r], ends[r]) for r in records]).astype(np.int64)


def _recordings(path: Path) -> tuple[list[Array], Array]:
    content = need_keys(load_pickle_file(path, encoding="latin1"), ("data", "label"), path)
    data, labels = content["data"], np.asarray(content["label"]).astype(str)
    if unknown := set(labels.reshape(-1).tolist()) - set(LABELS):
        raise DataError(f"label in {path} holds {sorted(unknown)[0]!r}; expected only {', '.join(LABELS)}")
    if labels.shape != (len(data),) or len(data) < 10:
        raise DataError(f"{path} holds {len(data)} recordings and {labels.shape} labels; expected as many, at least 10")
    return [_normalised(series, i, path) for i, series in enumerate(data)], np.array([LABELS.index(s) for s in labels])


def _normalised(series: Any, number: int, path: Path) -> Array:
    values = np.asarray(series)
    if values.ndim != 1 or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise DataError(f"recording {number} in {path} is no series of finite numbers; its shape is {values.shape}")
    wide = values.astype(np.float64)
    spread = wide.std() if len(wide) else 0.0
    return ((wide - wide.mean()) / spread if spread > 0 else np.zeros_like(wide)).astype(np.float32)


OFFICIAL = OfficialTask(
    name="ecg",
    description="rhythms of a heart: windows of 1x1000 -> 4 classes, 7675 + 853 test recordings",
    about=__doc__,
    kind=TargetKind.CLASSES,
    metric="1-macro_f1@record",
    shapes={"x": (295_021, 1, 1000), "y": (295_021,)},
    classes=len(LABELS),
    samples={"training": 261_740},
    licence="ODC-BY 1.0",
    megabytes=150,
    files=("challenge2017.pkl",),
    published={"WRN": 0.43, "DARTS": 0.34, "DASH": 0.32, "ResNet-1D": 0.28},
    read=read,
)
