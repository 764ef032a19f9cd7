"""The run directory: what a run was asked to do, how far it is, and what came out; nothing in it is ever half written.

run.json             settings and fingerprint of the data
schedule.json        epochs and trials of each phase, fixed before it begins
micro_batch.json     most samples that each network computes at once
plan.json            how the search computes each layer
events.jsonl         a line per epoch
checkpoints/*.pt     the state of each phase that has begun
architecture.json    what the search chose
search.json          the seconds that the search took
random.json          a random architecture, to race
tune.json            the networks and recipes that were tried
winner.json          which of them the final training is for
model.safetensors    the trained network, with config.json saying what it is
result.json          the outcome
"""

import fcntl
import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

import torch

from dashnas.config import differences
from dashnas.errors import RunError, StorageError
from dashnas.storage import atomic_file, storage_error

FORMAT = 1
"""Version of the run directory; a later one that cannot read this counts up."""

REMAKE = "copy it again, or delete result.json beside it and give the same dashnas fit command again"
"""How to come by the files of a trained model once more; as long as there is a result, nothing is made anew."""

CHECKPOINT_SECONDS = 15.0
"""A checkpoint is written when this much time has passed since the last one, and at the end of each phase."""


class Run:
    """One run directory, held by one process at a time.

    Args:
        folder: created if missing; an existing one must hold a run of the same settings and data, which goes on.
        settings: plain containers that decide the outcome; compared with those of an existing run.

    Raises:
        RunError: the folder is not a run, belongs to other settings or data, is damaged, or is in use.
        StorageError: the folder cannot be written.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        _refuse_foreign(folder)
        self._is_new_folder = not folder.exists()
        try:
            (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot create the run {folder}: {error.strerror}") from error
        self._lock = _lock(folder)
        self._is_new = not (folder / "run.json").exists()
        try:
            for leftover in folder.rglob(".*.tmp"):  # of a process that was killed while it wrote
                leftover.unlink()
            self._compare_or_write(settings)
        except BaseException:
            self.close()
            raise

    def withdraw(self) -> None:
        """Delete what a new run has left, where nothing was trained in it: the next one may have other settings."""
        checkpoints, lines = self.folder / "checkpoints", self.folder / "events.jsonl"
        if not self._is_new or lines.exists() or any(checkpoints.iterdir()):
            return
        with suppress(OSError):  # why the run is withdrawn is more than what stays of it
            for path in (*self.folder.glob("*.json"), self.folder / ".lock"):
                path.unlink()
            checkpoints.rmdir()
            if self._is_new_folder:
                self.folder.rmdir()

    def close(self) -> None:
        """Let other processes use the folder."""
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def remember(self, name: str, make: Callable[[], Any]) -> Any:
        """Content of the JSON file `name`; made and saved on the first call, read ever after."""
        path = self.folder / name
        if not path.exists():
            write_json(path, make())
        return read_json(path)

    def read(self, name: str, default: Any) -> Any:
        """Content of the JSON file `name`, or the default where there is none yet."""
        path = self.folder / name
        return read_json(path) if path.exists() else default

    def write(self, name: str, content: Any) -> None:
        """Replace the JSON file `name`."""
        write_json(self.folder / name, content)

    def save_checkpoint(self, phase: str, state: dict[str, Any]) -> None:
        """Replace the checkpoint of a phase; if that fails, the one before is still whole."""
        # By way of memory: on a full disk torch.save hides the error of the file behind one of its own.
        content = io.BytesIO()
        torch.save(state, content)
        with atomic_file(self._checkpoint(phase)) as file:
            file.write(content.getbuffer())

    def load_checkpoint(self, phase: str) -> dict[str, Any] | None:
        """The last checkpoint of a phase, or None.

        Raises:
            RunError: the file cannot be read.
        """
        path = self._checkpoint(phase)
        if not path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load raises many kinds, from zipfile's to pickle's
            # Its text is left out: over several lines it advises to unpickle what is not trusted.
            raise RunError(f"the checkpoint {path} is damaged; delete it to repeat its phase") from error
        return state

    def forget_checkpoint(self, phase: str) -> None:
        """Delete the checkpoint of a phase whose outcome stands elsewhere."""
        self._checkpoint(phase).unlink(missing_ok=True)

    def record(self, event: dict[str, Any]) -> None:
        """Append a line to `events.jsonl`."""
        try:
            with (self.folder / "events.jsonl").open("a") as file:
                file.write(json.dumps(event) + "\n")
        except OSError as error:
            raise storage_error(self.folder / "events.jsonl", error) from error

    def forget_events(self, phase: str, from_epoch: int) -> None:
        """Drop the lines of epochs that a resumed phase is going to repeat, and a line that was cut off."""
        path = self.folder / "events.jsonl"
        if not path.exists():
            return
        kept = [e for e in read_events(self.folder) if e["phase"] != phase or e["epoch"] < from_epoch]
        text = "".join(json.dumps(event) + "\n" for event in kept)
        with atomic_file(path) as file:
            file.write(text.encode())

    def _compare_or_write(self, settings: dict[str, Any]) -> None:
        path = self.folder / "run.json"
        if not path.exists():
            write_json(path, {"format": FORMAT, "settings": settings})
            return
        existing = read_json(path)
        if not isinstance(existing, dict) or not isinstance(existing.get("settings"), dict):
            raise RunError(f"{path} is damaged: it has no settings; give another --out for a new run")
        if existing.get("format") != FORMAT:
            raise RunError(
                f"{self.folder} was begun by another version of dashnas, whose runs have format "
                f"{existing.get('format')!r}, not {FORMAT}; go on with that version, or give another --out"
            )
        # A trip through JSON turns tuples into lists, as they are in the file.
        if changed := differences(existing["settings"], json.loads(json.dumps(settings))):
            raise RunError(
                f"{self.folder} holds a run with other settings: {'; '.join(changed)}. "
                "Give the same settings to go on with it, or another --out for a new run"
            )

    def _checkpoint(self, phase: str) -> Path:
        return self.folder / "checkpoints" / f"{phase}.pt"


class CheckpointClock:
    """Says when it is time for the next checkpoint."""

    def __init__(self, seconds: float = CHECKPOINT_SECONDS) -> None:
        self._seconds = seconds
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Whether enough time has passed since the last time this was true."""
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


