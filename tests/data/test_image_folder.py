"""Folders of images per class: how they are found, decoded, cut and drawn, and what is refused."""

import sys

import numpy as np
import pytest
from PIL import Image

from dashnas.data import DataConfig, prepare
from dashnas.data import image_files as files_module
from dashnas.data.image_files import decode, middle, random_box
from dashnas.data.image_folder import Form, ImageConfig, ImageTable, evenly_spaced, read_image_folder
from dashnas.data.source import read_source
from dashnas.data.spec import DataSpec, TargetKind
from dashnas.errors import ConfigError, DataError

COLOURS = {"blue": (0, 0, 200), "red": (200, 0, 0)}


def save(path, size=(10, 8), colour=(200, 0, 0), mode="RGB"):
    """An image of one colour, `size` as (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Eight images of each of two classes, alike in size."""
    for name, colour in COLOURS.items():
        for i in range(8):
            save(tmp_path / "pictures" / name / f"{i}.png", colour=colour)
    return tmp_path / "pictures"


def tables(folder, **config):
    return read_image_folder(folder, ImageConfig(**config))[0]


class TestLayout:
    def test_classes_are_the_names_of_the_folders(self, folder):
        (table,) = tables(folder).values()
        taken = table.take(np.array([0, 8, 15]), ["x", "y"])
        assert taken["y"].tolist() == ["blue", "red", "red"]
        assert taken["x"].shape == (3, 3, 8, 10)
        np.testing.assert_array_equal(taken["x"][:, :, 0, 0], [COLOURS["blue"], COLOURS["red"], COLOURS["red"]])

    def test_train_val_and_test_are_parts(self, folder, tmp_path):
        (tmp_path / "imagenet").mkdir()
        folder.rename(tmp_path / "imagenet" / "train")
        save(tmp_path / "imagenet" / "val" / "red" / "a.jpg")
        save(tmp_path / "imagenet" / "test" / "blue" / "a.jpeg")
        given = tables(tmp_path / "imagenet")
        assert {part: len(table) for part, table in given.items()} == {"train": 16, "validation": 1, "test": 1}
        assert given["validation"].take(slice(None), ["y"])["y"].tolist() == ["red"]

    def test_a_class_may_be_called_train(self, tmp_path):
        for name in ("bus", "train"):
            save(tmp_path / name / "a.png")
        assert len(tables(tmp_path)["train"]) == 2

    def test_images_may_lie_deeper_and_other_files_are_told(self, folder):
        save(folder / "red" / "deeper" / "9.PNG")
        (folder / "red" / "notes.txt").write_text("mine")
        (folder / "red" / ".hidden").write_text("mine")
        found, warnings = read_image_folder(folder, ImageConfig())
        assert len(found["train"]) == 17
        assert warnings == [f"left out 1 file beside the images, such as {folder / 'red' / 'notes.txt'}"]

    def test_npy_files_are_taken_before_images(self, folder):
        np.save(folder / "x.npy", np.zeros((4, 5)))
        np.save(folder / "y.npy", np.arange(4))
        source = read_source(folder)
        assert source.tables["train"].shape("x") == (4, 5)
        assert source.warnings == (
            f"left out the images in {folder}: there are .npy files; give a folder without those",
        )

    def test_folders_of_classes_without_images_are_told(self, folder):
        for name in ("green", "yellow"):
            (folder / name).mkdir()
        _, warnings = read_image_folder(folder, ImageConfig())
        assert warnings == [f"left out green, yellow in {folder}: no class without images; add some, or remove it"]

    def test_images_outside_of_classes_are_refused(self, tmp_path):
        save(tmp_path / "a.png")
        with pytest.raises(DataError, match=r"holds no folder of images per class; expected .*NAME-OF-CLASS/\*\.jpg"):
            read_source(tmp_path)

    def test_a_part_without_images_is_refused(self, folder, tmp_path):
        (tmp_path / "imagenet" / "val").mkdir(parents=True)
        folder.rename(tmp_path / "imagenet" / "train")
        with pytest.raises(DataError, match=r"val holds no folder of images per class"):
            read_source(tmp_path / "imagenet")

    def test_two_folders_for_one_part_are_refused(self, folder, tmp_path):
        folder.rename(tmp_path / "train")
        for name in ("val", "valid"):
            save(tmp_path / name / "red" / "a.png")
        with pytest.raises(DataError, match=r"val and .*valid are both for validation; leave one of them"):
            read_source(tmp_path)

    def test_a_folder_of_neither_is_refused(self, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(
            DataError, match=r"holds no \.npy files; expected x\.npy .* or a folder of images per class"
        ):
            read_source(tmp_path)


class TestForm:
    def test_images_that_are_alike_stay_as_they_are(self, folder):
        assert tables(folder)["train"].shape("x") == (16, 3, 8, 10)

    def test_others_become_224_pixels_or_what_is_asked_for(self, folder):
        save(folder / "red" / "9.png", size=(30, 20))
        assert tables(folder)["train"].shape("x") == (17, 3, 224, 224)
        assert tables(folder, size=16)["train"].take(slice(None), ["x"])["x"].shape == (17, 3, 16, 16)

    def test_all_grey_is_one_channel_and_one_colour_makes_three(self, tmp_path):
        for name in "ab":
            save(tmp_path / name / "1.png", mode="L", colour=7)
            save(tmp_path / name / "2.png", mode="1", colour=1)
        table = tables(tmp_path)["train"]
        assert table.shape("x") == (4, 1, 8, 10)
        np.testing.assert_array_equal(table.take(slice(None), ["x"])["x"][:, 0, 0, 0], [7, 255, 7, 255])
        save(tmp_path / "b" / "3.png")
        assert tables(tmp_path)["train"].shape("x") == (5, 3, 8, 10)

    def test_a_size_of_no_pixels_is_refused(self):
        with pytest.raises(ConfigError, match="image_size must be at least 1 pixel, got 0; try 224"):
            DataConfig(image_size=0)
        with pytest.raises(ConfigError, match="image_size must be at most 10000 pixels, got 10000000000; try 224"):
            DataConfig(image_size=10**10)

    @pytest.mark.parametrize("setting", [{"image_size": 32}, {"augment": True}])
    @pytest.mark.parametrize("source", ["arrays", "npz"])
    def test_settings_for_images_are_refused_for_arrays(self, setting, source, tmp_path):
        data = {"x": np.zeros((4, 3, 8, 8)), "y": np.arange(4) % 2}
        np.savez(tmp_path / "data.npz", **data)
        with pytest.raises(ConfigError, match=r"are for a folder of image files; .* holds arrays, so leave them out"):
            prepare(data if source == "arrays" else tmp_path / "data.npz", DataConfig(**setting), seed=0)


class TestDecoding:
    def pixel(self, image, channels=3, suffix=".png", tmp_path=None):
        path = tmp_path / f"image{suffix}"
        image.save(path)
        return decode(path, channels).getpixel((0, 0))

    def test_what_is_transparent_becomes_white(self, tmp_path):
        half = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
        assert self.pixel(half, tmp_path=tmp_path) == (255, 255, 255)
        assert self.pixel(Image.new("LA", (4, 4), (0, 0)), channels=1, tmp_path=tmp_path) == 255
        palette = Image.new("P", (4, 4), 1)
        palette.putpalette([0, 0, 0, 200, 0, 0])
        palette.info["transparency"] = 1
        assert self.pixel(palette, tmp_path=tmp_path) == (255, 255, 255)

    def test_colours_of_print_and_of_palettes_become_rgb(self, tmp_path):
        cyan = self.pixel(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), suffix=".jpg", tmp_path=tmp_path)
        assert cyan[0] < 60 < 200 < cyan[2]
        palette = Image.new("RGB", (4, 4), (0, 0, 255)).convert("P")
        assert self.pixel(palette, tmp_path=tmp_path) == (0, 0, 255)

    def test_16_bits_keep_their_upper_8(self, tmp_path):
        deep = Image.fromarray(np.full((4, 4), 0x7BCD, np.uint16))
        assert self.pixel(deep, channels=1, tmp_path=tmp_path) == 0x7B

    def test_images_are_turned_as_the_camera_says(self, tmp_path):
        image = Image.new("RGB", (20, 10))
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(tmp_path / "turned.jpg", exif=exif)
        assert decode(tmp_path / "turned.jpg", 3).size == (10, 20)
        assert files_module.look_at(tmp_path / "turned.jpg")[:2] == (20, 10)

    def test_floats_are_refused(self, tmp_path):
        Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tiff")
        with pytest.raises(DataError, match=r"a\.tiff cannot be read as an image: it holds floating-point numbers"):
            decode(tmp_path / "a.tiff", 1)

    def test_corrupt_files_are_named(self, folder):
        whole = (folder / "red" / "3.png").read_bytes()
        (folder / "red" / "3.png").write_bytes(whole[: len(whole) - 25])
        with pytest.raises(DataError, match=r"red/3\.png cannot be read as an image: .*; mend it or take it out"):
            prepare(folder, DataConfig(), seed=0)
        (folder / "red" / "3.png").write_bytes(b"no image at all")
        with pytest.raises(DataError, match=r"red/3\.png cannot be read as an image: it is no image; mend it"):
            prepare(folder, DataConfig(), seed=0)

    def test_bombs_are_refused(self, folder, monkeypatch):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
        with pytest.raises(DataError, match=r"cannot be read as an image: .*decompression bomb"):
            tables(folder)

    def test_without_pillow_the_extra_is_named(self, folder, monkeypatch):
        monkeypatch.setitem(sys.modules, "PIL.Image", None)
        with pytest.raises(DataError, match=r"read with Pillow; install it with pip install 'dashnas\[images\]'"):
            tables(folder)


