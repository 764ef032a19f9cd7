"""Search the convolutions of a network of your own, in a training loop of your own.

The task is an echo: noise plus itself, 24 samples later, added or subtracted. Kernels of three neighbouring samples
cannot tell which; the search has to find kernels that bring samples 24 apart together. Afterwards the network is
built wider than it was searched, and saved so that plain PyTorch can load it.
"""

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from dashnas import GumbelSoftmax, SearchSpace, derive, discretise, find_searchable, to_supernet

LAG = 24


class Net(nn.Module):
    """Two blocks with a shortcut around the second, a mean over time, a linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, width, kernel_size=3, padding=1)
        self.norm1 = nn.BatchNorm1d(width)
        self.conv2 = nn.Conv1d(width, width, kernel_size=3, padding=1)
        self.norm2 = nn.BatchNorm1d(width)
        self.shortcut = nn.Conv1d(width, width, kernel_size=1)
        self.head = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, length) to (batch, 2)."""
        x = self.norm1(self.conv1(x)).relu()
        x = (self.norm2(self.conv2(x)) + self.shortcut(x)).relu()
        return self.head(x.mean(dim=-1))


def echoes(samples: int) -> tuple[Tensor, Tensor]:
    """Signals (samples, 1, 128), and whether their echo was added (1) or subtracted (0)."""
    y = torch.randint(2, (samples,))
    noise = torch.randn(samples, 1, 128 + LAG)
    return noise[..., LAG:] + (2 * y - 1).view(-1, 1, 1) * noise[..., :-LAG], y


def train(model: nn.Module, optimiser: torch.optim.Optimizer, x: Tensor, y: Tensor, epochs: int = 15) -> None:
    """A loop like any other; a supernet needs nothing special."""
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of right answers."""
    with torch.no_grad():
        return (model.eval()(x).argmax(dim=1) == y).float().mean().item()


def main() -> None:
    """Search at width 8, train at width 16, save."""
    torch.manual_seed(0)
    x, y = echoes(1000)
    test = echoes(1000)

    space = SearchSpace(kernel_sizes=(3, 5, 7), dilations=(1, 2, 4, 8))
    conversion = find_searchable(Net(8), space, sample=x[:2])
    for name, layer in conversion.searchable.items():
        print(f"{name}: {len(layer.candidates)} candidates on a map of {layer.map_shape}")
    for name, reason in conversion.kept.items():
        print(f"{name} stays as it is: {reason}")

    supernet = to_supernet(Net(8), space, sample=x[:2], relaxation=GumbelSoftmax())
    arch_parameters, weights = [], []
    for name, parameter in supernet.named_parameters():
        (arch_parameters if name.endswith("arch_parameters") else weights).append(parameter)
    train(supernet, torch.optim.Adam([{"params": weights}, {"params": arch_parameters, "lr": 0.03}], lr=0.01), x, y)
    architecture = discretise(supernet)
    print(f"chosen: {architecture}")

    searched = derive(Net(16), architecture)
    for name, network in {"untouched": Net(16), "searched": searched}.items():
        train(network, torch.optim.Adam(network.parameters(), lr=0.01), x, y)
        print(f"{name} network, width 16: test accuracy {accuracy(network, *test):.2f}")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pt"
        torch.save(searched.state_dict(), path)  # keys are those of Net: conv1.weight, conv1.bias, ...
        again = derive(Net(16), architecture)
        again.load_state_dict(torch.load(path, weights_only=True))
    print(f"saved, loaded again: test accuracy {accuracy(again, *test):.2f}; {again.conv1}")


if __name__ == "__main__":
    main()
