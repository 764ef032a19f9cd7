"""What the benchmarks compute beside the library."""

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

# Behind the standard library, which has a module `operator` too.
sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

import quality
from figures import WAYS, merged

from dashnas.tasks import get_task


@pytest.mark.parametrize("dilate", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("dilation", [1, 2, 7])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_a_convolution_with_a_dilated_kernel_is_a_dilated_convolution(kernel_size, dilation, dilate):
    x = torch.randn(2, 4, 40, dtype=torch.float64)
    kernel = torch.randn(3, 4, kernel_size, dtype=torch.float64)
    expected = F.conv1d(x, kernel, dilation=dilation)
    torch.testing.assert_close(F.conv1d(x, dilate(kernel, dilation)), expected)


def test_both_ways_to_dilate_merge_to_the_same_kernel_with_the_same_gradients():
    kernels = [torch.randn(3, 2, size, dtype=torch.float64, requires_grad=True) for size in (3, 3, 5)]
    mixture = torch.rand(3, dtype=torch.float64, requires_grad=True)
    results = [merged(kernels, (1, 4, 2), mixture, dilate) for dilate in WAYS.values()]
    assert results[0].shape == (3, 2, 9)
    torch.testing.assert_close(*results)
    cotangent = torch.randn_like(results[0])
    torch.testing.assert_close(*(torch.autograd.grad(result, (*kernels, mixture), cotangent) for result in results))


def test_a_merged_kernel_is_aligned_at_the_centres():
    kernels = [torch.ones(1, 1, 3), torch.ones(1, 1, 5)]
    result = merged(kernels, (3, 1), torch.tensor([1.0, 10.0]), WAYS["kronecker"])
    assert result.flatten().tolist() == [1, 10, 10, 11, 10, 10, 1]


def cells(**scores):
    """Rows of the table of `quality.py`: by method, the scores of five seeds."""
    return [
        {
            "task": "leaves", "method": method, "seed": str(seed), "metric": "error", "score": str(score),
            "seconds": "30", "parameters": "", "parameters_at_width": "200" if method == "dash" else "100",
            "epochs": "10", "training_seconds": "3",
        }
        for method, values in scores.items()
        for seed, score in enumerate(values)
    ]  # fmt: skip


STOCK = [0.2, 0.2, 0.4, 0.4, 0.5]


@pytest.mark.parametrize(
    ("default", "told", "holds"),
    [
        ([0.1, 0.1, 0.2, 0.2, 0.25], "+50.0 % [+50.0, +50.0]", True),
        ([0.21, 0.21, 0.42, 0.42, 0.525], "-5.0 % [-5.0, -5.0]", False),
        (
            [0.3, 0.2, 0.4, 0.3, 0.5],
            "-5.0 % [-39.0, +29.0]",
            True,
        ),  # worse, but within the interval: 2.776 * 27.39 / sqrt(5)
    ],
)
def test_a_gain_is_paired_over_seeds_and_relative_to_the_stock_network(default, told, holds):
    (row,) = [r for r in quality.real(cells(dash=default, backbone=STOCK)) if r.measure.startswith("leaves")]
    assert (row.measured, row.holds) == (told, holds)


def test_equal_errors_are_no_gain_also_where_both_are_zero():
    (row,) = [r for r in quality.real(cells(dash=[0] * 5, backbone=[0] * 5)) if r.measure.startswith("leaves")]
    assert row.measured == "+0.0 % [+0.0, +0.0]"


def test_where_the_stock_network_made_no_mistake_a_gain_is_relative_to_the_smallest_error_there_is():
    rows = quality.real(cells(dash=[0.02, 0.02, 0, 0.02, 0.04], backbone=[0, 0.02, 0.02, 0.02, 0.04]))
    (row,) = [r for r in rows if r.measure.startswith("leaves")]
    assert row.measured.startswith("+0.0 %")  # -100, 0, 100, 0, 0


def test_what_was_not_measured_does_not_hold():
    rows = {row.measure: row for row in quality.real(cells(dash=STOCK, backbone=STOCK))}
    assert "not run, or not all of it: " in rows["mean rank among the other methods"].measured
    for measure in ("mean rank among the other methods", "parameters at equal width, against paper-scaled's"):
        assert not rows[measure].holds
    assert not rows["gain over the stock network, median over 8 tasks or more"].holds


def test_a_method_with_too_few_seeds_is_not_measured():
    rows = {row.measure: row for row in quality.real(cells(dash=STOCK, backbone=STOCK, rocket=STOCK[:4]))}
    assert "rocket" in rows["mean rank among the other methods"].measured.split("not all of it: ")[1]


def test_parameters_and_time_are_told_as_multiples():
    rows = {row.measure: row for row in quality.real(cells(dash=STOCK, backbone=STOCK))}
    parameters = rows["parameters at equal width, against backbone's"]
    assert parameters.measured == "2.00, median of the 1 tasks with no worse error"
    # 30 s against 200 epochs of 0.3 s
    assert rows["total time against the stock network's for 200 epochs"].measured.startswith("0.50 at most")


def test_parameters_count_where_the_error_is_no_worse_than_the_other_s_alone():
    rows = {row.measure: row for row in quality.real(cells(dash=STOCK, backbone=STOCK, **{"paper-scaled": [0.1] * 5}))}
    assert rows["parameters at equal width, against paper-scaled's"].measured == "-"


@pytest.mark.parametrize(
    ("task", "backbone", "architecture", "parameters"),
    [
        ("crop", {"backbone": "resnet1d", "width": 64}, None, 33_032),
        ("cosmic-inject", {"backbone": "wrn", "width": 4}, None, 174_753),
        ("crop", {"backbone": "resnet1d", "width": 16, "cells": [8]}, None, 38_408),
        # 6 taps more of 16 times 16 weights
        ("crop", {"backbone": "resnet1d"}, {"blocks.0.units.1.conv": {"kernel_size": 11, "dilation": 1}}, 34_568),
    ],
)
def test_parameters_are_those_at_one_width(task, backbone, architecture, parameters):
    assert quality._at_equal_width(get_task(task), architecture, {"backbone": backbone}) == parameters


def test_a_model_without_a_backbone_has_no_width():
    assert quality._at_equal_width(get_task("crop"), None, {}) == ""


def test_the_mean_rank_is_over_the_methods_of_each_task():
    (row,) = [
        r for r in quality.real(cells(dash=[0.1] * 5, backbone=STOCK, rocket=[0.05] * 5)) if "mean rank" in r.measure
    ]
    assert row.measured.startswith("rocket 1.0, dash 2.0, backbone 3.0; not run, or not all of it: ")
    assert not row.holds
