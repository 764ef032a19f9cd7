"""Batches, fields, masks, and the seal on the test part."""

import copy

import numpy as np
import pytest
import torch
from kinds_of_data import SPATIAL, arrays, inputs, targets

from dashnas.data import DataConfig, Part, TargetKind, prepare
from dashnas.errors import SealedTestError

DENSE = [kind for kind in TargetKind if kind.is_dense]


@pytest.fixture
def data():
    return prepare(arrays(TargetKind.CLASSES, number=np.arange(40)), DataConfig(), seed=0)


def test_a_batch_holds_the_samples_asked_for_in_that_order(data):
    whole = next(data.train.batches(99))
    batch = data.train.batch(np.array([5, 1, 1]))
    for field in ("x", "y"):
        assert torch.equal(getattr(batch, field), getattr(whole, field)[[5, 1, 1]])
    assert batch.fields["number"].tolist() == whole.fields["number"][[5, 1, 1]].tolist()


def test_inputs_and_targets_stay_together(data):
    source = arrays(TargetKind.CLASSES)
    for part in (data.train, data.validation, data.development, data.test.open()):
        for batch in part.batches(7):
            number = batch.fields["number"]
            assert torch.equal(batch.x, data.normaliser.encode_input(torch.from_numpy(source["x"][number])))
            assert batch.y.tolist() == source["y"][number].tolist()


def test_batches_are_the_whole_part_in_order(data):
    sizes = [len(batch.y) for batch in data.train.batches(10)]
    assert sizes == [10, 10, 4]
    assert torch.equal(torch.cat([b.y for b in data.train.batches(10)]), torch.from_numpy(data.train.targets()))


def test_a_subset_is_a_part_of_these_samples(data):
    subset = data.train.subset([3, 0])
    assert isinstance(subset, Part)
    assert len(subset) == 2
    assert torch.equal(subset.batch([0, 1]).x, data.train.batch([3, 0]).x)


def test_nothing_is_copied_until_a_batch_is_asked_for():
    source = arrays(TargetKind.CLASSES)
    data = prepare(source, DataConfig(test_fraction=0), seed=0)
    before = data.development.batch([0]).x
    source["x"] += 1
    assert not torch.equal(data.development.batch([0]).x, before)


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "u1", "u2", "i4", "i8", "?"])
def test_inputs_of_every_type_come_out_as_float32(dtype):
    x = np.random.default_rng(0).integers(0, 2, (40, 2, 9)).astype(dtype)
    batch = prepare((x, np.arange(40) % 2), DataConfig(), seed=0).train.batch([0, 1])
    assert batch.x.dtype == torch.float32
    assert batch.x.unique().numel() <= 4


def test_arrays_that_cannot_be_written_are_read_without_complaint():
    x = inputs()
    x.setflags(write=False)
    prepare((x, np.arange(40) % 2), DataConfig(), seed=0).train.batch([0])


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("classes", (3,)),
        ("multi-label", (4, 2)),
        ("dense-binary", (1, 2)),
        ("dense-classes", (3,)),
        ("regression", None),
    ],
)
def test_class_counts(kind, shape):
    data = prepare(arrays(TargetKind(kind)), DataConfig(), seed=0)
    counts = data.train.class_counts()
    assert (counts is None) if shape is None else (counts.shape == shape)
    if counts is not None:
        assert counts.sum() == data.train.targets().size


@pytest.mark.parametrize("spatial", SPATIAL.values(), ids=SPATIAL)
@pytest.mark.parametrize("kind", DENSE)
def test_what_the_mask_leaves_out_does_not_matter(kind, spatial):
    mask = np.random.default_rng(2).random((40, *spatial)) < 0.6
    y = targets(kind, spatial=spatial)
    strange = np.where(mask, y, np.nan if kind is TargetKind.DENSE_REGRESSION else 200)
    one, other = (
        prepare({"x": inputs(spatial=spatial), "y": values, "mask": mask}, DataConfig(), seed=0)
        for values in (y, strange)
    )
    assert other.spec == one.spec
    assert other.normaliser == one.normaliser
    for part in ("train", "validation", "development"):
        ours, theirs = getattr(one, part), getattr(other, part)
        assert torch.equal(next(ours.batches(99)).y, next(theirs.batches(99)).y)
        assert np.array_equal(ours.targets(), theirs.targets())
        assert ours.mask().shape == (len(ours), *spatial)
        if (counts := ours.class_counts()) is not None:
            assert counts.sum() == ours.mask().sum()
            assert np.array_equal(counts, theirs.class_counts())


