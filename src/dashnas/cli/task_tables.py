"""Real tasks as tables and as JSON."""

from typing import Any

from rich.table import Table

from dashnas.cli.print_out import plain_table
from dashnas.data.task_data import CLEAN, PROTOCOLS
from dashnas.protocol_metrics import find_metric
from dashnas.tasks import OFFICIAL_TASKS, TASKS, OfficialTask, RealTask, official_folder


def list_table() -> Table:
    """What `dashnas tasks list` prints."""
    table = plain_table("name", "metric", "MB to fetch", "what it is")
    table.columns[1].justify = table.columns[3].justify = "left"
    for task in all_tasks():
        megabytes = _megabytes(task)
        table.add_row(task.name, task.metric, f"{megabytes:g}" if megabytes else "-", task.description)
    return table


def all_tasks() -> list[RealTask | OfficialTask]:
    """The small tasks, then the ten of NAS-Bench-360."""
    return [*TASKS.values(), *OFFICIAL_TASKS.values()]


def _megabytes(task: RealTask | OfficialTask) -> float:
    return task.megabytes if isinstance(task, OfficialTask) else task.package.megabytes


def task_as_json(task: RealTask | OfficialTask) -> dict[str, Any]:
    """What `dashnas tasks info NAME --json` prints, and `dashnas tasks list --json` of each task."""
    official = isinstance(task, OfficialTask)
    return {
        "name": task.name,
        "description": task.description,
        "kind": task.kind.value,
        "dims": task.dims,
        "samples": dict(task.samples),
        "shapes": {name: list(shape) for name, shape in task.shapes.items()},
        "classes": task.classes,
        "metric": task.metric,
        "higher_is_better": find_metric(task.metric, task.kind).higher_is_better,
        "source": task.source if isinstance(task, OfficialTask) else task.package.requirement,
        "licence": task.licence if isinstance(task, OfficialTask) else task.package.licence,
        "megabytes": _megabytes(task),
        "protocols": list(PROTOCOLS) if official else [CLEAN],
        "published": dict(task.published),
    }


def info_tables(task: RealTask | OfficialTask) -> tuple[Table | str, ...]:
    """What `dashnas tasks info NAME` prints."""
    facts = plain_table("task", task.name)
    facts.columns[1].justify = "left"
    told = task_as_json(task)
    better = "higher" if told["higher_is_better"] else "lower"
    facts.add_row("kind", f"{task.kind.value}, {task.dims}-D")
    if task.classes is not None:
        facts.add_row("classes", str(task.classes))
    facts.add_row("samples", ", ".join(f"{n} {part}" for part, n in task.samples.items()))
    facts.add_row("metric", f"{task.metric} ({better} is better)")
    facts.add_row("source", told["source"])
    facts.add_row("licence", told["licence"])
    facts.add_row("download", f"{told['megabytes']:g} MB" if told["megabytes"] else "none")
    if isinstance(task, OfficialTask):
        facts.add_row("protocols", ", ".join(told["protocols"]))
        facts.add_row("files", ", ".join(task.files))
        facts.add_row("folder", str(official_folder(task.name)))
    arrays = plain_table("array", "shape")
    for name, shape in task.shapes.items():
        arrays.add_row(name, " x ".join(map(str, shape)))
    published = plain_table("published", task.metric)
    for method, score in task.published.items():
        published.add_row(method, f"{score:.4g}" if isinstance(task, OfficialTask) else f"{score:.3f}")
    return (
        (task.about or task.description).strip(),
        "",
        facts,
        "",
        arrays,
        *(("", published) if task.published else ()),
    )
