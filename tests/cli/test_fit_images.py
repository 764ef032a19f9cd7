"""`dashnas fit` of a folder of images per class, and `predict` of new images."""

import json

import numpy as np
import pytest
from PIL import Image

from cli.commands import assert_refused, dashnas

TINY = ["--epochs=1", "--search-epochs=1", "--kernel-sizes=3,5", "--dilations=1,2", "--threads=1", "--image-size=16"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two classes in train and val: stripes across and stripes down, of several sizes."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 4)):
        for name in ("across", "down"):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                stripes = np.zeros((24 + i, 30), np.uint8)
                stripes[::4] = stripes[1::4] = random.integers(150, 256)
                image = stripes if name == "across" else stripes.T
                Image.fromarray(image).convert("RGB").save(folder / part / name / f"{i}.jpg")
    return folder


@pytest.mark.parametrize("preset", ["imagenet", "imagenet-wrn"])
def test_the_recipe_for_imagenet_runs_on_a_folder(pictures, tmp_path, preset):
    run = tmp_path / "run"
    result = dashnas("fit", pictures, "--preset", preset, "--width=4", "--out", run, "--json", *TINY)
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["preset"] == preset
    settings = json.loads((run / "run.json").read_text())
    assert '"augment": true' in json.dumps(settings)
    (tmp_path / "new").mkdir()
    for i, side in enumerate((20, 40)):
        Image.new("RGB", (side, 30)).save(tmp_path / "new" / f"{i}.png")
    out = tmp_path / "answers.npz"
    answered = dashnas("predict", run, tmp_path / "new", "--out", out)
    assert answered.exit_code == 0, answered.stderr
    with np.load(out) as answers:
        assert answers["label"].shape == (2,)
        assert set(answers["label"]) <= {"across", "down"}


def test_the_same_command_goes_on_and_ends_in_the_same_scores(pictures, tmp_path):
    command = ["fit", pictures, "--augment", "--width=4", "--tune-trials=1", *TINY, "--json"]
    first, second = (dashnas(*command, "--out", tmp_path / name) for name in "ab")
    assert first.exit_code == 0, first.stderr
    scores = [json.loads(result.stdout)["scores"] for result in (first, second)]
    assert scores[0] == scores[1]


def test_the_recipe_for_imagenet_needs_images(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.zeros((8, 3, 16, 16)), y=np.arange(8) % 2)
    result = dashnas("fit", tmp_path / "data.npz", "--preset", "imagenet")
    assert_refused(result, r"the imagenet presets\) are for a folder of image files; .*data\.npz holds arrays")


def test_a_corrupt_image_is_named(pictures, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(6):
            Image.new("RGB", (16, 16), (20 * i, 0, 0)).save(tmp_path / name / f"{i}.png")
    broken = tmp_path / "b" / "4.png"
    broken.write_bytes(broken.read_bytes()[:40])
    result = dashnas("fit", tmp_path, "--out", tmp_path / "run", *TINY)
    assert_refused(result, r"b/4\.png cannot be read as an image")
