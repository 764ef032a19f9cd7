"""The official tasks on tiny files of the official formats: from the file to a score, under every protocol."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tiny_official import MAKERS, make

import tiny
from dashnas.data import DataConfig, prepare
from dashnas.data.parts import SealedTest
from dashnas.data.task_data import PROTOCOLS, Samples
from dashnas.errors import ConfigError, DataError, SealedTestError
from dashnas.metrics import score
from dashnas.pipeline import fit
from dashnas.presets import Options, resolve
from dashnas.protocol_metrics import PROTOCOL_METRICS, find_metric
from dashnas.space import Architecture
from dashnas.tasks import OFFICIAL_TASKS, OfficialSource, check, fetch, official_folder, task_source
from dashnas.tasks.registry import OFFICIAL_TASKS as REGISTERED

TEN = ["cifar100", "cosmic", "darcy", "deepsea", "ecg", "fsd50k", "ninapro", "psicov", "satellite", "spherical"]
RUN = {"epochs": 1, "tune_trials": 1, "width": 2, "kernel_sizes": (3,), "dilations": (1,), "plan": "model"}


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("DASHNAS_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Folder of tiny files of all tasks, made once; read only."""
    folder = tmp_path_factory.mktemp("official")
    for name in MAKERS:
        make(name, folder)
    return folder


@pytest.fixture
def prepared(files, monkeypatch):
    monkeypatch.setenv("DASHNAS_DATA", str(files))

    def prepare_task(name, protocol="clean", seed=0):
        return prepare(task_source(name), DataConfig(), seed=seed, protocol=protocol)

    return prepare_task


def x_of(part, **more):
    return part.batch(np.arange(len(part)), **more).x.numpy()


def _slow(name):
    """Images of 128 and of 512 pixels take more than a few seconds."""
    return pytest.param(name, marks=pytest.mark.slow) if name in ("cosmic", "psicov") else name


@pytest.mark.parametrize("name", [_slow(name) for name in TEN])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_file_becomes_a_score_that_carries_its_protocol(name, protocol, files, monkeypatch):
    """With the test part sealed until all networks are trained."""
    monkeypatch.setenv("DASHNAS_DATA", str(files))
    trained, opened = [], []
    unseal = SealedTest.open

    def open_late(self):
        assert trained == ["retrain", "backbone"], "the test part was opened before everything was trained"
        opened.append(1)
        return unseal(self)

    unseal_variants = SealedTest.open_variants

    def open_variants_late(self):
        assert trained == ["retrain", "backbone"], "a variant of the test part was opened before"
        return unseal_variants(self)

    monkeypatch.setattr(SealedTest, "open", open_late)
    monkeypatch.setattr(SealedTest, "open_variants", open_variants_late)
    monkeypatch.setattr("dashnas.evaluate.score", partial(score, resamples=2))  # intervals take most of the time

    class Listener(tiny.Silent):
        def begin(self, phase, steps, done):
            trained.extend([phase] if phase in ("retrain", "backbone") else [])

    options = tiny.options(protocol=protocol, **RUN)
    summary = fit(OfficialSource(OFFICIAL_TASKS[name]), options, reporter=Listener()).summary
    assert opened == [1, 1]
    assert summary["protocol"] == protocol
    assert np.isfinite(summary["scores"]["validation"])
    assert np.isfinite(summary["scores"]["test"]["value"])
    assert summary["metric"] == {"name": summary["scores"]["test"]["metric"], "higher_is_better": False}
    if protocol == "clean":
        assert summary["metric"]["name"] == OFFICIAL_TASKS[name].metric


@pytest.mark.parametrize("name", TEN)
def test_the_test_part_raises_until_it_is_opened(name, prepared):
    with pytest.raises(SealedTestError, match="the test part is sealed"):
        prepared(name).test.batch([0])


