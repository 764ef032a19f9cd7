"""What may be chosen, what was chosen, and how both are refused and saved."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest

from dashnas.errors import ConfigError, UserError
from dashnas.space import Architecture, Candidate, SearchSpace, per_axis

# The paper's rule.


def test_rule_gives_the_papers_example_for_images():
    # Shen et al. 2022, Section 3.3, on CIFAR.
    space = SearchSpace.for_dims(2)
    assert (space.kernel_sizes, space.dilations) == ((3, 5, 7, 9), (1, 3, 7, 15))


@pytest.mark.parametrize(("spatial_dims", "step", "p_max"), [(1, 4, 5), (2, 2, 4)])
def test_rule_follows_the_papers_formula(spatial_dims, step, p_max):
    space = SearchSpace.for_dims(spatial_dims)
    assert space.kernel_sizes == tuple(3 + step * (p - 1) for p in range(1, p_max + 1))
    assert space.dilations == tuple(2**q - 1 for q in range(1, 5))


@pytest.mark.parametrize("spatial_dims", [0, 3])
def test_rule_is_for_signals_and_images(spatial_dims):
    with pytest.raises(ConfigError, match=f"the paper's rule is for 1 or 2 spatial axes, got {spatial_dims}"):
        SearchSpace.for_dims(spatial_dims)


@pytest.mark.parametrize(
    ("space", "receptive_field"),
    [
        (SearchSpace.for_dims(2), 121),
        (SearchSpace(kernel_sizes=(3, 5, 7), dilations=(1, 3, 7)), 43),  # NinaPro
        (SearchSpace.for_dims(1), 271),
        (SearchSpace(kernel_sizes=(3, 5), dilations=(1, 2)), 9),  # BABY DASH
    ],
)
def test_largest_receptive_fields_are_those_of_the_authors_spaces(space, receptive_field):
    # specs/tasks.md, section 10.
    assert max(2 * candidate.half_reach(1)[0] + 1 for candidate in space.candidates()) == receptive_field


# Candidates.


def test_every_kernel_size_is_paired_with_every_dilation_which_runs_fastest():
    space = SearchSpace(kernel_sizes=(3, (5, 1)), dilations=(1, 7))
    expected = (Candidate(3, 1), Candidate(3, 7), Candidate((5, 1), 1), Candidate((5, 1), 7))
    assert space.candidates() == expected


@pytest.mark.parametrize(
    ("candidate", "half_reach", "name"),
    [
        (Candidate(1), (0, 0), "k1_d1"),
        (Candidate(3), (1, 1), "k3_d1"),
        (Candidate(9, 15), (60, 60), "k9_d15"),
        (Candidate((3, 5), 2), (2, 4), "k3x5_d2"),
        (Candidate(5, (1, 3)), (2, 6), "k5_d1x3"),
        (Candidate((1, 7), (4, 2)), (0, 6), "k1x7_d4x2"),
    ],
)
def test_candidate_knows_its_half_reach_per_axis_and_its_name(candidate, half_reach, name):
    assert candidate.half_reach(2) == half_reach
    assert str(candidate) == name


# A choice of their own for height and width.


def test_per_axis_pairs_every_choice_for_the_height_with_every_one_for_the_width():
    space = SearchSpace(kernel_sizes=(1, 3), dilations=(1, 4), per_axis=True)
    assert [str(candidate) for candidate in space.candidates()] == [
        "k1_d1", "k1x3_d1", "k1x3_d1x4",
        "k3x1_d1", "k3_d1", "k3_d1x4",
        "k3x1_d4x1", "k3_d4x1", "k3_d4",
    ]  # fmt: skip


@pytest.mark.parametrize("dilations", [(1, 2, 5), (2, 5), (5,)])
@pytest.mark.parametrize("kernel_sizes", [(1, 3, 7), (3, 7), (1,)])
def test_per_axis_has_every_kernel_that_the_lists_can_make_once(kernel_sizes, dilations):
    space = SearchSpace(kernel_sizes=kernel_sizes, dilations=dilations, per_axis=True)

    def taps(size, dilation):
        return frozenset(dilation * (tap - size // 2) for tap in range(size))

    along_axis = {taps(size, dilation) for size in kernel_sizes for dilation in dilations}
    made = [
        tuple(taps(size, dilation) for size, dilation in zip(*choice, strict=True))
        for choice in ((per_axis(c.kernel_size, 2), per_axis(c.dilation, 2)) for c in space.candidates())
    ]
    assert sorted(made, key=repr) == sorted(((high, wide) for high in along_axis for wide in along_axis), key=repr)


def test_per_axis_has_square_kernels_too():
    lists = {"kernel_sizes": (1, 3, 5), "dilations": (1, 2)}
    square = set(SearchSpace(**lists).candidates()) - {Candidate(1, 2)}  # whose only tap is that of Candidate(1)
    assert square < set(SearchSpace(**lists, per_axis=True).candidates())


def test_per_axis_has_a_rule_of_its_own_for_images():
    space = SearchSpace.for_dims(2, per_axis=True)
    assert (space.kernel_sizes, space.dilations) == ((1, 3, 7), (1, 3, 7, 15))
    assert len(space.candidates()) == 81
    lists = dataclasses.replace(SearchSpace.for_dims(2), per_axis=True)  # the lists of the paper, for the docstring
    assert len(lists.candidates()) == 256

    def weights(space):
        return sum(math.prod(per_axis(candidate.kernel_size, 2)) for candidate in space.candidates())

    square = weights(SearchSpace.for_dims(2))
    assert (round(weights(space) / square, 1), round(weights(lists) / square)) == (2.6, 14)


def test_per_axis_is_refused_for_signals():
    with pytest.raises(ConfigError, match="per_axis is for images; signals have one axis only, so leave it out"):
        SearchSpace.for_dims(1, per_axis=True)


@pytest.mark.parametrize("name", ["kernel_sizes", "dilations"])
def test_per_axis_takes_integers_only(name):
    message = f"with per_axis every axis chooses from the same integers, but {name} has (1, 5); try (1, 3, 5), or leave"
    with pytest.raises(ConfigError, match=re.escape(message)):
        SearchSpace(**{"kernel_sizes": (1, 3), "dilations": (1, 2), name: (3, (1, 5))}, per_axis=True)


@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_per_axis_is_yes_or_no(value):
    with pytest.raises(ConfigError, match=f"^per_axis must be True or False, got {value!r}$"):
        SearchSpace(kernel_sizes=(3,), dilations=(1,), per_axis=value)


# Values.


def test_equal_values_on_all_axes_are_one_value():
    assert Candidate((3, 3), (2, 2)) == Candidate(3, 2)
    assert SearchSpace(kernel_sizes=((3, 3), (3, 5)), dilations=(1,)).kernel_sizes == (3, (3, 5))


def test_numpy_integers_become_plain_ones():
    candidate = Candidate(np.int64(5), (np.int32(1), np.int32(2)))
    assert json.dumps(Architecture({"conv": candidate}).to_json())


def test_a_list_of_choices_is_taken_as_a_tuple():
    assert SearchSpace(kernel_sizes=[3, 5], dilations=[1]) == SearchSpace(kernel_sizes=(3, 5), dilations=(1,))


@pytest.mark.parametrize(("value", "expected"), [(3, (3, 3)), ((3, 5), (3, 5))])
def test_one_value_serves_every_axis(value, expected):
    assert per_axis(value, 2) == expected


@pytest.mark.parametrize("spatial_dims", [1, 3])
def test_a_value_per_axis_must_name_as_many_axes_as_there_are(spatial_dims):
    message = f"(3, 5) names 2 axes, but the layer has {spatial_dims}; give one value per axis"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Candidate((3, 5)).half_reach(spatial_dims)


# Refusals, which the command line turns into exit code 2.

EVEN = [
    pytest.param(4, "must be odd, so that padding is the same on both sides; got 4; try 5", id="even"),
    pytest.param((3, 8), "must be odd, so that padding is the same on both sides; got 8; try 9", id="even on one axis"),
]
REFUSED = [
    pytest.param(-3, "must be at least 1, got -3", id="negative"),
    pytest.param(-2, "must be at least 1, got -2", id="negative and even"),
    pytest.param(0, "must be at least 1, got 0", id="zero"),
    pytest.param((3, 0), "must be at least 1, got 0", id="zero on one axis"),
    pytest.param("3", "must be an integer, or a tuple with one integer per axis; got '3'", id="text"),
    pytest.param("big", "must be an integer, or a tuple with one integer per axis; got 'big'", id="words"),
    pytest.param(3.0, "must be an integer, or a tuple with one integer per axis; got 3.0", id="float"),
    pytest.param(True, "must be an integer, or a tuple with one integer per axis; got True", id="bool"),
    pytest.param(
        (3, True),
        "must be an integer, or a tuple with one integer per axis; got (3, True)",
        id="bool on one axis",
    ),
    pytest.param(None, "must be an integer, or a tuple with one integer per axis; got None", id="none"),
    pytest.param([3, 5], "must be an integer, or a tuple with one integer per axis; got [3, 5]", id="list"),
    pytest.param((), "needs a value for each axis, got ()", id="no axis"),
]


@pytest.mark.parametrize(("kernel_size", "message"), EVEN + REFUSED)
def test_candidate_refuses_a_bad_kernel_size(kernel_size, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(f'kernel_size {message}')}$"):
        Candidate(kernel_size)


@pytest.mark.parametrize(("kernel_size", "message"), EVEN + REFUSED)
def test_search_space_refuses_a_bad_kernel_size(kernel_size, message):
    with pytest.raises(ConfigError, match=f"kernel_sizes? {re.escape(message)}$"):
        SearchSpace(kernel_sizes=(3, kernel_size), dilations=(1,))


@pytest.mark.parametrize(("dilation", "message"), REFUSED)
def test_a_bad_dilation_is_refused(dilation, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(f'dilation {message}')}$"):
        Candidate(3, dilation)
    with pytest.raises(ConfigError, match=f"^{re.escape(f'each of dilations {message}')}$"):
        SearchSpace(kernel_sizes=(3,), dilations=(1, dilation))


def test_an_even_dilation_is_fine():
    assert Candidate(3, (2, 4)).half_reach(2) == (2, 4)


@pytest.mark.parametrize("name", ["kernel_sizes", "dilations"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((), "is empty; give at least one value"),
        ((3, 5, 3), "names a value twice: (3, 5, 3)"),
        ((3, (3, 3)), "names a value twice: (3, 3)"),
        (3, "must be a tuple of choices, got 3; try (3,)"),
        ("3,5", "must be a tuple of choices, got '3,5'; try ('3,5',)"),
        (None, "must be a tuple of choices, got None"),
        ({3, 5}, "must be a tuple of choices, got {3, 5}"),
    ],
)
def test_search_space_refuses_bad_lists_of_choices(name, values, message):
    good = {"kernel_sizes": (3, 5), "dilations": (1, 2)}
    with pytest.raises(ConfigError, match=re.escape(f"{name} {message}")):
        SearchSpace(**{**good, name: values})


def test_refusals_are_also_the_standard_error_that_a_caller_would_catch():
    assert issubclass(ConfigError, UserError)
    assert issubclass(ConfigError, ValueError)


# JSON.

SPACE = SearchSpace(kernel_sizes=(3, (5, 1)), dilations=(1, (1, 7)))
ARCHITECTURE = Architecture({"b.conv": Candidate(7, 3), "a.conv": Candidate((3, 5)), "c": Candidate(3, (1, 7))})


@pytest.mark.parametrize(
    "space",
    [SPACE, SearchSpace.for_dims(1), SearchSpace.for_dims(2), SearchSpace.for_dims(2, per_axis=True)],
)
def test_search_space_survives_a_trip_through_json(space):
    assert SearchSpace.from_json(json.loads(json.dumps(space.to_json()))) == space


def test_a_search_space_without_a_choice_per_axis_is_saved_as_it_was_before_there_was_one():
    assert SPACE.to_json() == {"kernel_sizes": [3, (5, 1)], "dilations": [1, (1, 7)]}
    assert SearchSpace.from_json({"kernel_sizes": [3, [5, 1]], "dilations": [1, [1, 7]]}) == SPACE
    assert SearchSpace.from_json({"kernel_sizes": [3], "dilations": [1], "per_axis": False}).per_axis is False


def test_architecture_survives_a_trip_through_a_file_in_the_order_of_its_layers(tmp_path):
    path = tmp_path / "architecture.json"
    path.write_text(json.dumps(ARCHITECTURE.to_json()))
    loaded = Architecture.load(path)
    assert loaded == ARCHITECTURE
    assert list(loaded) == ["b.conv", "a.conv", "c"]


def test_architecture_json_reads_as_layer_to_kernel_size_and_dilation():
    assert json.loads(json.dumps(ARCHITECTURE.to_json())) == {
        "b.conv": {"kernel_size": 7, "dilation": 3},
        "a.conv": {"kernel_size": [3, 5], "dilation": 1},
        "c": {"kernel_size": 3, "dilation": [1, 7]},
    }


def test_architecture_is_a_mapping_that_does_not_follow_its_source():
    source = {"conv": Candidate(3)}
    architecture = Architecture(source)
    source["conv"] = Candidate(5)
    assert dict(architecture) == {"conv": Candidate(3)}
    assert len(architecture) == 1
    assert architecture != Architecture({"conv": Candidate(3, 2)})
    assert repr(architecture) == "Architecture(conv: k3_d1)"


@pytest.mark.parametrize(
    "content",
    [
        [3],
        3,
        {},
        {"kernel_sizes": [3]},
        {"kernel_sizes": 3, "dilations": [1]},
        {**SPACE.to_json(), "strides": [1]},
        {"kernel_sizes": [3], "per_axis": True},
    ],
)
def test_content_that_is_no_search_space_is_refused(content):
    message = (
        'a search space needs just "kernel_sizes" and "dilations", a list each, and may have "per_axis"; '
        f"got {content!r}"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        SearchSpace.from_json(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], 'an architecture maps layer names to {"kernel_size": ..., "dilation": ...}'),
        ({}, 'an architecture maps layer names to {"kernel_size": ..., "dilation": ...}'),
        ({"conv": 3}, """layer 'conv' needs just "kernel_size" and "dilation", got 3"""),
        (
            {"conv": {"kernel_size": 3}},
            """layer 'conv' needs just "kernel_size" and "dilation", got {'kernel_size': 3}""",
        ),
        (
            {"conv": {"kernel_size": 3, "dilation": 1, "stride": 2}},
            """layer 'conv' needs just "kernel_size" and "dilation", got""",
        ),
        ({"conv": {"kernel_size": 4, "dilation": 1}}, "layer 'conv': kernel_size must be odd"),
        ({"conv": {"kernel_size": "3", "dilation": 1}}, "layer 'conv': kernel_size must be an integer"),
        ({"conv": {"kernel_size": [[3]], "dilation": 1}}, "layer 'conv': kernel_size must be an integer"),
        ({"conv": {"kernel_size": 3, "dilation": 0}}, "layer 'conv': dilation must be at least 1, got 0"),
    ],
)
def test_content_that_is_no_architecture_is_refused_by_value_and_by_file(content, message, tmp_path):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        Architecture.from_json(content)
    path = tmp_path / "chosen.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=re.escape(f"{path} is not an architecture: {message}")):
        Architecture.load(path)


@pytest.mark.parametrize("content", [b"", b"kernel_size: 3", b'{"conv": ', b"\xff\xfe\x00"])
def test_a_file_that_is_not_json_is_refused(content, tmp_path):
    path = tmp_path / "architecture.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(f"{path} is not an architecture: it is not JSON")):
        Architecture.load(path)


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path):
    missing = tmp_path / "missing.json"
    with pytest.raises(ConfigError, match=re.escape(f"cannot read the architecture {missing}: No such file")):
        Architecture.load(missing)
    with pytest.raises(ConfigError, match=re.escape(f"cannot read the architecture {tmp_path}: Is a directory")):
        Architecture.load(tmp_path)
