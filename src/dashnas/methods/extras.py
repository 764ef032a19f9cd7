"""Packages that only some methods need."""

from importlib import import_module
from types import ModuleType

from dashnas.errors import ConfigError


def import_extra(name: str) -> ModuleType:
    """A module of the extra `bench`.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"this method needs {name.partition('.')[0]}, which is not installed ({error}); "
            "install the extra: pip install 'dashnas[bench]'"
        ) from error
