"""Problems without a Dirichlet side: pure Neumann ones up to a constant, and those a reaction makes regular."""

import numpy as np
import pytest
from conftest import quads, voxel
from netgen.geom2d import unit_square
from ngsolve import (
    H1,
    BilinearForm,
    BitArray,
    CoefficientFunction,
    GridFunction,
    LinearForm,
    Mesh,
    cos,
    ds,
    dx,
    exp,
    grad,
    x,
    y,
)

from ngs_nhcsr import Corrector, InvalidProblem, Problem, correct
from ngs_nhcsr.guard import Status
from ngs_nhcsr.ngsolve_io.fine_solve import solve_fine
from ngs_nhcsr.solvers.direct import DirichletSystem
from ngs_nhcsr.solvers.load import Load
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.neumann import balanced, mean_value
from ngs_nhcsr.solvers.norms import energy_norm
from ngs_nhcsr.solvers.q1 import stiffness

N, SCALE = 8, 16
FINE = N * SCALE
ALL = ("bottom", "right", "top", "left")


def pixels(contrast, seed=0):
    return np.where(np.random.default_rng(seed).random((32, 32)) < 0.5, 1.0, contrast)


def ngsolve_solution(mesh, a, f, flux=None, *, c=0.0, mean=0.0, bonus=0):
    """Solution of NGSolve alone, with one degree of freedom fixed by hand where c = 0."""
    fes = H1(mesh, order=1)
    u, v = fes.TnT()
    a, c, f = (CoefficientFunction(k) for k in (a, c, f))
    form = BilinearForm((a * grad(u) * grad(v) + c * u * v) * dx(bonus_intorder=bonus)).Assemble()
    load = LinearForm(fes)
    load += f * v * dx(bonus_intorder=6)
    for side, value in (flux or {}).items():
        load += value * v * ds(side)
    load.Assemble()
    free = BitArray(fes.ndof)
    free.Set()
    if not isinstance(c, CoefficientFunction) or float(c(mesh(0.5, 0.5))) == 0:
        free.Clear(0)
    out = GridFunction(fes)
    out.vec.data = form.mat.Inverse(free, "sparsecholesky") * load.vec
    if not free[0]:
        values = out.vec.FV().NumPy()
        weights = LinearForm(v * dx).Assemble().vec.FV().NumPy()
        values += mean - weights @ values
    return out


def nodes(u, n=FINE):
    return u.vec.FV().NumPy().reshape(n + 1, n + 1)


def relative(v, reference, medium):
    return energy_norm(v - reference, medium) / energy_norm(reference, medium)


LOADS = {
    "waves": (lambda: cos(np.pi * x) * cos(2 * np.pi * y) + cos(np.pi * y), None),
    "no symmetry": (lambda: exp(x) - (np.e - 1), None),
    "through": (lambda: CoefficientFunction(0.0), {"left": 1.0, "right": -1.0}),
    "f against flux": (lambda: CoefficientFunction(1.0), {"top": -1.0}),
}


@pytest.mark.parametrize("contrast", [10.0, 1000.0])
@pytest.mark.parametrize("name", LOADS)
def test_pure_neumann_against_ngsolve(name, contrast):
    f, flux = LOADS[name][0](), LOADS[name][1]
    A = pixels(contrast)
    u = ngsolve_solution(quads(N), voxel(A), f, flux, mean=2.0)
    r = correct(u, voxel(A), SCALE, f=f, flux=flux, full=True, on_untrusted="raise")
    reference = nodes(ngsolve_solution(quads(FINE), voxel(A), f, flux, mean=2.0))
    error = relative(r.values, reference, Medium(A))
    assert error < 1e-3
    assert error < 1.5 * r.error_estimate + 1e-6
    assert mean_value(r.values) == pytest.approx(2.0, abs=1e-12)  # as u_coarse
    assert np.abs(r.values - reference).max() < 1e-2 * np.ptp(reference)


