"""Supernets as `torch.nn.DataParallel` treats them; tests/slow/test_distributed.py has the other way."""

import sys
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn
from torch.nn.parallel import replicate

from dashnas import GumbelSoftmax, SearchSpace, to_supernet

SPACE = SearchSpace(kernel_sizes=(3, 5), dilations=(1, 2))


def supernet(**settings):
    """With a full layer, a depthwise one of stride 2, and one that keeps all that autograd keeps."""
    network = nn.Sequential(
        nn.Conv1d(2, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv1d(4, 4, 3, stride=2, padding=1, groups=4),
        nn.ReLU(),
        nn.Conv1d(4, 3, 3, padding=1),
    )
    made = to_supernet(network, SPACE, torch.zeros(2, 2, 12), **settings).double()
    made[4].strategy = "mixed_results"
    return made


def gradients(network):
    return {name: parameter.grad.clone() for name, parameter in network.named_parameters()}


def test_replicas_in_threads_give_the_gradients_of_the_whole_batch(monkeypatch):
    """As `DataParallel` does it, but that replicas get clones in place of copies on GPUs."""

    def clones(tensors, devices, detach):
        return [[tensor.detach() if detach else tensor.clone() for tensor in tensors] for _ in devices]

    monkeypatch.setattr(sys.modules["torch.nn.parallel.replicate"], "_broadcast_coalesced_reshape", clones)
    network, x = supernet(), torch.randn(8, 2, 12, dtype=torch.float64)
    network(x).square().sum().backward()
    expected = gradients(network)
    network.zero_grad()
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(lambda replica, half: replica(half), replicate(network, [0, 1]), x.chunk(2)))
    torch.cat(results).square().sum().backward()
    torch.testing.assert_close(gradients(network), expected)


def test_without_gpus_data_parallel_is_the_supernet_itself():
    network, x = supernet(relaxation=GumbelSoftmax()).eval(), torch.randn(8, 2, 12, dtype=torch.float64)
    torch.testing.assert_close(nn.DataParallel(network, device_ids=[])(x), network(x), rtol=0, atol=0)
