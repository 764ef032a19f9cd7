"""Series of unequal length: how they may be given, what is made of them, and what is refused."""

import numpy as np
import pytest
import torch
from kinds_of_data import targets

from dashnas.data import DataConfig, TargetKind, prepare, read_inputs
from dashnas.data.series import real_positions
from dashnas.errors import DataError

LENGTHS = np.random.default_rng(5).integers(3, 12, 40)
LENGTHS[7] = 12


def series(lengths=LENGTHS, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(3, 2, (channels, n)) for n in lengths]


def padded(items, longest=12, fill=0.0):
    x = np.full((len(items), *items[0].shape[:-1], longest), fill)
    for row, one in zip(x, items, strict=True):
        row[..., : one.shape[-1]] = one
    return x


def read(source, **config):
    return prepare(source, DataConfig(**config), seed=0)


def everything(data):
    """All samples of a data set in a few batches, as tensors."""
    parts = [data.train, data.validation, *([data.test.open()] if data.test else [])]
    return [batch._replace(fields={}) for part in parts for batch in part.batches(17)]


def assert_same(one, other):
    assert one.spec == other.spec
    assert one.normaliser == other.normaliser
    for ours, theirs in zip(everything(one), everything(other), strict=True):
        for a, b in zip(ours[:3], theirs[:3], strict=True):
            assert (a is None and b is None) or torch.equal(a, b)
        assert torch.equal(ours.lengths, theirs.lengths)


Y = np.arange(40) % 3


def test_a_list_an_array_of_objects_tensors_and_a_padded_array_with_lengths_are_the_same(tmp_path):
    items = series()
    objects = np.empty(40, object)
    objects[:] = items
    wide = {"x": padded(items, longest=20, fill=np.nan), "y": Y, "lengths": LENGTHS.astype(np.float32)}
    np.savez(tmp_path / "wide.npz", **wide)
    (tmp_path / "folder").mkdir()
    for name, array in wide.items():
        np.save(tmp_path / "folder" / f"{name}.npy", array)
    dataset = [{"x": x, "y": y, "lengths": n} for x, y, n in zip(padded(items), Y, LENGTHS, strict=True)]
    expected = read((items, Y))
    for source in (
        (tuple(items), Y),
        (objects, Y),
        ([torch.from_numpy(one) for one in items], Y),
        {"x": [one.tolist() for one in items], "y": Y},
        {"x": padded(items), "y": Y, "lengths": LENGTHS},
        wide,
        tmp_path / "wide.npz",
        tmp_path / "folder",
        AsDataset(dataset),
    ):
        assert_same(read(source), expected)


