"""Pictures show what the tables say, cut nothing off and cover nothing."""

import itertools
import sys

import pytest
from some_cells import cells, table

from dashnas.analysis import (
    critical_difference,
    layer_fields,
    median_improvements,
    median_ranks,
    performance_profile,
    published,
    random_gain,
    receptive_fields,
    speed_accuracy,
    tasks_of_group,
)
from dashnas.analysis.drawing import (
    draw_critical_difference,
    draw_profile,
    draw_random_gain,
    draw_ranks,
    draw_receptive_fields,
    draw_speed_accuracy,
    save_figure,
)
from dashnas.analysis.drawing.canvas import line_style, marker_style, new_figure
from dashnas.analysis.papers import PAPER_FIGURES, searched_networks
from dashnas.analysis.pictures import PICTURES, Choices
from dashnas.errors import ConfigError

NETWORKS = [f for task, net in searched_networks().items() for f in layer_fields(net, task=task, method="DASH")]


def of_paper(figure):
    """A figure of the papers."""
    scores = [] if figure.kind == "receptive-fields" else published(figure.table)
    scores = [cell for cell in scores if cell.method in figure.methods]
    if figure.group:
        tasks = tasks_of_group(figure.group, [cell.task for cell in scores])
        scores = [cell for cell in scores if cell.task in tasks]
    choices = Choices(best_of=figure.best_of, reference=figure.reference, networks=tuple(NETWORKS), title=figure.source)
    return PICTURES[figure.kind](scores, choices).draw()


def of_runs(kind):
    """A picture of runs: names that are long, and many of them."""
    names = [
        "random",
        "backbone-tuned-by-halving",
        "rocket",
        "xgboost",
        "dash",
        "dash-tcn",
        "baby-dash",
        "dash-convnext",
    ]
    chosen = {f"stages.{i}.conv1": {"kernel_size": 3 + 2 * (i % 4), "dilation": 1 + 2 * (i % 3)} for i in range(22)}
    errors = {
        name: {
            f"task-{task}": [0.1 + 0.01 * ((7 * i + 3 * task + seed) % 13) for seed in range(3)] for task in range(8)
        }
        for i, name in enumerate(names)
    }
    runs = cells(errors, seconds=60.0, architecture=chosen)
    return PICTURES[kind](runs, Choices(reference="rocket", title="results/bench")).draw()


DRAWN = [
    *(pytest.param((of_paper, figure), id=name) for name, figure in PAPER_FIGURES.items()),
    *(pytest.param((of_runs, kind), id=f"runs-{kind}") for kind in PICTURES),
]


@pytest.fixture(scope="module", params=DRAWN)
def figure(request):
    """Each picture, laid out."""
    draw, what = request.param
    figure = draw(what)
    figure.draw_without_rendering()
    return figure


def test_no_text_is_cut_off_or_lies_over_another(figure):
    shown = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    assert len(shown) > 5
    for text, box in shown:
        assert box.x0 >= 0 and box.y0 >= 0, text  # noqa: PT018
        assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text  # noqa: PT018
    for (one, box), (other, another) in itertools.combinations(shown, 2):
        assert not overlap(box, another), (one, other)


def test_legends_lie_over_no_axes(figure):
    for legend, axes in itertools.product(figure.legends, figure.axes):
        assert not axes.get_visible() or not overlap(legend.get_window_extent(), axes.get_tightbbox())


def texts(figure):
    """All texts that are seen: of the figure, of its legends and axes, and of ticks within their axis."""
    found = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in (axes for axes in figure.axes if axes.get_visible()):
        found += [*axes.texts, axes.title]
        if not axes.axison:
            continue
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            found += [axis.label, *(tick.label1 for tick in ticks if tick.label1.get_visible())]
    return [text for text in found if text.get_text()]


