"""A small data set, a finished run on it, and copies of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cli.commands import SMALL, arrays, dashnas


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set as a file."""
    path = tmp_path_factory.mktemp("data") / "small.npz"
    np.savez(path, **arrays())
    return path


@pytest.fixture(scope="session")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; read only."""
    run = tmp_path_factory.mktemp("runs") / "finished"
    result = dashnas("fit", data, "--out", run, *SMALL)
    assert result.exit_code == 0, result.stderr
    return run


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Path], Path]:
    """Copies a run, so that a test may change it."""
    return lambda run: Path(shutil.copytree(run, tmp_path / "copy"))
