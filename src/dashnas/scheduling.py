"""The schedule of a run within its budget: before it from a few timed steps, then from what search and race took."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from dashnas.budget import (
    RESERVE,
    SAM_EPOCHS,
    SAM_STEPS,
    WIDER_EPOCHS,
    EpochCosts,
    Planner,
    most_epochs,
    plan,
    rival_epochs,
    untouched_alone,
    with_cheapest_search,
)
from dashnas.calibration import calibrate, calibrate_backbone, choose_precision, training_costs
from dashnas.config import Schedule, Tuner
from dashnas.errors import NotEnoughMemoryError
from dashnas.job import Job
from dashnas.precision import Precision
from dashnas.presets import usual_schedule
from dashnas.space import Architecture
from dashnas.tune import grid


def schedule_within(job: Job, budget_seconds: float, planner: Planner = plan) -> Schedule:
    """The schedule for a budget; where the width is free, the largest one that still gets enough epochs.

    Where the precision is free too, it is the one in which steps are faster.

    Args:
        job: the run.
        budget_seconds: from the start of the run.
        planner: makes the schedule from what epochs cost.
    """
    deadline = job.started + budget_seconds
    if not job.has_free_precision or job.config.retrain.precision is Precision.FLOAT32:
        return _schedule_until(job, deadline, planner)
    job.use_width(job.widths[0])
    precision = choose_precision(job)
    return replace(_schedule_until(job, deadline, planner), precision=precision)


def _schedule_until(job: Job, deadline: float, planner: Planner) -> Schedule:
    best: Schedule | None = None
    costs: EpochCosts | None = None
    widths = job.widths
    races = "search" in job.networks and job.config.tune.race
    if races and not job.config.search.separable:
        alone = _schedule_without_search(job, deadline, widths[0], planner)
        if alone is not None:
            return replace(alone, width=widths[0])
    for width in widths:
        job.use_width(width)
        try:
            calibration = calibrate(job)
        except NotEnoughMemoryError:
            if best is None:
                raise
            break
        schedule, enough = _plan_within(job, deadline - time.monotonic(), calibration.costs, planner)
        if races and not schedule.search_epochs:
            # Kernels that are searched are worth more than channels, and no larger width has the time.
            best = best or replace(schedule, width=width)
            break
        if best is None or enough:
            best, costs = replace(schedule, width=width), calibration.costs
        if not enough:
            break  # a larger width gets fewer still; timing it would only cost time
    assert best is not None
    if races and costs is not None and best.search_epochs:
        wider = [width for width in widths if width is not None and width > (best.width or 0)]
        return _with_wider_backbone(job, best, costs, wider, deadline, planner)
    return best


def _with_wider_backbone(
    job: Job, schedule: Schedule, costs: EpochCosts, widths: Sequence[int], deadline: float, planner: Planner
) -> Schedule:
    """The schedule with the widest untouched backbone that would get enough epochs, alone, in the whole budget.

    What is searched and raced takes time off a network, and so has to be narrower.
    """
    chosen = schedule
    for width in widths:
        job.use_width(schedule.width, backbone_width=width)
        try:
            wide = calibrate_backbone(job).costs
        except NotEnoughMemoryError:
            break
        seconds = (deadline - time.monotonic()) * (1 - RESERVE)
        if untouched_alone(seconds, wide) < WIDER_EPOCHS:
            break
        both = replace(costs, backbone=wide.backbone, beside=wide.beside, wider_backbone=True)
        planned, _ = _plan_within(job, deadline - time.monotonic(), both, planner)
        if not planned.search_epochs:
            break
        chosen = replace(planned, width=schedule.width, backbone_width=width)
    return chosen


def _schedule_without_search(job: Job, deadline: float, width: int | None, planner: Planner) -> Schedule | None:
    """The schedule of the untouched backbone alone, where not even the cheapest search would fit; else None.

    A few steps of a supernet can take longer than the whole budget.
    """
    job.use_width(width)
    costs = with_cheapest_search(
        calibrate_backbone(job).costs,
        job.config.search.subsample,
        sharpness_aware=job.config.recipe.sam_radius > 0,
    )
    schedule, _ = _plan_within(job, deadline - time.monotonic(), costs, planner)
    return None if schedule.search_epochs else schedule


def schedule_after_search(
    job: Job, schedule: Schedule, architecture: Architecture, spent: float, *, untouched_raced: bool
) -> Schedule:
    """The schedule with what is left of the budget, now that it is known what the chosen network costs.

    Args:
        job: the run.
        schedule: that was searched with.
        architecture: that was found.
        spent: seconds of training so far, which count in full, also where an earlier process has spent them.
        untouched_raced: whether the untouched backbone has had its part of the race already.
    """
    assert job.config.budget_seconds is not None
    costs = training_costs(job, architecture)
    left = job.config.budget_seconds - max(time.monotonic() - job.started, spent)
    rest, _ = _plan_within(job, left, costs, partial(plan, untouched_raced=untouched_raced))
    rest = replace(
        rest,
        search_epochs=schedule.search_epochs,
        width=schedule.width,
        backbone_width=schedule.backbone_width,
        precision=schedule.precision,
    )
    if not untouched_raced:
        return rest
    most = rival_epochs(schedule.epochs_of("backbone"), costs)
    return replace(rest, tune_epochs=min(rest.tune_epochs, most), backbone_epochs=schedule.backbone_epochs)


def schedule_after_race(
    job: Job, schedule: Schedule, members: Sequence[str], epochs: Mapping[str, float], spent: float, *, touched: bool
) -> Schedule:
    """The schedule whose final training fills what is left of the budget.

    It is by sharpness-aware minimisation, each step of which takes the time of two, where that leaves epochs enough.

    Args:
        job: the run.
        schedule: that was raced with.
        members: names of the networks that are trained in the end, the winner first.
        epochs: seconds that an epoch of each network took in the race.
        spent: seconds of search and race, which count in full, also where an earlier process has spent them.
        touched: whether the untouched backbone is none of them, and trained beside them.
    """
    assert job.config.budget_seconds is not None
    left = job.config.budget_seconds - max(time.monotonic() - job.started, spent)
    trained = [*members, "backbone"] if job.beside and touched else members
    # A network that diverged in the race has no time of its own.
    seconds = sum(epochs.get(name, epochs[members[0]]) for name in trained) / job.config.tune.subsample
    whole = len(job.data.development) / len(job.data.train) * seconds
    usable, radius = left * (1 - RESERVE), job.config.retrain.sam_radius_in_budget
    if radius and (epochs_by_sam := most_epochs(usable, whole=SAM_STEPS * whole)) >= SAM_EPOCHS:
        return replace(schedule, retrain_epochs=epochs_by_sam, sam_radius=radius)
    return replace(schedule, retrain_epochs=max(most_epochs(usable, whole=whole), 1), sam_radius=None)


def _plan_within(job: Job, seconds: float, costs: EpochCosts, planner: Planner) -> tuple[Schedule, bool]:
    """The schedule for some seconds, and whether the training gets enough epochs."""
    usual = usual_schedule(job.config.preset, len(job.data.train))
    trials = len(grid(job.config.tune)) if job.config.tune.tuner is Tuner.GRID else usual.tune_trials
    schedule = planner(seconds, costs, trials=trials, tune=job.config.tune, enough_epochs=usual.retrain_epochs // 2)
    return schedule, schedule.retrain_epochs >= usual.retrain_epochs