@pytest.mark.parametrize("task", OFFICIAL_TASKS.values(), ids=lambda task: task.name)
class TestEveryTask:
    def test_says_what_it_is(self, task):
        assert OFFICIAL_TASKS[task.name] is task
        assert task.about.strip()
        assert task.files
        assert task.megabytes > 0
        assert all(value > 0 for value in task.published.values())

    def test_its_metric_fits_its_targets(self, task):
        assert not find_metric(task.metric, task.kind).higher_is_better

    def test_a_missing_file_says_what_to_place_where(self, task, data):
        with pytest.raises(DataError, match=rf"{task.name} needs .* in {data}/{task.name}, where there is none; give"):
            task_source(task.name).task_data("clean", 0)

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_is_read_in_the_shapes_it_declares(self, task, protocol, prepared):
        got = prepared(task.name, protocol)
        shape = task.shapes["x"]
        exception = {("fsd50k", "dash-official"): (96, 102), ("darcy", protocol): (9, 9)}
        assert (got.spec.channels, got.spec.spatial_shape) == (
            shape[1],
            exception.get((task.name, protocol), shape[2:]),
        )
        assert got.spec.target_kind is task.kind
        assert find_metric(got.metric, task.kind).name == got.metric
        assert all(find_metric(name, task.kind) for name in got.also)
        batch = got.train.batch([0, 1], seed=1)
        assert batch.x.shape[1:] == (got.spec.channels, *got.spec.spatial_shape)

    def test_training_samples_are_functions_of_the_seed_and_the_sample_alone(self, task, prepared):
        part = prepared(task.name).train
        together = part.batch([0, 1], seed=5)
        np.testing.assert_array_equal(part.batch([1], seed=5).x[0], together.x[1])
        np.testing.assert_array_equal(part.batch([1, 0], seed=5).x[0], together.x[1])

    def test_validation_samples_are_never_augmented(self, task, prepared):
        part = prepared(task.name).validation
        assert not part._augmented
        np.testing.assert_array_equal(part.batch([0], seed=5).x, part.batch([0], seed=6).x)

    def test_the_same_files_have_the_same_fingerprint(self, task, prepared):
        assert prepared(task.name).fingerprint == prepared(task.name).fingerprint


def test_the_data_of_a_task_come_as_they_are(prepared):
    with pytest.raises(ConfigError, match="ninapro comes with its own kind of target and its own division; leave out"):
        prepare(task_source("ninapro"), DataConfig(test_fraction=0.1), seed=0)


class TestSourcesOfOnesOwn:
    """What `prepare` itself looks after, whoever made the source."""

    def source(self, **changes):
        read = replace(OFFICIAL_TASKS["ninapro"].read(official_folder("ninapro"), "clean", 0), **changes)
        return OfficialSource(replace(OFFICIAL_TASKS["ninapro"], read=lambda *_: read))

    def test_a_part_without_samples_is_refused(self, prepared):
        empty = Samples(prepared("ninapro").train._table, np.arange(0))
        with pytest.raises(DataError, match=r"holds too few samples: none is left for validation \(train 40, valid"):
            prepare(self.source(validation=empty), DataConfig(), seed=0)

    def test_labels_that_are_no_classes_are_refused(self, prepared):
        spec = replace(prepared("ninapro").spec, classes=tuple(range(17)), outputs=17)
        with pytest.raises(DataError, match=r"holds labels that are none of the classes \(0, 1, 2"):
            prepare(self.source(spec=spec), DataConfig(), seed=0)


@pytest.mark.parametrize("protocol", PROTOCOLS[1:])
def test_other_data_have_no_official_protocol(protocol):
    arrays = {"x": np.random.default_rng(0).normal(size=(20, 1, 8)), "y": np.arange(20) % 2}
    with pytest.raises(ConfigError, match=f"the protocol '{protocol}' repeats how published scores of the ten NAS-B"):
        prepare(arrays, DataConfig(), seed=0, protocol=protocol)


def test_an_unknown_protocol_names_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown protocol 'dash-oficial'; did you mean 'dash-official'\?"):
        Options(protocol="dash-oficial")