def read_events(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of `events.jsonl`; a last line that a crash cut off, or anything else, is left out."""
    path = folder / "events.jsonl"
    events = []
    for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and {"phase", "epoch"} <= event.keys():
            events.append(event)
    return events


def read_json(path: Path) -> Any:
    """Content of a JSON file of a run.

    Raises:
        RunError: missing or damaged.
    """
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}; is {path.parent} a run of dashnas fit?") from error
    except ValueError as error:
        raise RunError(f"{path} is damaged: it is not JSON ({error}); {_how_to_mend(path)}") from error


def read_plan(folder: Path) -> dict[str, str]:
    """How the search of a run computes each layer: layer name to strategy.

    Raises:
        RunError: no run, one that has not searched, or a damaged file.
    """
    path = folder / "plan.json"
    if (folder / "run.json").exists() and not path.exists():
        raise RunError(f"{folder} has no plan: it has not begun to search, or does not search")
    plan = read_json(path)
    with damage_named(path):
        return {str(layer): str(strategy) for layer, strategy in plan.items()}


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Tell of JSON that does not hold what it should as damage of the file that it was read from.

    Raises:
        RunError: a name or value was not found while the content was taken apart.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"{path} is damaged: {error!r}; {_how_to_mend(path)}") from error


def _how_to_mend(path: Path) -> str:
    if path.name == "run.json":
        return "give another --out for a new run"
    if path.name == "config.json":
        return REMAKE
    return "delete it and give the same dashnas fit command again, which makes it anew"


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file at once."""
    text = json.dumps(content, indent=2) + "\n"
    with atomic_file(path) as file:
        file.write(text.encode())


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; --out must be a new folder, or one of an earlier run to go on with it")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "run.json").exists():
        # A process that was killed before it had written run.json leaves these, the last one in part.
        begun = {"checkpoints", ".lock"}
        if any(entry.name not in begun and not entry.match(".run.json.*.tmp") for entry in folder.iterdir()):
            raise RunError(
                f"{folder} is not empty and not a run (it has no run.json); --out must be a new folder, "
                "or one of an earlier run to go on with it"
            )


def _lock(folder: Path) -> IO[bytes]:
    try:
        file = (folder / ".lock").open("ab")
    except OSError as error:
        raise StorageError(f"cannot write the run {folder}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise RunError(f"another process is working on {folder}; wait for it, or give another --out") from error
    return file
