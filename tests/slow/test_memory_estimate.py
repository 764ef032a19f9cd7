"""The memory of a training step as it is told beforehand, against that of a process that takes such steps."""

import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="peaks of resident memory are read from /proc"),
]

# Its own process each time: memory that was used once hides how much is used again.
DRIVER = """
import ctypes, sys, tempfile
from pathlib import Path
import numpy as np
import torch
from dashnas.backbones import build_backbone
from dashnas.config import RetrainConfig, SearchConfig
from dashnas.data import DataConfig, TargetKind, prepare
from dashnas.losses import make_loss
from dashnas.memory import count_step, measure_step
from dashnas.progress import Silent
from dashnas.recipe import RECIPES
from dashnas.retrain import retrain_phase
from dashnas.runs import Run
from dashnas.search import make_supernet, search_phase
from dashnas.space import SearchSpace
from dashnas.training import Session, take_step, train

what, backbone, kind, width, batch_size, searched, *shape = sys.argv[1:]
shape, width, batch_size = tuple(map(int, shape)), int(width), int(batch_size)
torch.set_num_threads(1)
cpu = torch.device("cpu")
rng = np.random.default_rng(0)
x = rng.normal(size=(4 * batch_size, 2, *shape)).astype(np.float32)
y = rng.integers(0, 3, len(x)) if kind == "classes" else x[:, 0].copy()
data = prepare((x, y), DataConfig(target=TargetKind(kind)), seed=0)
loss = make_loss(data.spec, data.normaliser, metric_name="error")


def make():
    network = build_backbone(backbone, data.spec, width=width, for_search=searched == "supernet")
    common = {"epochs": 1, "batch_size": batch_size, "seed": 0}
    if searched == "supernet":
        space, config = SearchSpace.for_dims(len(shape)), SearchConfig()
        supernet, _ = make_supernet(network, space, data.train.batch(np.arange(2)).x, config)
        return search_phase(supernet, data.train, loss, config, **common)
    return retrain_phase("retrain", network, data.train, loss, RECIPES["muon"], RetrainConfig(clip=1.0), **common)


def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


phase = make()
if what == "estimate":
    print(measure_step(count_step(phase, cpu), phase, cpu, batch_size).peak_bytes(batch_size))
else:
    take_step(make(), np.arange(2), cpu)  # what libraries take for themselves is no part of a step
    ctypes.CDLL(None).malloc_trim(0)
    before = status("VmRSS")
    with Run(Path(tempfile.mkdtemp()), {}) as run:
        train(phase, Session(run=run, reporter=Silent(), device=cpu))
    print(status("VmHWM") - before + sum(4 * p.numel() for p in phase.model.parameters()))
"""

NETWORKS = {
    "1-D, plain": "resnet1d classes 64 32 plain 512",
    "1-D, plain, long": "resnet1d classes 32 64 plain 1024",
    "1-D, supernet": "resnet1d classes 16 64 supernet 512",
    "1-D, dense, supernet": "tcn dense-regression 32 32 supernet 512",
    "2-D, plain": "wrn classes 64 32 plain 32 32",
    "2-D, supernet": "wrn classes 16 32 supernet 32 32",
    "2-D, dense, plain": "wrn dense-regression 32 16 plain 32 32",
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_the_estimate_is_within_a_quarter_of_what_is_measured(network):
    # The system may take pages back from a process meanwhile, which then seems to need less: the larger of two counts.
    estimate, *counts = (
        int(subprocess.check_output([sys.executable, "-c", DRIVER, what, *network.split()], timeout=300))
        for what in ("estimate", "measure", "measure")
    )
    measured = max(counts)
    print(f"{estimate / 1e6:.0f} MB estimated, {measured / 1e6:.0f} MB measured: {estimate / measured - 1:+.0%}")
    assert estimate == pytest.approx(measured, rel=0.25)
