import io
import os
import pickle

import numpy as np
import pytest

from dashnas.errors import DataError
from dashnas.tasks.object_array import read_object_array, read_pickled_array


def saved(content, protocol=4):
    """As `np.save` writes a 0-d object array, with a pickle of our own choice."""
    stream = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    np.lib.format.write_array_header_1_0(stream, header)
    array = np.empty((), dtype=object)
    array[()] = content
    stream.write(pickle.dumps(array, protocol=protocol))
    return stream.getvalue()


class Runs:
    """Unpickling this calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [1, 2, 4])
def test_containers_of_arrays_come_back(protocol):
    content = {"X": [np.arange(6.0).reshape(2, 3), np.arange(3)], "names": ["a", "b"], "y": np.array([1, 0])}
    result = read_object_array(saved(content, protocol))
    assert result["names"] == ["a", "b"]
    np.testing.assert_array_equal(result["y"], content["y"])
    for got, expected in zip(result["X"], content["X"], strict=True):
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == expected.dtype


@pytest.mark.parametrize("protocol", [1, 2, 4])
def test_a_pickle_that_runs_a_command_is_refused_before_it_runs(protocol, tmp_path):
    trace = tmp_path / "trace"
    with pytest.raises(DataError, match=r"asks for (posix|nt)\.system; only arrays of numbers are read"):
        read_object_array(saved({"x": Runs(os.system, f"touch {trace}")}, protocol))
    assert not trace.exists()


@pytest.mark.parametrize("function", [eval, getattr, __import__, pickle.loads, np.load, np.frombuffer, bytearray])
def test_any_other_function_is_refused(function):
    with pytest.raises(DataError, match="only arrays of numbers are read"):
        read_object_array(saved(Runs(function, "1")))


def test_other_codecs_than_latin1_are_refused():
    import _codecs

    with pytest.raises(DataError, match="bytes as latin1 text; this one asks for 'utf-16'"):
        read_object_array(saved(Runs(_codecs.encode, "1", "utf-16")))


@pytest.mark.parametrize("content", [b"", b"not a npy file", saved({"x": 1})[:-20], saved([])[:128] + b"."])
def test_damaged_files_are_said(content):
    with pytest.raises(DataError, match="cannot read this as a pickled object array"):
        read_object_array(content)


class TestPickledArray:
    @pytest.mark.parametrize("array", [np.arange(6, dtype=np.uint8).reshape(2, 3), np.arange(3.0)])
    def test_comes_back(self, array):
        got = read_pickled_array(pickle.dumps(array, protocol=4))
        np.testing.assert_array_equal(got, array)
        assert got.dtype == array.dtype

    def test_a_pickle_that_runs_a_command_is_refused_before_it_runs(self, tmp_path):
        trace = tmp_path / "trace"
        with pytest.raises(DataError, match=r"asks for (posix|nt)\.system; only arrays of numbers are read"):
            read_pickled_array(pickle.dumps(Runs(os.system, f"touch {trace}")))
        assert not trace.exists()

    @pytest.mark.parametrize(("content", "name"), [([1, 2], "list"), (np.array([None]), "ndarray")])
    def test_anything_else_is_said(self, content, name):
        with pytest.raises(DataError, match=f"this pickle holds {name}, not an array of numbers"):
            read_pickled_array(pickle.dumps(content))

    def test_a_damaged_one_is_said(self):
        with pytest.raises(DataError, match="cannot read this as a pickled array"):
            read_pickled_array(pickle.dumps(np.arange(3))[:-10])
