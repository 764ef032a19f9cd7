"""The process that a cell runs in: `python -m dashnas.bench.worker`, started by `dashnas.bench.runner`."""

import argparse
import sys
from pathlib import Path

from dashnas.bench.cell import Conditions, run_cell
from dashnas.bench.grid import CellName
from dashnas.bench.plugins import load_plugin
from dashnas.bench.store import State, Store
from dashnas.progress import PlainLines

EXIT_CODES = {State.FINISHED: 0, State.SKIPPED: 0, State.FAILED: 10, State.RUNNING: 11}
"""How a worker tells what came of its cell; any other code means that it was killed or stopped."""
STOPPED = 130


def command(store: Path, cell: CellName, conditions: Conditions, plugins: tuple[Path, ...]) -> list[str]:
    """What starts a worker."""
    return [
        sys.executable, "-m", "dashnas.bench.worker", str(store), cell.task, cell.method, str(cell.seed),
        "--budget", repr(conditions.budget_seconds), "--threads", str(conditions.threads),
        "--device", conditions.device, "--protocol", conditions.protocol, *(f"--plugin={path}" for path in plugins),
    ]  # fmt: skip


def main() -> int:
    """Run the cell that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("task")
    parser.add_argument("method")
    parser.add_argument("seed", type=int)
    parser.add_argument("--budget", type=float, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--protocol", required=True)
    parser.add_argument("--plugin", type=Path, action="append", default=[])
    given = parser.parse_args()
    for path in given.plugin:
        load_plugin(path)
    conditions = Conditions(
        budget_seconds=given.budget, threads=given.threads, device=given.device, protocol=given.protocol
    )
    try:
        state = run_cell(
            Store(given.store), CellName(given.task, given.method, given.seed), conditions, PlainLines()
        )  # fmt: skip
    except KeyboardInterrupt:
        return STOPPED
    return EXIT_CODES[state]


if __name__ == "__main__":
    sys.exit(main())
