"""Dual problem, guaranteed bounds and effective conductivity on pixel media."""

import numpy as np
import pytest

from ngs_nhcsr.solvers.trace import effective_conductivity, function, solve_pde
from ngs_nhcsr.solvers.trace.bounds import cell_gaps
from ngs_nhcsr.solvers.trace.particular import evaluate, particular_flux

TIGHT = 1e-9
SIDES = ("bottom", "right", "top", "left")
PROBLEMS = {
    "load": {"f": 1.0},
    "one natural side": {"f": "rough", "natural": ["left"]},
    "two natural sides that meet": {"f": "rough", "natural": ["right", "top"]},
    "two opposite natural sides": {"f": "rough", "natural": ["right", "left"]},
    "one Dirichlet side": {"f": "rough", "natural": ["right", "left", "bottom"]},
    "fluxes": {"f": "rough", "natural": ["left", "bottom"], "flux": {"left": 0.5, "bottom": -0.2}},
    "pressure drop": {"f": 0.0, "natural": ["top", "bottom"], "g": {"left": 0.0, "right": 1.0}},
    "boundary data": {"f": "rough", "g": "rough"},
    "everything": {"f": "rough", "g": "rough", "natural": ["top", "bottom"], "flux": {"top": 1.0}},
}


def two_values(rng, shape, contrast=10.0):
    return np.where(rng.random(shape) < 0.5, 1.0, contrast)


def potential(u):
    return u.energy / 2 - u.work


def problem(name, rng, shape):
    """Arguments of a problem with fresh data: loads linear on every cell, boundary data linear on every edge."""
    given = dict(PROBLEMS[name])
    if isinstance(given["f"], str):
        given["f"] = rng.normal(size=(3, *shape))
    if given.get("g") == "rough":
        given["g"] = rng.normal(size=(shape[0] + 1, shape[1] + 1))
    return given


# ---- the flux


def test_the_particular_flux_has_the_right_divergence_and_normal_components(rng):
    f, a = rng.normal(size=(3, 4, 5)), rng.uniform(1, 9, (4, 5))
    for natural in ((), ("left",), ("right", "top"), ("left", "right", "bottom"), ("bottom", "top", "right")):
        q = particular_flux(f, a, (0.25, 0.3), natural)
        places = rng.random((4 * 5, 2))
        flat, step = q.reshape(2, 6, -1), 1e-6

        def slope(k, e, flat=flat, places=places, step=step):
            return (evaluate(flat, places + step * e)[k] - evaluate(flat, places - step * e)[k]) / (2 * step)

        divergence = slope(0, np.array([1, 0])) / 0.3 + slope(1, np.array([0, 1])) / 0.25
        load = np.einsum("mp,mp->p", f.reshape(3, -1), np.stack([np.ones(20), places[:, 0], places[:, 1]]))
        assert divergence == pytest.approx(-load, abs=1e-8)
        t = np.stack([np.ones(20), rng.random(20)], 1)
        t[:, 0] = 0
        left = evaluate(flat, t)[0].reshape(4, 5)
        t[:, 0] = 1
        right = evaluate(flat, t)[0].reshape(4, 5)
        assert np.abs(q[1]).max() == 0 or np.abs(q[0]).max() == 0
        if "left" in natural:
            assert np.abs(left[:, 0]).max() < 1e-12
        if "right" in natural:
            assert np.abs(right[:, -1]).max() < 1e-12


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_flux_is_in_balance_on_every_fine_cell(name, rng):
    A = two_values(rng, (6, 8))
    u = solve_pde(A, **problem(name, rng, A.shape), size=(0.9, 1.0))
    ry, rx = 3, 2
    Fx, Fy = u.flux.fluxes((6 * ry, 8 * rx))
    assert (Fx.shape, Fy.shape) == ((18, 17), (19, 16))
    one, xi, eta = u.source.coefficients[:, :, None, :, None]
    mean = one + xi * (np.arange(rx) + 0.5) / rx + eta * ((np.arange(ry) + 0.5) / ry)[:, None, None]
    load = mean.reshape(18, 16) * 0.9 / (18 * 16)
    largest = max(np.abs(Fx).max(), np.abs(Fy).max())
    assert np.abs(np.diff(Fx, axis=1) + np.diff(Fy, axis=0) + load).max() < 1e-12 * largest
    lines = {"bottom": -Fy[0], "top": Fy[-1], "left": -Fx[:, 0], "right": Fx[:, -1]}
    for side in u.problem.data.boundary.natural:
        length = u.size[1] if side in ("bottom", "top") else u.size[0]
        assert lines[side] == pytest.approx(
            u.problem.data.flux.get(side, 0.0) * length / lines[side].size, abs=1e-12 * largest
        )