def overlap(one, other):
    """Whether two boxes share more than a pixel's edge."""
    return min(one.x1, other.x1) - max(one.x0, other.x0) > 1 and min(one.y1, other.y1) - max(one.y0, other.y0) > 1


def test_a_profile_is_drawn_as_it_is():
    profile = performance_profile(table({"a": {"x": 0.1, "y": 0.4}, "b": {"x": 0.2, "y": 0.1}}))
    (axes,) = draw_profile(profile).axes
    curves = {line.get_label(): line for line in axes.lines}
    for method, curve in curves.items():
        taus, shares = curve.get_data()
        assert [profile.share(method, tau) for tau in taus] == list(shares)
        assert curve.get_drawstyle() == "steps-post"
    assert axes.get_xscale() == "log"
    assert axes.get_xlim()[1] > 4


@pytest.mark.parametrize("worst", [1.1, 2.6, 4.9, 9, 13, 30, 300, 5e3, 1e6])
def test_ticks_of_a_profile_have_room_however_far_it_goes(worst):
    figure = draw_profile(performance_profile(table({"a": {"x": 0.1}, "b": {"x": 0.1 * worst}})))
    figure.draw_without_rendering()
    labels = figure.axes[0].get_xticklabels()
    assert 2 <= len(labels) <= 12
    boxes = [label.get_window_extent() for label in labels]
    assert all(one.x1 + 2 < other.x0 for one, other in itertools.pairwise(boxes))


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_of_mixed_protocols_says_so(kind):
    chosen = {"conv": {"kernel_size": 3, "dilation": 1}}
    errors = {method: {"x": 0.1, "y": 0.2} for method in ("a", "b", "random")}
    runs = [
        *cells(errors, seconds=1.0, architecture=chosen),
        *cells({"c": errors["a"]}, seconds=1.0, architecture=chosen, protocol="dash-official"),
    ]
    title = PICTURES[kind](runs, Choices(title="ours", mix=True)).draw().get_suptitle()
    assert title == "ours\nprotocols mixed: clean, dash-official"
    assert PICTURES[kind](runs[:-2], Choices(title="ours")).draw().get_suptitle() == "ours"


def test_ranks_have_a_dot_for_each_task_and_a_bar_at_the_median_best_first():
    made = table({"b": {"x": 0.2, "y": 0.1, "z": 0.3}, "a": {"x": 0.1, "y": 0.2, "z": 0.1}})
    ranks, improvements = draw_ranks(median_ranks(made), median_improvements(made, "b"), "b").axes
    assert [label.get_text() for label in ranks.get_yticklabels()] == ["a", "b"]
    assert sorted(dot for dot, _ in ranks.collections[0].get_offsets()) == [1, 2]
    assert [bar.get_xdata()[0] for bar in ranks.lines] == [1, 2]
    assert improvements.get_xlabel() == "% smaller error than b"


def test_ranks_without_a_reference_have_one_panel():
    assert len(draw_ranks(median_ranks(table({"a": {"x": 0.1}, "b": {"x": 0.2}}))).axes) == 1


def test_runs_that_diverged_have_no_dot_of_infinite_improvement():
    made = table({"a": {"x": 0.1}, "b": {"x": float("inf")}})
    _, improvements = draw_ranks(median_ranks(made), median_improvements(made, "a"), "a").axes
    assert len(improvements.collections[1].get_offsets()) == 0


ALIKE = {"a": {f"t{i}": 0.1 for i in range(9)}, "b": {f"t{i}": 0.1 for i in range(9)},
         "c": {f"t{i}": 0.4 + 0.01 * i for i in range(9)}}  # fmt: skip


