"""Which samples are in which part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds_of_data import arrays, inputs

from dashnas.data import DataConfig, TargetKind, prepare
from dashnas.data.split import split, split_groups
from dashnas.errors import DataError

FRACTIONS = {"validation": 0.2, "test": 0.2}


@given(counts=st.lists(st.integers(2, 40), min_size=2, max_size=6), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_every_sample_is_in_one_part_and_every_class_in_training(counts, seed):
    strata = np.repeat(np.arange(len(counts)), counts)
    try:
        parts = split(strata, FRACTIONS, seed=seed)
    except DataError:
        assert sum(counts) - len(counts) < 2
        return
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(len(strata)))
    assert set(strata[parts["train"]]) == set(strata)
    assert all(len(rows) for rows in parts.values())


@pytest.mark.parametrize("shuffled", [False, True], ids=["sorted by class", "shuffled"])
def test_parts_have_their_share_of_every_class(shuffled):
    strata = np.repeat([0, 1, 2], [100, 50, 10])
    strata = np.random.default_rng(0).permutation(strata) if shuffled else strata
    parts = split(strata, FRACTIONS, seed=3)
    assert [len(parts[p]) for p in ("train", "validation", "test")] == [96, 32, 32]
    for part in FRACTIONS:
        assert np.abs(np.bincount(strata[parts[part]]) - [20, 10, 2]).max() <= 1


def test_the_same_seed_gives_the_same_parts_and_another_others():
    strata = np.arange(100) % 2
    one, same, other = (split(strata, FRACTIONS, seed=s)["test"] for s in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@given(
    sizes=st.lists(st.integers(1, 9), min_size=5, max_size=20),
    seed=st.integers(0, 99),
    classes=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_no_group_is_split_and_every_class_is_in_training(sizes, seed, classes):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    groups = np.random.default_rng(seed).permutation(groups)
    strata = np.arange(len(groups)) % classes
    parts = split_groups(strata, groups, FRACTIONS, seed=seed)
    held = [set(groups[rows]) for rows in parts.values()]
    assert all(held)
    assert sum(map(len, held)) == len(set(groups))
    assert set(strata[parts["train"]]) == set(strata)
    assert sum(map(len, parts.values())) == len(groups)


def test_groups_are_dealt_so_that_parts_keep_size_and_classes():
    groups = np.repeat(np.arange(50), 4)
    strata = np.repeat(np.arange(50) % 2, 4)  # every group is of one class
    parts = split_groups(strata, groups, FRACTIONS, seed=0)
    assert [len(parts[p]) for p in ("train", "validation", "test")] == [120, 40, 40]
    assert all(abs(strata[rows].mean() - 0.5) < 0.11 for rows in parts.values())


@pytest.mark.parametrize("seed", range(6))
def test_no_part_is_empty_however_unequal_the_groups(seed):
    parts = split_groups(np.zeros(102, int), np.repeat([0, 1, 2], [1, 100, 1]), FRACTIONS, seed=seed)
    assert sorted(map(len, parts.values())) == [1, 1, 100]


def test_a_group_that_alone_holds_a_class_is_in_training():
    groups = np.repeat(np.arange(10), 5)
    strata = np.where(groups == 7, 1, 0)
    for seed in range(10):
        assert 1 in strata[split_groups(strata, groups, FRACTIONS, seed=seed)["train"]]


def test_labels_that_are_rare_are_in_training():
    presence = np.zeros((60, 3), bool)
    presence[:, 0] = True
    presence[11, 1] = presence[12, 2] = True
    for seed in range(10):
        parts = split(np.zeros(60, int), FRACTIONS, seed=seed, presence=presence)
        assert presence[parts["train"]].any(axis=0).all()


def test_prepare_splits_people_never_windows():
    person = np.repeat(["ann", "bob", "cy", "dee", "eve", "flo"], 10)
    data = prepare(arrays(TargetKind.CLASSES, 60, group=person), DataConfig(), seed=0)
    held = [set(p.fields["group"]) for p in (data.train, data.validation, data.test.open())]
    assert sum(map(len, held)) == 6
    assert "6 groups kept whole" in " ".join(data.reading)


@pytest.mark.parametrize("given_parts", [(), ("val",), ("test",), ("val", "test")])
def test_given_parts_are_kept_and_the_others_are_cut_from_x(given_parts):
    data = arrays(TargetKind.REGRESSION, 50)
    for suffix in given_parts:
        data |= {f"x_{suffix}": inputs(7), f"y_{suffix}": np.ones((7, 2)) * np.arange(7)[:, None]}
    prepared = prepare(data, DataConfig(), seed=0)
    validation = 7 if "val" in given_parts else 10
    test = 7 if "test" in given_parts else 10
    assert (len(prepared.validation), len(prepared.test)) == (validation, test)
    cut = 20 - 10 * len(given_parts)
    assert len(prepared.train) == 50 - cut
    assert len(prepared.development) == len(prepared.train) + validation


def test_no_test_part_is_cut_where_none_is_wanted():
    assert prepare(arrays(TargetKind.CLASSES), DataConfig(test_fraction=0), seed=0).test is None


def test_development_is_training_and_validation_in_order():
    given_validation = {"x_val": inputs(9, seed=5), "y_val": np.arange(9) % 3}
    for more in ({}, given_validation):
        data = prepare(arrays(TargetKind.CLASSES, 40) | more, DataConfig(), seed=0)
        both = np.concatenate([next(p.batches(99)).x for p in (data.train, data.validation)])
        assert np.array_equal(next(data.development.batches(99)).x, both)


def test_too_few_samples_to_split():
    with pytest.raises(DataError, match="2 samples are too few to split: at least 3 are needed"):
        prepare((inputs(2), np.array([0.5, 1.5])), DataConfig(), seed=0)


def test_fewer_groups_than_parts():
    data = arrays(TargetKind.CLASSES, group=np.arange(40) % 2)
    with pytest.raises(DataError, match="2 groups cannot be divided into the 3 parts train, validation, test"):
        prepare(data, DataConfig(), seed=0)


def test_groups_that_training_cannot_spare():
    data = {"x": inputs(6), "y": np.array([0, 0, 1, 1, 2, 2]), "group": np.array([0, 0, 1, 1, 2, 2])}
    with pytest.raises(DataError, match="3 of 3 groups are needed in training so that it has every class"):
        prepare(data, DataConfig(), seed=0)
