"""Series of unequal length: which networks take them, and how these are called."""

import inspect

from torch import Tensor, nn

from dashnas.errors import ConfigError


def refuse_lengths(network: nn.Module) -> None:
    """Make sure that a network can be told how long each series is.

    Raises:
        ConfigError: its `forward` has no argument `lengths`, so that it would take padding for values.
    """
    if "lengths" not in inspect.signature(network.forward).parameters:
        raise ConfigError(
            f"the series are of unequal length, but {type(network).__name__} would take the padding behind them for "
            "values: its forward has no argument `lengths`; take the backbone resnet1d or tcn, or resample the series "
            "to one length"
        )


def network_outputs(network: nn.Module, x: Tensor, lengths: Tensor | None) -> Tensor:
    """What a network gives for a batch.

    Args:
        network: takes (batch, channels, *spatial) and, where there are lengths, these as its second argument.
        x: the inputs.
        lengths: (batch,), positions of each series before its padding; None where there is no padding.

    Raises:
        ConfigError: there are lengths, and the network cannot be told.
    """
    if lengths is None:
        return network(x)  # type: ignore[no-any-return]
    refuse_lengths(network)
    return network(x, lengths)  # type: ignore[no-any-return]
