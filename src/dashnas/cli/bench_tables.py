"""The tables that `dashnas bench` prints for people."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.table import Table

from dashnas.bench import CellName
from dashnas.bench.export import score_text
from dashnas.bench.store import State
from dashnas.bench.table import Row
from dashnas.cli.print_out import plain_table


def states_tables(states: Mapping[CellName, State], reasons: Mapping[CellName, str]) -> tuple[Table | str, ...]:
    """How far each cell is, and how many are how far."""
    table = plain_table("task", "method", "seed", "state")
    table.columns[1].justify = table.columns[3].justify = "left"
    for cell, state in states.items():
        reason = f": {reasons[cell]}" if state in (State.SKIPPED, State.FAILED) and reasons[cell] else ""
        table.add_row(cell.task, cell.method, str(cell.seed), f"{state}{reason}")
    counts = Counter(states.values())
    total = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    return table, "", f"{len(states)} {'cell' if len(states) == 1 else 'cells'}: {total}"


def table_parts(
    rows: Sequence[Row], skipped: Mapping[CellName, str], failed: Mapping[CellName, str]
) -> tuple[Table | str, ...]:
    """A line per task and method, what the lines have in common, and what is missing with the reason."""
    parts: list[Table | str] = []
    for task, metric, higher_is_better, protocol in dict.fromkeys(
        (row.task, row.metric, row.higher_is_better, row.protocol) for row in rows
    ):
        mine = [row for row in rows if (row.task, row.metric, row.protocol) == (task, metric, protocol)]
        direction = "higher" if higher_is_better else "lower"
        parts += [f"{task}: {metric} ({direction} is better), protocol {protocol}", _task_table(mine), ""]
    if not rows:
        parts.append("no cell is finished yet")
    for cell, reason in {(cell.task, cell.method): reason for cell, reason in skipped.items()}.items():
        parts.append(f"{'/'.join(cell)}: not run: {reason}")
    for (task, method, reason), count in Counter((c.task, c.method, reason) for c, reason in failed.items()).items():
        parts.append(f"{task}/{method}: {count} failed: {reason}")
    return tuple(parts[:-1] if parts[-1] == "" else parts)


def methods_table(about: Mapping[str, str]) -> Table:
    """A line per method."""
    table = plain_table("name", "what it is")
    table.columns[1].justify = "left"
    for name, text in about.items():
        table.add_row(name, text)
    return table


def _task_table(rows: Sequence[Row]) -> Table:
    table = plain_table("method", "test score  ", "n", "seconds", "budget", "slowest", "parameters")
    for row in rows:
        table.add_row(
            row.method,
            score_text(row) + (" *" if row.is_best and len(rows) > 1 else "  "),
            str(row.n),
            f"{row.seconds:.1f}",
            f"{row.budget_seconds:.1f}",
            f"{row.worst_overrun:+.0%}",
            "-" if row.parameters is None else f"{row.parameters:,.0f}",
        )
    return table
