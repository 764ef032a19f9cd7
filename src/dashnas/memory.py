"""How much memory a training step takes, told from steps on a few samples; and how much there is."""

import math
import os
import re
import resource
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, UntypedStorage
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dashnas.errors import ConfigError
from dashnas.heap import return_freed_memory
from dashnas.microbatch import smaller
from dashnas.seeding import isolated_rng
from dashnas.training import Phase, compute_gradients, take_step

MARGIN = 1.25
"""A step is taken to fit if this many times its estimate is available: the estimate is good to a quarter."""

MOST_OVERHEAD = 2.5
"""What a step takes has been seen to be at most this many times what its tensors take."""

UNSEEN_BYTES = 2**25
"""A CPU's step may take this much from what the heap has kept of earlier ones, so that the process does not grow."""

MEASURED_STEPS = 2
"""On a CPU: the gaps of the heap grow over the first steps."""

FEW, MORE = 2, 4
"""Samples of the two steps that a larger one is told from."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


@dataclass(frozen=True)
class StepMemory:
    """The memory of a training step, as a function of the samples that are computed at once."""

    fixed_bytes: int
    """Weights, running statistics and momentum."""
    few: np.ndarray
    """Bytes of the step's own tensors in use after each was made, in a step on `FEW` samples."""
    more: np.ndarray
    """The same of a step on `MORE` samples."""
    overhead: float = MOST_OVERHEAD
    """What a step takes, as a multiple of its tensors: a heap has gaps, and libraries need room to work."""

    def peak_bytes(self, samples: int) -> int:
        """The most that is in use at once, weights and momentum included."""
        return self.fixed_bytes + math.ceil(self.overhead * self.tensor_bytes(samples))

    def tensor_bytes(self, samples: int) -> float:
        """The most that the step's own tensors take at once.

        Each moment of a step grows linearly with the samples; which of them is the peak may depend on their number.
        """
        # Where the two steps went different ways, as where a library chose another algorithm, their peaks must do.
        few, more = (self.few, self.more) if len(self.few) == len(self.more) else (self.few.max(), self.more.max())
        return float(np.max(few + (more - few) / (MORE - FEW) * (samples - FEW)))


@dataclass(frozen=True)
class Need:
    """The memory of a network in training."""

    peak_bytes: int
    """Of a training step on a whole batch: about, or an upper bound where that was not measured."""
    limit: str
    """What it may take, in words."""
    micro_batch: int
    """Most samples that are computed at once, so that a step fits; the batch size where all are."""


def count_step(phase: Phase, device: torch.device) -> StepMemory:
    """Count the tensors of steps on a few samples, which tells those of a step on any number; an upper bound.

    Args:
        phase: the network, a throw-away one, with everything that it is trained with.
        device: where to compute.
    """
    phase.model.to(device).train()
    few, more = (_indices(phase, samples) for samples in (FEW, MORE))
    with isolated_rng(device):
        take_step(phase, few, device)  # makes momentum, and whatever is kept from the first step on
        fixed = [*phase.model.parameters(), *phase.model.buffers(), *_tensors(phase.optimiser.state)]
        return StepMemory(
            fixed_bytes=sum(tensor.numel() * tensor.element_size() for tensor in fixed),
            few=_tensor_bytes(phase, few, device),
            more=_tensor_bytes(phase, more, device),
        )


def measure_step(counted: StepMemory, phase: Phase, device: torch.device, samples: int) -> StepMemory:
    """Take steps on as many samples as surely fit, to see what a step takes beside its tensors.

    Args:
        counted: what `count_step` made of the same phase.
        phase: the network, a throw-away one, with everything that it is trained with.
        device: where to compute.
        samples: that surely fit.
    """
    with isolated_rng(device):
        taken = _taken_bytes(phase, _indices(phase, samples), device)
    # Less than was counted is no mistake in a large step: spectra are made in parts, which do not grow with the samples
    # as counted. A small one may just have gone unseen.
    of_tensors = counted.tensor_bytes(samples)
    return replace(counted, overhead=max(taken, min(of_tensors, UNSEEN_BYTES)) / of_tensors)


def fitting_micro_batch(memory: StepMemory, batch_size: int, free_bytes: int) -> int | None:
    """The batch, halved until a step fits; None where not even the smallest micro-batch does."""
    micro_batch: int | None = batch_size
    while micro_batch is not None and MARGIN * memory.peak_bytes(micro_batch) > free_bytes:
        micro_batch = smaller(micro_batch)
    return micro_batch


