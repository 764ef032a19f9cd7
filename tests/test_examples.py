"""The examples tell their outcome, and the code blocks of the documents run; the README has a runner of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from run_readme import clean_environment, read_blocks, run_block  # noqa: E402

DOCUMENTS = sorted((ROOT / "docs").glob("*.md"))
EXAMPLES = {
    "own_model.py": "saved, loaded again: test accuracy",
    "from_arrays.py": "it was yes",
    "own_method.py": "nearest: test error",
    "dense_map.py": "a new map: x (1, 1, 12, 16), prediction (1, 12, 16)",
    "own_task.py": "recordings, by the votes of their windows",
}
"""What each prints; the demo fetches data and is left to `make demo`."""


def test_every_example_is_tested():
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == {*EXAMPLES, "demo.py"}


def test_a_new_task_takes_less_than_a_hundred_lines():
    assert len((ROOT / "examples" / "own_task.py").read_text().splitlines()) < 100


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_tells_its_outcome(name, tmp_path):
    command = [sys.executable, ROOT / "examples" / name]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert EXAMPLES[name] in process.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_code_blocks_of_a_document_run(document, tmp_path):
    scripts, work = tmp_path / "scripts", tmp_path / "work"
    scripts.mkdir()
    work.mkdir()
    environment = clean_environment(os.environ, Path(sys.prefix))
    for block in read_blocks(document.read_text(encoding="utf-8")):
        assert run_block(block, scripts=scripts, folder=work, environment=environment) == 0, f"line {block.line}"
