"""The cells of a store as a table: a row per task and method, over seeds."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from statistics import mean, stdev
from typing import Any

from dashnas.analysis import Cell
from dashnas.analysis.error_table import refuse_mixtures
from dashnas.bench.store import to_cell
from dashnas.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Row:
    """A method on a task, over seeds."""

    task: str
    method: str
    metric: str
    higher_is_better: bool
    protocol: str
    mean: float
    """Of the test scores."""
    std: float | None
    """Standard deviation of the test scores, with n - 1; None of a single one, or where one diverged."""
    n: int
    """Seeds."""
    is_best: bool
    """Whether no other method has a better mean on the task."""
    seconds: float
    """Mean of what a cell took."""
    budget_seconds: float
    """Mean of what a cell was given."""
    worst_overrun: float
    """The largest share by which a cell took more than it was given; negative where all took less."""
    parameters: float | None
    """Mean; None for models without any."""

    def to_json(self) -> dict[str, Any]:
        """As plain containers."""
        return asdict(self)


def make_rows(results: Iterable[Mapping[str, Any]], *, mix: bool = False) -> list[Row]:
    """The rows, tasks and methods in the order of their first result.

    Args:
        results: contents of the files of finished cells.
        mix: whether different protocols, metrics of a task or budgets may stand in one table.

    Raises:
        ConfigError: they differ, and `mix` was not asked for.
    """
    results = list(results)
    if not mix:
        refuse_mixed(results)
    groups: dict[tuple[str, str, str, str], list[Mapping[str, Any]]] = {}
    for result in results:
        key = (result["task"], result["method"], result["metric"], result["protocol"])
        groups.setdefault(key, []).append(result)
    means = {key: mean(cell.value for cell in map(to_cell, group)) for key, group in groups.items()}
    return [_row(key, group, means) for key, group in groups.items()]


def refuse_mixed(results: Iterable[Mapping[str, Any]]) -> None:
    """Make sure that results can be compared.

    Raises:
        ConfigError: budgets differ, but for cells that got the time of another one; or as of `refuse_mixtures`.
    """
    results = list(results)
    refuse_mixtures([to_cell(result) for result in results])
    budgets = sorted({result["budget_seconds"] for result in results if result["budget_from"] is None})
    if len(budgets) > 1:
        raise ConfigError(
            f"these results have different budgets ({', '.join(f'{b:g} s' for b in budgets)}); "
            "give --mix to put them into one table all the same"
        )


def _row(
    key: tuple[str, str, str, str],
    group: list[Mapping[str, Any]],
    means: Mapping[tuple[str, str, str, str], float],
) -> Row:
    cells: list[Cell] = [to_cell(result) for result in group]
    task, method, metric, protocol = key
    rivals = [value for (t, _, m, p), value in means.items() if (t, m, p) == (task, metric, protocol)]
    better = max if cells[0].higher_is_better else min
    overruns = [result["seconds"] / result["budget_seconds"] - 1 for result in group]
    parameters = [cell.parameters for cell in cells if cell.parameters is not None]
    return Row(
        task=task,
        method=method,
        metric=metric,
        higher_is_better=cells[0].higher_is_better,
        protocol=protocol,
        mean=means[key],
        std=stdev(cell.value for cell in cells) if len(cells) > 1 and isfinite(means[key]) else None,
        n=len(cells),
        is_best=means[key] == better(rivals),
        seconds=mean(result["seconds"] for result in group),
        budget_seconds=mean(result["budget_seconds"] for result in group),
        worst_overrun=max(overruns),
        parameters=mean(parameters) if parameters else None,
    )
