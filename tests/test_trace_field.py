"""The PDE's own solution on pixel media: exact solutions, symmetries, evaluation, data, refusals."""

import numpy as np
import pytest

from ngs_nhcsr.errors import GridMismatch, InvalidProblem, NhcsrWarning, NotCoercive
from ngs_nhcsr.solvers import fine_solve
from ngs_nhcsr.solvers.trace import TraceField, solve_pde
from ngs_nhcsr.solvers.trace.boundary import boundary_data
from ngs_nhcsr.solvers.trace.edges import EdgeFit, circulation, lobatto
from ngs_nhcsr.solvers.trace.loads import cell_load

TIGHT = 1e-10
SIDES = ("bottom", "right", "top", "left")


def two_values(rng, shape, contrast=10.0):
    return np.where(rng.random(shape) < 0.5, 1.0, contrast)


def potential(u):
    """Half the energy minus the work of the data: least for the solution among fields with its Dirichlet data."""
    return u.energy / 2 - u.work


def gauss_points(n):
    """Points (P, 2) and weights of a product rule on n x n cells of the unit square."""
    x, w = np.polynomial.legendre.leggauss(8)
    line, weight = (((np.arange(n)[:, None] + (x + 1) / 2) / n).ravel(), np.tile(w / (2 * n), n))
    X, Y = np.meshgrid(line, line)
    return np.stack([X.ravel(), Y.ravel()], axis=1), np.outer(weight, weight).ravel()


# ---- exact solutions


def test_linear_solutions_are_exact(rng):
    u = solve_pde(np.full((3, 5), 2.0), 0.0, g=lambda x, y: x + 2 * y, size=(1.5, 1.0), tolerance=TIGHT)
    points = rng.random((40, 2)) * [1.0, 1.5]
    assert np.abs(u.at(points) - points @ [1, 2]).max() < 1e-9
    assert np.abs(u.gradient(points) - [1, 2]).max() < 1e-7
    assert u.energy == pytest.approx(2 * 5 * 1.5, rel=1e-9)
    assert [u.side_flux(s) for s in SIDES] == pytest.approx([-4.0, 3.0, 4.0, -3.0], abs=1e-7)
    assert u.problem.data.excess == 0.0


def test_layers_conduct_like_resistors_in_series_and_in_parallel(rng):
    a = rng.uniform(1, 20, 6)
    drop = {"left": 0.0, "right": 1.0}
    series = solve_pde(np.tile(a, (4, 1)), 0.0, g=drop, natural=["bottom", "top"], tolerance=TIGHT)
    assert series.side_flux("right") == pytest.approx(1 / np.mean(1 / a), rel=1e-8)
    parallel = solve_pde(np.tile(a[:, None], (1, 4)), 0.0, g=drop, natural=["bottom", "top"], tolerance=TIGHT)
    assert parallel.side_flux("left") == pytest.approx(-a.mean(), rel=1e-8)


def test_a_polynomial_solution_is_reached_within_the_bound(rng):
    points = rng.random((50, 2))
    x, y = points.T
    exact = x * (1 - x) * y * (1 - y)

    def load(x, y):
        return 2 * (x * (1 - x) + y * (1 - y))

    coarse, fine = (solve_pde(np.ones((n, n)), load, tolerance=TIGHT) for n in (4, 16))
    # the load's quadratic part is projected: the error falls like h^4 in the values
    errors = [np.abs(u.at(points) - exact).max() for u in (coarse, fine)]
    assert errors[1] < errors[0] / 50
    assert errors[1] < 1e-6
    for u, n in ((coarse, 4), (fine, 16)):
        points, weight = gauss_points(n)
        x, y = points.T
        slope = np.stack([(1 - 2 * x) * y * (1 - y), x * (1 - x) * (1 - 2 * y)], axis=1)
        error = np.sqrt(weight @ np.sum((u.gradient(points) - slope) ** 2, axis=1))
        assert 0 < error < u.error_bound < 5 * error


def test_harmonic_boundary_data_are_continued(rng):
    points = rng.random((50, 2))
    exact = np.exp(points[:, 0]) * np.sin(points[:, 1])
    u = solve_pde(np.ones((8, 8)), 0.0, g=lambda x, y: np.exp(x) * np.sin(y), tolerance=TIGHT)
    assert np.abs(u.at(points) - exact).max() < 1e-5
    assert 0 < u.problem.data.excess < 1e-4
    points, weight = gauss_points(8)
    slope = np.exp(points[:, :1]) * np.stack([np.sin(points[:, 1]), np.cos(points[:, 1])], axis=1)
    assert np.sqrt(weight @ np.sum((u.gradient(points) - slope) ** 2, axis=1)) < u.error_bound < 1e-3


