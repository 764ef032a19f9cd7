"""Darcy flow from its equations: a permeability of two values at random, and the pressure that it leads to.

On the unit square -div(a grad u) = 1, with u = 0 on the boundary. The permeability a has one value where a Gaussian
random field is at least 0 and another where it is below. Fields belong to the centres of grid x grid cells, the
equation is solved on the grid x grid nodes from rim to rim, and splines lead from the one to the other, as in the
data of Li et al. 2021. What is stored is therefore half a cell inside the domain, where the pressure of the outermost
row is small, but not 0.

Source: Li et al. 2021, "Fourier neural operator for parametric partial differential equations", appendix A.3.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.fft import idctn
from scipy.interpolate import make_interp_spline
from scipy.sparse import csc_array, diags_array
from scipy.sparse.linalg import splu

Floats = npt.NDArray[np.float64]

FEWEST_CELLS = 8
"""Along an axis; fewer leave nothing of the field's shape."""
_LEAF = 16  # unknowns that are no longer worth dissecting


@dataclass(frozen=True, kw_only=True)
class Ground:
    """How the permeability is drawn: from a Gaussian field with covariance (-Laplacian + tau^2)^-alpha."""

    alpha: float
    """How smooth the field is."""
    tau: float
    """An inverse length: fields further apart than 1/tau are nearly independent."""
    high: float
    """Permeability where the field is at least 0."""
    low: float
    """Permeability where it is below."""


LI2021 = Ground(alpha=2, tau=3, high=12, low=3)
"""Of the data of Li et al. 2021, and so of NAS-Bench-360."""


def random_field(random: np.random.RandomState, grid: int, ground: Ground) -> Floats:
    """The Gaussian field, without flux through the boundary and with mean 0.

    Its cosine series has independent coefficients, whose spreads are the square roots of the covariance's eigenvalues.

    Returns:
        Values at cell centres, (grid, grid).
    """
    squares = (np.pi * np.arange(grid)) ** 2
    # The factor in front makes fields of every tau about as large; it does not matter for two values.
    spread = ground.tau ** (ground.alpha - 1) * (squares[:, None] + squares + ground.tau**2) ** (-ground.alpha / 2)
    series = grid * spread * random.standard_normal((grid, grid))
    series[0, 0] = 0
    field: Floats = idctn(series, norm="ortho")
    return field


def cell_centres(grid: int) -> Floats:
    """Middles of `grid` cells that divide the unit interval."""
    return (np.arange(grid) + 0.5) / grid


def resample(values: Floats, places: Floats, wanted: Floats) -> Floats:
    """Values at other places of both axes by cubic splines, which overshoot at jumps and go on beyond the ends."""
    for axis in (0, 1):
        values = make_interp_spline(places, values, k=3, axis=axis)(wanted)
    return values


def pressure_at_nodes(permeability: Floats, source: Floats) -> Floats:
    """Solve -div(a grad u) = f on the nodes of the unit square, with u = 0 on the rim.

    Second-order finite differences of five points; between two nodes the permeability is the mean of theirs. The sparse
    system is factored directly: where splines overshoot at jumps near the rim, the permeability of single nodes is far
    below 0, so that the system need not be positive definite, as conjugate gradients would have to rely on.

    Args:
        permeability: a at all nodes, (grid, grid).
        source: f at all nodes, (grid, grid).

    Returns:
        u at all nodes, (grid, grid).
    """
    grid = len(permeability)
    inner = grid - 2
    order = dissection(inner)
    matrix = _five_points(permeability)[order][:, order].tocsc()
    factors = splu(matrix, permc_spec="NATURAL", diag_pivot_thresh=0, options={"SymmetricMode": True})
    right_side = source[1:-1, 1:-1].reshape(-1) / (grid - 1) ** 2
    solution = np.empty(inner * inner)
    solution[order] = factors.solve(right_side[order])
    return np.pad(solution.reshape(inner, inner), 1)


def _five_points(permeability: Floats) -> csc_array:
    """Matrix of h^2 times the operator on the inner nodes, rows of the grid one after the other."""
    down = (permeability[1:, 1:-1] + permeability[:-1, 1:-1]) / 2  # (grid - 1, inner)
    right = (permeability[1:-1, 1:] + permeability[1:-1, :-1]) / 2  # (inner, grid - 1)
    inner = down.shape[1]
    centre = down[1:] + down[:-1] + right[:, 1:] + right[:, :-1]
    beside = -right[:, 1:]
    beside[:, -1] = 0  # the last node of a row and the first of the next are no neighbours
    below = -down[1:-1].reshape(-1)
    beside = beside.reshape(-1)[:-1]
    diagonals = [centre.reshape(-1), beside, beside, below, below]
    return csc_array(diags_array(diagonals, offsets=[0, 1, -1, inner, -inner]))


@lru_cache(maxsize=4)
def dissection(side: int) -> npt.NDArray[np.int64]:
    """Order of the nodes of a side x side grid in which factors of its sparse matrices stay small.

    Nested dissection: a line of nodes divides the grid into two that do not touch; first one, then the other, then the
    line, and so on inside them (George 1973).

    Returns:
        Numbers of the nodes, counted row by row, (side * side,).
    """
    parts: list[npt.NDArray[np.int64]] = []

    def dissect(nodes: npt.NDArray[np.int64]) -> None:
        if nodes.shape[0] < nodes.shape[1]:
            nodes = nodes.T
        if nodes.size <= _LEAF or nodes.shape[0] < 3:
            parts.append(nodes.reshape(-1))
            return
        middle = nodes.shape[0] // 2
        dissect(nodes[:middle])
        dissect(nodes[middle + 1 :])
        parts.append(nodes[middle])

    dissect(np.arange(side * side).reshape(side, side))
    return np.concatenate(parts)


def solve(permeability: Floats) -> Floats:
    """Pressure under a constant source, at the cell centres at which the permeability is given; (grid, grid)."""
    centres, nodes = cell_centres(len(permeability)), np.linspace(0, 1, len(permeability))
    pressure = pressure_at_nodes(resample(permeability, centres, nodes), np.ones_like(permeability))
    return resample(pressure, nodes, centres)


def sample(seed: int, index: int, grid: int, ground: Ground = LI2021) -> tuple[Floats, Floats]:
    """Permeability and pressure of one sample, which depend on nothing but these values; (grid, grid) each."""
    # RandomState, whose numbers never change with NumPy's version, as a Generator's may.
    field = random_field(np.random.RandomState([seed, index]), grid, ground)
    permeability = np.where(field >= 0, ground.high, ground.low)
    return permeability, solve(permeability)
