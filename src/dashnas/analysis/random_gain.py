"""What a search gains over architectures drawn at random from the same space."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dashnas.analysis.cells import Cell
from dashnas.analysis.error_table import comparable
from dashnas.errors import ConfigError, unknown_name


@dataclass(frozen=True, kw_only=True)
class RandomGain:
    """How much smaller a method's error is than that of the average random architecture, on one task."""

    task: str
    method: str
    percent: float
    """100 (mean error of random architectures - error) / mean error of random architectures, mean over seeds."""
    by_seed: tuple[float, ...]
    """The same of each seed. Those of the random architectures themselves show how much they differ."""


def random_gain(cells: Iterable[Cell], *, random: str = "random", mix: bool = False) -> list[RandomGain]:
    """The gain of every method on every task on which random architectures were run, themselves included.

    The definition is that of Yang, Esperanca and Carlucci 2020 ("NAS evaluation is frustratingly hard"),
    with errors in place of accuracies, since tasks have different metrics.

    Args:
        cells: runs; each seed of `random` is an architecture.
        random: the name of the method that draws architectures at random.
        mix: as of `comparable`.

    Raises:
        ConfigError: no random architectures, one that diverged, all without error, or as of `comparable`.
    """
    cells = comparable(cells, mix=mix)
    names = dict.fromkeys(cell.method for cell in cells)
    if random not in names:
        raise ConfigError(unknown_name("method of random architectures", random, names))
    tasks = dict.fromkeys(cell.task for cell in cells if cell.method == random)
    gains = []
    for task in tasks:
        of_task = [cell for cell in cells if cell.task == task]
        average = _average(task, [cell.error for cell in of_task if cell.method == random])
        for method in dict.fromkeys(cell.method for cell in of_task):
            by_seed = [100 * (average - cell.error) / average for cell in of_task if cell.method == method]
            gains.append(RandomGain(task=task, method=method, percent=float(np.mean(by_seed)), by_seed=tuple(by_seed)))
    return gains


def random_gain_rows(gains: Iterable[RandomGain]) -> list[dict[str, Any]]:
    """An object for each method and task."""
    return [asdict(gain) for gain in gains]


def _average(task: str, errors: list[float]) -> float:
    average = float(np.mean(errors))
    if not np.isfinite(average) or average == 0:
        raise ConfigError(
            f"the average random architecture on {task!r} has error {average}, so that nothing can be compared "
            "with it; leave the task out"
        )
    return average
