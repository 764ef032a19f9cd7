"""Ideas for the search, each alone, where the true ranking is known: the space of `exhaustive.py`.

Each is run with ten seeds, for 20 epochs and for 3, as within a short budget. What is chosen is looked up in the table
of all architectures: the likeliest architecture, and the likeliest one that has no more weights than the untouched
network. The regret is (error - best) / (median - best), of all architectures or of those so small.

    python benchmarks/ablations.py --jobs 2
    python benchmarks/ablations.py --quick       # one seed of each, to see that it runs; saves nothing
"""

import argparse
import itertools
import math
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from _report import markdown, provenance, save
from exhaustive import (
    BATCH,
    SPACE,
    TABLE,
    UNTOUCHED,
    all_architectures,
    errors_of,
    in_scratch,
    in_words,
    interval,
    regrets,
    stock,
    task,
    trained,
)
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from dashnas.config import SearchConfig
from dashnas.convert import Conversion, derive, discretise, mixtures
from dashnas.data.parts import Part
from dashnas.inference_cost import num_parameters
from dashnas.limits import Limits, choices_of, likeliest_within
from dashnas.ops.aggconv import AggConv
from dashnas.search import make_supernet, search_phase
from dashnas.space import Architecture
from dashnas.training import train

SEEDS = 10
LENGTHS = (20, 3)
NEVER = -1e4
"""Log-odds of a candidate that is out."""

Step = Callable[[list[AggConv], float], None]
"""Called after each backward pass with the layers, and the share of all steps that are done."""


@dataclass(frozen=True)
class Variant:
    """A search with one thing changed."""

    config: SearchConfig = field(default_factory=SearchConfig)
    step: Step | None = None
    searches: int = 1
    """Which share the epochs, and whose log-probabilities are added."""
    held_out: bool = False
    """Whether weights learn from one half of the samples and the architecture parameters from the other."""
    crops: bool = False
    """Whether the candidates of a layer share one kernel."""
    by_effect: bool = False
    """Whether layers choose one after the other, each by the loss that the supernet has with that candidate alone."""


def falling_temperature(layers: list[AggConv], done: float) -> None:
    """From 3 to 0.3."""
    for layer in layers:
        layer.relaxation.temperature = 3.0 * 0.1**done


def exponentiated_gradient(layers: list[AggConv], done: float) -> None:
    """The gradient of each probability in place of that of its log-odds, which is that much smaller."""
    for layer in layers:
        assert layer.arch_parameters.grad is not None
        layer.arch_parameters.grad.div_(layer.arch_parameters.detach().softmax(dim=-1).clamp_min(1e-3))


def pruning(layers: list[AggConv], done: float) -> None:
    """After a third of the steps the least likely third of the candidates is out, after two thirds two."""
    for layer in layers:
        out = math.floor(3 * done) * len(layer.candidates) // 3
        layer.arch_parameters.data[layer.arch_parameters.detach().argsort()[:out]] = NEVER


def falling_entropy(layers: list[AggConv], done: float) -> None:
    """A penalty of the entropy of each mixture that grows with the search."""
    for layer in layers:
        assert layer.arch_parameters.grad is not None
        probabilities = layer.arch_parameters.detach().softmax(dim=-1)
        surprise = -probabilities.clamp_min(1e-9).log()
        gradient = probabilities * (surprise - (probabilities * surprise).sum())
        layer.arch_parameters.grad.add_(done * layer.arch_parameters.grad.norm() * gradient / (gradient.norm() + 1e-8))


def priced_weights(layers: list[AggConv], done: float) -> None:
    """A penalty of the square of how far the expected weights are above those of the untouched network."""
    expected, gradients, target = 0.0, [], 0.0
    for layer, untouched in zip(layers, UNTOUCHED.values(), strict=True):
        weights = torch.tensor([float(layer.kernel_of(candidate).numel()) for candidate in layer.candidates])
        probabilities = layer.arch_parameters.detach().softmax(dim=-1)
        mean = (probabilities * weights).sum()
        gradients.append(probabilities * (weights - mean))
        expected += float(mean)
        target += float(layer.kernel_of(untouched).numel())
    above = max(expected / target - 1, 0.0)
    for layer, gradient in zip(layers, gradients, strict=True):
        assert layer.arch_parameters.grad is not None
        layer.arch_parameters.grad.add_(layer.arch_parameters.grad.norm() * 100 * above * gradient / target)


