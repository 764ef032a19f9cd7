"""Data that cannot be learned from are refused with what was wrong, what was expected and how to mend it."""

import os
import pickle

import numpy as np
import pytest
import torch
from kinds_of_data import arrays, inputs, targets
from torch.utils.data import Dataset, IterableDataset

from dashnas.data import DataConfig, TargetKind, prepare
from dashnas.errors import ConfigError, DataError

Y = np.arange(40) % 2


class Trap:
    """Would betray itself if it were ever unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("an object was unpickled",))


def refused(source, message, **config):
    with pytest.raises(DataError, match=f"(?s){message}") as raised:
        prepare(source, DataConfig(**config), seed=0)
    assert len(str(raised.value)) < 500


def test_missing_file(tmp_path):
    refused(tmp_path / "none.npz", "none.npz does not exist; expected an .npz file")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK", b"PK\x01\x02", pickle.dumps({"x": 1})])
def test_not_an_npz(tmp_path, content):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    refused(path, r"is not an .npz file; expected.*numpy\.savez")


@pytest.mark.parametrize("keep", [10, 0.5, 0.99])
def test_truncated_npz(tmp_path, keep):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays(TargetKind.CLASSES))
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep > 1 else keep * len(content))])
    refused(path, "damaged or was cut short.*copy or save it again")


def test_an_npz_with_flipped_bytes(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays(TargetKind.CLASSES))
    content = bytearray(path.read_bytes())
    content[1000:1010] = b"corruption"
    path.write_bytes(content)
    refused(path, "damaged or was cut short")


def test_a_zip_of_something_else(tmp_path):
    import zipfile

    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(path, "^[^ ]* is a zip file, but 'readme.txt' in it is no NumPy array")


def test_pickled_objects_are_never_loaded(tmp_path):
    y = np.array([Trap()] * 40, dtype=object)
    np.savez(tmp_path / "data.npz", x=inputs(), y=y)
    refused(tmp_path / "data.npz", r"^y in .* holds pickled Python objects, which are never loaded.*astype\(str\)$")
    np.save(tmp_path / "x.npy", inputs())
    np.save(tmp_path / "y.npy", y)
    refused(tmp_path, "y in .* holds pickled Python objects")


def test_a_pickle_that_is_called_npy(tmp_path):
    np.save(tmp_path / "x.npy", inputs())
    (tmp_path / "y.npy").write_bytes(pickle.dumps(Trap()))
    refused(tmp_path, "y.npy is not a .npy file")


def test_truncated_npy(tmp_path):
    np.save(tmp_path / "x.npy", inputs())
    content = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(content[:-8])
    refused(tmp_path, "x.npy is damaged or was cut short")


def test_a_folder_in_place_of_an_array(tmp_path):
    (tmp_path / "x.npy").mkdir()
    refused(tmp_path, "x.npy cannot be read: Is a directory")


def test_a_path_that_no_file_can_have(tmp_path):
    refused(tmp_path / ("a" * 300), "cannot be read: File name too long")
    refused("~nobody-of-this-name/data.npz", "~nobody-of-this-name/data.npz cannot be found")


@pytest.mark.parametrize("name", ["data.npz", "data.csv"])
def test_a_pipe_is_refused_rather_than_waited_for(name, tmp_path):
    os.mkfifo(tmp_path / name)
    refused(tmp_path / name, f"{name} is a pipe or a device; save the data in a file first")


def test_a_folder_without_arrays(tmp_path):
    refused(tmp_path, "holds no .npy files; expected x.npy and y.npy")


def test_a_single_npy(tmp_path):
    np.save(tmp_path / "x.npy", inputs())
    refused(tmp_path / "x.npy", "single array, but targets are needed too")


@pytest.mark.parametrize("key", ["x", "y"])
def test_no_x_or_y(tmp_path, key):
    data = {name.replace(key, "stuff"): value for name, value in {"x": inputs(), "y": Y}.items()}
    refused(data, f"no array '{key}'.*found: {', '.join(sorted(data))};")
    np.savez(tmp_path / "data.npz", **data)
    refused(tmp_path / "data.npz", f"no array '{key}' in .*data.npz")
    refused({}, "no array 'x'.*found: nothing")
    refused({0: inputs(), 1: Y}, "no array 'x'.*found: 0, 1;")


def test_a_given_part_must_be_whole():
    refused({"x": inputs(), "y": Y, "x_test": inputs()}, "no array 'y_test'")
    refused({"x": inputs(), "y": Y, "y_test": Y}, "y_test in .* comes without x_test")


@pytest.mark.parametrize("name", ["y", "group", "mask"])
def test_lengths_that_differ(name):
    data = arrays(TargetKind.DENSE_BINARY) | {name: np.ones((39, 12))}
    refused(data, rf"x has 40 samples but {name} has 39 \(shape \(39, 12\)\)")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_inputs_that_are_not_finite(value):
    x = inputs()
    x[7, 1, 3] = x[9, 0, 0] = value
    refused(
        (x, Y),
        r"x holds 2 values that are NaN or infinite, the first at x\[7, 1, 3\].*impute=True \(--impute\)",
    )
    data = {"x": inputs(), "y": Y, "x_test": x, "y_test": Y}
    refused(data, r"x_test holds 2 values .* first at x_test\[7, 1, 3\]")


def test_not_finite_beyond_the_first_piece(monkeypatch):
    monkeypatch.setattr("dashnas.data.tables.CHUNK_BYTES", 1000)
    x = inputs()
    x[31, 0, 1] = np.nan
    refused((x, Y), r"the first at x\[31, 0, 1\]")
    y = targets(TargetKind.DENSE_REGRESSION)
    y[31, 4] = np.nan
    refused((inputs(), y), r"the first at y\[31, 4\]")


def test_a_channel_that_cannot_be_imputed():
    x = inputs()
    x[:, 1] = np.nan
    refused((x, Y), "channel 1 of x has no finite value", impute=True)


@pytest.mark.parametrize("x", [np.full((40, 8), "a"), np.zeros((40, 8), "M8[s]")])
def test_inputs_that_are_no_numbers(x):
    refused((x, Y), "x has the type .*; expected numbers")


def test_complex_inputs():
    refused((inputs() * 1j, Y), r"x is complex.*numpy.stack\(\[x.real, x.imag\], axis=1\)")


@pytest.mark.parametrize(("samples", "found"), [(0, "no samples"), (1, "1 sample")])
def test_empty_or_one_sample(samples, found):
    refused((inputs(samples), Y[:samples]), f"x holds {found}.*at least 2")


def test_one_class_only():
    refused((inputs(), np.zeros(40, int)), "y holds only one class, 0")
    refused((inputs(), np.array(["a"] * 40)), "y holds only one class, 'a'")
    refused((inputs(), np.ones((40, 12), int)), "y holds only one class: all targets are equal")
    refused((inputs(), np.zeros((40, 12), int) + 5), "y holds only one class, 5")
    refused((inputs(), np.ones((40, 3), int)), "y holds only one class: all targets are equal")


def test_labels_that_never_change_are_a_warning():
    y = np.random.default_rng(0).integers(0, 2, (40, 3))
    y[:, 1] = 0
    data = prepare((inputs(), y), DataConfig(), seed=0)
    assert "labels 1 have the same value in every sample" in data.warnings


def test_a_class_with_one_sample():
    y = Y.copy()
    y[5] = 7
    refused((inputs(), y), "class 7 has only one sample")
    refused((inputs(), np.arange(40)), "40 classes, such as 0, have only one sample.*--target regression")


@pytest.mark.parametrize("part", ["test", "val"])
def test_labels_that_training_lacks(part):
    data = {"x": inputs(), "y": Y, f"x_{part}": inputs(4), f"y_{part}": np.array([0, 1, 5, 6])}
    refused(data, f"y_{part} holds labels that y, which is trained on, lacks: 5, 6")
    dense = arrays(TargetKind.DENSE_BINARY) | {f"x_{part}": inputs(4), f"y_{part}": np.full((4, 12), 3)}
    refused(dense, f"y_{part} holds labels that y, which is trained on, lacks: 3; expected 0 and 1")


def test_given_targets_of_another_type_or_shape():
    text = {"x": inputs(), "y": Y, "x_test": inputs(2), "y_test": np.array(["0", "1"])}
    refused(text, "y_test has the type <U1 but y int64")
    matrix = {"x": inputs(), "y": Y, "x_test": inputs(2), "y_test": np.ones((2, 3))}
    refused(matrix, r"y_test has the shape \(2, 3\) but y \(40,\)")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((40,), r"x has 1 axes, shape \(40,\); expected \(n, length\)"),
        ((40, 1, 2, 3, 4), "x has 5 axes"),
        ((40, 3, 0), "samples hold no values"),
    ],
)
def test_wrong_number_of_axes(shape, message):
    refused((np.ones(shape), Y), message)


def test_flat_rows_cannot_be_images():
    refused((np.random.rand(40, 9), Y), r"cannot be images; expected \(n, height, width\)", images=True)


@pytest.mark.parametrize("x_test", [inputs(5, (11,)), inputs(5, channels=3)])
def test_given_parts_of_another_shape(x_test):
    data = {"x": inputs(), "y": Y, "x_test": x_test, "y_test": Y[:5]}
    refused(data, "x_test has .* channels, length 1[12], but x has 2 channels, length 12")


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((40, 11)), r"mask has the shape \(40, 11\); expected \(40, 12\)"),
        (np.ones((40, 12)) * 2, "mask holds other values than 0 and 1"),
        (np.zeros((40, 12)), "mask is 0 everywhere"),
        (np.full((40, 12), "1"), "mask has the type <U1"),
    ],
)
def test_masks_that_are_none(mask, message):
    refused(arrays(TargetKind.DENSE_BINARY, mask=mask), message)


def test_a_mask_where_targets_have_no_positions():
    refused(arrays(TargetKind.CLASSES, mask=np.ones((40, 12))), "there is a mask, but y is classes")


def test_groups_of_a_wrong_shape():
    refused(arrays(TargetKind.CLASSES, group=np.ones((40, 2))), r"group has the shape \(40, 2\).*\(40,\)")


def test_targets_that_are_not_finite():
    y = np.arange(40.0)
    y[[3, 5]] = np.nan
    refused((inputs(), y), r"y holds 2 values that are NaN or infinite, the first at y\[3\]")
    refused((inputs(), y), r"y holds 2 values", impute=True)
    dense = targets(TargetKind.DENSE_REGRESSION)
    dense[4, 2] = np.nan
    refused({"x": inputs(), "y": dense}, r"the first at y\[4, 2\].*give a mask that is 0 there")
    mask = np.ones_like(dense)
    refused({"x": inputs(), "y": dense, "mask": mask}, "NaN or infinite where mask is 1")


def test_python_objects():
    refused((inputs(), np.array([{}, None] * 20)), r"y holds Python objects of the types \['NoneType', 'dict'\]")
    refused((inputs(), np.array([b"\xff", b"a"] * 20)), "y holds bytes that are not UTF-8 text")
    refused((inputs(), [[1, 2], [3]]), "y is not an array.*rows of equal length")
    refused((np.ma.masked_array(inputs(), inputs() > 0), Y), "x is a numpy masked array")


@pytest.mark.parametrize("x", [torch.eye(40).to_sparse(), torch.empty(40, 8, device="meta")])
def test_tensors_that_are_no_arrays(x):
    refused((x, Y), r"x is a tensor that NumPy cannot hold \(.*\); give a dense one")


@pytest.mark.parametrize("source", [3, None, [inputs(), Y], inputs()])
def test_something_else_than_data(source):
    refused(source, "cannot read data from .*; expected a path, a dict of arrays")


class Listed(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, position):
        return self.items[position]


class Stream(IterableDataset):
    def __iter__(self):
        return iter([])


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Stream(), "expected a map-style Dataset"),
        (Listed([]), "is empty"),
        (Listed([(1, 2, 3)] * 5), "tuples of 3; expected pairs"),
        (Listed([torch.ones(3)] * 5), "have no 'y'; found x"),
        (Listed([{"image": 1, "y": 1}] * 5), "have no 'x'; found image, y"),
        (
            Listed([(torch.ones(9 + (i == 7)), i % 2) for i in range(20)]),
            r"shape \(9,\) in the first and \(10,\)",
        ),
        (
            Listed([{"x": torch.rand(9), "y": i % 2} if i != 7 else {"x": torch.rand(9)} for i in range(20)]),
            "some have no 'y', which the first has",
        ),
    ],
)
def test_datasets_that_cannot_be_used(dataset, message):
    refused(dataset, message)


def test_datasets_of_unknown_parts():
    good = Listed([(torch.rand(9), i % 2) for i in range(20)])
    refused({"train": good, "tset": good}, "unknown part 'tset'; did you mean 'test'")
    refused({"test": good}, "no 'train' dataset among test")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "clases"}, "unknown target kind 'clases'; did you mean 'classes'"),
        ({"validation_fraction": 0}, "validation_fraction must be above 0 and below 1, got 0"),
        ({"test_fraction": 1}, "test_fraction must be at least 0 and below 1, got 1"),
        ({"validation_fraction": 0.5, "test_fraction": 0.5}, "leave nothing to train on"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ConfigError, match=message):
        DataConfig(**settings)
