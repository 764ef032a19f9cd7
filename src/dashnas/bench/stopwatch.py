"""The time that a method takes, over all processes that work on it, and what was lost when one was killed included."""

import json
import time
from pathlib import Path
from typing import Any, Self

from dashnas.progress import Reporter
from dashnas.runs import write_json

EVERY_SECONDS = 2.0
"""How often the time is kept while a method tells of its progress."""


class Stopwatch:
    """A reporter that passes everything on and keeps the time in a file; a context manager.

    Args:
        path: a JSON file; its seconds, of an earlier process, count too.
        reporter: whom to pass things on to.
    """

    def __init__(self, path: Path, reporter: Reporter) -> None:
        self._path = path
        self._reporter = reporter
        self._before = float(json.loads(path.read_text())["seconds"]) if path.exists() else 0.0
        self._started = self._kept = time.monotonic()
        self._stopped: float | None = None

    @property
    def seconds(self) -> float:
        """So far."""
        return self._before + (self._stopped or time.monotonic()) - self._started

    def __enter__(self) -> Self:
        self._keep()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = time.monotonic()
        self._keep()

    def message(self, text: str) -> None:
        """See `Reporter`."""
        self._tick()
        self._reporter.message(text)

    def begin(self, phase: str, steps: int, done: int) -> None:
        """See `Reporter`."""
        self._tick()
        self._reporter.begin(phase, steps, done)

    def advance(self) -> None:
        """See `Reporter`."""
        self._tick()
        self._reporter.advance()

    def epoch(self, event: dict[str, Any], epochs: int) -> None:
        """See `Reporter`."""
        self._tick()
        self._reporter.epoch(event, epochs)

    def end(self) -> None:
        """See `Reporter`."""
        self._tick()
        self._reporter.end()

    def _tick(self) -> None:
        if time.monotonic() - self._kept >= EVERY_SECONDS:
            self._keep()

    def _keep(self) -> None:
        self._kept = time.monotonic()
        write_json(self._path, {"seconds": round(self.seconds, 3)})