def rows(part):
    return part._rows


class TestCifar100:
    def test_images_are_planes_of_32_rows(self, prepared, files):
        raw = np.load(files / "cifar100/cifar-100-python/test", allow_pickle=True)["data"]
        x = x_of(prepared("cifar100").test.open())
        red, green, blue = (raw[:, 1024 * c : 1024 * (c + 1)].reshape(-1, 32, 32) / 255 for c in range(3))
        np.testing.assert_allclose(x[:, 0], (red - 0.5071) / 0.2675, atol=1e-5)
        np.testing.assert_allclose(x[:, 1], (green - 0.4867) / 0.2565, atol=1e-5)
        np.testing.assert_allclose(x[:, 2], (blue - 0.4408) / 0.2761, atol=1e-5)

    def test_a_fifth_is_for_validation_and_all_for_the_final_training(self, prepared):
        for protocol in PROTOCOLS:
            got = prepared("cifar100", protocol)
            assert (len(got.train), len(got.validation), len(got.development)) == (32, 8, 40)
            assert not set(rows(got.train)) & set(rows(got.validation))
        assert rows(prepared("cifar100", "nb360-official").validation).tolist() == list(range(32, 40))
        assert rows(prepared("cifar100", seed=1).validation).tolist() != rows(prepared("cifar100").validation).tolist()

    def test_training_images_are_shifted_and_mirrored(self, prepared):
        part = prepared("cifar100").train
        plain, drawn = x_of(part), x_of(part, seed=3)
        black = (0 - 0.5071) / 0.2675
        padded = np.pad(plain[:, 0], ((0, 0), (4, 4), (4, 4)), constant_values=black)
        for image, around in zip(drawn[:, 0], padded, strict=True):
            windows = np.lib.stride_tricks.sliding_window_view(around, (32, 32)).reshape(-1, 32, 32)
            matches = [np.abs(windows - candidate).max(axis=(1, 2)).min() for candidate in (image, image[:, ::-1])]
            assert min(matches) < 1e-5

    def test_only_the_nb360_protocol_cuts_a_hole(self, prepared):
        x = x_of(prepared("cifar100", "nb360-official").train, seed=3)
        holes = (np.abs(x).max(axis=1) < 1e-5).sum(axis=(1, 2))
        assert (holes >= 64).all()  # a quarter of 16 x 16, where its centre is a corner
        assert (holes <= 256).all()
        assert holes.max() > 150
        assert (np.abs(x_of(prepared("cifar100").train, seed=3)).max(axis=1) < 1e-5).sum() == 0

    def test_the_archive_is_read_as_it_is(self, prepared, files, tmp_path, monkeypatch):
        import tarfile

        expected = x_of(prepared("cifar100").test.open())
        (tmp_path / "packed" / "cifar100").mkdir(parents=True)
        with tarfile.open(tmp_path / "packed/cifar100/cifar-100-python.tar.gz", "w:gz") as archive:
            archive.add(files / "cifar100/cifar-100-python", "cifar-100-python")
        monkeypatch.setenv("DASHNAS_DATA", str(tmp_path / "packed"))
        np.testing.assert_array_equal(x_of(prepare_task("cifar100").test.open()), expected)


def prepare_task(name, protocol="clean"):
    return prepare(task_source(name), DataConfig(), seed=0, protocol=protocol)


class TestSpherical:
    def test_values_are_fractions_unless_official(self, prepared):
        clean, raw = (x_of(prepared("spherical", protocol).test.open()) for protocol in ("clean", "dash-official"))
        assert 0.9 < clean.max() <= 1
        np.testing.assert_allclose(255 * clean, raw, rtol=1e-5)

    def test_the_file_may_be_unpacked(self, prepared, files, data):
        import gzip

        (data / "spherical").mkdir(parents=True)
        expected = x_of(prepared("spherical").test.open())
        unpacked = gzip.decompress((files / "spherical/s2_cifar100.gz").read_bytes())
        (data / "spherical" / "s2_cifar100").write_bytes(unpacked)
        np.testing.assert_array_equal(x_of(prepare_task("spherical").test.open()), expected)


