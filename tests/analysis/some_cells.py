"""Making cells in tests."""

from dashnas.analysis import Cell, error_table


def cell(**changes):
    """A cell, of which a test says what matters to it."""
    given = {"task": "crop", "method": "dash", "seed": 0, "metric": "error", "protocol": "clean"}
    return Cell(**given | {"value": 0.25, "higher_is_better": False} | changes)


def cells(errors, **common):
    """Cells from {method: {task: error, or a list with one for each seed}}."""
    return [
        cell(method=method, task=task, value=value, seed=seed, **common)
        for method, by_task in errors.items()
        for task, values in by_task.items()
        for seed, value in enumerate(values if isinstance(values, list) else [values])
    ]


def table(errors, **common):
    """The same as a table."""
    return error_table(cells(errors, **common))
