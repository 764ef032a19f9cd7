"""What results say: tables of numbers first, drawings from the tables."""

from dashnas.analysis.cells import Cell
from dashnas.analysis.critical_difference import CriticalDifference, critical_difference
from dashnas.analysis.error_table import ErrorTable, error_table
from dashnas.analysis.fields import LayerField, layer_fields, receptive_fields
from dashnas.analysis.groups import TASK_GROUPS, tasks_of_group
from dashnas.analysis.papers import published, runtimes
from dashnas.analysis.profiles import Profile, performance_profile
from dashnas.analysis.random_gain import RandomGain, random_gain
from dashnas.analysis.ranks import Improvement, Rank, median_improvements, median_ranks
from dashnas.analysis.seeds import Paired, Spread, paired_comparisons, seed_spread
from dashnas.analysis.speed_accuracy import SpeedAccuracy, speed_accuracy

__all__ = [
    "TASK_GROUPS",
    "Cell",
    "CriticalDifference",
    "ErrorTable",
    "Improvement",
    "LayerField",
    "Paired",
    "Profile",
    "RandomGain",
    "Rank",
    "SpeedAccuracy",
    "Spread",
    "critical_difference",
    "error_table",
    "layer_fields",
    "median_improvements",
    "median_ranks",
    "paired_comparisons",
    "performance_profile",
    "published",
    "random_gain",
    "receptive_fields",
    "runtimes",
    "seed_spread",
    "speed_accuracy",
    "tasks_of_group",
]
