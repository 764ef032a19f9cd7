"""A method of one's own beside those of dashnas: nearest neighbours, compared with the plain backbone.

On the command line the same file does, since it registers the method when it is loaded:

    dashnas bench run --tasks digits8 --methods nearest,backbone --budget 20s --import examples/own_method.py
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from dashnas.bench import CellName, Store
from dashnas.bench.cell import Conditions, run_cell
from dashnas.bench.table import make_rows
from dashnas.data import Part, TargetKind
from dashnas.evaluate import value_of
from dashnas.methods import Fitted, register_method
from dashnas.progress import PlainLines


@register_method("nearest")
class NearestNeighbours:
    """The class of the nearest training samples; how many of them, the validation part decides."""

    def misfit(self, task):
        kind = task.data.spec.target_kind
        return None if kind is TargetKind.CLASSES else f"it is for one class per sample, not {kind.value}"

    def fit(self, task, *, budget_seconds, seed, folder, reporter):
        data = task.data  # parts for training, validation and, both together, development; never the test part
        scores = {k: self.score(k, task) for k in (1, 3, 5, 9)}
        best = min(scores, key=scores.get) if not task.metric.higher_is_better else max(scores, key=scores.get)
        reporter.message(f"{best} neighbours, {task.metric.name} {scores[best]:.4f} on the validation part")
        report = {"scores": scores, "neighbours": best}
        return Fitted(model=Neighbours.of(data.development, best), validation=scores[best], report=report)

    def score(self, neighbours, task):
        part = task.data.validation
        return value_of(task.metric, Neighbours.of(task.data.train, neighbours).predict(part), part)


@dataclass
class Neighbours:
    classifier: KNeighborsClassifier

    @classmethod
    def of(cls, part: Part, neighbours: int) -> "Neighbours":
        return cls(KNeighborsClassifier(neighbours).fit(flat(part), part.targets()))

    def predict(self, part: Part) -> np.ndarray:
        """Scores of the classes, (samples, classes): the class with the largest is the answer."""
        return self.classifier.predict_proba(flat(part))


def flat(part: Part) -> np.ndarray:
    return np.concatenate([batch.x.flatten(start_dim=1).numpy() for batch in part.batches(256)])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "results", create=True)
        for method in ("nearest", "backbone"):
            run_cell(store, CellName("digits8", method, 0), Conditions(budget_seconds=5), PlainLines())
        for row in make_rows(store.results()):
            print(f"{row.method}: test {row.metric} {row.mean:.3f} in {row.seconds:.1f} s")
