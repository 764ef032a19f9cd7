"""What every measured table carries: command, commit, hardware, versions."""

import csv
import platform
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from dashnas.precision import Precision

RESULTS = Path(__file__).parents[1] / "results"


def provenance() -> list[str]:
    """Where the numbers of this process come from."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=RESULTS.parent)
    dirty = subprocess.run(["git", "status", "--porcelain", "src"], capture_output=True, text=True, cwd=RESULTS.parent)
    state = " with uncommitted changes in src" if dirty.stdout.strip() else ""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scikit-learn", "optuna"))
    return [
        f"- command: `python {' '.join(['benchmarks/' + Path(sys.argv[0]).name, *sys.argv[1:]])}`",
        f"- date: {date.today().isoformat()}; commit: {commit.stdout.strip() or 'unknown'}{state}",
        f"- hardware: {_processor()}",
        f"- versions: Python {platform.python_version()}, {packages}",
    ]


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """One row per measurement, for machines."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def results_name(name: str, device: torch.device, precision: Precision = Precision.FLOAT32) -> str:
    """Of a benchmark's files: those of a GPU or of less precision stand beside those of the CPU in float32."""
    if device.type != "cpu":
        name += f"_{device.type}"
    return name if precision is Precision.FLOAT32 else f"{name}_{precision}"


def save(name: str, title: str, about: str | None, rows: list[dict[str, Any]], text: str, lines: list[str]) -> None:
    """Rows as CSV; title, what the benchmark says of itself, provenance (`lines`) and tables as Markdown."""
    write_csv(RESULTS / f"{name}.csv", rows)
    head = "\n\n".join([f"# {title}", (about or "").strip(), "\n".join(lines)])
    (RESULTS / f"{name}.md").write_text(f"{head}\n\n{text}")


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _processor() -> str:
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return _cpu() + gpu


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
        model = next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name"))
        return f"{model}, {text.count('processor')} cores"
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