def test_only_positions_that_count_set_the_scale_of_targets():
    mask = np.random.default_rng(2).random((40, 12)) < 0.6
    data = prepare(arrays(TargetKind.DENSE_REGRESSION, mask=mask), DataConfig(), seed=0)
    batch = next(data.train.batches(99))
    counting = batch.y[:, 0][batch.mask]
    assert counting.mean() == pytest.approx(0, abs=1e-6)
    assert counting.std(correction=0) == pytest.approx(1, abs=1e-6)
    assert not batch.y[:, 0][~batch.mask].any()


def test_the_share_that_counts_is_told():
    mask = np.zeros((40, 12))
    mask[:, :3] = 1
    data = prepare(arrays(TargetKind.DENSE_REGRESSION, mask=mask), DataConfig(), seed=0)
    assert "mask: 25.0% of the positions count" in " ".join(data.reading)
    assert data.train.batch([0]).mask.sum() == 3


def test_without_a_mask_there_is_none(data):
    assert data.train.mask() is None
    assert data.train.batch([0]).mask is None


def test_a_mask_of_the_training_part_alone_counts_every_other_position():
    mask = np.zeros((40, 12))
    mask[:, :3] = 1
    source = arrays(TargetKind.DENSE_REGRESSION, mask=mask)
    source |= {"x_val": inputs(5), "y_val": targets(TargetKind.DENSE_REGRESSION, 5)}
    data = prepare(source, DataConfig(test_fraction=0), seed=0)
    assert data.validation.mask() is None
    assert data.development.mask().sum() == 40 * 3 + 5 * 12


@pytest.mark.parametrize(
    "use",
    [
        lambda t: t.batch([0]),
        lambda t: t.batches(4),
        lambda t: t.targets(),
        lambda t: t.mask(),
        lambda t: t.fields,
        lambda t: t.spec,
        lambda t: t.normaliser,
        lambda t: t.subset([0]),
        lambda t: t.class_counts(),
        lambda t: t[0],
        lambda t: list(t),
    ],
)
def test_the_sealed_test_part_cannot_be_used(data, use):
    with pytest.raises(SealedTestError, match="the test part is sealed"):
        use(data.test)


def test_every_attribute_of_a_part_is_behind_the_seal(data):
    for name in {n for n in dir(data.train) if not n.startswith("__")}:
        with pytest.raises(SealedTestError, match=name):
            getattr(data.test, name)


def test_the_sealed_test_part_tells_its_size_and_opens(data):
    assert len(data.test) == 8
    assert repr(data.test) == "SealedTest(8 samples)"
    assert not data.test.open_variants()
    assert len(copy.copy(data.test)) == 8
    assert len(data.test.open().targets()) == 8


def test_imputed_values_are_the_training_mean_of_their_channel():
    x = inputs()
    x[::3, 0, 2], x[1, 1, 0] = np.nan, np.inf
    data = prepare((x, np.arange(40) % 2), DataConfig(impute=True), seed=0)
    for part in (data.train, data.validation, data.test.open()):
        assert torch.isfinite(next(part.batches(99)).x).all()
    everything = np.concatenate([next(p.batches(99)).x for p in (data.train, data.validation, data.test.open())])
    assert (everything == 0).sum() == 15
    assert "imputed: 15 input values" in " ".join(data.reading)
    assert next(data.train.batches(99)).x[:, 0].mean() == pytest.approx(0, abs=1e-6)
