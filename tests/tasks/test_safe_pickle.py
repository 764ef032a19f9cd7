import io
import os
import pickle

import numpy as np
import pytest

from dashnas.errors import DataError
from dashnas.tasks.safe_pickle import load_npy, load_npy_objects, load_pickle_file


def saved(content, protocol=4):
    """As `np.save` writes a 0-d object array, with a pickle of our own choice."""
    stream = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    np.lib.format.write_array_header_1_0(stream, header)
    array = np.empty((), dtype=object)
    array[()] = content
    stream.write(pickle.dumps(array, protocol=protocol))
    return stream.getvalue()


def objects_of(content):
    return load_npy_objects(io.BytesIO(content), "a.npy")


class Runs:
    """Unpickling this calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [1, 2, 4])
def test_containers_of_arrays_come_back(protocol):
    content = {"X": [np.arange(6.0).reshape(2, 3), np.arange(3)], "names": ["a", "b"], "y": np.array([1, 0])}
    result = objects_of(saved(content, protocol))
    assert result["names"] == ["a", "b"]
    np.testing.assert_array_equal(result["y"], content["y"])
    for got, expected in zip(result["X"], content["X"], strict=True):
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == expected.dtype


@pytest.mark.parametrize("protocol", [1, 2, 4])
def test_a_pickle_that_runs_a_command_is_refused_before_it_runs(protocol, tmp_path):
    trace = tmp_path / "trace"
    with pytest.raises(DataError, match=r"asks for (posix|nt)\.system; only arrays of numbers are read"):
        objects_of(saved({"x": Runs(os.system, f"touch {trace}")}, protocol))
    assert not trace.exists()


@pytest.mark.parametrize("function", [eval, getattr, __import__, pickle.loads, np.load, np.frombuffer, bytearray])
def test_any_other_function_is_refused(function):
    with pytest.raises(DataError, match="only arrays of numbers are read"):
        objects_of(saved(Runs(function, "1")))


def test_other_codecs_than_latin1_are_refused():
    import _codecs

    with pytest.raises(DataError, match="bytes as latin1 text; this one asks for 'utf-16'"):
        objects_of(saved(Runs(_codecs.encode, "1", "utf-16")))


@pytest.mark.parametrize("content", [b"", b"not a npy file", saved({"x": 1})[:-20], saved([])[:128] + b"."])
def test_damaged_files_are_said(content):
    with pytest.raises(DataError, match=r"a\.npy is damaged(, cut short, or not a \.npy file| or was cut short)"):
        objects_of(content)


class TestFiles:
    """`load_pickle_file` and `load_npy`: official files, with the file named in every refusal."""

    @pytest.mark.parametrize("protocol", range(6))
    def test_a_pickle_of_arrays_and_scalars_comes_back(self, protocol, tmp_path):
        content = {"data": np.arange(6, dtype=np.int16).reshape(2, 3), "n": np.float64(2.5), "s": np.str_("a"), 1: None}
        path = tmp_path / "a.pkl"
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        got = load_pickle_file(path)
        np.testing.assert_array_equal(got.pop("data"), content["data"])
        assert got == {"n": 2.5, "s": "a", 1: None}

    def test_an_object_array_of_arrays_comes_back(self, tmp_path):
        ragged = np.empty(2, object)
        ragged[:] = [np.arange(3, dtype=np.int16), np.arange(5, dtype=np.int16)]
        path = tmp_path / "ragged.pkl"
        path.write_bytes(pickle.dumps({"data": ragged}))
        got = load_pickle_file(path)["data"]
        assert [series.tolist() for series in got] == [[0, 1, 2], [0, 1, 2, 3, 4]]

    def test_bytes_of_python_2_come_back_as_text_or_as_bytes(self, tmp_path):
        path = tmp_path / "two.pkl"
        path.write_bytes(b"(dp0\nS'caf\\xe9'\np1\nI5\ns.")  # {'caf\xe9': 5}, as Python 2 writes it
        assert load_pickle_file(path, encoding="latin1") == {"café": 5}
        assert load_pickle_file(path, encoding="bytes") == {b"caf\xe9": 5}

    @pytest.mark.parametrize("protocol", [0, 2, 4])
    def test_a_pickle_that_runs_a_command_is_refused_before_it_runs(self, protocol, tmp_path):
        path, trace = tmp_path / "bad.pkl", tmp_path / "trace"
        path.write_bytes(pickle.dumps({"data": Runs(os.system, f"touch {trace}")}, protocol=protocol))
        with pytest.raises(DataError, match=r"bad\.pkl is refused: the pickle asks for (posix|nt)\.system; only"):
            load_pickle_file(path)
        assert not trace.exists()

    def test_an_npy_that_runs_a_command_is_refused_before_it_runs(self, tmp_path):
        path, trace = tmp_path / "bad.npy", tmp_path / "trace"
        path.write_bytes(saved({"data": Runs(os.system, f"touch {trace}")}))
        with pytest.raises(DataError, match=r"bad\.npy is refused: the pickle asks for (posix|nt)\.system; only"):
            load_npy(path)
        assert not trace.exists()

    def test_objects_hidden_in_plain_bytes_are_refused(self, tmp_path):
        path = tmp_path / "bad.pkl"
        numeric = np.zeros(1).__reduce_ex__(5)[0]
        path.write_bytes(pickle.dumps(Runs(numeric, b"12345678", np.dtype(object), (1,), "C")))
        with pytest.raises(DataError, match="holds Python objects as plain bytes; only numbers are read so"):
            load_pickle_file(path)

    @pytest.mark.parametrize("lazily", [False, True])
    def test_an_npy_of_numbers_comes_back(self, lazily, tmp_path):
        np.save(tmp_path / "a.npy", np.arange(6.0).reshape(2, 3))
        got = load_npy(tmp_path / "a.npy", lazily=lazily)
        np.testing.assert_array_equal(got, np.arange(6.0).reshape(2, 3))
        assert isinstance(got, np.memmap) == lazily

    def test_an_npy_of_one_object_or_of_several_comes_back(self, tmp_path):
        np.save(tmp_path / "one.npy", np.array({"label": np.arange(2)}, dtype=object))
        assert load_npy(tmp_path / "one.npy")["label"].tolist() == [0, 1]
        several = np.empty(3, object)
        several[:] = [2, "AC", np.eye(2)]
        np.save(tmp_path / "three.npy", several)
        length, sequence, distances = load_npy(tmp_path / "three.npy")
        assert (length, sequence, distances.tolist()) == (2, "AC", np.eye(2).tolist())

    @pytest.mark.parametrize("keep", [0, 5, 60, 140])
    def test_files_that_were_cut_short_are_said(self, keep, tmp_path):
        np.save(tmp_path / "whole.npy", np.array({"label": np.arange(200)}, dtype=object))
        path = tmp_path / "cut.npy"
        path.write_bytes((tmp_path / "whole.npy").read_bytes()[:keep])
        with pytest.raises(DataError, match=r"cut\.npy is damaged"):
            load_npy(path)
        path = tmp_path / "cut.pkl"
        path.write_bytes(pickle.dumps(np.arange(200))[:keep])
        with pytest.raises(DataError, match=r"cut\.pkl is damaged or was cut short"):
            load_pickle_file(path)

    @pytest.mark.parametrize("load", [load_pickle_file, load_npy])
    def test_a_file_that_is_not_there_is_said(self, load, tmp_path):
        with pytest.raises(DataError, match="gone cannot be read: No such file"):
            load(tmp_path / "gone")

    def test_another_array_than_the_header_tells_of_is_said(self, tmp_path):
        content = saved({"label": 1})
        path = tmp_path / "odd.npy"
        path.write_bytes(content[: content.index(b"\n") + 1] + pickle.dumps([1, 2]))
        with pytest.raises(DataError, match=r"its pickle is not the array of shape \(\) that its header tells of"):
            load_npy(path)
