"""The reference cell of the trace space: identities that hold exactly, symmetries, and two ways to every number."""

import math
import time
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as sla
from threadpoolctl import threadpool_limits

from ngs_nhcsr.errors import InvalidProblem, NotCoercive
from ngs_nhcsr.solvers.trace import cell_cache
from ngs_nhcsr.solvers.trace.assembly import assemble
from ngs_nhcsr.solvers.trace.candidates import (
    any_value_exponents,
    crossing_exponent,
    default_modes,
    exponents_for,
    two_value_exponents,
)
from ngs_nhcsr.solvers.trace.cell import _cached, trace_cell
from ngs_nhcsr.solvers.trace.corner import Candidates, gauss, power_weights
from ngs_nhcsr.solvers.trace.hp import extension

ASPECTS = [1.0, 2.0, 0.3, 8.0, 0.125]


@pytest.fixture(autouse=True)
def _own_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@cache
def two_values(contrast, modes=6, aspect=1.0):
    return trace_cell(two_value_exponents(contrast, 2.9 if modes < 10 else 5.2), modes, aspect)


def trace_of(cell, u):
    """Coefficients of the function u(x, y) whose traces minus their linear parts lie in the span of the modes."""
    s = np.linspace(0, 1, 201)
    h, zero, one = cell.aspect, 0 * s, 0 * s + 1
    corners = [u(x, y) for y in (0.0, h) for x in (0.0, 1.0)]
    parts = []
    for axis, x, y in ((0, s, zero), (0, s, h * one), (1, zero, h * s), (1, one, h * s)):
        v = u(x, y)
        v = v - (1 - s) * v[0] - s * v[-1]
        parts.append(np.linalg.lstsq(cell.edge_values(s, axis), v, rcond=None)[0])
    return np.concatenate([*parts, corners])


# ---- candidates
@pytest.mark.parametrize("contrast", [1.7, 10.0, 1e3, 1e6])
def test_exponents_solve_the_transmission_problems(contrast):
    g0 = crossing_exponent(contrast)
    assert math.tan(g0 * math.pi / 4) ** 2 * contrast == pytest.approx(1)
    for g in two_value_exponents(contrast, 5.2):
        x = g * math.pi / 4
        conditions = [
            k * math.sin(x) * math.cos(3 * x) + math.sin(3 * x) * math.cos(x) for k in (contrast, 1 / contrast)
        ] + [k * math.cos(x) * math.sin(3 * x) + math.cos(3 * x) * math.sin(x) for k in (contrast, 1 / contrast)]
        distance = abs((g - g0 + 1) % 2 - 1), abs((g + g0 + 1) % 2 - 1)
        assert min(min(map(abs, conditions)) / contrast, *distance) < 1e-10


def test_no_root_is_missed():
    """A sign change of a condition away from even integers belongs to an exponent of the list."""
    contrast = 10 ** np.random.default_rng(1).uniform(0.5, 5)
    listed = np.array(two_value_exponents(contrast, 5.2))
    g = np.linspace(0.01, 5.19, 20001)
    for k in (contrast, 1 / contrast):
        for f in (np.sin, np.cos):
            other = np.cos if f is np.sin else np.sin
            x = g * np.pi / 4
            v = k * f(x) * other(3 * x) + f(3 * x) * other(x)
            for root in g[:-1][v[:-1] * v[1:] < 0]:
                assert min(abs(root - listed).min(), abs(root - 2 * round(root / 2))) < 1e-3


def test_choice_of_candidates():
    assert exponents_for(np.ones((3, 3)), 6) == ()
    two = np.array([[1.0, 1000.0]])
    assert len(exponents_for(two, 6)) == 6
    assert max(exponents_for(two, 8)) < 2.9
    assert max(exponents_for(two, 10)) > 4
    many = 10 ** np.random.default_rng(2).uniform(0, 2, (8, 8))
    assert len(exponents_for(many, 8)) == 16 == len(any_value_exponents(30.0))
    assert min(exponents_for(many, 8)) <= crossing_exponent(many.max() / many.min()) + 1e-12
    assert (default_modes(two), default_modes(many)) == (6, 8)
    with pytest.raises(NotCoercive, match="positive"):
        exponents_for(np.array([1.0, -1.0]), 6)
    with pytest.raises(InvalidProblem, match="NaN"):
        exponents_for(np.array([1.0, np.nan]), 6)


