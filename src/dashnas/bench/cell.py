"""One cell: a method learns a task within a budget, then its model is scored on the test part, and only then."""

import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from dashnas.analysis import Cell
from dashnas.bench.grid import CellName
from dashnas.bench.machine import hardware, versions
from dashnas.bench.stopwatch import Stopwatch
from dashnas.bench.store import FORMAT, State, Store
from dashnas.data import PreparedData, SealedTest, prepare
from dashnas.data.task_data import CLEAN, check_protocol
from dashnas.errors import ConfigError, DataError, UserError
from dashnas.evaluate import final_score
from dashnas.known_task import known_task
from dashnas.methods import Method, MethodTask, MisfitError, get_method
from dashnas.presets import Options
from dashnas.progress import Reporter
from dashnas.protocol_metrics import find_metric
from dashnas.seeding import isolated_rng

Prepare = Callable[[str, Options], tuple[PreparedData, Options]]
"""The data of a task and the options that it brings along, from its name and what was asked for."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What all cells of a grid have in common."""

    budget_seconds: float
    """Of a cell; those that get the time of another cell have their own."""
    threads: int = 1
    """Of the CPU, for each cell."""
    device: str = "cpu"
    """A PyTorch device."""
    protocol: str = CLEAN
    """Which rules make the scores."""

    def __post_init__(self) -> None:
        if not self.budget_seconds > 0:
            raise ConfigError(f"budget must be a positive time, got {self.budget_seconds} seconds")
        if self.threads < 1:
            raise ConfigError(f"threads must be at least 1, got {self.threads}")
        Options(threads=self.threads)  # which says how many are too many
        check_protocol(self.protocol)


def prepare_task(name: str, options: Options) -> tuple[PreparedData, Options]:
    """Fetch a task, read it and divide it."""
    source, options = known_task(name, options)
    data = prepare(source, options.data, seed=options.seed, protocol=options.protocol)
    return data, replace(options, metric=options.metric or data.metric)


def run_cell(
    store: Store, cell: CellName, conditions: Conditions, reporter: Reporter, prepare: Prepare = prepare_task
) -> State:
    """Bring a cell to its end, in this process, and keep what came of it.

    Args:
        store: where the result goes.
        cell: which one.
        conditions: budget and the like.
        reporter: hears of the progress.
        prepare: where the task comes from.

    Returns:
        How far the cell is now: finished, skipped or failed; or running, where another process has it.

    Raises:
        Interrupted: a stop was asked for; the state is saved.
    """
    with store.lock(cell) as mine:
        if not mine or (state := store.state(cell)) in (State.FINISHED, State.SKIPPED):
            return State.RUNNING if not mine else state
        try:
            _learn(store, cell, conditions, reporter, prepare)
        except MisfitError as error:
            store.skip(cell, str(error))
        except Exception as error:
            # An error of the user's needs no traceback; any other may be a bug, of the method or of ours.
            trace = "" if isinstance(error, UserError) else traceback.format_exc()
            store.fail(cell, f"{type(error).__name__}: {error}".partition("\n")[0], trace)
            return State.FAILED
        return State.SKIPPED if store.reason(cell) else State.FINISHED


def _learn(store: Store, cell: CellName, conditions: Conditions, reporter: Reporter, prepare: Prepare) -> None:
    method = get_method(cell.method_alone)
    asked = Options(seed=cell.seed, threads=conditions.threads, device=conditions.device, protocol=conditions.protocol)
    data, options = prepare(cell.task, asked)
    if data.test is None:
        raise DataError(f"the task {cell.task} has no test part to score on")
    metric = find_metric(options.metric, data.spec.target_kind)
    task = MethodTask(name=cell.task, data=replace(data, test=None), metric=metric, options=options)
    if reason := method.misfit(task):
        store.skip(cell, reason)
        return
    budget = _budget(store, cell, conditions)
    folder = store.run_folder(cell)
    result, report = _fit_and_score(method, task, data.test, budget, cell, folder, reporter)
    conditions_met = {
        "budget_seconds": budget,
        "budget_from": None if cell.budget_from is None else cell.budget_from.method,
        "threads": conditions.threads,
        "versions": versions(),
        "hardware": hardware(conditions.device),
    }
    store.finish(cell, {"format": FORMAT, **result, **conditions_met}, report)
    shutil.rmtree(folder / "method" / "checkpoints", ignore_errors=True)  # large, and of no more use


def _budget(store: Store, cell: CellName, conditions: Conditions) -> float:
    """Seconds for a cell; read once where they are those that another took, so that a resumed cell has the same."""
    if cell.budget_from is None:
        return conditions.budget_seconds
    return float(store.result(cell.budget_from)["seconds"])


def _fit_and_score(
    method: Method,
    task: MethodTask,
    test: SealedTest,
    budget: float,
    cell: CellName,
    folder: Path,
    reporter: Reporter,
) -> tuple[dict[str, Any], dict[str, Any]]:
    device, threads_before = torch.device(task.options.device), torch.get_num_threads()
    with Stopwatch(folder / "seconds.json", reporter) as watch, isolated_rng(device):
        try:
            torch.set_num_threads(task.options.threads or threads_before)
            fitted = method.fit(task, budget_seconds=budget, seed=cell.seed, folder=folder / "method", reporter=watch)
        finally:
            torch.set_num_threads(threads_before)
    started = time.monotonic()
    also = [find_metric(name, task.data.spec.target_kind) for name in task.data.also if name != task.metric.name]
    score = final_score(fitted.model.predict, test, task.metric, also)
    kept = Cell(
        task=cell.task,
        method=cell.method,
        seed=cell.seed,
        metric=task.metric.name,
        protocol=task.options.protocol,
        value=score.value,
        higher_is_better=task.metric.higher_is_better,
        seconds=round(watch.seconds, 3),
        parameters=fitted.parameters,
        architecture=None if fitted.architecture is None else fitted.architecture.to_json(),
        source=str(Path("runs") / cell.task / cell.method / str(cell.seed)),
    )
    more = {
        "low": score.low,
        "high": score.high,
        "samples": score.samples,
        "also": score.to_json().get("also", {}),
        "validation": fitted.validation,
        "epochs": fitted.epochs,
        "scoring_seconds": round(time.monotonic() - started, 3),
    }
    return {**kept.to_json(), **more}, dict(fitted.report)
