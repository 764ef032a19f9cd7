"""AggConv through merged kernels, with a backward pass of its own that keeps nothing but what went in."""

from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor

from dashnas.ops.geometry import Geometry
from dashnas.ops.merge import Grid, merge, merge_backward


class Correlation(Protocol):
    """Correlates an input with kernels that have been merged on grids of its choice."""

    def grids(self, geometry: Geometry, map_shape: tuple[int, ...]) -> tuple[Grid, ...]:
        """On which grids to merge the kernels; every tap that can meet data must have a place on one of them."""
        ...

    def forward(self, x: Tensor, kernels: Sequence[Tensor], grids: Sequence[Grid], geometry: Geometry) -> Tensor:
        """X (batch, in_channels, *spatial), kernels as `merge` returns them; (batch, out_channels, *output_shape)."""
        ...

    def backward(
        self,
        grad: Tensor,
        x: Tensor,
        kernels: Sequence[Tensor],
        grids: Sequence[Grid],
        geometry: Geometry,
        needs_grad_x: bool,
    ) -> tuple[Tensor | None, list[Tensor]]:
        """The gradients of x, None if it is not needed, and of each kernel."""
        ...


class Merged:
    """The strategy that merges the kernels and then correlates; see `dashnas.ops.strategies.Strategy`.

    Args:
        name: in `STRATEGIES`.
        correlation: what it does with merged kernels.
    """

    def __init__(self, name: str, correlation: Correlation) -> None:
        self.name = name
        self.correlation = correlation
        _MERGED[name] = self

    def __call__(self, x: Tensor, bank: Tensor, mixture: Tensor, geometry: Geometry) -> Tensor:
        """Shapes as in `dashnas.ops.strategies.Strategy`."""
        result: Tensor = _Forward.apply(x, bank, mixture, geometry, self.name)  # type: ignore[no-untyped-call]
        return result

    def forward(self, x: Tensor, bank: Tensor, mixture: Tensor, geometry: Geometry) -> Tensor:
        """The result, without a graph."""
        grids, kernels = self._merge(x, bank, mixture, geometry)
        return self.correlation.forward(x, kernels, grids, geometry)

    def backward(
        self, grad: Tensor, x: Tensor, bank: Tensor, mixture: Tensor, geometry: Geometry, needs_grad_x: bool
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        """The gradients of x, bank and mixture. Kernels are merged again rather than kept."""
        grids, kernels = self._merge(x, bank, mixture, geometry)
        grad_x, grad_kernels = self.correlation.backward(grad, x, kernels, grids, geometry, needs_grad_x)
        return grad_x, *merge_backward(grad_kernels, bank, mixture, geometry, grids)

    def _merge(
        self, x: Tensor, bank: Tensor, mixture: Tensor, geometry: Geometry
    ) -> tuple[tuple[Grid, ...], list[Tensor]]:
        grids = self.correlation.grids(geometry, tuple(x.shape[2:]))
        return grids, [merge(bank, mixture, geometry, grid) for grid in grids]


_MERGED: dict[str, Merged] = {}


class _Forward(torch.autograd.Function):
    """Saves its inputs and nothing else."""

    @staticmethod
    def forward(x: Tensor, bank: Tensor, mixture: Tensor, geometry: Geometry, name: str) -> Tensor:
        if torch.compiler.is_compiling():
            result: Tensor = _opaque_forward(x, bank, mixture, *_flat(geometry), name)
            return result
        return _MERGED[name].forward(x, bank, mixture, geometry)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, bank, mixture, ctx.geometry, ctx.name = inputs
        ctx.save_for_backward(x, bank, mixture)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, bank, mixture = ctx.saved_tensors
        grads = _Backward.apply(grad, x, bank, mixture, ctx.geometry, ctx.name, ctx.needs_input_grad[0])  # type: ignore[no-untyped-call]
        of_x = grads[0] if ctx.needs_input_grad[0] else None
        return of_x, grads[1], grads[2], None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        return _one_by_one(_Forward, info, in_dims, args)


class _Backward(torch.autograd.Function):
    """A function of its own, so that `torch.func` and `torch.compile` see it as one."""

    @staticmethod
    def forward(
        grad: Tensor, x: Tensor, bank: Tensor, mixture: Tensor, geometry: Geometry, name: str, needs_grad_x: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        if torch.compiler.is_compiling():
            result: tuple[Tensor, Tensor, Tensor] = _opaque_backward(
                grad, x, bank, mixture, *_flat(geometry), name, needs_grad_x
            )
            return result
        return _without_none(_MERGED[name].backward(grad, x, bank, mixture, geometry, needs_grad_x), x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> NoReturn:
        raise NotImplementedError("AggConv has no second derivatives; strategy='mixed_results' has them")

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        return _one_by_one(_Backward, info, in_dims, args)


def _without_none(grads: tuple[Tensor | None, Tensor, Tensor], x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Functions under vmap and compilation return tensors only: an empty one in place of a gradient of x."""
    of_x, of_bank, of_mixture = grads
    return x.new_empty(0) if of_x is None else of_x, of_bank, of_mixture


def _one_by_one(function: Any, info: Any, in_dims: tuple[Any, ...], args: tuple[Any, ...]) -> tuple[Any, Any]:
    """Vmap by a loop: the products inside are batched already."""
    results = [
        function.apply(
            *(
                arg.select(dim, index) if isinstance(arg, Tensor) and dim is not None else arg
                for arg, dim in zip(args, in_dims, strict=True)
            )
        )
        for index in range(info.batch_size)
    ]
    if isinstance(results[0], Tensor):
        return torch.stack(results), 0
    stacked = tuple(torch.stack(parts) for parts in zip(*results, strict=True))
    return stacked, (0,) * len(stacked)


# What torch.compile sees: operators it does not look into, made of types that it knows.


def _flat(geometry: Geometry) -> tuple[list[int], list[int], list[int], int]:
    sizes = [size for candidate in geometry.kernel_sizes for size in candidate]
    dilations = [dilation for candidate in geometry.dilations for dilation in candidate]
    return sizes, dilations, list(geometry.stride), geometry.groups


def _geometry(sizes: Sequence[int], dilations: Sequence[int], stride: Sequence[int], groups: int) -> Geometry:
    axes = len(stride)
    return Geometry(
        tuple(tuple(sizes[i : i + axes]) for i in range(0, len(sizes), axes)),
        tuple(tuple(dilations[i : i + axes]) for i in range(0, len(dilations), axes)),
        tuple(stride),
        groups,
    )


@torch.library.custom_op("dashnas::aggconv", mutates_args=())
def _opaque_forward(
    x: Tensor,
    bank: Tensor,
    mixture: Tensor,
    kernel_sizes: Sequence[int],
    dilations: Sequence[int],
    stride: Sequence[int],
    groups: int,
    name: str,
) -> Tensor:
    return _MERGED[name].forward(x, bank, mixture, _geometry(kernel_sizes, dilations, stride, groups))


@_opaque_forward.register_fake
def _(x: Tensor, bank: Tensor, mixture: Tensor, *others: Any) -> Tensor:
    *flat, _ = others
    return x.new_empty(x.shape[0], bank.shape[1], *_geometry(*flat).output_shape(tuple(x.shape[2:])))


@torch.library.custom_op("dashnas::aggconv_backward", mutates_args=())
def _opaque_backward(
    grad: Tensor,
    x: Tensor,
    bank: Tensor,
    mixture: Tensor,
    kernel_sizes: Sequence[int],
    dilations: Sequence[int],
    stride: Sequence[int],
    groups: int,
    name: str,
    needs_grad_x: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    geometry = _geometry(kernel_sizes, dilations, stride, groups)
    return _without_none(_MERGED[name].backward(grad, x, bank, mixture, geometry, needs_grad_x), x)


@_opaque_backward.register_fake
def _(_g: Tensor, x: Tensor, bank: Tensor, mixture: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    needs_grad_x = others[-1]
    return x.new_empty(x.shape if needs_grad_x else 0), torch.empty_like(bank), torch.empty_like(mixture)