class Crops(nn.Module):
    """The kernels of a mixture, each the middle of one kernel of the largest size, as wide as its own would start."""

    def __init__(self, layer: AggConv) -> None:
        super().__init__()
        sizes = [size for (size,) in layer.geometry.kernel_sizes]
        self.largest = layer.geometry.spans[sizes.index(max(sizes))]
        starts = [(max(sizes) - size) // 2 for size in sizes]
        places = [start + np.arange(size) for start, size in zip(starts, sizes, strict=True)]
        self.places = torch.from_numpy(np.concatenate(places))
        scales = [np.full(size, (max(sizes) / size) ** 0.5) for size in sizes]
        self.scales = torch.from_numpy(np.concatenate(scales)).float()[:, None, None]

    def forward(self, kernel: Tensor) -> Tensor:
        """(largest size, outputs, inputs) to (taps of all candidates, outputs, inputs)."""
        return kernel[self.places] * self.scales

    def right_inverse(self, kernels: Tensor) -> Tensor:
        """The kernel to start with."""
        return kernels[self.largest]


VARIANTS = {
    "as it is": Variant(),
    "no noise": Variant(SearchConfig(gumbel=False)),
    "temperature from 3 to 0.3": Variant(step=falling_temperature),
    "growing penalty of entropy": Variant(step=falling_entropy),
    "exponentiated gradient": Variant(step=exponentiated_gradient),
    "candidates pruned": Variant(step=pruning),
    "held-out halves": Variant(held_out=True),
    "effect of each choice": Variant(by_effect=True),
    "three searches agree": Variant(searches=3),
    "gradients of layers as they are": Variant(SearchConfig(arch_grad_norm=None)),
    "penalty of weights above the untouched": Variant(step=priced_weights),
    "kernels as crops of one": Variant(crops=True),
    "nothing larger to choose from": Variant(SearchConfig(no_larger=True)),
    "nothing larger, no noise": Variant(SearchConfig(no_larger=True, gumbel=False)),
}


def search_one(name: str, epochs: int, seed: int) -> dict[str, Any]:
    """What a variant chooses."""
    torch.set_num_threads(1)
    variant = VARIANTS[name]
    logits: defaultdict[str, list[torch.Tensor]] = defaultdict(list)
    for number in range(variant.searches):
        share = max(round(epochs / variant.searches), 1)
        supernet, conversion = _searched(variant, share, seed=seed + 1000 * number)
        for layer_name, layer in mixtures(supernet).items():
            logits[layer_name].append(layer.arch_parameters.detach().log_softmax(dim=-1))
    for layer_name, layer in mixtures(supernet).items():
        layer.arch_parameters.data = torch.stack(logits[layer_name]).sum(0)
    if variant.by_effect:
        _choose_by_effect(supernet)
    return {
        "variant": name,
        "epochs": epochs,
        "seed": seed,
        "likeliest": in_words(discretise(supernet)),
        "no larger": in_words(_no_larger(supernet, conversion)),
    }


def _searched(variant: Variant, epochs: int, *, seed: int) -> tuple[nn.Module, Conversion]:
    data, loss = task()
    torch.manual_seed(seed)
    supernet, conversion = make_supernet(stock(seed), SPACE, data.train.batch(np.arange(2)).x, variant.config)
    if variant.crops:
        for layer in mixtures(supernet).values():
            register_parametrization(layer, "kernels", Crops(layer))
    own, other = _halves(data.train, seed) if variant.held_out else (data.train, data.train)
    phase = search_phase(supernet, own, loss, variant.config, epochs=epochs, batch_size=BATCH, seed=seed)
    layers, shape = list(mixtures(supernet).values()), phase.shape_gradients
    steps, total = itertools.count(), epochs * math.ceil(len(own) / BATCH)
    rng = np.random.default_rng(seed)
    assert shape is not None

    def shaped() -> None:
        if variant.held_out:
            batch = other.batch(rng.choice(len(other), BATCH, replace=False))
            wanted = [layer.arch_parameters for layer in layers]
            gradients = torch.autograd.grad(loss(supernet(batch.x), batch), wanted)
            for parameter, gradient in zip(wanted, gradients, strict=True):
                parameter.grad = gradient
        if variant.step is not None:
            variant.step(layers, next(steps) / total)
        shape()

    with in_scratch() as session:
        train(replace(phase, shape_gradients=shaped), session)
    return supernet, conversion


def _halves(part: Part, seed: int) -> tuple[Part, Part]:
    one, other = np.array_split(np.random.default_rng(seed).permutation(len(part)), 2)
    return part.subset(one), part.subset(other)


@torch.no_grad()
def _choose_by_effect(supernet: nn.Module) -> None:
    """Each layer's architecture parameters become minus the training loss with that candidate alone, times 100."""
    data, loss = task()
    batch = data.train.batch(np.arange(len(data.train)))
    supernet.eval()
    for layer in mixtures(supernet).values():
        losses = []
        for number in range(len(layer.candidates)):
            layer.arch_parameters.data.fill_(NEVER)[number] = 0.0
            losses.append(float(loss(supernet(batch.x), batch)))
        layer.arch_parameters.data = -100 * torch.tensor(losses)


def _weights(architecture: Architecture) -> int:
    with torch.device("meta"):
        return num_parameters(derive(stock(0), architecture))


def _no_larger(supernet: nn.Module, conversion: Conversion) -> Architecture:
    most = _weights(UNTOUCHED)
    choices = choices_of(supernet, conversion)
    return likeliest_within(choices, Limits(parameters=most), lambda one: _weights(one) <= most)


def summary(rows: list[dict[str, Any]]) -> str:
    """Regret by variant and length of the search, of both choices."""
    errors, most = errors_of(trained(TABLE)), _weights(UNTOUCHED)
    small = {name for name, architecture in all_architectures().items() if _weights(architecture) <= most}
    spaces = {"likeliest": errors, "no larger": {name: error for name, error in errors.items() if name in small}}
    lines = []
    for variant in VARIANTS:
        line = [variant]
        for choice, epochs in itertools.product(spaces, LENGTHS):
            chosen = [row[choice] for row in rows if row["variant"] == variant and row["epochs"] == epochs]
            found = regrets(chosen, spaces[choice])
            low, high = interval(found)
            line.append(f"{found.mean():.2f} [{low:.2f}, {high:.2f}]")
        lines.append(line)
    header = ["regret, mean [95 % interval]", *(f"{c}, {e} epochs" for c, e in itertools.product(spaces, LENGTHS))]
    return markdown(header, lines)


def main() -> None:
    """Search with each variant, look up what is chosen, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="searches at a time, one thread each")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    about = provenance()
    keys = list(itertools.product(VARIANTS, LENGTHS, range(1 if arguments.quick else SEEDS)))
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
        rows = list(pool.map(search_one, *zip(*keys, strict=True)))
    table = summary(rows)
    print(table)
    if not arguments.quick:
        save("ablations", "Ideas for the search, in a space where all is known", __doc__, rows, table, about)


if __name__ == "__main__":
    main()
