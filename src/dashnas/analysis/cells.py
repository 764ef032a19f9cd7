"""The unit of every comparison: one method's test score on one task, with the protocol that made it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A score of a method on a task, of one seed or published as a mean of several."""

    task: str
    """Name of the task."""
    method: str
    """Name of the method."""
    seed: int | None
    """Of the run; None where several runs are put together, as in published tables."""
    metric: str
    """Name of the metric."""
    protocol: str
    """Which rules made the score; scores of different protocols do not stand in one table."""
    value: float
    """The score; infinite where training diverged."""
    higher_is_better: bool
    """The metric's direction."""
    std: float | None = None
    """Standard deviation over runs, where `value` is a published mean."""
    seconds: float | None = None
    """Wall time of the whole method, search and tuning included."""
    parameters: int | None = None
    """Of the fitted model; None for models without any."""
    architecture: Mapping[str, Any] | None = None
    """As `Architecture.to_json`, where one was chosen."""
    source: str | None = None
    """Where the score comes from: a run's folder, or a table of a paper."""

    @property
    def error(self) -> float:
        """The score as an error, lower is better: 1 - value for scores of which more is better."""
        return 1 - self.value if self.higher_is_better else self.value

    def to_json(self) -> dict[str, Any]:
        """As plain containers, for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**content)
