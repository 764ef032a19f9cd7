"""Check that the links between the Markdown files of the repository lead somewhere, headings included."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from fences import without_fences

ROOT = Path(__file__).resolve().parent.parent
_INLINE_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)|^\s*\[[^\]]+\]:\s*<?([^\s>]+)", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)  # http:, https:, mailto:
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$", re.MULTILINE)


def anchors(markdown: str) -> set[str]:
    """The names that the headings can be linked by, made as GitHub makes them."""
    found: set[str] = set()
    for heading in _HEADING.findall(without_fences(markdown)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        again = 0
        while (name := f"{anchor}-{again}" if again else anchor) in found:
            again += 1
        found.add(name)
    return found


def broken_links(path: Path) -> Iterator[str]:
    """Say of each relative link of `path` that leads nowhere what is wrong, with its line."""
    text = _INLINE_CODE.sub("", without_fences(path.read_text(encoding="utf-8")))
    for match in _LINK.finditer(text):
        link = match[1] or match[2]
        if _ELSEWHERE.match(link):
            continue
        line = text.count("\n", 0, match.start(match.lastindex or 0)) + 1
        name, _, anchor = unquote(link).partition("#")
        target = path.parent / name if name else path
        if not target.exists():
            yield f"{path}:{line}: {link} leads to no file"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield f"{path}:{line}: {link} leads to no heading of {target.name}"


def main() -> int:
    """Check the Markdown files at the root and under docs, examples, benchmarks and results."""
    folders = (ROOT / name for name in ("docs", "examples", "benchmarks", "results"))
    files = [
        *sorted(ROOT.glob("*.md")),
        *(path for folder in folders for path in sorted(folder.rglob("*.md"))),
    ]
    broken = [message for path in files for message in broken_links(path)]
    print("\n".join([*broken, f"{len(files)} Markdown files, {len(broken)} broken links"]))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
