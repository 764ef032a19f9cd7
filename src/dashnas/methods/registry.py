"""Methods by name; a new one is a new file of this package, or is registered from outside."""

import pkgutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from dashnas.errors import ConfigError, name_for_registry, unknown_name
from dashnas.methods.method import Method

Factory = Callable[[], Method]
"""Makes a method; the first line of its docstring tells what the method does."""

METHODS: dict[str, Factory] = {}
"""All methods that were registered so far; `get_method` finds the ones of this package too."""


def register_method(name: str) -> Callable[[Factory], Factory]:
    """Enter the decorated class or function, which makes the method, into the registry.

    Raises:
        ConfigError: the name is taken, or holds a character that a file name or a list must not have.
    """
    name_for_registry("method", name, METHODS)

    def enter(factory: Factory) -> Factory:
        METHODS[name] = factory
        return factory

    return enter


def all_methods() -> dict[str, Factory]:
    """The registry, with every file of this package in it."""
    for module in sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])):
        import_module(f"dashnas.methods.{module}")
    return METHODS


def get_method(name: str) -> Method:
    """The method of that name.

    Raises:
        ConfigError: no method has this name.
    """
    known = all_methods()
    if name not in known:
        raise ConfigError(unknown_name("method", name, known))
    return known[name]()


def describe_method(name: str) -> str:
    """What a method does, in one line."""
    return (all_methods()[name].__doc__ or "").strip().partition("\n")[0]
