"""Series of unequal length from the data to the answers: every kind of target, and what does not take them."""

import numpy as np
import pytest
import torch
from torch import nn

from dashnas import SearchSpace, TrainedModel, fit, to_supernet
from dashnas.config import RetrainConfig, SearchConfig
from dashnas.data import DataConfig, TargetKind, prepare
from dashnas.errors import ConfigError
from dashnas.evaluate import validate
from dashnas.lengths import network_outputs, refuse_lengths
from dashnas.losses import make_loss
from dashnas.memory import count_step
from dashnas.metrics import get_metric
from dashnas.microbatch import set_gradients
from dashnas.model import Topology
from dashnas.recipe import Recipe
from dashnas.retrain import retrain, retrain_phase
from dashnas.search import search
from dashnas.training import Interrupted
from tiny import arrays, options, session

CPU = torch.device("cpu")
LENGTHS = np.random.default_rng(1).integers(4, 17, 60)


def ragged(kind):
    """The tiny data set of a kind, each series cut to a length of its own."""
    whole = arrays(kind)
    cut = {"x", "y", "mask"} if kind.is_dense else {"x"}
    return {
        name: [row[..., :n] for row, n in zip(array, LENGTHS, strict=True)] if name in cut else array
        for name, array in whole.items()
    }


def read(kind=TargetKind.CLASSES):
    return prepare(ragged(kind), DataConfig(target=kind), seed=0)


def network_for(data, backbone="resnet1d"):
    torch.manual_seed(0)
    return Topology(backbone=backbone, width=4).build(data.spec)


@pytest.mark.parametrize(
    ("kind", "backbone"), [*((kind, "resnet1d") for kind in TargetKind), (TargetKind.CLASSES, "tcn")]
)
def test_a_model_answers_each_series_as_if_it_were_alone(kind, backbone, tmp_path):
    source = ragged(kind)
    fit(source, options(backbone=backbone), out=tmp_path)
    model = TrainedModel.load(tmp_path)
    assert model.spec.target_kind is kind
    x, padded = source["x"], np.full((60, 2, 40), np.nan)
    for row, one in zip(padded, x, strict=True):
        row[:, : one.shape[1]] = one
    together, behind = model.predict(x), model.predict({"x": padded, "lengths": LENGTHS})
    for i, n in enumerate(LENGTHS[:12]):
        alone = model.predict([x[i]])
        for name, expected in alone.items():
            for given in (together[name][i], behind[name][i]):
                if name == "label":
                    np.testing.assert_array_equal(given[..., :n] if kind.is_dense else given, expected[0])
                else:
                    np.testing.assert_allclose(
                        given[..., :n] if kind.is_dense else given, expected[0], rtol=1e-4, atol=1e-5
                    )


def test_the_tiny_classes_are_learned():
    result = fit(ragged(TargetKind.CLASSES), options(epochs=10, tune_trials=1))
    assert result.summary["scores"]["test"]["value"] < 0.2


@pytest.mark.parametrize("kind", [TargetKind.CLASSES, TargetKind.DENSE_REGRESSION])
def test_where_all_series_are_whole_a_run_ends_as_it_does_without_lengths(kind):
    whole = arrays(kind)
    given = whole | {"lengths": np.full(60, 16)}
    one, other = fit(whole, options()), fit(given, options())
    for name in ("scores", "backbone_scores", "architecture", "recipe"):
        assert one.summary[name] == other.summary[name]
    weights = other.model.network.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in one.model.network.state_dict().items())


@pytest.mark.parametrize("kind", TargetKind)
def test_micro_batches_add_up_to_the_gradient_of_the_batch(kind):
    data = read(kind)
    network = network_for(data).double().eval()  # running statistics do not tell pieces apart
    loss = make_loss(data.spec, data.normaliser, metric_name=get_metric(None, kind).name)
    part = AsDouble(data.train)
    gradients = []
    for micro_batch in (12, 5):
        set_gradients(network, loss, part, np.arange(12), CPU, micro_batch=micro_batch, seed=0)
        gradients.append({name: p.grad.clone() for name, p in network.named_parameters()})
    torch.testing.assert_close(*gradients)


class AsDouble:
    """A part whose batches are in float64."""

    def __init__(self, part):
        self.part = part

    def batch(self, indices, device, *, seed=None):
        batch = self.part.batch(indices, device, seed=seed)
        return batch._replace(x=batch.x.double(), y=batch.y.double() if batch.y.is_floating_point() else batch.y)


