"""How large and how slow the outcome may be: from the scores of a search to the likeliest architecture that fits."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
from torch import nn

from dashnas.convert import Conversion, mixtures
from dashnas.data.spec import DataSpec
from dashnas.errors import ConfigError
from dashnas.inference_cost import inference_cost, num_parameters
from dashnas.model import Topology
from dashnas.seeding import isolated_rng
from dashnas.space import Architecture, Candidate, per_axis

MARGIN = 0.1
"""Share of the allowed time for an answer that a network has to spare when it is chosen, since times vary."""


class Cost(NamedTuple):
    """What a network costs, as far as limits ask for it."""

    parameters: int
    """Weights."""
    latency_seconds: float | None
    """Of an answer to a single sample; None where there is no limit of it."""

    def describe(self) -> str:
        """In words, for a message."""
        latency = "" if self.latency_seconds is None else f", {1000 * self.latency_seconds:.3g} ms for an answer"
        return f"{self.parameters:,} parameters{latency}"


@dataclass(frozen=True)
class Limits:
    """What the outcome may cost; None is no limit."""

    parameters: int | None = None
    """Weights."""
    latency_seconds: float | None = None
    """Of an answer to a single sample, on the device and with the threads of the run."""
    members: int = 1
    """Networks that each may cost so much, of an ensemble."""

    def __bool__(self) -> bool:
        return self.parameters is not None or self.latency_seconds is not None

    def describe(self) -> str:
        """In words, for a message."""
        told = []
        if self.parameters is not None:
            told.append(f"{self.parameters:,} parameters")
        if self.latency_seconds is not None:
            told.append(f"{1000 * self.latency_seconds:g} ms for an answer with a tenth to spare")
        each = f", for each of {self.members} networks" if self.members > 1 else ""
        return " and ".join(told) + each

    def shared(self, members: int) -> Self:
        """What is left for each member of an ensemble."""
        parameters = None if self.parameters is None else self.parameters // members
        seconds = None if self.latency_seconds is None else self.latency_seconds / members
        return type(self)(parameters, seconds, members)

    def cost(self, topology: Topology, spec: DataSpec, architecture: Architecture | None, device: torch.device) -> Cost:
        """What a network costs; its weights make no difference.

        Args:
            topology: the backbone.
            spec: what it takes and gives.
            architecture: of the network; None is the untouched backbone.
            device: where answers are timed.

        Raises:
            ConfigError: it cannot be asked for a single answer.
        """
        if self.latency_seconds is None:
            with torch.device("meta"):  # weights take memory, and there may be too many
                return Cost(num_parameters(topology.build(spec, architecture)), None)
        with isolated_rng(torch.device("cpu")):
            network = topology.build(spec, architecture)
        try:
            milliseconds = inference_cost(network, spec, device).milliseconds
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"the time of an answer cannot be measured ({error}); leave out --max-latency") from error
        return Cost(num_parameters(network), milliseconds / 1000)

    def allow(self, cost: Cost) -> bool:
        """Whether a network of this cost may be the outcome, with time to spare."""
        seconds = self.latency_seconds
        return not replace(self, latency_seconds=None if seconds is None else (1 - MARGIN) * seconds).exceeded(cost)

    def exceeded(self, cost: Cost) -> bool:
        """Whether a network costs more than this."""
        too_large = self.parameters is not None and cost.parameters > self.parameters
        if self.latency_seconds is None or cost.latency_seconds is None:
            return too_large
        return too_large or cost.latency_seconds > self.latency_seconds


@dataclass(frozen=True)
class Choice:
    """A candidate of a layer: how likely it is, and what it costs."""

    candidate: Candidate
    log_probability: float
    weights: int
    operations: int
    """A multiplication and an addition for each weight at each position of the layer's output."""


