"""Networks whose kernel sizes and dilations fit the data: search, tune, retrain, evaluate, save.

The main job is `fit`; with a model and a training loop of your own, `to_supernet`, `discretise` and `derive`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dashnas.convert import derive, discretise, find_searchable, to_supernet
    from dashnas.data.config import DataConfig
    from dashnas.data.spec import TargetKind
    from dashnas.errors import DashnasError, UserError
    from dashnas.heap import keep_freed_memory
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
    "keep_freed_memory",
    "search_only",
    "to_supernet",
]

_MODULES = {
    "dashnas.convert": ("derive", "discretise", "find_searchable", "to_supernet"),
    "dashnas.data.config": ("DataConfig",),
    "dashnas.data.spec": ("TargetKind",),
    "dashnas.errors": ("DashnasError", "UserError"),
    "dashnas.heap": ("keep_freed_memory",),
    "dashnas.model": ("TrainedModel",),
    "dashnas.ops": ("AggConv1d", "AggConv2d", "GumbelSoftmax", "Softmax"),
    "dashnas.pipeline": ("DryRun", "FitResult", "dry_run", "fit", "search_only"),
    "dashnas.presets": ("Options",),
    "dashnas.progress": ("Bars", "PlainLines"),
    "dashnas.space": ("Architecture", "Candidate", "SearchSpace"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `dashnas --help` need not wait for PyTorch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names, for completion."""
    return __all__
