"""What a run would do and cost, as tables and as JSON."""

from dataclasses import asdict
from typing import Any

from rich.table import Table

from dashnas.cli.print_out import plain_table
from dashnas.convert import has_choice
from dashnas.pipeline import DryRun


def dry_run_tables(would: DryRun) -> tuple[Table | str, ...]:
    """What `dashnas fit --dry-run` prints."""
    schedule = would.schedule
    members = would.settings.get("ensemble", 1)
    each = f", {members} networks" if members > 1 else ""
    sharpness_aware = ", sharpness-aware" if schedule.sam_radius else ""
    planned = {
        "search": f"{schedule.search_epochs} epochs",
        "tune": f"{schedule.tune_trials} x {schedule.tune_epochs} epochs at most",
        "retrain": f"{schedule.retrain_epochs} epochs{each}{sharpness_aware}",
        "backbone": f"{schedule.retrain_epochs} epochs{sharpness_aware}",
    }
    phases = plain_table("phase", "planned", "seconds, about")
    if not schedule.search_epochs and not would.architecture_given:
        trial = f"{schedule.backbone_epochs} epochs" if schedule.backbone_epochs else "-"
        planned |= {
            "search": f"none: {_why_no_search(would)}",
            "tune": trial,
            "retrain": f"{schedule.retrain_epochs} epochs, {members - 1} more" if members > 1 else "-",
        }
    for name, seconds in would.seconds.items():
        phases.add_row(name, planned[name], f"{seconds:.1f}")
    phases.add_row("together", "", f"{sum(would.seconds.values()):.1f}")
    memory = plain_table("network", "MB of a training step, about", "samples at once")
    for name, need in would.needs.items():
        title = "supernet" if name == "search" else name
        memory.add_row(title, f"{need.peak_bytes / 1e6:.0f}", str(need.micro_batch))
    layers = plain_table("layer", "map", "candidates", "left out")
    for name, layer in would.conversion.searchable.items():
        shape = "x".join(map(str, layer.map_shape))
        layers.add_row(name, shape, str(len(layer.candidates)), str(len(layer.dropped) + len(layer.larger)))
    kept = [f"{name} stays as it is: {reason}" for name, reason in would.conversion.kept.items()]
    wider = "" if schedule.backbone_width is None else f", untouched {schedule.backbone_width}"
    network = f"backbone {would.settings['backbone']}, width {would.settings['width']}{wider}"
    return (
        network,
        "",
        phases,
        "",
        memory,
        "",
        layers,
        *kept,
        "",
        "a dry run: nothing was trained or written",
    )


def _why_no_search(would: DryRun) -> str:
    if not has_choice(would.conversion):
        return "nothing to choose"
    return "left out" if would.settings["schedule"] else "no time for it"


def dry_run_as_json(would: DryRun) -> dict[str, Any]:
    """What `dashnas fit --dry-run --json` prints."""
    return {
        "settings": would.settings,
        "schedule": asdict(would.schedule),
        "seconds": would.seconds,
        "peak_bytes": {name: need.peak_bytes for name, need in would.needs.items()},
        "micro_batch": {name: need.micro_batch for name, need in would.needs.items()},
        "candidates": {
            name: [str(candidate) for candidate in layer.candidates]
            for name, layer in would.conversion.searchable.items()
        },
        "kept": dict(would.conversion.kept),
    }
