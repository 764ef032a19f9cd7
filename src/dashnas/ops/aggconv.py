"""AggConv as modules: they own kernels and architecture parameters, and call a strategy."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dashnas.errors import ConfigError, DataError, unknown_name
from dashnas.ops.relaxation import Relaxation, Softmax
from dashnas.ops.strategies import STRATEGIES
from dashnas.space import Candidate, PerAxis, per_axis

ARCH_STD = 1e-3
"""Standard deviation of fresh architecture parameters: all candidates start nearly equal (authors' code)."""


class AggConv(nn.Module):
    """A convolution whose kernel size and dilation are still a mixture of candidates; see the subclasses.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        candidates: what the layer may become, distinct.
        stride: per axis or for all of them, in samples.
        groups: as in `torch.nn.Conv1d`; equal to in_channels for a depthwise layer.
        bias: whether a bias is added to the mixture's result.
        strategy: how to compute it, a name in `STRATEGIES`.
        relaxation: from architecture parameters to mixture; None is a plain softmax.
        kernel_std: standard deviation of fresh kernels; None draws each kernel as `torch.nn.Conv1d` draws its
            own.

    Raises:
        ConfigError: no candidates, one of them twice, an unknown strategy, or groups that do not divide the
            channels.

    Reference: Shen et al. 2022, Section 3.2, Equation 2.
    """

    spatial_dims: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        candidates: Sequence[Candidate],
        *,
        stride: PerAxis = 1,
        groups: int = 1,
        bias: bool = True,
        strategy: str = "fourier",
        relaxation: Relaxation | None = None,
        kernel_std: float | None = None,
    ) -> None:
        super().__init__()
        if not candidates:
            raise ConfigError("AggConv needs at least one candidate, got none")
        if len(set(candidates)) < len(candidates):
            raise ConfigError(f"AggConv needs distinct candidates, got {', '.join(map(str, candidates))}")
        if strategy not in STRATEGIES:
            raise ConfigError(unknown_name("strategy", strategy, STRATEGIES))
        if in_channels % groups or out_channels % groups:
            raise ConfigError(f"groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.candidates = tuple(candidates)
        self.stride = per_axis(stride, self.spatial_dims)
        self.groups = groups
        self.strategy = strategy
        self.relaxation: Relaxation = Softmax() if relaxation is None else relaxation
        self.kernel_std = kernel_std
        self.dilations = tuple(per_axis(c.dilation, self.spatial_dims) for c in candidates)
        self.kernels = nn.ParameterDict()
        for c in candidates:  # one by one: ParameterDict sorts a dictionary by name, k11_d1 before k3_d1
            kernel_size = per_axis(c.kernel_size, self.spatial_dims)
            self.kernels[str(c)] = nn.Parameter(torch.empty(out_channels, in_channels // groups, *kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.arch_parameters = nn.Parameter(torch.empty(len(candidates)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw fresh kernels, a zero bias, and architecture parameters that prefer nothing."""
        for kernel in self.kernels.values():
            if self.kernel_std is None:
                bound = kernel[0].numel() ** -0.5
                nn.init.uniform_(kernel, -bound, bound)
            else:
                nn.init.normal_(kernel, std=self.kernel_std)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        nn.init.normal_(self.arch_parameters, std=ARCH_STD)

    def forward(self, input: Tensor) -> Tensor:  # named as in torch.nn.Conv1d, for calls by keyword
        """(batch, in_channels, *spatial) to (batch, out_channels, *ceil(spatial / stride)).

        Raises:
            DataError: an input of another shape, for which the strategies would fail in ways of their own.
        """
        if input.dim() != self.spatial_dims + 2 or input.shape[1] != self.in_channels or 0 in input.shape:
            axes = ", ".join(("height", "width") if self.spatial_dims == 2 else ("length",))
            raise DataError(
                f"{type(self).__name__} needs an input of shape (batch, {self.in_channels}, {axes}) "
                f"with something in it, got {tuple(input.shape)}"
            )
        compute = STRATEGIES[self.strategy]
        mixture = self.relaxation(self.arch_parameters)
        kernels = [self.kernel_of(candidate) for candidate in self.candidates]
        result = compute(input, kernels, mixture, self.dilations, stride=self.stride, groups=self.groups)
        if self.bias is not None:
            result = result + self.bias.to(result.dtype).view(-1, *(1,) * self.spatial_dims)
        return result

    def kernel_of(self, candidate: Candidate) -> nn.Parameter:
        """The kernel of one candidate, (out_channels, in_channels // groups, *kernel_size)."""
        kernel: nn.Parameter = self.kernels[str(candidate)]
        return kernel

    def choice(self) -> Candidate:
        """The candidate with the largest architecture parameter."""
        return self.candidates[int(self.arch_parameters.argmax())]

    def mixture_entropy(self) -> float:
        """Entropy of the softmax of the architecture parameters, in nats: at most log(num_candidates)."""
        return float(torch.special.entr(self.arch_parameters.detach().softmax(dim=-1)).sum())

    def extra_repr(self) -> str:
        """Shown by `print(module)`."""
        stride = f", stride={self.stride}" if set(self.stride) != {1} else ""
        groups = f", groups={self.groups}" if self.groups != 1 else ""
        return (
            f"{self.in_channels}, {self.out_channels}, candidates={len(self.candidates)}{stride}{groups}, "
            f"strategy={self.strategy!r}"
        )


class AggConv1d(AggConv):
    """A mixture of convolutions over signals (batch, channels, length)."""

    spatial_dims = 1


class AggConv2d(AggConv):
    """A mixture of convolutions over images (batch, channels, height, width)."""

    spatial_dims = 2
