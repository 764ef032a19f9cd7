"""What a network costs: weights, and for an answer arithmetic operations and time."""

import statistics
import time
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dashnas.data.spec import DataSpec
from dashnas.lengths import network_outputs

TIMING_SECONDS = 0.25
"""After so much timing no further answer is timed."""

FEWEST_ANSWERS = 3
"""That are timed in any case."""

MOST_ANSWERS = 50
"""That are timed however quick they are."""


class InferenceCost(NamedTuple):
    """Of one sample."""

    flops: int
    """Of convolutions and matrix products; a multiplication and an addition are two."""
    milliseconds: float
    """The median time of an answer to a single sample, with the threads that PyTorch has."""


def num_parameters(network: nn.Module) -> int:
    """How many numbers of a network are trained."""
    return sum(p.numel() for p in network.parameters())


def inference_cost(network: nn.Module, spec: DataSpec, device: torch.device) -> InferenceCost:
    """Count and time the answers of a network to a sample of zeros; of series of unequal length, to the longest.

    Args:
        network: is put into evaluation mode.
        spec: what it takes.
        device: where to compute.
    """
    network.to(device).eval()
    x = torch.zeros(1, spec.channels, *spec.spatial_shape, device=device)
    lengths = torch.tensor(spec.spatial_shape, device=device) if spec.unequal_lengths else None
    seconds: list[float] = []
    # The counter fails in inference mode where a layer's weight is computed from parameters, as by weight_norm.
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network_outputs(network, x, lengths)
    with torch.inference_mode():
        while len(seconds) < FEWEST_ANSWERS or (len(seconds) < MOST_ANSWERS and sum(seconds) < TIMING_SECONDS):
            started = time.perf_counter()
            network_outputs(network, x, lengths).flatten()[0].item()  # item() waits for the device
            seconds.append(time.perf_counter() - started)
    return InferenceCost(counter.get_total_flops(), 1000 * statistics.median(seconds))
