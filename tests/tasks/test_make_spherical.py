"""Images on a sphere: the projection pixel by pixel, the turns, and the files."""

import gzip
import json
import math
import pickle

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dashnas.errors import ConfigError, DataError
from dashnas.tasks.make_spherical import (
    SphereRecipe,
    make_spherical,
    project,
    random_turn,
    read_cifar100,
    write_spherical,
)
from dashnas.tasks.safe_pickle import load_pickle
from dashnas.tasks.synthetic import MARK

RECIPE = SphereRecipe(seed=5, turn_every=50)


def shown_pixel_by_pixel(image, turn):
    """The benchmark's projection as it is written down, for one channel, without a matrix."""
    side = len(image)
    values = np.zeros((60, 60))
    for i in range(60):
        for j in range(60):
            theta, phi = math.pi * i / 60, 2 * math.pi * j / 60
            point = (math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi), math.cos(theta))
            x, y, z = (sum(turn[row][k] * point[k] for k in range(3)) for row in range(3))
            t = -(z + 1) / (z + 1 - 2.001)
            across, along = (side * ((v + t * v + 1.5) / 3) for v in (x, y))
            ix, iy = int(across), int(along)
            for a, weight_a in ((ix - 1, ix + 1 - across), (ix + 1, across - (ix - 1))):
                for b, weight_b in ((iy - 1, iy + 1 - along), (iy + 1, along - (iy - 1))):
                    if 0 <= a < side and 0 <= b < side:
                        values[i, j] += weight_a * weight_b * image[a, b]
    return 255 * (values - values.min()) / (values.max() - values.min())


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    return {"x": images.reshape(-1, 8, 8)[:120], "y": labels[:120], "x_test": images.reshape(-1, 8, 8)[120:150]}


def test_the_projection_is_the_benchmarks_pixel_by_pixel(digits):
    turn = random_turn(np.random.RandomState(1))
    images = digits["x"][:2, None]
    shown = project(images, turn)
    for image, ours in zip(images, shown, strict=True):
        expected = shown_pixel_by_pixel(image[0], turn)
        # Cut to whole numbers, which rounding may put on either side.
        assert np.abs(ours[0] + 0.5 - expected).max() < 0.5 + 1e-6


def test_channels_are_projected_alike_and_each_scaled_to_0_to_255(digits):
    image = digits["x"][0]
    shown = project(np.stack([image, 3 * image + 7, image.T])[None], np.eye(3))
    assert shown.dtype == np.uint8
    assert shown.min(axis=(2, 3)).tolist() == [[0, 0, 0]]
    assert shown.max(axis=(2, 3)).tolist() == [[255, 255, 255]]
    assert not np.array_equal(shown[0, 0], shown[0, 2])


def test_images_are_read_with_their_first_axis_along_the_first_of_the_plane():
    image = np.zeros((16, 16))
    image[12:] = 1  # far along the first axis: seen where x is large
    shown = project(image[None, None], np.eye(3))[0, 0]
    theta = 40  # below the middle, where the sphere sees the image
    assert shown[theta, 0] > 0  # phi 0 is the direction of x
    assert shown[theta, 30] == 0


def test_an_empty_image_stays_empty():
    assert not project(np.zeros((1, 2, 8, 8)), np.eye(3)).any()