def test_squares_and_moments_are_integrals(rng):
    # a constant medium: no singular functions, so that Gauss points see everything
    u = solve_pde(np.full((2, 3), 2.0), rng.normal(size=(3, 2, 3)), g=rng.normal(size=(3, 4)), size=(1.0, 1.2))
    x, w = np.polynomial.legendre.leggauss(40)
    X, Y = np.meshgrid((x + 1) / 2, (x + 1) / 2)
    places, weight = np.stack([X.ravel(), Y.ravel()], 1), np.outer(w, w).ravel() / 4 * 0.5 * 0.4
    squares, gaps = u.flux.squares(), cell_gaps(u, u.flux)
    for j, i in np.ndindex(2, 3):
        points = (places + np.array([i, j])) * [0.4, 0.5]
        q, slope = u.flux.at(points), u.gradient(points)
        assert weight @ np.sum(q**2, 1) == pytest.approx(squares[j, i], rel=2e-4)
        difference = weight @ np.sum((q - 2 * slope) ** 2, 1) / 2
        assert difference == pytest.approx(gaps[j, i], rel=2e-2, abs=1e-5 * gaps.max())
    local = u.cell.gradients(places)  # rot = (d/dy, -d/dx)
    q0 = u.flux.particular
    moments = u.problem.dual.rotation_moments(q0)
    values = evaluate(np.repeat(q0[:, :, 1, 2, None], len(places), 2), places)
    direct = (weight / 0.4) @ (values[0][:, None] * local[:, 1, :-3] - values[1][:, None] * local[:, 0, :-3])
    assert moments[1, 2] == pytest.approx(direct, abs=1e-4 * np.abs(direct).max())


# ---- bounds


@pytest.mark.parametrize("name", PROBLEMS)
def test_bounds_hold_for_every_kind_of_data(name, rng):
    A = two_values(rng, (10, 8), 10.0) if rng.random() < 0.5 else np.exp(rng.uniform(0, 3, (10, 8)))
    given = problem(name, rng, A.shape)
    u, best = (solve_pde(A, **given, modes=p, tolerance=TIGHT) for p in (6, 12))
    error = np.sqrt(max(2 * (potential(u) - potential(best)), 0.0))
    assert u.bounds.oscillation < 1e-12
    assert u.bounds.boundary == 0
    assert error < u.error_bound < 6 * error  # rough loads: the dual field is the worse one
    assert best.error_bound < u.error_bound
    low, high = u.energy_bounds
    assert low <= best.energy_bounds[1]
    assert best.energy_bounds[0] <= high


def test_the_hypercircle_identity(rng):
    for contrast in (10.0, 1000.0):
        A = two_values(rng, (12, 12), contrast)
        u = solve_pde(A, 1.0, tolerance=1e-10)
        gap, difference = u.error_bound**2, u.flux.energy - (2 * u.work - u.energy)
        assert gap == pytest.approx(difference, rel=1e-6)
        assert np.sum(u.bounds.indicator**2) == pytest.approx(gap, rel=1e-9)
        assert cell_gaps(u, u.flux).min() > -1e-9 * gap


@pytest.mark.parametrize("contrast", [10.0, 100.0])
def test_the_index_is_the_root_of_two(rng, contrast):
    A = two_values(rng, (48, 48), contrast)
    u, best = (solve_pde(A, 1.0, modes=p, tolerance=1e-7) for p in (6, 10))
    error = np.sqrt(2 * (potential(u) - potential(best)))
    assert error < u.error_bound < 1.6 * error
    assert u.relative_error_bound < 0.005


