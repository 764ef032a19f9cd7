import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dashnas import tasks
from dashnas.data.spec import TargetKind
from dashnas.errors import ConfigError, DataError
from dashnas.known_task import known_task
from dashnas.metrics import get_metric
from dashnas.presets import Options
from dashnas.tasks import TASKS, RealTask, check, fetch, get_task, mnist1d, register_task, task_source
from dashnas.tasks.registry import TASKS as REGISTRY


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DASHNAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def toy(monkeypatch):
    """A task without downloads, and the number of times it was built."""
    builds = []

    def build():
        builds.append(1)
        return {"x": np.arange(6.0).reshape(3, 1, 2), "y": np.array(["a", "b", "a"])}

    monkeypatch.setitem(REGISTRY, "toy", dataclasses.replace(TASKS["digits8"], name="toy", build=build))
    return builds


class Own:
    """A task of one's own."""

    name = "mine"

    def task_data(self, protocol, seed):
        raise NotImplementedError


class TestOwnTasks:
    @pytest.fixture(autouse=True)
    def nothing_stays_registered(self, monkeypatch):
        monkeypatch.setattr("dashnas.tasks.registry.OWN_TASKS", {})

    def test_are_found_by_their_name(self):
        register_task(task := Own())
        options = Options()
        assert known_task("mine", options) == (task, options)

    @pytest.mark.parametrize("name", ["mine", "crop", "darcy"])
    def test_a_name_that_is_taken_is_refused(self, name):
        register_task(Own())
        task = Own()
        task.name = name
        with pytest.raises(ConfigError, match=f"a task '{name}' is registered already; choose another name"):
            register_task(task)

    @pytest.mark.parametrize("name", ["", "a/b", "a,b", "a b"])
    def test_a_name_that_is_no_file_name_is_refused(self, name):
        task = Own()
        task.name = name
        with pytest.raises(ConfigError, match=f"a task's name must have no '/', '@', ',' or space in it; got '{name}'"):
            register_task(task)

    def test_nothing_is_told_fetched_or_checked_of_them(self):
        register_task(Own())
        for ask in (get_task, fetch, check):
            with pytest.raises(ConfigError, match="mine is a task of your own, of which nothing but its data is known"):
                ask("mine")

    @pytest.mark.parametrize("thing", [Own, "mine", RealTask])
    def test_what_is_no_task_is_refused(self, thing):
        with pytest.raises(ConfigError, match=r"a task is an object with a name .*; write register_task\(MyTask\(\)\)"):
            register_task(thing)

    def test_are_among_those_named_where_none_fits(self):
        register_task(Own())
        with pytest.raises(ConfigError, match="unknown task 'mina'; did you mean 'mine'"):
            task_source("mina")


@pytest.mark.parametrize("task", TASKS.values(), ids=str)
class TestEveryTask:
    def test_is_found_by_its_name(self, task):
        assert TASKS[task.name] is task

    def test_its_metric_fits_its_targets(self, task):
        assert get_metric(task.metric, task.kind).name == task.metric

    def test_pins_its_files(self, task):
        assert all(len(digest) == 64 for digest in task.package.members.values())
        assert bool(task.package.members) == (task.package.megabytes > 0)

    def test_published_errors_are_fractions(self, task):
        assert all(0 < value < 1 for value in task.published.values())

    def test_says_what_it_is(self, task):
        assert task.about.strip()
        assert bool(task.published) == ("Published errors" in task.about)

    def test_its_shapes_fit_each_other_and_its_kind(self, task):
        assert task.dims in (1, 2)
        assert (task.classes is not None) == (task.kind is TargetKind.CLASSES)
        sizes = {part: set() for part in ("", "_val", "_test")}
        for name, shape in task.shapes.items():
            array, _, part = name.partition("_")
            sizes[f"_{part}" if part else ""].add(shape[0])
            if array == "x":
                assert shape[1:] == task.shapes["x"][1:]
            if array == "y" and task.kind.is_dense:
                assert shape[2:] == task.shapes["x"][2:]
        assert all(len(different) <= 1 for different in sizes.values())
        assert list(task.samples.values()) == [n for (n,) in filter(None, sizes.values())]


