"""From the text of an option to the value it stands for."""

import json
from pathlib import Path
from typing import Any, Literal

from dashnas.config import Schedule
from dashnas.errors import ConfigError


def parse_choices(text: str | None) -> tuple[Any, ...] | None:
    """Kernel sizes or dilations: `3,5,7`, per axis `3,5,3x7`.

    What is no number stays text, which `SearchSpace` then refuses: one place says what is allowed.
    """
    return None if text is None else tuple(_per_axis(part.strip()) for part in text.split(","))


def parse_class_weights(text: str | None) -> Literal["balanced"] | tuple[float, ...] | None:
    """`balanced`, or one number per class: `0.5,1,2`.

    Raises:
        ConfigError: anything else.
    """
    if text is None or text == "balanced":
        return text  # type: ignore[return-value]
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(
            f"class_weights must be 'balanced' or a number per class such as 0.5,1,2; got {text!r}"
        ) from None


def read_schedule(path: Path | None) -> Schedule | None:
    """The `schedule.json` of another run.

    Raises:
        ConfigError: no such file, or not a schedule.
    """
    if path is None:
        return None
    try:
        content = json.loads(path.read_text())
        return Schedule(**content)
    except OSError as error:
        raise ConfigError(f"cannot read the schedule {path}: {error.strerror}") from None
    except (TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path} is not a schedule: expected the schedule.json of a run ({error})") from None


def _per_axis(text: str) -> Any:
    try:
        values = tuple(int(axis) for axis in text.split("x"))
    except ValueError:
        return text
    return values[0] if len(values) == 1 else values
