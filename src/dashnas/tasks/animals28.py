"""Animals: which of ten animals a drawing of 28x28 pixels shows, mostly black on white.

10,000 drawings, of which those that equal an earlier one are left out here; about one in twenty of the rest is
still much like another. Sorted by class, without a split of their own. Nothing comparable is published on them.
"""

import gzip
import io

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.tasks.safe_pickle import load_pickle
from dashnas.tasks.task import Arrays, RealTask
from dashnas.tasks.wheels import Package, read_members

_FOLDER = "animal_shape_mnist/data/Animal Shape"
_IMAGES, _LABELS = f"{_FOLDER}/animal_data_version_3.gz", f"{_FOLDER}/animal_label_version_3.gz"

PACKAGE = Package(
    source="animal-shape-mnist",
    version="0.39",
    licence="MIT",
    megabytes=2.6,
    members={
        _IMAGES: "68a30346781a0984f839463a4615d2decb899d1ce65091bb92586311754a34ce",
        _LABELS: "dec8dba7c469830989fbab46825021a08a38470753a512f27ada847eced97b57",
    },
)


def first_of_equals(images: np.ndarray) -> np.ndarray:
    """Places of the images (n, ...) that equal no earlier one, in their order."""
    return np.sort(np.unique(images.reshape(len(images), -1), axis=0, return_index=True)[1])


def build() -> Arrays:
    """Arrays x (0 to 255), y."""
    members = read_members(PACKAGE)
    images, labels = (load_pickle(io.BytesIO(gzip.decompress(members[name])), name) for name in (_IMAGES, _LABELS))
    kept = first_of_equals(images)
    return {"x": images[kept, None].astype(np.float32), "y": labels[kept].astype(np.int64)}


TASK = RealTask(
    name="animals28",
    description="drawings of animals: 1x28x28 -> 10 classes, 9716 without a test part",
    about=__doc__,
    package=PACKAGE,
    kind=TargetKind.CLASSES,
    metric="error",
    shapes={"x": (9716, 1, 28, 28), "y": (9716,)},
    classes=10,
    build=build,
)
