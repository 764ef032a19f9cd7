"""Methods on tasks: a grid of cells that runs in several processes, its store, its tables."""

from dashnas.bench.grid import CellName
from dashnas.bench.store import Store, read_cells

__all__ = ["CellName", "Store", "read_cells"]
