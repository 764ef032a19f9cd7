"""Rows over seeds, and how they are written down."""

import csv
import io
import json
import math

import pytest

from dashnas.bench.export import FORMATS, export, score_text
from dashnas.bench.table import make_rows
from dashnas.errors import ConfigError


def result(method="dash", seed=0, value=0.25, **changes):
    return {
        "task": "crop", "method": method, "seed": seed, "metric": "error", "protocol": "clean", "value": value,
        "higher_is_better": False, "std": None, "seconds": 66.0, "parameters": 1000, "architecture": None,
        "source": None, "budget_seconds": 60.0, "budget_from": None,
    } | changes  # fmt: skip


def test_a_row_is_mean_and_deviation_over_seeds():
    (row,) = make_rows([result(value=0.2, seconds=57.0), result(seed=1, value=0.3, parameters=3000)])
    assert (row.n, row.mean, row.std) == (2, pytest.approx(0.25), pytest.approx(math.sqrt(2) * 0.05))
    assert (row.seconds, row.budget_seconds, row.parameters) == (61.5, 60.0, 2000)
    assert row.worst_overrun == pytest.approx(0.1)


def test_a_single_seed_has_no_deviation_and_a_model_without_parameters_none():
    (row,) = make_rows([result(parameters=None)])
    assert (row.n, row.std, row.parameters) == (1, None, None)


@pytest.mark.parametrize(("higher_is_better", "best"), [(False, "dash"), (True, "random")])
def test_the_best_of_a_task_is_marked(higher_is_better, best):
    rows = make_rows(
        [
            result(method, value=value, higher_is_better=higher_is_better)
            for method, value in (("dash", 0.1), ("random", 0.2))
        ]
    )
    assert [row.method for row in rows if row.is_best] == [best]


def test_a_network_that_diverged_makes_an_infinite_mean():
    (row,) = make_rows([result(value=None), result(seed=1)])
    assert row.mean == math.inf
    assert score_text(row) == "inf"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"protocol": "nb360-official"}, r"different protocols: clean \(1\), nb360-official \(1\).*--mix"),
        ({"budget_seconds": 20.0}, r"different budgets \(20 s, 60 s\); give --mix"),
        ({"metric": "macro_f1"}, r"scores on .crop. are of different metrics: error, macro_f1;.*--mix"),
    ],
)
def test_what_cannot_be_compared_is_refused_unless_asked_for(other, message):
    results = [result(), result(seed=1, **other)]
    with pytest.raises(ConfigError, match=message):
        make_rows(results)
    assert sum(row.n for row in make_rows(results, mix=True)) == 2


def test_a_budget_that_was_the_time_of_another_cell_is_no_other_budget():
    rows = make_rows([result(), result("backbone@dash", budget_seconds=66.0, budget_from="dash")])
    assert [row.budget_seconds for row in rows] == [60.0, 66.0]


@pytest.fixture
def rows():
    return make_rows(
        [result(value=0.2), result(seed=1, value=0.3), result("baby-dash", value=0.5), result(task="toy_1", value=12.0)]
    )


def test_csv_has_all_fields_in_full(rows):
    lines = list(csv.DictReader(io.StringIO(export(rows, "csv"))))
    assert [(line["task"], line["method"], line["mean"], line["n"]) for line in lines] == [
        ("crop", "dash", "0.25", "2"),
        ("crop", "baby-dash", "0.5", "1"),
        ("toy_1", "dash", "12.0", "1"),
    ]


def test_json_has_no_numbers_that_json_does_not_have():
    (row,) = json.loads(export(make_rows([result(value=None)]), "json"))
    assert (row["mean"], row["std"], row["n"]) == (None, None, 1)


def test_markdown_has_a_line_per_task_and_the_best_in_bold(rows):
    assert export(rows, "markdown").splitlines() == [
        "| task | metric | dash | baby-dash |",
        "| --- | --- | ---: | ---: |",
        "| crop | error (lower is better), clean | **0.2500 ± 0.0707** | 0.5 |",
        "| toy_1 | error (lower is better), clean | **12** | - |",
        "",
        "Test scores, mean ± standard deviation over seeds (n = 1 to 2).",
    ]


def test_latex_is_a_tabular_with_its_special_characters_escaped(rows):
    text = export(rows, "latex")
    assert r"crop & error (lower is better), clean & $\mathbf{0.2500 \pm 0.0707}$ & $0.5$ \\" in text
    assert r"toy\_1 & error (lower is better), clean & $\mathbf{12}$ & -- \\" in text
    assert text.splitlines()[1] == r"\begin{tabular}{llrr}"


def test_an_unknown_format_names_the_nearest(rows):
    with pytest.raises(ConfigError, match="unknown format 'latx'; did you mean 'latex'"):
        export(rows, "latx")
    assert set(FORMATS) == {"csv", "json", "latex", "markdown"}


@pytest.mark.parametrize(
    ("values", "text"),
    [((0.123456, 0.2), "0.1617 ± 0.0541"), ((12.5, 13.5), "13.00 ± 0.71"), ((12345.6, 12345.8), "12346 ± 0")],
)
def test_mean_and_deviation_have_the_same_number_of_decimals(values, text):
    (row,) = make_rows([result(seed=seed, value=value) for seed, value in enumerate(values)])
    assert score_text(row) == text
