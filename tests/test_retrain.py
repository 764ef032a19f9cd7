"""Training from scratch under a recipe: the last epoch's weights are kept."""

import pytest
import torch
from torch import nn

from dashnas.config import LearningRateSchedule, Recipe, RetrainConfig
from dashnas.losses import make_loss
from dashnas.retrain import retrain, retrain_phase
from dashnas.runs import read_events
from tiny import prepared, session

RECIPE = Recipe(learning_rate=0.07, weight_decay=3e-4, momentum=0.8)


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
    assert phase.shape_gradients is None


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
