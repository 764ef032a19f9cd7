"""Which reporter tells of the progress: bars on a terminal, plain lines elsewhere, nothing with --quiet."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dashnas.progress import Bars, PlainLines, Reporter, Silent


@contextmanager
def reporter(*, quiet: bool) -> Iterator[Reporter]:
    """The reporter for a command; everything it tells goes to standard error."""
    if quiet:
        yield Silent()
    elif sys.stderr.isatty():
        with Bars() as bars:
            yield bars
    else:
        yield PlainLines()
