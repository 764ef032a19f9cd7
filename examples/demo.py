"""The main job on real sensor recordings: which of twelve signals a cricket umpire gives, from his wrist.

Fetches CricketX, gives it to `dashnas fit` like anybody's file, and sets the outcome beside published ones.
Run it with `make demo`. What it makes lies in runs/cricketx.npz and runs/demo.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from dashnas.tasks import TASKS, fetch

TASK = "cricketx"
RUNS = Path(__file__).resolve().parent.parent / "runs"
PUBLISHED = ("ResNet", "InceptionTime")


def main() -> None:
    """Fetch, fit, compare."""
    RUNS.mkdir(exist_ok=True)
    data, run = RUNS / f"{TASK}.npz", RUNS / "demo"
    print(f"{TASK}: {TASKS[TASK].description}", flush=True)
    if not data.exists():
        print(f"fetching it, up to {TASKS[TASK].package.megabytes:.0f} MB the first time", flush=True)
    fetch(TASK, data)
    if (run / "result.json").exists():
        print(f"{shown(run)} is finished already; delete that folder to see it run again")
    else:
        call_dashnas("fit", str(shown(data)), "--out", str(shown(run)), "--preset", "quick", "--threads", "1")
    compare(json.loads((run / "result.json").read_text()))
    print(f"\nThe run lies in {shown(run)}: try  dashnas show {shown(run)}")


def call_dashnas(*arguments: str) -> None:
    """Run the command line as a user would; end with its exit code if that is not 0."""
    print(f"\n$ {shlex.join(('dashnas', *arguments))}", flush=True)
    process = subprocess.Popen([sys.executable, "-m", "dashnas.cli", *arguments], cwd=RUNS.parent)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        code = process.wait()  # it was told as well, and is saving its state
    if code:
        sys.exit(code)


def compare(result: dict[str, Any]) -> None:
    """Print the test errors of this run beside published ones."""
    width = result["backbone"]["width"]
    table = Table(title=f"\n{TASK}, test error (lower is better)", title_justify="left", title_style="bold")
    table.add_column("network")
    table.add_column("error", justify="right")
    table.add_column("95 % interval", justify="right")
    rows = {f"untouched backbone, width {width}": result["backbone_scores"]}
    keeps_positions = result["head"] is not None and result["head"]["kept"]
    if result["network"] != "backbone" or keeps_positions:
        title = {"derived": "searched", "random": "random", "backbone": "with positions"}[result["network"]]
        rows[f"{title}, width {width}"] = result["scores"]
    for title, scores in rows.items():
        test = scores["test"]
        table.add_row(title, percent(test["value"]), f"{percent(test['low'])} to {percent(test['high'])}")
    for method in PUBLISHED:
        table.add_row(f"{method}, published", percent(TASKS[TASK].published[method]), "")
    Console(highlight=False).print(table)
    head = "The second one's head keeps positions" if keeps_positions else "They have the same head"
    print(f"The networks of this run have the same width, recipe and number of epochs. {head}.")


def percent(value: float | None) -> str:
    """A score as a share; null in a result is the score of a network that diverged."""
    return "diverged" if value is None else f"{100 * value:.1f} %"


def shown(path: Path) -> Path:
    """The path as one would type it in the checkout."""
    return path.relative_to(RUNS.parent)


if __name__ == "__main__":
    main()
