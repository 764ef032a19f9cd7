"""How work that takes long tells how far it is."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told how many bytes, samples or images of how many are done; of 0 when that is not known."""
