"""Training from scratch under a recipe: the last epoch's weights are kept."""

import contextlib

import pytest
import torch
from torch import nn

from dashnas.config import LearningRateSchedule, RetrainConfig
from dashnas.errors import ConfigError
from dashnas.losses import make_loss
from dashnas.recipe import RECIPES, Optimiser, Recipe
from dashnas.retrain import retrain, retrain_phase
from dashnas.runs import read_events
from dashnas.training import Interrupted, _order, rate_factor
from tiny import prepared, session

RECIPE = Recipe(learning_rate=0.07, weight_decay=3e-4, momentum=0.8, cutout=0.4, sam_radius=0.2)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(32, 3))


def parts():
    data = prepared()
    return data, make_loss(data.spec, data.normaliser, metric_name="error")


def test_recipe_and_settings_reach_the_optimiser_and_the_phase():
    data, loss = parts()
    schedule = LearningRateSchedule(shape="steps", milestones=(1,))
    config = RetrainConfig(schedule=schedule, clip=0.5)
    phase = retrain_phase("retrain", network(), data.train, loss, RECIPE, config, epochs=2, batch_size=8, seed=1)
    (group,) = phase.optimiser.param_groups
    assert [group[n] for n in ("lr", "weight_decay", "momentum", "nesterov")] == [0.07, 3e-4, 0.8, True]
    assert len(group["params"]) == 2
    assert (phase.schedule, phase.clip, phase.subsample) == (schedule, 0.5, 1.0)
    assert (phase.cutout, phase.sam_radius) == (0.4, 0.2)
    assert phase.shape_gradients is None


@pytest.mark.parametrize("stop", [None, 3])
@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_linear_layers_step_as_by_pytorch_s_adamw_with_the_rates_of_the_schedule(optimiser, stop, tmp_path):
    """Also where the training is stopped and goes on from its checkpoint, which has both moments."""
    data, loss = parts()
    recipe = Recipe(optimiser=optimiser, learning_rate=0.01, weight_decay=0.05, momentum=0.8)
    expected = network()
    by_hand = torch.optim.AdamW(expected.parameters(), lr=0.01, betas=(0.8, 0.999), weight_decay=0.05)
    made = retrain_phase("own", expected, data.train, loss, recipe, RetrainConfig(), epochs=2, batch_size=8, seed=1)
    for epoch in range(2):
        order = _order(made, epoch)
        for step, indices in enumerate(order):
            by_hand.param_groups[0]["lr"] = 0.01 * rate_factor(made.schedule, epoch, step / len(order), 2)
            by_hand.zero_grad()
            batch = data.train.batch(indices)
            loss(expected(batch.x), batch).backward()
            by_hand.step()
    steps = iter(range(1, 100))
    with contextlib.suppress(Interrupted), session(tmp_path, stop_requested=lambda: next(steps) == stop) as there:
        retrain_by(recipe, network(), there)
    trained = network()
    with session(tmp_path) as there:
        retrain_by(recipe, trained, there)
    torch.testing.assert_close(trained.state_dict(), expected.state_dict())


@pytest.mark.parametrize("optimiser", list(Optimiser))
def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(optimiser, tmp_path):
    """Of convolutions, linear layers and normalisation."""
    first, again = convolutions(), convolutions()
    with session(tmp_path / "first") as there:
        retrain_by(RECIPES[optimiser], first, there)
    steps = iter(range(1, 100))
    with pytest.raises(Interrupted), session(tmp_path / "again", stop_requested=lambda: next(steps) == 3) as there:
        retrain_by(RECIPES[optimiser], convolutions(), there)
    with session(tmp_path / "again") as there:
        retrain_by(RECIPES[optimiser], again, there)
    for name, value in first.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


@pytest.mark.parametrize("optimiser", list(Optimiser))
def test_complex_weights_are_refused_unless_they_are_frozen(optimiser):
    data, loss = parts()
    made = network()
    made.register_parameter("odd", nn.Parameter(torch.zeros(2, 2, 3, dtype=torch.complex64), requires_grad=False))
    arguments = ("retrain", made, data.train, loss, RECIPES[optimiser], RetrainConfig())
    retrain_phase(*arguments, epochs=2, batch_size=8, seed=1)
    made.odd.requires_grad_()
    with pytest.raises(ConfigError, match="the network has complex weights, and only real ones are trained"):
        retrain_phase(*arguments, epochs=2, batch_size=8, seed=1)


def convolutions() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Linear(56, 3))


def retrain_by(recipe, network, session):
    data, loss = parts()
    retrain(
        "retrain", network, data.train, loss, recipe, RetrainConfig(), epochs=2, batch_size=8, seed=1, session=session
    )  # fmt: skip


def test_the_weights_of_the_last_epoch_are_kept_whatever_the_loss_was(tmp_path):
    """Discrepancy 17 of the specification: the paper reports the last epoch."""
    data, loss = parts()
    made = network()
    with session(tmp_path) as there:
        seconds = retrain(
            "retrain", made, data.development, loss, RECIPE, RetrainConfig(),
            epochs=3, batch_size=8, seed=1, session=there,
        )  # fmt: skip
        saved = there.run.load_checkpoint("retrain")["model"]
    assert seconds > 0
    assert [e["epoch"] for e in read_events(tmp_path)] == [0, 1, 2]
    for name, weight in made.state_dict().items():
        assert torch.equal(weight, saved[name])
        assert not torch.equal(weight, network().state_dict()[name])


def test_the_rate_falls_between_epochs_at_milestones(tmp_path):
    data, loss = parts()
    config = RetrainConfig(schedule=LearningRateSchedule(shape="steps", milestones=(1, 2), factor=0.1))
    with session(tmp_path) as there:
        retrain(
            "retrain", network(), data.train, loss, RECIPE, config, epochs=3, batch_size=8, seed=1, session=there
        )  # fmt: skip
    assert [e["learning_rate"] for e in read_events(tmp_path)] == pytest.approx([0.07, 0.007, 0.0007])
