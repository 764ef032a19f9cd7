"""Padding never changes an answer, a gradient or a running statistic of the backbones that take series' lengths."""

import copy

import pytest
import torch
from torch import nn

from dashnas.backbones import BACKBONES, Backbone, build_backbone
from dashnas.convert import derive, discretise, mixtures, to_supernet
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.errors import ConfigError
from dashnas.ops.strategies import STRATEGIES
from dashnas.space import SearchSpace

LENGTHS = torch.tensor([5, 11, 2, 8])
LONGEST = 11
SPACE = SearchSpace(kernel_sizes=(3, 5), dilations=(1, 3))
every_backbone = pytest.mark.parametrize("name", ["resnet1d", "tcn"])
forms = pytest.mark.parametrize("form", ["backbone", "supernet", "derived"])
every_official = pytest.mark.parametrize("official", [False, True], ids=["", "official"])
every_target = pytest.mark.parametrize("dense", [False, True], ids=["point", "dense"])


def spec_of(*, dense, channels=3):
    kind = TargetKind.DENSE_REGRESSION if dense else TargetKind.CLASSES
    return DataSpec(channels=channels, spatial_shape=(LONGEST,), target_kind=kind, outputs=3, unequal_lengths=True)


def make(name, form="backbone", *, official=False, dense=False, channels=3, **settings):
    """A network in float64 with statistics and factors as after training."""
    spec = spec_of(dense=dense, channels=channels)
    network = build_backbone(name, spec, width=4, official=official)
    if form == "backbone":
        return settled(network)
    searched = build_backbone(name, spec, width=4, official=official, for_search=True)
    supernet = to_supernet(searched, SPACE, torch.zeros(2, channels, LONGEST), **settings)
    for layer in mixtures(supernet).values():
        nn.init.normal_(layer.arch_parameters)
    return settled(supernet if form == "supernet" else derive(network, discretise(supernet)))


def settled(network):
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return network.double().eval()


def padded(series, longest=LONGEST, fill=0.0):
    """Series (channels, length_i) in one array, with `fill` behind each."""
    x = torch.full((len(series), series[0].shape[0], longest), fill, dtype=torch.float64)
    for row, one in zip(x, series, strict=True):
        row[:, : one.shape[1]] = one
    return x


def some_series(channels=3):
    return [torch.randn(channels, n, dtype=torch.float64) for n in LENGTHS.tolist()]


def step(network, x, lengths):
    """The answers in training, and the gradients and statistics that they leave, of a loss on real positions alone."""
    network = copy.deepcopy(network).train()
    answers = network(x, lengths)
    answers[..., :LONGEST].square().sum().backward()
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert len(gradients) > 10
    return answers[..., :LONGEST], gradients, dict(network.named_buffers())


@forms
@every_target
@every_official
@every_backbone
def test_a_series_is_answered_as_it_is_alone_whatever_stands_beside_and_behind_it(name, official, dense, form):
    network, series = make(name, form, official=official, dense=dense), some_series()
    with torch.no_grad():
        together = network(padded(series), LENGTHS)
        further = network(padded(series, longest=29), LENGTHS)
        for i, (one, length) in enumerate(zip(series, LENGTHS.tolist(), strict=True)):
            alone = network(one[None])[0]
            torch.testing.assert_close(together[i, :, :length] if dense else together[i], alone)
            torch.testing.assert_close(further[i, :, :length] if dense else further[i], alone)
            if dense:
                assert not further[i, :, length:].any()


@forms
@every_target
@every_official
@every_backbone
def test_what_stands_behind_a_series_changes_nothing_not_even_a_bit(name, official, dense, form):
    network, series = make(name, form, official=official, dense=dense), some_series()
    clean, dirty = padded(series), padded(series, fill=torch.nan)
    assert torch.equal(network(clean, LENGTHS), network(dirty, LENGTHS))
    torch.testing.assert_close(step(network, dirty, LENGTHS), step(network, clean, LENGTHS), rtol=0, atol=0)


@pytest.mark.parametrize("channels", [1, 4])  # as many as the first block gives, where its shortcut is the input itself
@every_official
@every_backbone
def test_garbage_does_not_pass_a_shortcut(name, official, channels):
    network, series = make(name, official=official, channels=channels), some_series(channels)
    clean, dirty = padded(series), padded(series, fill=torch.nan)
    torch.testing.assert_close(step(network, dirty, LENGTHS), step(network, clean, LENGTHS), rtol=0, atol=0)


@forms
@every_target
@every_official
@every_backbone
def test_more_padding_changes_neither_loss_nor_gradients_nor_statistics(name, official, dense, form):
    network, series = make(name, form, official=official, dense=dense), some_series()
    torch.testing.assert_close(
        step(network, padded(series, longest=29), LENGTHS), step(network, padded(series), LENGTHS)
    )


@forms
@every_target
@every_official
@every_backbone
def test_where_all_series_are_whole_training_is_that_without_lengths(name, official, dense, form):
    network, x = make(name, form, official=official, dense=dense), torch.randn(4, 3, LONGEST, dtype=torch.float64)
    torch.testing.assert_close(step(network, x, torch.full((4,), LONGEST)), step(network, x, None))


@every_official
@every_backbone
def test_no_gradient_reaches_the_padding(name, official):
    network = make(name, official=official).train()
    x = padded(some_series(), fill=2.0).requires_grad_()
    network(x, LENGTHS).square().sum().backward()
    behind = torch.arange(LONGEST) >= LENGTHS[:, None]
    assert not x.grad.movedim(1, -1)[behind].any()
    assert x.grad.movedim(1, -1)[~behind].any()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_padding_changes_nothing_however_a_supernet_is_computed(strategy):
    network = make("resnet1d", "supernet", strategy=strategy)
    series = some_series()
    torch.testing.assert_close(
        step(network, padded(series, longest=16, fill=1e6), LENGTHS), step(network, padded(series), LENGTHS)
    )


def test_a_backbone_that_cannot_be_told_lengths_is_refused_for_such_series(monkeypatch):
    class Deaf(nn.Conv1d):
        """Takes signals alone."""

    entry = Backbone(build=lambda spec, **_: Deaf(spec.channels, spec.outputs, 1), spatial_dims=1, default_width=1)
    monkeypatch.setitem(BACKBONES, "deaf", entry)
    message = "unequal length, but Deaf would take the padding behind them for values.*take the backbone resnet1d"
    with pytest.raises(ConfigError, match=message):
        build_backbone("deaf", spec_of(dense=False))
