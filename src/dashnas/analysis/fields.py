"""Receptive fields: how far the kernels reach that a search chose, layer by layer."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from dashnas.analysis.cells import Cell
from dashnas.errors import ConfigError
from dashnas.space import Architecture, Candidate, per_axis


@dataclass(frozen=True, kw_only=True)
class LayerField:
    """What was chosen for a layer."""

    task: str
    method: str
    seed: int | None
    layer: str
    place: int
    """Of the layer in its network, from 1."""
    kernel_size: int
    """Of the axis that reaches furthest, as are the two below."""
    dilation: int
    receptive_field: int
    """First tap to last, in samples of the layer's own input: (kernel_size - 1) dilation + 1."""


def receptive_field(choice: Candidate) -> tuple[int, int, int]:
    """Kernel size, dilation and receptive field (k - 1) d + 1 of the axis that reaches furthest.

    Reference: Shen et al. 2022, Section 3.2.
    """
    axes = max((len(v) for v in (choice.kernel_size, choice.dilation) if isinstance(v, tuple)), default=1)
    pairs = zip(per_axis(choice.kernel_size, axes), per_axis(choice.dilation, axes), strict=True)
    k, d = max(pairs, key=lambda pair: (pair[0] - 1) * pair[1])
    return k, d, (k - 1) * d + 1


def layer_fields(architecture: Architecture, *, task: str, method: str, seed: int | None = None) -> list[LayerField]:
    """What was chosen for each layer of a network, in its order."""
    return [
        LayerField(
            task=task,
            method=method,
            seed=seed,
            layer=layer,
            place=place,
            kernel_size=k,
            dilation=d,
            receptive_field=field,
        )
        for place, (layer, choice) in enumerate(architecture.items(), 1)
        for k, d, field in [receptive_field(choice)]
    ]


def receptive_fields(cells: Iterable[Cell]) -> list[LayerField]:
    """The layers of all cells that have an architecture.

    Raises:
        ConfigError: none has one, or one is damaged.
    """
    fields: list[LayerField] = []
    for cell in cells:
        if cell.architecture is not None:
            architecture = Architecture.from_json(dict(cell.architecture))
            fields += layer_fields(architecture, task=cell.task, method=cell.method, seed=cell.seed)
    if not fields:
        raise ConfigError(
            "none of the scores comes with an architecture; methods that search have one, and the published "
            "dash-appendix-a8"
        )
    return fields


def field_rows(fields: Iterable[LayerField]) -> list[dict[str, Any]]:
    """An object for each layer."""
    return [asdict(field) for field in fields]
