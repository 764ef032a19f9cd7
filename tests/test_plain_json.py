import json
from math import inf, nan

import numpy as np
import pytest

from dashnas.plain_json import plain_json


@pytest.mark.parametrize("value", [inf, -inf, nan, np.float64(inf)])
def test_numbers_that_json_does_not_have_become_null_however_deep(value):
    assert plain_json({"a": [value, {"b": (value,)}]}) == {"a": [None, {"b": [None]}]}


@pytest.mark.parametrize("value", [0.5, 3, True, None, "inf", [1, "a"], {"a": {"b": 0.0}}])
def test_all_else_stays(value):
    assert plain_json(value) == value


def test_names_become_text():
    assert json.loads(json.dumps(plain_json({1: "one"}))) == {"1": "one"}
