"""Where the files of the ten tasks of NAS-Bench-360 lie."""

import os
from pathlib import Path

from dashnas.storage import cache_folder


def official_folder(name: str) -> Path:
    """Folder of a task's official files; it need not exist yet.

    $DASHNAS_DATA/NAME, else official/NAME in the cache.
    """
    if folder := os.environ.get("DASHNAS_DATA"):
        return Path(folder) / name
    return cache_folder() / "official" / name
