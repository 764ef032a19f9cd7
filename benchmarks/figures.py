"""Figures 2 and 3 of the DASH paper on equal terms: a step against the number of operations and the input length.

Operations as in the paper. Figure 2: kernel sizes 3, 5, ..., 2c + 1 with dilations 1, 3, ..., 2^c - 1 for c from 1 to 7
on 1000 samples. Figure 3: kernel sizes 3 to 11 with dilations 1 to 31 on 32 to 8192 samples, of which the paper stops
at 4096. A step is a forward and a backward pass at batch 128 of one layer with 16 input and output channels, once with
full and once with depthwise convolutions in every strategy; the plain layer has 5 taps. `largest alone` is `auto` with
a single candidate, that of the greatest reach. The network of the paper's figures, a 1-D ResNet of width 16, takes its
step at the last point of Figure 2; where its layers have as many inputs as outputs they are full or depthwise likewise.

All lines of a point take turns in one process; times and ratios are medians over the rounds. A line whose step took
longer than the patience is left out of the larger points of its figure, but not where a ratio is asked for.

The last table is about making the merged kernel of such a layer, forward and backward: dilated by Kronecker products
(Section 3.2.3 of the paper) or by placing taps at a stride.

    python benchmarks/figures.py                 # draws results/figures.png and results/figures_kronecker.png too
    python benchmarks/figures.py --network       # that network at every point; for a fast device
    python benchmarks/figures.py --quick         # three points of each figure, full; saves nothing
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from statistics import median
from typing import Any

import torch
from _report import RESULTS, markdown, provenance, results_name, save, write_csv
from torch import Tensor, nn

from dashnas.backbones import build_backbone
from dashnas.config import SearchConfig
from dashnas.data import DataSpec, TargetKind
from dashnas.heap import keep_freed_memory
from dashnas.ops import STRATEGIES
from dashnas.search import make_supernet, plan_layers
from dashnas.space import SearchSpace

BATCH, WIDTH = 128, 16
PLAIN, LARGEST, AUTO = "plain", "largest alone", "auto"
LINES = (PLAIN, LARGEST, AUTO, *STRATEGIES)
PAIRS = {("mixed_results", AUTO): "at least 15", (AUTO, LARGEST): "at most 1.5", (AUTO, PLAIN): ""}
"""The ratios that are told, at the last point of Figure 2, and what is asked of them."""

X_AXES = {2: "operations", 3: "length"}
FIXED = {2: "1000 samples", 3: "25 operations"}
STYLES = {PLAIN: "k--", LARGEST: "k:", AUTO: "k-"}

Times = dict[str, list[float]]
"""By line, milliseconds of each round."""


@dataclass(frozen=True)
class Point:
    """What a step is measured on."""

    figure: int
    length: int
    space: SearchSpace
    unit: str = "layer"
    """Or "network"."""
    mixtures: str = "full"
    """Or "depthwise"."""

    @property
    def operations(self) -> int:
        """The number of candidates."""
        return len(self.space.candidates())

    @property
    def asks_for_ratios(self) -> bool:
        """Whether it is the last point of Figure 2."""
        return self.figure == 2 and self.space == FIGURE_2[-1].space


def multi_scale(kernels: int, dilations: int) -> SearchSpace:
    """Kernel sizes 3, 5, 7, ... and dilations 1, 3, 7, ..., so many of each."""
    return SearchSpace(
        kernel_sizes=tuple(2 * p + 1 for p in range(1, kernels + 1)),
        dilations=tuple(2**q - 1 for q in range(1, dilations + 1)),
    )


FIGURE_2 = [Point(2, 1000, multi_scale(c, c)) for c in range(1, 8)]
FIGURE_3 = [Point(3, 2**power, multi_scale(5, 5)) for power in range(5, 14)]


def backbone(point: Point) -> tuple[nn.Module, Tensor]:
    """The plain network and an input."""
    if point.unit == "layer":
        groups = WIDTH if point.mixtures == "depthwise" else 1
        return nn.Sequential(nn.Conv1d(WIDTH, WIDTH, 5, padding=2, groups=groups)), torch.randn(
            BATCH, WIDTH, point.length
        )
    spec = DataSpec(channels=1, spatial_shape=(point.length,), target_kind=TargetKind.CLASSES, outputs=10)
    return build_backbone("resnet1d", spec, width=WIDTH), torch.randn(BATCH, 1, point.length)


def build(line: str, point: Point, device: torch.device) -> tuple[nn.Module, Tensor, str]:
    """The network of a line, its input, and the strategies of its layers."""
    network, x = backbone(point)
    strategies = []
    if line != PLAIN:
        space = point.space
        if line == LARGEST:
            space = SearchSpace(kernel_sizes=space.kernel_sizes[-1:], dilations=space.dilations[-1:])
        config = SearchConfig(
            separable=point.mixtures == "depthwise",
            strategy=line if line in STRATEGIES else AUTO,
            drop_beyond_map=False,
        )
        network, conversion = make_supernet(network, space, x[:2], config)
        plan = plan_layers(network, conversion, config, batch_size=BATCH, device=device)
        strategies = list(dict.fromkeys(plan.values()))
    x = x.to(device).requires_grad_(point.unit == "layer")  # which in a network has a layer before it
    return network.to(device), x, " ".join(strategies)


def stepper(network: nn.Module, x: Tensor) -> Callable[[], None]:
    """A forward and a backward pass."""
    with torch.no_grad():
        cotangent = torch.randn_like(network(x))

    def step() -> None:
        network.zero_grad()
        x.grad = None
        network(x).backward(cotangent)

    return step


def take_turns(
    calls: dict[str, Callable[[], None]], rounds: int, device: torch.device, patience: float = float("inf")
) -> Times:
    """Milliseconds of each call; one that has taken `patience` seconds so far is made twice and no more."""
    times: Times = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            if len(times[name]) < 2 or sum(times[name]) < 1e3 * patience:
                started = time.perf_counter()
                call()
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                times[name].append(1e3 * (time.perf_counter() - started))
    return {name: taken[1:] for name, taken in times.items()}  # the first ones warm up


def ratio(times: Times, numerator: str, denominator: str) -> float:
    """Median over the rounds that both took part in."""
    return round(median(a / b for a, b in zip(times[numerator], times[denominator], strict=False)), 2)


@keep_freed_memory()  # as in the library's own runs
def measure(
    points: Sequence[Point], lines: Sequence[str], *, rounds: int, patience: float, device: torch.device
) -> tuple[list[dict[str, Any]], Times]:
    """A row for every point and line of one set of curves, and the times of the last point."""
    rows: list[dict[str, Any]] = []
    given_up: set[str] = set()
    times: Times = {}
    for point in points:
        needed = {line for pair in PAIRS for line in pair} if point.asks_for_ratios else set()
        built = {line: build(line, point, device) for line in lines if line not in given_up - needed}
        calls = {line: stepper(network, x) for line, (network, x, _) in built.items()}
        times = take_turns(calls, rounds, device, patience)
        rows += [
            {
                "figure": point.figure,
                "unit": point.unit,
                "mixtures": point.mixtures,
                "operations": point.operations,
                "length": point.length,
                "line": line,
                "ms": round(median(times[line]), 3) if line in times else None,
                "rounds": len(times.get(line, ())),
                "strategies": built[line][2] if line in times else "",
            }
            for line in lines
        ]
        given_up |= {line for line, taken in times.items() if min(taken) > 1e3 * patience}
    return rows, times


def ratios_of(point: Point, times: Times) -> dict[str, dict[str, Any]]:
    """The ratios at the last point of Figure 2 by name, with what is asked of each."""
    return {
        f"{a} / {b}, {point.mixtures}, {point.unit}": {
            "ratio": ratio(times, a, b),
            "required": required if point.mixtures == "full" else "",
        }
        for (a, b), required in PAIRS.items()
    }


def by_kronecker(kernel: Tensor, dilation: int) -> Tensor:
    """A dilated kernel as the Kronecker product of the kernel and (1, 0, ..., 0).

    Args:
        kernel: (out_channels, in_channels, kernel_size).
        dilation: length of the pattern, in samples.

    Returns:
        (out_channels, in_channels, dilation * (kernel_size - 1) + 1), without the zeros behind the last tap.

    Reference: Shen et al. 2022, Section 3.2.3, Equation 5.
    """
    pattern = kernel.new_zeros(1, 1, dilation)
    pattern[..., 0] = 1
    return torch.kron(kernel, pattern)[..., : dilation * (kernel.shape[-1] - 1) + 1]


def by_stride(kernel: Tensor, dilation: int) -> Tensor:
    """The same by placing the taps among zeros; shapes as in `by_kronecker`."""
    dilated = kernel.new_zeros(*kernel.shape[:-1], dilation * (kernel.shape[-1] - 1) + 1)
    dilated[..., ::dilation] = kernel
    return dilated


WAYS = {"kronecker": by_kronecker, "stride": by_stride}


def merged(
    kernels: Sequence[Tensor], dilations: Sequence[int], mixture: Tensor, dilate: Callable[[Tensor, int], Tensor]
) -> Tensor:
    """The weighted sum of dilated kernels, aligned at their centres: (out_channels, in_channels, greatest length)."""
    longest = max(d * (kernel.shape[-1] - 1) + 1 for kernel, d in zip(kernels, dilations, strict=True))
    total = mixture.new_zeros(*kernels[0].shape[:-1], longest)
    for kernel, dilation, weight in zip(kernels, dilations, mixture, strict=True):
        dilated = weight * dilate(kernel, dilation)
        total.narrow(-1, (longest - dilated.shape[-1]) // 2, dilated.shape[-1]).add_(dilated)
    return total


def measure_kernels(point: Point, rounds: int, device: torch.device) -> dict[str, Any]:
    """Making the merged kernel of a layer in both ways."""
    candidates = point.space.candidates()
    kernels = [torch.randn(WIDTH, WIDTH, c.kernel_size, device=device, requires_grad=True) for c in candidates]
    dilations = [c.dilation for c in candidates]
    mixture = torch.rand(len(candidates), device=device, requires_grad=True)
    cotangent = torch.randn_like(merged(kernels, dilations, mixture, by_stride))

    def make(dilate: Callable[[Tensor, int], Tensor]) -> None:
        torch.autograd.grad(merged(kernels, dilations, mixture, dilate), (*kernels, mixture), cotangent)

    times = take_turns({name: lambda way=way: make(way) for name, way in WAYS.items()}, rounds, device)
    return {
        "operations": len(candidates),
        **{f"{name}_ms": round(median(times[name]), 3) for name in WAYS},
        "ratio": ratio(times, "kronecker", "stride"),
        "rounds": rounds,
    }


def by_curves(rows: list[dict[str, Any]]) -> dict[tuple[int, str, str], dict[int, list[dict[str, Any]]]]:
    """The rows of each figure, unit and kind of mixture, by what the figure has along its x axis."""
    found: dict[tuple[int, str, str], dict[int, list[dict[str, Any]]]] = {}
    for row in rows:
        points = found.setdefault((row["figure"], row["unit"], row["mixtures"]), {})
        points.setdefault(row[X_AXES[row["figure"]]], []).append(row)
    return found


def tables(rows: list[dict[str, Any]], ratios: dict[str, dict[str, Any]], kernels: list[dict[str, Any]]) -> str:
    """The ratios, a table for each set of curves, and that of the kernels."""
    told = [[name, f"{entry['ratio']:.2f}", entry["required"] or "-"] for name, entry in ratios.items()]
    text = markdown(["49 operations, 1000 samples", "ratio", "required"], told)
    for (figure, unit, mixtures), points in by_curves(rows).items():
        lines = [
            [
                str(x),
                *("-" if row["ms"] is None else f"{row['ms']:.1f}" for row in of_point),
                next(row["strategies"] for row in of_point if row["line"] == AUTO),
            ]
            for x, of_point in points.items()
        ]
        text += f"\nFigure {figure}, {unit}, {mixtures}, ms; `-`: left out, a smaller point took too long\n\n"
        text += markdown([X_AXES[figure], *(row["line"] for row in next(iter(points.values()))), "auto is"], lines)
    text += "\nMaking the merged kernel, forward and backward, ms\n\n"
    lines = [
        [str(row["operations"]), *(f"{row[f'{way}_ms']:.2f}" for way in WAYS), f"{row['ratio']:.2f}"] for row in kernels
    ]
    return text + markdown(["operations", *WAYS, "kronecker / stride"], lines)


def draw(rows: list[dict[str, Any]], kernels: list[dict[str, Any]], name: str) -> None:
    """Curves of more than one point, a row of panels for each kind of layers; and those of the kernels."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    def show(panel: Any, x_label: str, title: str, curves: dict[str, list[tuple[int, float]]]) -> None:
        for label, curve in curves.items():
            panel.loglog(*zip(*curve, strict=True), STYLES.get(label, "-"), marker="o", markersize=3, label=label)
        ticks = sorted({x for curve in curves.values() for x, _ in curve})
        panel.set_xticks(ticks, list(map(str, ticks)))
        panel.xaxis.minorticks_off()
        panel.set(title=title, xlabel=x_label, ylabel="forward and backward, ms")
        panel.grid(alpha=0.3)

    sets = {key: points for key, points in by_curves(rows).items() if len(points) > 1}
    kinds = list(dict.fromkeys(key[1:] for key in sets))
    figure, panels = plt.subplots(
        len(kinds), 2, figsize=(11, 4.2 * len(kinds)), squeeze=False, sharey="row", layout="constrained"
    )
    for (number, *kind), points in sets.items():
        curves: dict[str, list[tuple[int, float]]] = {}
        for x, of_point in points.items():
            for row in of_point:
                if row["ms"] is not None:
                    curves.setdefault(row["line"], []).append((x, row["ms"]))
        panel = panels[kinds.index(tuple(kind))][number - 2]
        show(panel, X_AXES[number], f"Figure {number}: {', '.join(kind)}; {FIXED[number]}", curves)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.savefig(RESULTS / f"{name}.png", dpi=110)

    figure, panel = plt.subplots(figsize=(5.5, 4), layout="constrained")
    of_ways = {way: [(row["operations"], row[f"{way}_ms"]) for row in kernels] for way in WAYS}
    show(panel, "operations", "Making the merged kernel", of_ways)
    panel.legend()
    figure.savefig(RESULTS / f"{name}_kronecker.png", dpi=110)


