"""Which kind of target y is."""

import numpy as np
import pytest
from kinds_of_data import SPATIAL, arrays, inputs, targets

from dashnas.data import DataConfig, TargetKind, prepare
from dashnas.errors import DataError

RNG = np.random.default_rng(0)


def kind_of(y, x=None, **config):
    return prepare((inputs(len(y)) if x is None else x, y), DataConfig(**config), seed=0).spec.target_kind


@pytest.mark.parametrize("spatial", SPATIAL.values(), ids=SPATIAL)
@pytest.mark.parametrize("kind", TargetKind)
def test_every_kind_is_told_from_the_data(kind, spatial):
    data = prepare(arrays(kind, spatial=spatial), DataConfig(), seed=0)
    outputs = {"classes": 3, "multi-label": 4, "regression": 2, "dense-classes": 3}.get(kind.value, 1)
    assert (data.spec.target_kind, data.spec.outputs) == (kind, outputs)
    assert any(kind.value in line for line in data.reading)


@pytest.mark.parametrize("spatial", SPATIAL.values(), ids=SPATIAL)
@pytest.mark.parametrize("kind", TargetKind)
def test_batches_have_the_promised_shapes_and_types(kind, spatial):
    data = prepare(arrays(kind, spatial=spatial), DataConfig(), seed=0)
    batch = data.train.batch(np.array([4, 0, 2]))
    shape, dtype = {
        TargetKind.CLASSES: ((3,), "torch.int64"),
        TargetKind.MULTI_LABEL: ((3, 4), "torch.float32"),
        TargetKind.REGRESSION: ((3, 2), "torch.float32"),
        TargetKind.DENSE_BINARY: ((3, 1, *spatial), "torch.float32"),
        TargetKind.DENSE_CLASSES: ((3, *spatial), "torch.int64"),
        TargetKind.DENSE_REGRESSION: ((3, 1, *spatial), "torch.float32"),
    }[kind]
    assert (tuple(batch.y.shape), str(batch.y.dtype)) == (shape, dtype)
    assert (tuple(batch.x.shape), str(batch.x.dtype)) == ((3, 2, *spatial), "torch.float32")
    assert data.train.targets().shape == (len(data.train), *shape[1:])


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (np.array(["frog", "ape"] * 20), ("ape", "frog")),
        (np.array([b"frog", b"ape"] * 20), ("ape", "frog")),
        (np.array(["frog", "ape"] * 20, dtype=object), ("ape", "frog")),
        (np.array([7, -2] * 20), (-2, 7)),
        (np.array([[7], [-2]] * 20), (-2, 7)),
        (np.array([True, False] * 20), (0, 1)),
    ],
    ids=["strings", "bytes", "objects", "integers", "a column", "booleans"],
)
def test_labels_may_be_anything_and_become_the_sorted_classes(y, classes):
    data = prepare((inputs(), y), DataConfig(test_fraction=0), seed=0)
    assert data.spec.classes == classes
    assert [type(name) for name in data.spec.classes] == [type(name) for name in classes]
    order = np.concatenate([data.train.targets(), data.validation.targets()])
    assert np.array_equal(data.development.targets(), order)
    assert sorted(np.array(classes)[order].tolist()) == sorted(y.ravel().astype(type(classes[0])).tolist())


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (RNG.normal(size=40), TargetKind.REGRESSION),
        (RNG.normal(size=(40, 1)), TargetKind.REGRESSION),
        (
            RNG.integers(0, 2, (40, 12)),
            TargetKind.DENSE_BINARY,
        ),  # the input's own shape comes before a matrix
        (RNG.integers(0, 2, (40, 12)).astype(float), TargetKind.DENSE_BINARY),
        (RNG.integers(0, 2, (40, 1, 12)), TargetKind.DENSE_BINARY),
        (RNG.integers(0, 2, (40, 5)).astype(float), TargetKind.MULTI_LABEL),
        (RNG.normal(size=(40, 3, 12)), TargetKind.DENSE_REGRESSION),
    ],
)
def test_order_of_the_rules(y, kind):
    assert kind_of(y) is kind


