"""A finished run as tables: scores, architecture, and how it was made."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from dashnas.cli.print_out import plain_table
from dashnas.limits import Limits
from dashnas.metrics import ENOUGH_CONFIDENCE
from dashnas.recipe import Recipe
from dashnas.runs import damage_named
from dashnas.space import Architecture
from dashnas.tune import EVEN

RACERS = {"backbone": "untouched backbone", "derived": "searched network", "random": "random architecture"}
"""What the networks of a race are called, by their name in `result.json`."""


NO_SEARCH = {
    "budget": "the budget was too short for a search",
    "schedule": "the schedule that was given has no search",
    "unbeatable": "it errs too little on the validation part, or that has too few samples,\n"
    "for another network to be hoped to be better with enough confidence",
    "no-choice": "there was nothing else to choose from",
    "same": "they are what the search chose",
}
"""Why no searched network raced, by what `result.json` says."""


def result_tables(run: Path, result: Mapping[str, Any]) -> tuple[Table | str, ...]:
    """All that `dashnas show` prints of a run whose `result.json` is given.

    Raises:
        RunError: the content is not that of a result.
    """
    with damage_named(run / "result.json"):
        return _tables(run, result)


def _tables(run: Path, result: Mapping[str, Any]) -> tuple[Table | str, ...]:
    samples = result["samples"]
    tested = f", {samples['test']} for the test" if samples["test"] else "; no test part"
    return (
        f"{run}: {result['task_kind']}; {samples['train']} samples for training, "
        f"{samples['validation']} for validation{tested}",
        "",
        scores_table(result),
        "",
        architecture_table(result["architecture"]) if result["architecture"] else _why_untouched(result),
        "",
        _how_it_was_made(result),
    )


def _why_untouched(result: Mapping[str, Any]) -> str:
    """What there is to say where the saved network has the backbone's own kernels."""
    if result["race"] is None:
        return f"The backbone's own kernels stay: {NO_SEARCH[result.get('no_search') or 'budget']}."
    sure = result.get("race_confidence") or {}

    def told(name: str, score: float | None) -> str:
        confidence = sure.get(name)
        better = "" if confidence is None else f", better with {confidence:.0%} confidence"
        return f"{RACERS[name]} {number(score)}{better}"

    return "\n".join(
        [
            f"The backbone's own kernels stay after a race by {result['metric']['name']} on the validation part,",
            f"in which a larger network has to be better with {ENOUGH_CONFIDENCE:.0%} confidence,",
            f"any other one to have a better score, and that with more than {EVEN:.0%}:",
            *(told(name, score) for name, score in result["race"].items()),
        ]
    )


def scores_table(result: Mapping[str, Any]) -> Table:
    """The network that is saved, and the untouched backbone where that is another; on validation and test part."""
    metric = result["metric"]
    direction = "higher is better" if metric["higher_is_better"] else "lower is better"
    table = plain_table(f"{metric['name']} ({direction})", "validation", "test", "95 % interval")
    rows = {RACERS["backbone"]: result["backbone_scores"]}
    if not _is_untouched(result):
        rows = {_title(result): result["scores"], **rows}
    for title, scores in rows.items():
        test = scores.get("test")
        # Of a network whose head was changed since, or an ensemble, it would be another network's.
        changed = _positions(result) or _num_members(result) > 1
        own = "validation" in scores and not (scores is result["scores"] and changed)
        validation = number(scores["validation"]) if own else "-"
        if test is None:
            table.add_row(title, validation, "-", "-")
        else:
            table.add_row(title, validation, number(test["value"]), interval(test))
    return table


def _is_untouched(result: Mapping[str, Any]) -> bool:
    """Whether the saved network is the untouched backbone, alone."""
    return not result["architecture"] and not _positions(result) and _num_members(result) == 1


def _num_members(result: Mapping[str, Any]) -> int:
    return len(result.get("members", [result["network"]]))


def _title(result: Mapping[str, Any]) -> str:
    """What the outcome is called where it is not the untouched backbone."""
    if (members := _num_members(result)) > 1:
        return f"ensemble of {members}"
    return RACERS[result["network"]] if result["architecture"] else "backbone with positions"


def _member_titles(members: Sequence[str]) -> list[str]:
    """Such as `2 searched networks`, in the order of the members."""
    return [f"{number} {RACERS[name]}{'s' if number > 1 else ''}" for name, number in Counter(members).items()]


def _positions(result: Mapping[str, Any]) -> str:
    """What its head keeps, such as `4x4`; empty where that is the mean over all positions."""
    head = result.get("head")
    return _axes(tuple(head["cells"])) if head is not None and head["kept"] else ""


def plan_table(plan: Mapping[str, str]) -> Table:
    """How the search computed each layer."""
    table = plain_table("layer", "strategy")
    for layer, strategy in plan.items():
        table.add_row(layer, strategy)
    return table


