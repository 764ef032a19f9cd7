"""Runs the cells of a grid, each in a process of its own, some at a time; several runners may share a store."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from dashnas.bench.cell import Conditions
from dashnas.bench.grid import CellName
from dashnas.bench.store import State, Store
from dashnas.bench.worker import EXIT_CODES, command
from dashnas.errors import ConfigError
from dashnas.interrupt import graceful_interrupt
from dashnas.training import Interrupted

POLL_SECONDS = 0.1
"""How often processes are asked whether they have ended."""

LOCK_POLL_SECONDS = 2.0
"""How often a cell that another runner has is looked at again."""

DONE = (State.FINISHED, State.SKIPPED)
"""States in which there is nothing left to do."""


class Watcher(Protocol):
    """Hears of the cells."""

    def started(self, cell: CellName) -> None:
        """A process began with a cell."""

    def ended(self, cell: CellName, state: State) -> None:
        """A cell needs no more work in this run."""


@dataclass(frozen=True)
class _Process:
    cell: CellName
    popen: subprocess.Popen[bytes]
    log: IO[bytes]


def refuse_other_conditions(store: Store, cells: Sequence[CellName], conditions: Conditions) -> None:
    """Make sure that finished cells were run under the same conditions as those to come.

    Raises:
        ConfigError: one had another budget or protocol.
    """
    for cell in cells:
        if store.state(cell) is not State.FINISHED:
            continue
        result = store.result(cell)
        if (protocol := result["protocol"]) != conditions.protocol:
            raise ConfigError(
                f"{cell} is finished already, under the protocol {protocol} and not {conditions.protocol}; give "
                f"--protocol {protocol}, or another --out"
            )
        if cell.budget_from is None:
            budget = result["budget_seconds"]
            if budget != conditions.budget_seconds:
                raise ConfigError(
                    f"{cell} is finished already, with a budget of {budget:g} s and not "
                    f"{conditions.budget_seconds:g} s; give the same --budget, or another --out"
                )


def run_grid(
    store: Store,
    cells: Sequence[CellName],
    conditions: Conditions,
    watcher: Watcher,
    *,
    jobs: int = 1,
    plugins: tuple[Path, ...] = (),
) -> dict[CellName, State]:
    """Bring cells to their end.

    A cell that fails is recorded and does not stop the others. One that another runner has is waited for, and one that
    gets the time of another cell begins after that one.

    Args:
        store: where results go.
        cells: in the order in which they are begun.
        conditions: of all cells.
        watcher: hears of the cells.
        jobs: cells at a time.
        plugins: files that register further methods or tasks.

    Returns:
        The state of each cell, in the order given, whichever ended first.

    Raises:
        ConfigError: a finished cell has another budget; before anything runs.
        Interrupted: a stop was asked for; the cells at work have saved their state.
    """
    refuse_other_conditions(store, cells, conditions)
    states: dict[CellName, State] = {}
    running: list[_Process] = []
    not_before: dict[CellName, float] = {}

    def end(cell: CellName, state: State) -> None:
        states[cell] = state
        watcher.ended(cell, state)

    with graceful_interrupt() as interrupted:
        try:
            while len(states) < len(cells):
                at_work = {process.cell for process in running}
                for cell in cells:
                    if cell in states or cell in at_work or not_before.get(cell, 0) > time.monotonic():
                        continue
                    if (state := _decided(store, cell, states)) is not None:
                        end(cell, state)
                    elif len(running) < jobs and _may_begin(cell, cells, states):
                        running.append(_start(store, cell, conditions, plugins))
                        watcher.started(cell)
                for process in [process for process in running if process.popen.poll() is not None]:
                    running.remove(process)
                    if (state := _outcome(store, process)) is State.RUNNING:
                        not_before[process.cell] = time.monotonic() + LOCK_POLL_SECONDS
                    else:
                        end(process.cell, state)
                if interrupted():
                    raise Interrupted
                time.sleep(POLL_SECONDS)
        finally:
            _stop(running)
    return {cell: states[cell] for cell in cells}


def _decided(store: Store, cell: CellName, states: dict[CellName, State]) -> State | None:
    """The state of a cell that needs no process; None where it needs one, now or later."""
    state = store.state(cell)
    if state in DONE:
        return state
    other = cell.budget_from
    if other is None or states.get(other) in (None, State.FINISHED):
        return None
    reason = f"{other} was {states[other]}, so there is no time to take over"
    if states[other] is State.SKIPPED:
        store.skip(cell, reason)
        return State.SKIPPED
    store.fail(cell, reason)
    return State.FAILED


def _may_begin(cell: CellName, cells: Sequence[CellName], states: dict[CellName, State]) -> bool:
    other = cell.budget_from
    return other is None or other not in cells or other in states


def _start(store: Store, cell: CellName, conditions: Conditions, plugins: tuple[Path, ...]) -> _Process:
    folder = store.run_folder(cell)
    folder.mkdir(parents=True, exist_ok=True)
    log = (folder / "log.txt").open("ab")
    threads = str(conditions.threads)
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), threads)}
    # In a session of its own, so that Ctrl-C reaches it once, by way of `_stop`: twice would mean stop at once.
    popen = subprocess.Popen(
        command(store.folder, cell, conditions, plugins),
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
    )  # fmt: skip
    return _Process(cell, popen, log)


def _outcome(store: Store, process: _Process) -> State:
    process.log.close()
    code = process.popen.returncode
    known = {number: state for state, number in EXIT_CODES.items()}
    if code in known:
        return store.state(process.cell) if code == 0 else known[code]
    # A process that was killed could not say why.
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    hint = "; perhaps memory ran out" if code == -signal.SIGKILL else ""
    tail = "\n".join((store.run_folder(process.cell) / "log.txt").read_text(errors="replace").splitlines()[-20:])
    store.fail(process.cell, f"its process {how}{hint}", tail)
    return State.FAILED


def _stop(running: Sequence[_Process]) -> None:
    """Let processes finish their step and save; one that cannot is ended by the same signal."""
    for process in running:
        if process.popen.poll() is None:
            process.popen.send_signal(signal.SIGTERM)
    for process in running:
        process.popen.wait()
        process.log.close()
