"""The losses are PyTorch's own where there is no mask; with one, what it covers counts nowhere."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight

from dashnas.data import Batch, DataConfig, DataSpec, Normaliser, TargetKind, prepare
from dashnas.data.normalise import as_scale
from dashnas.errors import ConfigError
from dashnas.losses import class_weights, make_loss
from tiny import arrays, prepared

BATCH, SHAPE = 5, (4, 3)
WEIGHTS = torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64)
NORMALISER = Normaliser(input_mean=(0.0,), input_std=(1.0,))
SCALED = Normaliser(
    input_mean=(0.0,), input_std=(1.0,), target_mean=(10.0, -2.0, 0.5), target_std=(3.0, 1.0, 0.2)
)  # fmt: skip


def spec(kind: TargetKind, outputs: int = 3) -> DataSpec:
    return DataSpec(channels=1, spatial_shape=SHAPE, target_kind=kind, outputs=outputs)


def batch(kind: TargetKind, outputs: int = 3, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, Batch]:
    """Output of a network and the targets beside it, float64."""
    where = SHAPE if kind.is_dense else ()
    output = torch.randn(BATCH, outputs, *where, dtype=torch.float64, requires_grad=True)
    if kind in (TargetKind.CLASSES, TargetKind.DENSE_CLASSES):
        y = torch.randint(outputs, (BATCH, *where))
    elif kind.is_regression:
        y = torch.randn(BATCH, outputs, *where, dtype=torch.float64)
    else:
        y = torch.randint(2, (BATCH, outputs, *where)).double()
    return output, Batch(torch.empty(BATCH, 1, *SHAPE), y, mask, {})


REFERENCES = {
    TargetKind.CLASSES: F.cross_entropy,
    TargetKind.DENSE_CLASSES: F.cross_entropy,
    TargetKind.MULTI_LABEL: F.binary_cross_entropy_with_logits,
    TargetKind.DENSE_BINARY: F.binary_cross_entropy_with_logits,
    TargetKind.REGRESSION: F.mse_loss,
    TargetKind.DENSE_REGRESSION: F.mse_loss,
}


@pytest.mark.parametrize("kind", TargetKind)
def test_without_mask_and_weights_it_is_pytorch_s_own_loss(kind):
    output, given = batch(kind)
    loss = make_loss(spec(kind), NORMALISER, metric_name="error")(output, given)
    torch.testing.assert_close(loss, REFERENCES[kind](output, given.y))


@pytest.mark.parametrize("kind", [TargetKind.CLASSES, TargetKind.DENSE_CLASSES])
def test_class_weights_are_those_of_pytorch_s_cross_entropy(kind):
    output, given = batch(kind)
    loss = make_loss(spec(kind), NORMALISER, metric_name="error", weights=WEIGHTS)(output, given)
    torch.testing.assert_close(loss, F.cross_entropy(output, given.y, weight=WEIGHTS))


@pytest.mark.parametrize("kind", [TargetKind.MULTI_LABEL, TargetKind.DENSE_BINARY])
def test_label_weights_are_pytorch_s_pos_weight_along_the_labels(kind):
    output, given = batch(kind)
    shaped = WEIGHTS if kind is TargetKind.MULTI_LABEL else WEIGHTS.view(3, 1, 1)
    loss = make_loss(spec(kind), NORMALISER, metric_name="error", weights=WEIGHTS)(output, given)
    torch.testing.assert_close(loss, F.binary_cross_entropy_with_logits(output, given.y, pos_weight=shaped))


DENSE = [(kind, None) for kind in TargetKind if kind.is_dense]
DENSE += [(kind, WEIGHTS) for kind, _ in DENSE if not kind.is_regression]


@pytest.mark.parametrize(("kind", "weights"), DENSE)
@pytest.mark.parametrize("metric", ["error", "relative_l2"])
def test_masked_positions_change_neither_loss_nor_gradient(kind, weights, metric):
    mask = torch.rand(BATCH, *SHAPE) > 0.4
    output, given = batch(kind, mask=mask)
    normaliser = SCALED if kind.is_regression else NORMALISER
    loss = make_loss(spec(kind), normaliser, metric_name=metric, weights=weights)
    covered = ~mask if kind is TargetKind.DENSE_CLASSES else ~mask.unsqueeze(1).expand_as(given.y)
    other_y = torch.where(covered, (given.y + 1) % 2, given.y)
    other_output = torch.where(mask.unsqueeze(1), output, 1e3 * output).detach().requires_grad_()

    first, second = loss(output, given), loss(other_output, given._replace(y=other_y))
    torch.testing.assert_close(second, first)
    (gradient,), (other,) = (
        torch.autograd.grad(value, x) for value, x in ((first, output), (second, other_output))
    )  # fmt: skip
    torch.testing.assert_close(other, gradient)
    assert not gradient[~mask.unsqueeze(1).expand_as(gradient)].any()
    assert gradient[mask.unsqueeze(1).expand_as(gradient)].all()


@pytest.mark.parametrize(("kind", "weights"), DENSE)
def test_with_a_mask_it_is_pytorch_s_loss_of_the_positions_that_count(kind, weights):
    mask = torch.rand(BATCH, *SHAPE) > 0.4
    output, given = batch(kind, mask=mask)
    loss = make_loss(spec(kind), NORMALISER, metric_name="error", weights=weights)(output, given)
    inside = output.movedim(1, -1)[mask]  # (positions, outputs)
    y = given.y[mask] if kind is TargetKind.DENSE_CLASSES else given.y.movedim(1, -1)[mask]
    named = {"weight" if kind is TargetKind.DENSE_CLASSES else "pos_weight": weights} if weights is not None else {}
    torch.testing.assert_close(loss, REFERENCES[kind](inside, y, **named))


@pytest.mark.parametrize("kind", [kind for kind in TargetKind if kind.is_dense])
def test_a_batch_that_is_masked_throughout_has_loss_and_gradient_zero(kind):
    output, given = batch(kind, mask=torch.zeros(BATCH, *SHAPE, dtype=torch.bool))
    metric = "relative_l2" if kind.is_regression else "error"
    loss = make_loss(spec(kind), SCALED if kind.is_regression else NORMALISER, metric_name=metric)(output, given)
    loss.backward()
    assert loss == 0
    assert not output.grad.any()


def test_relative_l2_is_measured_on_the_decoded_scale():
    kind = TargetKind.DENSE_REGRESSION
    output, given = batch(kind)
    loss = make_loss(spec(kind), SCALED, metric_name="relative_l2")(output, given)
    scale = torch.tensor(SCALED.target_std, dtype=torch.float64).view(1, 3, 1, 1)
    shift = torch.tensor(SCALED.target_mean, dtype=torch.float64).view(1, 3, 1, 1)
    predicted, true = output * scale + shift, given.y * scale + shift
    expected = ((predicted - true).flatten(1).norm(dim=1) / true.flatten(1).norm(dim=1)).mean()
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize(
    ("kind", "metric"),
    [
        (TargetKind.CLASSES, "error"),
        (TargetKind.DENSE_REGRESSION, "mae"),
        (TargetKind.DENSE_REGRESSION, "relative_l2"),
        (TargetKind.DENSE_REGRESSION, "relative_l2@batch8"),
    ],
)
def test_a_scale_multiplies_the_mean(kind, metric):
    normaliser = SCALED if kind.is_regression else NORMALISER
    output, given = batch(kind)
    plain, scaled = (make_loss(spec(kind), normaliser, metric_name=metric, scale=s)(output, given) for s in (1, 10))
    torch.testing.assert_close(scaled, 10 * plain)


def test_means_over_batches_of_relative_l2_descend_relative_l2_itself():
    output, given = batch(TargetKind.DENSE_REGRESSION)
    one, other = (
        make_loss(spec(TargetKind.DENSE_REGRESSION), SCALED, metric_name=name)(output, given)
        for name in ("relative_l2", "relative_l2@batch8")
    )
    torch.testing.assert_close(one, other)


def test_a_scale_of_every_position_decodes_each_by_itself():
    mean, std = torch.randn(1, *SHAPE).double(), torch.rand(1, *SHAPE).double() + 0.5
    normaliser = Normaliser(
        input_mean=(0.0,), input_std=(1.0,), target_mean=as_scale(mean.numpy()), target_std=as_scale(std.numpy())
    )
    output, given = batch(TargetKind.DENSE_REGRESSION, outputs=1)
    loss = make_loss(spec(TargetKind.DENSE_REGRESSION, 1), normaliser, metric_name="relative_l2")(output, given)
    field, guess = given.y * std + mean, output * std + mean
    expected = ((guess - field).flatten(1).norm(dim=1) / field.flatten(1).norm(dim=1)).mean()
    torch.testing.assert_close(loss, expected)


def test_a_point_regression_judged_by_relative_l2_still_descends_the_squared_error():
    output, given = batch(TargetKind.REGRESSION)
    loss = make_loss(spec(TargetKind.REGRESSION), SCALED, metric_name="relative_l2")(output, given)
    torch.testing.assert_close(loss, F.mse_loss(output, given.y))


def test_balanced_class_weights_are_scikit_learn_s():
    data = arrays(TargetKind.CLASSES)
    data["y"] = np.array(["a", "b", "b", "c", "c", "c"] * 10)
    train = prepare(data, DataConfig(), seed=0).train
    expected = compute_class_weight("balanced", classes=np.arange(3), y=train.targets())
    np.testing.assert_allclose(class_weights("balanced", train), expected, rtol=1e-6)


def test_balanced_weights_of_maps_count_positions_that_count():
    data = arrays(TargetKind.DENSE_CLASSES)
    mask = np.random.default_rng(0).random(data["y"].shape) > 0.5
    data["y"][~mask] = 2
    train = prepare({**data, "mask": mask}, DataConfig(), seed=0).train
    expected = compute_class_weight("balanced", classes=np.arange(3), y=train.targets()[train.mask()])
    np.testing.assert_allclose(class_weights("balanced", train), expected, rtol=1e-6)


@pytest.mark.parametrize("kind", [TargetKind.MULTI_LABEL, TargetKind.DENSE_BINARY])
def test_balanced_label_weights_are_negatives_by_positives(kind):
    train = prepared(kind).train
    flat = np.moveaxis(train.targets(), 1, 0).reshape(train.spec.outputs, -1)
    expected = (flat == 0).sum(axis=1) / (flat == 1).sum(axis=1)
    np.testing.assert_allclose(class_weights("balanced", train), expected, rtol=1e-6)


def test_given_weights_are_taken_as_they_are():
    train = prepared(TargetKind.CLASSES).train
    assert class_weights((1.0, 0.0, 2.5), train).tolist() == [1.0, 0.0, 2.5]
    assert class_weights(None, train) is None


REFUSED = [
    (TargetKind.CLASSES, (1.0, 2.0), "2 class weights were given, but there are 3 classes or labels"),
    (TargetKind.CLASSES, (1.0, -1.0, 1.0), "class weights must be finite and not negative"),
    (TargetKind.CLASSES, (1.0, float("nan"), 1.0), "class weights must be finite and not negative"),
    (TargetKind.CLASSES, (0.0, 0.0, 0.0), "one of them above 0"),
    (TargetKind.CLASSES, "equal", "class weights must be 'balanced' or numbers, got 'equal'"),
    (TargetKind.REGRESSION, "balanced", "class weights need classes or labels, but the targets are regression"),
]


@pytest.mark.parametrize(("kind", "setting", "message"), REFUSED)
def test_weights_that_cannot_be_used_are_refused(kind, setting, message):
    with pytest.raises(ConfigError, match=message):
        class_weights(setting, prepared(kind).train)
