"""Tables of a comparison as text for other programs: CSV, JSON, Markdown, LaTeX."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import fields

from dashnas.bench.table import Row
from dashnas.errors import ConfigError, unknown_name
from dashnas.plain_json import plain_json


def score_text(row: Row, plus_minus: str = "±") -> str:
    """Mean and standard deviation, to the same number of decimals."""
    if row.std is None:
        return f"{row.mean:.4g}"
    digits = max(4 - len(str(int(abs(row.mean)))), 0) if abs(row.mean) >= 1 else 4
    return f"{row.mean:.{digits}f} {plus_minus} {row.std:.{digits}f}"


def to_csv(rows: Sequence[Row]) -> str:
    """A line per row, all fields, numbers in full."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.to_json() for row in rows)
    return text.getvalue()


def to_json(rows: Sequence[Row]) -> str:
    """A list with an object per row, all fields; null for what is not finite."""
    return json.dumps(plain_json([row.to_json() for row in rows]), indent=2) + "\n"


def to_markdown(rows: Sequence[Row]) -> str:
    """A line per task and a column per method, mean ± standard deviation, the best in bold."""
    methods, tasks = _axes(rows)
    lines = [_markdown_line(["task", "metric", *methods]), _markdown_line(["---", "---", *["---:"] * len(methods)])]
    for task, metric, cells in tasks:
        texts = [_bold(row, f"**{score_text(row)}**", score_text(row)) if row else "-" for row in cells]
        lines.append(_markdown_line([task, metric, *texts]))
    return "\n".join([*lines, "", _note(rows), ""])


def to_latex(rows: Sequence[Row]) -> str:
    """A `tabular` (with booktabs) like that of Markdown."""
    methods, tasks = _axes(rows)
    lines = [
        f"% {_note(rows)}",
        rf"\begin{{tabular}}{{ll{'r' * len(methods)}}}",
        r"\toprule",
        " & ".join(_escape(text) for text in ("task", "metric", *methods)) + r" \\",
        r"\midrule",
    ]
    for task, metric, cells in tasks:
        texts = [_latex_score(row) if row else "--" for row in cells]
        lines.append(" & ".join([_escape(task), _escape(metric), *texts]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


FORMATS: dict[str, Callable[[Sequence[Row]], str]] = {
    "csv": to_csv,
    "json": to_json,
    "latex": to_latex,
    "markdown": to_markdown,
}
"""Writers by the name of their format."""


def export(rows: Sequence[Row], name: str) -> str:
    """The rows in a format.

    Raises:
        ConfigError: no format has this name.
    """
    if name not in FORMATS:
        raise ConfigError(unknown_name("format", name, FORMATS))
    return FORMATS[name](rows)


def _axes(rows: Sequence[Row]) -> tuple[list[str], list[tuple[str, str, list[Row | None]]]]:
    """The methods; and for each task and metric the row of every method, None where there is none."""
    methods = list(dict.fromkeys(row.method for row in rows))
    by_place = {(row.task, _metric(row), row.method): row for row in rows}
    lines = dict.fromkeys((row.task, _metric(row)) for row in rows)
    return methods, [(task, metric, [by_place.get((task, metric, m)) for m in methods]) for task, metric in lines]


def _metric(row: Row) -> str:
    return f"{row.metric} ({'higher' if row.higher_is_better else 'lower'} is better), {row.protocol}"


def _note(rows: Sequence[Row]) -> str:
    counts = sorted({row.n for row in rows})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"Test scores, mean ± standard deviation over seeds (n = {seeds})."


def _bold(row: Row, bold: str, plain: str) -> str:
    return bold if row.is_best else plain


def _markdown_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _latex_score(row: Row) -> str:
    mathematics = score_text(row, r"\pm").replace("inf", r"\infty")
    return _bold(row, rf"$\mathbf{{{mathematics}}}$", f"${mathematics}$")


def _escape(text: str) -> str:
    return text.replace("_", r"\_").replace("%", r"\%").replace("&", r"\&")
