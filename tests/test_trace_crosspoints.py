"""Coarse functions at cross points: contrast does not count, energies are right, and where there are none."""

import numpy as np
import pytest
import torch
from scipy.linalg import eigvalsh_tridiagonal

from ngs_nhcsr.solvers.q1 import ENTRIES
from ngs_nhcsr.solvers.trace import solve_pde
from ngs_nhcsr.solvers.trace.crosspoints import CrossPoints
from ngs_nhcsr.solvers.trace.layout import Boundary, TraceVector, sparse_matrix
from ngs_nhcsr.solvers.trace.schwarz import TraceSolver

SIDES = ("bottom", "right", "top", "left")


def condition_number(a):
    """Of the preconditioned matrix, by Lanczos' method on a random right-hand side (torch backend)."""
    cell = solve_pde(a, 1.0).cell
    ops = TraceSolver(a, cell.stiffness, cell.modes, backend="torch").operations
    b = TraceVector.zeros(a.shape, cell.modes, (1,), like=ops.a)
    noise = np.random.default_rng(6).standard_normal(b.flat().shape)
    ops.begin(TraceVector.from_flat(torch.from_numpy(noise), a.shape, cell.modes), None)
    rz, beta, alphas, betas = ops.residual_product(), np.zeros(1), [], []
    for _ in range(150):
        alpha = rz / ops.direction(beta)
        ops.advance(alpha)
        new = ops.residual_product()
        beta = new / rz
        alphas.append(alpha[0])
        betas.append(beta[0])
        if new < 1e-20 * rz or new[0] < 1e-24:
            break
        rz = new
    alpha, beta = np.array(alphas), np.array(betas)
    diagonal = 1 / alpha + np.append(0, beta[:-1] / alpha[:-1])
    values = eigvalsh_tridiagonal(diagonal, np.sqrt(beta[:-1]) / alpha[:-1])
    return values[-1] / values[0]


def random_cells(contrast, shape=(24, 24), seed=0):
    return np.where(np.random.default_rng(seed).random(shape) < 0.5, 1.0, contrast)


def coarse_function(cross, U, modes):
    """Trace vector of the coarse function with vertex values U (my+1, mx+1)."""
    cells = (U.shape[0] - 1, U.shape[1] - 1)
    flat = TraceVector.zeros(cells, modes).flat()
    jumps = (cross.weights * U.ravel()[cross.vertices]).sum(1)
    places = (cross.edges[:, :, None] + np.arange(modes)).reshape(len(jumps), -1)
    np.add.at(flat, places, jumps[:, None] * cross.traces[cross.kind])
    flat[-U.size :] = U.ravel()
    return flat


def test_condition_numbers_do_not_grow_with_the_contrast(monkeypatch):
    """The figures of docs/pde.md."""
    media = [random_cells(c, (32, 32)) for c in (30.0, 1e3, 1e5)]
    assert [condition_number(a) for a in media] == pytest.approx([4.9, 8.4, 14.3], rel=0.1)
    monkeypatch.setattr("ngs_nhcsr.solvers.trace.crosspoints.RATIO", np.inf)  # linear along all edges
    assert [condition_number(a) for a in media] == pytest.approx([9.0, 57.4, 627.0], rel=0.1)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_steps_do_not_grow_with_the_contrast(backend):
    steps = {}
    for contrast in (10.0, 1e2, 1e3, 1e4, 1e5):
        field = solve_pde(random_cells(contrast), 1.0)
        solver = TraceSolver(field.problem.a, field.cell.stiffness, field.cell.modes, backend=backend)
        steps[contrast] = solver.solve(field.problem.moments(field.source), tolerance=1e-6)[1].steps
    assert max(steps.values()) <= 1.6 * steps[10.0]


def test_neither_do_they_on_rasters_whose_coarse_problem_is_iterated_on_two_grids():
    """288² cells: half of them are too many for the direct solver, and Chebyshev's iteration runs there too."""
    steps = [solve_pde(random_cells(c, (288, 288)), 1.0, tolerance=1e-4).info.steps for c in (10.0, 1e3)]
    assert steps[1] <= 1.6 * steps[0]


