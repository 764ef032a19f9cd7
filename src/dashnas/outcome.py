"""The final training: of the network that won, and of those that answer beside it in an ensemble."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dashnas.ensemble import Ensemble
from dashnas.job import Job, Retrained
from dashnas.model import Member, TrainedModel
from dashnas.phases import Tuned, member_phases
from dashnas.space import Architecture


@dataclass(frozen=True)
class Outcome:
    """What is saved in the end."""

    model: TrainedModel
    trained: Mapping[str, Retrained]
    """Its members by the phase that they were trained in, the network that won first."""

    @property
    def first(self) -> Retrained:
        """The network that won, alone."""
        return next(iter(self.trained.values()))

    @property
    def seconds(self) -> float:
        """Of training, of all members together."""
        return sum(one.seconds for one in self.trained.values())


def train_outcome(job: Job, tuned: Tuned) -> Outcome:
    """Train the network that won, and further members of an ensemble.

    Members that were in the race go on from their weights of it; the others are copies of the winner, with fresh
    weights and batches in another order.

    Args:
        job: the run.
        tuned: what race and tuning came to.
    """
    trained: dict[str, Retrained] = {}
    seen: Counter[str] = Counter()
    phases = member_phases(tuned.members, positions=tuned.cells is not None)
    for name, network in zip(phases, tuned.members, strict=True):
        copy = seen[network]
        trained[name] = job.retrain(
            name,
            tuned.entrants[network],
            tuned.recipe,
            tuned.schedule,
            tuned=None if copy else tuned.weights_of(network),
            cells=tuned.cells,
            copy=copy,
        )
        seen[network] += 1
    return outcome_of(job, trained, [tuned.entrants[network] for network in tuned.members], cells=tuned.cells)


def outcome_of(
    job: Job,
    trained: Mapping[str, Retrained],
    architectures: Sequence[Architecture | None],
    *,
    cells: tuple[int, ...] | None = None,
) -> Outcome:
    """What is saved, from its trained members; most often there is just one.

    Args:
        job: the run.
        trained: by phase, the winner first.
        architectures: of each of them.
        cells: of the grid whose positions all their heads keep; None is the mean over all.
    """
    members = tuple(
        Member(topology=replace(job.topology(architecture), cells=cells), architecture=architecture)
        for architecture in architectures
    )
    networks = [one.network for one in trained.values()]
    model = TrainedModel(
        network=networks[0] if len(networks) == 1 else Ensemble(networks, job.data.spec.target_kind),
        topology=members[0].topology,
        architecture=members[0].architecture,
        spec=job.data.spec,
        normaliser=job.data.normaliser,
        impute=job.config.data.impute,
        members=members if len(members) > 1 else (),
    )
    return Outcome(model, trained)
