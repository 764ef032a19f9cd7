"""What settings are checked for, with a message that says what was wrong."""

from enum import StrEnum
from numbers import Integral
from typing import Any

from dashnas.errors import ConfigError, unknown_name

MOST = 10**9
"""Of epochs, trials, samples of a batch or channels. No machine has time or memory for more, and PyTorch breaks beyond
64 bits."""

MOST_SAM_RADIUS = 10
"""A hundred times the usual one; further away nothing is learned."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def require_count(name: str, value: int) -> None:
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    require(is_whole, f"{name} must be a whole number, got {value!r}")
    require(value >= 1, f"{name} must be at least 1, got {value}")
    require(value <= MOST, f"{name} must be at most {MOST}, got {value}")


def require_sam_radius(name: str, value: float) -> None:
    require(0 <= value <= MOST_SAM_RADIUS, f"{name} must lie in [0, {MOST_SAM_RADIUS}], got {value}")


def require_positive_or_none(name: str, value: float | None) -> None:
    require(value is None or value > 0, f"{name} must be positive, or None for none, got {value}")


def read_name(config: Any, name: str, names: type[StrEnum]) -> None:
    """Make a member of a plain string that a frozen configuration was given."""
    value = getattr(config, name)
    try:
        object.__setattr__(config, name, names(value))
    except ValueError:
        raise ConfigError(unknown_name(name, str(value), [member.value for member in names])) from None