class AsDataset(torch.utils.data.Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def test_the_longest_series_of_all_parts_is_the_spatial_shape_and_all_rows_are_brought_to_it():
    parts = {"": LENGTHS, "_val": [4, 5], "_test": [17, 3]}
    data = read(
        {f"x{end}": series(lengths) for end, lengths in parts.items()}
        | {f"y{end}": Y[: len(lengths)] for end, lengths in parts.items()}
    )
    assert data.spec.spatial_shape == (17,)
    assert data.spec.unequal_lengths
    assert [batch.x.shape[2] for batch in everything(data)] == [17] * 5
    assert data.validation.batch([0, 1]).lengths.tolist() == [4, 5]
    assert data.development.batch([40, 41]).lengths.tolist() == [4, 5]
    assert data.test.open().batch([0, 1]).lengths.tolist() == [17, 3]


def test_one_channel_may_go_without_an_axis():
    data = read(([one[0] for one in series()], Y))
    assert (data.spec.channels, data.spec.spatial_shape) == (1, (12,))


def test_statistics_are_those_of_the_real_positions_of_the_training_part():
    data = read({"x": padded(series(), longest=20, fill=1e6), "y": Y, "lengths": LENGTHS}, test_fraction=0)
    x, lengths = (data.train.batch(range(32))[i].numpy() for i in (0, 4))
    real = np.concatenate([one[:, :n] for one, n in zip(x, lengths, strict=True)], axis=1).astype(np.float64)
    np.testing.assert_allclose(real.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(real.std(axis=1), 1, rtol=1e-6)


def test_values_behind_a_series_are_not_looked_at():
    items = series()
    dirty = {"x": padded(items, fill=np.nan), "y": Y, "lengths": LENGTHS}
    assert_same(read(dirty), read((items, Y)))
    dirty["x"][3, 0, 0] = np.nan
    with pytest.raises(DataError, match=r"x holds 1 value that is NaN or infinite, the first at x\[3, 0, 0\]"):
        read(dirty)
    assert read(dirty, impute=True).reading[-1].startswith("imputed: 1 input values")


def test_lengths_that_are_all_the_same_leave_plain_signals():
    x = np.random.default_rng(0).normal(size=(40, 2, 15))
    data, plain = read({"x": x, "y": Y, "lengths": np.full(40, 12)}), read((x[..., :12], Y))
    assert data.spec == plain.spec
    assert not data.spec.unequal_lengths
    for ours, theirs in zip(everything(data), everything(plain), strict=True):
        assert torch.equal(ours.x, theirs.x)
        assert ours.lengths is None


def test_the_reading_tells_the_lengths():
    line = next(line for line in read((series(), Y)).reading if line.startswith("lengths"))
    assert line.startswith(f"lengths: 3 to 12, {LENGTHS.mean():.1f} on average; what lies behind is ignored")


DENSE = [kind for kind in TargetKind if kind.is_dense]


@pytest.mark.parametrize("kind", DENSE)
@pytest.mark.parametrize("with_mask", [False, True])
def test_targets_behind_a_series_count_nowhere(kind, with_mask):
    items, y = series(), targets(kind)
    mask = np.random.default_rng(3).random((40, 12)) > 0.3
    more = {"mask": mask} if with_mask else {}
    data = read({"x": items, "y": [one[:n] for one, n in zip(y, LENGTHS, strict=True)]} | (
        {"mask": [one[:n] for one, n in zip(mask, LENGTHS, strict=True)]} if with_mask else {}
    ))  # fmt: skip
    assert data.spec.target_kind is kind
    behind = ~real_positions(LENGTHS, 12)
    garbage = y.astype(np.float64 if kind is TargetKind.DENSE_REGRESSION else np.int64)
    garbage[behind] = np.nan if kind is TargetKind.DENSE_REGRESSION else 77
    wide = read({"x": padded(items), "y": garbage, "lengths": LENGTHS, **more}, target=kind)
    assert_same(wide, data)
    batch = data.train.batch(range(len(data.train)))
    counts = batch.mask.sum(dim=1)
    assert (counts <= batch.lengths).all() if with_mask else torch.equal(counts, batch.lengths)
    assert not batch.y.reshape(len(batch.y), 12)[~batch.mask].any()


@pytest.mark.parametrize("shape", [(40, 5), (40, 1, 12), (40,)])
def test_a_mask_of_another_shape_is_refused(shape):
    given = {"x": padded(series()), "y": targets(TargetKind.DENSE_BINARY), "lengths": LENGTHS, "mask": np.ones(shape)}
    with pytest.raises(DataError, match=r"mask has the shape .*; expected \(40, 12\)"):
        read(given)


def test_as_many_labels_as_there_are_positions_are_labels_where_that_is_said():
    y = np.random.default_rng(2).integers(0, 2, (40, 12))
    data = read((series(), y), target="multi-label")
    assert data.spec.target_kind is TargetKind.MULTI_LABEL
    assert data.train.mask() is None
    assert read((series(), y)).train.mask() is not None


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (np.where(np.arange(40) == 4, 0, LENGTHS), r"lengths\[4\] is 0, but series of x have 1 to 12 positions"),
        (np.where(np.arange(40) == 4, 13, LENGTHS), r"lengths\[4\] is 13, but series of x have 1 to 12 positions"),
        (np.where(np.arange(40) == 4, 2.5, LENGTHS), r"lengths\[4\] is 2.5; expected whole numbers"),
        (np.where(np.arange(40) == 4, np.nan, LENGTHS), r"lengths\[4\] is nan; expected whole numbers"),
        (LENGTHS > 5, "lengths has the type bool; expected whole numbers, the positions of each series in x"),
        (LENGTHS.astype(str), "lengths has the type <U.*expected whole numbers"),
        (LENGTHS[:, None], r"lengths has the shape \(40, 1\); expected one number per series, \(40,\)"),
        (LENGTHS[:39], r"x has 40 samples but lengths has 39"),
    ],
)
def test_lengths_that_cannot_be_are_refused(lengths, message):
    with pytest.raises(DataError, match=message):
        read({"x": padded(series()), "y": Y, "lengths": lengths})


def test_a_part_without_lengths_is_refused():
    x = padded(series())
    given = {"x": x, "y": Y, "lengths": LENGTHS, "x_test": x, "y_test": Y}
    with pytest.raises(
        DataError, match=r"x_test comes without lengths_test, but there is lengths; .*numpy.full\(len\(x_test\)"
    ):
        read(given)
    with pytest.raises(DataError, match=r"lengths_val in .* comes without x_val"):
        read({"x": x, "y": Y, "lengths_val": LENGTHS})
    given["lengths_test"] = given.pop("lengths")
    with pytest.raises(DataError, match="x comes without lengths, but there is lengths_test"):
        read(given)


