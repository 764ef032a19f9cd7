"""The paper's preset with its epochs scaled."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from dashnas.budget import RESERVE, EpochCosts
from dashnas.config import FitConfig, Schedule
from dashnas.data import DataSpec, TargetKind
from dashnas.methods import MisfitError
from dashnas.methods.paper_scaled import fitting_scale, scaled, seconds_of
from dashnas.presets import Options, resolve

SPEC = DataSpec(channels=1, spatial_shape=(32,), target_kind=TargetKind.CLASSES, outputs=3)


@pytest.fixture
def paper() -> FitConfig:
    return resolve(Options(preset="paper"), SPEC, 1000)


def epochs(config):
    s = config.schedule
    return s.search_epochs, s.tune_trials, s.tune_epochs, s.retrain_epochs


def test_all_epochs_and_milestones_are_scaled_alike_and_the_recipes_are_not(paper):
    assert epochs(paper) == (100, 24, 80, 200)
    tenth = scaled(paper, 0.1)
    assert epochs(tenth) == (10, 24, 8, 20)
    assert tenth.search.schedule.milestones == (6,)
    assert tenth.retrain.schedule.milestones == (3, 6, 9, 12, 16)
    assert scaled(paper, 1.0) == paper


def test_at_least_one_epoch_each_is_left(paper):
    assert epochs(scaled(paper, 1 / 200)) == (1, 24, 1, 1)


class TestScale:
    costs = EpochCosts(search=0.5, derived=2.0, backbone=0.0, retrain_share=1.25)

    def scale(self, paper, seconds, monkeypatch):
        monkeypatch.setattr(
            "dashnas.methods.paper_scaled.calibrate", lambda job: SimpleNamespace(costs=TestScale.costs)
        )
        monkeypatch.setattr("dashnas.methods.paper_scaled.time.monotonic", lambda: 100.0)
        return fitting_scale(SimpleNamespace(config=paper), seconds, 100.0)

    def test_the_largest_that_fits_is_taken(self, paper, monkeypatch):
        scale = self.scale(paper, 300.0, monkeypatch)
        usable = 300.0 * (1 - RESERVE)
        assert seconds_of(scaled(paper, scale), self.costs) <= usable
        assert seconds_of(scaled(paper, scale + 1 / 200), self.costs) > usable

    @pytest.mark.parametrize(("seconds", "scale"), [(1e9, 1.0), (10.0, 1 / 200)])
    def test_it_lies_between_one_epoch_and_the_papers_own(self, paper, monkeypatch, seconds, scale):
        assert self.scale(paper, seconds, monkeypatch) == scale

    def test_it_is_not_begun_where_one_epoch_of_everything_takes_far_longer_than_the_budget(self, paper, monkeypatch):
        with pytest.raises(
            MisfitError, match=r"one epoch of everything would take about \d+ s, more than 5 times the budget"
        ):
            self.scale(paper, 1.0, monkeypatch)


def test_the_seconds_are_those_of_search_tuning_and_training(paper):
    paper = replace(paper, schedule=Schedule(search_epochs=2, tune_trials=24, tune_epochs=3, retrain_epochs=4))
    tuning = 24 * paper.tune.subsample * 3
    assert seconds_of(paper, TestScale.costs) == pytest.approx(2 * 0.5 + (tuning + 1.25 * 4) * 2.0)
