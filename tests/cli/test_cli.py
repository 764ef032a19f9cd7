"""What holds for every command."""

import subprocess
import sys

import pytest

from cli.commands import dashnas

COMMANDS = ["fit", "search", "retrain", "show", "predict", "tasks list", "tasks fetch"]


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


@pytest.mark.parametrize("arguments", [["fti"], ["fit"], ["show", "a", "b"], ["predict", "run", "new.npz"]])
def test_wrong_usage_has_exit_code_2(arguments):
    result = dashnas(*arguments)
    assert result.exit_code == 2
    assert "Usage: dashnas" in result.stderr
