"""A random architecture of the space that a search has."""

import pytest
import torch

from dashnas.backbones import build_backbone, default_backbone
from dashnas.convert import find_searchable
from dashnas.data import DataSpec, TargetKind
from dashnas.methods.random_architecture import random_architecture
from dashnas.space import SearchSpace

SPECS = {
    1: DataSpec(channels=2, spatial_shape=(64,), target_kind=TargetKind.CLASSES, outputs=3),
    2: DataSpec(channels=2, spatial_shape=(12, 12), target_kind=TargetKind.CLASSES, outputs=3),
}


def drawn(dims, seed=0, **more):
    return random_architecture(default_backbone(SPECS[dims]), SPECS[dims], seed, **more)


@pytest.mark.parametrize("dims", [1, 2])
def test_every_layer_that_is_searched_gets_one_of_its_candidates(dims):
    spec = SPECS[dims]
    network = build_backbone(None, spec, for_search=True)
    sample = torch.zeros(2, spec.channels, *spec.spatial_shape)
    layers = find_searchable(network, SearchSpace.for_dims(dims), sample).searchable
    architecture = drawn(dims)
    assert list(architecture) == list(layers)
    assert all(architecture[name] in layer.candidates for name, layer in layers.items())


def test_the_seed_decides_alone():
    first = drawn(1)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    assert drawn(1) == first
    assert drawn(1, seed=1) != first
    assert drawn(1, width=4) == first
    assert torch.equal(torch.get_rng_state(), before)


def test_every_candidate_of_a_layer_comes_up_about_equally_often():
    counts: dict[object, int] = {}
    for seed in range(200):
        (choice, *_) = drawn(1, seed=seed, width=2).values()
        counts[choice] = counts.get(choice, 0) + 1
    expected = 200 / len(counts)
    assert len(counts) > 10
    assert sum((n - expected) ** 2 / expected for n in counts.values()) < 45  # chi-square, far beyond 99 %
