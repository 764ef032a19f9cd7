"""A run that is not finished as tables: how far it is, and how to go on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from dashnas.budget import random_races
from dashnas.cli.print_out import plain_table
from dashnas.cli.result_tables import RACERS, architecture_table, count
from dashnas.config import Schedule
from dashnas.metrics import is_evidence
from dashnas.phases import member_phases
from dashnas.probe import SURE
from dashnas.runs import damage_named, read_events, read_json
from dashnas.space import Architecture


def unfinished_tables(run: Path) -> tuple[Table | str, ...]:
    """All that `dashnas show` prints of a run without a `result.json`.

    Raises:
        RunError: a file of the run is damaged.
    """
    parts: list[Table | str] = [f"{run} is not finished; give the same command again to go on", ""]
    if not (run / "schedule.json").exists():
        return (*parts, "no phase has begun")
    with damage_named(run / "schedule.json"):
        schedule = Schedule(**read_json(run / "schedule.json"))
    with damage_named(run / "tune.json"):
        trials = len(read_json(run / "tune.json")) if (run / "tune.json").exists() else 0
    with damage_named(run / "winner.json"):
        path = run / "winner.json"
        decided: dict[str, Any] = read_json(path) if path.exists() else {"network": ""}
        winner, head, others = decided["network"], decided.get("head"), list(decided.get("others", ()))
        kept = head is not None and is_evidence(float(head["confidence"]), SURE)
        if winner and winner not in RACERS:
            raise ValueError(f"unknown network {winner!r}")
    with damage_named(run / "run.json"):
        settings = read_json(run / "run.json")["settings"]
        members = [winner, *others] if winner else [winner] * settings.get("ensemble", 1)
        phases = member_phases(members, positions=kept)
        parts.append(_progress_table(run, schedule, trials, settings, phases))
    if winner and settings["tune"]["race"] and schedule.search_epochs:
        parts += ["", f"the race was won by: {RACERS[winner]}"]
    if (run / "architecture.json").exists():
        parts += ["", architecture_table(Architecture.load(run / "architecture.json").to_json())]
    return tuple(parts)


def _progress_table(
    run: Path, schedule: Schedule, trials: int, settings: Mapping[str, Any], phases: Sequence[str]
) -> Table:
    done: dict[str, int] = {}
    for event in read_events(run):
        done[event["phase"]] = max(done.get(event["phase"], 0), event["epoch"] + 1)
    table = plain_table("phase", "done", "planned")

    def row(title: str, phase: str, planned: int) -> None:
        table.add_row(title, str(done.get(phase, 0)), count(planned, "epoch"))

    def ensemble() -> None:
        for number, phase in enumerate(phases[1:], start=2):
            if phase != "backbone":  # which has a row of its own
                row(f"member {number} of the ensemble", phase, schedule.retrain_epochs)

    race = settings["tune"]["race"]
    if schedule.search_epochs:
        if race:
            row("untouched in the race", "tune-0", schedule.epochs_of("backbone"))
        row("search", "search", schedule.search_epochs)
    else:
        table.add_row("search", "-", "architecture given" if "architecture" in settings else "left out")
    if not schedule.search_epochs and "architecture" not in settings:  # the untouched backbone has all of the time
        if schedule.backbone_epochs is not None:
            row("trial", "tune-0", schedule.backbone_epochs)
        if phases[0] == "retrain" and (run / "winner.json").exists():
            row("retrain", "retrain", schedule.retrain_epochs)
        ensemble()
        row("backbone", "backbone", schedule.retrain_epochs)
        return table
    # Each recipe, and each network beside the first one under the same recipe.
    racing = schedule.tried or schedule.tune_trials
    if race:
        racing += 2 if random_races(schedule.tune_trials) else 1
    table.add_row("race and recipes" if race else "tune", str(trials), count(racing, "training"))
    if not race:
        row("backbone for validation", "tune-backbone", schedule.tune_epochs)
    if phases[0] == "retrain":
        row("retrain", "retrain", schedule.retrain_epochs)
    ensemble()
    row("backbone", "backbone", schedule.retrain_epochs)
    return table