def test_a_critical_difference_diagram_names_ranks_tests_and_joins_what_is_alike():
    found = critical_difference(table(ALIKE))
    figure = draw_critical_difference(found)
    shown = [text.get_text().split() for text in texts(figure)]
    for method, rank in found.mean_ranks.items():
        assert any(set(words) == {method, f"{rank:.2f}"} for words in shown)
    bars = [line for line in figure.axes[0].lines if line.get_linewidth() == 4]
    assert len(bars) == len(found.alike) == 1
    assert "bars join what Wilcoxon's signed-rank test with Holm's adjustment" in figure.get_supxlabel()
    assert "mean rank on 9 tasks; Friedman p = 0.00" in figure.get_supxlabel()


def test_the_critical_difference_of_nemenyi_is_drawn_to_scale():
    found = critical_difference(table(ALIKE), post_hoc="nemenyi")
    widths = [line.get_xdata()[1] - line.get_xdata()[0] for line in draw_critical_difference(found).axes[0].lines]
    assert any(width == pytest.approx(found.critical_difference) for width in widths)


def test_where_friedman_finds_nothing_the_diagram_says_so():
    same = {f"t{i}": 0.1 for i in range(5)}
    figure = draw_critical_difference(critical_difference(table({"a": same, "b": same, "c": same})))
    assert "Friedman p = 1: no difference is shown" in figure.get_supxlabel()


def test_too_few_tasks_for_any_pair_are_said():
    errors = {method: {f"t{i}": 0.1 * place for i in range(4)} for place, method in enumerate("abc", 1)}
    figure = draw_critical_difference(critical_difference(table(errors)))
    assert "4 tasks are too few for Wilcoxon's signed-rank test" in figure.get_supxlabel()


def test_speed_and_accuracy_have_a_point_for_each_task_and_a_mean():
    made = table({"a": {"x": 0.1, "y": 0.2}, "b": {"x": 0.2, "y": 0.1}}, seconds=3.0)
    (axes,) = draw_speed_accuracy(speed_accuracy(made)).axes
    assert [len(drawn.get_offsets()) for drawn in axes.collections] == [2, 1, 2, 1]
    assert axes.collections[1].get_label() == "a"


def test_random_gains_have_a_point_for_each_seed_and_rows_by_task():
    gains = random_gain(cells({"dash": {"x": [0.1, 0.2], "y": 0.1}, "random": {"x": 0.3, "y": 0.2}}))
    (axes,) = draw_random_gain(gains).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["x", "y"]
    assert [len(drawn.get_offsets()) for drawn in axes.collections] == [2, 1, 1, 1, 1, 1, 1, 1]


def test_receptive_fields_of_one_network_are_annotated():
    darcy, deepsea = draw_receptive_fields(NETWORKS).axes
    assert [text.get_text() for text in darcy.texts][:4] == ["5,3", "3,1", "3,1", "3,15"]
    assert list(deepsea.lines[0].get_ydata())[:3] == [11, 127, 19]


def test_receptive_fields_of_several_seeds_have_a_line_through_their_medians():
    fields = receptive_fields(
        [
            *cells({"dash": {"x": 0.1}}, architecture={"conv": {"kernel_size": 3, "dilation": 1}}),
            *cells({"tcn": {"x": [0.1, 0.2]}}, architecture={"conv": {"kernel_size": 7, "dilation": 1}}),
        ]
    )
    (axes,) = draw_receptive_fields(fields).axes
    assert [line.get_ydata()[0] for line in axes.lines] == [3, 7]
    assert not axes.texts


def test_many_methods_have_different_looks():
    assert len({tuple(line_style(index).values()) for index in range(32)}) == 32
    assert len({tuple(marker_style(index).values()) for index in range(40)}) == 40


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")])
def test_the_ending_names_the_format(ending, start, tmp_path):
    path = tmp_path / "new" / f"picture.{ending}"
    save_figure(new_figure(), path)
    assert path.read_bytes().startswith(start)


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"a picture is a .png, .svg or .pdf; got .*jpeg; try .*\.png"):
        save_figure(new_figure(), tmp_path / "picture.jpeg")


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"drawing needs matplotlib.*pip install 'dashnas\[plot\]'"):
        new_figure()
