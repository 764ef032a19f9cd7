"""What may be chosen for a convolution, and what was chosen: kernel sizes and dilations."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from numbers import Integral
from pathlib import Path
from typing import Any, Self

from dashnas.errors import ConfigError

PerAxis = int | tuple[int, ...]
"""One value for every spatial axis, or a tuple with one value for each of them."""


MOST_SPAN = 10**7
"""Largest kernel size times dilation, in samples: longer maps do not fit into memory."""


def per_axis(value: PerAxis, spatial_dims: int) -> tuple[int, ...]:
    """The value of each axis.

    Raises:
        ConfigError: a tuple whose length is not `spatial_dims`.
    """
    if isinstance(value, int):
        return (value,) * spatial_dims
    if len(value) != spatial_dims:
        raise ConfigError(f"{value} names {len(value)} axes, but the layer has {spatial_dims}; give one value per axis")
    return value


@dataclass(frozen=True)
class Candidate:
    """One choice for a convolution; values are kept as a plain int where all axes agree.

    Raises:
        ConfigError: a kernel size that is even, negative or no integer; a dilation below 1; a span beyond any data.
    """

    kernel_size: PerAxis
    """Odd, in samples, so that padding is the same on both sides."""
    dilation: PerAxis = 1
    """Distance between neighbouring taps, in samples; 1 is a dense kernel."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel_size", _axes("kernel_size", self.kernel_size))
        object.__setattr__(self, "dilation", _axes("dilation", self.dilation))
        if even := [k for k in _values(self.kernel_size) if k % 2 == 0]:
            raise ConfigError(
                f"kernel_size must be odd, so that padding is the same on both sides; got {even[0]}; try {even[0] + 1}"
            )
        span = max(_values(self.kernel_size)) * max(_values(self.dilation))
        if span > MOST_SPAN:
            raise ConfigError(
                f"kernel_size {self.kernel_size} with dilation {self.dilation} spans {span} samples; at most "
                f"{MOST_SPAN} are possible, and more than the data have are of no use"
            )

    def half_reach(self, spatial_dims: int) -> tuple[int, ...]:
        """How far the outermost tap lies from the centre, per axis, in samples: (k - 1) d / 2."""
        sizes, dilations = per_axis(self.kernel_size, spatial_dims), per_axis(self.dilation, spatial_dims)
        return tuple((k - 1) * d // 2 for k, d in zip(sizes, dilations, strict=True))

    def __str__(self) -> str:
        size, dilation = ("x".join(map(str, _values(v))) for v in (self.kernel_size, self.dilation))
        return f"k{size}_d{dilation}"


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """Kernel sizes and dilations that the search may give to a convolution; every pair is a candidate.

    Raises:
        ConfigError: an empty choice, one named twice, or one that `Candidate` refuses; with `per_axis`, a tuple.
    """

    kernel_sizes: tuple[PerAxis, ...]
    """Odd, in samples; an int for all axes or a tuple with one value per axis."""
    dilations: tuple[PerAxis, ...]
    """Distance between taps, in samples; an int for all axes or a tuple with one value per axis."""
    per_axis: bool = False
    """For images: height and width each get a kernel size and a dilation of their own, both from these lists of
    integers, in all combinations."""

    def __post_init__(self) -> None:
        if not isinstance(self.per_axis, bool):
            raise ConfigError(f"per_axis must be True or False, got {self.per_axis!r}")
        for name in ("kernel_sizes", "dilations"):
            values = getattr(self, name)
            if not isinstance(values, tuple | list):
                raise ConfigError(f"{name} must be a tuple of choices, got {values!r}; try ({values!r},)")
            if not values:
                raise ConfigError(f"{name} is empty; give at least one value")
            values = tuple(_axes(f"each of {name}", value) for value in values)
            if len(set(values)) < len(values):
                raise ConfigError(f"{name} names a value twice: {values}")
            if self.per_axis and (tuples := [value for value in values if isinstance(value, tuple)]):
                raise ConfigError(
                    f"with per_axis every axis chooses from the same integers, but {name} has {tuples[0]}; "
                    f"try {tuple(sorted({one for value in values for one in _values(value)}))}, or leave per_axis out"
                )
            object.__setattr__(self, name, values)
        self.candidates()

    def candidates(self) -> tuple[Candidate, ...]:
        """All pairs, kernel sizes in the outer loop and dilations in the inner one.

        With `per_axis`, all pairs for the height in the outer loop and all for the width in the inner one. A single tap
        has no neighbour to be distant from, so kernel size 1 along an axis comes once, with dilation 1.
        """
        pairs = product(self.kernel_sizes, self.dilations)
        if not self.per_axis:
            return tuple(Candidate(k, d) for k, d in pairs)
        along_axis = dict.fromkeys((k, 1 if k == 1 else d) for k, d in pairs)
        return tuple(
            Candidate((high, wide), (high_dilation, wide_dilation))  # type: ignore[arg-type]  # integers, as checked
            for (high, high_dilation), (wide, wide_dilation) in product(along_axis, repeat=2)
        )

    @classmethod
    def for_dims(cls, spatial_dims: int, *, per_axis: bool = False) -> Self:
        """The paper's rule: K = {3 + step (p - 1) : p <= p_max}, D = {2^q - 1 : q <= 4}.

        Args:
            spatial_dims: 2 for images (step 2, p_max 4) or 1 for signals (step 4, p_max 5).
            per_axis: for images, let each axis choose. The paper leaves this to future work. Its rule would give 256
                candidates with 14 times the weights of its 16, so kernel sizes are 1, 3, 7 here: 81 candidates with
                2.6 times the weights.

        Raises:
            ConfigError: another number of axes, for which the paper has no rule; `per_axis` for signals.

        Reference: Shen et al. 2022, Section 3.3.
        """
        if spatial_dims not in (1, 2):
            raise ConfigError(f"the paper's rule is for 1 or 2 spatial axes, got {spatial_dims}")
        if per_axis:
            if spatial_dims == 1:
                raise ConfigError("per_axis is for images; signals have one axis only, so leave it out")
            return cls(kernel_sizes=(1, 3, 7), dilations=(1, 3, 7, 15), per_axis=True)
        if spatial_dims == 1:
            return cls(kernel_sizes=(3, 7, 11, 15, 19), dilations=(1, 3, 7, 15))
        return cls(kernel_sizes=(3, 5, 7, 9), dilations=(1, 3, 7, 15))

    def to_json(self) -> dict[str, Any]:
        """As plain containers, for a JSON file.

        `per_axis` stands there only where it is true: files and settings of runs from before there was the field, or
        that do without it, stay the same.
        """
        lists = {"kernel_sizes": list(self.kernel_sizes), "dilations": list(self.dilations)}
        return lists | ({"per_axis": True} if self.per_axis else {})

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`, after a trip through a JSON file.

        Raises:
            ConfigError: the content is not kernel sizes and dilations, a list of each, and at most `per_axis` beside.
        """
        names = ("kernel_sizes", "dilations")
        if (
            not isinstance(content, Mapping)
            or set(content) - {"per_axis"} != set(names)
            or not all(isinstance(content[name], list) for name in names)
        ):
            raise ConfigError(
                'a search space needs just "kernel_sizes" and "dilations", a list each, and may have "per_axis"; '
                f"got {content!r}"
            )
        lists = {name: tuple(_from_json(value) for value in content[name]) for name in names}
        return cls(**lists, per_axis=content.get("per_axis", False))


class Architecture(Mapping[str, Candidate]):
    """What was chosen: layer name to (kernel size, dilation), in the order of the network's layers."""

    def __init__(self, layers: Mapping[str, Candidate]) -> None:
        self._layers = dict(layers)

    def __getitem__(self, layer: str) -> Candidate:
        return self._layers[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def __repr__(self) -> str:
        return f"Architecture({', '.join(f'{name}: {choice}' for name, choice in self.items())})"

    def to_json(self) -> dict[str, Any]:
        """As plain containers: {layer: {"kernel_size": 7, "dilation": [1, 3]}}."""
        return {name: {"kernel_size": choice.kernel_size, "dilation": choice.dilation} for name, choice in self.items()}

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """The inverse of `to_json`.

        Raises:
            ConfigError: the content is not layers with a kernel size and a dilation each.
        """
        if not isinstance(content, dict) or not content:
            raise ConfigError('an architecture maps layer names to {"kernel_size": ..., "dilation": ...}')
        layers = {}
        for name, choice in content.items():
            if not isinstance(choice, dict) or set(choice) != {"kernel_size", "dilation"}:
                raise ConfigError(f'layer {name!r} needs just "kernel_size" and "dilation", got {choice!r}')
            try:
                layers[name] = Candidate(_from_json(choice["kernel_size"]), _from_json(choice["dilation"]))
            except ConfigError as error:
                raise ConfigError(f"layer {name!r}: {error}") from error
        return cls(layers)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read an `architecture.json`.

        Raises:
            ConfigError: no such file, not JSON, or not an architecture.
        """
        try:
            content = json.loads(path.read_text())
        except OSError as error:
            raise ConfigError(f"cannot read the architecture {path}: {error.strerror}") from error
        except ValueError as error:
            raise ConfigError(f"{path} is not an architecture: it is not JSON ({error})") from error
        try:
            return cls.from_json(content)
        except ConfigError as error:
            raise ConfigError(f"{path} is not an architecture: {error}") from error


def _values(value: PerAxis) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else value


def _from_json(value: Any) -> PerAxis:
    return tuple(value) if isinstance(value, list) else value


def _axes(name: str, value: Any) -> PerAxis:
    """The canonical form of a value: positive integers, as one int where all axes agree."""
    values = value if isinstance(value, tuple) else (value,)
    for one in values:
        if isinstance(one, bool) or not isinstance(one, Integral):  # NumPy's integers will do
            raise ConfigError(f"{name} must be an integer, or a tuple with one integer per axis; got {value!r}")
        if one < 1:
            raise ConfigError(f"{name} must be at least 1, got {one}")
    if not values:
        raise ConfigError(f"{name} needs a value for each axis, got ()")
    return int(values[0]) if len(set(values)) == 1 else tuple(map(int, values))
