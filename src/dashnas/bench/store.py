"""The store of a comparison: a folder of JSON files, one for each finished cell, that several processes fill.

store.json                              its format
cells/TASK/METHOD/SEED.json             a finished cell: score, cost, versions, hardware
cells/TASK/METHOD/SEED.report.json      what the method tells of itself
cells/TASK/METHOD/SEED.skipped.json     why the method does not fit the task
cells/TASK/METHOD/SEED.failed.json      why the last attempt failed; the next run tries again
runs/TASK/METHOD/SEED/                  where the method works, kept for going on
"""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields
from enum import StrEnum
from math import inf
from pathlib import Path
from typing import Any

from dashnas.analysis import Cell
from dashnas.bench.grid import CellName
from dashnas.errors import RunError, StorageError
from dashnas.plain_json import plain_json
from dashnas.runs import write_json

FORMAT = 1
"""Version of the store; a later one that cannot read this counts up."""

_NEEDED = tuple(field.name for field in fields(Cell) if field.default is MISSING)
"""What no finished cell can be without."""


class State(StrEnum):
    """How far a cell is."""

    FINISHED = "finished"
    SKIPPED = "skipped"
    """The method does not fit the task."""
    FAILED = "failed"
    """To be tried again by the next run."""
    RUNNING = "running"
    """A process is at it."""
    BEGUN = "begun"
    """A process was at it, and it goes on from there."""
    OPEN = "open"


class Store:
    """One folder of results.

    Args:
        folder: of the store.
        create: make it if it is missing or empty.

    Raises:
        RunError: no store, something else, or one of another version.
        StorageError: it cannot be made.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self.folder = folder
        path = folder / "store.json"
        if not path.exists():
            if folder.exists() and not folder.is_dir():
                raise RunError(f"{folder} is a file; expected a folder, new or of an earlier `dashnas bench run`")
            if not create:
                raise RunError(f"{folder} holds no results of `dashnas bench run` (it has no store.json)")
            if folder.exists() and any(not entry.name.startswith(".store.json.") for entry in folder.iterdir()):
                raise RunError(
                    f"{folder} is not empty and holds no results of `dashnas bench run` (it has no store.json); "
                    "choose a new folder, or one of an earlier run"
                )
            write_json(path, {"format": FORMAT})
        content = _read(path)
        if content.get("format") != FORMAT:
            raise RunError(
                f"{folder} was filled by another version of dashnas, whose results have format "
                f"{content.get('format')!r}, not {FORMAT}; use that version, or choose another folder"
            )

    def state(self, cell: CellName) -> State:
        """How far a cell is."""
        for state in (State.FINISHED, State.SKIPPED):
            if self._path(cell, state).exists():
                return state
        if self.is_locked(cell):
            return State.RUNNING
        if self._path(cell, State.FAILED).exists():
            return State.FAILED
        return State.BEGUN if self.run_folder(cell).exists() else State.OPEN

    def run_folder(self, cell: CellName) -> Path:
        """Where the method works."""
        return self.folder / "runs" / cell.task / cell.method / str(cell.seed)

    def finish(self, cell: CellName, result: Mapping[str, Any], report: Mapping[str, Any]) -> None:
        """Keep the result of a cell; the report first, since the result is what makes it finished."""
        write_json(self._cell_path(cell, ".report"), plain_json(report))
        write_json(self._path(cell, State.FINISHED), plain_json(result))
        self._path(cell, State.FAILED).unlink(missing_ok=True)

    def skip(self, cell: CellName, reason: str) -> None:
        """Keep why a method does not fit the task."""
        write_json(self._path(cell, State.SKIPPED), {**_named(cell), "reason": reason})
        self._path(cell, State.FAILED).unlink(missing_ok=True)

    def fail(self, cell: CellName, reason: str, trace: str = "") -> None:
        """Keep why the attempt at a cell failed."""
        write_json(self._path(cell, State.FAILED), {**_named(cell), "reason": reason, "traceback": trace})

    def result(self, cell: CellName) -> dict[str, Any]:
        """The content of a finished cell's file.

        Raises:
            RunError: it is not finished, or damaged.
        """
        path = self._path(cell, State.FINISHED)
        content = _read(path)
        if missing := [name for name in _NEEDED if name not in content]:
            raise RunError(f"{path} is damaged: it lacks {', '.join(missing)}; delete it and run again")
        return content

    def reason(self, cell: CellName) -> str:
        """Why a cell was skipped or failed; empty where it was not."""
        for state in (State.SKIPPED, State.FAILED):
            if (path := self._path(cell, state)).exists():
                return str(_read(path).get("reason", ""))
        return ""

    def results(self) -> list[dict[str, Any]]:
        """The content of the files of all finished cells, by task, method and seed."""
        return [self.result(cell) for cell in self.cells(State.FINISHED)]

    def cells(self, *states: State) -> list[CellName]:
        """All cells with a file that says they are in one of these states: finished, skipped or failed."""
        found = set()
        for path in (self.folder / "cells").glob("*/*/*.json"):
            seed, _, state = path.name.removesuffix(".json").partition(".")
            if seed.isdecimal() and (state or "finished") in states:
                found.add(CellName(path.parent.parent.name, path.parent.name, int(seed)))
        return sorted(found)

    @contextmanager
    def lock(self, cell: CellName) -> Iterator[bool]:
        """Take a cell for this process; whether that was possible, or another one has it.

        Raises:
            StorageError: the store cannot be written.
        """
        path = self._lock_path(cell)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    taken = True
                except BlockingIOError:
                    taken = False
                yield taken
        except PermissionError as error:
            raise StorageError(f"cannot write the results {self.folder}: {error.strerror}") from error

    def is_locked(self, cell: CellName) -> bool:
        """Whether a process is at a cell."""
        if not self._lock_path(cell).exists():
            return False
        with self._lock_path(cell).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _lock_path(self, cell: CellName) -> Path:
        return self.folder / "runs" / cell.task / cell.method / f".{cell.seed}.lock"

    def _path(self, cell: CellName, state: State) -> Path:
        return self._cell_path(cell, "" if state is State.FINISHED else f".{state}")

    def _cell_path(self, cell: CellName, what: str) -> Path:
        return self.folder / "cells" / cell.task / cell.method / f"{cell.seed}{what}.json"


def read_cells(folder: Path | str) -> list[Cell]:
    """The finished cells of a store.

    Raises:
        RunError: no store, one of another version, or a damaged file.
    """
    return [to_cell(result) for result in Store(Path(folder)).results()]


def to_cell(result: Mapping[str, Any]) -> Cell:
    """The cell in a file's content, which holds more; a score that JSON cannot hold is the worst there is."""
    content = {field.name: result.get(field.name) for field in fields(Cell)}
    if content["value"] is None:
        content["value"] = -inf if result["higher_is_better"] else inf
    return Cell.from_json(content)


def _named(cell: CellName) -> dict[str, Any]:
    return {"format": FORMAT, "task": cell.task, "method": cell.method, "seed": cell.seed}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise RunError(f"{path} is damaged: it is not JSON ({error}); delete it and run again") from error
    if not isinstance(content, dict):
        raise RunError(f"{path} is damaged: expected an object; delete it and run again")
    return content
