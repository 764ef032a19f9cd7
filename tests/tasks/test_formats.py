import numpy as np

from dashnas.tasks.cricketx import parse_tsv
from dashnas.tasks.sktime_files import parse_ts
from dashnas.tasks.vowels import resample
from dashnas.tasks.watch import windows


def test_tsv_rows_are_a_label_and_a_series():
    x, y = parse_tsv(b"12\t0.5\t1.5\n3\t-1\t2e0\n")
    np.testing.assert_array_equal(x, np.float32([[[0.5, 1.5]], [[-1, 2]]]))
    np.testing.assert_array_equal(y, [12, 3])


def test_tsv_of_a_single_row():
    x, y = parse_tsv(b"1\t0.5\t1.5\n")
    assert (x.shape, y.shape) == ((1, 1, 2), (1,))


def test_ts_cases_may_differ_in_length():
    content = b"# about\n@problemName toy\n@data\n\n1,2,3:4,5,6:a\n7,8:9,10:b\n"
    first, second = parse_ts(content)
    np.testing.assert_array_equal(first.series, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(second.series, [[7, 8], [9, 10]])
    assert (first.answer, second.answer) == ("a", "b")


def test_resampling_keeps_the_ends_and_is_linear_between():
    series = np.array([[0.0, 2.0, 0.0], [1.0, 1.0, 4.0]])
    np.testing.assert_allclose(resample(series, 5), [[0, 1, 2, 1, 0], [1, 1, 1, 2.5, 4]])


def test_resampling_to_its_own_length_changes_nothing():
    series = np.random.default_rng(0).normal(size=(3, 25))
    np.testing.assert_allclose(resample(series, 25), series, rtol=1e-12)


def test_windows_do_not_overlap_and_drop_the_rest():
    recording = np.arange(14).reshape(7, 2)  # (samples, channels)
    np.testing.assert_array_equal(windows(recording, 3), [[[0, 2, 4], [1, 3, 5]], [[6, 8, 10], [7, 9, 11]]])
