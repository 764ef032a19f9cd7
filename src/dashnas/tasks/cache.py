"""Where downloaded files are kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """$DASHNAS_CACHE, else $XDG_CACHE_HOME/dashnas, else ~/.cache/dashnas; it need not exist yet."""
    if folder := os.environ.get("DASHNAS_CACHE"):
        return Path(folder)
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "dashnas"
    return Path.home() / ".cache" / "dashnas"
