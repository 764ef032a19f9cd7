"""Labels as positions among the sorted class names."""

import numpy as np
import pytest

from dashnas.data.targets import class_codes


@pytest.mark.parametrize(
    ("values", "classes", "codes"),
    [
        ([2, 0, 1], (0, 1, 2), [2, 0, 1]),
        ([-1, 3, 1], (0, 1, 2), [-1, -1, 1]),
        ([9, -4, 0], (-4, 9), [1, 0, -1]),
        ([9.0, np.nan, np.inf], (-4, 9), [1, -1, -1]),
        (["b", "c", "a"], ("a", "b"), [1, -1, 0]),
        ([1, 2], ("1", "2"), [-1, -1]),
    ],
)
def test_codes_are_positions_and_what_is_no_class_is_minus_one(values, classes, codes):
    assert class_codes(np.array(values), classes).tolist() == codes
