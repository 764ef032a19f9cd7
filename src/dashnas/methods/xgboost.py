"""Gradient-boosted trees on flattened inputs, with the settings of NAS-Bench-360.

Trees of depth 3, learning rate 1, at most 100 rounds that stop early on the validation part, and then as many rounds as
were best there on training and validation part together. Scores are made from probabilities; the published ones of
multi-label tasks ranked hard labels, and are near chance for that reason. Each output has trees of its own.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from dashnas.data import DataSpec, Part, TargetKind
from dashnas.device import find_device
from dashnas.evaluate import value_of
from dashnas.memory import describe_bytes, free_bytes
from dashnas.methods.extras import import_extra
from dashnas.methods.method import Fitted, MethodTask
from dashnas.methods.registry import register_method
from dashnas.progress import Reporter
from dashnas.seeding import derive_seed

ROUNDS = 100
PATIENCE = 5
"""Rounds without gain on the validation part before it stops."""

SETTINGS = {"max_depth": 3, "eta": 1.0, "subsample": 0.9, "tree_method": "hist"}
"""Gradient-based sampling, which the published runs had beside `subsample`, exists on GPUs only."""

SHARE_OF_FIRST_FIT = 0.5
"""Of the budget, for the rounds that are watched; the rest is for the final ones."""

BYTES_PER_OUTPUT = 32
"""Of a sample: target, prediction, gradient and curvature, and the copies made on the way."""


@register_method("xgboost")
class XGBoost:
    """Gradient-boosted trees on flattened inputs, without any network; needs the extra bench."""

    def misfit(self, task: MethodTask) -> str | None:
        """See `Method`."""
        data = task.data
        if data.development.mask() is not None:
            return "it has no way to leave masked positions out"
        need = needed_bytes(data.spec, len(data.development))
        free = free_bytes(find_device(task.options.device))
        if need > free:
            return (
                f"flattened inputs and an output per value would take {describe_bytes(need)}, of {describe_bytes(free)}"
            )
        return None

    def fit(self, task: MethodTask, *, budget_seconds: float, seed: int, folder: Path, reporter: Reporter) -> Fitted:
        """See `Method`; nothing is kept for going on, so that a stopped fit begins again."""
        started = time.monotonic()
        library = import_extra("xgboost")
        spec, data = task.data.spec, task.data
        settings: dict[str, Any] = {
            **SETTINGS, **objective(spec), "seed": derive_seed(seed, "xgboost") % 2**31,
            "device": task.options.device, "nthread": task.options.threads,
        }  # fmt: skip
        train, validation = matrix(library, data.train), matrix(library, data.validation)
        first = library.train(
            settings, train, num_boost_round=ROUNDS, evals=[(validation, "validation")], verbose_eval=False,
            callbacks=[
                deadline(library, started + SHARE_OF_FIRST_FIT * budget_seconds),
                library.callback.EarlyStopping(rounds=PATIENCE, save_best=True),
            ],
        )  # fmt: skip
        rounds = first.num_boosted_rounds()
        score = value_of(task.metric, Trees(first, library).predict(data.validation), data.validation)
        reporter.message(f"xgboost: {rounds} rounds, {task.metric.name} on the validation part {score:.4g}")
        ends = deadline(library, started + budget_seconds)
        booster = library.train(settings, matrix(library, data.development), num_boost_round=rounds, callbacks=[ends])
        report = {"settings": settings, "rounds": rounds, "final_rounds": booster.num_boosted_rounds()}
        return Fitted(model=Trees(booster, library), validation=score, report=report)


@dataclass(frozen=True)
class Trees:
    """Boosted trees, whose probabilities become logits."""

    booster: Any
    library: ModuleType

    def predict(self, part: Part) -> np.ndarray:
        """See `Predictor`."""
        spec = part.spec
        answers = self.booster.predict(self.library.DMatrix(flat_inputs(part))).astype(np.float64)
        if spec.target_kind is TargetKind.CLASSES:
            return np.asarray(np.log(np.maximum(answers, 1e-12)))  # (samples, classes)
        answers = answers.reshape(len(part), *spec.answer_shape)
        if spec.target_kind.is_regression:
            return np.asarray(part.normaliser.decode_target(answers))
        inside = np.clip(answers, 1e-12, 1 - 1e-7)
        return np.asarray(np.log(inside / (1 - inside)))


def objective(spec: DataSpec) -> dict[str, Any]:
    """What is minimised: a softmax over classes, a logistic loss for each yes/no value, squared error for numbers."""
    if spec.target_kind is TargetKind.CLASSES:
        return {"objective": "multi:softprob", "num_class": spec.outputs, "eval_metric": "merror"}
    if spec.target_kind.is_regression:
        return {"objective": "reg:squarederror", "eval_metric": "rmse"}
    return {"objective": "binary:logistic", "eval_metric": "logloss"}


def flat_inputs(part: Part) -> np.ndarray:
    """Normalised inputs, (samples, channels * positions)."""
    return np.concatenate([batch.x.flatten(start_dim=1).numpy() for batch in part.batches(1024)])


def flat_targets(part: Part) -> np.ndarray:
    """Classes (samples,); else a column per value, a class of dense classes being one per position."""
    spec, targets = part.spec, part.targets()
    if spec.target_kind is TargetKind.CLASSES:
        return targets
    if spec.target_kind is TargetKind.DENSE_CLASSES:
        targets = np.moveaxis(np.eye(spec.outputs)[targets], -1, 1)  # (samples, classes, *spatial)
    if spec.target_kind.is_regression:
        targets = np.concatenate([batch.y.numpy() for batch in part.batches(1024)])  # normalised
    return targets.reshape(len(part), -1)


def matrix(library: ModuleType, part: Part) -> Any:
    """A part as the library takes it."""
    return library.DMatrix(flat_inputs(part), label=flat_targets(part))


def needed_bytes(spec: DataSpec, samples: int) -> int:
    """About what inputs and outputs of the training take."""
    positions = int(np.prod(spec.spatial_shape))
    outputs = spec.outputs * (positions if spec.target_kind.is_dense else 1)
    return samples * (8 * spec.channels * positions + BYTES_PER_OUTPUT * outputs)


def deadline(library: ModuleType, ends: float, clock: Callable[[], float] = time.monotonic) -> Any:
    """A callback that ends the training after the round in which the time is up."""

    class Deadline(library.callback.TrainingCallback):  # type: ignore[misc, name-defined]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            return clock() >= ends

    return Deadline()
