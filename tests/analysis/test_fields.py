"""Receptive fields of what was chosen."""

import pytest
from some_cells import cell

from dashnas.analysis import layer_fields, receptive_fields
from dashnas.analysis.fields import field_rows, receptive_field
from dashnas.analysis.papers import searched_networks
from dashnas.errors import ConfigError
from dashnas.space import Candidate, SearchSpace


@pytest.mark.parametrize(
    ("space", "largest"),
    [
        (SearchSpace.for_dims(2), 121),
        (SearchSpace(kernel_sizes=(3, 5, 7), dilations=(1, 3, 7)), 43),
        (SearchSpace.for_dims(1), 271),
        (SearchSpace(kernel_sizes=(3, 5), dilations=(1, 2)), 9),
    ],
    ids=["2-D", "NinaPro", "1-D", "BABY DASH"],
)
def test_the_largest_receptive_field_of_the_papers_spaces(space, largest):
    assert max(receptive_field(choice)[2] for choice in space.candidates()) == largest


def test_the_axis_that_reaches_furthest_counts():
    assert receptive_field(Candidate((7, 3), (1, 15))) == (3, 15, 31)
    assert receptive_field(Candidate((7, 3))) == (7, 1, 7)
    assert receptive_field(Candidate(5, (1, 2))) == (5, 2, 9)


def test_layers_of_the_networks_that_the_paper_draws():
    fields = layer_fields(searched_networks()["darcy"], task="darcy", method="DASH")
    assert [field.receptive_field for field in fields] == [13, 3, 3, 31, 91, 57, 57, 15, 29, 61, 57, 15, 43]
    assert [field.place for field in fields] == list(range(1, 14))


def test_cells_with_an_architecture_are_taken_apart_and_others_left_out():
    chosen = {"stem": {"kernel_size": 7, "dilation": 3}, "block.conv": {"kernel_size": [1, 5], "dilation": [1, 2]}}
    fields = receptive_fields([cell(architecture=chosen, seed=4), cell(method="wrn")])
    assert field_rows(fields)[1] == {
        "task": "crop",
        "method": "dash",
        "seed": 4,
        "layer": "block.conv",
        "place": 2,
        "kernel_size": 5,
        "dilation": 2,
        "receptive_field": 9,
    }
    assert len(fields) == 2


def test_no_architectures_are_refused():
    with pytest.raises(ConfigError, match="none of the scores comes with an architecture"):
        receptive_fields([cell()])
