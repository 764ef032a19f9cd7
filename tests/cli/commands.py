"""Giving commands in tests, and the small data set they are given for."""

import re
from typing import Any

import numpy as np
from typer.testing import CliRunner

from dashnas.cli import app

SMALL = [
    "--epochs=1",
    "--tune-trials=1",
    "--width=4",
    "--kernel-sizes=3,5",
    "--dilations=1,2",
    "--threads=1",
    "--no-race",
]
"""Options of a run that takes about a second."""


def dashnas(*arguments: object) -> Any:
    """Give a command in this process; what it did, as Typer's test runner tells it."""
    return CliRunner().invoke(app, [str(a) for a in arguments], prog_name="dashnas")


def assert_refused(result: Any, message: str) -> None:
    """Exit code 2 with one message on standard error, and nothing that looks like our fault."""
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    errors = re.findall(r"^error: (.*)$", result.stderr, flags=re.MULTILINE)
    assert len(errors) == 1, result.stderr
    assert re.search(message, errors[0]), errors[0]


def arrays(num_samples: int = 48) -> dict[str, np.ndarray]:
    """Signals of two channels and length 16 in three classes, told apart by their mean."""
    rng = np.random.default_rng(0)
    y = np.arange(num_samples) % 3
    x = rng.normal(size=(num_samples, 2, 16)) + y[:, None, None]
    return {"x": x.astype(np.float32), "y": np.array(["low", "middle", "high"])[y]}
