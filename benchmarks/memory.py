"""The memory of a search step against that of a plain step of the same backbone, for the shapes of the ten tasks.

Saved: what the forward pass keeps for the backward pass, each storage counted once, without parameters and buffers.
State: weights, buffers, gradients and momentum. Peak: how far the resident memory of a fresh process (on a GPU: the
allocated memory) rises above what it was before its first step. Steps and search spaces are those of supernet_step.py;
strategies are chosen by the cost model, so that nothing is timed.

    python benchmarks/memory.py                 # all tasks, full and depthwise mixtures
    python benchmarks/memory.py --quick         # four tasks, full; saves nothing
    python benchmarks/memory.py --strategy fourier --tasks cifar100
"""

import argparse
import json
import resource
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import markdown, provenance, results_name, save
from supernet_step import QUICK, SHAPES, Shape, phases
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from dashnas.errors import is_out_of_memory
from dashnas.heap import keep_freed_memory
from dashnas.training import take_step

KINDS = ("saved", "state", "peak")
MOST_SAVED = 2.0
"""Required of the ratio of saved bytes, where mixtures are full."""


@keep_freed_memory()  # as in the library's own runs
def step_memory(shape: Shape, side: str, separable: bool, strategy: str, device: torch.device) -> dict[str, int]:
    """Bytes of the first step of this process.

    Args:
        shape: the task's.
        side: "plain" or "search".
        separable: whether mixtures are depthwise where they can be.
        strategy: of the mixtures.
        device: where to compute.
    """
    plain, search = phases(shape, separable=separable, strategy=strategy, plan="model")
    phase = search if side == "search" else plain
    model = phase.model.to(device).train()
    # The first backward pass of a process starts threads and libraries, which are not the step's.
    nn.Linear(1, 1, device=device)(torch.ones(1, 1, device=device)).sum().backward()
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    before = forget_peak(device)
    with saved_tensors_hooks(note, lambda tensor: tensor):
        take_step(phase, np.arange(shape.batch), device)
    return {
        "saved": sum(saved.values()),
        "state": sum(tensor.nbytes for tensor in state(model, phase.optimiser)),
        "peak": peak_bytes(device) - before,
    }


def state(model: nn.Module, optimiser: torch.optim.Optimizer) -> Iterator[Tensor]:
    """Weights, buffers, gradients and what the optimiser keeps."""
    yield from model.buffers()
    for parameter in model.parameters():
        yield parameter
        if parameter.grad is not None:
            yield parameter.grad
        yield from (value for value in optimiser.state[parameter].values() if isinstance(value, Tensor))


def forget_peak(device: torch.device) -> int:
    """Let the peak start again from what is in use, and tell that."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes(device)


def peak_bytes(device: torch.device) -> int:
    """The most that this process has had in memory, or in that of its GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def measure(task: str, shape: Shape, *, separable: bool, strategy: str, device: torch.device) -> dict[str, Any]:
    """Both steps of one task, each in a process of its own; no numbers where memory does not suffice for one."""
    row: dict[str, Any] = {
        "task": task,
        "batch": shape.batch,
        "candidates": len(shape.space.candidates()),
        "separable": separable,
        "strategy": strategy,
    }
    found = {side: in_fresh_process(shape, side, separable, strategy, device) for side in ("plain", "search")}
    for kind in KINDS:
        plain, search = (found[side].get(kind) for side in ("plain", "search"))
        ratio = round(search / plain, 2) if plain and search else None
        row |= {f"{kind}_ratio": ratio, f"{kind}_search_bytes": search, f"{kind}_plain_bytes": plain}
    return row


def in_fresh_process(*arguments: Any) -> dict[str, int]:
    """What `step_memory` tells; nothing if the process was killed, as happens where memory runs out."""
    # Forked from a server that has imported what is needed: fresh, but quick to start.
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as pool:
        try:
            return pool.submit(step_memory, *arguments).result()
        except (BrokenProcessPool, MemoryError, RuntimeError) as error:
            if not isinstance(error, BrokenProcessPool) and not is_out_of_memory(error):
                raise
            return {}


def table(rows: list[dict[str, Any]]) -> str:
    """A line per task and kind of mixture."""

    def told(row: dict[str, Any], kind: str) -> list[str]:
        sizes = [row[f"{kind}_{side}_bytes"] for side in ("search", "plain")]
        ratio = row[f"{kind}_ratio"]
        return ["-" if ratio is None else f"{ratio:.2f}", *("-" if s is None else f"{s / 1e6:.1f}" for s in sizes)]

    header = ["task", "batch", "mixtures"]
    for kind in KINDS:
        header += [f"{kind}: search / plain", "search, MB", "plain, MB"]
    lines = [
        [
            row["task"],
            str(row["batch"]),
            "depthwise where it can be" if row["separable"] else "full",
            *(cell for kind in KINDS for cell in told(row, kind)),
        ]
        for row in rows
    ]
    worst = max((row["saved_ratio"] or 0 for row in rows if not row["separable"]), default=0)
    verdict = f"\nLargest ratio of saved bytes, full mixtures: {worst:.2f} (required: at most {MOST_SAVED:g})\n"
    return markdown(header, lines) + verdict


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", help=f"comma-separated, of {', '.join(SHAPES)}")
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="print the rows for machines")
    arguments = parser.parse_args()
    about = provenance()
    tasks = arguments.tasks.split(",") if arguments.tasks else QUICK if arguments.quick else tuple(SHAPES)
    rows = [
        measure(task, SHAPES[task], separable=separable, strategy=arguments.strategy, device=arguments.device)
        for separable in ((False,) if arguments.quick else (False, True))
        for task in tasks
    ]
    print(json.dumps({"rows": rows}) if arguments.json else table(rows))
    if not arguments.quick:
        name = results_name("memory", arguments.device)
        save(name, "The memory of a search step", __doc__, rows, table(rows), about)


if __name__ == "__main__":
    main()
