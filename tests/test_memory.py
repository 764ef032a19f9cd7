"""What a training step takes, what there is, and what follows from both."""

import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dashnas import memory
from dashnas.config import RetrainConfig
from dashnas.errors import ConfigError
from dashnas.losses import make_loss
from dashnas.memory import (
    MARGIN,
    MOST_OVERHEAD,
    StepMemory,
    count_step,
    describe_bytes,
    fitting_micro_batch,
    free_bytes,
    measure_step,
    parse_bytes,
)
from dashnas.recipe import Recipe
from dashnas.retrain import retrain_phase
from tiny import prepared

CPU = torch.device("cpu")

SIZES = [
    ("4GB", 4 * 10**9),
    ("500MB", 5 * 10**8),
    ("2GiB", 2**31),
    ("1.5g", 15 * 10**8),
    (" 3 mib ", 3 * 2**20),
    ("1TB", 10**12),
    ("4096", 4096),
    ("64k", 64_000),
]


@pytest.mark.parametrize(("text", "size"), SIZES)
def test_a_size_is_a_number_with_a_unit_or_just_bytes(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "4XB", "-1GB", "0", "4 GB free", "1e9", "1,5GB", "i4", "4i", "4iB"])
def test_anything_else_is_refused_and_the_form_is_shown(text):
    with pytest.raises(ConfigError, match=r"cannot read .* as a size of memory; write it as 4GB, 500MB or 2GiB"):
        parse_bytes(text)


def test_sizes_are_told_in_a_unit_that_suits():
    assert [describe_bytes(size) for size in (3_240_000_000, 45_400_000, 7_800)] == ["3.2 GB", "45 MB", "8 kB"]


def phase(hidden: int = 50):
    """A network in which nearly every tensor can be counted by hand."""
    data = prepared()
    network = nn.Sequential(nn.Flatten(), nn.Linear(32, hidden), nn.ReLU(), nn.Linear(hidden, 3))
    loss = make_loss(data.spec, data.normaliser, metric_name="error")
    return retrain_phase("probe", network, data.train, loss, Recipe(), RetrainConfig(), epochs=1, batch_size=16, seed=0)


def test_weights_gradients_momentum_and_what_is_kept_for_the_backward_pass_are_counted():
    hidden = 4000
    counted = count_step(phase(hidden), CPU)
    weights = 4 * (32 * hidden + hidden + hidden * 3 + 3)
    assert counted.fixed_bytes == 2 * weights  # momentum beside them
    # After the backward pass through the ReLU, there are all gradients of the weights but those of the first layer;
    # of hidden values the ReLU's output and the gradients on its two sides.
    for samples in (2, 4, 100, 1000):
        most = weights + 4 * samples * (3 * hidden + 200)
        assert 0.7 * most < counted.tensor_bytes(samples) <= most


def test_counting_leaves_the_generators_alone():
    made, state = phase(), torch.get_rng_state()
    measure_step(count_step(made, CPU), made, CPU, 4)
    assert torch.equal(torch.get_rng_state(), state)


def test_steps_are_told_exactly_from_smaller_ones():
    """Each moment by itself: with many samples the peak is elsewhere than with few."""
    made = phase(2000)
    counted = count_step(made, CPU)
    for samples in (8, 33, 200):
        indices = np.arange(samples) % len(made.part)
        exactly = memory._tensor_bytes(made, indices, CPU).max()
        assert counted.tensor_bytes(samples) == pytest.approx(exactly, rel=1e-3)
    line = counted.few.max() + (counted.more.max() - counted.few.max()) / 2 * 198
    assert line < 0.9 * counted.tensor_bytes(200)


def test_where_the_two_steps_went_different_ways_their_peaks_tell():
    uneven = StepMemory(fixed_bytes=0, few=np.array([5, 10, 3]), more=np.array([4, 16]), overhead=1.0)
    assert uneven.peak_bytes(10) == 10 + 3 * 8


def test_what_a_step_takes_beside_its_tensors_is_measured():
    made = phase(20_000)
    counted = count_step(made, CPU)
    measured = measure_step(counted, made, CPU, 500)
    assert counted.overhead == MOST_OVERHEAD
    assert 1 <= measured.overhead < MOST_OVERHEAD