class TestNinapro:
    def test_windows_are_images_of_electrodes_by_time(self, prepared, files):
        raw = np.load(files / "ninapro/ninapro_test.npy")
        x = x_of(prepared("ninapro").test.open())
        assert x.shape == (11, 1, 16, 52)
        np.testing.assert_allclose(x[4, 0, 3, 7], raw[4, 7, 3], rtol=1e-6)

    def test_the_final_training_uses_both_files(self, prepared):
        got = prepared("ninapro")
        assert (len(got.train), len(got.validation), len(got.development), len(got.test)) == (40, 10, 50, 11)


class TestSatellite:
    def test_series_are_standardised_unless_raw(self, prepared):
        x = x_of(prepared("satellite").test.open())[:, 0]
        np.testing.assert_allclose(x.mean(axis=1), 0, atol=1e-5)
        np.testing.assert_allclose(x.std(axis=1), 1, atol=1e-5)
        assert x_of(prepared("satellite", "dash-official").test.open()).mean() > 400

    def test_a_constant_series_becomes_zero(self):
        from dashnas.tasks.nb360.satellite import standardise

        assert (standardise(np.full((1, 46), 3.0)) == 0).all()

    def test_labels_count_from_one(self, prepared):
        assert prepared("satellite").test.open().targets().tolist() == (np.arange(48) % 24).tolist()

    def test_the_end_of_the_file_is_for_validation_where_it_has_all_classes(self, prepared):
        got = prepared("satellite")
        assert rows(got.validation).tolist() == list(range(240, 270))
        assert rows(got.train).tolist() == list(range(240))

    def test_else_validation_is_drawn(self):
        from dashnas.tasks.nb360.satellite import divide

        train, validation, how = divide(np.repeat(np.arange(24), 18), "clean", 5)
        assert "drawn by seed 0" in how
        assert len(set(validation)) == 48
        assert not set(train) & set(validation)
        assert divide(np.repeat(np.arange(24), 18), "nb360-official", 5)[1].tolist() == list(range(384, 432))

    def test_the_authors_validate_on_what_they_train_on(self, prepared):
        got = prepared("satellite", "dash-official")
        assert (len(got.train), len(got.validation), len(got.development)) == (240, 30, 270)
        assert set(rows(got.validation)) <= set(rows(got.train))
        assert "validation samples are trained on too, as in the authors' code" in got.warnings


class TestDeepsea:
    def test_sequences_are_four_channels(self, prepared, files):
        raw = np.load(files / "deepsea/deepsea_filtered.npz")["x_test"]
        x = x_of(prepared("deepsea").test.open())
        assert x.shape == (20, 4, 1000)
        np.testing.assert_array_equal(x, raw.transpose(0, 2, 1))

    def test_the_final_training_is_without_validation_part_only_for_nb360(self, prepared):
        assert [len(prepared("deepsea", protocol).development) for protocol in PROTOCOLS] == [36, 24, 36]


