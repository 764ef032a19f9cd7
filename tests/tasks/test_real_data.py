"""The real data, downloaded: facts and scores of simple baselines, measured on them independently before.

Shapes, class counts and baselines were found on the same packages before this code was written; the 1-NN
accuracy of CricketX is that of the UCR archive's summary table.
"""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from dashnas.data.spec import TargetKind
from dashnas.metrics import METRICS
from dashnas.tasks import TASKS, fetch

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def load(cache, monkeypatch):
    """Downloads each package once for all tests of this module."""
    monkeypatch.setenv("DASHNAS_CACHE", str(cache))

    def arrays(name):
        with np.load(fetch(name), allow_pickle=False) as file:
            return dict(file)

    return arrays


def flat(x):
    return x.reshape(len(x), -1)


def nearest_neighbour_accuracy(arrays):
    model = KNeighborsClassifier(1).fit(flat(arrays["x"]), arrays["y"])
    return model.score(flat(arrays["x_test"]), arrays["y_test"])


SHAPES = {
    "cricketx": {"x": (390, 1, 300), "y": (390,), "x_test": (390, 1, 300), "y_test": (390,)},
    "digits8": {"x": (1797, 1, 8, 8), "y": (1797,)},
    "vowels": {"x": (270, 12, 25), "y": (270,), "x_test": (370, 12, 25), "y_test": (370,)},
    "darcy16": {
        "x": (1000, 1, 16, 16),
        "y": (1000, 1, 16, 16),
        "x_test": (50, 1, 16, 16),
        "y_test": (50, 1, 16, 16),
    },
    "tecator": {"x": (172, 1, 100), "y": (172,), "x_test": (43, 1, 100), "y_test": (43,)},
    "watch": {"x": (1149, 6, 200), "y": (1149,), "group": (1149,)},
    "mnist1d": {"x": (4000, 1, 40), "y": (4000,), "x_test": (1000, 1, 40), "y_test": (1000,)},
}
CLASSES = {"cricketx": 12, "digits8": 10, "vowels": 9, "watch": 7, "mnist1d": 10}


def test_no_task_is_forgotten():
    assert SHAPES.keys() == TASKS.keys()
    assert CLASSES.keys() == {name for name, task in TASKS.items() if task.kind is TargetKind.CLASSES}


@pytest.mark.parametrize("name", TASKS)
def test_shapes_and_values(name, load):
    arrays = load(name)
    assert {key: value.shape for key, value in arrays.items()} == SHAPES[name]
    for key in {"x", "x_test"} & arrays.keys():
        assert arrays[key].dtype == np.float32
        assert np.isfinite(arrays[key]).all()


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name, load):
    arrays = load(name)
    assert len(np.unique(arrays["y"])) == CLASSES[name]
    assert set(arrays.get("y_test", [])) <= set(arrays["y"])


def test_cricketx_has_the_nearest_neighbour_accuracy_of_the_archive(load):
    accuracy = nearest_neighbour_accuracy(load("cricketx"))
    assert round(accuracy, 3) == 0.577
    assert 1 - accuracy == pytest.approx(TASKS["cricketx"].published["1-NN Euclidean"], abs=5e-4)


def test_vowels_nearest_neighbour_accuracy(load):
    assert round(nearest_neighbour_accuracy(load("vowels")), 3) == 0.951


def test_tecator_baselines(load):
    arrays = load("tecator")
    y_test = arrays["y_test"][:, None]
    assert (arrays["y"].min(), arrays["y"].max()) == pytest.approx((0.9, 49.1), abs=0.05)
    mean = np.full_like(y_test, arrays["y"].mean())
    assert METRICS["rmse"].compute(mean, y_test, None) == pytest.approx(12.9, abs=0.05)
    model = KNeighborsRegressor(1).fit(flat(arrays["x"]), arrays["y"])
    nearest = model.predict(flat(arrays["x_test"]))[:, None]
    assert METRICS["rmse"].compute(nearest, y_test, None) == pytest.approx(7.5, abs=0.05)


def test_darcy16_baselines(load):
    arrays = load("darcy16")
    assert set(np.unique(arrays["x"])) == {0, 1}
    mean = np.broadcast_to(arrays["y"].mean(axis=0), arrays["y_test"].shape)
    assert METRICS["relative_l2"].compute(mean, arrays["y_test"], None) == pytest.approx(0.487, abs=5e-4)
    ridge = Ridge().fit(flat(arrays["x"]), flat(arrays["y"])).predict(flat(arrays["x_test"]))
    predicted = ridge.reshape(arrays["y_test"].shape)
    assert METRICS["relative_l2"].compute(predicted, arrays["y_test"], None) == pytest.approx(0.258, abs=0.02)


def test_watch_people_and_exercises(load):
    arrays = load("watch")
    assert len(np.unique(arrays["group"])) == 10
    counts = np.unique(arrays["y"], return_counts=True)[1]
    assert (counts.min(), counts.max()) == (121, 192)


def test_watch_nearest_neighbour_accuracy_on_people_held_out(load):
    arrays = load("watch")
    held_out = np.isin(arrays["group"], np.unique(arrays["group"])[:2])
    model = KNeighborsClassifier(1).fit(flat(arrays["x"][~held_out]), arrays["y"][~held_out])
    # Three other choices of two people gave 0.67; which two decides much.
    assert model.score(flat(arrays["x"][held_out]), arrays["y"][held_out]) == pytest.approx(0.67, abs=0.15)
