"""ECG: division, windows and votes; check values of the official file, which has 8,528 recordings."""

import pickle

import numpy as np
import pytest
from tiny_official import make, prepared

from dashnas.errors import DataError
from dashnas.tasks.nb360.ecg import WindowTable, divide, starts

RECORDS = 8528


class TestDivision:
    def test_the_test_part_begins_with_these_recordings(self):
        for protocol in ("clean", "nb360-official", "dash-official"):
            parts = divide(RECORDS, protocol)
            assert parts["test"][:5].tolist() == [2044, 2916, 274, 6817, 4750]
            assert (len(parts["final"]), len(parts["test"])) == (7675, 853)
            assert (len(parts["train"]), len(parts["validation"])) == (6822, 853)
            assert not set(parts["train"]) & (set(parts["validation"]) | set(parts["test"]))

    def test_it_is_that_of_scikit_learn(self):
        from sklearn.model_selection import train_test_split

        train, test = train_test_split(np.arange(RECORDS), test_size=0.1, random_state=0)
        fitted, held = train_test_split(np.arange(RECORDS), test_size=0.2, random_state=0)
        validation, _ = train_test_split(held, test_size=0.5, random_state=0)
        parts = divide(RECORDS, "nb360-official")
        for name, expected in (("final", train), ("test", test), ("train", fitted), ("validation", validation)):
            assert sorted(parts[name]) == sorted(expected)

    def test_validation_overlaps_the_test_part_only_under_the_official_protocols(self):
        overlap = {p: set(divide(RECORDS, p)["validation"]) & set(divide(RECORDS, p)["test"]) for p in PROTOCOLS}
        assert {protocol: len(both) for protocol, both in overlap.items()} == {
            "clean": 0,
            "nb360-official": 429,
            "dash-official": 429,
        }


PROTOCOLS = ("clean", "nb360-official", "dash-official")


class TestWindows:
    @pytest.mark.parametrize(("label", "expected"), [(0, 16), (1, 97), (2, 32), (3, 320)])
    def test_their_distance_depends_on_the_label(self, label, expected):
        assert len(starts(9000, label)) == expected

    def test_one_that_would_end_with_the_last_sample_is_left_out(self):
        assert starts(2000, 0).tolist() == [0, 500]
        assert starts(1000, 0).tolist() == []

    def test_they_are_cut_from_their_recording(self):
        series = [np.arange(1600.0), -np.arange(1100.0)]
        table = WindowTable(series, np.array([0, 3]))
        got = table.take(slice(None), ["x", "y", "record"])
        assert got["record"].tolist() == [0, 0, 1, 1, 1, 1]
        assert got["y"].tolist() == [0, 0, 3, 3, 3, 3]
        assert got["x"][1, 0, [0, -1]].tolist() == [500, 1499]
        assert got["x"][5, 0, [0, -1]].tolist() == [-75, -1074]

    def test_windows_of_recordings_keep_the_order_of_these(self):
        table = WindowTable([np.zeros(1600), np.zeros(1000), np.zeros(1100)], np.array([0, 0, 3]))
        assert table.windows_of(np.array([2, 1, 0])).tolist() == [2, 3, 4, 5, 0, 1]


def test_recordings_are_normalised_by_themselves(tmp_path):
    make("ecg", tmp_path)
    raw = pickle.loads((tmp_path / "ecg/challenge2017.pkl").read_bytes())["data"]
    part = prepared("ecg", tmp_path).test.open()
    record = part.fields["record"][0]
    series = raw[record].astype(float)
    expected = ((series - series.mean()) / series.std())[:1000]
    np.testing.assert_allclose(part.batch([0]).x[0, 0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": np.array(["X"] * 40)}, "label in .*challenge2017.pkl holds 'X'; expected only N, A, O, ~"),
        ({"label": np.array(["N"] * 39)}, r"holds 40 recordings and \(39,\) labels; expected as many, at least 10"),
        ({"data": [np.zeros((2, 2))] * 40}, r"recording 0 in .* is no series of finite numbers; its shape is \(2, 2\)"),
    ],
)
def test_other_content_is_refused(change, message, tmp_path):
    path = make("ecg", tmp_path) / "challenge2017.pkl"
    path.write_bytes(pickle.dumps({**pickle.loads(path.read_bytes()), **change}))
    with pytest.raises(DataError, match=message):
        prepared("ecg", tmp_path)
