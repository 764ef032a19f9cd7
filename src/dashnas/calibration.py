"""What the networks of a run need before it trains them: the memory of a step, and its time."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import torch

from dashnas.budget import EpochCosts, time_steps
from dashnas.convert import largest_architecture
from dashnas.errors import NotEnoughMemoryError, is_out_of_memory
from dashnas.job import NETWORKS, Job
from dashnas.memory import Need, count_step, describe_bytes, fitting_micro_batch, free_bytes, measure_step
from dashnas.microbatch import FEWEST, MICRO_BATCHES, shared_micro_batch
from dashnas.precision import Precision
from dashnas.recipe import Optimiser
from dashnas.retrain import retrain_phase
from dashnas.search import search_phase
from dashnas.space import Architecture
from dashnas.training import Phase, steps_per_epoch

FASTER = 0.95
"""Share of a step's time in float32 that it may take at most in bfloat16, for its fewer digits to be worth it."""

HELPS = "a smaller --width, fewer or smaller --kernel-sizes or shorter inputs need less"
"""Where not even the smallest micro-batch fits."""

IN_TRAINING = {Optimiser.SGD: 3, Optimiser.ADAMW: 4, Optimiser.MUON: 4}
"""Numbers in memory for each weight: itself, its gradient, and its one or two moments, or with Muon its mean gradient
and the update. One more, a copy of it, where training may be sharpness-aware."""

SOME_DROPOUT = 0.05
"""Of the networks that are weighed: the masks take memory, whatever the probability is."""


@dataclass(frozen=True)
class Calibration:
    """What a few steps of each network have shown."""

    costs: EpochCosts
    needs: dict[str, Need]
    """By network."""


def calibrate(job: Job, *, measure: bool = False) -> Calibration:
    """Weigh a step of each network, the supernet, the backbone and the largest that may be derived, and time a few.

    Args:
        job: the run.
        measure: whether to measure the memory also where an upper bound fits.

    Raises:
        NotEnoughMemoryError: a step of one of them does not fit, however few samples are computed at once.
    """
    phases = _sample_phases(job)
    needs = job.needs[job.config.width, job.backbone_width] = _weigh_all(job, phases, measure)
    micro_batches = {name: need.micro_batch for name, need in needs.items()}
    return Calibration(_epoch_costs(job, phases, micro_batches), needs)


def calibrate_backbone(job: Job) -> Calibration:
    """Weigh and time a few steps of the untouched backbone alone.

    Where it is the wider one, its memory joins what `calibrate` found of the others.

    Args:
        job: the run.

    Raises:
        NotEnoughMemoryError: a step does not fit, however few samples are computed at once.
    """
    _refuse_too_large(job)
    phases = _sample_trainings(job, None, names=("backbone",))
    needs = _weigh_all(job, phases, measure=False)
    others = {} if job.backbone_width is None else job.needs[job.config.width, None]
    job.needs[job.config.width, job.backbone_width] = others | needs
    return Calibration(_epoch_costs(job, phases, {name: need.micro_batch for name, need in needs.items()}), needs)


def training_costs(job: Job, architecture: Architecture) -> EpochCosts:
    """What epochs cost once the search has ended.

    Args:
        job: the run, whose micro-batches are settled.
        architecture: that was found; the untouched backbone is timed beside it.
    """
    phases = _sample_trainings(job, architecture)
    return _epoch_costs(
        job, phases, {name: shared_micro_batch(job.session.run, name, job.batch_size) for name in phases}
    )


def choose_precision(job: Job) -> Precision:
    """Let the run train in the precision in which its steps are faster, and tell which it is.

    Args:
        job: the run; steps are those of the given network, or of the untouched backbone.

    Raises:
        NotEnoughMemoryError: a step does not fit, however few samples are computed at once.
    """
    _refuse_too_large(job)
    narrow, wide = (_step_seconds(job, precision) for precision in (Precision.BFLOAT16, Precision.FLOAT32))
    precision = Precision.BFLOAT16 if narrow < FASTER * wide else Precision.FLOAT32
    job.use_precision(precision)
    return precision


def _step_seconds(job: Job, precision: Precision) -> float:
    """What a training step takes in a precision; the run is left in it."""
    job.use_precision(precision)
    name = "backbone" if job.given_architecture is None else "derived"
    phase = _sample_training(job, name, job.given_architecture)
    need = _weigh(job, phase, free_bytes(job.session.device), measure=False)
    return _time_steps(job, phase, need.micro_batch)


def _time_steps(job: Job, phase: Phase, micro_batch: int) -> float:
    """Seconds of a step by the given recipe, also of a phase that was weighed for recipes to come."""
    if phase.sam_radius:
        phase.sam_radius = job.config.recipe.sam_radius
    return time_steps(phase, job.session.device, micro_batch=micro_batch)


def _epoch_costs(job: Job, phases: Mapping[str, Phase], micro_batches: Mapping[str, int]) -> EpochCosts:
    if not job.config.recipe.dropout:  # it was there for the memory of recipes that have some
        for module in (module for phase in phases.values() for module in phase.model.modules()):
            if getattr(module, "p", None) == SOME_DROPOUT:
                module.p = 0.0  # type: ignore[assignment]
    seconds = {name: _time_steps(job, phase, micro_batches[name]) for name, phase in phases.items()}
    batches = steps_per_epoch(len(job.data.train), job.batch_size)
    return EpochCosts(
        search=seconds.get("search", 0.0) * batches * job.config.search.subsample,
        derived=seconds.get("derived", 0.0) * batches,
        backbone=seconds.get("backbone", 0.0) * batches,
        retrain_share=len(job.data.development) / len(job.data.train),
        beside=seconds.get("backbone", 0.0) * batches if job.beside else 0.0,
        members=job.config.ensemble,
        wider_backbone=job.backbone_width is not None,
    )