@pytest.mark.parametrize(("shape", "images"), [((40, 2, 12, 12), False), ((40, 12, 12), True)])
def test_images_of_unequal_size_are_refused(shape, images):
    given = {"x": np.random.default_rng(0).random(shape), "y": Y, "lengths": LENGTHS}
    with pytest.raises(DataError, match=r"there is lengths, but x holds images, .* 12 by 12; only series"):
        read(given, images=images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: [*x[:3], np.zeros((2, 0)), *x[4:]], r"x\[3\] has the shape \(2, 0\) .* none empty"),
        (lambda x: [*x[:3], np.zeros((2, 4, 4)), *x[4:]], r"x\[3\] has the shape \(2, 4, 4\) .* arrays \(length,\) or"),
        (lambda x: [*x[:3], np.zeros(4), *x[4:]], r"x\[3\] has the shape \(4,\) and x\[0\] \(2, .* as many axes"),
        (lambda x: [*x[:3], np.zeros((3, 4)), *x[4:]], r"x\[3\] has the shape \(3, 4\) .* need the same channels"),
        (lambda x: [one.T for one in x], r"the same channels, \(channels, length\); if .*\[s.T for s in x\]"),
        (lambda x: [*x[:3], [[1, 2], [3]], *x[4:]], r"x\[3\] is not an array.*rows of equal length"),
        (lambda x: [*x[:3], {}, *x[4:]], r"x\[3\] holds Python objects"),
    ],
)
def test_lists_that_are_no_series_are_refused(change, message):
    with pytest.raises(DataError, match=message):
        read((change(series()), Y))


def test_an_array_of_objects_that_are_no_series_is_refused():
    y = np.empty(40, object)
    y[:] = [[[1], [2, 3]]] * 40
    with pytest.raises(DataError, match=r"y is not an array.*rows of equal length"):
        read((series(), y))


def test_lengths_beside_a_list_are_refused():
    with pytest.raises(DataError, match="x is a list, whose series have a length each, so there is no need of lengths"):
        read({"x": series(), "y": Y, "lengths": LENGTHS})


def test_targets_per_position_that_are_not_as_long_as_their_series_are_refused():
    y = [np.zeros(n) for n in LENGTHS]
    y[3] = np.zeros(LENGTHS[3] + 1)
    with pytest.raises(DataError, match=rf"y\[3\] has {LENGTHS[3] + 1} positions but x\[3\] {LENGTHS[3]}; expected a"):
        read((series(), y))


def test_pickled_series_in_a_file_are_refused_with_a_way_to_save_them(tmp_path):
    objects = np.empty(40, object)
    objects[:] = series()
    np.savez(tmp_path / "data.npz", x=objects, y=Y)
    with pytest.raises(DataError, match=r"never loaded.*unequal length as one padded array, with their lengths beside"):
        read(tmp_path / "data.npz")


@pytest.fixture
def trained():
    """Data as a model saw them that takes series of any length."""
    return read((series(), Y))


@pytest.fixture
def plain():
    """Data of one length."""
    return read((padded(series()), Y))


def new(source, data):
    return list(read_inputs(source, data.spec, normaliser=data.normaliser).batches(3))


def test_series_may_be_shorter_and_longer_than_in_training(trained):
    items = series([5, 30, 2, 1])
    batches = new(items, trained)
    assert [lengths.tolist() for _, lengths in batches] == [[5, 30, 2], [1]]
    assert {x.shape[1:] for x, _ in batches} == {(2, 30)}
    expected = trained.normaliser.encode_input(torch.from_numpy(items[1])[None])
    assert torch.equal(batches[0][0][1:2], expected)


def test_a_list_of_series_of_one_length_is_taken_too(trained):
    for items in (series([5, 5]), series([5])):
        assert [lengths.tolist() for _, lengths in new(items, trained)] == [[5] * len(items)]


def test_nested_lists_may_be_a_padded_array_with_lengths(trained):
    ((x, lengths),) = new({"x": padded(series())[:3].tolist(), "lengths": [3, 5, 12]}, trained)
    assert x.shape == (3, 2, 12)
    assert lengths.tolist() == [3, 5, 12]


def test_an_empty_list_is_refused(trained):
    with pytest.raises(DataError, match="x holds no samples"):
        new([], trained)


def test_an_array_without_lengths_is_refused(trained):
    with pytest.raises(DataError, match=r"x comes without lengths, but the model was trained on series of unequal"):
        new(padded(series()), trained)


def test_other_channels_are_refused(trained):
    with pytest.raises(DataError, match="x has 3 channels, length 12, but the model was trained on 2 channels"):
        new(series(channels=3), trained)


def test_series_of_unequal_length_for_a_model_of_one_length_are_refused(plain):
    with pytest.raises(DataError, match="of unequal length, but the model was trained on 12 positions each"):
        new(series(), plain)


def test_lengths_that_are_all_that_of_the_model_pass(plain):
    x = padded(series(), longest=15)
    ((batch, lengths), *_) = new({"x": x, "lengths": np.full(40, 12)}, plain)
    assert batch.shape == (3, 2, 12)
    assert lengths is None