def test_one_value_for_inputs_of_length_one_is_not_dense():
    assert kind_of(np.array([[0], [1]] * 20), inputs(40, (1,))) is TargetKind.CLASSES


@pytest.mark.parametrize(
    ("y", "target"),
    [
        (np.arange(40) % 4, "regression"),
        (np.arange(40.0) % 4, "classes"),
        (targets(TargetKind.DENSE_BINARY), "dense-classes"),
        (targets(TargetKind.DENSE_BINARY), "multi-label"),
        (targets(TargetKind.DENSE_CLASSES), "dense-regression"),
        (targets(TargetKind.DENSE_REGRESSION), "regression"),
        (RNG.integers(0, 9, (40, 3)), "regression"),
    ],
)
def test_the_user_may_ask_for_another_kind_that_fits(y, target):
    assert kind_of(y, target=target) is TargetKind(target)


@pytest.mark.parametrize(
    ("y", "target", "expected"),
    [
        (RNG.normal(size=40), "classes", r"integers or strings of shape \(n,\)"),
        (RNG.normal(size=40), "multi-label", r"zeros and ones of shape \(n, labels\)"),
        (np.array(["a", "b"] * 20), "regression", r"numbers of shape \(n,\)"),
        (np.arange(40) % 2, "dense-binary", r"zeros and ones of shape \(n, 12\)"),
        (targets(TargetKind.DENSE_REGRESSION), "dense-classes", r"integers of shape \(n, 12\)"),
        (np.arange(40.0), "dense-regression", r"numbers of shape \(n, 12\) or \(n, values, 12\)"),
    ],
)
def test_a_kind_that_does_not_fit_is_refused(y, target, expected):
    with pytest.raises(DataError, match=f"cannot be {target} targets; expected {expected}"):
        kind_of(y, target=target)


@pytest.mark.parametrize(
    ("y", "hint"),
    [
        (RNG.integers(0, 9, (40, 3)), "convert y to floats"),
        (RNG.integers(0, 9, (40, 3, 12)), "for dense numbers convert y to floats"),
        (RNG.normal(size=(40, 3, 7)), "not transposed"),
        (np.array([["a", "b"]] * 20), "not transposed"),
    ],
)
def test_a_target_that_fits_no_kind_is_refused(y, hint):
    with pytest.raises(DataError, match=f"(?s)fits no kind of target.*{hint}"):
        kind_of(y)


@pytest.mark.parametrize("y", [np.arange(40) * 1j, np.arange(40).astype("M8[D]")])
def test_targets_of_a_strange_type_are_refused(y):
    with pytest.raises(DataError, match=r"y has the type .* expected numbers, or integers or strings"):
        kind_of(y)


@pytest.mark.parametrize(
    ("y", "warning"),
    [
        (np.eye(4, dtype=int)[np.arange(40) % 4], "exactly one 1"),
        (np.arange(40.0) % 2, "2 different whole numbers; if they are classes, use --target classes"),
        (np.arange(80) // 2, "40 different integers; if they are amounts, use --target regression"),
    ],
)
def test_near_misses_are_told(y, warning):
    data = prepare((inputs(len(y)), y), DataConfig(validation_fraction=0.1, test_fraction=0.1), seed=0)
    assert any(warning in line for line in data.warnings)


def test_values_that_the_mask_leaves_out_do_not_decide_the_kind():
    y = targets(TargetKind.DENSE_BINARY)
    mask = np.ones_like(y)
    y[:, 0], mask[:, 0] = 255, 0
    data = prepare(arrays(TargetKind.CLASSES) | {"y": y, "mask": mask}, DataConfig(), seed=0)
    assert data.spec.target_kind is TargetKind.DENSE_BINARY