def test_the_memory_of_a_step_is_that_of_the_longest_series_whichever_are_weighed():
    needs = []
    for usual, odd in ((4, 16), (16, 4)):
        source = arrays(TargetKind.CLASSES) | {"lengths": np.where(np.arange(60) == 7, odd, usual)}
        data = prepare(source, DataConfig(), seed=0)
        loss = make_loss(data.spec, data.normaliser, metric_name="error")
        phase = retrain_phase(
            "step", network_for(data), data.train, loss, Recipe(), RetrainConfig(), epochs=1, batch_size=8, seed=0
        )
        needs.append(count_step(phase, CPU).tensor_bytes(8))
    assert needs[0] == needs[1]


def test_a_training_that_is_stopped_after_every_step_ends_as_if_it_had_not_been(tmp_path):
    data = read()
    loss = make_loss(data.spec, data.normaliser, metric_name="error")

    def train(network, where):
        settings = {"epochs": 2, "batch_size": 8, "seed": 0, "session": where}
        retrain("retrain", network, data.train, loss, Recipe(), RetrainConfig(), **settings)

    with session(tmp_path / "undisturbed") as where:
        train(undisturbed := network_for(data), where)
    stops = 0
    while True:
        with session(tmp_path / "stopped", stop_requested=lambda: True) as where:
            try:
                train(stopped := network_for(data), where)
                break
            except Interrupted:
                stops += 1
    assert stops > 5
    torch.testing.assert_close(stopped.state_dict(), undisturbed.state_dict(), rtol=0, atol=0)


class Own(nn.Module):
    """A model of somebody else's, that knows nothing of lengths."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 3, 3, padding=1)
        self.seen = 0

    def forward(self, x):
        self.seen += 1
        return self.conv(x).mean(dim=-1)


class Told(Own):
    """One that can be told."""

    def forward(self, x, lengths):
        real = torch.arange(x.shape[-1]) < lengths[:, None]
        return (self.conv(x * real[:, None]) * real[:, None]).sum(dim=-1) / lengths[:, None]


REFUSED = "the series are of unequal length, but Own would take the padding behind them for values: its forward has no"


def test_a_model_that_cannot_be_told_lengths_is_refused_before_it_is_called(tmp_path):
    data, network = read(), Own()
    loss = make_loss(data.spec, data.normaliser, metric_name="error")
    settings = {"epochs": 1, "batch_size": 8, "seed": 0}
    with session(tmp_path) as where:
        with pytest.raises(ConfigError, match=REFUSED):
            retrain("own", network, data.train, loss, Recipe(), RetrainConfig(), session=where, **settings)
        supernet = to_supernet(network, SearchSpace(kernel_sizes=(3, 5), dilations=(1,)), torch.zeros(2, 2, 16))
        with pytest.raises(ConfigError, match=REFUSED):
            search(supernet, data.train, loss, SearchConfig(), session=where, **settings)
    with pytest.raises(ConfigError, match=REFUSED):
        validate(network, data.validation, get_metric("error", TargetKind.CLASSES), batch_size=8, device=CPU)
    assert network.seen == 0


def test_a_model_of_ones_own_that_takes_lengths_is_told_them(tmp_path):
    data, network = read(), Told()
    loss = make_loss(data.spec, data.normaliser, metric_name="error")
    with session(tmp_path) as where:
        retrain(
            "told", network, data.train, loss, Recipe(), RetrainConfig(),
            epochs=1, batch_size=8, seed=0, session=where,
        )  # fmt: skip
    x, lengths = torch.randn(3, 2, 16), torch.tensor([3, 16, 9])
    torch.testing.assert_close(
        network_outputs(network, x, lengths)[0], network_outputs(network, x[:1, :, :3], lengths[:1])[0]
    )
    refuse_lengths(network)


def test_without_lengths_a_model_is_called_with_its_inputs_alone():
    x = torch.randn(3, 2, 16)
    network = Own()
    assert torch.equal(network_outputs(network, x, None), network(x))


def test_a_backbone_for_images_is_refused():
    with pytest.raises(ConfigError, match=r"backbone 'wrn' is for 2-D data.*; backbones that fit: resnet1d, tcn"):
        fit(ragged(TargetKind.CLASSES), options(backbone="wrn"))
