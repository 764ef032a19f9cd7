"""The errors that dashnas raises on purpose: each says what was wrong, what was expected and how to mend it."""

import difflib
from collections.abc import Iterable

_OUT_OF_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "Storage size calculation overflowed",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""In the text of an error that has no class of its own."""


class DashnasError(Exception):
    """Base of every error that dashnas raises on purpose."""


class UserError(DashnasError, ValueError):
    """Something that was handed to dashnas cannot be used; the command line exits with code 2 on it."""


class DataError(UserError):
    """Arrays or files that cannot be read or cannot be learned from."""


class ConfigError(UserError):
    """A setting that makes no sense, alone or together with another."""


class ConversionError(UserError):
    """A model whose convolutions cannot be exchanged as asked."""


class RunError(UserError):
    """A run directory that is missing, damaged, or belongs to another configuration."""


class NotEnoughMemoryError(UserError, MemoryError):
    """A training step does not fit, however few samples are computed at once."""


class SealedTestError(DashnasError, RuntimeError):
    """The test part was touched before the final evaluation opened it."""


class StorageError(DashnasError, OSError):
    """A file could not be written; what was there before is untouched."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: that of the machine, or a GPU's. PyTorch, imported late, has its own errors for it."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(text in str(error) for text in _OUT_OF_MEMORY)
    )


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that is not in a registry: the known names, and the nearest one."""
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    return f"unknown {what} {name!r}{hint} Known: {', '.join(names)}"


def name_for_registry(what: str, name: str, known: Iterable[str]) -> str:
    """The name, if it can be the one of something new in a registry, in a list and in a file.

    Raises:
        ConfigError: it is taken, or holds a character that a file name or a list must not have.
    """
    if any(character in name for character in "/@, ") or not name:
        raise ConfigError(f"a {what}'s name must have no '/', '@', ',' or space in it; got {name!r}")
    if name in known:
        raise ConfigError(f"a {what} {name!r} is registered already; choose another name")
    return name
