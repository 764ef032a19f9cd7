"""Reading arrays, checking them, splitting and normalising them: from what the user has to batches."""

from dashnas.data.config import DataConfig
from dashnas.data.normalise import Normaliser
from dashnas.data.parts import Part, SealedTest
from dashnas.data.predict_inputs import Inputs, read_inputs
from dashnas.data.prepare import PreparedData, prepare
from dashnas.data.spec import Batch, DataSpec, TargetKind

__all__ = [
    "Batch",
    "DataConfig",
    "DataSpec",
    "Inputs",
    "Normaliser",
    "Part",
    "PreparedData",
    "SealedTest",
    "TargetKind",
    "prepare",
    "read_inputs",
]
