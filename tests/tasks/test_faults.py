"""`dashnas.tasks.check`: a file in the cache is what the task declares, or all that is wrong is said."""

import dataclasses
import zipfile

import numpy as np
import pytest

from dashnas.data.spec import TargetKind
from dashnas.errors import ConfigError, DataError
from dashnas.tasks import TASKS, check, fetch
from dashnas.tasks.faults import faults
from dashnas.tasks.registry import TASKS as REGISTRY
from dashnas.tasks.registry import cached_file

GOOD = {
    "x": np.zeros((4, 1, 2), dtype=np.float32),
    "y": np.array([1, 2, 3, 1]),
    "x_test": np.zeros((2, 1, 2), dtype=np.float32),
    "y_test": np.array([3, 1]),
    "group": np.array(["a", "a", "b", "b"]),
}
TOY = dataclasses.replace(
    TASKS["digits8"], name="toy", shapes={key: array.shape for key, array in GOOD.items()}, classes=3
)


def changed(**changes):
    """The good arrays with some exchanged or, with None, left out."""
    return {name: array for name, array in {**GOOD, **changes}.items() if array is not None}


def with_value(key, value):
    array = GOOD[key].copy()
    array.flat[0] = value
    return array


@pytest.mark.parametrize("y", [np.array([1, 2, 3, 1]), np.array([1, 2, 3, 1], dtype=np.uint8)])
def test_arrays_as_declared_have_no_faults(y):
    assert faults(TOY, changed(y=y)) == []


def test_names_of_classes_may_be_text():
    assert faults(TOY, changed(y=GOOD["y"].astype(str), y_test=GOOD["y_test"].astype(str))) == []


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        (changed(y=None), ["y is missing"]),
        (changed(more=np.zeros(4)), ["more does not belong to it"]),
        (changed(x=GOOD["x"][:3]), ["x has shape (3, 1, 2), expected (4, 1, 2)"]),
        (changed(x=GOOD["x"].astype(np.float64)), ["x has the type float64, expected float32"]),
        (changed(x_test=GOOD["x_test"].astype(int)), ["x_test has the type int64, expected float32"]),
        (changed(y=GOOD["y"] + 0.5), ["y has the type float64, expected integers or text"]),
        (changed(group=np.zeros(4)), ["group has the type float64, expected integers or text"]),
        (changed(x=with_value("x", np.nan)), ["x has 1 values that are NaN or infinite"]),
        (changed(x_test=with_value("x_test", -np.inf)), ["x_test has 1 values that are NaN or infinite"]),
        (changed(y=np.array([1, 1, 3, 1])), ["y has 2 classes, expected 3"]),
        (changed(y=np.array([1, 4, 3, 2])), ["y has 4 classes, expected 3"]),
        (changed(y_test=np.array([1, 7])), ["y_test has labels that y lacks, such as 7"]),
        (
            changed(y=None, x=with_value("x", np.nan)[:3]),
            ["y is missing", "x has shape (3, 1, 2), expected (4, 1, 2)", "x has 1 values that are NaN or infinite"],
        ),
    ],
)
def test_every_fault_is_said(arrays, expected):
    assert faults(TOY, arrays) == expected


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([1, 2, 2, 1], []),
        ([1, 0, 3, 1], ["lengths has values from 0 to 3, expected 1 to 2"]),
        ([1, 1.5, 2, 1], ["lengths has the type float64, expected integers"]),
        (["1", "2", "2", "1"], ["lengths has the type <U1, expected integers"]),
    ],
)
def test_lengths_are_whole_numbers_up_to_that_of_the_inputs(lengths, expected):
    task = dataclasses.replace(TOY, shapes={**TOY.shapes, "lengths": (4,)})
    assert faults(task, changed(lengths=np.array(lengths))) == expected


@pytest.mark.parametrize("kind", [TargetKind.MULTI_LABEL, TargetKind.DENSE_BINARY])
def test_labels_that_are_there_or_not_are_0_and_1(kind):
    y = np.array([[0, 1], [1, 1]])
    task = dataclasses.replace(TOY, kind=kind, classes=None, shapes={"y": (2, 2)})
    assert faults(task, {"y": y}) == []
    assert faults(task, {"y": y * 2}) == ["y has values other than 0 and 1"]
    assert faults(task, {"y": y.astype(str)}) == ["y has the type <U21, expected integers"]


@pytest.mark.parametrize("kind", [TargetKind.REGRESSION, TargetKind.DENSE_REGRESSION])
def test_numbers_to_predict_are_finite_floats(kind):
    task = dataclasses.replace(TOY, kind=kind, classes=None, shapes={"y": (2,)})
    assert faults(task, {"y": np.float32([0.5, 7])}) == []
    assert faults(task, {"y": np.float32([0.5, np.inf])}) == ["y has 1 values that are NaN or infinite"]
    assert faults(task, {"y": np.array([1, 2])}) == ["y has the type int64, expected float32"]


class TestCheck:
    @pytest.fixture(autouse=True)
    def toy(self, tmp_path, monkeypatch):
        """The toy task, registered, and the number of times it was built."""
        builds = []

        def build():
            builds.append(1)
            return GOOD

        monkeypatch.setenv("DASHNAS_CACHE", str(tmp_path / "my cache"))
        monkeypatch.setitem(REGISTRY, "toy", dataclasses.replace(TOY, build=build))
        return builds

    def test_fetches_what_is_not_there_and_then_only_reads(self, toy):
        assert check("toy") == check("toy") == fetch("toy") == cached_file("toy")
        assert len(toy) == 1

    def test_a_damaged_file_is_left_and_said_with_the_way_to_mend_it(self, toy):
        path = fetch("toy")
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"toy: it is damaged; remove it \(rm '.*toy\.npz'\) and give the command"):
            check("toy")
        assert path.read_bytes() == content
        path.unlink()
        assert check("toy") == path

    def test_all_that_is_wrong_is_said(self):
        path = fetch("toy")
        np.savez(path, **changed(y_test=None, x=GOOD["x"][:3]))
        with pytest.raises(DataError, match=r"y_test is missing; x has shape \(3, .*expected \(4, 1, 2\); remove"):
            check("toy")

    def test_python_objects_are_not_read(self):
        path = fetch("toy")
        np.savez(path, **changed(y=np.array([1, None, 2, 3])))
        with pytest.raises(DataError, match=r"it cannot be read \(Object arrays cannot be loaded"):
            check("toy")

    def test_a_zip_of_something_else_is_said(self):
        path = fetch("toy")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", b"no array")
        with pytest.raises(DataError, match="is not the task toy: "):
            check("toy")

    def test_what_is_built_wrong_is_our_fault(self, monkeypatch):
        monkeypatch.setitem(REGISTRY, "toy", dataclasses.replace(TOY, build=lambda: changed(group=None)))
        with pytest.raises(DataError, match="group is missing; it was made just now, so this is a bug of dashnas"):
            check("toy")

    def test_an_unknown_name_lists_the_known_ones(self):
        with pytest.raises(ConfigError, match=r"unknown task 'criketx'; did you mean 'cricketx'"):
            check("criketx")