def test_constants_are_exact(rng):
    u = solve_pde(two_values(rng, (3, 4)), 0.0, g=2.5)
    assert u.nodes(12) == pytest.approx(np.full((13, 13), 2.5))
    assert u.energy == pytest.approx(0.0, abs=1e-20)
    assert u.error_bound < 1e-12


def test_small_loads_next_to_large_boundary_values_count(rng):
    A = two_values(rng, (6, 6), 1000.0)
    u, v = solve_pde(A, 1e-6, g=1e3, tolerance=1e-8), solve_pde(A, 1e-6, tolerance=1e-8)
    assert u.energy == pytest.approx(v.energy, rel=1e-3)  # the digits that 1000 leaves
    assert u.relative_error_bound < 2 * v.relative_error_bound


def test_one_pixel_is_the_square():
    u = solve_pde(np.array([[3.0]]), 1.0)
    assert u.energy == pytest.approx(0.0351442537 / 3, rel=1e-8)
    assert u.nodes(2)[1, 1] == pytest.approx(0.0736713533 / 3, rel=1e-7)


def test_fine_meshes_converge_to_the_field_where_no_cells_cross(rng):
    A = np.ones((6, 6))
    A[2:4, 1:5] = 50.0
    u = solve_pde(A, 1.0, modes=8, tolerance=1e-8)
    errors = [np.linalg.norm(fine_solve(A, n) - u.nodes(n)) / np.linalg.norm(u.nodes(n)) for n in (24, 48, 96)]
    assert errors[0] / errors[1] > 2
    assert errors[1] / errors[2] > 2
    assert errors[2] < 2e-3
    assert u.energy > sum(np.sum(fine_solve(A, 96)[j : j + 96, i : i + 96]) for j in (0, 1) for i in (0, 1)) / (
        4 * 96**2
    )  # the work of a conforming field is less


# ---- symmetries and scalings


def test_symmetries_of_the_square(rng):
    A, f = two_values(rng, (6, 8)), rng.normal(size=(6, 8))
    u = solve_pde(A, f, size=(0.75, 1.0), tolerance=TIGHT).nodes((12, 16))
    assert solve_pde(A[:, ::-1], f[:, ::-1], size=(0.75, 1.0), tolerance=TIGHT).nodes((12, 16)) == pytest.approx(
        u[:, ::-1], abs=1e-9
    )
    assert solve_pde(A.T, f.T, size=(1.0, 0.75), tolerance=TIGHT).nodes((16, 12)) == pytest.approx(u.T, abs=1e-9)


def test_scaling_of_coefficient_load_and_length(rng):
    A = two_values(rng, (5, 5))
    u = solve_pde(A, 1.0, tolerance=TIGHT)
    assert solve_pde(7 * A, 1.0, tolerance=TIGHT).nodes(10) == pytest.approx(u.nodes(10) / 7, abs=1e-10)
    assert solve_pde(A, 1.0, size=(3.0, 3.0), tolerance=TIGHT).nodes(10) == pytest.approx(9 * u.nodes(10), abs=1e-9)


def test_solutions_are_linear_in_the_load(rng):
    A, one, two = two_values(rng, (6, 6)), rng.normal(size=(3, 6, 6)), rng.normal(size=(6, 6))
    u = solve_pde(A, one, tolerance=TIGHT)
    both = one.copy()
    both[0] += 2 * two
    assert u.solve(both, tolerance=TIGHT).nodes(6) == pytest.approx(
        u.nodes(6) + 2 * u.solve(two, tolerance=TIGHT).nodes(6), abs=1e-9
    )


def test_more_modes_lower_the_potential(rng):
    A = two_values(rng, (8, 8), 100.0)
    values = [potential(solve_pde(A, 1.0, modes=p, tolerance=TIGHT)) for p in (2, 4, 6, 8)]
    assert bool(np.all(np.diff(values) < 0))


# ---- evaluation


