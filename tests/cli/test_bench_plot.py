"""`dashnas bench plot`: pictures of published numbers and of runs, and the tables behind them."""

import json
import subprocess
import sys

import pytest

from cli.commands import assert_refused, dashnas
from dashnas.analysis import Cell
from dashnas.analysis.papers import PAPER_FIGURES, PAPER_TABLES, printed

METHODS = {"dash": 0.2, "random": 0.3, "backbone": 0.4}
CHOSEN = {"conv1": {"kernel_size": 7, "dilation": 3}, "conv2": {"kernel_size": 3, "dilation": 1}}


def change(store, name, **changes):
    """Change a finished cell."""
    path = store / "cells" / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def write_store(folder, tasks=("crop", "darcy", "ecg"), **changes):
    """A store as `dashnas bench run` makes it: three methods on each task with two seeds."""
    for place, task in enumerate(tasks):
        for method, error in METHODS.items():
            for seed in range(2):
                cell = {
                    "task": task,
                    "method": method,
                    "seed": seed,
                    "metric": "error",
                    "protocol": "clean",
                    "value": error + 0.01 * seed * (place + 1),
                    "higher_is_better": False,
                    "seconds": 60.0,
                    "architecture": None if method == "backbone" else CHOSEN,
                }
                path = folder / "cells" / task / method / f"{seed}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps({"format": 1, "threads": 1, **Cell(**cell | changes).to_json()}))
                path.with_suffix(".report.json").write_text("{}")
    (folder / "store.json").write_text('{"format": 1}')
    return folder


@pytest.fixture
def store(tmp_path):
    return write_store(tmp_path / "bench")


def rows(*arguments):
    """The table behind a picture."""
    done = dashnas("bench", "plot", *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)["rows"]


def methods(*arguments):
    return list(dict.fromkeys(row["method"] for row in rows(*arguments)))