# ---- the ingredients
def test_power_weights_integrate_polynomials_against_powers():
    alpha = np.array([-0.96, -0.5, 0.04, 1.3, 4.7])
    s, _ = gauss()
    for k in (0, 1, 5, 30):
        assert power_weights(alpha) @ s**k == pytest.approx(1 / (alpha + k + 1), rel=1e-12)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_corner_functions_are_harmonic_with_the_stated_traces(aspect):
    functions = Candidates(np.array([0.05, 0.7, 1.3, 1.9999, 2.7, 4.4]), 0, aspect).corner_functions(0)
    rng = np.random.default_rng(3)
    s, zero = rng.random(20), np.zeros(20)
    assert functions.values(s, zero) == pytest.approx(s ** functions.gammas[:, None], abs=1e-11)
    assert functions.values(zero, aspect * s) == pytest.approx(0, abs=1e-11)
    X, Y, h = rng.uniform(0.3, 1, 20), aspect * rng.uniform(0.3, 1, 20), 1e-3 * min(1, aspect)
    laplace = sum(functions.values(X + a * h, Y + b * h) for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1)))
    slope = np.hypot(*functions.gradients(X, Y)).max()
    assert abs(laplace - 4 * functions.values(X, Y)).max() / h < 1e-3 * (1 + slope)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_energy_of_a_smooth_trace_against_its_fourier_series(aspect):
    """s(1-s) on the bottom: the energy is (32/pi^5) sum over odd k of coth(k pi aspect) / k^5."""
    k = np.arange(1, 60, 2)
    zeta5 = 1.0369277551433699
    series = 32 / np.pi**5 * (31 / 32 * zeta5 + (k**-5.0 * (1 / np.tanh(k * np.pi * aspect) - 1)).sum())
    cell = trace_cell((), 2, aspect)
    s = np.linspace(0, 1, 50)
    c = np.linalg.lstsq(cell.edge_values(s, 0), s * (1 - s), rcond=None)[0]
    assert c @ cell.stiffness[:2, :2] @ c == pytest.approx(series, rel=1e-11)


def test_torsion_of_the_square_and_symmetry_of_the_loads():
    P = trace_cell((), 2).particular
    assert P[0, 0] == pytest.approx(0.0351442537387884, rel=1e-12)
    assert P[0, 1] == pytest.approx(P[0, 0] / 2, rel=1e-11)  # xi is 1/2 plus an odd function
    assert P[1, 1] == pytest.approx(P[2, 2], rel=1e-11)
    assert trace_cell((), 2, 2.0).particular[0, 0] == pytest.approx(0.114340838559785, rel=1e-11)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_the_cubic_as_corner_function_and_as_polynomial(aspect):
    """s^3 - s = -s(1-s)(3/2 + P_1(2s-1)/2): analytic boundary integrals against the hp mesh alone."""
    candidates = Candidates(np.array([0.4, 3.0]), 2, aspect)
    S, moments = assemble(candidates, extension(aspect))
    for edge in range(4):
        first = edge * candidates.per_edge
        c = np.zeros(len(S))
        c[first + 1], c[first + 4], c[first + 5] = 1.0, 1.5, 0.5
        assert abs(S @ c).max() < 2e-12 * abs(S).max()
        assert abs(S.T @ c).max() < 2e-12 * abs(S).max()
        assert abs(moments @ c).max() < 1e-11 * abs(moments).max()


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize(("contrast", "tolerance"), [(10.0, 1e-11), (1e4, 1e-11), (1e6, 1e-10), (1e8, 1e-10)])
def test_symmetric_before_symmetrising(aspect, contrast, tolerance):
    assert two_values(contrast, 6, aspect).asymmetry < tolerance


@pytest.mark.parametrize("aspect", ASPECTS)
def test_another_hp_mesh_gives_the_same_cell(aspect):
    candidates = Candidates(np.array(two_value_exponents(100.0, 5.2)), 4, aspect)
    S, moments = assemble(candidates, extension(aspect))
    T, others = assemble(candidates, extension(aspect, 24, 4))
    assert abs(S - T).max() < 1e-10 * abs(S).max()
    assert abs(moments - others).max() < 1e-11 * abs(moments).max()


