"""Seeds depend only on what is being done; PyTorch's own generators stay as they were."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dashnas.seeding import derive_seed, generator, isolated_rng

PURPOSES = st.lists(st.text(max_size=5) | st.integers(0, 1000), max_size=3).map(tuple)


@given(st.integers(0, 2**63), PURPOSES, st.integers(0, 2**63), PURPOSES)
def test_seeds_of_different_purposes_differ(seed, purpose, other_seed, other):
    same = (seed, purpose) == (other_seed, other)
    assert (derive_seed(seed, *purpose) == derive_seed(other_seed, *other)) == same
    assert 0 <= derive_seed(seed, *purpose) < 2**63


def test_a_seed_is_the_same_in_every_process():
    """Written down, so that runs begun with an earlier version go on alike."""
    assert derive_seed(3, "search", 1, 2) == 9210986780380361867


def test_a_generator_is_seeded_for_its_purpose():
    a, b, c = (torch.rand(3, generator=generator(1, purpose)) for purpose in ("a", "a", "b"))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_the_default_generator_is_left_as_it_was_found():
    state = torch.get_rng_state()
    with isolated_rng(torch.device("cpu")):
        torch.manual_seed(5)
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), state)


def test_so_it_is_where_something_fails():
    state = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), isolated_rng(torch.device("cpu")):
        torch.rand(1 // 0)
    assert torch.equal(torch.get_rng_state(), state)
