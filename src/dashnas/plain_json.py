"""Numbers that JSON does not have."""

from collections.abc import Mapping
from math import isfinite
from typing import Any


def plain_json(value: Any) -> Any:
    """The same in dicts and lists, with null for what is infinite, as the score of a run that diverged, or NaN."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    return [plain_json(item) for item in value] if isinstance(value, list | tuple) else value
