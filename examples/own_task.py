"""A data set with rules of its own as a task: its division, its scale, what training draws, how it is scored.

Sensors hum at one of two pitches, for longer or shorter. A recording is cut into windows, a network learns the windows,
and what counts is the answer that most windows of a recording give. Training shifts each window by a few samples.

The file registers the task when it is loaded, so that methods can be compared on it:

    dashnas bench run --tasks hum --methods backbone,dash-quick --budget 20s --import examples/own_task.py
"""

from dataclasses import dataclass

import numpy as np

from dashnas import Options, fit
from dashnas.data import ArrayTable, AugmentedTable, DataSpec, Normaliser, Samples, TargetKind, TaskData
from dashnas.tasks import register_task

WINDOW = 32
RECORDINGS = {"train": 80, "validation": 30, "test": 30}


def windows(recordings: int, random: np.random.Generator) -> ArrayTable:
    """A row per window: x, y, and the field `record` that says which recording it is from."""
    x, record = [], []
    pitch = random.integers(0, 2, recordings)
    for number in range(recordings):
        time = np.arange(WINDOW * random.integers(2, 6))
        hum = np.sin(time * (0.5 + 0.12 * pitch[number]) + random.uniform(0, 6)) + random.normal(0, 1.5, len(time))
        x.append(hum.reshape(-1, 1, WINDOW))
        record += [number] * (len(time) // WINDOW)
    return ArrayTable({"x": np.concatenate(x).astype(np.float32), "y": pitch[record], "record": np.array(record)})


def shifted(sample: dict[str, np.ndarray], random: np.random.Generator) -> dict[str, np.ndarray]:
    """A function of the sample and the generator alone, so that a run that is resumed draws the same."""
    return {**sample, "x": np.roll(sample["x"], random.integers(-4, 5), axis=-1)}


@dataclass(frozen=True)
class Hum:
    """The task, as `fit` takes it."""

    name: str = "hum"

    def task_data(self, protocol: str, seed: int) -> TaskData:
        """All parts; with files of its own a task would read them here."""
        random = np.random.default_rng(0)
        train, validation, test = (windows(number, random) for number in RECORDINGS.values())
        drawn = Samples(AugmentedTable(train, shifted), np.arange(len(train)))
        return TaskData(
            origin="recordings of a hum",
            spec=DataSpec(
                channels=1, spatial_shape=(WINDOW,), target_kind=TargetKind.CLASSES, outputs=2, classes=(0, 1)
            ),
            normaliser=Normaliser.identity(1),
            train=drawn,
            validation=Samples(validation, np.arange(len(validation))),
            final=drawn,
            test=Samples(test, np.arange(len(test))),
            how="whole recordings, samples are windows",
            metric="1-macro_f1@record",
            also=("1-macro_f1",),
        )


register_task(Hum())


def main() -> None:
    """Fit, and tell how much the votes are worth."""
    # One thread is fastest on so little data.
    options = Options(width=8, search_epochs=4, tune_trials=1, tune_epochs=4, epochs=8, plan="model", threads=1)
    result = fit(Hum(), options)
    test = result.summary["scores"]["test"]
    print(f"1 - F1 of {test['samples']} recordings, by the votes of their windows: {test['value']:.2f}")
    print(f"1 - F1 of single windows: {test['also']['1-macro_f1']:.2f}")


if __name__ == "__main__":
    main()