@pytest.mark.parametrize("cells", [(6, 8), (18, 16), (7, 5), (13, 30), (1, 1)])
def test_nodes_are_values_at_points(rng, cells):
    u = solve_pde(np.exp(rng.uniform(0, 3, (6, 8))), rng.normal(size=(3, 6, 8)), size=(0.9, 1.0))
    y, x = (np.linspace(0, length, n + 1) for n, length in zip(cells, u.size, strict=True))
    X, Y = np.meshgrid(x, y)
    points = np.stack([X.ravel(), Y.ravel()], axis=1)
    scale = np.abs(u.nodes(cells)).max() + 1e-3
    assert np.abs(u.nodes(cells).ravel() - u.at(points)).max() < 1e-9 * scale


def test_the_gradient_is_that_of_the_values(rng):
    u = solve_pde(two_values(rng, (5, 5)), rng.normal(size=(3, 5, 5)), size=(1.0, 1.3))
    cells, places = rng.integers(0, 5, (30, 2)), rng.uniform(0.1, 0.9, (30, 2))
    points, step = (cells + places) / 5 * [1.3, 1.0], 1e-5
    slopes = [(u.at(points + step * e) - u.at(points - step * e)) / (2 * step) for e in np.eye(2)]
    gradient = u.gradient(points)
    assert np.abs(np.stack(slopes, 1) - gradient).max() < 1e-5 * np.abs(gradient).max()
    with pytest.raises(InvalidProblem, match="vertex"):
        u.gradient(np.array([[1.3 * 2 / 5, 3 / 5]]))


def test_means_are_integrals_of_the_values(rng):
    u = solve_pde(two_values(rng, (4, 4)), rng.normal(size=(3, 4, 4)), g=lambda x, y: x * y)
    x, w = np.polynomial.legendre.leggauss(24)
    X, Y = np.meshgrid(0.25 + (x + 1) / 8, 0.5 + (x + 1) / 8)
    cell = np.sum(np.outer(w, w).ravel() / 4 * u.at(np.stack([X.ravel(), Y.ravel()], 1)))
    assert u.mean((0.25, 0.5, 0.5, 0.75)) == pytest.approx(cell, rel=1e-4, abs=1e-6)
    halves = u.mean((0, 0, 0.5, 1)), u.mean((0.5, 0, 1, 1))
    assert u.mean() == pytest.approx(sum(halves) / 2, rel=1e-12)
    with pytest.raises(InvalidProblem, match="whole cells"):
        u.mean((0, 0, 0.3, 1))


def test_side_fluxes_balance_the_load(rng):
    f = rng.normal(size=(6, 6))
    u = solve_pde(two_values(rng, (6, 6)), f, g=lambda x, y: np.sin(x + y), tolerance=TIGHT)
    assert sum(u.side_flux(s) for s in SIDES) == pytest.approx(-f.mean(), abs=1e-10)
    v = solve_pde(u.problem.a, f, natural=["left", "right"], flux={"left": 0.3}, tolerance=TIGHT)
    assert v.side_flux("left") == 0.3
    assert sum(v.side_flux(s) for s in SIDES) == pytest.approx(-f.mean(), abs=1e-8)
    # reactions and the dual flux are two independent ways
    assert v.side_flux("top") == pytest.approx(v.flux.through("top"), abs=1e-4)


# ---- data


def test_loads_agree_however_they_are_given(rng):
    A = two_values(rng, (4, 5))
    polynomial = np.zeros((3, 4, 5))
    polynomial[0] = 1 + 2 * np.arange(5) / 5 - 3 * np.arange(4)[:, None] / 4
    polynomial[1], polynomial[2] = 2 / 5, -3 / 4
    X, Y = np.meshgrid(np.linspace(0, 1, 16), np.linspace(0, 1, 9))
    given = [polynomial, lambda x, y: 1 + 2 * x - 3 * y, 1 + 2 * X - 3 * Y]
    fields = [solve_pde(A, f, tolerance=TIGHT) for f in given]
    for u in fields:
        assert u.nodes((8, 10)) == pytest.approx(fields[0].nodes((8, 10)), abs=1e-10)
        assert u.source.remainder.max() < 1e-12


