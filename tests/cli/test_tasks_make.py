"""`dashnas tasks make`: data of the benchmark's kind."""

import json
import pickle

import numpy as np
import pytest
from sklearn.datasets import load_digits

from cli.commands import assert_refused, dashnas
from dashnas.tasks.nb360.darcy import TEST, TRAIN
from dashnas.tasks.synthetic import MARK


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DASHNAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DASHNAS_DATA", raising=False)


SMALL = ["--n=4", "--grid=16", "--stride=4", "--jobs=1"]


class TestDarcy:
    def test_prints_where_its_files_lie_and_nothing_else(self, tmp_path):
        result = dashnas("tasks", "make", "darcy", *SMALL, "--out", tmp_path / "mine")
        assert result.exit_code == 0, result.stderr
        assert result.stdout.splitlines() == [str(tmp_path / "mine" / name) for name in (TRAIN, TEST)]
        assert result.stderr == ""

    def test_without_out_the_files_go_where_the_task_looks_for_them(self, tmp_path, monkeypatch):
        assert dashnas("tasks", "make", "darcy", *SMALL).exit_code == 0
        assert (tmp_path / "cache" / "official" / "darcy" / TRAIN).exists()
        monkeypatch.setenv("DASHNAS_DATA", str(tmp_path / "data"))
        assert dashnas("tasks", "make", "darcy", *SMALL, "--seed=9").exit_code == 0
        assert json.loads((tmp_path / "data" / "darcy" / MARK).read_text())["recipe"]["seed"] == 9

    def test_what_makes_no_sense_is_refused(self, tmp_path):
        assert_refused(dashnas("tasks", "make", "darcy", "--n=1", "--out", tmp_path), "n must be at least 2")
        assert_refused(dashnas("tasks", "make", "darcy", "--jobs=0", "--out", tmp_path), "jobs must be at least 1")


class TestSpherical:
    @pytest.fixture
    def digits(self, tmp_path):
        path = tmp_path / "digits.npz"
        images, labels = load_digits(return_X_y=True)
        np.savez(path, x=images.reshape(-1, 8, 8)[:20], y=labels[:20])
        return path

    def test_makes_an_npz_file_of_another(self, digits, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        result = dashnas("tasks", "make", "spherical", "--images", digits, "--turn-every=10")
        assert result.exit_code == 0, result.stderr
        assert result.stdout.strip() == "digits-sphere.npz"
        with np.load(tmp_path / "digits-sphere.npz") as made:
            assert made["x"].shape == (20, 1, 60, 60)

    def test_of_cifar100_comes_the_official_file(self, tmp_path, monkeypatch):
        monkeypatch.setenv("DASHNAS_DATA", str(tmp_path))
        folder = tmp_path / "cifar100" / "cifar-100-python"
        folder.mkdir(parents=True)
        for part in ("train", "test"):
            content = {"data": np.arange(2 * 3072).reshape(2, 3072).astype(np.uint8), "fine_labels": [0, 1]}
            (folder / part).write_bytes(pickle.dumps(content))
        result = dashnas("tasks", "make", "spherical", "--images", "cifar100")
        assert result.exit_code == 0, result.stderr
        assert result.stdout.strip() == str(tmp_path / "spherical" / "s2_cifar100.gz")

    def test_images_that_are_not_there_are_refused(self, tmp_path):
        assert_refused(dashnas("tasks", "make", "spherical", "--images", "cifar10"), "cifar10 is no file; expected")