def choices_of(supernet: nn.Module, conversion: Conversion) -> dict[str, list[Choice]]:
    """By layer, what a searched supernet has to say of each candidate."""
    choices = {}
    for name, layer in mixtures(supernet).items():
        map_shape = conversion.searchable[name].map_shape
        positions = math.prod(math.ceil(n / s) for n, s in zip(map_shape, layer.stride, strict=True))
        channels = layer.out_channels * (layer.in_channels // layer.groups)
        scores = layer.arch_parameters.detach().log_softmax(dim=-1).tolist()
        taps = [math.prod(per_axis(candidate.kernel_size, layer.spatial_dims)) for candidate in layer.candidates]
        choices[name] = [
            Choice(candidate, score, channels * count, channels * count * positions)
            for candidate, score, count in zip(layer.candidates, scores, taps, strict=True)
        ]
    return choices


def likeliest_within(
    choices: Mapping[str, Sequence[Choice]], limits: Limits, fits: Callable[[Architecture], bool]
) -> Architecture:
    """The likeliest architecture that fits, of those that a size penalty of some strength would lead to.

    A penalty is taken off each choice's log-probability, in proportion to its weights or operations. The weakest one is
    taken whose architecture fits, found by bisection.

    Args:
        choices: of each layer, as `choices_of` gives them.
        limits: decide what is counted: weights, operations, or both by their shares.
        fits: whether an architecture is within the limits.

    Returns:
        The smallest architecture where none fits.
    """
    path = _ever_smaller(choices, limits)
    lowest, highest = 0, len(path) - 1
    while lowest < highest:
        middle = (lowest + highest) // 2
        lowest, highest = (lowest, middle) if fits(path[middle]) else (middle + 1, highest)
    return path[lowest]


def _ever_smaller(choices: Mapping[str, Sequence[Choice]], limits: Limits) -> list[Architecture]:
    """What ever stronger penalties lead to, from the likeliest architecture to the smallest."""
    costs = _shares(choices, limits)
    current = {name: max(range(len(layer)), key=lambda i: layer[i].log_probability) for name, layer in choices.items()}

    def architecture() -> Architecture:
        return Architecture({name: choices[name][i].candidate for name, i in current.items()})

    def loss(name: str, i: int) -> float:
        """Of likelihood, for each unit of cost that is saved."""
        now, then = choices[name][current[name]], choices[name][i]
        return (now.log_probability - then.log_probability) / (costs[name][current[name]] - costs[name][i])

    path = [architecture()]
    while smaller := [
        (name, i)
        for name, layer_costs in costs.items()
        for i in range(len(layer_costs))
        if layer_costs[i] < layer_costs[current[name]]
    ]:
        name, i = min(smaller, key=lambda exchange: loss(*exchange))
        current[name] = i
        path.append(architecture())
    return path


def _shares(choices: Mapping[str, Sequence[Choice]], limits: Limits) -> dict[str, list[float]]:
    """Of what the largest architecture costs, by layer the share of each choice; only what is limited counts."""
    every = choices.values()
    weights = sum(max(choice.weights for choice in layer) for layer in every)
    operations = sum(max(choice.operations for choice in layer) for layer in every)

    def share(choice: Choice) -> float:
        of_weights = 0.0 if limits.parameters is None else choice.weights / weights
        of_operations = 0.0 if limits.latency_seconds is None else choice.operations / operations
        return of_weights + of_operations

    return {name: [share(choice) for choice in layer] for name, layer in choices.items()}


def parse_number(text: str) -> int:
    """A number such as `50000`, `50k` or `1.5M`.

    Raises:
        ConfigError: anything else.
    """
    match = re.fullmatch(r"\s*(\d{1,12}(?:\.\d+)?)\s*([kKmM]?)\s*", text)
    number = 0 if match is None else round(float(match[1]) * {"": 1, "k": 1000, "m": 10**6}[match[2].lower()])
    if number < 1:
        raise ConfigError(f"cannot read {text!r} as a number of parameters; write it as 50000, 50k or 1.5M")
    return number


def parse_latency(text: str) -> float:
    """A short time such as `500us`, `5ms` or `0.1s`, in seconds.

    Raises:
        ConfigError: anything else.
    """
    match = re.fullmatch(r"\s*(\d{1,12}(?:\.\d+)?)\s*(us|ms|s)\s*", text)
    seconds = 0.0 if match is None else float(match[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[match[2]]
    if not seconds > 0:
        raise ConfigError(f"cannot read {text!r} as the time of an answer; write it as 500us, 5ms or 0.1s")
    return seconds