def test_periodic_cells_have_them_across_their_sides():
    steps = {}
    for contrast in (10.0, 1e3, 1e5):
        field = solve_pde(random_cells(contrast), 1.0)
        solver = TraceSolver(field.problem.a, field.cell.stiffness, field.cell.modes, periodic=True)
        b = TraceVector.zeros((24, 24), field.cell.modes)
        b.corners[:24, :24] = np.random.default_rng(4).standard_normal((24, 24))
        b.corners[:24, :24] -= b.corners[:24, :24].mean()
        steps[contrast] = solver.solve(b, tolerance=1e-6)[1].steps
    assert max(steps.values()) <= 1.6 * steps[10.0]
    shifted = [
        CrossPoints.of(np.roll(random_cells(1e3), k, (0, 1)), solver.stiffness, solver.modes, solver.boundary)
        for k in (0, 5)
    ]
    assert len(shifted[0].kind) == len(shifted[1].kind)


def test_media_of_many_values_do_not_grow_either():
    a = np.exp(1.5 * np.random.default_rng(5).standard_normal((32, 32)))
    assert a.max() / a.min() > 1e4
    assert (
        solve_pde(a, 1.0, tolerance=1e-4).info.steps
        <= 1.6 * solve_pde(random_cells(10.0), 1.0, tolerance=1e-4).info.steps
    )


@pytest.mark.parametrize("contrast", [30.0, 1e3, 1e5])
def test_the_coarse_matrices_have_the_energies_of_their_functions(contrast):
    """Exact for cells of large coefficient, the sum of parts for those of small: equal within a factor of 2."""
    a = random_cells(contrast, (9, 11), 1)
    cell = solve_pde(a, 1.0).cell
    cross = CrossPoints.of(a, cell.stiffness, cell.modes, Boundary.of(SIDES))
    A = sparse_matrix(a, cell.stiffness, cell.modes)
    full = cross.elements[ENTRIES].transpose(2, 3, 0, 1)
    np.testing.assert_allclose(full.sum(-1), 0.0, atol=1e-9 * contrast)
    rng, ratios = np.random.default_rng(2), []
    for _ in range(20):
        U = rng.standard_normal((10, 12))
        v = coarse_function(cross, U, cell.modes)
        corners = np.stack([U[:-1, :-1], U[:-1, 1:], U[1:, :-1], U[1:, 1:]], -1)
        ratios.append(np.einsum("yxi,yxij,yxj", corners, full, corners) / (v @ (A @ v)))
    assert 0.5 < min(ratios) <= max(ratios) < 2.0


def test_a_large_cell_may_leave_its_vertex_at_little_cost():
    """Two cells of 1000 that touch in the middle: their means differ by 1, at a tenth of the energy of Q1."""
    a = np.array([[1e3, 1.0], [1.0, 1e3]])
    cell = solve_pde(random_cells(1e3), 1.0).cell
    cross = CrossPoints.of(a, cell.stiffness, cell.modes, Boundary.of(SIDES))
    U = np.array([[0.0, 0.0, 0.5], [0.0, 0.5, 1.0], [0.5, 1.0, 1.0]])
    A = sparse_matrix(a, cell.stiffness, cell.modes)
    linear = TraceVector.zeros(a.shape, cell.modes).flat()
    linear[-9:] = U.ravel()
    v = coarse_function(cross, U, cell.modes)
    assert v @ (A @ v) < linear @ (A @ linear) / 8


def test_where_there_are_none():
    S = solve_pde(random_cells(100.0), 1.0).cell.stiffness
    modes = len(S) // 4 - 1
    free = Boundary.of(["top"])
    assert CrossPoints.of(random_cells(10.0), S, modes, free) is None
    assert CrossPoints.of(random_cells(100.0, (1, 20)), S, modes, free) is None
    stripes = np.where(np.arange(12) % 2, 1.0, 1e3) * np.ones((12, 1))
    assert CrossPoints.of(stripes, S, modes, free) is None
    assert CrossPoints.of(random_cells(100.0), S[-4:, -4:], 0, free) is None


def test_fixed_vertices_keep_their_values():
    a = random_cells(100.0, (4, 4), 3)
    S = solve_pde(random_cells(100.0), 1.0).cell.stiffness
    cross = CrossPoints.of(a, S, len(S) // 4 - 1, Boundary())
    fixed = ~Boundary().free(a.shape, 0).corners.ravel()
    assert fixed[cross.vertices].any()
    assert not cross.weights[fixed[cross.vertices]].any()
