"""Published numbers, as printed, with their sources: the tables of the DASH and the NAS-Bench-360 paper."""

from dashnas.analysis.papers.figures import PAPER_FIGURES, PaperFigure
from dashnas.analysis.papers.read import misprints, paper_table, printed, published, runtimes, searched_networks
from dashnas.analysis.papers.tables import PAPER_TABLES, PaperTable

__all__ = [
    "PAPER_FIGURES",
    "PAPER_TABLES",
    "PaperFigure",
    "PaperTable",
    "misprints",
    "paper_table",
    "printed",
    "published",
    "runtimes",
    "searched_networks",
]
