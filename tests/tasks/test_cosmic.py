"""Cosmic: which images are used, what of them, and how much sky is added."""

import numpy as np
import pytest
from tiny_official import make, prepared

from dashnas.data.spec import TargetKind
from dashnas.errors import DataError
from dashnas.evaluate import final_score
from dashnas.protocol_metrics import find_metric
from dashnas.tasks.nb360.cosmic import GalaxyTable, images


@pytest.fixture
def folder(tmp_path):
    return make("cosmic", tmp_path)


def test_only_fields_of_galaxies_in_one_filter_are_used_in_sorted_order(folder):
    found = images(folder / "npy_train")
    assert found == sorted(found)
    assert {path.parent.relative_to(folder / "npy_train").as_posix() for path in found} == {
        "f435w/10760/2",
        "f435w/13737/3",
    }
    assert len(found) == 10


def test_the_middle_of_an_image_is_used_and_ignored_pixels_do_not_count(folder):
    path = folder / "npy_train/f435w/10760/2/1_0.npy"
    raw = np.load(path)
    got = GalaxyTable([path], masked=True).take(slice(None), ["y", "mask"])
    np.testing.assert_array_equal(got["y"][0, 0], raw[1, 64:192, 64:192])
    np.testing.assert_array_equal(got["mask"][0], raw[2, 64:192, 64:192] == 0)
    assert not got["mask"][0, :, :36].any()
    assert got["mask"][0, :, 36:].all()


def test_images_without_a_mask_of_ignored_pixels_count_everywhere(folder):
    path = folder / "npy_train/f435w/13737/3/1_0.npy"
    assert GalaxyTable([path], masked=True).take(slice(None), ["mask"])["mask"].all()


class TestSky:
    def test_training_adds_a_share_of_the_exposures_own_sky(self, folder):
        for name, level in (("1_0", 10.0), ("2_1", 20.0)):
            path = folder / f"npy_train/f435w/10760/2/{name}.npy"
            got = GalaxyTable([path], masked=True).draw(np.array([0]), ["x"], [np.random.default_rng(3)])["x"]
            expected = np.load(path)[0, 64:192, 64:192] + level * np.random.default_rng(3).uniform(-0.9, 3)
            np.testing.assert_allclose(got[0, 0], expected, rtol=1e-6)

    def test_what_is_scored_has_always_the_same_sky(self, folder):
        table = GalaxyTable(images(folder / "npy_test"), masked=True)
        one, all_of_them = table.take(np.array([1]), ["x"])["x"][0], table.take(slice(None), ["x"])["x"]
        np.testing.assert_array_equal(one, all_of_them[1])
        plain = np.load(images(folder / "npy_test")[1])[0, 64:192, 64:192]
        added = all_of_them[1, 0] - plain
        assert -0.9 * 20 <= added.mean() <= 3 * 20
        assert added.mean() != pytest.approx(0, abs=1e-3)
        np.testing.assert_allclose(added, added.mean(), atol=1e-4)

    def test_an_image_without_one_stays_as_it_is(self, folder):
        path = folder / "npy_train/f435w/13737/3/1_0.npy"
        got = GalaxyTable([path], masked=True).take(slice(None), ["x"])["x"]
        np.testing.assert_array_equal(got[0, 0], np.load(path)[0, 64:192, 64:192])

    def test_a_variant_of_the_test_part_has_none(self, folder, tmp_path):
        test = prepared("cosmic", tmp_path, "dash-official").test
        (variant,) = test.open_variants().values()
        got = variant.batch(np.arange(len(test))).x[:, 0]
        raw = [np.load(path)[0, 64:192, 64:192] for path in images(folder / "npy_test")]
        np.testing.assert_array_equal(got, np.float32(raw))
        np.testing.assert_array_equal(variant.targets(), test.open().targets())

    def test_a_second_score_is_made_without_it(self, folder, tmp_path):
        def brightness(part):
            return part.batch(np.arange(len(part))).x.numpy() - 108  # without a sky rays are at 150, the rest at 100

        test = prepared("cosmic", tmp_path).test
        metric = find_metric("bal_err@logit0.5", TargetKind.DENSE_BINARY)
        score = final_score(brightness, test, metric)
        assert score.also == {"bal_err@logit0.5@clean-sky": 0}
        assert score.value > 0.05


def test_only_dash_leaves_validation_out_of_the_final_training(folder, tmp_path):
    sizes = {p: len(prepared("cosmic", tmp_path, p).development) for p in ("clean", "nb360-official", "dash-official")}
    assert sizes == {"clean": 10, "nb360-official": 10, "dash-official": 9}


def test_nb360_scores_ignored_pixels_too(folder, tmp_path):
    assert prepared("cosmic", tmp_path).test.open().mask() is not None
    assert prepared("cosmic", tmp_path, "nb360-official").test.open().mask() is None
    assert prepared("cosmic", tmp_path, "nb360-official").train.mask() is not None


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (np.zeros((256, 256)), r"1_0\.npy has shape \(256, 256\); expected image, rays and ignored pixels"),
        (np.zeros((3, 150, 150)), r"1_0\.npy has shape \(3, 150, 150\); expected at least 192 pixels a side"),
        (np.full((3, 256, 256), np.nan), r"1_0\.npy has values that are NaN or infinite; the file is damaged"),
    ],
)
def test_other_content_is_refused(stack, message, folder, tmp_path):
    np.save(folder / "npy_train/f435w/10760/2/1_0.npy", stack)
    with pytest.raises(DataError, match=message):
        prepared("cosmic", tmp_path).development.batch(np.arange(10))


def test_an_exposure_without_sky_in_the_file_is_refused(folder, tmp_path):
    np.save(folder / "npy_test/f435w/10760/2/sky.npy", np.array([10.0]))
    with pytest.raises(DataError, match=r"sky\.npy has no sky for exposure 2 of 2_1\.npy; it holds 1 values"):
        prepared("cosmic", tmp_path).test.open().batch(np.arange(4))


def test_a_folder_of_other_fields_is_refused(folder, tmp_path):
    for visit in ("10760/2", "13737/3"):
        for path in (folder / "npy_test/f435w" / visit).glob("*.npy"):
            path.unlink()
    with pytest.raises(DataError, match=r"npy_test holds no image of a field of galaxies; expected files such as"):
        prepared("cosmic", tmp_path)
