"""What the tasks do to the data that they read: letters to channels, projections, overlays, tracks."""

import numpy as np
import pytest

from dashnas.tasks.animals28 import first_of_equals
from dashnas.tasks.cosmic_inject import PATCH, cut, draw_tracks
from dashnas.tasks.sphere import GRID, sphere_points
from dashnas.tasks.sphere_digits import project
from dashnas.tasks.splice import encode
from dashnas.tasks.two_digits import CANVAS, overlay


def test_certain_letters_are_a_channel_each_and_uncertain_ones_are_shared_out():
    x = encode(list("ACGTNRSD"))
    np.testing.assert_array_equal(x[:, :4], np.eye(4))
    np.testing.assert_allclose(x[:, 4], 1 / 4)
    np.testing.assert_allclose(x[:, 5], [1 / 2, 0, 1 / 2, 0])  # A or G
    np.testing.assert_allclose(x[:, 6], [0, 1 / 2, 1 / 2, 0])  # C or G
    np.testing.assert_allclose(x[:, 7], [1 / 3, 0, 1 / 3, 1 / 3])  # not C
    np.testing.assert_allclose(x.sum(axis=0), 1, rtol=1e-6)


def test_of_equal_images_the_first_is_kept_in_its_place():
    images = np.array([5, 3, 5, 1, 3, 9])[:, None, None] * np.ones((2, 2))
    np.testing.assert_array_equal(first_of_equals(images), [0, 1, 3, 5])


class TestSphere:
    def test_its_points_go_from_pole_to_pole_and_around(self):
        points = sphere_points()
        assert points.shape == (GRID, GRID, 3)
        np.testing.assert_allclose((points**2).sum(axis=-1), 1)
        np.testing.assert_allclose(points[0], np.broadcast_to([0, 0, 1], (GRID, 3)), atol=1e-12)
        np.testing.assert_allclose(points[GRID // 2, 0], [1, 0, 0], atol=1e-12)
        np.testing.assert_allclose(points[GRID // 2, GRID // 4], [0, 1, 0], atol=1e-12)

    def test_the_lowest_point_shows_the_middle_of_the_image(self):
        image = np.zeros((28, 28))
        image[13:15, 13:15] = [[1, 2], [3, 4]]
        assert project(image, np.array([[0.0, 0.0, -1.0]])) == pytest.approx(2.5)

    def test_the_upper_part_lies_outside_the_image(self):
        points = sphere_points()
        shown = project(np.ones((28, 28)), points)
        assert (shown[points[..., 2] > 0.1] == 0).all()  # its corners just reach beyond the middle
        np.testing.assert_allclose(shown[points[..., 2] < -0.6], 1)

    def test_a_slope_is_projected_stereographically(self):
        image = np.tile(np.arange(28.0)[:, None], 28)
        polar = np.linspace(0.7 * np.pi, np.pi, 20)
        points = np.stack([np.sin(polar), 0 * polar, np.cos(polar)], axis=-1)
        plane = 2 * np.tan((np.pi - polar) / 2)  # seen from the top of the sphere itself
        np.testing.assert_allclose(project(image, points), plane / 3 * 28 + 13.5, rtol=2e-3)


class TestOverlay:
    @pytest.fixture
    def canvases(self):
        images = np.full((40, 28, 28), 0.5, dtype=np.float32)
        images[:, 0, 0] = np.arange(1, 41)  # told apart by one corner
        digits = np.arange(40) % 10
        return (images, digits, *overlay(images, digits, np.random.RandomState(3)))

    def test_shapes(self, canvases):
        *_, x, y = canvases
        assert (x.shape, x.dtype) == ((40, 1, CANVAS, CANVAS), np.float32)
        assert (y.shape, y.dtype) == ((40, 10), np.int64)

    def test_labels_are_the_digits_that_lie_there_each_image_twice(self, canvases):
        _, digits, x, y = canvases
        used = np.zeros(40, dtype=int)
        for canvas, labels in zip(x, y, strict=True):
            corners = np.unique(canvas[canvas >= 1]).astype(int) - 1
            assert set(digits[corners]) <= set(np.flatnonzero(labels))
            used[corners] += 1
        assert set(y.sum(axis=1)) <= {1, 2}
        assert used.max() == 2  # a corner can hide under another
        assert used.sum() > 70

    def test_the_same_seed_makes_the_same(self, canvases):
        images, digits, x, _ = canvases
        np.testing.assert_array_equal(overlay(images, digits, np.random.RandomState(3))[0], x)
        assert (overlay(images, digits, np.random.RandomState(4))[0] != x).any()


class TestTracks:
    def test_there_is_always_one_and_it_is_thin(self):
        random = np.random.RandomState(0)
        struck = [int((draw_tracks(random) > 0).sum()) for _ in range(200)]
        assert min(struck) >= 1
        assert 20 < np.mean(struck) < 60  # 3 tracks of 12 pixels on average, some of them cut by the edge

    def test_patches_are_the_sky_and_the_tracks_and_labels_say_where(self):
        strip = np.random.RandomState(1).normal(size=(PATCH, PATCH)).astype(np.float32)  # one place only
        x, y = cut(strip, 5, np.random.RandomState(0))
        assert x.shape == y.shape == (5, 1, PATCH, PATCH)
        np.testing.assert_array_equal(x[y == 0], np.broadcast_to(strip, x.shape)[y == 0])
        assert ((x - strip)[y == 1] > 19).all()

    def test_patches_reach_every_corner_of_the_strip(self):
        strip = np.arange((PATCH + 1) * (PATCH + 2), dtype=np.float32).reshape(PATCH + 1, PATCH + 2) / 1e6
        x, _ = cut(strip, 200, np.random.RandomState(0))
        first = np.median(x - strip[:PATCH, :PATCH], axis=(1, 2, 3))  # 0 for the first place
        assert len(np.unique(first.round(7))) == 6
