"""Files of Darcy flow: names and keys, the same bytes however they came about, and what is refused."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from dashnas.errors import ConfigError, DataError
from dashnas.tasks import OFFICIAL_TASKS
from dashnas.tasks import make_darcy as module
from dashnas.tasks.darcy_equations import sample
from dashnas.tasks.make_darcy import DarcyRecipe, make_darcy
from dashnas.tasks.nb360.darcy import TEST, TRAIN
from dashnas.tasks.official import OfficialSource
from dashnas.tasks.synthetic import MARK

SMALL = DarcyRecipe(n=6, grid=16, stride=5, seed=3)


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"n": 10**23}, "n must be at most 1000000, got 1000"), ({"grid": 10**9}, "grid must be at most 4096 cells")],
)
def test_more_than_can_be_made_is_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        DarcyRecipe(**setting)


def test_more_jobs_than_any_machine_has_cores_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="jobs must be at most 256, got 100000; more than there are cores"):
        make_darcy(SMALL, tmp_path / "out", jobs=100_000)


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_place_of_the_folder_is_refused(tmp_path, below):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(DataError, match="file is a file; expected a folder for the two files"):
        make_darcy(SMALL, tmp_path / "file" / below)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished folder; read only."""
    out = tmp_path_factory.mktemp("made")
    make_darcy(SMALL, out)
    return out


def stop_after(n):
    def tell(done, total):
        if done == n:
            raise KeyboardInterrupt

    return tell


def test_the_usual_recipe_has_as_many_samples_and_points_as_the_benchmark():
    recipe = DarcyRecipe()
    assert {name: len(indices) for name, indices in recipe.files.items()} == {TRAIN: 1000, TEST: 100}
    assert recipe.points == 85


def test_files_hold_every_so_many_cells_of_ground_and_pressure_as_coeff_and_sol(made):
    assert set(content(made)) == {TRAIN, TEST, MARK}
    arrays = loadmat(made / TRAIN)
    assert arrays["coeff"].dtype == arrays["sol"].dtype == np.float32
    assert arrays["coeff"].shape == arrays["sol"].shape == (5, 4, 4)
    assert loadmat(made / TEST)["sol"].shape == (1, 4, 4)
    for row in range(5):
        ground, pressure = sample(3, row, 16)
        np.testing.assert_array_equal(arrays["coeff"][row], ground[::5, ::5])
        np.testing.assert_allclose(arrays["sol"][row], pressure[::5, ::5], rtol=1e-6)


def test_files_say_that_they_are_not_the_official_ones(made):
    assert loadmat(made / TEST)["__header__"].startswith(b"MATLAB 5.0 MAT-file, synthetic Darcy flow")
    mark = json.loads((made / MARK).read_text())
    assert mark["synthetic"] is True
    assert mark["recipe"]["seed"] == 3
    assert mark["recipe"]["ground"] == {"alpha": 2, "tau": 3, "high": 12, "low": 3}
    assert set(mark["versions"]) == {"python", "numpy", "scipy"}


def test_another_seed_makes_other_files(made, tmp_path):
    make_darcy(DarcyRecipe(n=6, grid=16, stride=5, seed=4), tmp_path)
    assert content(tmp_path)[TRAIN] != content(made)[TRAIN]


def test_what_is_made_is_not_made_again(made, monkeypatch):
    before = content(made)
    monkeypatch.setattr(module, "sample", None)
    assert make_darcy(SMALL, made) == [made / TRAIN, made / TEST]
    assert content(made) == before


