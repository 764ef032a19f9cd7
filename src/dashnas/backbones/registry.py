"""Backbones by name: what they fit, how they are built."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from dashnas.checks import read_name
from dashnas.data.spec import DataSpec
from dashnas.errors import ConfigError, unknown_name
from dashnas.lengths import refuse_lengths
from dashnas.recipe import Optimiser

_DATA_OF = {1: "1-D data (signals)", 2: "2-D data (images, fields)"}


class Builder(Protocol):
    """Makes a backbone for a data set; `build_backbone` says what the arguments mean."""

    def __call__(
        self, spec: DataSpec, *, width: int, dropout: float, official: bool, for_search: bool
    ) -> nn.Module: ...


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """An entry of the registry."""

    build: Builder
    """Makes the network."""
    spatial_dims: int
    """1 for signals, 2 for images and fields."""
    default_width: int
    """The width when none is asked for."""
    initialise: Callable[[nn.Module], object] | None = None
    """Draws the weights of one convolution of the network, for `derive`; None leaves PyTorch's own."""
    optimiser: Optimiser = Optimiser.SGD
    """What the presets `default` and `quick` train it by. A plain string does too."""

    def __post_init__(self) -> None:
        read_name(self, "optimiser", Optimiser)


BACKBONES: dict[str, Backbone] = {}
"""All backbones by name."""


def register_backbone(
    name: str,
    *,
    spatial_dims: int,
    default_width: int,
    initialise: Callable[[nn.Module], object] | None = None,
    optimiser: Optimiser = Optimiser.SGD,
) -> Callable[[Builder], Builder]:
    """Enter the decorated builder into the registry; the arguments are the fields of `Backbone`.

    Raises:
        ConfigError: the name is taken, or there are no data of such a dimension.
    """
    if spatial_dims not in _DATA_OF:
        raise ConfigError(f"spatial_dims must be 1 for signals or 2 for images, got {spatial_dims}")

    def enter(build: Builder) -> Builder:
        if name in BACKBONES:
            raise ConfigError(f"a backbone {name!r} is registered already; choose another name")
        BACKBONES[name] = Backbone(
            build=build,
            spatial_dims=spatial_dims,
            default_width=default_width,
            initialise=initialise,
            optimiser=optimiser,
        )
        return build

    return enter


def default_backbone(spec: DataSpec) -> str:
    """The name of the backbone for data nobody chose one for: the paper's, Shen et al. 2022, Section 3.3.

    Raises:
        ConfigError: data that are neither 1-D nor 2-D.
    """
    names = {1: "resnet1d", 2: "wrn"}
    if spec.spatial_dims not in names:
        raise ConfigError(
            f"backbones are for 1-D and 2-D data, but samples here have {spec.spatial_dims} spatial axes "
            f"{spec.spatial_shape}; bring them to (channels, length) or (channels, height, width)"
        )
    return names[spec.spatial_dims]


def build_backbone(
    name: str | None,
    spec: DataSpec,
    *,
    width: int | None = None,
    dropout: float = 0.0,
    official: bool = False,
    for_search: bool = False,
) -> nn.Module:
    """Make a backbone for a data set, untrained.

    It takes (batch, channels, *spatial) and gives logits: (batch, outputs), or (batch, outputs, *spatial) for
    dense targets; of series of unequal length it takes their lengths, (batch,), too. Names of layers are the same at
    every width, for dense and point targets, and in search and retraining.

    Args:
        name: "wrn" or "convnext" for 2-D; "resnet1d" or "tcn" for 1-D; None takes `default_backbone`.
        spec: the data set.
        width: channels of the first stage of "wrn" (16 k for WRN-16-k; its stem has 16 always) and "convnext"
            (96 for ConvNeXt-T), of the first block of "resnet1d", of every block of "tcn"; None takes 16, 16,
            64 and 100.
        dropout: the probability to drop a value inside a block; in "convnext", to skip a block.
        official: build the networks of the DASH authors' code with their accidents, on which published scores
            depend; the modules of this package say which. Without it, all convolutions are centred.
        for_search: with `official`, build what that code searches on rather than what it retrains: centred
            plain convolutions in place of causal ones. Without `official` the two are one network.

    Raises:
        ConfigError: an unknown name, a backbone for data of another dimension or for series of one length only, a
            bad width or dropout, or a network that cannot be trained or saved.
    """
    if name is None:
        name = default_backbone(spec)
    if name not in BACKBONES:
        raise ConfigError(unknown_name("backbone", name, BACKBONES))
    backbone = BACKBONES[name]
    if backbone.spatial_dims != spec.spatial_dims:
        fitting = ", ".join(n for n, b in sorted(BACKBONES.items()) if b.spatial_dims == spec.spatial_dims)
        raise ConfigError(
            f"backbone {name!r} is for {_DATA_OF[backbone.spatial_dims]}, but the samples have spatial shape "
            f"{spec.spatial_shape}; backbones that fit: {fitting or 'none'}"
        )
    if width is None:
        width = backbone.default_width
    if width < 1:
        raise ConfigError(f"width must be at least 1, got {width}; the default of {name!r} is {backbone.default_width}")
    if not 0 <= dropout < 1:
        raise ConfigError(f"dropout must be a probability below 1, got {dropout}; 0 drops nothing")
    network = backbone.build(spec, width=width, dropout=dropout, official=official, for_search=for_search)
    _refuse_unusable(name, network)
    if spec.unequal_lengths:
        refuse_lengths(network)
    return network


def _refuse_unusable(name: str, network: Any) -> None:
    """Make sure that what a builder of somebody else's returned can be trained and saved."""
    if not isinstance(network, nn.Module):
        raise ConfigError(f"the builder of backbone {name!r} returned {network!r}; expected a torch.nn.Module")
    if any(isinstance(layer, nn.Embedding | nn.EmbeddingBag) and layer.sparse for layer in network.modules()):
        raise ConfigError(
            f"backbone {name!r} has an embedding with sparse gradients, which nothing here trains by; build it with "
            "sparse=False"
        )
    if others := [key for key, value in network.state_dict().items() if not isinstance(value, Tensor)]:
        raise ConfigError(
            f"the state of backbone {name!r} holds what is no tensor and cannot be saved, {', '.join(others)}; let "
            "get_extra_state return a tensor, or leave it out"
        )
