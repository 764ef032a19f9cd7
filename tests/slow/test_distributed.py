"""A supernet trained by several processes, as with `torch.nn.parallel.DistributedDataParallel`."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from dashnas import GumbelSoftmax, SearchSpace, discretise, to_supernet

pytestmark = pytest.mark.slow

PROCESSES = 2


def data() -> Tensor:
    return torch.randn(8, 2, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def supernet() -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv1d(4, 4, 3, stride=2, padding=1, groups=4))
    space = SearchSpace(kernel_sizes=(3, 5), dilations=(1, 2))
    return to_supernet(network, space, torch.zeros(2, 2, 12), plan="model", relaxation=GumbelSoftmax()).double()


def train(network: nn.Module, x: Tensor) -> None:
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for step in range(3):
        torch.manual_seed(step)  # of the noise: one mixture for all processes
        optimiser.zero_grad()
        network(x).square().mean().backward()
        optimiser.step()


def worker(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=PROCESSES)
    network = DistributedDataParallel(supernet())
    train(network, data().chunk(PROCESSES)[rank])
    torch.save(network.module.state_dict(), folder / f"{rank}.pt")
    dist.barrier()
    # Left without tidying up: PyTorch 2.13's reducer joins gloo's thread with the interpreter's lock held, and that
    # thread may be waiting for this lock to let go of its last piece of work.
    os._exit(0)


def test_processes_with_a_part_of_each_batch_train_as_one_with_the_whole(tmp_path):
    spawn(worker, (tmp_path,), nprocs=PROCESSES, daemon=True)
    alone = supernet()
    train(alone, data())
    for rank in range(PROCESSES):
        together = supernet()
        together.load_state_dict(torch.load(tmp_path / f"{rank}.pt"))
        torch.testing.assert_close(together.state_dict(), alone.state_dict())
        assert discretise(together) == discretise(alone)
