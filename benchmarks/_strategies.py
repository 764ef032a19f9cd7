"""Each way to compute a layer of candidates against one plain convolution of the same layer.

A forward and a backward pass, the search space of the paper (16 candidates in 2-D, 20 in 1-D), full convolutions. The
plain convolution is 3x3, in 1-D it has 5 taps. A strategy and the plain convolution take turns in one process; the
ratio is the median over pairs. `auto` is what the planner chose, by its model alone and with measurements. What the
model puts at more than fifty times the cheapest is not measured: a pass can take minutes.

    python benchmarks/operator.py              # all shapes and strategies
    python benchmarks/operator.py --quick      # three shapes, no mixed_results; saves nothing
    python benchmarks/operator.py --device cuda --precision tf32

On a GPU, a pass cannot be faster than its limit: the operations of the plain convolution at the rate of a large matrix
product, or every map, its gradient and the kernels moved once at the rate of a large copy, whichever takes longer. Both
rates are measured at the start. For mixtures, the limit is the moving alone, whatever the strategy.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from _layers import layer
from _report import markdown, provenance, results_name, save

from dashnas.heap import keep_freed_memory
from dashnas.ops import STRATEGIES, aggconv
from dashnas.ops.costs import Load, estimate
from dashnas.ops.plan import choose
from dashnas.precision import Precision, matrix_products
from dashnas.space import SearchSpace

SHAPES = [
    (64, 16, (32, 32)),
    (64, 32, (16, 16)),
    (64, 64, (8, 8)),
    (10, 16, (85, 85)),
    (10, 64, (85, 85)),
    (4, 64, (128, 128)),
    (256, 64, (46,)),
    (256, 128, (46,)),
    (64, 64, (1000,)),
    (64, 128, (1000,)),
]
"""(batch, channels, map), the layers that searches on the ten tasks of NAS-Bench-360 are made of, and a larger map."""
QUICK = [(64, 64, (8, 8)), (256, 64, (46,)), (64, 16, (32, 32))]
PATIENCE_SECONDS = 15.0
"""No further pair is begun after this time."""
CALLS_ON_GPU = 10
HOPELESS = 50.0
"""Strategies that cost more than this times the cheapest by the model are left out."""


def passes(load: Load, device: torch.device, dtype: torch.dtype) -> tuple[Callable[[], None], Callable[[str], None]]:
    """A forward and backward pass of the plain convolution, and of a strategy."""
    dims = len(load.map_shape)
    x = torch.randn(load.batch, load.in_channels, *load.map_shape, device=device, dtype=dtype, requires_grad=True)
    kernel = (5,) if dims == 1 else (3, 3)
    weight = torch.randn(load.out_channels, load.in_channels, *kernel, device=device, dtype=dtype, requires_grad=True)
    bank = torch.randn(load.geometry.num_taps, load.out_channels, load.in_channels, device=device).mul_(0.01)
    bank.requires_grad_()
    mixture = torch.rand(len(load.geometry.dilations), device=device, requires_grad=True)
    cotangent = torch.randn_like(x)
    convolution = F.conv1d if dims == 1 else F.conv2d

    def plain() -> None:
        torch.autograd.grad(convolution(x, weight, padding="same"), (x, weight), cotangent)

    def strategy(name: str) -> None:
        torch.autograd.grad(aggconv(x, bank, mixture, load.geometry, name), (x, bank, mixture), cotangent)

    return plain, strategy


def milliseconds(call: Callable[[], None], device: torch.device) -> float:
    """Wall time of one call; on a GPU the mean of several, so that they fill it."""
    calls = 1 if device.type == "cpu" else CALLS_ON_GPU
    started = time.perf_counter()
    for _ in range(calls):
        call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return 1e3 * (time.perf_counter() - started) / calls


def rates(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """What a GPU does in a millisecond: operations in a large matrix product, bytes moved in a large copy."""
    square = torch.randn(8192, 8192, device=device, dtype=dtype)
    memory = torch.zeros(2**30, device=device, dtype=torch.uint8)
    products = [milliseconds(lambda: square @ square, device) for _ in range(3)]
    copies = [milliseconds(lambda: memory.clone(), device) for _ in range(3)]
    return 2 * 8192**3 / min(products), 2 * 2**30 / min(copies)


def limits(load: Load, dtype: torch.dtype, operations: float, moved: float) -> dict[str, float]:
    """Least milliseconds of the plain convolution and of any strategy, by what a GPU does in one."""
    positions = load.batch * math.prod(load.map_shape)
    taps = 5 if len(load.map_shape) == 1 else 9
    # x and y; in the backward pass x again, and the gradients of y and x.
    maps = positions * (3 * load.in_channels + 2 * load.out_channels) * dtype.itemsize
    plain = max(3 * 2 * taps * positions * load.pairs / operations, (maps + 3 * taps * load.pairs * 4) / moved)
    of_mixture = (maps + 3 * load.geometry.num_taps * load.pairs * 4) / moved
    return {"plain_limit_ms": round(plain, 4), "mixture_limit_ms": round(of_mixture, 4)}


@keep_freed_memory()  # as in the library's own runs
def measure(load: Load, name: str, pairs: int, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Medians of interleaved passes of one strategy and the plain convolution."""
    plain, strategy = passes(load, device, dtype)
    of_plain, of_strategy = [], []
    begun = time.perf_counter()
    while len(of_plain) < pairs + 1 and (len(of_plain) < 2 or time.perf_counter() - begun < PATIENCE_SECONDS):
        of_plain.append(milliseconds(plain, device))
        of_strategy.append(milliseconds(lambda: strategy(name), device))
    ratios = [s / p for s, p in zip(of_strategy[1:], of_plain[1:], strict=True)]  # the first ones warm up
    return {
        "batch": load.batch,
        "channels": load.in_channels,
        "map": "x".join(map(str, load.map_shape)),
        "strategy": name,
        "ratio": round(statistics.median(ratios), 2),
        "strategy_ms": round(statistics.median(of_strategy[1:]), 3),
        "plain_ms": round(statistics.median(of_plain[1:]), 3),
        "pairs": len(ratios),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """A line per shape, a column per strategy."""
    names, limited = list(dict.fromkeys(row["strategy"] for row in rows)), "plain_limit_ms" in rows[0]
    shapes = dict.fromkeys((row["batch"], row["channels"], row["map"]) for row in rows)
    lines = []
    for shape in shapes:
        mine = {row["strategy"]: row for row in rows if (row["batch"], row["channels"], row["map"]) == shape}
        first = next(iter(mine.values()))
        fastest = min(row["ratio"] for row in mine.values())
        auto = mine.get(first["auto"])  # which may not be among those that were asked for
        line = [
            ", ".join(map(str, shape)),
            f"{statistics.median(row['plain_ms'] for row in mine.values()):.{2 if limited else 1}f}",
            *(f"{mine[name]['ratio']:.1f}" if name in mine else "-" for name in names),
            first["model"],
            first["auto"],
            f"{auto['ratio'] / fastest:.2f}" if auto else "-",
        ]
        if limited:
            line.insert(2, _share(first["plain_limit_ms"], first["plain_ms"]))
            line.append(_share(auto["mixture_limit_ms"], auto["strategy_ms"]) if auto else "-")
        lines.append(line)
    header = ["batch, channels, map", "plain, ms", *names, "by the model", "auto", "auto / fastest"]
    if limited:
        header = [*header[:2], "its limit / plain", *header[2:], "limit / auto"]
    return markdown(header, lines)


def _share(limit: float, taken: float) -> str:
    return f"{limit / taken:.0%}"


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--precision", type=Precision, default=Precision.FLOAT32, choices=list(Precision))
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--strategies", help=f"comma-separated, of {', '.join(STRATEGIES)}")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="print the rows for machines")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    names = [name for name in STRATEGIES if not (arguments.quick and name == "mixed_results")]
    if arguments.strategies:
        names = arguments.strategies.split(",")
    with matrix_products(arguments.precision, arguments.device):
        rows = _measure_all(arguments, names)
    print(json.dumps({"rows": rows}) if arguments.json else table(rows))
    if not arguments.quick:
        name = results_name("operator", arguments.device, arguments.precision)
        save(name, "Strategies against a plain convolution", __doc__, rows, table(rows), provenance())


def _measure_all(arguments: argparse.Namespace, names: list[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    device, dtype = arguments.device, arguments.precision.layer_dtype
    known_rates = None if device.type == "cpu" else rates(device, dtype)
    for shape in QUICK if arguments.quick else SHAPES:
        batch, channels, spatial = shape
        load = layer(SearchSpace.for_dims(len(spatial)), batch, channels, channels, 1, 1, spatial)
        chosen = {
            "model": choose(load, dtype, device, measure=False),
            "auto": choose(load, dtype, device),
        }
        more = chosen if known_rates is None else chosen | limits(load, dtype, *known_rates)
        pairs = 3 if arguments.quick else arguments.pairs
        costs = {name: estimate(name, load) for name in names}
        hopeful = [name for name in names if costs[name] <= HOPELESS * min(costs.values())]
        rows += [measure(load, name, pairs, device, dtype) | more for name in hopeful]
    return rows


if __name__ == "__main__":
    main()
