"""ROCKET: random convolutions of a signal, two features of each, and a linear classifier on them.

The transform is sktime's. (aeon has the same one, but its releases up to 1.6 ask for a numba that does not take
NumPy 2.4.)

Reference: Dempster et al. 2020, "ROCKET: exceptionally fast and accurate time series classification".
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dashnas.data import Part, TargetKind
from dashnas.methods.extras import import_extra
from dashnas.methods.method import Fitted, MethodTask
from dashnas.methods.registry import register_method
from dashnas.progress import Reporter
from dashnas.seeding import derive_seed

KERNELS = 10_000
SHORTEST = 12
"""Samples of a signal: the longest kernel has 11 taps."""
PENALTIES = np.logspace(-3, 3, 10)
"""Of the ridge classifier, which takes the one with the smallest leave-one-out error."""


@register_method("rocket")
class Rocket:
    """Random convolutions and a ridge classifier, for classes of signals; needs the extra bench."""

    def misfit(self, task: MethodTask) -> str | None:
        """See `Method`."""
        spec = task.data.spec
        if spec.spatial_dims != 1:
            return f"it is for signals, and these are {spec.spatial_dims}-D"
        if spec.target_kind is not TargetKind.CLASSES:
            return f"it is for one class per sample, and the targets are {spec.target_kind.value}"
        if spec.unequal_lengths:
            return "it would take what fills up short series for data, and these are of unequal length"
        if spec.spatial_shape[0] < SHORTEST:
            return f"it is for signals of at least {SHORTEST} samples, and these have {spec.spatial_shape[0]}"
        return None

    def fit(self, task: MethodTask, *, budget_seconds: float, seed: int, folder: Path, reporter: Reporter) -> Fitted:
        """See `Method`; it takes the time it takes, and nothing is kept for going on."""
        transform = import_extra("sktime.transformations.panel.rocket").Rocket(
            num_kernels=KERNELS, random_state=derive_seed(seed, "rocket") % 2**31, n_jobs=task.options.threads or 1
        )
        part = task.data.development
        features = transform.fit(signals(part)).transform(signals(part)).to_numpy()
        # Not with_mean: RidgeClassifierCV centres its inputs itself.
        classifier = make_pipeline(StandardScaler(with_mean=False), RidgeClassifierCV(alphas=PENALTIES))
        classifier.fit(features, part.targets())
        report = {"kernels": KERNELS, "penalty": float(classifier[-1].alpha_)}
        return Fitted(model=RandomFeatures(transform, classifier), report=report)


@dataclass(frozen=True)
class RandomFeatures:
    """The transform and the classifier after it."""

    transform: Any
    classifier: Any

    def predict(self, part: Part) -> np.ndarray:
        """See `Predictor`."""
        decisions = np.asarray(self.classifier.decision_function(self.transform.transform(signals(part)).to_numpy()))
        if decisions.ndim == 1:  # of two classes there is one number, positive for the second
            decisions = np.stack([-decisions, decisions], axis=1)
        return decisions


def signals(part: Part) -> np.ndarray:
    """Normalised inputs, (samples, channels, length)."""
    return np.concatenate([batch.x.numpy() for batch in part.batches(1024)]).astype(np.float64)