def main() -> None:
    """Measure, print, save and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--rounds", type=int, help="steps of each line; 5, or 1 in the quick run")
    parser.add_argument("--patience", type=float, help="seconds; 4, or 0.3 in the quick run")
    parser.add_argument("--network", action="store_true", help="draw the curves of the network too")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="print the rows for machines")
    arguments = parser.parse_args()
    if not arguments.quick and find_spec("matplotlib") is None:
        parser.error("to draw needs matplotlib: pip install 'dashnas[plot]'; --quick draws nothing")
    about = provenance()
    torch.manual_seed(0)
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    patience = arguments.patience or (0.3 if arguments.quick else 4.0)
    figures = [FIGURE_2[::3], FIGURE_3[:6:2]] if arguments.quick else [FIGURE_2, FIGURE_3]
    rows, ratios = [], {}
    for mixtures in ("full",) if arguments.quick else ("full", "depthwise"):
        jobs = [("layer", points, LINES) for points in figures]
        if arguments.network:
            jobs += [("network", points, LINES) for points in figures]
        elif not arguments.quick:
            jobs += [("network", FIGURE_2[-1:], (PLAIN, LARGEST, AUTO, "mixed_results"))]
        for unit, points, lines in jobs:
            points = [replace(point, unit=unit, mixtures=mixtures) for point in points]
            found, times = measure(points, lines, rounds=rounds, patience=patience, device=arguments.device)
            rows += found
            if points[-1].asks_for_ratios:
                ratios |= ratios_of(points[-1], times)
    kernels = [measure_kernels(point, 20, arguments.device) for point in FIGURE_2]
    text = tables(rows, ratios, kernels)
    print(json.dumps({"rows": rows, "ratios": ratios, "kernels": kernels}) if arguments.json else text)
    if not arguments.quick:
        name = results_name("figures", arguments.device)
        write_csv(RESULTS / f"{name}_kronecker.csv", kernels)
        draw(rows, kernels, name)
        pictures = f"![Figures 2 and 3]({name}.png)\n\n![Kernels]({name}_kronecker.png)\n\n"
        save(name, "Figures 2 and 3 of the DASH paper", __doc__, rows, pictures + text, about)


if __name__ == "__main__":
    main()