def test_point_sources_in_balance():
    A = pixels(10.0)
    points = [(0.25, 0.25, 1.0), (0.75, 0.5, -1.0)]
    fes = H1(quads(N), order=1)
    u = correct(GridFunction(fes), voxel(A), SCALE, points=points, full=True, on_untrusted="return")
    b = np.zeros((FINE + 1, FINE + 1))
    b[FINE // 4, FINE // 4], b[FINE // 2, 3 * FINE // 4] = 1.0, -1.0
    K = stiffness(A, (FINE, FINE))
    free = np.ones_like(b, bool)
    free[0, 0] = False
    reference = DirichletSystem(K, free).solve(b)
    assert relative(u.values, reference, Medium(A)) < 1e-3


@pytest.mark.parametrize("data", [{"f": 1.0}, {"f": 0.0, "flux": {"left": 0.25}}, {"points": [(0.5, 0.5, 3.0)]}])
def test_data_out_of_balance_are_refused_with_the_amount(data):
    total = {"f": "1", "flux": "0.25", "points": "3"}[next(iter(reversed(data)))]
    with pytest.raises(InvalidProblem, match=f"integrates to {total} "):
        correct(GridFunction(H1(quads(N), order=1)), voxel(pixels(10.0)), SCALE, **data)


def test_without_a_load_a_misspelt_boundary_is_supposed():
    u = ngsolve_solution(quads(N), voxel(pixels(10.0)), cos(np.pi * x))
    with pytest.raises(InvalidProblem, match=r"misspelt.*'bottom'.*f="):
        correct(u, voxel(pixels(10.0)), SCALE)


def test_on_triangles():
    A, f = pixels(10.0), cos(np.pi * x)
    u = ngsolve_solution(Mesh(unit_square.GenerateMesh(maxh=0.06)), voxel(A), f, bonus=8)
    r = correct(u, voxel(A), SCALE, f=f, full=True, on_untrusted="return")
    fine = quads(r.cells[1], r.cells[0])
    reference = ngsolve_solution(fine, voxel(A), f).vec.FV().NumPy().reshape(r.values.shape)
    assert r.status is Status.ACCEPTED
    assert relative(r.values, reference, Medium(A)) < 1e-3


def test_prepared_and_by_arrays_agree():
    A, f = pixels(10.0), cos(np.pi * x)
    u = ngsolve_solution(quads(N), voxel(A), f)
    r = Corrector().prepare(A, u.space, SCALE)(u, f=f)
    problem = Problem.from_arrays(A, coarse=N, f=lambda x, y: np.cos(np.pi * x) + 0 * y, natural=ALL)
    out = Corrector().correct_problem(problem, SCALE)
    assert relative(out.values, r.values, Medium(A)) < 1e-3
    assert abs(mean_value(out.values)) < 1e-13
    with pytest.raises(InvalidProblem, match="integrates to 1"):
        Problem.from_arrays(A, coarse=N, f=1.0, natural=ALL)


def test_a_constant_changes_nothing_but_the_mean():
    A, f = pixels(100.0), cos(np.pi * x)
    zero, far = (ngsolve_solution(quads(N), voxel(A), f, mean=m) for m in (0.0, 1000.0))
    a, b = (correct(u, voxel(A), SCALE, f=f, full=True, on_untrusted="raise").values for u in (zero, far))
    assert np.abs(b - a - 1000.0).max() < 1e-9


@pytest.mark.parametrize("c", [1e-3, 1.0, 1e4])
def test_a_reaction_needs_no_dirichlet_side(c):
    A = pixels(10.0)
    u = ngsolve_solution(quads(N), voxel(A), 1.0 + x, c=c)
    r = correct(u, voxel(A), SCALE, f=1 + x, reaction=c, full=True, on_untrusted="raise")
    reference = nodes(ngsolve_solution(quads(FINE), voxel(A), 1.0 + x, c=c))
    assert relative(r.values, reference, Medium(A, np.full((1, 1), c))) < 1e-3


def test_a_recovered_load_with_reaction_and_no_dirichlet_side():
    A = pixels(10.0)
    u = ngsolve_solution(quads(N), voxel(A), 1.0 + x, c=1.0)
    r = correct(u, voxel(A), SCALE, reaction=1.0, full=True, on_untrusted="raise")
    reference = nodes(ngsolve_solution(quads(FINE), voxel(A), 1.0 + x, c=1.0))
    assert relative(r.values, reference, Medium(A, np.ones((1, 1)))) < 1e-3


def test_the_trace_space_says_that_it_needs_a_dirichlet_side():
    u = ngsolve_solution(quads(N), voxel(pixels(10.0)), cos(np.pi * x))
    with pytest.raises(InvalidProblem, match="needs a Dirichlet side"):
        correct(u, voxel(pixels(10.0)), SCALE, f=cos(np.pi * x), target="pde")


def test_two_fine_solvers_agree():
    """Corrections and ``solve_fine`` share the raster and the multigrid, no reading of loads."""
    A, f = pixels(10.0), cos(np.pi * x)
    u = ngsolve_solution(quads(N), voxel(A), f)
    r = correct(u, voxel(A), SCALE, f=f, refine_to=1e-8, full=True, on_untrusted="raise")
    fine = solve_fine(A, H1(quads(FINE), order=1), f=lambda x, y: np.cos(np.pi * x) + 0 * y)
    assert relative(r.values, nodes(fine), Medium(A)) < 1e-3


def test_balance_is_checked_by_parts_of_the_load():
    b = Load.of(lambda x, y: np.cos(np.pi * x) + 0 * y, (16, 16)).vector((16, 16))
    assert abs(balanced(b).sum()) < 1e-15
    with pytest.raises(InvalidProblem, match="integrates to 1e-06"):
        balanced(b + 1e-6 / b.size)
