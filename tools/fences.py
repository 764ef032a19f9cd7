"""Fenced blocks of a Markdown file, with the lines they stand on."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})(.*)$")


@dataclass(frozen=True)
class Fence:
    """One fenced block."""

    line: int
    """Line of the opening fence, counted from 1."""
    info: str
    """What stands behind the opening fence, as in ```` ```python skip: why ````."""
    text: str
    """The lines between the fences, without the indentation that all of them share."""


def read_fences(markdown: str) -> Iterator[Fence]:
    """Find the fenced blocks, also those in lists and those in HTML comments.

    Raises:
        ValueError: a block is never closed; Markdown would swallow the rest of the file.
    """
    opened: tuple[int, str, str] | None = None  # line, fence, info
    inside: list[str] = []
    for number, line in enumerate(markdown.splitlines(), start=1):
        match = _FENCE.match(line)
        if opened is None:
            if match and "`" not in match[2]:  # ```like this``` is code within a line, not a fence
                opened, inside = (number, match[1], match[2].strip()), []
        elif match and match[1].startswith(opened[1]) and not match[2].strip():
            yield Fence(opened[0], opened[2], textwrap.dedent("".join(f"{text}\n" for text in inside)))
            opened = None
        else:
            inside.append(line)
    if opened is not None:
        raise ValueError(f"line {opened[0]}: this fenced block is never closed; add a line {opened[1]}")


def without_fences(markdown: str) -> str:
    """The text outside the fenced blocks, every line still at its number."""
    lines = markdown.splitlines()
    for fence in read_fences(markdown):
        height = 2 + len(fence.text.splitlines())
        lines[fence.line - 1 : fence.line - 1 + height] = [""] * height
    return "\n".join(lines)
