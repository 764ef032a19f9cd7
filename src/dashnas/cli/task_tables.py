"""Real tasks as tables and as JSON."""

from typing import Any

from rich.table import Table

from dashnas.cli.print_out import plain_table
from dashnas.metrics import METRICS
from dashnas.tasks import TASKS, RealTask


def list_table() -> Table:
    """What `dashnas tasks list` prints."""
    table = plain_table("name", "metric", "MB to fetch", "what it is")
    table.columns[1].justify = table.columns[3].justify = "left"
    for task in TASKS.values():
        table.add_row(
            task.name,
            task.metric,
            f"{task.package.megabytes:g}" if task.package.megabytes else "-",
            task.description,
        )
    return table


def task_as_json(task: RealTask) -> dict[str, Any]:
    """What `dashnas tasks info NAME --json` prints, and `dashnas tasks list --json` of each task."""
    return {
        "name": task.name,
        "description": task.description,
        "kind": task.kind.value,
        "dims": task.dims,
        "samples": task.samples,
        "shapes": {name: list(shape) for name, shape in task.shapes.items()},
        "classes": task.classes,
        "metric": task.metric,
        "higher_is_better": METRICS[task.metric].higher_is_better,
        "source": task.package.requirement,
        "licence": task.package.licence,
        "megabytes": task.package.megabytes,
        "published": dict(task.published),
    }


def info_tables(task: RealTask) -> tuple[Table | str, ...]:
    """What `dashnas tasks info NAME` prints."""
    facts = plain_table("task", task.name)
    facts.columns[1].justify = "left"
    better = "higher" if METRICS[task.metric].higher_is_better else "lower"
    facts.add_row("kind", f"{task.kind.value}, {task.dims}-D")
    if task.classes is not None:
        facts.add_row("classes", str(task.classes))
    facts.add_row("samples", ", ".join(f"{n} {part}" for part, n in task.samples.items()))
    facts.add_row("metric", f"{task.metric} ({better} is better)")
    facts.add_row("source", task.package.requirement)
    facts.add_row("licence", task.package.licence)
    facts.add_row("download", f"{task.package.megabytes:g} MB" if task.package.megabytes else "none")
    arrays = plain_table("array", "shape")
    for name, shape in task.shapes.items():
        arrays.add_row(name, " x ".join(map(str, shape)))
    published = plain_table("published", task.metric)
    for method, score in task.published.items():
        published.add_row(method, f"{score:.3f}")
    return (
        (task.about or task.description).strip(),
        "",
        facts,
        "",
        arrays,
        *(("", published) if task.published else ()),
    )
