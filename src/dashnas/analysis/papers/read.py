"""Reading the papers' tables: as they are printed, as cells, as rows of numbers."""

import csv
from importlib.resources import files

from dashnas.analysis.cells import Cell
from dashnas.analysis.papers.tables import PAPER_TABLES, PaperTable
from dashnas.errors import ConfigError, unknown_name
from dashnas.space import Architecture, Candidate

_HOURS = 3600
_BETWEEN = "±"


def paper_table(name: str) -> PaperTable:
    """What is known of a table.

    Raises:
        ConfigError: no table has this name.
    """
    if name not in PAPER_TABLES:
        raise ConfigError(unknown_name("published table", name, PAPER_TABLES))
    return PAPER_TABLES[name]


def printed(name: str, *, corrected: bool = False) -> list[dict[str, str]]:
    """The rows of a table, every field the text that is printed, a mean and its deviation as "23.35±0.05".

    Args:
        name: of a table in `PAPER_TABLES`.
        corrected: with the corrections of `misprints`; without, as it is printed. A score that should not be there is
            an empty field then.

    Raises:
        ConfigError: no table has this name.
    """
    rows = _rows(paper_table(name).name)
    if corrected:
        by_method = {row.get("method"): row for row in rows}
        for wrong in misprints(name):
            by_method[wrong["method"]][wrong["column"]] = wrong["corrected"]
    return rows


def misprints(name: str) -> list[dict[str, str]]:
    """What is known to be wrong in a table: `method`, `column`, `printed`, `corrected`, `reason`."""
    wrong = [row for row in _rows("corrections") if row["table"] == name]
    return [{key: value for key, value in row.items() if key != "table"} for row in wrong]


def published(name: str, *, corrected: bool = False) -> tuple[Cell, ...]:
    """The scores of a table as cells, of the protocol "published:NAME"; what was not reported is not there.

    Args:
        name: of a table of scores in `PAPER_TABLES`.
        corrected: with the corrections of `misprints`; without, as it is printed.

    Raises:
        ConfigError: no table has this name, or the table holds no scores.
    """
    table = paper_table(name)
    if not table.metrics:
        raise ConfigError(
            f"{name} holds {table.about}, no scores; read it with runtimes() or printed(). Tables of scores: "
            + ", ".join(other.name for other in PAPER_TABLES.values() if other.metrics)
        )
    hours = {(row["task"], row["method"]): float(row["hours"]) for row in _rows("dash-table3")}
    return tuple(
        _cell(table, row["method"], task, text, hours.get((task, table.hours.get(row["method"], ""))))
        for row in printed(name, corrected=corrected)
        for task, text in row.items()
        if task != "method" and text
    )


def runtimes(name: str) -> list[dict[str, str | float]]:
    """A table of times, a row for each: `hours` or `seconds`, and of what: `task`, `method`, `phase`, `backbone`.

    Raises:
        ConfigError: no table has this name, or the table holds no times.
    """
    rows = printed(name)
    unit = next((unit for unit in ("hours", "seconds") if unit in rows[0]), None)
    if unit is None:
        raise ConfigError(
            f"{name} holds {paper_table(name).about}, no times; tables of times: dash-table3, dash-table6, "
            "dash-table8, dash-table9"
        )
    return [row | {unit: float(row[unit])} for row in rows]


def searched_networks() -> dict[str, Architecture]:
    """By task, the searched networks that the appendix of the DASH paper draws (Section A.8), layers in order."""
    layers: dict[str, dict[str, Candidate]] = {}
    for row in _rows("dash-appendix-a8"):
        choice = Candidate(int(row["kernel_size"]), int(row["dilation"]))
        layers.setdefault(row["task"], {})[row["layer"]] = choice
    return {task: Architecture(of_task) for task, of_task in layers.items()}


def _cell(table: PaperTable, method: str, task: str, text: str, hours: float | None) -> Cell:
    value, _, std = text.partition(_BETWEEN)
    return Cell(
        task=task,
        method=method,
        seed=None,
        metric=table.metrics[task],
        protocol=table.protocol,
        value=float(value),
        higher_is_better=task in table.higher_is_better,
        std=float(std) if std else None,
        seconds=None if hours is None else hours * _HOURS,
        source=table.source,
    )


def _rows(name: str) -> list[dict[str, str]]:
    text = (files(__package__) / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
