"""What holds for every command."""

import errno
import subprocess
import sys
from unittest import mock

import pytest
import torch

from cli.commands import dashnas
from dashnas.cli import app

COMMANDS = ["fit", "search", "retrain", "show", "predict", "tasks list", "tasks fetch", "bench plot"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command):
    result = dashnas(*command.split(), "--help")
    assert result.exit_code == 0
    assert "For example:" in result.stdout
    assert f"dashnas {command}" in result.stdout.split("For example:")[1]


def test_help_is_quick_because_torch_is_not_imported():
    look = (
        "import sys\n"
        "from dashnas.cli import app\n"
        "app(['fit', '--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'numpy', 'sklearn', 'optuna'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["dashnas", "dashnas.cli"])
def test_python_runs_the_package_as_the_command(module):
    done = subprocess.run([sys.executable, "-m", module, "show", "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage: dashnas show" in done.stdout


@pytest.mark.parametrize(
    "arguments", [["fti"], ["retrain", "data.npz"], ["show", "a", "b"], ["predict", "run", "new.npz"]]
)
def test_wrong_usage_has_exit_code_2(arguments):
    result = dashnas(*arguments)
    assert result.exit_code == 2
    assert "Usage: dashnas" in result.stderr


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "error: No space left on device; choose another place"),
        (PermissionError(errno.EACCES, "Permission denied", "runs/x"), "error: runs/x: Permission denied; choose"),
        (MemoryError(), "error: not enough memory; a smaller --batch-size or --width"),
        (torch.OutOfMemoryError("CUDA out of memory"), "error: not enough memory"),
        (RuntimeError("[...] DefaultCPUAllocator: can't allocate memory: you tried"), "error: not enough memory"),
        (RuntimeError("Storage size calculation overflowed with sizes=[...]"), "error: not enough memory"),
    ],
)
def test_what_the_machine_lacks_is_told_without_a_traceback(error, message, monkeypatch):
    monkeypatch.setattr("dashnas.model.load_result", mock.Mock(side_effect=error))
    result = dashnas("show", "run")
    assert result.exit_code == 2
    assert result.stderr.startswith(message)


@pytest.mark.parametrize("error", [RuntimeError("shapes"), OSError(errno.ENOENT, "gone"), KeyError("x")])
def test_a_bug_keeps_its_traceback(error, monkeypatch):
    monkeypatch.setattr("dashnas.model.load_result", mock.Mock(side_effect=error))
    assert dashnas("show", "run").exception is error


def test_a_closed_standard_output_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit) as ended:
        app(["tasks", "list"])
    assert ended.value.code == 0