def test_turns_are_rotations_without_a_preferred_direction():
    random = np.random.RandomState(0)
    turns = np.stack([random_turn(random) for _ in range(3000)])
    np.testing.assert_allclose(turns @ turns.swapaxes(1, 2), np.broadcast_to(np.eye(3), turns.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1)
    error = 1 / np.sqrt(3 * 3000)  # an entry of a uniform rotation has variance 1/3
    assert np.abs(turns.mean(axis=0)).max() < 4 * error
    np.testing.assert_allclose((turns**2).mean(axis=0), 1 / 3, atol=0.03)


def test_identical_for_identical_seeds_and_different_for_others(digits):
    first, again = make_spherical(digits, RECIPE), make_spherical(digits, RECIPE)
    np.testing.assert_array_equal(first["x"], again["x"])
    other = make_spherical(digits, SphereRecipe(seed=6, turn_every=50))
    assert not np.array_equal(first["x"], other["x"])


def test_so_many_images_in_a_row_share_a_turn_and_parts_do_not():
    x = np.tile(load_digits().data[0].reshape(1, 8, 8), (120, 1, 1))
    told = []
    made = make_spherical({"x": x, "x_test": x[:50]}, RECIPE, progress=lambda *counts: told.append(counts))
    assert told == [(50, 170), (100, 170), (120, 170), (170, 170)]
    shown = made["x"]
    assert (shown[:50] == shown[0]).all()
    assert (shown[50:100] == shown[50]).all()
    assert not np.array_equal(shown[0], shown[50])
    assert not np.array_equal(shown[0], made["x_test"][0])


def test_arrays_that_are_no_images_stay_as_they_are(digits):
    made = make_spherical(digits, RECIPE)
    assert {name: array.shape for name, array in made.items()} == {
        "x": (120, 1, 60, 60),
        "y": (120,),
        "x_test": (30, 1, 60, 60),
    }
    assert made["y"] is digits["y"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.zeros(3)}, "there is no array 'x'; found: y"),
        ({"x": np.zeros((3, 8))}, r"x has shape \(3, 8\) and type float64; expected images as numbers"),
        ({"x": np.full((2, 4, 4), "a")}, "expected images as numbers"),
        ({"x": np.zeros((2, 4, 4)), "x_val": np.zeros((0, 4, 4))}, r"x_val has shape \(0, 4, 4\)"),
        ({"x": np.full((2, 4, 4), np.nan)}, "x holds values that are NaN or infinite"),
    ],
)
def test_what_cannot_be_projected_is_refused(arrays, message):
    with pytest.raises(DataError, match=message):
        make_spherical(arrays, RECIPE)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"turn_every": 0}, "turn_every must be at least 1 image, got 0"), ({"seed": 2**32}, "seed must be from 0 to")],
)
def test_recipes_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        SphereRecipe(**wrong)


class TestFiles:
    @pytest.fixture
    def made(self):
        rng = np.random.default_rng(0)
        parts = {"x": rng.integers(0, 256, (6, 3, 32, 32), np.uint8), "y": np.arange(6)}
        parts |= {"x_test": parts["x"][:2], "y_test": parts["y"][:2]}
        return make_spherical(parts, RECIPE)

    def test_the_official_format_is_a_pickle_of_plain_arrays(self, made, tmp_path):
        out = tmp_path / "s2_cifar100.gz"
        write_spherical(made, RECIPE, out)
        with gzip.open(out) as file:
            content = load_pickle(file, out)
        np.testing.assert_array_equal(content["train"]["images"], made["x"])
        np.testing.assert_array_equal(content["test"]["labels"], made["y_test"])
        mark = json.loads((tmp_path / MARK).read_text())
        assert mark["synthetic"] is True
        assert mark["recipe"] == {"seed": 5, "turn_every": 50}

    def test_the_same_images_make_the_same_bytes_at_any_time(self, made, tmp_path, monkeypatch):
        write_spherical(made, RECIPE, tmp_path / "a.gz")
        monkeypatch.setattr(gzip.time, "time", lambda: 1e9)
        write_spherical(made, RECIPE, tmp_path / "b.gz")
        assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()

    def test_other_names_are_npz_files(self, made, tmp_path):
        write_spherical(made, RECIPE, tmp_path / "mine.npz")
        with np.load(tmp_path / "mine.npz") as file:
            assert set(file) == {"x", "y", "x_test", "y_test"}

    def test_what_is_there_is_kept(self, made, tmp_path):
        (tmp_path / "mine.npz").write_text("precious")
        with pytest.raises(DataError, match=r"mine\.npz exists; remove it, or choose another name with --out"):
            write_spherical(made, RECIPE, tmp_path / "mine.npz")

    def test_the_official_format_needs_a_test_part(self, made, tmp_path):
        made.pop("x_test")
        with pytest.raises(DataError, match=r"there is no x_test; save as \.npz instead"):
            write_spherical(made, RECIPE, tmp_path / "mine.gz")

    def test_cifar100_is_read_from_its_own_files(self, tmp_path):
        rng = np.random.default_rng(0)
        for part in ("train", "test"):
            content = {"data": rng.integers(0, 256, (4, 3072), np.uint8), "fine_labels": [3, 1, 4, 1]}
            (tmp_path / part).write_bytes(pickle.dumps(content))
        arrays = read_cifar100(tmp_path)
        assert arrays["x"].shape == (4, 3, 32, 32)
        np.testing.assert_array_equal(arrays["x_test"].reshape(4, -1), content["data"])
        np.testing.assert_array_equal(arrays["y"], [3, 1, 4, 1])

    def test_cifar100_that_is_missing_or_something_else_is_told(self, tmp_path):
        with pytest.raises(DataError, match=r"needs cifar-100-python/train or .*; give `dashnas tasks fetch"):
            read_cifar100(tmp_path)
        (tmp_path / "train").write_bytes(pickle.dumps({"data": [1, 2]}))
        with pytest.raises(DataError, match=r"train has no 'fine_labels'; found: data"):
            read_cifar100(tmp_path)
