"""Pictures, drawn from the tables of `dashnas.analysis`; matplotlib is imported when the first one is drawn."""

from dashnas.analysis.drawing.canvas import FORMATS, check_format, save_figure
from dashnas.analysis.drawing.critical_difference import draw_critical_difference
from dashnas.analysis.drawing.fields import draw_receptive_fields
from dashnas.analysis.drawing.profile import draw_profile
from dashnas.analysis.drawing.random_gain import draw_random_gain
from dashnas.analysis.drawing.ranks import draw_ranks
from dashnas.analysis.drawing.speed_accuracy import draw_speed_accuracy

__all__ = [
    "FORMATS",
    "check_format",
    "draw_critical_difference",
    "draw_profile",
    "draw_random_gain",
    "draw_ranks",
    "draw_receptive_fields",
    "draw_speed_accuracy",
    "save_figure",
]
