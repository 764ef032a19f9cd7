"""The papers' tables: they are whole, as printed, and their misprints are known."""

import re

import pytest

from dashnas.analysis import TASK_GROUPS, published, runtimes
from dashnas.analysis.papers import PAPER_FIGURES, PAPER_TABLES, misprints, paper_table, printed, searched_networks
from dashnas.errors import ConfigError

TEN = {task for tasks in TASK_GROUPS.values() for task in tasks}
SCORES = [name for name, table in PAPER_TABLES.items() if table.metrics]
OTHERS = [name for name in PAPER_TABLES if name not in SCORES]


def one(name, method, task, **options):
    (cell,) = [c for c in published(name, **options) if (c.method, c.task) == (method, task)]
    return cell


@pytest.mark.parametrize("name", PAPER_TABLES)
def test_every_table_has_rows_and_a_source(name):
    assert len({tuple(row) for row in printed(name)}) == 1
    assert len(printed(name)) > 1
    assert re.search(r"\d{4}.*(Table|Section|leaderboard|notebook)", paper_table(name).source)


@pytest.mark.parametrize("name", SCORES)
def test_cells_of_a_table_name_where_they_come_from_and_are_of_its_own_protocol(name):
    cells = published(name)
    assert {cell.source for cell in cells} == {paper_table(name).source}
    assert {cell.protocol for cell in cells} == {f"published:{name}"}
    assert {cell.seed for cell in cells} == {None}


@pytest.mark.parametrize(
    ("name", "methods", "scores"),
    [
        ("dash-table2", 11, 89),
        ("nb360-table2", 10, 85),
        ("nb360-leaderboard", 9, 28),
        ("nb360-notebook", 5, 50),
        ("nb360-table4", 2, 8),
        ("dash-table7", 2, 6),
        ("dash-table10", 4, 4),
    ],
)
def test_tables_are_whole(name, methods, scores):
    cells = published(name)
    assert len({cell.method for cell in cells}) == methods
    assert len(cells) == scores
    assert {cell.task for cell in cells} <= TEN | {"imagenet-1k"}


def test_a_mean_and_its_deviation_are_read():
    dash = one("dash-table2", "DASH", "darcy")
    assert (dash.value, dash.std, dash.metric, dash.higher_is_better) == (0.0079, 0.002, "relative_l2", False)
    assert one("nb360-table4", "TE-NAS", "darcy").std is None


def test_percent_stay_percent_and_say_so():
    assert one("dash-table2", "DASH", "cifar100").metric == "error_pct"
    assert one("dash-table2", "DASH", "cifar100").value == 24.37
    assert one("nb360-notebook", "GAEA", "darcy").metric == "relative_l2_pct"
    assert one("nb360-notebook", "GAEA", "psicov").metric == "mae8"


def test_the_older_leaderboard_has_scores_of_which_more_is_better():
    assert one("nb360-leaderboard", "AMBER ENAS", "ecg").higher_is_better
    assert not one("nb360-leaderboard", "WRN ASHA", "cosmic").higher_is_better


def test_hours_of_table_3_are_seconds_of_the_cells_of_table_2():
    assert one("dash-table2", "DASH", "ecg").seconds == pytest.approx(1.3 * 3600)
    assert one("dash-table2", "DARTS-GAEA", "ecg").seconds == pytest.approx(140 * 3600)
    assert one("dash-table2", "DASH", "psicov").seconds is None
    assert one("dash-table2", "Expert", "ecg").seconds is None


@pytest.mark.parametrize("name", PAPER_TABLES)
def test_a_known_misprint_names_what_is_printed_and_why_it_is_wrong(name):
    by_method = {row.get("method"): row for row in printed(name)}
    for wrong in misprints(name):
        assert by_method[wrong["method"]][wrong["column"]] == wrong["printed"] != wrong["corrected"]
        assert wrong["reason"]


def test_misprints_stand_as_printed_unless_corrections_are_asked_for():
    assert one("dash-table2", "AMBER", "ecg").value == 0.67
    assert one("dash-table2", "AMBER", "ecg", corrected=True).value == 0.33
    assert one("dash-table2", "Expert", "deepsea").std == 0.24
    assert one("dash-table2", "Expert", "deepsea", corrected=True).std == 0.024
    assert "XGBoost" in {c.method for c in published("nb360-table2") if c.task == "cosmic"}
    assert "XGBoost" not in {c.method for c in published("nb360-table2", corrected=True) if c.task == "cosmic"}


def test_corrections_change_nothing_else():
    changed = [
        (before["method"], column)
        for before, after in zip(printed("dash-table2"), printed("dash-table2", corrected=True), strict=True)
        for column in before
        if before[column] != after[column]
    ]
    assert sorted(changed) == sorted((wrong["method"], wrong["column"]) for wrong in misprints("dash-table2"))


@pytest.mark.parametrize("name", ["dash-table3", "dash-table6", "dash-table8", "dash-table9"])
def test_times_have_a_unit_and_say_of_what(name):
    for row in runtimes(name):
        (unit,) = row.keys() & {"hours", "seconds"}
        assert isinstance(row[unit], float)
        assert row["task"] in TEN | {"imagenet-1k"}


def test_phases_of_dash_add_up_to_its_total_but_for_rounding():
    hours = {(row["task"], row["phase"]): row["hours"] for row in runtimes("dash-table6")}
    for task in TEN:
        phases = sum(hours[task, phase] for phase in ("search", "tuning", "retraining"))
        assert phases == pytest.approx(hours[task, "total"], rel=0.05)


def test_the_searched_networks_of_the_appendix():
    networks = searched_networks()
    assert {task: len(network) for task, network in networks.items()} == {"darcy": 13, "deepsea": 9}
    assert [str(choice) for choice in networks["deepsea"].values()][:3] == ["k11_d1", "k19_d7", "k19_d1"]


@pytest.mark.parametrize("figure", PAPER_FIGURES.values(), ids=PAPER_FIGURES)
def test_a_figure_is_made_from_methods_of_its_table(figure):
    assert figure.table in PAPER_TABLES
    if figure.table in SCORES:
        assert set(figure.methods) <= {cell.method for cell in published(figure.table)}
        assert {method for members in figure.best_of.values() for method in members} <= set(figure.methods)


def test_an_unknown_table_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="unknown published table 'dash-tabel2'; did you mean 'dash-table2'"):
        published("dash-tabel2")


@pytest.mark.parametrize("name", OTHERS)
def test_a_table_without_scores_has_no_cells(name):
    with pytest.raises(ConfigError, match=rf"{name} holds .* no scores; .* Tables of scores: dash-table2, "):
        published(name)


def test_a_table_without_times_has_no_runtimes():
    with pytest.raises(ConfigError, match=r"dash-table2 holds errors .* no times; tables of times: dash-table3"):
        runtimes("dash-table2")