def free_bytes(device: torch.device) -> int:
    """What a device has left for this process.

    On a CPU the least of what the operating system, the control groups of the process (as containers have them) and
    its `ulimit -v` leave; what can only be told on Linux is left out elsewhere.
    """
    if device.type == "cuda":
        unused_cache = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused_cache
    return_freed_memory()
    return max(min(_limits(Path("/"))), 0)


def parse_bytes(text: str) -> int:
    """A size such as `4GB`, `500MB` or `2GiB`, in bytes.

    Raises:
        ConfigError: anything else.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", text, flags=re.IGNORECASE)
    if match is None or match[2].lower() not in _UNITS or not float(match[1]) > 0:
        raise ConfigError(f"cannot read {text!r} as a size of memory; write it as 4GB, 500MB or 2GiB")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def describe_bytes(size: int) -> str:
    """A size in GB, MB or kB, for a message."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes how many bytes of new tensors are in use, each time that one is made."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.in_use: list[int] = [0]
        self._bytes = 0
        self._known: weakref.WeakSet[UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {tensor.untyped_storage() for tensor in _tensors((args, kwargs))}
        result = function(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            storage = tensor.untyped_storage()
            if storage not in self._known and storage not in given:
                self._known.add(storage)
                self._bytes += storage.nbytes()
                weakref.finalize(storage, self._forget, storage.nbytes())
                self.in_use.append(self._bytes)
        return result

    def _forget(self, size: int) -> None:
        self._bytes -= size


class _ResidentBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the most that the process has in memory after any operation."""

    peak: int = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self.peak = max(self.peak, _resident_bytes())
        return result


def _tensor_bytes(phase: Phase, indices: np.ndarray, device: torch.device) -> np.ndarray:
    phase.model.zero_grad(set_to_none=True)
    with _LiveBytes() as live:
        compute_gradients(phase, indices, device, micro_batch=len(indices), seed=0)
    return np.array(live.in_use)


def _taken_bytes(phase: Phase, indices: np.ndarray, device: torch.device) -> int:
    """How far the memory in use grows in a step; 0 where that cannot be told."""
    phase.model.zero_grad(set_to_none=True)
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        compute_gradients(phase, indices, device, micro_batch=len(indices), seed=0)
        return torch.cuda.max_memory_allocated(device) - before
    # What earlier steps have freed would otherwise be used again, unseen.
    return_freed_memory()
    before = _resident_bytes()
    resident = _ResidentBytes()  # type: ignore[no-untyped-call]
    with resident:
        for _ in range(MEASURED_STEPS):
            take_step(phase, indices, device)
    return int(resident.peak) - before


def _resident_bytes() -> int:
    words = _words(Path("/proc/self/statm"))
    return int(words[1]) * resource.getpagesize() if words else 0


def _indices(phase: Phase, samples: int) -> np.ndarray:
    return np.arange(samples) % len(phase.part)


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _limits(root: Path) -> Iterator[int]:
    """What each limit leaves of the memory of a CPU."""
    yield _system_bytes(root)
    yield from _control_group_bytes(root)
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _words(root / "proc/self/statm")
    if soft != resource.RLIM_INFINITY and pages:
        yield soft - int(pages[0]) * resource.getpagesize()


def _system_bytes(root: Path) -> int:
    told = _table(root / "proc/meminfo")
    if "MemAvailable:" in told:
        return told["MemAvailable:"] * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _control_group_bytes(root: Path) -> Iterator[int]:
    """What the memory limits of the process's control groups, and of those around them, leave."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, name = line.split(":", 2)
        if controllers == "":  # version 2
            mount, limit, usage, cache = "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            mount, cache = "sys/fs/cgroup/memory", "total_inactive_file"
            limit, usage = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        group = root / mount / name.lstrip("/")
        # In a container its own group is often what is mounted, and its name is that outside of it.
        for folder in (group, *group.parents[: len(Path(name).parts) - 1]):
            most, used = _words(folder / limit), _words(folder / usage)
            if most and used and most[0] != "max":
                # Cached files are given up when memory gets short.
                yield int(most[0]) - int(used[0]) + _table(folder / "memory.stat").get(cache, 0)


def _table(path: Path) -> dict[str, int]:
    pairs = (line.split()[:2] for line in _lines(path))
    return {name: int(value) for name, value in pairs}


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
