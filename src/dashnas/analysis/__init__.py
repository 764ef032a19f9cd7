"""What results say: tables of numbers first, drawings from the tables."""

from dashnas.analysis.cells import Cell

__all__ = ["Cell"]
