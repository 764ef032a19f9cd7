"""Which cells there are."""

import pytest

from dashnas.bench.grid import CellName, make_grid, parse_methods, parse_names, parse_seeds
from dashnas.errors import ConfigError

TASKS = {"crop": 1, "darcy16": 2}
METHODS = {"dash": 1, "backbone": 2, "baby-dash": 3}


@pytest.mark.parametrize(
    ("text", "seeds"), [("0", [0]), ("0-2", [0, 1, 2]), ("3, 1", [3, 1]), ("0-1,1-2,7", [0, 1, 2, 7]), ("4-4", [4])]
)
def test_seeds_are_numbers_and_ranges_each_once(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "-1", "0-", "0,,1", "1.5"])
def test_other_seeds_are_refused(text):
    with pytest.raises(ConfigError, match="seeds must be numbers such as 0,1,2 or a range such as 0-2; got"):
        parse_seeds(text)


def test_a_range_that_ends_before_it_begins_is_refused():
    with pytest.raises(ConfigError, match="end before they begin; write 0-2"):
        parse_seeds("2-0")


@pytest.mark.parametrize("text", ["0-99999999999", "0-9999,10000"])
def test_more_seeds_than_anybody_has_time_for_are_refused(text):
    with pytest.raises(ConfigError, match=f"at most 10000 seeds can be asked for at once; '{text}' are more"):
        parse_seeds(text)


def test_a_seed_of_too_many_digits_is_refused():
    with pytest.raises(ConfigError, match="a seed has at most 18 digits; got one of 5000"):
        parse_seeds("9" * 5000)


def test_names_come_once_and_in_their_order():
    assert parse_names("darcy16, crop,darcy16", "task", TASKS) == ["darcy16", "crop"]
    assert parse_methods("dash,backbone@dash,dash", METHODS) == ["dash", "backbone@dash"]


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="unknown task 'darcy'; did you mean 'darcy16'"):
        parse_names("crop,darcy", "task", TASKS)
    with pytest.raises(ConfigError, match="unknown method 'babydash'; did you mean 'baby-dash'"):
        parse_methods("dash,babydash", METHODS)
    with pytest.raises(ConfigError, match="unknown method 'dahs'; did you mean 'dash'"):
        parse_methods("backbone@dahs", METHODS)


def test_no_name_is_refused():
    with pytest.raises(ConfigError, match="no task is named; known: crop, darcy16"):
        parse_names(" ,", "task", TASKS)
    with pytest.raises(ConfigError, match="no method is named; known: baby-dash, backbone, dash"):
        parse_methods("", METHODS)


def test_every_task_and_method_comes_with_the_first_seed_before_any_comes_with_the_second():
    cells = make_grid(["a", "b"], ["m", "n"], [0, 1], lambda cell: False)
    assert [str(cell) for cell in cells] == ["a/m/0", "a/n/0", "b/m/0", "b/n/0", "a/m/1", "a/n/1", "b/m/1", "b/n/1"]


def test_the_budget_of_a_cell_may_be_the_time_of_another():
    cell = CellName("crop", "backbone-tuned@dash", 1)
    assert (cell.method_alone, cell.budget_from) == ("backbone-tuned", CellName("crop", "dash", 1))
    assert CellName("crop", "dash", 1).budget_from is None


def test_a_time_that_nobody_will_take_is_refused_unless_it_was_taken_before():
    with pytest.raises(ConfigError, match="crop/dash/0 is neither finished nor to be run; name dash among the methods"):
        make_grid(["crop"], ["backbone@dash"], [0], lambda cell: False)
    asked = []
    assert make_grid(["crop"], ["backbone@dash"], [0], lambda cell: asked.append(cell) or True)
    assert asked == [CellName("crop", "dash", 0)]
    assert len(make_grid(["crop"], ["backbone@dash", "dash"], [0], lambda cell: False)) == 2
