"""Where data come from: files, folders, text, arrays and Datasets, all with the same outcome."""

import numpy as np
import pytest
import torch
from kinds_of_data import arrays, inputs, targets
from torch.utils.data import Dataset, TensorDataset

from dashnas.data import DataConfig, TargetKind, prepare
from dashnas.data.source import read_source
from dashnas.data.tables import ArrayTable


class Items(Dataset):
    """A Dataset that fetches by item and remembers which were fetched."""

    def __init__(self, samples, make):
        self.samples, self.make, self.fetched = samples, make, []

    def __len__(self):
        return self.samples

    def __getitem__(self, position):
        self.fetched.append(position)
        return self.make(position)


def first_batch(source, **config):
    return prepare(source, DataConfig(**config), seed=0).train.batch([3, 0, 1])


def save_folder(folder, data):
    for name, array in data.items():
        np.save(folder / f"{name}.npy", array)
    return folder


@pytest.mark.parametrize("kind", [TargetKind.CLASSES, TargetKind.DENSE_REGRESSION])
def test_every_source_gives_the_same_samples(kind, tmp_path):
    data = arrays(kind)
    x, y = data["x"], data["y"]
    np.savez(tmp_path / "data.npz", **data)
    np.savez_compressed(tmp_path / "small.npz", **data)
    (tmp_path / "folder").mkdir()
    sources = {
        "npz": tmp_path / "data.npz",
        "text path": str(tmp_path / "data.npz"),
        "compressed": tmp_path / "small.npz",
        "folder": save_folder(tmp_path / "folder", data),
        "pair": (x, y),
        "tensors": (torch.from_numpy(x), torch.from_numpy(y)),
        "lists": {"x": x.tolist(), "y": y.tolist()},
        "TensorDataset": TensorDataset(torch.from_numpy(x), torch.from_numpy(y)),
        "pairs": Items(40, lambda i: (torch.from_numpy(x[i]), y[i])),
        "dicts": Items(40, lambda i: {"x": x[i], "y": torch.as_tensor(y[i])}),
    }
    expected = first_batch(data)
    for name, source in sources.items():
        batch = first_batch(source)
        assert torch.equal(batch.x, expected.x), name
        assert torch.equal(batch.y, expected.y), name


def test_further_arrays_travel_with_their_samples(tmp_path):
    data = arrays(TargetKind.CLASSES, age=np.arange(40), site=np.array(["north", "south"] * 20))
    batch = first_batch(data)
    assert set(batch.fields) == {"age", "site"}
    assert np.array_equal(np.where(batch.fields["age"] % 2, "south", "north"), batch.fields["site"])


