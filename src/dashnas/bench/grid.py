"""The cells of a comparison, task by method by seed: which there are, and which must wait for others."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dashnas.errors import ConfigError, unknown_name

AS_MUCH_AS = "@"
"""In the name of a method, stands before another one whose time is its budget: `backbone-tuned@dash`."""

MOST_DIGITS = 18
"""Of a seed: what fits into 63 bits."""

MOST_SEEDS = 10_000
"""At once."""


@dataclass(frozen=True, order=True)
class CellName:
    """Which cell."""

    task: str
    method: str
    """As asked for, such as `dash` or `backbone-tuned@dash`."""
    seed: int

    @property
    def method_alone(self) -> str:
        """Name of the method in the registry."""
        return self.method.partition(AS_MUCH_AS)[0]

    @property
    def budget_from(self) -> "CellName | None":
        """The cell whose time is the budget of this one; None where the budget is that of the whole grid."""
        other = self.method.partition(AS_MUCH_AS)[2]
        return CellName(self.task, other, self.seed) if other else None

    def __str__(self) -> str:
        return f"{self.task}/{self.method}/{self.seed}"


def parse_names(text: str, what: str, known: Iterable[str]) -> list[str]:
    """Names between commas, each once, in their order; `what` they are is for the message.

    Raises:
        ConfigError: none, or one that is not known.
    """
    return _parse(text, what, known, lambda name: [name])


def parse_methods(text: str, known: Iterable[str]) -> list[str]:
    """Names of methods between commas, with `@` where one has the budget of another.

    Raises:
        ConfigError: none, or one that is not known.
    """
    return _parse(text, "method", known, lambda name: name.split(AS_MUCH_AS, 1))


def _parse(text: str, what: str, known: Iterable[str], parts_of: Callable[[str], list[str]]) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"no {what} is named; known: {', '.join(sorted(known))}")
    for part in (part for name in names for part in parts_of(name)):
        if part not in known:
            raise ConfigError(unknown_name(what, part, known))
    return list(dict.fromkeys(names))


def parse_seeds(text: str) -> list[int]:
    """Seeds such as `0`, `0,2,5` or `0-2`.

    Raises:
        ConfigError: anything else, or more than there is time for.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ConfigError(f"seeds must be numbers such as 0,1,2 or a range such as 0-2; got {text!r}")
        if max(len(first), len(last)) > MOST_DIGITS:
            raise ConfigError(f"a seed has at most {MOST_DIGITS} digits; got one of {max(len(first), len(last))}")
        if dash and int(last) < int(first):
            raise ConfigError(f"the seeds {part.strip()!r} end before they begin; write {last}-{first}")
        numbers = range(int(first), int(last if dash else first) + 1)
        if len(seeds) + len(numbers) > MOST_SEEDS:
            raise ConfigError(f"at most {MOST_SEEDS} seeds can be asked for at once; {text!r} are more")
        seeds += numbers
    return list(dict.fromkeys(seeds))


def make_grid(
    tasks: Iterable[str], methods: Iterable[str], seeds: Iterable[int], is_finished: Callable[[CellName], bool]
) -> list[CellName]:
    """All cells, the first seed of every task and method before the second, so that an early table has no gaps.

    Args:
        tasks: names of tasks.
        methods: names of methods, perhaps with the one whose time they get.
        seeds: of the runs.
        is_finished: whether a cell that is not in the grid has a time that others can get.

    Raises:
        ConfigError: a cell gets the time of one that is neither in the grid nor finished.
    """
    tasks, methods, seeds = list(tasks), list(methods), list(seeds)
    cells = [CellName(task, method, seed) for seed in seeds for task in tasks for method in methods]
    for cell in cells:
        other = cell.budget_from
        if other is not None and other not in cells and not is_finished(other):
            raise ConfigError(
                f"{cell.method} gets the time that {other.method} took, but {other} is neither finished nor to be run; "
                f"name {other.method} among the methods too"
            )
    return cells
