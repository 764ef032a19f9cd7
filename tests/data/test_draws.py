"""Samples that are drawn anew for training: by their own seed alone, and never where they are scored."""

import numpy as np

from dashnas.data.draws import AugmentedTable
from dashnas.data.normalise import Normaliser
from dashnas.data.parts import Part
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.data.tables import ArrayTable

SPEC = DataSpec(channels=1, spatial_shape=(4,), target_kind=TargetKind.CLASSES, outputs=2, classes=(0, 1))


def noisy(sample, random):
    return {**sample, "x": sample["x"] + random.normal(size=sample["x"].shape)}


def part(**more):
    table = ArrayTable({"x": np.zeros((6, 1, 4), np.float32), "y": np.arange(6) % 2, "place": np.arange(6)})
    return Part(AugmentedTable(table, noisy), np.arange(6), SPEC, Normaliser.identity(1), **more)


def test_a_sample_is_the_same_whatever_stands_beside_it():
    drawn = part(augmented=True).batch(np.arange(6), seed=1).x
    np.testing.assert_array_equal(part(augmented=True).batch([4, 2], seed=1).x, drawn[[4, 2]])
    np.testing.assert_array_equal(part(augmented=True).subset([5, 4]).batch([1], seed=1).x, drawn[[4]])


def test_samples_differ_from_each_other_and_with_the_seed():
    first, second = (part(augmented=True).batch(np.arange(6), seed=seed).x for seed in (1, 2))
    assert not np.isclose(first[0], first[1]).any()
    assert not np.isclose(first, second).any()


def test_nothing_is_drawn_from_global_state():
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    part(augmented=True).batch(np.arange(6), seed=1)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_other_columns_stay_as_they_are():
    batch = part(augmented=True).batch([3], seed=1)
    assert batch.y.tolist() == [1]
    assert batch.fields["place"].tolist() == [3]


def test_what_is_scored_is_not_augmented():
    assert (part(augmented=True).batch([0]).x == 0).all()
    assert (part().batch([0], seed=1).x == 0).all()