class TestPublished:
    def test_a_table_is_drawn_as_the_figure_that_the_paper_makes_of_it(self, tmp_path):
        done = dashnas("bench", "plot", "--published", "dash-table2", "--out", tmp_path / "fig4.png")
        assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'fig4.png'}\n")
        assert (tmp_path / "fig4.png").read_bytes().startswith(b"\x89PNG")
        assert rows("--published", "dash-table2") == rows("--published", "dash-fig4")
        assert methods("--published", "dash-table2") == list(PAPER_FIGURES["dash-fig4"].methods)

    @pytest.mark.parametrize("name", PAPER_FIGURES)
    def test_every_figure_has_its_table(self, name):
        done = dashnas("bench", "plot", "--published", name, "--json")
        told = json.loads(done.stdout)
        assert (told["kind"], told["sources"]) == (PAPER_FIGURES[name].kind, [PAPER_FIGURES[name].source])
        assert told["rows"]

    def test_median_ranks_of_table_3(self):
        assert [row["median_rank"] for row in rows("--published", "nb360-ranks")] == [4, 3.5, 4, 4, 1.5, 6, 1]

    def test_without_out_the_file_is_named_after_the_kind(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert dashnas("bench", "plot", "--published", "dash-fig5").stdout == "speed-accuracy.png\n"
        assert (tmp_path / "speed-accuracy.png").exists()

    def test_json_draws_nothing_unless_there_is_an_out(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert dashnas("bench", "plot", "--published", "dash-fig4", "--json").exit_code == 0
        assert not list(tmp_path.iterdir())
        done = dashnas("bench", "plot", "--published", "dash-fig4", "--json", "--out", "a.svg")
        assert json.loads(done.stdout)["kind"] == "profile"
        assert (done.stderr, (tmp_path / "a.svg").exists()) == ("a.svg\n", True)

    def test_other_kinds_of_the_same_table(self):
        assert len(methods("--published", "dash-table2", "--kind", "ranks")) == 11
        assert methods("--published", "dash-table2", "--kind", "ranks", "--methods", "WRN,TCN") == ["WRN", "TCN"]

    def test_other_methods_than_those_of_the_figure(self):
        assert methods("--published", "dash-table2", "--methods", "Expert,DASH") == ["Expert", "DASH"]
        assert len(methods("--published", "dash-table2", "--methods", "all", "--missing", "infinite")) == 11

    def test_a_group_of_tasks(self):
        shares = {row["share"] for row in rows("--published", "nb360-notebook", "--group", "2d-point")}
        assert shares <= {0, 0.25, 0.5, 0.75, 1}
        assert rows("--published", "nb360-notebook", "--group", "2d-point") == rows(
            "--published", "nb360-fig2-2d-point"
        )

    def test_best_of_curves(self):
        of_names = ["--best-of", "nas=DARTS-GAEA,DenseNAS", "--best-of", "fixed=WRN, WRN-ASHA"]
        assert methods("--published", "dash-table2", *of_names) == ["nas", "fixed", "DASH"]

    def test_corrections_are_asked_for(self):
        amber = ["--published", "dash-table2", "--kind", "ranks", "--tasks", "ecg", "--methods", "AMBER,DARTS-GAEA"]
        assert rows(*amber)[0]["median_rank"] == 2
        assert rows(*amber, "--corrected")[0]["median_rank"] == 1
        told = json.loads(dashnas("bench", "plot", *amber, "--corrected", "--json").stdout)
        assert told["sources"][0].endswith("Table 3, misprints corrected")

    def test_the_list_names_tables_and_figures(self, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        listed = {line.split()[0] for line in dashnas("bench", "plot", "--list").stdout.splitlines() if line}
        assert listed >= {*PAPER_TABLES, *PAPER_FIGURES}
        told = json.loads(dashnas("bench", "plot", "--list", "--json").stdout)
        assert {table["name"]: table["source"] for table in told["tables"]}["dash-table2"].endswith("hours: Table 3")
        assert {figure["name"] for figure in told["figures"]} == set(PAPER_FIGURES)


class TestStore:
    @pytest.mark.parametrize(
        "kind",
        ["profile", "ranks", "critical-difference", "speed-accuracy", "random-gain", "receptive-fields"],
    )
    def test_every_kind_is_drawn_of_runs(self, kind, store, tmp_path):
        out = tmp_path / f"{kind}.pdf"
        done = dashnas("bench", "plot", "--store", store, "--kind", kind, "--out", out)
        assert done.exit_code == 0, done.stderr
        assert out.read_bytes().startswith(b"%PDF")

    def test_ranks_of_runs(self, store):
        ranked = rows("--store", store, "--kind", "ranks", "--reference", "backbone")
        assert {row["method"]: row["median_rank"] for row in ranked} == {"dash": 1, "random": 2, "backbone": 3}
        assert ranked[-1]["median_improvement_percent"] > 0

    def test_the_test_of_a_critical_difference_is_chosen(self, store):
        (first, *_) = rows("--store", store, "--kind", "critical-difference", "--test", "nemenyi")
        assert first["post_hoc"] == "nemenyi"

    def test_gains_over_the_named_random_method(self, store):
        gains = rows("--store", store, "--kind", "random-gain", "--random", "backbone", "--tasks", "crop")
        assert {row["method"]: row["percent"] for row in gains}["dash"] == pytest.approx(100 * (1 - 0.205 / 0.405))

    @pytest.mark.parametrize("higher_is_better", [True, False])
    def test_a_run_that_diverged_is_null_in_its_file_and_in_the_table(self, higher_is_better, tmp_path):
        store = write_store(tmp_path, higher_is_better=higher_is_better)
        change(store, "crop/dash/1.json", value=None)
        gains = {row["method"]: row for row in rows("--store", store, "--kind", "random-gain", "--tasks", "crop")}
        assert gains["dash"]["percent"] is None
        assert gains["dash"]["by_seed"][1] is None
        assert gains["dash"]["by_seed"][0] is not None

    def test_several_stores_are_one_comparison(self, tmp_path):
        one, other = write_store(tmp_path / "a", ["crop"]), write_store(tmp_path / "b", ["ecg"])
        assert {row["tasks"] for row in rows("--store", one, "--store", other, "--kind", "ranks")} == {2}


class TestRunsOverPublished:
    def test_protocols_are_not_mixed_unless_asked_for(self, store):
        both = ["bench", "plot", "--store", store, "--published", "dash-fig4"]
        assert_refused(dashnas(*both), r"different protocols: clean \(18\), published:dash-table2 \(50\).*--mix")

    def test_the_mixture_is_told(self, store):
        both = ["--store", store, "--published", "dash-fig4", "--mix", "--missing", "drop", "--json"]
        assert json.loads(dashnas("bench", "plot", *both).stdout)["protocols"] == ["clean", "published:dash-table2"]

    def test_tasks_in_common_are_compared(self, store):
        both = ["--store", store, "--published", "dash-fig4", "--mix", "--missing", "drop"]
        assert methods(*both) == ["backbone", "dash", "random", *PAPER_FIGURES["dash-fig4"].methods]
        ranked = rows(*both, "--kind", "ranks", "--tasks", "darcy,ecg")
        assert {row["tasks"] for row in ranked} == {2}

    def test_runs_are_laid_over_best_of_curves(self, store):
        both = ["--store", store, "--published", "dash-fig1a", "--mix", "--missing", "infinite"]
        curves = [*PAPER_FIGURES["dash-fig1a"].best_of, "backbone", "dash", "random"]
        assert methods(*both, "--tasks", "darcy,ecg") == curves

    def test_percent_and_fractions_are_on_one_scale(self, tmp_path):
        write_store(tmp_path, ["cifar100"])
        both = ["--store", tmp_path, "--published", "dash-fig4", "--mix", "--tasks", "cifar100"]
        ranked = {row["method"]: row["median_rank"] for row in rows(*both, "--kind", "ranks")}
        assert (ranked["dash"], ranked["WRN"], ranked["backbone"]) == (1, 2, 8)


def test_what_is_printed_adds_up_to_the_printed_table():
    ranked = rows("--published", "nb360-ranks")
    assert {row["method"] for row in ranked} == {row["method"] for row in printed("nb360-table3")}


def test_neither_torch_nor_matplotlib_are_imported_for_a_table():
    look = (
        "import sys\n"
        "from dashnas.cli import app\n"
        "app(['bench', 'plot', '--published', 'dash-fig4', '--json'], standalone_mode=False)\n"
        "heavy = {'torch', 'matplotlib', 'optuna'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to draw; name --published NAME, --store FOLDER, or both"),
        (["--published", "dash-tabel2"], "unknown published table or figure 'dash-tabel2'; did you mean 'dash-table2'"),
        (["--published", "dash-table3"], "dash-table3 holds hours of the whole pipeline on a V100, no scores"),
        (["--published", "dash-fig4", "--kind", "profil"], "unknown kind of picture 'profil'; did you mean 'profile'"),
        (["--published", "dash-fig4", "--out", "a.gif"], r"a picture is a .png, .svg or .pdf; got a.gif; try a\.png"),
        (["--published", "dash-fig4", "--methods", "DESH"], "unknown method 'DESH'; did you mean 'DASH'"),
        (["--published", "dash-fig4", "--tasks", "darci"], "unknown task 'darci'; did you mean 'darcy'"),
        (["--published", "dash-fig4", "--group", "dens"], "unknown group of tasks 'dens'; did you mean 'dense'"),
        (["--published", "dash-fig4", "--missing", "no"], "--missing must be one of drop, infinite; got 'no'"),
        (["--published", "dash-fig4", "--test", "t"], "--test must be one of nemenyi, wilcoxon-holm; got 't'"),
        (["--published", "dash-fig4", "--best-of", "a"], "--best-of takes NAME=A,B.*got 'a'"),
        (["--published", "dash-fig4", "--best-of", "a="], "--best-of takes NAME=A,B.*got 'a='"),
        (["--published", "dash-table2", "--methods", "all"], "21 of 110 scores are missing.*--missing"),
        (["--published", "dash-fig4", "--floor", "0"], "floor must be above 0"),
        (["--published", "dash-fig4", "--kind", "receptive-fields"], "none of the scores comes with an architecture"),
        (["--published", "dash-appendix-a8", "--kind", "ranks"], "there are no scores to compare"),
        (["--store", "nowhere"], "nowhere holds no results of `dashnas bench run`"),
    ],
)
def test_mistakes_are_told_before_anything_is_drawn(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_refused(dashnas("bench", "plot", *arguments), message)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["{", "[1]", '{"task": "crop"}', '{"nobody": 1}'])
def test_a_damaged_cell_is_named(content, store):
    (store / "cells" / "crop" / "dash" / "1.json").write_text(content)
    assert_refused(
        dashnas("bench", "plot", "--store", store), r"crop/dash/1\.json is damaged: .*; delete it and run again"
    )
