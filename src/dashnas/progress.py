"""How a run tells people what it is doing: bars on a terminal, plain lines elsewhere, or nothing."""

import sys
import time
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Reporter(Protocol):
    """Hears of everything worth telling."""

    def message(self, text: str) -> None:
        """A line for the user."""

    def begin(self, phase: str, steps: int, done: int) -> None:
        """A phase begins, with this many training steps, of which some were done before."""

    def advance(self) -> None:
        """A training step is done."""

    def epoch(self, event: dict[str, Any], epochs: int) -> None:
        """An epoch is done; `event` is its line in `events.jsonl`."""

    def end(self) -> None:
        """The phase is done."""


class Silent:
    """Tells nothing."""

    def message(self, text: str) -> None:
        """See `Reporter`."""

    def begin(self, phase: str, steps: int, done: int) -> None:
        """See `Reporter`."""

    def advance(self) -> None:
        """See `Reporter`."""

    def epoch(self, event: dict[str, Any], epochs: int) -> None:
        """See `Reporter`."""

    def end(self) -> None:
        """See `Reporter`."""


class PlainLines(Silent):
    """A line now and then on standard error: for log files and pipes."""

    def __init__(self, every_seconds: float = 10.0) -> None:
        self._every_seconds = every_seconds
        self._last = 0.0

    def message(self, text: str) -> None:
        """See `Reporter`."""
        print(text, file=sys.stderr, flush=True)

    def epoch(self, event: dict[str, Any], epochs: int) -> None:
        """See `Reporter`."""
        now = time.monotonic()
        last_of_phase = event["epoch"] + 1 == epochs
        if last_of_phase or now - self._last >= self._every_seconds:
            self._last = now
            self.message(f"{event['phase']}: {describe(event, epochs)}")


class Bars:
    """A bar per phase on standard error, with epoch, loss, best score and the time left; a context manager."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[state]}"),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def message(self, text: str) -> None:
        """See `Reporter`."""
        self._progress.console.print(text, markup=False, highlight=False)

    def begin(self, phase: str, steps: int, done: int) -> None:
        """See `Reporter`."""
        if self._task is not None:  # of a phase that was broken off, as when a recipe diverges
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(phase, total=steps, completed=done, state="")

    def advance(self) -> None:
        """See `Reporter`."""
        if self._task is not None:
            self._progress.advance(self._task)

    def epoch(self, event: dict[str, Any], epochs: int) -> None:
        """See `Reporter`."""
        if self._task is not None:
            self._progress.update(self._task, state=describe(event, epochs))

    def end(self) -> None:
        """See `Reporter`."""
        if self._task is None:
            return
        # A finished phase becomes a line above the bars: many trials would not fit on the screen as bars.
        (task,) = (task for task in self._progress.tasks if task.id == self._task)
        self.message(f"{task.description}: {task.fields['state']}")
        self._progress.remove_task(self._task)
        self._task = None


def describe(event: dict[str, Any], epochs: int) -> str:
    """An epoch in a few words."""
    words = [f"epoch {event['epoch'] + 1}/{epochs}", f"loss {event['loss']:.4g}"]
    if event.get("score") is not None:
        words.append(f"{event['metric']} {event['score']:.4g}")
    if event.get("best") is not None:
        words.append(f"best {event['best']:.4g}")
    return "  ".join(words)