def test_after_a_stop_only_what_is_missing_is_made_and_the_files_are_the_same(made, tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        make_darcy(SMALL, tmp_path, progress=stop_after(4))
    solved, told = [], []
    monkeypatch.setattr(module, "sample", lambda *of: solved.append(of[1]) or sample(*of))
    make_darcy(SMALL, tmp_path, progress=lambda *counts: told.append(counts))
    assert solved == [4, 5]
    assert told == [(4, 6), (5, 6), (6, 6)]
    assert content(tmp_path) == content(made)


def test_a_damaged_sample_is_made_again(made, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make_darcy(SMALL, tmp_path, progress=stop_after(4))
    (folder,) = tmp_path.glob(".samples*")
    (folder / "000001.npy").write_bytes((folder / "000001.npy").read_bytes()[:-7])
    make_darcy(SMALL, tmp_path)
    assert content(tmp_path) == content(made)


def test_a_stop_between_the_files_is_no_obstacle(made, tmp_path):
    (tmp_path / TRAIN).write_bytes((made / TRAIN).read_bytes())
    make_darcy(SMALL, tmp_path)
    assert content(tmp_path) == content(made)


def test_files_of_others_are_kept(tmp_path):
    (tmp_path / TEST).write_bytes(b"official")
    with pytest.raises(DataError, match=r"smooth2\.mat exists and was not made here.*choose another folder with --out"):
        make_darcy(SMALL, tmp_path)
    assert content(tmp_path) == {TEST: b"official"}


def test_files_of_another_recipe_are_kept(made):
    with pytest.raises(DataError, match=r"another recipe, .*'seed': 3.*expected .*'seed': 5"):
        make_darcy(DarcyRecipe(n=6, grid=16, stride=5, seed=5), made)


def test_a_damaged_mark_is_not_guessed_at(tmp_path):
    (tmp_path / MARK).write_text("{")
    with pytest.raises(DataError, match=r"synthetic\.json cannot be read .*remove it and the files beside it"):
        make_darcy(SMALL, tmp_path)


def test_a_mark_of_something_else_is_not_guessed_at(tmp_path):
    (tmp_path / MARK).write_text("[]")
    with pytest.raises(DataError, match=r"synthetic\.json is no mark of made files"):
        make_darcy(SMALL, tmp_path)


def test_the_task_reads_them_and_warns_that_they_are_not_the_benchmark_s(tmp_path, monkeypatch):
    monkeypatch.setenv("DASHNAS_DATA", str(tmp_path))
    make_darcy(DarcyRecipe(n=22, grid=25, stride=1), tmp_path / "darcy")
    source = OfficialSource(OFFICIAL_TASKS["darcy"])
    data = source.task_data("clean", seed=0)
    assert len(data.final.rows) == 20
    assert data.spec.spatial_shape == (5, 5)
    (warning,) = (line for line in data.warnings if "not the benchmark's own files" in line)
    assert "Darcy flow made by `dashnas tasks make darcy`" in warning
    (tmp_path / "darcy" / MARK).unlink()
    assert not any("not the benchmark's" in line for line in source.task_data("clean", seed=0).warnings)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": 1}, "n must be at least 2, .* got 1"),
        ({"grid": 7}, "grid must be at least 8 cells along each axis, got 7"),
        ({"stride": 0}, "stride must be from 1 to below grid 421, got 0"),
        ({"grid": 10, "stride": 10}, "stride must be from 1 to below grid 10, got 10"),
        ({"seed": -1}, "seed must be from 0 to 4294967295, got -1"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        DarcyRecipe(**wrong)


def test_no_jobs_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="jobs must be at least 1, got 0"):
        make_darcy(SMALL, tmp_path, jobs=0)


@pytest.mark.slow
def test_any_number_of_processes_makes_the_same_files(made, tmp_path):
    make_darcy(SMALL, tmp_path, jobs=3)
    assert content(tmp_path) == content(made)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of the pool in /proc")
def test_a_killed_command_goes_on_and_ends_in_the_same_files(tmp_path):
    recipe = DarcyRecipe(n=60, grid=151, seed=1)
    out = tmp_path / "killed"
    command = [
        sys.executable,
        "-m",
        "dashnas",
        "tasks",
        "make",
        "darcy",
        "--n=60",
        "--grid=151",
        "--seed=1",
        "--jobs=2",
    ]
    process = subprocess.Popen([*command, f"--out={out}"], stdout=subprocess.DEVNULL)
    (folder,) = _wait_for(lambda: list(out.glob(".samples*")))
    _wait_for(lambda: len(list(folder.glob("0*.npy"))) > 5)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    _wait_for(lambda: not any(map(_runs, children)))
    there = len(list(folder.glob("0*.npy")))
    assert 5 < there < 60
    told = []
    make_darcy(recipe, out, jobs=2, progress=lambda *counts: told.append(counts))
    assert told[0] == (there, 60)
    make_darcy(recipe, tmp_path / "at once")
    assert content(out) == content(tmp_path / "at once")


def _wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def _runs(pid):
    """Whether a process is there and does not only wait to be buried."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