class TestCutting:
    def test_the_middle_is_the_largest_box_of_that_shape_less_a_rim(self):
        assert middle(256, 256, (224, 224)) == (16, 16, 240, 240)
        left, upper, right, lower = middle(400, 200, (32, 64))
        assert (right - left, lower - upper) == pytest.approx((350, 175))
        assert (left + right, upper + lower) == pytest.approx((400, 200))

    def test_an_image_of_that_size_is_left_alone(self, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "a.png")
        table = ImageTable([tmp_path / "a.png"], None, Form(3, 8, 8))
        np.testing.assert_array_equal(table.take(slice(None), ["x"])["x"][0], np.moveaxis(pixels, -1, 0))

    def test_random_boxes_lie_inside_and_have_the_areas_and_shapes_they_should(self):
        random = np.random.default_rng(0)
        boxes = np.array([random_box(120, 80, random) for _ in range(2000)])
        width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        assert boxes.min() >= 0
        assert boxes[:, 2].max() <= 120
        assert boxes[:, 3].max() <= 80
        share, ratio = width * height / (120 * 80), width / height
        assert 0.08 <= share.min() < 0.1
        assert 0.8 < share.max() <= 1
        assert 0.75 - 1e-9 <= ratio.min() < 0.76
        assert 1.32 < ratio.max() <= 4 / 3 + 1e-9

    def test_where_no_box_fits_the_middle_is_taken(self):
        assert random_box(1000, 10, np.random.default_rng(0)) == (495, 0, 505, 10)


