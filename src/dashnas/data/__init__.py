"""Reading arrays, checking them, splitting and normalising them: from what the user has to batches."""

from dashnas.data.config import DataConfig
from dashnas.data.draws import AugmentedTable
from dashnas.data.normalise import Normaliser
from dashnas.data.parts import Part, SealedTest
from dashnas.data.predict_inputs import Inputs, read_inputs
from dashnas.data.prepare import PreparedData, prepare
from dashnas.data.spec import Batch, DataSpec, TargetKind
from dashnas.data.tables import ArrayTable
from dashnas.data.task_data import PaperSettings, Samples, TaskData, TaskSource

__all__ = [
    "ArrayTable",
    "AugmentedTable",
    "Batch",
    "DataConfig",
    "DataSpec",
    "Inputs",
    "Normaliser",
    "PaperSettings",
    "Part",
    "PreparedData",
    "Samples",
    "SealedTest",
    "TargetKind",
    "TaskData",
    "TaskSource",
    "prepare",
    "read_inputs",
]
