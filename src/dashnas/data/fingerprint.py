"""A short name for the content of a data set, so that a resumed run can refuse data that changed."""

import hashlib
from collections.abc import Mapping

import numpy as np

from dashnas.data.tables import ArrayTable, Table, chunks, row_bytes

WHOLE_BYTES = 2**30
"""A column of up to this size is read as a whole."""
SAMPLE_BYTES = 2**26
"""Of a larger one, and of Datasets that fetch by item, so much is read in evenly spaced rows."""


def fingerprint(tables: Mapping[str, Table]) -> str:
    """A hex digest of the names, shapes, types and values of all columns of all parts."""
    digest = hashlib.sha256()
    for part, table in sorted(tables.items()):
        for name in sorted(table.names):
            dtype = "text" if table.dtype(name).kind == "U" else str(table.dtype(name))
            digest.update(f"{part} {name} {table.shape(name)} {dtype}\n".encode())
            for _, piece in chunks(table, [name], _rows(table, name)):
                digest.update(np.ascontiguousarray(piece[name]).tobytes())
    return digest.hexdigest()


def _rows(table: Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
    size = row_bytes(table, name)
    by_item = not isinstance(table, ArrayTable) and name == "x"
    most = max(16, (SAMPLE_BYTES if not by_item else SAMPLE_BYTES // 16) // size)
    if len(table) <= most or (not by_item and len(table) * size <= WHOLE_BYTES):
        return None
    return np.unique(np.linspace(0, len(table) - 1, most).astype(np.int64))
