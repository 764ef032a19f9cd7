"""The registry of methods."""

import pytest

from dashnas.errors import ConfigError
from dashnas.methods import METHODS, get_method, register_method
from dashnas.methods.registry import all_methods

NAMES = {
    "baby-dash", "backbone", "backbone-tuned", "dash", "dash-convnext", "dash-ensemble", "dash-quick", "dash-tcn",
    "fno", "paper-scaled", "random", "rocket", "xgboost",
}  # fmt: skip


def test_every_file_with_a_method_is_found():
    assert set(all_methods()) >= NAMES


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="unknown method 'rockt'; did you mean 'rocket'"):
        get_method("rockt")


def test_a_name_can_be_taken_once(monkeypatch):
    monkeypatch.delitem(METHODS, "mine", raising=False)
    register_method("mine")(object)
    with pytest.raises(ConfigError, match="a method 'mine' is registered already; choose another name"):
        register_method("mine")(object)
    del METHODS["mine"]


@pytest.mark.parametrize("name", ["", "a/b", "a@b", "a b", "a,b"])
def test_a_name_must_do_as_a_file_and_in_a_list(name):
    with pytest.raises(ConfigError, match="a method's name must have no '/', '@', ',' or space in it"):
        register_method(name)
