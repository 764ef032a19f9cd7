"""AggConv as modules: they own kernels and architecture parameters, and call a strategy."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dashnas.errors import ConfigError, DataError, unknown_name
from dashnas.ops.costs import Load
from dashnas.ops.geometry import Geometry
from dashnas.ops.plan import AUTO, PLANS, choose
from dashnas.ops.relaxation import Relaxation, Softmax
from dashnas.ops.strategies import STRATEGIES
from dashnas.space import Candidate, PerAxis, per_axis

ARCH_STD = 1e-3
"""Standard deviation of fresh architecture parameters: all candidates start nearly equal (authors' code)."""


def aggconv(x: Tensor, bank: Tensor, mixture: Tensor, geometry: Geometry, strategy: str) -> Tensor:
    """The mixture of several "same" convolutions with zero padding, as a pure function.

    Under autocast the input is taken and the result returned in autocast's dtype, as with convolutions of the
    library.

    Args:
        x: (batch, in_channels, *spatial), of at least one sample.
        bank: (num_taps, out_channels, in_channels // groups), the kernels as in `Geometry`.
        mixture: (num_candidates,), the weight of each candidate.
        geometry: kernel sizes and dilations of the candidates, stride and groups.
        strategy: a name in `STRATEGIES`.

    Returns:
        (batch, out_channels, *ceil(spatial / stride)).

    Reference: Shen et al. 2022, Section 3.2, Equation 2.
    """
    device_type = x.device.type
    if torch.is_autocast_enabled(device_type) and x.dtype != torch.float64:  # which autocast leaves alone
        x = x.to(torch.get_autocast_dtype(device_type))
    with torch.autocast(device_type, enabled=False):
        return STRATEGIES[strategy](x, bank, mixture, geometry)


def with_bias(result: Tensor, bias: Tensor | None) -> Tensor:
    """A result (batch, channels, *spatial) and a bias (channels,), None for none, in the dtype of the result."""
    return result if bias is None else result + bias.to(result.dtype).view(-1, *(1,) * (result.dim() - 2))


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _choose(
    shape: torch.Size, out_channels: int, geometry: Geometry, dtype: torch.dtype, device: torch.device, plan: str
) -> str:
    """A plan belongs to a shape, and a compiled module is compiled for a shape."""
    batch, in_channels, *map_shape = shape
    load = Load(batch, in_channels, out_channels, tuple(map_shape), geometry)
    return choose(load, dtype, device, measure=plan == "measure")


class AggConv(nn.Module):
    """A convolution whose kernel size and dilation are still a mixture of candidates; see the subclasses.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        candidates: what the layer may become, distinct.
        stride: per axis or for all of them, in samples.
        groups: as in `torch.nn.Conv1d`; equal to in_channels for a depthwise layer.
        bias: whether a bias is added to the mixture's result.
        strategy: how to compute it, a name in `STRATEGIES`, or "auto" for the fastest on each shape of input.
        plan: where the strategy is "auto", "measure" times strategies of similar cost, "model" never does.
        relaxation: from architecture parameters to mixture; None is a plain softmax.
        kernel_std: standard deviation of fresh kernels; None draws each kernel as `torch.nn.Conv1d` draws its
            own.

    Raises:
        ConfigError: no candidates, one of them twice, an unknown strategy or plan, or groups that do not divide
            the channels.

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
        strategy: str = AUTO,
        plan: str = "measure",
        relaxation: Relaxation | None = None,
        kernel_std: float | None = None,
    ) -> None:
        super().__init__()
        if not candidates:
            raise ConfigError("AggConv needs at least one candidate, got none")
        if len(set(candidates)) < len(candidates):
            raise ConfigError(f"AggConv needs distinct candidates, got {', '.join(map(str, candidates))}")
        if strategy not in (AUTO, *STRATEGIES):
            raise ConfigError(unknown_name("strategy", strategy, (AUTO, *STRATEGIES)))
        if plan not in PLANS:
            raise ConfigError(unknown_name("plan", plan, PLANS))
        if in_channels % groups or out_channels % groups:
            raise ConfigError(f"groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.candidates = tuple(candidates)
        self.strategy = strategy
        self.plan = plan
        self.relaxation: Relaxation = Softmax() if relaxation is None else relaxation
        self.kernel_std = kernel_std
        self.geometry = Geometry(
            kernel_sizes=tuple(per_axis(c.kernel_size, self.spatial_dims) for c in candidates),
            dilations=tuple(per_axis(c.dilation, self.spatial_dims) for c in candidates),
            stride=per_axis(stride, self.spatial_dims),
            groups=groups,
        )
        self.stride = self.geometry.stride
        self.groups = groups
        self.kernels = nn.Parameter(torch.empty(self.geometry.num_taps, out_channels, in_channels // groups))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.arch_parameters = nn.Parameter(torch.empty(len(candidates)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw fresh kernels, a zero bias, and architecture parameters that prefer nothing."""
        for candidate in self.candidates:
            kernel = self.kernel_of(candidate)
            fresh = torch.empty_like(kernel, memory_format=torch.contiguous_format)
            if self.kernel_std is None:
                bound = kernel[0].numel() ** -0.5
                nn.init.uniform_(fresh, -bound, bound)
            else:
                nn.init.normal_(fresh, std=self.kernel_std)
            kernel.copy_(fresh)
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
        mixture = self.relaxation(self.arch_parameters)
        strategy = self.strategy
        if strategy == AUTO:
            strategy = _choose(input.shape, self.out_channels, self.geometry, input.dtype, input.device, self.plan)
        result = aggconv(input, self.kernels, mixture, self.geometry, strategy)
        return with_bias(result, self.bias)

    def kernel_of(self, candidate: Candidate) -> Tensor:
        """The kernel of one candidate, a view (out_channels, in_channels // groups, *kernel_size) of `kernels`."""
        index = self.candidates.index(candidate)
        taps = self.kernels.detach()[self.geometry.spans[index]]
        return taps.view(*self.geometry.kernel_sizes[index], *taps.shape[1:]).movedim((-2, -1), (0, 1))

    def choice(self) -> Candidate:
        """The candidate with the largest architecture parameter."""
        return self.candidates[int(self.arch_parameters.argmax())]

    def mixture_entropy(self) -> float:
        """Entropy of the softmax of the architecture parameters, in nats: at most log(num_candidates)."""
        return float(torch.special.entr(self.arch_parameters.detach().softmax(dim=-1)).sum())

    def extra_repr(self) -> str:
        """Shown by `print(module)`."""
        stride = f", stride={self.geometry.stride}" if set(self.geometry.stride) != {1} else ""
        groups = f", groups={self.geometry.groups}" if self.geometry.groups != 1 else ""
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
