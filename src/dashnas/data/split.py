"""Which samples train, which choose and which are kept for the last word.

scikit-learn's splitters cut in two, refuse classes that are rarer than the parts are many, and may leave a
class out of the training part; here every class is in training whenever that is possible.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from dashnas.data.tables import Array
from dashnas.errors import DataError

Indices = npt.NDArray[np.int64]


def split(
    strata: Indices, fractions: Mapping[str, float], *, seed: int, presence: Array | None = None
) -> dict[str, Indices]:
    """Divide samples so that each part has about the same share of every stratum.

    Samples are laid out stratum by stratum, at random within one, and drawn at even distances: systematic
    sampling, which keeps shares right for rare classes too. First each class keeps a sample for training.

    Args:
        strata: shape (n,); the class of each sample, or zeros.
        fractions: part to its share of the samples; what remains is the part "train".
        seed: the same seed gives the same parts.
        presence: bool, shape (n, classes), where a sample can hold several classes.

    Returns:
        Sorted sample indices for each part.

    Raises:
        DataError: there are too few samples.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(strata))
    kept = _first_of_each(strata[order]) if presence is None else _cover(presence[order])
    free = np.delete(order, kept)
    free = free[np.argsort(strata[free], kind="stable")]
    if len(free) < len(fractions):
        needed = len(kept) + len(fractions)
        raise DataError(
            f"{len(strata)} samples are too few to split: at least {needed} are needed for the parts "
            f"{', '.join(['train', *fractions])} with every class in training; add samples, or give the parts"
        )
    total = sum(fractions.values())
    parts: dict[str, Indices] = {}
    limit = {part: max(1, int(len(free) * share / total)) for part, share in fractions.items()}
    for part, share in fractions.items():
        size = min(max(1, round(len(strata) * share)), limit[part])
        drawn = np.floor((np.arange(size) + rng.random()) * len(free) / size).astype(np.int64)
        parts[part] = np.sort(free[drawn])
        free = np.delete(free, drawn)
    return {"train": np.sort(np.concatenate([order[kept], free])), **parts}


def split_groups(
    strata: Indices,
    groups: Array,
    fractions: Mapping[str, float],
    *,
    seed: int,
    presence: Array | None = None,
) -> dict[str, Indices]:
    """Divide samples without ever splitting a group, as close to the shares of `split` as groups allow.

    Groups that together hold every class go to training. The others follow from the largest to the smallest,
    each to the part that lacks it most, by class and in all.

    Args:
        strata: shape (n,); the class of each sample, or zeros.
        groups: shape (n,); samples with the same value stay together.
        fractions: part to its share of the samples; what remains is the part "train".
        seed: the same seed gives the same parts.
        presence: bool, shape (n, classes), where a sample can hold several classes.

    Returns:
        Sorted sample indices for each part.

    Raises:
        DataError: there are fewer groups than parts, or none can be spared from training.
    """
    names, member = np.unique(groups, return_inverse=True)
    parts = ["train", *fractions]
    if len(names) < len(parts):
        raise DataError(
            f"{len(names)} groups cannot be divided into the {len(parts)} parts {', '.join(parts)} "
            "without splitting one; give the parts yourself, set test_fraction=0, or use a finer group"
        )
    counts = np.zeros((len(names), int(strata.max()) + 2))
    np.add.at(counts, (member, strata), 1)
    counts[:, -1] = np.bincount(member)
    held = counts[:, :-1] > 0 if presence is None else _any_by_group(presence, member, len(names))
    order = np.random.default_rng(seed).permutation(len(names))
    kept = order[_cover(held[order])]
    rest = order[~np.isin(order, kept)]
    if len(rest) < len(fractions):
        raise DataError(
            f"{len(kept)} of {len(names)} groups are needed in training so that it has every class, which "
            f"leaves too few for {', '.join(fractions)}; give the parts yourself or add groups"
        )
    assigned = _deal(counts, kept, rest[np.argsort(-counts[rest, -1], kind="stable")], fractions)
    return {part: np.flatnonzero(assigned[member] == i) for i, part in enumerate(parts)}


def _deal(counts: Array, kept: Indices, rest: Indices, fractions: Mapping[str, float]) -> Indices:
    """Part of every group, 0 being training, chosen greedily against the wanted counts."""
    shares = np.array([1 - sum(fractions.values()), *fractions.values()])
    total = counts.sum(axis=0)
    wanted = shares[:, None] * total
    present = np.zeros_like(wanted)
    present[0] = counts[kept].sum(axis=0)
    assigned = np.zeros(len(counts), np.int64)
    for done, group in enumerate(rest):
        empty = np.flatnonzero(present[:, -1] == 0)
        allowed = empty if len(empty) >= len(rest) - done else np.arange(len(shares))
        # The change in squared distance to the wanted counts, each class weighing the same.
        change = counts[group] * (2 * (present - wanted) + counts[group]) / np.maximum(total, 1) ** 2
        part = allowed[np.argmin(change.sum(axis=1)[allowed])]
        present[part] += counts[group]
        assigned[group] = part
    return assigned


def _first_of_each(strata: Indices) -> Indices:
    return np.unique(strata, return_index=True)[1].astype(np.int64)


def _cover(presence: Array) -> Indices:
    """Rows that together hold every class that any row holds, the rarest class first."""
    chosen: list[int] = []
    for column in np.argsort(presence.sum(axis=0), kind="stable"):
        holders = np.flatnonzero(presence[:, column])
        if len(holders) and not presence[chosen, column].any():
            chosen.append(int(holders[0]))
    return np.array(chosen, np.int64)


def _any_by_group(presence: Array, member: Indices, groups: int) -> Array:
    held = np.zeros((groups, presence.shape[1]), bool)
    rows, columns = np.nonzero(presence)
    held[member[rows], columns] = True
    return held
