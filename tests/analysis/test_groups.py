import pytest

from dashnas.analysis import TASK_GROUPS, tasks_of_group
from dashnas.errors import ConfigError


def test_the_ten_tasks_are_in_one_group_each():
    tasks = [task for group in TASK_GROUPS.values() for task in group]
    assert len(tasks) == len(set(tasks)) == 10


@pytest.mark.parametrize(
    ("group", "expected"), [("1d", ["ecg", "crop"]), ("dense", ["darcy16"]), ("2d-point", ["digits8"])]
)
def test_other_tasks_are_told_by_their_kind_and_dims(group, expected):
    assert tasks_of_group(group, ["ecg", "darcy16", "nobody", "crop", "digits8"]) == expected


def test_an_unknown_group_is_refused():
    with pytest.raises(ConfigError, match="unknown group of tasks 'dens'; did you mean 'dense'"):
        tasks_of_group("dens", ["ecg"])


def test_a_group_without_tasks_is_refused():
    with pytest.raises(ConfigError, match="none of the tasks is in the group 'dense': ecg, crop"):
        tasks_of_group("dense", ["ecg", "crop"])