def test_results_do_not_depend_on_the_bands_they_are_computed_in(rng, monkeypatch):
    u = solve_pde(two_values(rng, (7, 5)), rng.normal(size=(3, 7, 5)), g=rng.normal(size=(8, 6)))
    u.flux.fluxes(35)  # solves the dual problem

    def results():
        return u.nodes((14, 10)), cell_gaps(u, u.flux), u.flux.squares(), u.dirichlet(), u.integrals()

    whole = results()
    monkeypatch.setattr(function, "BAND", 10)
    for one, other in zip(whole, results(), strict=True):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-9 * np.abs(one).max())


def test_loose_solves_have_bounds_too(rng):
    A = two_values(rng, (16, 16), 100.0)
    best = solve_pde(A, 1.0, modes=10, tolerance=TIGHT)
    for tolerance in (0.3, 0.03):
        u = solve_pde(A, 1.0, tolerance=tolerance)
        error = np.sqrt(2 * (potential(u) - potential(best)))
        assert error < u.error_bound
        assert u.energy_bounds[0] <= best.energy <= u.energy_bounds[1]


def test_rough_loads_are_inside_the_bound(rng):
    A, load = two_values(rng, (6, 6)), rng.normal(size=(24, 24))
    fine = solve_pde(np.kron(A, np.ones((4, 4))), load, tolerance=TIGHT)
    u = solve_pde(A, lambda x, y: load[(24 * y).astype(int), (24 * x).astype(int)], tolerance=TIGHT)
    points, weight = _gauss_points(24)
    a = np.kron(A, np.ones((4, 4)))[(24 * points[:, 1]).astype(int), (24 * points[:, 0]).astype(int)]
    error = np.sqrt(weight @ (a * np.sum((u.gradient(points) - fine.gradient(points)) ** 2, axis=1)))
    assert u.bounds.oscillation > 0.1 * u.error_bound
    assert error < u.error_bound


def test_rough_boundary_data_are_inside_the_bound(rng):
    A, data = two_values(rng, (6, 6)), rng.normal(size=(25, 25))
    u = solve_pde(A, 0.0, g=data, tolerance=TIGHT)
    fine = solve_pde(np.kron(A, np.ones((4, 4))), 0.0, g=data, tolerance=TIGHT)
    points, weight = _gauss_points(24)
    a = np.kron(A, np.ones((4, 4)))[(24 * points[:, 1]).astype(int), (24 * points[:, 0]).astype(int)]
    error = np.sqrt(weight @ (a * np.sum((u.gradient(points) - fine.gradient(points)) ** 2, axis=1)))
    assert fine.bounds.boundary == 0
    assert u.bounds.boundary > 0
    assert error < u.error_bound + fine.error_bound
    low, high = u.energy_bounds
    assert low < fine.energy_bounds[1]
    assert fine.energy_bounds[0] < high


def test_the_flux_of_a_pressure_drop_is_enclosed(rng):
    A = two_values(rng, (12, 10), 100.0)
    given = {"f": 0.0, "g": {"bottom": 3.0, "top": 1.0}, "natural": ["left", "right"], "size": (1.2, 1.0)}
    u, best = (solve_pde(A, **given, modes=p, tolerance=TIGHT) for p in (4, 10))
    low, high = u.side_flux_bounds("bottom")
    assert low < best.side_flux("bottom") < high
    assert u.side_flux_bounds("top") == pytest.approx((-high, -low))
    assert low <= u.side_flux("bottom") <= high * (1 + 1e-9)
    assert high - low < 0.1 * high


def _gauss_points(n):
    x, w = np.polynomial.legendre.leggauss(6)
    line, weight = (((np.arange(n)[:, None] + (x + 1) / 2) / n).ravel(), np.tile(w / (2 * n), n))
    X, Y = np.meshgrid(line, line)
    return np.stack([X.ravel(), Y.ravel()], axis=1), np.outer(weight, weight).ravel()


# ---- effective conductivity

# In several of these media the exact value is the geometric mean of the bounds by duality alone, whatever the space
# can do. So the bounds themselves are compared.


