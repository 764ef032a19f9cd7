"""Networks whose kernel sizes and dilations fit the data: search, tune, retrain, evaluate, save.

The main job is `fit`; with a model and a training loop of your own, `to_supernet`, `discretise` and `derive`.
"""

from dashnas.convert import derive, discretise, find_searchable, to_supernet
from dashnas.data.config import DataConfig
from dashnas.data.spec import TargetKind
from dashnas.errors import DashnasError, UserError
from dashnas.model import TrainedModel
from dashnas.ops import AggConv1d, AggConv2d, GumbelSoftmax, Softmax
from dashnas.pipeline import DryRun, FitResult, dry_run, fit, search_only
from dashnas.presets import Options
from dashnas.progress import Bars, PlainLines
from dashnas.space import Architecture, Candidate, SearchSpace

__all__ = [
    "AggConv1d",
    "AggConv2d",
    "Architecture",
    "Bars",
    "Candidate",
    "DashnasError",
    "DataConfig",
    "DryRun",
    "FitResult",
    "GumbelSoftmax",
    "Options",
    "PlainLines",
    "SearchSpace",
    "Softmax",
    "TargetKind",
    "TrainedModel",
    "UserError",
    "derive",
    "discretise",
    "dry_run",
    "find_searchable",
    "fit",
    "search_only",
    "to_supernet",
]