class TestDarcy:
    def test_every_fifth_point_is_used(self, prepared, files):
        import scipy.io

        raw = scipy.io.loadmat(files / "darcy/piececonst_r421_N1024_smooth2.mat")["sol"]
        got = prepared("darcy").test.open()
        np.testing.assert_array_equal(got.targets()[:, 0], raw[:, ::5, ::5])

    def test_421_points_become_85(self):
        assert len(np.arange(421)[::5]) == 85

    def test_the_coordinates_run_from_0_to_1(self):
        from dashnas.tasks.nb360.darcy import coordinates

        x, y = coordinates(85)
        assert (x[0, 84], x[84, 0], y[0, 84], y[84, 0]) == (1, 0, 0, 1)

    def test_fields_are_normalised_at_each_point_by_the_training_fields(self, prepared):
        got = prepared("darcy")
        assert (len(got.train), len(got.validation), len(got.development), len(got.test)) == (18, 2, 20, 5)
        batch = got.train.batch(np.arange(18))
        coeff, target = batch.x[:, 0].numpy(), batch.y[:, 0].numpy()
        for values in (coeff, target):
            np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-5)
        # 1e-5 is added to the deviation, which is about 0.01 for the pressure.
        np.testing.assert_allclose(target.std(axis=0, ddof=1), 1, rtol=5e-3)

    def test_targets_are_decoded_by_what_encoded_them(self, prepared):
        part = prepared("darcy").validation
        batch = part.batch([0, 1])
        np.testing.assert_allclose(part.normaliser.decode_target(batch.y).numpy(), part.targets(), atol=1e-7)

    def test_files_of_hdf5_have_their_axes_in_reverse(self, prepared, files, data):
        import h5py
        import scipy.io

        (data / "darcy").mkdir(parents=True)
        for name in ("smooth1", "smooth2"):
            classic = scipy.io.loadmat(files / f"darcy/piececonst_r421_N1024_{name}.mat")
            with h5py.File(data / f"darcy/piececonst_r421_N1024_{name}.mat", "w", userblock_size=512) as file:
                for key in ("coeff", "sol"):
                    file[key] = classic[key].T
        expected = prepared("darcy")
        os_data = prepare_task_in(data, "darcy")
        np.testing.assert_array_equal(x_of(os_data.train), x_of(expected.train))
        np.testing.assert_array_equal(os_data.test.open().targets(), expected.test.open().targets())

    def test_a_file_of_85_points_is_taken_as_it_is(self, data):
        from tiny_official import darcy

        (data / "darcy").mkdir(parents=True)
        darcy(data / "darcy", np.random.default_rng(0), side=85)
        assert prepare_task("darcy").spec.spatial_shape == (85, 85)

    def test_the_scale_of_each_point_survives_a_trip_through_json(self, prepared):
        import json

        from dashnas.data import Normaliser

        normaliser = prepared("darcy").normaliser
        assert Normaliser.from_json(json.loads(json.dumps(normaliser.to_json()))) == normaliser


def prepare_task_in(folder, name):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DASHNAS_DATA", str(folder))
        return prepare_task(name)


CUT = {
    "cifar100": "cifar-100-python/train",
    "cosmic": "npy_train/f435w/10760/2/1_0.npy",
    "darcy": "piececonst_r421_N1024_smooth1.mat",
    "deepsea": "deepsea_filtered.npz",
    "ecg": "challenge2017.pkl",
    "fsd50k": "chunks/wav/tr0_0000.wav",
    "ninapro": "ninapro_train.npy",
    "psicov": "deepcov/features/deepcov3.pkl",
    "satellite": "satellite_test.npy",
    "spherical": "s2_cifar100.gz",
}
"""A file of each task."""


@pytest.mark.parametrize("name", TEN)
def test_files_that_were_cut_short_are_refused(name, data):
    path = make(name, data) / CUT[name]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"{path.name}.* (damaged|cut short|cannot be read)"):
        prepare_task(name)