@pytest.mark.parametrize("contrast", [10.0, 1e3, 1e6])
def test_the_checkerboard_conducts_like_the_geometric_mean(contrast):
    j, i = np.indices((16, 16))
    A = np.where(((i + 1) // 2 + (j + 1) // 2) % 2, 1.0, contrast)  # half cells at the boundary
    sigma = effective_conductivity(A, boundary="sealed", modes=8)
    for k in (0, 1):
        assert sigma.lower[k, k] <= contrast**0.5 * (1 + 1e-12)
        assert sigma.upper[k, k] >= contrast**0.5 * (1 - 1e-12)
        assert sigma.upper[k, k] - sigma.lower[k, k] < 1e-6 * contrast**0.5


def test_the_periodic_cell_of_four_phases(rng):
    # Mortola and Steffe 1985; Craster and Obnosov 2001; Milton 2001
    for _ in range(10):
        s = np.exp(rng.uniform(0, np.log(100), 4))
        s1, s2, s3, s4 = s
        product = (s1 * s2 * s3 + s1 * s2 * s4 + s1 * s3 * s4 + s2 * s3 * s4) / s.sum()
        ratio = (s1 + s4) * (s2 + s3) / ((s1 + s2) * (s3 + s4))
        exact = np.diag(np.sqrt([product * ratio, product / ratio]))
        sigma = effective_conductivity(np.array([[s4, s3], [s1, s2]]), modes=8)
        assert sigma.tensor == pytest.approx(exact, abs=1e-6 * exact.max())
        assert sigma.upper == pytest.approx(exact, abs=1e-3 * exact.max())  # exponents are not those of this vertex
        for gap in (sigma.upper - exact, exact - sigma.lower):
            assert np.linalg.eigvalsh(gap).min() > -1e-9 * exact.max()


def test_a_self_dual_pattern_has_determinant_ab(rng):
    n = 8  # P(j, i + n/2) = 1 - P(i, j)
    P = np.full((n, n), -1)
    for start in np.ndindex(n, n):
        (j, i), value = start, int(rng.integers(2))
        while P[j, i] < 0:
            P[j, i] = value
            (j, i), value = (i, (j + n // 2) % n), 1 - value
    sigma = effective_conductivity(np.where(P, 1.0, 30.0), modes=8)
    for bound in (sigma.lower, sigma.upper):
        assert np.linalg.det(bound) == pytest.approx(30.0, rel=1e-5)
    assert np.linalg.det(sigma.lower) <= 30.0 <= np.linalg.det(sigma.upper)


def test_duality_of_random_media(rng):
    A = two_values(rng, (12, 12), 100.0)
    one, other = (effective_conductivity(a, boundary="sealed", modes=8) for a in (A, 1 / A))
    assert 1 <= one.upper[0, 0] * other.upper[1, 1] < 1 + 1e-5
    assert 1 >= one.lower[0, 0] * other.lower[1, 1] > 1 - 1e-5


def test_laminates_are_known(rng):
    a = rng.uniform(1, 10, 5)
    exact = np.diag([1 / np.mean(1 / a), a.mean()])
    for boundary in ("periodic", "sealed"):
        sigma = effective_conductivity(np.tile(a, (3, 1)), (0.7, 1.0), boundary=boundary)
        assert sigma.tensor == pytest.approx(exact, rel=1e-7, abs=1e-7)
    sigma = effective_conductivity(np.tile(a, (3, 1)), (0.7, 1.0), boundary="linear")
    assert exact[0, 0] < sigma.lower[0, 0] < exact[1, 1]


def test_boundary_conditions_are_ordered_and_bounds_are(rng):
    A = two_values(rng, (8, 8), 20.0)
    periodic, linear = (effective_conductivity(A, boundary=b) for b in ("periodic", "linear"))
    assert np.linalg.eigvalsh(linear.upper - periodic.lower).min() > 0  # linear data restrict the periodic ones
    for sigma in (periodic, linear):
        assert np.linalg.eigvalsh(sigma.upper - sigma.lower).min() > 0
        assert np.linalg.norm(sigma.upper - sigma.lower) < 0.01 * np.linalg.norm(sigma.tensor)
    turned = effective_conductivity(np.rot90(A), boundary="linear")
    assert turned.tensor[::-1, ::-1] * [[1, -1], [-1, 1]] == pytest.approx(linear.tensor, rel=1e-6)
