"""The probe of the head: linear models on a trained network's features, by position or averaged."""

import numpy as np
import pytest
import torch
from torch import nn

from dashnas.backbones import PointHead, build_backbone
from dashnas.data import TargetKind
from dashnas.metrics import get_metric
from dashnas.probe import CELLS, probe_head
from tiny import prepared

CPU = torch.device("cpu")


class Passing(nn.Module):
    """A head behind the inputs themselves."""

    def __init__(self, spec) -> None:
        super().__init__()
        self.head = PointHead(spec.channels, spec.outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x)


def probe(data, network, metric=None, **changed):
    chosen = get_metric(metric, data.spec.target_kind)
    given = {"batch_size": 16, "device": CPU, "seed": 0, **changed}
    return probe_head(network, data.train, data.validation, chosen, **given)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("kind", [kind for kind in TargetKind if not kind.is_dense])
def test_each_kind_of_target_is_probed_whatever_is_computed_at_once(kind, dims):
    data = prepared(kind, dims)
    found = probe(data, Passing(data.spec))
    assert found.cells == tuple(map(min, CELLS[dims], data.spec.spatial_shape))
    assert np.isfinite([found.mean, found.grid]).all()
    assert probe(data, Passing(data.spec), batch_size=3) == pytest.approx(found)


def test_the_scores_are_those_of_ridge_regression_on_means_of_the_features():
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import StandardScaler

    data = prepared(TargetKind.CLASSES)
    found = probe(data, Passing(data.spec))

    def error(per_cell):
        x, x_validation = (
            per_cell(part.batch(np.arange(len(part))).x.numpy()) for part in (data.train, data.validation)
        )
        scale = StandardScaler().fit(x)
        model = RidgeCV(np.logspace(-2, 5, 15)).fit(scale.transform(x), 2 * np.eye(3)[data.train.targets()] - 1)
        answers = model.predict(scale.transform(x_validation)).argmax(axis=1)
        return np.mean(answers != data.validation.targets())

    assert found.mean == pytest.approx(error(lambda x: x.mean(axis=2)))
    assert found.grid == pytest.approx(error(lambda x: x.reshape(len(x), 2, 8, 2).mean(axis=3).reshape(len(x), -1)))


def test_networks_that_do_not_average_over_positions_are_left_alone():
    data = prepared(TargetKind.DENSE_CLASSES)
    assert probe(data, build_backbone("resnet1d", data.spec, width=4)) is None
    data = prepared(TargetKind.CLASSES)
    assert probe(data, build_backbone("tcn", data.spec, width=4, official=True)) is None
    assert probe(data, nn.Sequential(nn.Flatten(), nn.Linear(32, 3))) is None


def test_a_network_that_leaves_one_position_is_left_alone():
    data = prepared(TargetKind.CLASSES, 2)
    assert probe(data, build_backbone("convnext", data.spec, width=4)) is None


def test_no_more_samples_than_enough_are_computed(monkeypatch):
    monkeypatch.setattr("dashnas.probe.MOST_FITTED", 10)
    data, seen = prepared(TargetKind.CLASSES), []
    network = Passing(data.spec)
    network.register_forward_hook(lambda module, arguments, output: seen.append(len(output)))
    probe(data, network)
    assert sum(seen) == 10 + len(data.validation)
    probe(data, network, seed=1)
    assert not network.head._forward_pre_hooks


def test_features_that_are_no_numbers_tell_nothing():
    data = prepared(TargetKind.CLASSES)

    class Broken(Passing):
        def forward(self, x):
            return self.head(x / 0)

    assert probe(data, Broken(data.spec)) is None