class TestWrongFiles:
    def test_cifar100_without_fine_labels(self, data):
        import pickle

        folder = make("cifar100", data)
        content = {"data": np.zeros((4, 3072), np.uint8), "labels": [0, 1, 2, 3]}
        (folder / "cifar-100-python/train").write_bytes(pickle.dumps(content))
        with pytest.raises(DataError, match="train has no 'fine_labels'; found: data, labels; it is another file"):
            prepare_task("cifar100")

    def test_labels_that_do_not_belong_there(self, data):
        folder = make("ninapro", data)
        np.save(folder / "label_test.npy", np.full(11, 18))
        with pytest.raises(DataError, match=r"label_test\.npy has values other than the integers 0 to 17"):
            prepare_task("ninapro")

    def test_windows_of_another_shape(self, data):
        folder = make("ninapro", data)
        np.save(folder / "ninapro_val.npy", np.zeros((10, 16, 52)))
        with pytest.raises(DataError, match=r"ninapro_val\.npy has shape \(10, 16, 52\) and type float64; exp"):
            prepare_task("ninapro")

    def test_values_that_are_not_finite(self, data):
        folder = make("satellite", data)
        np.save(folder / "satellite_test.npy", np.array({"data": np.full((2, 46), np.nan), "label": [1, 2]}, object))
        with pytest.raises(DataError, match=r"data in .*satellite_test\.npy has 92 values that are NaN or infinite"):
            prepare_task("satellite")

    def test_bases_that_are_not_one_hot(self, data):
        folder = make("deepsea", data)
        with np.load(folder / "deepsea_filtered.npz") as file:
            arrays = dict(file)
        np.savez(folder / "deepsea_filtered.npz", **{**arrays, "x_val": 3 * arrays["x_val"]})
        with pytest.raises(DataError, match=r"x_val in .* has values other than 0 and 1; expected bases in one"):
            prepare_task("deepsea")
        np.savez(folder / "deepsea_filtered.npz", **{**arrays, "y_val": 3 * arrays["y_val"]})
        with pytest.raises(DataError, match=r"y_val in .* has values other than 0 and 1"):
            prepare_task("deepsea")

    def test_a_mat_file_without_solutions(self, data):
        import scipy.io

        folder = make("darcy", data)
        scipy.io.savemat(folder / "piececonst_r421_N1024_smooth2.mat", {"coeff": np.ones((5, 41, 41)), "u": 1})
        with pytest.raises(DataError, match=r"smooth2\.mat has no 'sol'; found: coeff, u; it is another file than exp"):
            prepare_task("darcy")

    def test_fields_on_another_grid_than_the_others(self, data):
        import scipy.io

        folder = make("darcy", data)
        fields = np.ones((5, 21, 21))
        scipy.io.savemat(folder / "piececonst_r421_N1024_smooth2.mat", {"coeff": fields, "sol": fields})
        with pytest.raises(DataError, match=r"the test fields in .* have 5 points a side, the others 9"):
            prepare_task("darcy")


ARCHITECTURES = Path(__file__).resolve().parents[2] / "examples" / "architectures"


@pytest.mark.parametrize(("name", "layers", "first"), [("darcy", 13, "stem"), ("deepsea", 9, "blocks.0.units.0.conv")])
def test_the_architecture_that_the_paper_prints_trains(name, layers, first, files, monkeypatch):
    """Shen et al. 2022: the networks of Darcy flow and DeepSEA, here for an epoch at a small width."""
    monkeypatch.setenv("DASHNAS_DATA", str(files))
    monkeypatch.setattr("dashnas.evaluate.score", partial(score, resamples=2))
    printed = Architecture.load(ARCHITECTURES / f"{name}.json")
    assert (len(printed), next(iter(printed))) == (layers, first)
    options = Options(epochs=1, tune_trials=1, width=2, threads=1, architecture=printed)
    summary = fit(task_source(name), options).summary
    assert summary["architecture"] == printed.to_json()
    assert np.isfinite(summary["scores"]["test"]["value"])