class TestDrawing:
    @pytest.fixture
    def wheel(self, tmp_path):
        """Images whose left is dark and whose right is bright."""
        ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
        for name in "ab":
            (tmp_path / name).mkdir()
            for i in range(8):
                Image.fromarray(ramp).save(tmp_path / name / f"{i}.png")
        return tmp_path

    def test_training_sees_other_cuts_and_scoring_never_does(self, wheel):
        prepared = prepare(wheel, DataConfig(augment=True, image_size=16), seed=0)
        first, again = (prepared.train.batch([0, 1], seed=3).x for _ in range(2))
        other = prepared.train.batch([0, 1], seed=4).x
        assert (first == again).all()
        assert not (first == other).all()
        assert not (first[0] == first[1]).all()
        plain = prepared.train.batch([0, 1]).x
        assert (plain[0] == plain[1]).all()

    def test_a_sample_is_the_same_whatever_stands_beside_it(self, wheel):
        part = prepare(wheel, DataConfig(augment=True, image_size=16), seed=0).train
        assert (part.batch([2, 0], seed=3).x[1] == part.batch([0], seed=3).x[0]).all()

    def test_about_half_are_mirrored(self, wheel):
        (table,) = tables(wheel, augment=True, size=16).values()
        generators = [np.random.default_rng(i) for i in range(100)]
        drawn = table.draw(np.zeros(100, int), ["x"], generators)["x"][:, 0].astype(float)
        mirrored = (drawn[:, :, 0] > drawn[:, :, -1]).all(axis=1)
        assert 35 < mirrored.sum() < 65

    def test_given_parts_are_drawn_too_where_both_are_trained_on(self, wheel, tmp_path):
        (tmp_path / "all").mkdir()
        for part in ("train", "val"):
            for name in "ab":
                (tmp_path / "all" / part).mkdir(exist_ok=True)
                (tmp_path / "all" / part / name).symlink_to(wheel / name)
        prepared = prepare(tmp_path / "all", DataConfig(augment=True, image_size=16, test_fraction=0), seed=0)
        development = prepared.development
        assert len(development) == 32
        drawn, plain = development.batch([1, 20], seed=3), development.batch([1, 20])
        assert not any((drawn.x[i] == plain.x[i]).all() for i in range(2))
        assert (drawn.y == plain.y).all()

    def test_without_augment_nothing_is_drawn(self, wheel):
        part = prepare(wheel, DataConfig(image_size=16), seed=0).train
        assert (part.batch([0, 1], seed=3).x == part.batch([0, 1]).x).all()


