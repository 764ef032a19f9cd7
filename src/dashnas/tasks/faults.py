"""What is wrong with the arrays of a task, and with the file that holds them."""

import zipfile
from pathlib import Path

import numpy as np

from dashnas.data.spec import TargetKind
from dashnas.tasks.task import Arrays, RealTask

_NUMBER_KINDS = {"f": "float32", "iu": "integers", "iuU": "integers or text"}


def faults_of_file(task: RealTask, path: Path) -> list[str]:
    """All that is wrong with a file that should hold a task's arrays; empty where everything is right."""
    if not is_whole(path):
        return ["it is damaged"]
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: np.asarray(file[key]) for key in file}
    except ValueError as error:  # Python objects, or an array that was cut short before it was packed
        return [f"it cannot be read ({error})"]
    return faults(task, arrays)


def is_whole(path: Path) -> bool:
    """Whether a file is there and every byte of what it packs is as it was written."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def faults(task: RealTask, arrays: Arrays) -> list[str]:
    """All that is wrong with a task's arrays: names, shapes, types, values that are not finite, lengths, labels.

    Returns:
        A sentence each, in the order of the arrays; empty where everything is right.
    """
    missing = [f"{key} is missing" for key in task.shapes if key not in arrays]
    unknown = [f"{key} does not belong to it" for key in arrays if key not in task.shapes]
    found = {key: array for key, array in arrays.items() if key in task.shapes}
    wrong = [fault for key, array in found.items() for fault in _faults_of_array(task, key, array)]
    return missing + unknown + wrong + ([] if missing or wrong else _faults_of_labels(task, found))


def _faults_of_array(task: RealTask, key: str, array: np.ndarray) -> list[str]:
    wrong = []
    if array.shape != task.shapes[key]:
        wrong.append(f"{key} has shape {array.shape}, expected {task.shapes[key]}")
    allowed = _allowed_types(task.kind, key)
    if array.dtype.kind not in allowed or (allowed == "f" and array.dtype != np.float32):
        wrong.append(f"{key} has the type {array.dtype}, expected {_NUMBER_KINDS[allowed]}")
    elif allowed == "f" and (bad := int((~np.isfinite(array)).sum())):
        wrong.append(f"{key} has {bad} values that are NaN or infinite")
    elif key.startswith("lengths") and array.size:
        longest = task.shapes[key.replace("lengths", "x")][-1]
        if array.min() < 1 or array.max() > longest:
            wrong.append(f"{key} has values from {array.min()} to {array.max()}, expected 1 to {longest}")
    return wrong


def _allowed_types(kind: TargetKind, key: str) -> str:
    if key.startswith("x") or (key.startswith("y") and kind.is_regression):
        return "f"
    text = key.startswith("group") or (key.startswith("y") and kind is TargetKind.CLASSES)
    return "iuU" if text else "iu"


def _faults_of_labels(task: RealTask, arrays: Arrays) -> list[str]:
    targets = {key: np.unique(array) for key, array in arrays.items() if key.startswith("y")}
    if task.kind in (TargetKind.MULTI_LABEL, TargetKind.DENSE_BINARY):
        return [f"{key} has values other than 0 and 1" for key, values in targets.items() if set(values) - {0, 1}]
    if task.kind is not TargetKind.CLASSES:
        return []
    known = targets.pop("y")
    wrong = [] if len(known) == task.classes else [f"y has {len(known)} classes, expected {task.classes}"]
    return wrong + [
        f"{key} has labels that y lacks, such as {new[0]}"
        for key, values in targets.items()
        if len(new := np.setdiff1d(values, known))
    ]