class TestPaperPreset:
    """Table 1.2 of the specification: what DASH's authors set for each task by hand."""

    @pytest.mark.parametrize(
        ("name", "batch_size", "kernel_sizes", "dilations", "grad_scale", "rate", "pos_weight", "small_grid"),
        [
            ("cifar100", 64, (3, 5, 7, 9), (1, 3, 7, 15), 5000, 0.1, None, False),
            ("spherical", 64, (3, 5, 7, 9), (1, 3, 7, 15), 500, 0.1, None, False),
            ("darcy", 10, (3, 5, 7, 9), (1, 3, 7, 15), 100, 0.01, None, False),
            ("psicov", 8, (3, 5, 7, 9), (1, 3, 7, 15), 100, 0.01, None, True),
            ("cosmic", 4, (3, 5, 7, 9), (1, 3, 7, 15), 1000, 0.01, None, True),
            ("ninapro", 128, (3, 5, 7), (1, 3, 7), 100, 0.1, None, False),
            ("fsd50k", 128, (3, 5, 7, 9), (1, 3, 7, 15), 100, 0.1, 10.0, True),
            ("ecg", 1024, (3, 7, 11, 15, 19), (1, 3, 7, 15), 100, 0.1, None, False),
            ("satellite", 256, (3, 7, 11, 15, 19), (1, 3, 7, 15), 100, 0.1, None, False),
            ("deepsea", 256, (3, 7, 11, 15, 19), (1, 3, 7, 15), 10, 0.1, 4.0, False),
        ],
    )
    def test_takes_the_authors_settings(
        self, name, batch_size, kernel_sizes, dilations, grad_scale, rate, pos_weight, small_grid, prepared
    ):
        data = prepared(name)
        config = resolve(Options(preset="paper"), data.spec, len(data.train), len(data.development), data.paper)
        assert config.batch_size == batch_size
        assert (config.space.kernel_sizes, config.space.dilations) == (kernel_sizes, dilations)
        assert config.search.arch_grad_norm == pytest.approx(1 / grad_scale)
        assert (config.search.learning_rate, config.search.arch_learning_rate) == (rate, rate / 2)
        assert config.class_weights == (None if pos_weight is None else (pos_weight,) * data.spec.outputs)
        assert config.tune.small_grid == small_grid
        assert config.loss_scale == (10 if name == "darcy" else 1)

    @pytest.mark.parametrize(("name", "largest"), [("cifar100", 121), ("ninapro", 43), ("ecg", 271)])
    def test_the_largest_receptive_fields(self, name, largest, prepared):
        paper = prepared(name).paper
        assert max((k - 1) * d + 1 for k in paper.kernel_sizes for d in paper.dilations) == largest

    def test_is_for_that_preset_alone(self, prepared):
        data = prepared("deepsea")
        config = resolve(Options(), data.spec, len(data.train), len(data.development), data.paper)
        assert config.class_weights is None
        assert config.batch_size < 256

    def test_gives_way_to_what_is_asked_for(self, prepared):
        data = prepared("deepsea")
        options = Options(preset="paper", batch_size=8, kernel_sizes=(3,), class_weights="balanced")
        config = resolve(options, data.spec, len(data.train), len(data.development), data.paper)
        assert (config.batch_size, config.space.kernel_sizes, config.class_weights) == (8, (3,), "balanced")


def test_an_official_task_is_no_single_file(data):
    with pytest.raises(DataError, match=rf"ecg is no single \.npz file; place its files \(challenge.*\) in {data}/ecg"):
        fetch("ecg")


class TestCheck:
    def test_files_of_another_size_are_told_with_all_that_is_wrong(self, files, monkeypatch):
        monkeypatch.setenv("DASHNAS_DATA", str(files))
        with pytest.raises(
            DataError,
            match=r"is not the whole of ninapro: 40 training samples, expected 2638; 10 valid.*; 11 test samples",
        ):
            check("ninapro")

    def test_what_is_right_gives_its_folder(self, files, monkeypatch):
        monkeypatch.setenv("DASHNAS_DATA", str(files))
        task = replace(OFFICIAL_TASKS["ninapro"], samples={"training": 40, "validation": 10, "test": 11})
        monkeypatch.setitem(REGISTERED, "ninapro", task)
        assert check("ninapro") == files / "ninapro"


def test_there_are_ten():
    assert sorted(OFFICIAL_TASKS) == TEN == sorted(MAKERS)


def test_every_protocol_metric_is_an_error():
    assert not any(metric.higher_is_better for metric in PROTOCOL_METRICS.values())
