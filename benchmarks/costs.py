"""The model of the cost against the clock: what `dashnas/ops/costs.py` counts for a layer, and how long it takes.

Milliseconds of a forward and a backward pass, the least of three; in brackets the nanoseconds per thousand units of the
model. A model that ranks well has brackets that differ little along a line. The last column is the time of what the
model would choose against the fastest. `mixed_results` and `mixed_weights` are left out: they are never near the
fastest, and can take minutes.

    python benchmarks/costs.py
    python benchmarks/costs.py --quick         # every fourth layer; saves nothing
"""

import argparse
import json
from typing import Any

import torch
from _layers import layer
from _report import markdown, provenance, results_name, save

from dashnas.heap import keep_freed_memory
from dashnas.ops.costs import Load, estimate
from dashnas.ops.plan import time_strategy
from dashnas.space import SearchSpace

STRATEGIES = ("grouped", "fourier", "dft")

PAPER = [
    # batch, input channels, output channels, groups, stride, map
    (64, 3, 16, 1, 1, (32, 32)),
    (64, 16, 16, 1, 1, (32, 32)),
    (64, 32, 32, 1, 2, (32, 32)),
    (64, 32, 32, 1, 1, (16, 16)),
    (64, 64, 64, 1, 2, (16, 16)),
    (64, 64, 64, 1, 1, (8, 8)),
    (128, 32, 32, 1, 1, (16, 52)),
    (16, 16, 16, 1, 1, (96, 101)),
    (10, 16, 16, 1, 1, (85, 85)),
    (10, 64, 64, 1, 1, (85, 85)),
    (2, 64, 64, 1, 1, (56, 56)),
    (4, 64, 64, 1, 1, (128, 128)),
    (256, 64, 64, 1, 1, (46,)),
    (256, 128, 128, 1, 1, (46,)),
    (16, 16, 16, 1, 1, (20,)),
    (32, 16, 16, 1, 1, (280,)),
    (64, 4, 64, 1, 1, (1000,)),
    (64, 64, 64, 1, 1, (1000,)),
    (64, 128, 128, 1, 1, (1000,)),
    (64, 16, 16, 1, 1, (4000,)),
    (64, 16, 16, 16, 1, (32, 32)),
    (64, 64, 64, 64, 1, (8, 8)),
    (10, 64, 64, 64, 1, (85, 85)),
    (2, 96, 96, 96, 1, (56, 56)),
    (2, 192, 192, 192, 1, (28, 28)),
    (256, 64, 64, 64, 1, (46,)),
    (64, 64, 64, 64, 1, (1000,)),
]
"""With the search space of the paper."""

OTHERS = [
    # kernel sizes, dilations, and as above
    ((3,), (1, 2), (64, 16, 16, 1, 1, (32, 32))),
    ((3, 5), (1, 2), (64, 16, 16, 1, 1, (1000,))),
    ((3, 5, 7, 9, 11, 13, 15), (1, 3, 7, 15, 31, 63, 127), (128, 16, 16, 1, 1, (1000,))),
    ((3, 5), (1, 3), (8, 8, 8, 1, 1, (16,))),
    ((3, 5), (1, 2), (4, 8, 8, 1, 1, (12, 12))),
    ((3, 5, 7), (1, 2, 4), (128, 8, 8, 1, 1, (100,))),
]


@keep_freed_memory()  # as in the library's own runs
def measure(load: Load, device: torch.device) -> dict[str, Any]:
    """Time and estimate of each strategy."""
    times = {name: time_strategy(name, load, torch.float32, device, patience=2.0) for name in STRATEGIES}
    costs = {name: estimate(name, load) for name in STRATEGIES}
    chosen = min(costs, key=lambda name: costs[name])
    text, candidates = str(load).split(", candidates ")
    row: dict[str, Any] = {"layer": text, "candidates": len(candidates.split())}
    for name in STRATEGIES:
        row |= {f"{name}_ms": round(times[name], 2), f"{name}_units": round(costs[name])}
    return row | {"model": chosen, "model_to_fastest": round(times[chosen] / min(times.values()), 2)}


def table(rows: list[dict[str, Any]]) -> str:
    """A line per layer."""
    lines = [
        [
            row["layer"],
            str(row["candidates"]),
            *(f"{row[f'{n}_ms']:.1f} ({1e9 * row[f'{n}_ms'] / row[f'{n}_units']:.0f})" for n in STRATEGIES),
            row["model"],
            f"{row['model_to_fastest']:.2f}",
        ]
        for row in rows
    ]
    return markdown(["layer", "candidates", *STRATEGIES, "by the model", "its time / fastest"], lines)


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="print the rows for machines")
    arguments = parser.parse_args()
    layers = [layer(SearchSpace.for_dims(len(shape[-1])), *shape) for shape in PAPER]
    layers += [
        layer(SearchSpace(kernel_sizes=sizes, dilations=dilations), *shape) for sizes, dilations, shape in OTHERS
    ]
    rows = [measure(load, arguments.device) for load in (layers[::4] if arguments.quick else layers)]
    print(json.dumps({"rows": rows}) if arguments.json else table(rows))
    if not arguments.quick:
        name = results_name("costs", arguments.device)
        save(name, "The model of the cost against the clock", __doc__, rows, table(rows), provenance())


if __name__ == "__main__":
    main()
