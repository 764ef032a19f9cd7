"""The main job on small real data sets: the untouched backbone, the searched network and a random architecture.

Each cell is `dashnas fit TASK.npz --budget 3m --seed SEED` as a user would give it, and then the same schedule with an
architecture drawn at random from the same space. Backbone, searched and random network have the same width, head and
number of epochs; backbone and searched network have the same recipe too, the random one is tuned for itself as the
searched one is. Test parts are the sets' own where they have one, otherwise cut with the seed (`watch` by person).

    python benchmarks/real.py --jobs 2          # one thread per job; finished cells are skipped
    python benchmarks/real.py --table           # only make the table again
    python benchmarks/real.py --quick           # one task, one seed, 20 seconds; saves nothing
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from _report import markdown, provenance, save

from dashnas.data.spec import DataSpec
from dashnas.methods.random_architecture import random_architecture
from dashnas.tasks import TASKS, fetch

NAMES = ("cricketx", "digits8", "vowels", "darcy16", "tecator", "watch", "mnist1d")
RUNS = Path(__file__).parents[1] / "runs" / "real"


def run_searched(name: str, seed: int, budget: str, runs: Path) -> Path:
    """The main job on one task and seed; the run's folder."""
    run = runs / f"{name}-{seed}"
    _fit(fetch(name, runs / f"{name}.npz"), run, "--seed", str(seed), "--budget", budget, "--no-race")
    return run


def run_random(name: str, seed: int, runs: Path) -> Path:
    """The same schedule with a random architecture; the run's folder."""
    searched, run, drawn = runs / f"{name}-{seed}", runs / f"{name}-{seed}-random", runs / f"{name}-{seed}-random.json"
    config = json.loads((searched / "config.json").read_text())
    spec = DataSpec.from_json(config["data"])
    drawn.write_text(json.dumps(random_architecture(config["backbone"], spec, seed, width=config["width"]).to_json()))
    schedule = ["--schedule", str(searched / "schedule.json"), "--architecture", str(drawn)]
    _fit(runs / f"{name}.npz", run, "--seed", str(seed), *schedule)
    return run


def table(rows: list[dict[str, Any]]) -> str:
    """A line per task: mean and standard deviation over seeds, and what others have published."""
    lines = []
    for name in dict.fromkeys(row["task"] for row in rows):
        mine = [row for row in rows if row["task"] == name]
        scores = {
            network: {row["seed"]: _number(row["test"]) for row in mine if row["network"] == network}
            for network in ("backbone", "searched", "random")
        }
        higher = mine[0]["higher_is_better"]
        gains = [scores["searched"][seed] - score for seed, score in scores["backbone"].items()]
        better = sum(gain > 0 if higher else gain < 0 for gain in gains)
        published = ", ".join(f"{method} {value:.3g}" for method, value in TASKS[name].published.items())
        lines.append(
            [
                name,
                f"{mine[0]['metric']} ({'higher' if higher else 'lower'} is better)",
                *(_mean(list(values.values())) for values in scores.values()),
                f"{better} of {len(gains)}",
                " ".join(str(row["width"]) for row in mine if row["network"] == "searched"),
                " ".join(str(row["epochs"]) for row in mine if row["network"] == "searched"),
                published or "-",
            ]
        )
    header = ["task", "test metric", "untouched backbone", "searched", "random architecture"]
    header += ["seeds where searched beats backbone", "width by seed", "epochs by seed", "published (same metric)"]
    return markdown(header, lines)


def rows_of(name: str, seed: int, runs: Path) -> list[dict[str, Any]]:
    """A row for each network of a task and seed whose run is finished."""
    searched, random = runs / f"{name}-{seed}" / "result.json", runs / f"{name}-{seed}-random" / "result.json"
    rows = []
    if searched.exists():
        result = json.loads(searched.read_text())
        rows.append(_row(name, seed, "backbone", result, result["backbone_scores"], result["backbone_parameters"]))
        rows.append(_row(name, seed, "searched", result, result["scores"], result["parameters"]))
    if random.exists():
        result = json.loads(random.read_text())
        rows.append(_row(name, seed, "random", result, result["scores"], result["parameters"]))
    return rows


def _number(score: float | None) -> float:
    """A score as a number: where training diverged there is none."""
    return math.nan if score is None else score


def _mean(values: list[float]) -> str:
    if not values:
        return "-"
    spread = f" ± {stdev(values):.2g}" if len(values) > 1 else ""
    return f"{mean(values):.4g}{spread} (n = {len(values)})"


def _fit(data: Path, out: Path, *options: str) -> None:
    command = [sys.executable, "-m", "dashnas.cli", "fit", str(data), "--out", str(out), "--threads", "1", "--quiet"]
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)


def _row(
    name: str, seed: int, network: str, result: dict[str, Any], scores: dict[str, Any], parameters: int
) -> dict[str, Any]:
    test = scores["test"]
    return {
        "task": name,
        "seed": seed,
        "network": network,
        "metric": result["metric"]["name"],
        "higher_is_better": result["metric"]["higher_is_better"],
        "protocol": result["protocol"],
        "validation": scores["validation"],
        "test": test["value"],
        "test_low": test["low"],
        "test_high": test["high"],
        "width": result["backbone"]["width"],
        "parameters": parameters,
        "epochs": result["schedule"]["retrain_epochs"],
        "trials": result["schedule"]["tune_trials"],
        "seconds": round(result["seconds"]["this_process"], 1),
    }


def main() -> None:
    """Run what is not finished, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="cells at a time, one thread each")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", default="3m")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--table", action="store_true", help="make the table from the finished cells")
    arguments = parser.parse_args()
    if arguments.quick:
        with tempfile.TemporaryDirectory() as folder:
            run_searched("digits8", 0, "20s", Path(folder))
            run_random("digits8", 0, Path(folder))
            print(table(rows_of("digits8", 0, Path(folder))))
        return
    about = "\n".join(provenance())  # of the code as it is loaded now, not as it is when all is done
    RUNS.mkdir(parents=True, exist_ok=True)
    cells = [(name, seed) for seed in range(arguments.seeds) for name in NAMES]
    if not arguments.table:
        with ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(lambda cell: run_searched(*cell, arguments.budget, RUNS), cells))
            list(pool.map(lambda cell: run_random(*cell, RUNS), cells))
    rows = [row for name in NAMES for seed in range(arguments.seeds) for row in rows_of(name, seed, RUNS)]
    text = table(rows)
    print(text)
    settings = (
        f"- {arguments.jobs} cells at a time, one thread each; mean ± standard deviation over seeds 0 to "
        f"{arguments.seeds - 1}; protocol clean; a row per network in `real.csv`"
    )
    save("real", f"Small real data sets, {arguments.budget} each", __doc__, rows, text, [about, settings])


if __name__ == "__main__":
    main()
