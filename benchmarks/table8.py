"""Table 8 of the DASH paper, one step at a time: a search step against a plain step on images of ImageNet's size.

Kernel sizes 3, 5, 7, 9, 11 with dilations 1, 3, 7 on 224 x 224 pixels, random numbers in place of photographs. WRN-16-4
is the paper's, WRN-16-1 the width at which this package searches; their mixtures are full. ConvNeXt-T has 96 channels
in its first stage, and its depthwise layers are searched. Batches are small, and there are ten classes where ImageNet
has a thousand: heads are cheap, and the random data hold each class twice.

Steps are measured as in supernet_step.py, in turns, and memory as in memory.py; the paper has seconds for 4096 images
on four V100 GPUs, which here are a step's times 4096 / batch. `mixed_results` and `mixed_weights`, the other lines of
the table, need a fast device or much patience: give them as strategies. Two pairs of steps are few, but a search step
of WRN-16-4 takes a minute on two CPU cores.

    python benchmarks/table8.py
    python benchmarks/table8.py --quick                                   # 64 x 64, without WRN-16-4; saves nothing
    python benchmarks/table8.py --device cuda --batch 64 --strategies auto,mixed_weights,mixed_results
"""

import argparse
import json
from dataclasses import replace
from typing import Any

import memory
import supernet_step
import torch
from _report import markdown, provenance, results_name, save
from supernet_step import CLASSES, Shape

from dashnas.space import SearchSpace

SPACE = SearchSpace(kernel_sizes=(3, 5, 7, 9, 11), dilations=(1, 3, 7))
NETWORKS = {
    "WRN-16-1": Shape(3, (224, 224), CLASSES, 10, 2, SPACE, 16, "wrn"),
    "WRN-16-4": Shape(3, (224, 224), CLASSES, 10, 2, SPACE, 64, "wrn"),
    "ConvNeXt-T": Shape(3, (224, 224), CLASSES, 10, 2, SPACE, 96, "convnext"),
}
IMAGES = 4096
"""Of the paper's search epoch."""


def measure(network: str, shape: Shape, *, strategy: str, pairs: int, device: torch.device) -> dict[str, Any]:
    """Time and memory of both steps of one network."""
    settings = {"separable": False, "strategy": strategy, "device": device}
    steps = supernet_step.measure(network, shape, pairs=pairs, **settings)
    space = memory.measure(network, shape, **settings)
    size = {"network": network, "pixels": "x".join(map(str, shape.spatial))}
    epoch = {"search_epoch_seconds": round(steps["search_ms"] / 1e3 * IMAGES / shape.batch, 1)}
    return {key: value for key, value in (size | steps | epoch | space).items() if key not in ("task", "separable")}


def table(rows: list[dict[str, Any]]) -> str:
    """A line per network and strategy."""
    header = ["network", "pixels", "batch", "strategy", "pairs", "search step / plain step", "search, ms", "plain, ms"]
    header += [f"search, s for {IMAGES} images", *(f"{kind}: search / plain, MB" for kind in memory.KINDS)]
    lines = [
        [
            row["network"],
            row["pixels"],
            str(row["batch"]),
            row["strategy"],
            str(row["pairs"]),
            f"{row['ratio']:.1f}",
            f"{row['search_ms']:.0f}",
            f"{row['plain_ms']:.0f}",
            f"{row['search_epoch_seconds']:.0f}",
            *(_of_both(row, kind) for kind in memory.KINDS),
        ]
        for row in rows
    ]
    return markdown(header, lines)


def _of_both(row: dict[str, Any], kind: str) -> str:
    if row[f"{kind}_ratio"] is None:
        return "-"
    search, plain = (row[f"{kind}_{side}_bytes"] / 1e6 for side in ("search", "plain"))
    return f"{search:.0f} / {plain:.0f} = {row[f'{kind}_ratio']:.2f}"


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", help=f"comma-separated, of {', '.join(NETWORKS)}")
    parser.add_argument("--strategies", default="auto", help="comma-separated")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--pairs", type=int, help="steps of each kind; 2, or 1 in the quick run")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="print the rows for machines")
    arguments = parser.parse_args()
    about = provenance()
    names = ("WRN-16-1", "ConvNeXt-T") if arguments.quick else tuple(NETWORKS)
    names = tuple(arguments.networks.split(",")) if arguments.networks else names
    pairs = arguments.pairs or (1 if arguments.quick else 2)
    changed = {"batch": arguments.batch} | ({"spatial": (64, 64)} if arguments.quick else {})
    rows = [
        measure(name, replace(NETWORKS[name], **changed), strategy=strategy, pairs=pairs, device=arguments.device)
        for name in names
        for strategy in arguments.strategies.split(",")
    ]
    print(json.dumps({"rows": rows}) if arguments.json else table(rows))
    if not arguments.quick:
        name = results_name("table8", arguments.device)
        save(name, "A search step on images of ImageNet's size", __doc__, rows, table(rows), about)


if __name__ == "__main__":
    main()