class TestPrepared:
    def test_nothing_is_decoded_until_it_is_needed(self, folder, monkeypatch):
        prepared = prepare(folder, DataConfig(), seed=0)
        decoded = []
        monkeypatch.setattr(
            "dashnas.data.image_folder.decode", lambda path, channels: decoded.append(path) or decode(path, channels)
        )
        prepared.train.targets()
        assert decoded == []
        prepared.train.batch([0, 1])
        assert len(decoded) == 2

    def test_channels_are_scaled_by_mean_and_spread_of_the_training_images(self, folder):
        prepared = prepare(folder, DataConfig(), seed=0)
        x = prepared.train.batch(range(len(prepared.train))).x
        assert x[:, 0].mean().item() == pytest.approx(0, abs=1e-5)
        assert x[:, 2].std().item() == pytest.approx(1, abs=1e-2)
        assert prepared.spec.classes == ("blue", "red")

    def test_of_very_many_images_some_are_enough_to_scale_by(self):
        rows = np.arange(1000, 2000)
        assert evenly_spaced(rows, 1000) is rows
        some = evenly_spaced(rows, 10)
        assert (some[0], some[-1], len(some)) == (1000, 1999, 10)

    def test_a_model_s_own_form_is_given_to_new_images(self, folder, tmp_path):
        save(tmp_path / "new" / "a.png", size=(50, 40))
        save(tmp_path / "new" / "b.png", size=(20, 20))
        spec = DataSpec(
            channels=3, spatial_shape=(8, 10), target_kind=TargetKind.CLASSES, outputs=2, classes=("blue", "red")
        )
        table = read_source(tmp_path / "new", trained=spec).tables["train"]
        assert table.names == ("x",)
        assert table.take(slice(None), ["x"])["x"].shape == (2, 3, 8, 10)
        assert read_source(folder, trained=spec).tables["train"].shape("x") == (16, 3, 8, 10)

    def test_a_model_of_something_else_is_told(self, folder):
        spec = DataSpec(channels=2, spatial_shape=(12,), target_kind=TargetKind.REGRESSION, outputs=1)
        with pytest.raises(DataError, match="the model takes 2 channels of 12, which images cannot be; give an array"):
            read_source(folder, trained=spec)
