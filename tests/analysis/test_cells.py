import pytest

from dashnas.analysis import Cell


def cell(**changes):
    given = {"task": "crop", "method": "dash", "seed": 0, "metric": "error", "protocol": "clean"}
    return Cell(**given | {"value": 0.25, "higher_is_better": False} | changes)


@pytest.mark.parametrize(("higher_is_better", "error"), [(False, 0.25), (True, 0.75)])
def test_an_error_is_lower_the_better(higher_is_better, error):
    assert cell(higher_is_better=higher_is_better).error == error


def test_a_cell_makes_the_trip_through_json():
    made = cell(architecture={"conv1": {"kernel_size": 3, "dilation": 1}}, seconds=1.5)
    assert Cell.from_json(made.to_json()) == made