def test_fields_and_groups_of_given_parts(tmp_path):
    data = arrays(TargetKind.CLASSES, group=np.arange(40) // 4, age=np.arange(40))
    data |= {
        "x_val": inputs(6),
        "y_val": np.arange(6) % 3,
        "group_val": np.full(6, 99),
        "age_val": np.full(6, 7),
    }
    prepared = prepare(data, DataConfig(), seed=0)
    assert set(prepared.validation.fields["group"]) == {99}
    assert set(prepared.validation.batch([0, 1]).fields["age"]) == {7}
    assert 99 in prepared.development.fields["group"]


def test_arrays_of_another_part_are_no_fields():
    part = {"x_val": inputs(40, seed=9), "y_val": np.arange(40) % 3, "age_val": np.arange(40)}
    data = prepare(arrays(TargetKind.CLASSES) | part, DataConfig(), seed=0)
    assert data.train.fields == {}
    assert set(data.validation.fields) == {"age"}


def test_an_array_without_a_row_per_sample_is_left_out_with_a_warning():
    prepared = prepare(arrays(TargetKind.CLASSES, wavelengths=np.arange(12)), DataConfig(), seed=0)
    assert prepared.train.fields == {}
    assert "array 'wavelengths' (12,) has no row per sample and is left out" in prepared.warnings


@pytest.mark.parametrize(("name", "meant"), [("groups", "group"), ("x_valid", "x_val"), ("masks", "mask")])
def test_a_name_that_looks_mistaken_is_told(name, meant):
    for rows in (40, 7):
        prepared = prepare(arrays(TargetKind.CLASSES) | {name: np.arange(rows)}, DataConfig(), seed=0)
        assert any(f"did you mean '{meant}'?" in warning for warning in prepared.warnings)


def test_a_group_in_two_given_parts_is_told():
    data = arrays(TargetKind.CLASSES, group=np.arange(40) // 4)
    data |= {"x_test": inputs(3), "y_test": np.arange(3), "group_test": np.array([1, 98, 99])}
    assert any(
        "1 groups, such as 1, are both in x and in x_test" in w for w in prepare(data, DataConfig(), seed=0).warnings
    )


def test_a_folder_is_memory_mapped_and_read_row_by_row(tmp_path):
    tables = read_source(save_folder(tmp_path, arrays(TargetKind.CLASSES))).tables
    assert isinstance(tables["train"], ArrayTable)
    column = tables["train"]._columns["x"]
    assert isinstance(column, np.memmap)
    assert column.mode == "r"
    taken = tables["train"].take(np.array([9, 2, 2]), ["x"])["x"]
    assert not isinstance(taken, np.memmap)
    assert np.array_equal(taken, inputs()[[9, 2, 2]])


def test_looking_through_a_memory_map_never_holds_more_than_a_piece(tmp_path, monkeypatch):
    monkeypatch.setattr("dashnas.data.tables.CHUNK_BYTES", 4 * 2 * 12 * 8)
    pieces = []
    take = ArrayTable.take

    def watched(self, rows, names):
        taken = take(self, rows, names)
        pieces.extend(len(taken[name]) for name in names if name == "x")
        return taken

    monkeypatch.setattr(ArrayTable, "take", watched)
    whole = prepare(arrays(TargetKind.CLASSES), DataConfig(), seed=0)
    mapped = prepare(save_folder(tmp_path, arrays(TargetKind.CLASSES)), DataConfig(), seed=0)
    assert max(pieces) == 4
    assert mapped.normaliser == whole.normaliser
    assert mapped.fingerprint == whole.fingerprint


def test_a_batch_of_a_dataset_fetches_its_items_only():
    x, y = inputs(), targets(TargetKind.CLASSES)
    dataset = Items(40, lambda i: (x[i], y[i]))
    data = prepare(dataset, DataConfig(), seed=0)
    dataset.fetched.clear()
    data.train.batch([0, 1, 2])
    assert len(dataset.fetched) == 3


def test_datasets_by_part():
    x, y = inputs(60), targets(TargetKind.CLASSES, 60)
    parts = {
        name: Items(20, lambda i, start=start: (x[start + i], y[start + i]))
        for name, start in (("train", 0), ("validation", 20), ("test", 40))
    }
    data = prepare(parts, DataConfig(), seed=0)
    assert np.array_equal(data.development.targets(), y[:40])
    assert np.array_equal(data.test.open().targets(), y[40:])
    assert data.development.batch([0, 39]).y.tolist() == [y[0], y[39]]


def test_dataset_targets_of_mixed_types_are_told_from_all_items():
    values = [1, 0.5] * 20
    data = prepare(Items(40, lambda i: (inputs()[i], values[i])), DataConfig(), seed=0)
    assert data.spec.target_kind is TargetKind.REGRESSION


@pytest.mark.parametrize(
    ("shape", "images", "channels", "spatial", "told"),
    [
        ((40, 9), False, 1, (9,), "40 samples of 1 channel, length 9"),
        ((40, 3, 9), False, 3, (9,), "40 samples of 3 channels, length 9"),
        ((40, 3, 9), True, 1, (3, 9), "40 samples of 1 channel, 3 by 9"),
        ((40, 3, 5, 6), False, 3, (5, 6), "40 samples of 3 channels, 5 by 6"),
        ((40, 3, 5, 6), True, 3, (5, 6), "40 samples of 3 channels, 5 by 6"),
    ],
)
def test_axes_of_inputs(shape, images, channels, spatial, told):
    x = np.random.default_rng(0).random(shape)
    data = prepare((x, np.arange(40) % 2), DataConfig(images=images), seed=0)
    assert (data.spec.channels, data.spec.spatial_shape) == (channels, spatial)
    assert data.train.batch([0]).x.shape == (1, channels, *spatial)
    assert told in " ".join(data.reading)


@pytest.mark.parametrize(
    ("shape", "hint"),
    [((40, 8, 8), "images=True"), ((40, 9, 9, 3), "last axis"), ((40, 90, 3), "last axis")],
)
def test_axes_that_look_otherwise_are_told(shape, hint):
    data = prepare((np.random.default_rng(0).random(shape), np.arange(40) % 2), DataConfig(), seed=0)
    assert any(hint in warning for warning in data.warnings)


def test_the_fingerprint_is_that_of_the_content():
    data = arrays(TargetKind.CLASSES)
    same = prepare(arrays(TargetKind.CLASSES), DataConfig(), seed=5).fingerprint
    assert prepare(data, DataConfig(), seed=0).fingerprint == same
    for name in ("x", "y"):
        changed = data[name].copy()
        changed.flat[[7, 0]] = changed.flat[[0, 7]]
        assert prepare(data | {name: changed}, DataConfig(), seed=0).fingerprint != same
    assert prepare(data | {"x": data["x"].astype("f4")}, DataConfig(), seed=0).fingerprint != same


def test_of_a_huge_column_the_fingerprint_reads_a_sample(monkeypatch):
    monkeypatch.setattr("dashnas.data.fingerprint.WHOLE_BYTES", 100)
    monkeypatch.setattr("dashnas.data.fingerprint.SAMPLE_BYTES", 100)
    data = arrays(TargetKind.CLASSES, 400)
    before = prepare(data, DataConfig(), seed=0).fingerprint
    data["x"][1] += 1  # between the rows that are read
    assert prepare(data, DataConfig(), seed=0).fingerprint == before
    data["x"][-1] += 1
    assert prepare(data, DataConfig(), seed=0).fingerprint != before


def test_names_of_classes_are_shown_on_one_line():
    y = np.array(["plain", "two\nlines", "\x1b[31mred", "long" * 99])[np.arange(40) % 4]
    (line,) = (text for text in prepare((inputs(), y), DataConfig(), seed=0).reading if text.startswith("classes: "))
    assert line == rf"classes: 4 ('\x1b[31mred', {'long' * 9}l..., plain, 'two\nlines')"
