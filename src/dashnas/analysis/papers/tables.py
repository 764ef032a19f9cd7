"""Which tables of the papers there are, and what stands in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

DASH_PAPER = "Shen, Khodak and Talwalkar 2022 (DASH)"
NB360_PAPER = "Tu et al. 2022 (NAS-Bench-360)"

_ERRORS = {
    "cifar100": "error_pct",
    "spherical": "error_pct",
    "darcy": "relative_l2",
    "psicov": "mae8",
    "cosmic": "1-auroc",
    "ninapro": "error_pct",
    "fsd50k": "1-map",
    "ecg": "1-macro_f1",
    "satellite": "error_pct",
    "deepsea": "1-auroc",
    "imagenet-1k": "error_pct",
}
"""Metric by task, as the papers' tables head their columns; `_pct` says that the numbers are percent."""


@dataclass(frozen=True, kw_only=True)
class PaperTable:
    """A table of a paper. Its numbers lie beside this module, in a CSV file of the same name, as they are printed."""

    name: str
    """What it is asked for by."""
    about: str
    """What it holds, in a line."""
    source: str
    """Paper and table."""
    metrics: Mapping[str, str] = field(default_factory=dict)
    """Metric by task, where the table holds scores of methods (rows) on tasks (columns); empty where it does not."""
    higher_is_better: tuple[str, ...] = ()
    """Tasks whose scores are not errors."""
    hours: Mapping[str, str] = field(default_factory=dict)
    """By method, its name in Table 3 of the DASH paper, from which the time of the whole pipeline is taken."""

    @property
    def protocol(self) -> str:
        """The protocol of its cells: a table was made by one set of rules at best, and they are nobody else's."""
        return f"published:{self.name}"


PAPER_TABLES: dict[str, PaperTable] = {
    table.name: table
    for table in (
        PaperTable(
            name="dash-table2",
            about="errors of DASH and what it is compared with, ten tasks",
            source=f"{DASH_PAPER}, Table 2; deviations: appendix, Table 5; hours: Table 3",
            metrics=_ERRORS,
            hours={"DARTS-GAEA": "DARTS", "DenseNAS": "DenseNAS", "WRN": "WRN", "DASH": "DASH"},
        ),
        PaperTable(
            name="nb360-table2",
            about="errors of searches and baselines, ten tasks",
            source=f"{NB360_PAPER}, Table 2",
            metrics=_ERRORS,
        ),
        PaperTable(
            name="nb360-leaderboard",
            about="older scores, cosmic as false negative rate, the others higher-is-better",
            source=f"{NB360_PAPER}, images of a leaderboard in the repository",
            metrics={"cosmic": "fnr_pct", "fsd50k": "map", "ecg": "macro_f1", "deepsea": "auroc"},
            higher_is_better=("fsd50k", "ecg", "deepsea"),
        ),
        PaperTable(
            name="nb360-notebook",
            about="less rounded errors behind the performance profiles, in percent except psicov",
            source=f"{NB360_PAPER}, the repository's notebook of performance profiles",
            metrics={
                task: metric if metric == "mae8" else f"{metric.removesuffix('_pct')}_pct"
                for task, metric in _ERRORS.items()
            },
        ),
        PaperTable(
            name="nb360-table3",
            about="median rank and improvement over the WRN",
            source=f"{NB360_PAPER}, Table 3",
        ),
        PaperTable(
            name="nb360-table4",
            about="errors of TE-NAS and GAEA, four tasks",
            source=f"{NB360_PAPER}, Table 4",
            metrics=_ERRORS,
        ),
        PaperTable(
            name="dash-table3",
            about="hours of the whole pipeline on a V100",
            source=f"{DASH_PAPER}, Table 3",
        ),
        PaperTable(
            name="dash-table6",
            about="hours of DASH by phase on a V100",
            source=f"{DASH_PAPER}, appendix, Table 6",
        ),
        PaperTable(
            name="dash-table7",
            about="errors of the TCN and of DASH on it, three 1-D tasks",
            source=f"{DASH_PAPER}, appendix, Table 7",
            metrics=_ERRORS,
        ),
        PaperTable(
            name="dash-table8",
            about="seconds of a search epoch on 4,096 images of ImageNet, four V100",
            source=f"{DASH_PAPER}, appendix, Table 8",
        ),
        PaperTable(
            name="dash-table9",
            about="hours on ImageNet-1K, four V100",
            source=f"{DASH_PAPER}, appendix, Table 9",
        ),
        PaperTable(
            name="dash-table10",
            about="top-1 errors on ImageNet-1K",
            source=f"{DASH_PAPER}, appendix, Table 10",
            metrics=_ERRORS,
        ),
        PaperTable(
            name="dash-appendix-a8",
            about="kernel sizes and dilations of two searched networks, layers in order",
            source=f"{DASH_PAPER}, appendix, Section A.8",
        ),
    )
}
"""All of them by name."""