def test_where_nothing_can_be_measured_the_tensors_are_all(monkeypatch):
    monkeypatch.setattr(memory, "_words", lambda path: [])
    made = phase()
    assert measure_step(count_step(made, CPU), made, CPU, 16).overhead == 1


@pytest.mark.parametrize(("counted", "seen", "taken"), [(10**6, 10**3, 10**6), (10**9, 6 * 10**8, 6 * 10**8)])
def test_a_small_step_may_go_unseen_a_large_one_may_take_less_than_counted(monkeypatch, counted, seen, taken):
    monkeypatch.setattr(memory, "_taken_bytes", lambda *_: seen)
    linear = StepMemory(fixed_bytes=0, few=np.array([0, counted]), more=np.array([0, 2 * counted]))
    assert measure_step(linear, phase(), CPU, 2).peak_bytes(2) == pytest.approx(taken)


@given(st.integers(2, 200), st.integers(1, 10_000))
def test_the_batch_is_halved_until_a_step_fits(batch_size, free):
    linear = StepMemory(fixed_bytes=100, few=np.array([0, 20]), more=np.array([0, 40]), overhead=1.0)
    chosen = fitting_micro_batch(linear, batch_size, free)
    if chosen is None:
        assert MARGIN * linear.peak_bytes(2) > free
    else:
        assert 2 <= chosen <= batch_size
        assert MARGIN * linear.peak_bytes(chosen) <= free
        assert chosen == batch_size or MARGIN * linear.peak_bytes(2 * chosen) > free


def system(root: Path, files: dict[str, str]) -> Path:
    """As much of a file system as tells about memory."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal:       16000 kB\nMemAvailable:    8000 kB\nHugePages_Total:       0\n"}
OF_SYSTEM = 8000 * 1024
V2 = {
    "proc/self/cgroup": "0::/jobs/mine\n",
    "sys/fs/cgroup/jobs/mine/memory.max": "max\n",
    "sys/fs/cgroup/jobs/mine/memory.current": "1000\n",
    "sys/fs/cgroup/jobs/memory.max": "5000\n",
    "sys/fs/cgroup/jobs/memory.current": "3000\n",
    "sys/fs/cgroup/jobs/memory.stat": "anon 2000\ninactive_file 700\n",
}
CONTAINER_V2 = {
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/memory.max": "6000\n",
    "sys/fs/cgroup/memory.current": "2000\n",
}
V1 = {
    "proc/self/cgroup": "5:cpu,cpuacct:/a\n4:memory:/job\n0::/\n",
    "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "9000\n",
    "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "8000\n",
    "sys/fs/cgroup/memory/job/memory.stat": "inactive_file 1\ntotal_inactive_file 250\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "123\n",
}
CONTAINER_V1 = {
    "proc/self/cgroup": "4:memory:/docker/0123\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "7000\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "6000\n",
}
LIMITS = {
    "no control groups": ({}, OF_SYSTEM),
    "version 2, of the group around": (V2, 5000 - 3000 + 700),
    "version 2, in a container": (CONTAINER_V2, 4000),
    "version 1": (V1, 1250),
    "version 1, in a container": (CONTAINER_V1, 1000),
}


@pytest.mark.parametrize(("files", "expected"), LIMITS.values(), ids=LIMITS)
def test_the_least_that_the_system_and_its_control_groups_leave_counts(files, expected, tmp_path):
    root = system(tmp_path, MEMINFO | files)
    assert min(memory._limits(root)) == expected


def test_the_limit_of_the_address_space_counts(tmp_path, monkeypatch):
    page = resource.getpagesize()
    monkeypatch.setattr(resource, "getrlimit", lambda which: (10 * page, resource.RLIM_INFINITY))
    root = system(tmp_path, MEMINFO | {"proc/self/statm": "4 3 2 1 0 1 0\n"})
    assert min(memory._limits(root)) == 6 * page


def test_without_such_files_it_is_all_of_the_machine_s(tmp_path):
    assert list(memory._limits(tmp_path)) == [memory._system_bytes(tmp_path)]
    assert memory._system_bytes(tmp_path) > 10**8


def test_this_machine_has_some_left_and_never_less_than_nothing(monkeypatch):
    assert free_bytes(CPU) > 0
    monkeypatch.setattr(memory, "_limits", lambda root: iter([-5, 10]))
    assert free_bytes(CPU) == 0
