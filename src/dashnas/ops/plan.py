"""Which strategy computes a layer fastest: a model of the cost, and a measurement where the model is unsure."""

import json
import math
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from dashnas.errors import StorageError, is_out_of_memory
from dashnas.ops.costs import Load, estimate
from dashnas.ops.strategies import STRATEGIES
from dashnas.storage import atomic_file, cache_folder

AUTO = "auto"
"""In place of a strategy's name: let `choose` decide."""

PLANS = ("measure", "model")
"""Whether strategies are timed where the model is unsure, or never."""

OPERATORS = 4
"""Goes up whenever a strategy becomes faster or slower, so that times of the old one are not used for the new."""

UNSURE = 2.0
"""Strategies that cost no more than this times the cheapest by the model are measured."""

UNSURE_ON_GPU = 30.0
"""The same on a GPU, where the model, which is a CPU's, only rules out what is hopeless."""

LAST_RESORT = "mixed_results"
"""Keeps a result of each candidate for the backward pass, so it is taken only where nothing else fits."""

_chosen: dict[tuple[Load, str, torch.device, int, bool], str] = {}


def choose(load: Load, dtype: torch.dtype, device: torch.device, *, measure: bool = True) -> str:
    """The strategy for a layer.

    Args:
        load: the layer and what it works on. Batches are rounded up to a power of two, so that the last batch of an
            epoch goes the way of the others.
        dtype: of the input.
        device: of the input.
        measure: time the strategies between which the model cannot decide (on a GPU nearly all), a few forward and
            backward passes each. Times are kept in the user's cache folder, for each device, number of threads and
            version of PyTorch. Where memory runs out in all of them the others are timed; where it does in every one,
            the model decides, since the layer may still be computed on fewer samples.

    Returns:
        A name in `STRATEGIES`.
    """
    load = load.with_batch(2 ** math.ceil(math.log2(load.batch)))
    key = (load, _arithmetic(dtype, device), device, torch.get_num_threads(), measure)
    if key not in _chosen:
        costs = {name: estimate(name, load) for name in STRATEGIES if name != LAST_RESORT}
        unsure = UNSURE_ON_GPU if device.type == "cuda" else UNSURE
        close = [name for name, cost in costs.items() if cost <= unsure * min(costs.values())]
        if measure and len(close) > 1:
            others = [name for name in costs if name not in close]
            measured = (_measured(names, load, dtype, device) for names in (close, others, [LAST_RESORT]))
            costs = next(filter(None, measured), costs)
        _chosen[key] = min(costs, key=lambda name: costs[name])
    return _chosen[key]


def _measured(names: Sequence[str], load: Load, dtype: torch.dtype, device: torch.device) -> dict[str, float]:
    """Milliseconds of each strategy that fits into memory, from the cache where they are known."""
    path = _cache_path(device)
    known = _read(path)
    entry = known.setdefault(f"{load} {_arithmetic(dtype, device)}", {})
    missing = [name for name in names if name not in entry]
    for name in missing:
        try:
            entry[name] = round(time_strategy(name, load, dtype, device), 4)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
    if missing:
        _write(path, known)
    return {name: entry[name] for name in names if name in entry}


def time_strategy(
    name: str, load: Load, dtype: torch.dtype, device: torch.device, *, repeats: int = 3, patience: float = 0.5
) -> float:
    """Milliseconds of a forward and a backward pass: the least of a few, the first one not counted.

    Args:
        name: of the strategy.
        load: the layer and what it works on.
        dtype: of the input.
        device: of the input.
        repeats: passes that count.
        patience: seconds after which no further pass is begun.
    """
    times: list[float] = []
    begun = time.perf_counter()
    # Tensors made under inference mode could not be differentiated, so that is left first.
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        # Any numbers will do, so no generator is touched: a search is the same whether or not it was measured before.
        x = torch.ones(load.batch, load.in_channels, *load.map_shape, dtype=dtype, device=device, requires_grad=True)
        wide = torch.promote_types(dtype, torch.float32)
        bank_shape = (load.geometry.num_taps, load.out_channels, load.in_channels // load.geometry.groups)
        bank = torch.full(bank_shape, 0.01, dtype=wide, device=device, requires_grad=True)
        mixture = torch.full((len(load.geometry.dilations),), 0.1, dtype=wide, device=device, requires_grad=True)
        while len(times) <= repeats and (not times or time.perf_counter() - begun < patience):
            started = time.perf_counter()
            result = STRATEGIES[name](x, bank, mixture, load.geometry)
            torch.autograd.grad(result, (x, bank, mixture), torch.ones_like(result))
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(time.perf_counter() - started)
    return 1e3 * min(times[1:] or times)


def _arithmetic(dtype: torch.dtype, device: torch.device) -> str:
    tf32 = " with tf32" if device.type == "cuda" and torch.get_float32_matmul_precision() != "highest" else ""
    return str(dtype).removeprefix("torch.") + tf32


def _cache_path(device: torch.device) -> Path:
    processor = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()}-{_cpu_name()}"
    name = f"{processor}-{torch.get_num_threads()}threads-torch{torch.__version__}-operators{OPERATORS}"
    return cache_folder() / "plans" / ("".join(c if c.isalnum() or c in "-.+" else "_" for c in name) + ".json")


def _cpu_name() -> str:
    return f"{torch.backends.cpu.get_cpu_capability()}-{os.cpu_count()}cores"


def _read(path: Path) -> dict[str, dict[str, float]]:
    """What was measured before; a cache that cannot be read is no cache."""
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(path: Path, known: dict[str, dict[str, float]]) -> None:
    """Keep what was measured, together with what another process may have written since."""
    merged = _read(path)
    for load, times in known.items():
        merged[load] = merged.get(load, {}) | times
    try:
        with atomic_file(path) as file:
            file.write(json.dumps(merged, indent=1).encode())
    except StorageError:
        pass  # a full or read-only disk costs a measurement next time, not the run