def architecture_table(architecture: Mapping[str, Any]) -> Table:
    """Each layer's kernel size, dilation, and span: the samples from its first tap to its last."""
    table = plain_table("layer", "kernel size", "dilation", "span")
    for layer, choice in Architecture.from_json(dict(architecture)).items():
        axes = max(_num_axes(choice.kernel_size), _num_axes(choice.dilation))
        if axes == 2:
            table.caption = "1x7 is 1 high and 7 wide"
        span = tuple(2 * half + 1 for half in choice.half_reach(axes))
        table.add_row(layer, _axes(choice.kernel_size), _axes(choice.dilation), _axes(span))
    return table


def number(value: float | None) -> str:
    """A score; `result.json` has null for that of a network that diverged."""
    return "diverged" if value is None else f"{value:.4g}"


def interval(score: Mapping[str, Any]) -> str:
    """The ends of a score's interval."""
    return f"{number(score['low'])} to {number(score['high'])}"


def count(how_many: int, what: str) -> str:
    """Such as `1 epoch` or `2 epochs`."""
    return f"{how_many} {what}" if how_many == 1 else f"{how_many} {what}s"


def _how_it_was_made(result: Mapping[str, Any]) -> Table:
    backbone, schedule = result["backbone"], result["schedule"]
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 3, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    width = "" if backbone["width"] is None else f", width {backbone['width']}"
    untouched_width = backbone.get("untouched_width", backbone["width"])
    wider = "" if untouched_width == backbone["width"] else f", untouched {untouched_width}"
    table.add_row("backbone", f"{backbone['name']}{width}{wider}")
    untouched = f"{result['backbone_parameters']:,} untouched"
    kind = {"derived": "searched", "random": "random", "backbone": "with positions"}[result["network"]]
    if _num_members(result) > 1:
        kind = "together"
        table.add_row("ensemble", ", ".join(_member_titles(result["members"])))
    outcome = "" if _is_untouched(result) else f"{result['parameters']:,} {kind}, "
    table.add_row("parameters", outcome + untouched)
    if (untouched_cost := result.get("backbone_inference")) is not None:
        cost = result["inference"]
        outcome = "" if _is_untouched(result) or cost is None else f"{_inference(cost)} {kind}; "
        table.add_row("per sample", f"{outcome}{_inference(untouched_cost)} untouched")
    if limits := Limits(**result.get("limits", {})):
        table.add_row("limits", f"at most {limits.describe()}")
    if (head := result.get("head")) is not None:
        probed = f"linear probes {number(head['mean'])} by the mean, {number(head['grid'])} by position"
        kept = f"keeps {_positions(result)} positions" if head["kept"] else "mean over all positions"
        table.add_row("head", f"{kept}; {probed}, better with {head['confidence']:.0%} confidence")
    table.add_row("recipe", _recipe(result["recipe"]))
    if result["backbone_recipe"] != result["recipe"]:
        table.add_row("", f"of the untouched backbone: {_recipe(result['backbone_recipe'])}")
    searched = f"search {count(schedule['search_epochs'], 'epoch')}" if schedule["search_epochs"] else "no search"
    recipes = schedule.get("tried") or schedule["tune_trials"]
    tuned = f"{count(recipes, 'recipe')} of up to {count(schedule['tune_epochs'], 'epoch')}, "
    if "validation" not in result["scores"]:  # the untouched backbone had the whole budget
        tuned = ""
    table.add_row(
        "schedule",
        f"{searched}, {tuned}final training {count(schedule['retrain_epochs'], 'epoch')}",
    )
    phases = {n: s for n, s in result["seconds"].items() if n != "this_process"}
    table.add_row(
        "seconds",
        ", ".join(f"{n} {s:.1f}" for n, s in phases.items()) + f"; together {sum(phases.values()):.1f}",
    )
    table.add_row(
        "run",
        f"preset {result['preset']}, seed {result['seed']}, {result['device']}, {count(result['threads'], 'thread')}"
        + (f", trained in {result['precision']['training']}" if "precision" in result else ""),
    )
    return table


def _inference(cost: Mapping[str, float]) -> str:
    """What one sample costs."""
    flops = cost["flops"]
    told = f"{flops:,}"
    for unit, many in (("million", 1e6), ("billion", 1e9)):
        if flops >= many:
            told = f"{flops / many:.3g} {unit}"
    return f"{told} operations, {cost['milliseconds']:.3g} ms"


def _num_axes(value: int | tuple[int, ...]) -> int:
    return 1 if isinstance(value, int) else len(value)


def _axes(value: int | tuple[int, ...]) -> str:
    values = (value,) if isinstance(value, int) else value
    return "x".join(str(v) for v in values)


def _recipe(recipe: dict[str, Any]) -> str:
    return Recipe(**recipe).describe()
