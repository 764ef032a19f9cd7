"""The equations of Darcy flow: their solver, the random ground, and both together against data made elsewhere."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator
from scipy.sparse.linalg import spsolve

from dashnas.tasks import darcy_equations, fetch
from dashnas.tasks.darcy_equations import (
    LI2021,
    Ground,
    cell_centres,
    dissection,
    pressure_at_nodes,
    random_field,
    resample,
    sample,
    solve,
)


def manufactured(grid):
    """A smooth permeability and pressure, and the source that they need, f = -(a_x u_x + a_y u_y + a Lap u)."""
    x, y = np.meshgrid(*[np.linspace(0, 1, grid)] * 2, indexing="ij")
    a = 1 + x + 2 * y**2
    u = np.sin(np.pi * x) * np.sin(2 * np.pi * y)
    u_x = np.pi * np.cos(np.pi * x) * np.sin(2 * np.pi * y)
    u_y = 2 * np.pi * np.sin(np.pi * x) * np.cos(2 * np.pi * y)
    return a, u, -(u_x + 4 * y * u_y - 5 * np.pi**2 * a * u)


class TestSolver:
    def test_halving_the_step_quarters_the_error(self):
        errors = []
        for grid in (17, 33, 65, 129):
            a, u, f = manufactured(grid)
            errors.append(np.abs(pressure_at_nodes(a, f) - u).max())
        orders = np.log2(np.divide(errors[:-1], errors[1:]))
        np.testing.assert_allclose(orders, 2, atol=0.05)

    def test_constant_ground_has_the_pressure_of_the_series(self):
        odd = np.arange(1, 200, 2)
        signs = (-1.0) ** ((odd - 1) / 2)
        middle = 16 / np.pi**4 * (np.outer(signs, signs) / (np.outer(odd, odd) * np.add.outer(odd**2, odd**2))).sum()
        pressure = pressure_at_nodes(np.full((129, 129), 3.0), np.ones((129, 129)))
        assert pressure[64, 64] == pytest.approx(middle / 3, rel=1e-4)

    def test_the_rim_is_0_and_the_system_is_solved_to_rounding(self):
        random = np.random.RandomState(0)
        a, f = random.uniform(1, 10, (2, 40, 40))
        u = pressure_at_nodes(a, f)
        assert not u[[0, -1]].any()
        assert not u[:, [0, -1]].any()
        flow_down = (a[1:] + a[:-1]) / 2 * np.diff(u, axis=0)
        flow_right = (a[:, 1:] + a[:, :-1]) / 2 * np.diff(u, axis=1)
        balance = -np.diff(flow_down, axis=0)[:, 1:-1] - np.diff(flow_right, axis=1)[1:-1]
        np.testing.assert_allclose(balance * 39**2, f[1:-1, 1:-1], rtol=1e-9)

    @pytest.mark.parametrize("side", [1, 2, 3, 7, 30])
    def test_dissection_names_every_node_once(self, side):
        np.testing.assert_array_equal(np.sort(dissection(side)), np.arange(side * side))

    def test_the_halves_of_a_dissection_do_not_touch(self):
        order = dissection(15)
        line, halves = order[-15:], np.ones((15, 15), bool)
        halves.reshape(-1)[line] = False
        assert set(line // 15) == {7}
        first, second = order[:105] // 15, order[105:210] // 15
        assert first.max() < 7 < second.min()

    def test_pressure_is_that_of_another_solver(self):
        a = np.random.RandomState(0).uniform(1, 10, (25, 25))
        ours = pressure_at_nodes(a, np.ones_like(a))
        matrix = darcy_equations._five_points(a)
        np.testing.assert_allclose(ours[1:-1, 1:-1].reshape(-1), spsolve(matrix, np.full(23 * 23, 24.0**-2)))


class TestSplines:
    def test_give_back_a_cubic_also_beyond_the_outermost_centres(self):
        centres, nodes = cell_centres(12), np.linspace(0, 1, 12)
        cubic = lambda x, y: 2 + x**3 - x * y**2 + y  # noqa: E731
        values = cubic(*np.meshgrid(centres, centres, indexing="ij"))
        expected = cubic(*np.meshgrid(nodes, nodes, indexing="ij"))
        np.testing.assert_allclose(resample(values, centres, nodes), expected)

    def test_overshoot_at_jumps_as_in_the_original_data(self):
        step = np.where(cell_centres(40) < 0.2, 3.0, 12.0)[:, None] * np.ones(40)
        at_nodes = resample(step, cell_centres(40), np.linspace(0, 1, 40))
        assert at_nodes.max() > 12.5
        assert at_nodes.min() < 2.5


class TestGround:
    def test_the_field_has_mean_0_and_the_covariance_of_its_operator(self):
        ground = Ground(alpha=2, tau=3, high=12, low=3)
        fields = np.stack([random_field(np.random.RandomState([7, i]), 16, ground) for i in range(4000)])
        np.testing.assert_allclose(fields.mean(axis=(1, 2)), 0, atol=1e-12)
        k = np.arange(16)
        waves = np.cos(np.pi * np.outer(k, cell_centres(16))) * np.where(k == 0, 1, np.sqrt(2))[:, None]
        eigenvalues = 3**2 * (np.pi**2 * np.add.outer(k**2, k**2) + 3**2) ** -2.0
        eigenvalues[0, 0] = 0
        expected = np.einsum("kl,kp,kq,lr,lr->pqr", eigenvalues, waves, waves, waves, waves)[0, :, 3]
        products = fields[:, 0, 3, None] * fields[:, :, 3]
        error = products.std(axis=0) / np.sqrt(len(fields))
        assert (np.abs(products.mean(axis=0) - expected) < 4 * error).all()

    def test_the_permeability_is_12_or_3_with_the_mean_and_spread_of_the_official_files(self):
        grounds = np.stack([sample(0, i, 32)[0] for i in range(200)])
        assert set(np.unique(grounds)) == {3, 12}
        means = grounds.mean(axis=(1, 2))
        assert abs(means.mean() - 7.5) < 3 * means.std() / np.sqrt(200)
        assert grounds.std() == pytest.approx(4.5, abs=0.01)

    def test_a_sample_depends_on_seed_and_number_alone(self):
        again = [sample(1, 2, 16), sample(0, 3, 16), sample(1, 2, 16)]
        np.testing.assert_array_equal(again[0], again[2])
        assert not np.array_equal(again[0][0], again[1][0])
        assert not np.array_equal(sample(2, 1, 16)[0], again[0][0])

    def test_the_pressure_is_small_at_the_rim_but_not_0_since_it_is_of_cell_centres(self):
        _, pressure = sample(0, 0, 64)
        assert 0 < pressure[0].mean() < 0.1 * pressure.mean()

    def test_the_pressure_is_of_the_size_of_the_official_files(self):
        pressures = np.stack([sample(0, i, 85)[1] for i in range(20)])
        assert pressures.std() == pytest.approx(3.9e-3, rel=0.15)


@pytest.mark.slow
def test_coarser_grids_draw_near_to_the_solution_on_421():
    """The same ground on each grid, from the same 64 x 64 first waves; jumps cost more than smooth coefficients do."""
    worst = {}
    for index in range(3):
        waves = np.random.RandomState([5, index]).standard_normal((64, 64))

        class Waves:
            def standard_normal(self, shape, waves=waves):
                return np.pad(waves, [(0, shape[0] - 64), (0, shape[1] - 64)])

        def solved(grid, random=Waves()):  # noqa: B008
            return solve(np.where(random_field(random, grid, LI2021) >= 0, 12.0, 3.0))

        fine = RegularGridInterpolator([cell_centres(421)] * 2, solved(421), bounds_error=False, fill_value=None)
        for grid in (85, 141, 211):
            there = fine(np.stack(np.meshgrid(*[cell_centres(grid)] * 2, indexing="ij"), axis=-1))
            error = np.linalg.norm(solved(grid) - there) / np.linalg.norm(there)
            worst[grid] = max(worst.get(grid, 0), error)
    assert worst[211] < worst[141] < worst[85]
    assert worst[85] < 0.02
    assert worst[211] < 0.004


def statistics(high, pressure):
    """Per sample, of 16 x 16 points: where permeability is high (0 or 1), and the pressure up to its scale."""
    sign, inside = 2 * high - 1.0, pressure[:, 1:, 1:]  # the first row and column lie on the rim
    values = {"share": high.mean(axis=(1, 2)), "spread of the share": (high.mean(axis=(1, 2)) - 0.5) ** 2}
    for lag in (1, 2, 3, 4, 6, 8, 12):
        down, right = sign[:, lag:] * sign[:, :-lag], sign[:, :, lag:] * sign[:, :, :-lag]
        values[f"covariance at {lag}/16"] = (down.mean(axis=(1, 2)) + right.mean(axis=(1, 2))) / 2
    values["pressure in the middle"] = pressure[:, 8, 8]
    values["pressure at the rim"] = (pressure[:, 1, 1:].mean(axis=1) + pressure[:, 1:, 1].mean(axis=1)) / 2
    values["size of pressure"] = (inside**2).mean(axis=(1, 2))
    values["ground and pressure"] = (sign[:, 1:, 1:] * inside).mean(axis=(1, 2))
    return values


@pytest.mark.slow
def test_fields_have_the_statistics_of_a_set_made_elsewhere():
    """`darcy16` has smoother, finer ground and a larger contrast than the data of Li et al. 2021.

    That its field has covariance (-Laplacian + 100)^-3 was found from the covariances themselves, the contrast of about
    18 and the unit of pressure from the pressure; all other statistics follow from these four numbers.
    """
    with np.load(fetch("darcy16")) as file:
        theirs = file["x"][:, 0], file["y"][:, 0]
    grid, n = 257, 160
    ground = Ground(alpha=3, tau=10, high=18, low=1)
    places = np.clip(np.rint(np.arange(16) / 16 * grid - 0.5).astype(int), 0, None)
    fields = np.stack([sample(3, i, grid, ground) for i in range(n)])[:, :, places[:, None], places]
    pressure = fields[:, 1] * theirs[1][:, 1:, 1:].mean() / fields[:, 1, 1:, 1:].mean()
    ours, expected = statistics(fields[:, 0] > 5, pressure), statistics(*theirs)
    for name, value in ours.items():
        error = np.hypot(value.std() / np.sqrt(n), expected[name].std() / np.sqrt(len(expected[name])))
        assert abs(value.mean() - expected[name].mean()) < 3 * error, name