# ---- the cell
def check_harmonic(cell, u, energy, mean):
    c = trace_of(cell, u)
    assert c @ cell.stiffness @ c == pytest.approx(energy, rel=1e-10, abs=1e-11)
    assert cell.moments[0] @ c == pytest.approx(mean, rel=1e-10, abs=1e-11)
    points = np.random.default_rng(4).random((20, 2))
    exact = u(points[:, 0], cell.aspect * points[:, 1])
    assert cell.values(points)[:, :-3] @ c == pytest.approx(exact, abs=1e-10 * (1 + cell.aspect**2))


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("contrast", [10.0, 1e6])
def test_bilinear_functions(aspect, contrast):
    """Energy int |grad u|^2 and mean of 1, x, y, xy, which the corner functions contain."""
    cell, h = two_values(contrast, 6, aspect), aspect
    check_harmonic(cell, lambda x, y: 1 + 0 * x, 0.0, h)
    check_harmonic(cell, lambda x, y: x + 0 * y, h, h / 2)
    check_harmonic(cell, lambda x, y: y + 0 * x, h, h * h / 2)
    check_harmonic(cell, lambda x, y: x * y, h / 3 + h**3 / 3, h * h / 4)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_harmonic_polynomials(aspect):
    """The same for x^2 - y^2 and x^3 - 3xy^2, with bubbles up to degree three."""
    cell, h = trace_cell((), 2, aspect), aspect
    check_harmonic(cell, lambda x, y: x * x - y * y, 4 * h * (1 + h * h) / 3, h / 3 - h**3 / 3)
    energy = 9 * (h / 5 + 2 * h**3 / 9 + h**5 / 5)
    check_harmonic(cell, lambda x, y: x**3 - 3 * x * y * y, energy, h / 4 - h**3 / 2)


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("contrast", [10.0, 1e4])
def test_values_on_the_edges_are_the_traces(aspect, contrast):
    cell = two_values(contrast, 6, aspect)
    p, s = cell.modes, np.concatenate([[0.0, 1e-9, 1 - 1e-9, 1.0], np.random.default_rng(5).random(20)])
    zero, one = 0 * s, 0 * s + 1
    hats = [(1 - s, s, zero, zero), (zero, zero, 1 - s, s), (1 - s, zero, s, zero), (zero, 1 - s, zero, s)]
    places = [(s, zero), (s, one), (zero, s), (one, s)]
    for edge in range(4):
        expected = np.zeros((len(s), cell.size + 3))
        expected[:, edge * p : (edge + 1) * p] = cell.edge_values(s, edge // 2)
        expected[:, 4 * p : -3] = np.stack(hats[edge], 1)
        assert cell.values(np.stack(places[edge], 1)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_gradients_against_differences(aspect):
    cell = two_values(1000.0, 8, aspect)
    P, d = np.random.default_rng(6).uniform(0.05, 0.95, (40, 2)), 1e-5
    step = np.array([[d, 0.0], [0.0, d]])
    differences = [(cell.values(P + e) - cell.values(P - e)) / (2 * d) for e in step]
    expected = np.stack([differences[0], differences[1] / aspect], 1)
    assert abs(cell.gradients(P) - expected).max() < 1e-5 * (1 + abs(expected).max())


def test_gradients_stay_finite_in_the_corners():
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert np.isfinite(two_values(1e6).gradients(corners)).all()


@pytest.mark.parametrize("aspect", ASPECTS)
def test_moments_and_mass_two_ways(aspect):
    """Integrals over the cell by Green's formula on the boundary, and by quadrature of the values."""
    cell = two_values(100.0, 8, aspect)
    one, x, y = (trace_of(cell, u) for u in (lambda x, y: 1 + 0 * x, lambda x, y: x, lambda x, y: y / aspect))
    for m, c in enumerate((one, x, y)):
        assert cell.mass @ c == pytest.approx(cell.moments[m], abs=1e-9 * abs(cell.moments[0]).max())
    assert x @ cell.mass @ x == pytest.approx(aspect / 3)
    assert np.linalg.eigvalsh(cell.mass)[0] > 0
    assert cell.moments[0, -4:] == pytest.approx(aspect / 4)


def test_particular_solutions_two_ways():
    """Energy of psi is its moment; its trace is zero."""
    cell = trace_cell((), 2, 2.0)
    s, w = gauss(40)
    X, Y = np.meshgrid(s, s)
    psi = cell.values(np.stack([X.ravel(), Y.ravel()], 1))[:, -3:]
    weights = 2.0 * np.outer(w, w).ravel()
    g = np.stack([np.ones(X.size), X.ravel(), Y.ravel()])
    assert (g * weights) @ psi == pytest.approx(cell.particular, rel=1e-7)


@pytest.mark.parametrize("aspect", [1.0, 0.3])
def test_edge_moments_against_quadrature(aspect):
    cell = two_values(10.0, 8, aspect)
    s, w = gauss(40)
    t, weights = s**12 / 2, 6 * s**11 * w  # half of the edge, points crowding at its end
    for axis in range(2):
        for q in range(3):
            left = weights @ (cell.edge_values(t, axis) * t[:, None] ** q)
            right = weights @ (cell.edge_values(1 - t, axis) * (1 - t)[:, None] ** q)
            assert cell.edge_moments[axis, q] == pytest.approx(left + right, abs=1e-9)


def _permuted(cell, edges, corners, flipped):
    """Matrix that maps degrees of freedom under a symmetry; flipped edges change the sign of odd functions."""
    p = cell.modes
    Q = np.zeros((cell.size, cell.size))
    for a, b in enumerate(edges):
        s = np.array([0.2, 0.35])
        sign = np.sign((cell.edge_values(s, a // 2) * cell.edge_values(1 - s, a // 2)).sum(0)) if flipped[a] else 1
        Q[b * p : (b + 1) * p, a * p : (a + 1) * p] = np.diag(np.ones(p) * sign)
    for a, b in enumerate(corners):
        Q[4 * p + b, 4 * p + a] = 1
    return Q


@pytest.mark.parametrize("aspect", ASPECTS)
def test_reflections(aspect):
    cell = two_values(50.0, 8, aspect)
    left_right = _permuted(cell, (0, 1, 3, 2), (1, 0, 3, 2), (True, True, False, False))
    up_down = _permuted(cell, (1, 0, 2, 3), (2, 3, 0, 1), (False, False, True, True))
    scale = abs(cell.stiffness).max()
    for Q in (left_right, up_down):
        assert abs(Q.T @ cell.stiffness @ Q - cell.stiffness).max() < 1e-8 * scale
        assert cell.moments[0] @ Q == pytest.approx(cell.moments[0], abs=1e-10)


def test_transposition():
    for aspect in (1.0, 0.3):
        cell, other = two_values(50.0, 8, aspect), two_values(50.0, 8, 1 / aspect)
        Q = _permuted(cell, (2, 3, 0, 1), (0, 2, 1, 3), (False,) * 4)
        assert abs(Q.T @ other.stiffness @ Q - cell.stiffness).max() < 1e-8 * abs(cell.stiffness).max()
    assert np.array_equal(*two_values(50.0, 8).basis)


def test_functions_of_an_edge_are_orthonormal_in_its_energy():
    for aspect in (1.0, 2.0):
        cell = two_values(1000.0, 6, aspect)
        for edge in range(4):
            block = slice(edge * 6, edge * 6 + 6)
            assert abs(cell.stiffness[block, block] - np.eye(6)).max() < 1e-9


def test_modes_are_there_even_if_candidates_are_not():
    for exponents in ((), (0.9999, 1.0001), (2.0, 1.0)):
        cell = trace_cell(exponents, 7)
        assert cell.modes == 7
        assert cell.stiffness.shape == (32, 32)
        assert np.linalg.eigvalsh(cell.stiffness)[1] > 1e-4


@pytest.mark.parametrize(
    "arguments", [((0.0,), 6), ((float("nan"),), 6), ((9.0,), 6), ((), 0), ((), 100), ((), 4, 100.0), ((), 4, -1.0)]
)
def test_arguments_out_of_range(arguments):
    with pytest.raises(InvalidProblem, match=r"between|lie"):
        trace_cell(*arguments)
    cell = trace_cell((), 2)
    with pytest.raises(InvalidProblem, match="points"):
        cell.values(np.array([[0.5, 1.5]]))


# ---- exact effective conductivities
def conductance(A, cell):
    """Flux from right to left for a potential difference of one; natural conditions at top and bottom."""
    my, mx = A.shape
    p, k = cell.modes, np.arange(cell.modes)
    level, upright = (my + 1) * mx * p, my * (mx + 1) * p
    j, i = (z.ravel() for z in np.mgrid[:my, :mx])
    vertex = level + upright
    parts = [((j + d) * mx + i)[:, None] * p + k for d in (0, 1)]
    parts += [level + (j * (mx + 1) + i + d)[:, None] * p + k for d in (0, 1)]
    parts += [(vertex + (j + a) * (mx + 1) + i + b)[:, None] for a in (0, 1) for b in (0, 1)]
    dofs = np.concatenate(parts, 1)
    size, n = vertex + (my + 1) * (mx + 1), dofs.shape[1]
    entries = (A.ravel()[:, None, None] * cell.stiffness).ravel()
    K = sp.csr_matrix((entries, (np.repeat(dofs, n, 1).ravel(), np.tile(dofs, (1, n)).ravel())), (size, size))
    fixed, u = np.zeros(size, bool), np.zeros(size)
    for side in (0, mx):
        fixed[(level + (np.arange(my) * (mx + 1) + side)[:, None] * p + k).ravel()] = True
        fixed[vertex + np.arange(my + 1) * (mx + 1) + side] = True
    u[vertex + np.arange(my + 1) * (mx + 1) + mx] = 1.0
    free = ~fixed
    u[free] = sla.spsolve(K[free][:, free].tocsc(), -(K @ u)[free])
    return u @ (K @ u)


@pytest.mark.parametrize(
    ("modes", "contrast", "tolerance"),
    [(6, c, 1e-5) for c in (10.0, 100.0, 1e3, 1e4)] + [(8, c, 1e-7) for c in (10.0, 1e3, 1e6)],
)
def test_checkerboard(modes, contrast, tolerance):
    """Squares of two by two cells, half squares at the boundary: the conductance is the geometric mean (Keller)."""
    square = (np.arange(8) + 1) // 2
    A = np.where((square[:, None] + square) % 2, 1.0, contrast)
    cell = trace_cell(exponents_for(A, modes), modes)
    error = conductance(A, cell) / math.sqrt(contrast) - 1
    assert -1e-9 * contrast**0.5 < error < tolerance  # a conforming space: the energy is never too small


@pytest.mark.parametrize(("aspect", "tolerance"), [(1.0, 1e-6), (2.0, 1e-5), (8.0, 1e-3)])
def test_duality(aspect, tolerance):
    """Conductance of a from left to right times that of 1/a from bottom to top is 1 for every medium."""
    A = np.where(np.random.default_rng(7).random((6, 6)) < 0.5, 1.0, 100.0)
    exponents = exponents_for(A, 8)
    product = conductance(A, trace_cell(exponents, 8, aspect)) * conductance(
        (1 / A).T, trace_cell(exponents, 8, 1 / aspect)
    )
    assert -1e-9 < product - 1 < tolerance


# ---- the cache
def test_stored_cells_come_back(tmp_path):
    _cached.cache_clear()
    first = trace_cell((0.4, 1.6), 4, 2.0)
    files = list(tmp_path.rglob("*.npz"))
    assert len(files) == 1
    _cached.cache_clear()
    again = trace_cell((0.4, 1.6), 4, 2.0)
    assert again is not first
    for name in ("stiffness", "moments", "particular", "edge_moments", "basis"):
        assert np.array_equal(getattr(again, name), getattr(first, name))
    assert (again.exponents, again.aspect, again.bubbles) == (first.exponents, first.aspect, first.bubbles)
    for damage in (b"", files[0].read_bytes()[:200], b"no zip at all", files[0].read_bytes()[:-40] + b"x" * 40):
        files[0].write_bytes(damage)
        _cached.cache_clear()
        rebuilt = trace_cell((0.4, 1.6), 4, 2.0)
        assert abs(rebuilt.stiffness - first.stiffness).max() < 1e-12
    assert not list(tmp_path.rglob("*.tmp"))


def test_stored_under_another_key_is_not_taken(tmp_path):
    cell_cache.save("a", {"x": np.ones(2)})
    (file,) = tmp_path.rglob("*.npz")
    cell_cache.save("b", {"x": np.zeros(2)})
    (other,) = (f for f in tmp_path.rglob("*.npz") if f != file)
    other.write_bytes(file.read_bytes())
    assert cell_cache.load("b") is None
    assert np.array_equal(cell_cache.load("a")["x"], np.ones(2))


def test_pickles_are_not_read(tmp_path):
    cell_cache.save("a", {"x": np.ones(2)})
    (file,) = tmp_path.rglob("*.npz")
    np.savez(file, key=np.array(f"{cell_cache._VERSION} a"), x=np.array([object()], dtype=object))
    assert cell_cache.load("a") is None


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    _cached.cache_clear()
    assert trace_cell((0.3, 1.7), 4).modes == 4


def test_a_new_contrast_is_cheap():
    extension(1.0)
    times = []
    with threadpool_limits(1):
        for contrast in 10 ** np.random.default_rng(8).uniform(1, 4, 5):
            start = time.process_time()
            trace_cell(two_value_exponents(contrast, 2.9), 6)
            times.append(time.process_time() - start)
    assert np.median(times) < 0.2