def test_the_projection_is_the_best_linear_polynomial(rng):
    values = rng.normal(size=(9, 13))
    load = cell_load(values, (2, 3), (1.0, 2.0))
    # the rest is orthogonal to the polynomials, so its norm and theirs add up to that of f
    mass = np.array([[1, 1 / 2, 1 / 2], [1 / 2, 1 / 3, 1 / 4], [1 / 2, 1 / 4, 1 / 3]])
    area = 2.0 / 6
    own = area * np.einsum("mji,mn,nji->ji", load.coefficients, mass, load.coefficients)
    hats = np.array([[2, 1], [1, 2]]) / 6
    whole = np.zeros((2, 3))
    for j in range(8):
        for i in range(12):
            v = values[j : j + 2, i : i + 2]
            whole[j // 4, i // 4] += area / 16 * np.sum(v * (hats @ v @ hats))
    assert own + load.remainder**2 == pytest.approx(whole, rel=1e-12)


def test_boundary_data_agree_however_they_are_given(rng):
    A = two_values(rng, (3, 4))
    nodes = rng.normal(size=(4, 5))
    sides = {"bottom": nodes[0], "top": nodes[-1], "left": nodes[:, 0], "right": nodes[:, -1]}
    fields = [solve_pde(A, 1.0, g=g, tolerance=TIGHT) for g in (nodes, sides, [sides[s] for s in SIDES])]
    for u in fields:
        assert u.nodes(12)[::4, ::3][0] == pytest.approx(nodes[0], abs=1e-12)
        assert u.nodes(12) == pytest.approx(fields[0].nodes(12), abs=1e-10)
        assert u.problem.data.excess == 0.0  # linear on every edge: in the space


def test_the_tolerance_is_relative_to_the_field_not_to_a_lift(rng):
    A = two_values(rng, (12, 12), 1000.0)
    given = {"f": 0.0, "g": lambda x, y: 100 + np.sin(5 * x + y)}
    best = solve_pde(A, **given, tolerance=1e-9)
    for tolerance in (1e-1, 1e-2, 1e-4):
        u = solve_pde(A, **given, tolerance=tolerance)
        assert u.info.algebraic_error <= tolerance
        assert 0 <= u.energy - best.energy < tolerance**2 * best.energy + 1e-9


def test_the_edge_fit_is_orthogonal_in_the_energy(rng):
    u = solve_pde(two_values(rng, (2, 2)))
    for axis in (0, 1):
        fit = EdgeFit.of(u.cell, axis, lobatto(10))
        s = lobatto(10)
        bubble = (s * (1 - s))[None, 1:-1]
        # sum over odd k of (k pi/2) coth(k pi) (8/(k pi)^3)^2
        k = np.arange(1, 400, 2) * np.pi
        assert (bubble @ fit.products @ bubble.T)[0, 0] == pytest.approx(np.sum(32 / k**5 / np.tanh(k)), rel=1e-9)
        assert 0 <= fit.remainder_energies(bubble)[0] < 1e-4
        own = fit.stiffness @ fit.coefficients(bubble)[0]
        assert own == pytest.approx(fit.cross @ bubble[0], abs=1e-12)


def test_the_circulation_is_antisymmetric_and_knows_areas(rng):
    u = solve_pde(two_values(rng, (2, 2)), size=(1.4, 1.0))
    C, p = circulation(u.cell), u.cell.modes
    assert np.abs(C + C.T).max() < 1e-12
    x, y = np.r_[np.zeros(4 * p), 0, 1, 0, 1], np.r_[np.zeros(4 * p), 0, 0, 1, 1]
    assert x @ C @ y == pytest.approx(1.0)  # a determinant: lengths do not matter


def test_accuracy_chooses_the_modes(rng):
    A = two_values(rng, (8, 8))
    rough, sharp = solve_pde(A, accuracy=0.02), solve_pde(A, accuracy=1e-3)
    assert rough.relative_error_bound <= 0.02
    assert sharp.relative_error_bound <= 1e-3
    assert sharp.info.modes > rough.info.modes
    with pytest.warns(NhcsrWarning, match="out of reach"):
        solve_pde(A, lambda x, y: np.sin(20 * x), accuracy=1e-6)


def test_saved_fields_come_back(rng, tmp_path):
    u = solve_pde(two_values(rng, (4, 6)), rng.normal(size=(4, 6)), g=lambda x, y: x * y, natural=["top"])
    u.save(tmp_path / "u.npz")
    v = TraceField.load(tmp_path / "u.npz")
    assert v.info == u.info
    assert v.nodes(24) == pytest.approx(u.nodes(24), abs=0)
    assert v.error_bound == pytest.approx(u.error_bound, rel=1e-6)
    assert v.solve(3.0).energy == pytest.approx(u.solve(3.0).energy, rel=1e-9)
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    (tmp_path / "text.npz").write_text("no field")
    for name in ("other.npz", "text.npz"):
        with pytest.raises(InvalidProblem, match="not a field"):
            TraceField.load(tmp_path / name)


# ---- refusals


@pytest.mark.parametrize(
    ("A", "error"),
    [
        (np.array([[1.0, np.nan]]), InvalidProblem),
        (np.array([[1.0, np.inf]]), InvalidProblem),
        (np.array([[1.0, 0.0]]), NotCoercive),
        (np.array([[1.0, -2.0]]), NotCoercive),
        (np.array([[1e-9, 1.0]]), InvalidProblem),
        (np.ones(4), InvalidProblem),
        (np.ones((0, 4)), InvalidProblem),
    ],
)
def test_bad_coefficients_are_refused(A, error):
    with pytest.raises(error):
        solve_pde(A)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"natural": SIDES}, "up to a constant"),
        ({"natural": ["north"]}, "unknown"),
        ({"g": {"left": 0.0, "bottom": 1.0, "top": 0.0, "right": 0.0}}, "jumps"),
        ({"g": {"left": 0.0}}, "no entry"),
        ({"g": {"left": 0.0, "north": 1.0}}, "sides are"),
        ({"g": np.ones((3, 3))}, "refines the raster"),
        ({"g": lambda x, y: x / 0 if isinstance(x, int) else x + np.nan}, "not finite"),
        ({"g": [0.0, 0.0]}, "four"),
        ({"flux": {"left": 1.0}}, "not a natural side"),
        ({"natural": ["left"], "flux": {"left": np.nan}}, "finite"),
        ({"f": np.ones((7, 7))}, "refines the raster"),
        ({"f": np.full((4, 4), np.nan)}, "not finite"),
        ({"f": lambda x, y: np.ones(3)}, "write it for arrays"),
        ({"f": lambda x, y: 1.0 if x > 0.5 else 0.0}, r"np\.where"),
        ({"f": lambda x: x}, "fails for x"),
        ({"f": "1"}, "must be a number"),
        ({"g": lambda x, y: 1j * x}, "must be a number"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"modes": 0}, "modes"),
        ({"accuracy": 0.1, "modes": 6}, "not both"),
        ({"accuracy": -1.0}, "positive"),
        ({"size": (1.0, 0.0)}, "size"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(arguments, words):
    with pytest.raises(InvalidProblem, match=words):
        solve_pde(np.array([[1.0, 2.0, 1.0, 1.0]] * 4), **arguments)


def test_bad_questions_are_refused():
    u = solve_pde(np.ones((2, 2)))
    for question in (
        lambda: u.at(np.array([[0.5, 1.2]])),
        lambda: u.at(np.zeros(2)),
        lambda: u.nodes(0),
        lambda: u.side_flux("north"),
        lambda: u.side_flux_bounds("left"),
        lambda: u.flux.fluxes(3),
    ):
        with pytest.raises((InvalidProblem, GridMismatch)):
            question()


def test_data_on_natural_sides_are_not_asked_for(rng):
    u = solve_pde(two_values(rng, (3, 3)), 0.0, g={"left": 0.0, "right": 1.0}, natural=["top", "bottom"])
    data = boundary_data(lambda x, y: x, ["top", "bottom"], None, u.cell, u.problem.a, u.size)
    assert data.lift.corners[:, [0, -1]] == pytest.approx(u.problem.data.lift.corners[:, [0, -1]])


@pytest.mark.parametrize("A", ["abc", np.ones((3, 3)) * 1j, np.array([[None]])])
def test_coefficients_that_are_no_real_numbers_are_refused(A):
    with pytest.raises(InvalidProblem, match=r"must hold real numbers|is complex"):
        solve_pde(A)


@pytest.mark.parametrize("size", [(0.02, 1.0), (0.03, 1.0)])
def test_compiled_loops_over_cells_are_those_of_numpy(size, monkeypatch):
    """Nodal values, energies and gaps cell by cell, on rows that take more than one block."""
    pytest.importorskip("numba")
    from ngs_nhcsr.solvers.trace import bounds, function

    A = np.where(np.random.default_rng(543).random((3, 150)) < 0.5, 1.0, 30.0)
    u = solve_pde(A, lambda x, y: 1 + x * y, g=lambda x, y: x - y, natural=["top"], size=size, modes=4)

    def results():
        return bounds.cell_gaps(u, u.flux), u.dirichlet(), u.nodes((6, 450)), u.nodes((3, 150))

    compiled = results()
    for module in (bounds, function):
        monkeypatch.setattr(module, "compiled", lambda: False)
    for found, expected in zip(compiled, results(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