def settle_micro_batches(job: Job) -> None:
    """Decide how many samples each network computes at once in this run, and tell where that is not a whole batch.

    Raises:
        NotEnoughMemoryError: a step of one of them does not fit, however few samples are computed at once.
    """
    job.session.run.remember(MICRO_BATCHES, lambda: _micro_batches(job))


def _micro_batches(job: Job) -> dict[str, int]:
    needs = job.needs.get((job.config.width, job.backbone_width))
    if needs is None:
        needs = _weigh_all(job, _sample_phases(job), measure=False)
    needs = {name: need for name, need in needs.items() if name in job.networks}
    for name, need in needs.items():
        if need.micro_batch < job.batch_size:
            job.warn(
                f"a training step of {NETWORKS[name]} on a whole batch would take about "
                f"{describe_bytes(need.peak_bytes)}, of {need.limit}; {need.micro_batch} samples are computed at "
                "once, and their gradients added up"
            )
    return {name: need.micro_batch for name, need in needs.items()}


def _limit(job: Job, free: int) -> tuple[int, str]:
    """What a training step may take, in bytes and in words."""
    least = min(free, job.config.memory_bytes or free)
    return least, f"{describe_bytes(least)} that are {'free' if least == free else 'allowed'}"


def _weigh_all(job: Job, phases: Mapping[str, Phase], measure: bool) -> dict[str, Need]:
    # Asked once: what weighing one network took, the next one will use again.
    free = free_bytes(job.session.device)
    return {name: _weigh(job, phase, free, measure) for name, phase in phases.items()}


def _weigh(job: Job, phase: Phase, free: int, measure: bool) -> Need:
    device = job.session.device
    least, limit = _limit(job, free)
    largest = min(job.batch_size, len(job.data.development))
    try:
        memory = count_step(phase, device)
        micro_batch = fitting_micro_batch(memory, largest, least)
        if measure or micro_batch != largest:
            memory = measure_step(memory, phase, device, micro_batch or FEWEST)
            micro_batch = fitting_micro_batch(memory, largest, least)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise NotEnoughMemoryError(
            f"memory ran out in a training step of {NETWORKS[phase.network_name]} on a few samples, of {limit}; {HELPS}"
        ) from error
    if micro_batch is None:
        raise NotEnoughMemoryError(
            f"a training step of {NETWORKS[phase.network_name]} would take about "
            f"{describe_bytes(memory.peak_bytes(FEWEST))} even with {FEWEST} samples at once, of {limit}; {HELPS}"
        )
    micro_batch = job.batch_size if micro_batch == largest else micro_batch
    return Need(memory.peak_bytes(largest), limit, micro_batch)


def _refuse_too_large(job: Job) -> None:
    """Raise where the weights alone do not fit; the networks are built without them to find that out."""
    networks, largest = {}, job.given_architecture
    with torch.device("meta"):
        if "search" in job.networks:
            networks["search"], conversion = job.supernet()
            largest = largest_architecture(conversion)
        for name, architecture in (("derived", largest), ("backbone", None)):
            if name in job.networks:
                networks[name] = job.network(architecture)
    least, limit = _limit(job, free_bytes(job.session.device))
    for name, network in networks.items():
        optimiser = Optimiser.SGD if name == "search" else job.config.recipe.optimiser
        copies = IN_TRAINING[optimiser] + (name != "search" and _sam_radius(job) > 0)
        size = copies * sum(parameter.nbytes for parameter in network.parameters())
        if size > least:
            raise NotEnoughMemoryError(
                f"the weights of {NETWORKS[name]}, their gradients and momentum would take "
                f"{describe_bytes(size)}, of {limit}; {HELPS}"
            )


def _sample_phases(job: Job) -> dict[str, Phase]:
    """A phase of each network, to take a few steps of; the derived one is the largest there may be."""
    _refuse_too_large(job)
    train, loss, config = job.data.train, job.loss, job.config
    phases = {}
    largest = job.given_architecture
    if "search" in job.networks:
        supernet, conversion = job.supernet()
        largest = largest_architecture(conversion)
        saved = job.session.run.read("plan.json", default=None)
        job.use_strategies(supernet, job.plan_strategies(supernet, conversion) if saved is None else saved)
        phases["search"] = search_phase(
            supernet, train, loss, config.search, epochs=1, batch_size=job.batch_size, seed=0
        )
    return phases | _sample_trainings(job, largest)


def _sample_trainings(
    job: Job, architecture: Architecture | None, names: Collection[str] = ("derived", "backbone")
) -> dict[str, Phase]:
    """Of the networks that are no supernets; they have dropout and are sharpness-aware, as recipes to come may be."""
    return {
        name: _sample_training(job, name, chosen)
        for name, chosen in (("derived", architecture), ("backbone", None))
        if name in job.networks and name in names
    }


def _sample_training(job: Job, name: str, architecture: Architecture | None) -> Phase:
    recipe = replace(job.config.recipe, sam_radius=_sam_radius(job))
    return retrain_phase(
        name, job.network(architecture, recipe.dropout or SOME_DROPOUT), job.data.train, job.loss,
        recipe, job.config.retrain, epochs=1, batch_size=job.batch_size, seed=0,
    )  # fmt: skip


def _sam_radius(job: Job) -> float:
    """Of sharpness-aware minimisation, wherever in the run there may be any; 0 where there is none."""
    planned = None if job.config.schedule is None else job.config.schedule.sam_radius
    return job.config.recipe.sam_radius or job.config.retrain.sam_radius_in_budget or planned or 0.0
