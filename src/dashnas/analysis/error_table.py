"""Methods by tasks: the table of errors that every comparison starts from."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from dashnas.analysis.cells import Cell
from dashnas.errors import ConfigError, unknown_name

Missing = Literal["drop", "infinite"]
"""What is done where a method has no score on a task: "drop" leaves the task out for all, "infinite" takes the method's
error there for infinite, which is what a run that failed would count."""

Floats = NDArray[np.float64]

_PERCENT = "_pct"


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorTable:
    """Errors of methods on tasks, lower is better, means over seeds."""

    methods: tuple[str, ...]
    tasks: tuple[str, ...]
    errors: Floats
    """Shape (methods, tasks); NaN where a method was not run, infinite where a seed diverged."""
    seconds: Floats
    """Shape (methods, tasks); mean wall time over seeds, NaN where it is not known."""
    metrics: Mapping[str, str]
    """Metric by task, two of them joined by " / " if they were mixed."""
    protocols: tuple[str, ...]
    """One, unless protocols were mixed."""

    def select(self, methods: Sequence[str] | None = None, tasks: Sequence[str] | None = None) -> Self:
        """The same table with these methods and tasks, in this order; None is all.

        Raises:
            ConfigError: a name that is not in the table, or no name at all.
        """
        rows = _places("method", methods, self.methods)
        columns = _places("task", tasks, self.tasks)
        kept = tuple(self.tasks[column] for column in columns)
        return replace(
            self,
            methods=tuple(self.methods[row] for row in rows),
            tasks=kept,
            errors=self.errors[np.ix_(rows, columns)],
            seconds=self.seconds[np.ix_(rows, columns)],
            metrics={task: self.metrics[task] for task in kept},
        )

    def best_of(self, groups: Mapping[str, Sequence[str]]) -> Self:
        """A table with a row for each group of methods: on each task the smallest error that one of them has.

        Only a group of one has a time, since trying all of several takes longer than any of them.

        Raises:
            ConfigError: a method that is not in the table, or a group without any.
        """
        rows = [_places("method", members, self.methods) for members in groups.values()]
        errors = np.stack([_smallest(self.errors[row]) for row in rows])
        unknown = np.full(len(self.tasks), np.nan)
        seconds = np.stack([self.seconds[row[0]] if len(row) == 1 else unknown for row in rows])
        return replace(self, methods=tuple(groups), errors=errors, seconds=seconds)

    def settle_missing(self, missing: Missing | None) -> Self:
        """A table without holes.

        Args:
            missing: what to do about them; None if there should be none.

        Raises:
            ConfigError: there are holes and `missing` is None, or nothing is left without them.
        """
        absent = np.isnan(self.errors)
        if not absent.any():
            return self
        if missing == "infinite":
            return replace(self, errors=np.where(absent, np.inf, self.errors))
        full = [task for task, hole in zip(self.tasks, absent.T, strict=True) if not hole.any()]
        row, column = np.argwhere(absent)[0]
        if missing is None:
            raise ConfigError(
                f"{absent.sum()} of {absent.size} scores are missing, such as {self.methods[row]!r} on "
                f"{self.tasks[column]!r}; choose methods that were run on all tasks, or say what to do with missing= "
                f"(--missing): 'drop' leaves {len(full)} of {len(self.tasks)} tasks, 'infinite' counts them as failed"
            )
        if not full:
            raise ConfigError(
                f"no task was run with all of {', '.join(self.methods)}; leave methods out, such as "
                f"{self.methods[row]!r}, which has no score on {self.tasks[column]!r}, or take missing='infinite'"
            )
        return self.select(tasks=full)

    def rows(self) -> list[dict[str, Any]]:
        """An object for each score that there is, for a file or a data frame."""
        return [
            {
                "task": task,
                "method": method,
                "metric": self.metrics[task],
                "error": float(self.errors[row, column]),
                "seconds": None if np.isnan(self.seconds[row, column]) else float(self.seconds[row, column]),
            }
            for row, method in enumerate(self.methods)
            for column, task in enumerate(self.tasks)
            if not np.isnan(self.errors[row, column])
        ]


def error_table(cells: Iterable[Cell], *, mix: bool = False) -> ErrorTable:
    """Put cells into a table: errors, lower is better, means over seeds; methods and tasks in the order they come in.

    Args:
        cells: as runs and published tables give them.
        mix: as of `comparable`.

    Raises:
        ConfigError: as of `comparable`.
    """
    cells = comparable(cells, mix=mix)
    methods = tuple(dict.fromkeys(cell.method for cell in cells))
    tasks = tuple(dict.fromkeys(cell.task for cell in cells))
    groups: defaultdict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.method, cell.task].append(cell)
    errors, seconds = np.full((2, len(methods), len(tasks)), np.nan)
    for (method, task), group in groups.items():
        at = methods.index(method), tasks.index(task)
        errors[at] = np.mean([cell.error for cell in group])
        seconds[at] = np.mean([np.nan if cell.seconds is None else cell.seconds for cell in group])
    return ErrorTable(
        methods=methods,
        tasks=tasks,
        errors=errors,
        seconds=seconds,
        metrics={task: " / ".join(_metrics(cells, task)) for task in tasks},
        protocols=tuple(dict.fromkeys(cell.protocol for cell in cells)),
    )


def comparable(cells: Iterable[Cell], *, mix: bool = False) -> list[Cell]:
    """The cells, if they may stand in one table.

    Percent become fractions, so that 23.35 of "error_pct" and 0.2335 of "error" agree. A method that has scores of two
    protocols on one task becomes two, "NAME [PROTOCOL]".

    Args:
        cells: as runs and published tables give them.
        mix: whether scores of different protocols, or of different metrics on one task, may stand in one
            table. They were made by different rules, so differences between them need not be differences of methods.

    Raises:
        ConfigError: no cells; protocols or metrics are mixed without being asked for; a score comes twice, is no
            number, or is an error below zero.
    """
    cells = [as_fraction(cell) for cell in cells]
    if not cells:
        raise ConfigError("there are no scores to compare; name a published table or a store that has finished runs")
    if not mix:
        refuse_mixtures(cells)
    cells = _told_apart(cells)
    _check_values(cells)
    return cells


def as_fraction(cell: Cell) -> Cell:
    """The same score with percent made fractions, and the metric named so."""
    if not cell.metric.endswith(_PERCENT):
        return cell
    std = None if cell.std is None else cell.std / 100
    return replace(cell, metric=cell.metric.removesuffix(_PERCENT), value=cell.value / 100, std=std)


def refuse_zeros(table: ErrorTable, what: str) -> None:
    """Refuse errors of zero where ratios of errors are taken.

    Raises:
        ConfigError: there is one.
    """
    zeros = np.argwhere(table.errors == 0)
    if len(zeros):
        row, column = zeros[0]
        raise ConfigError(
            f"{what} needs positive errors, since it divides by them, but {table.methods[row]!r} has error 0 on "
            f"{table.tasks[column]!r}; leave the task out, or give floor= (--floor), the smallest error that its test "
            "part can tell from none, such as 1 / (number of samples)"
        )


def with_floor(table: ErrorTable, floor: float | None) -> ErrorTable:
    """The table with smaller errors raised to `floor`; None leaves it as it is.

    Raises:
        ConfigError: the floor is not positive.
    """
    if floor is None:
        return table
    if not floor > 0:
        raise ConfigError(f"floor must be above 0, got {floor}; it stands in for errors that are too small to measure")
    return replace(table, errors=np.maximum(table.errors, floor))  # NaN stays NaN


def refuse_mixtures(cells: Sequence[Cell]) -> None:
    """Refuse scores of different protocols, or of different metrics on one task.

    Raises:
        ConfigError: there are such.
    """
    protocols = Counter(cell.protocol for cell in cells)
    if len(protocols) > 1:
        listed = ", ".join(f"{protocol} ({count})" for protocol, count in protocols.items())
        raise ConfigError(
            f"these scores follow different protocols: {listed}; scores of different rules are not compared unless "
            "that is asked for (mix=True, --mix)"
        )
    for task in dict.fromkeys(cell.task for cell in cells):
        if len(metrics := _metrics(cells, task)) > 1:
            raise ConfigError(
                f"the scores on {task!r} are of different metrics: {', '.join(metrics)}; choose one, or ask for the "
                "mixture (mix=True, --mix)"
            )


def _told_apart(cells: Sequence[Cell]) -> list[Cell]:
    """The cells, with the protocol in the name of each method that has two of them on one task."""
    protocols: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for cell in cells:
        protocols[cell.method, cell.task].add(cell.protocol)
    twice = {method for (method, _), names in protocols.items() if len(names) > 1}
    return [
        replace(cell, method=f"{cell.method} [{cell.protocol}]") if cell.method in twice else cell for cell in cells
    ]


def _check_values(cells: Sequence[Cell]) -> None:
    seen = Counter((cell.method, cell.task, cell.seed) for cell in cells)
    (method, task, seed), times = seen.most_common(1)[0]
    if times > 1:
        raise ConfigError(
            f"{method!r} has {times} scores on {task!r} with seed {seed}; keep one, or give the methods different names"
        )
    for cell in cells:
        if not cell.error >= 0:  # NaN is not, either
            raise ConfigError(
                f"{cell.method!r} has error {cell.error} on {cell.task!r}, expected a number of at least 0; check the "
                f"score's direction: {cell.metric} says higher_is_better={cell.higher_is_better}"
            )


def _metrics(cells: Iterable[Cell], task: str) -> list[str]:
    """The metrics of a task, in words that name the direction where one name has two."""
    found = dict.fromkeys((cell.metric, cell.higher_is_better) for cell in cells if cell.task == task)
    names = Counter(name for name, _ in found)
    return [
        name if names[name] == 1 else f"{name} ({'higher' if higher else 'lower'} is better)" for name, higher in found
    ]


def _places(what: str, wanted: Sequence[str] | None, known: Sequence[str]) -> list[int]:
    """Where the wanted names stand among the known ones."""
    if wanted is None:
        return list(range(len(known)))
    if not wanted:
        raise ConfigError(f"no {what} is left to compare; known: {', '.join(known)}")
    for name in wanted:
        if name not in known:
            raise ConfigError(unknown_name(what, name, known))
    return [known.index(name) for name in wanted]


def _smallest(errors: Floats) -> Floats:
    """Per task, shape (tasks,), the smallest of (methods, tasks); NaN where there is none."""
    smallest: Floats = np.where(np.isnan(errors), np.inf, errors).min(axis=0)
    return np.where(np.isnan(errors).all(axis=0), np.nan, smallest)