def test_every_module_with_a_task_is_found():
    folder = Path(tasks.__file__).parent
    with_a_task = [path for path in folder.glob("*.py") if "\nTASK = " in path.read_text()]
    assert len(with_a_task) == len(TASKS) == 18
    assert list(TASKS) == sorted(TASKS)


def test_public_names():
    small = {"OWN_TASKS", "TASKS", "RealTask", "check", "fetch", "get_task", "register_task"}
    official = {"OFFICIAL_TASKS", "OfficialSource", "OfficialTask", "official_folder", "task_source"}
    assert set(tasks.__all__) == small | official


class TestFetch:
    def test_builds_once_and_keeps_plain_arrays(self, toy, cache):
        path = fetch("toy")
        assert cache in path.parents
        assert fetch("toy") == path
        assert len(toy) == 1
        with np.load(path, allow_pickle=False) as arrays:
            assert {key: arrays[key].shape for key in arrays} == {"x": (3, 1, 2), "y": (3,)}

    def test_a_damaged_file_in_the_cache_is_built_again(self, toy):
        path = fetch("toy")
        whole = path.read_bytes()
        path.write_bytes(whole[:-10])
        assert fetch("toy").read_bytes() == whole
        assert len(toy) == 2

    def test_copies_where_it_is_asked_to(self, toy, tmp_path):
        out = tmp_path / "data" / "mine.npz"
        assert fetch("toy", out) == out
        assert out.read_bytes() == fetch("toy").read_bytes()
        assert fetch("toy", out) == out

    def test_another_file_is_not_overwritten(self, toy, tmp_path):
        out = tmp_path / "mine.npz"
        out.write_bytes(b"precious")
        with pytest.raises(DataError, match=r"mine\.npz exists and holds something else; remove it, or choose"):
            fetch("toy", out)
        assert out.read_bytes() == b"precious"

    def test_a_folder_is_not_a_file_name(self, toy, tmp_path):
        with pytest.raises(DataError, match=r"is a folder; expected a file name such as .*toy\.npz"):
            fetch("toy", tmp_path)

    def test_an_unknown_name_lists_the_known_ones(self):
        with pytest.raises(ConfigError, match=r"unknown task 'criketx'; did you mean 'cricketx'\? Known: amp, an"):
            fetch("criketx")


@pytest.fixture(scope="module")
def mnist1d_arrays():
    return mnist1d.build()


class TestMnist1d:
    """Golden numbers: `mnist1d.data.make_dataset(get_dataset_args())` of the wheel mnist1d 0.0.2.post1.

    Run once with NumPy 2.4.6 and SciPy 1.17.1; its arrays, as float32, equalled `build` in every bit.
    """

    def test_shapes(self, mnist1d_arrays):
        shapes = {key: value.shape for key, value in mnist1d_arrays.items()}
        assert shapes == {"x": (4000, 1, 40), "y": (4000,), "x_test": (1000, 1, 40), "y_test": (1000,)}

    @pytest.mark.parametrize(
        ("key", "first", "total", "squares", "weighted"),
        [
            (
                "x",
                [-0.33200567, -0.47191037, -0.77869708, -1.00974083],
                -51.78746787509559,
                159248.2538653486,
                19336.325874002214,
            ),
            (
                "x_test",
                [-0.07877078, -0.21073171, -0.09175138, 0.28267112],
                51.78746787509192,
                40751.74613465136,
                7617.7651204119575,
            ),
        ],
    )
    def test_samples(self, mnist1d_arrays, key, first, total, squares, weighted):
        x = mnist1d_arrays[key][:, 0].astype(np.float64)
        np.testing.assert_allclose(x[0, :4], first, rtol=1e-6)
        sums = [x.sum(), (x**2).sum(), (x * np.arange(1, 41)).sum()]
        # Rounding 160,000 values to float32 moves these sums by about 1e-5.
        np.testing.assert_allclose(sums, [total, squares, weighted], rtol=0, atol=1e-2)

    def test_labels(self, mnist1d_arrays):
        assert "".join(map(str, mnist1d_arrays["y"][:20])) == "26456660316943451903"
        assert np.bincount(mnist1d_arrays["y"]).tolist() == [398, 396, 411, 394, 394, 402, 401, 404, 402, 398]
        assert np.bincount(mnist1d_arrays["y_test"]).tolist() == [102, 104, 89, 106, 106, 98, 99, 96, 98, 102]
