"""The mark of files that were made here under an official name, so that their scores are told from the benchmark's."""

import json
from pathlib import Path
from typing import Any

from dashnas.errors import DataError
from dashnas.storage import atomic_file

MARK = "synthetic.json"
"""Lies beside files that were made here, and says how; the official ones have none."""


def write_mark(folder: Path, content: dict[str, Any]) -> None:
    """Say of a folder's files that they were made here, and how.

    Raises:
        StorageError: it cannot be written.
    """
    with atomic_file(folder / MARK) as file:
        file.write(json.dumps({"synthetic": True, **content}, indent=2).encode())


def read_mark(folder: Path) -> dict[str, Any] | None:
    """What the mark says; None where there is none.

    Raises:
        DataError: it is damaged.
    """
    try:
        mark = json.loads((folder / MARK).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / MARK} cannot be read ({error}); remove it and the files beside it") from error
    if not isinstance(mark, dict):
        raise DataError(f"{folder / MARK} is no mark of made files; remove it and the files beside it")
    return mark


def synthetic_warnings(folder: Path) -> tuple[str, ...]:
    """A word for those who see scores, where the files were made here.

    Raises:
        DataError: the mark is damaged.
    """
    if (mark := read_mark(folder)) is None:
        return ()
    return (
        f"these are not the benchmark's own files: {mark.get('what', 'they were made here')}; its scores are others",
    )
