"""Jumps of recovered loads that the quadrature of the coarse solve moved: NGSolve's rule, its patterns, the errors."""

import numpy as np
import pytest
from ngsolve import H1, BilinearForm, GridFunction, IfPos, LinearForm, VoxelCoefficient, dx, grad, x
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr.budget import budget_of
from ngs_nhcsr.ngsolve_io.read import Reader
from ngs_nhcsr.reading import galerkin_solve
from ngs_nhcsr.solvers.hierarchy import hierarchy
from ngs_nhcsr.solvers.jumps import jump_loads
from ngs_nhcsr.solvers.load import Load
from ngs_nhcsr.solvers.load_error import load_uncertainty
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.moments import function_moments, of_callable
from ngs_nhcsr.solvers.norms import energy_norm
from ngs_nhcsr.solvers.space import Space

EXACT = 40  # points a cell


def hats(n, points):
    """Hats of n cells at the points of a Gauss rule times its weights, (n+1, n points), and the points."""
    g, w = np.polynomial.legendre.leggauss(points)
    g, w = (g + 1) / 2, w / 2 / n
    out = np.zeros((n + 1, n, points))
    out[:-1][np.diag_indices(n)] = w * (1 - g)
    out[1:][np.diag_indices(n)] = w * g
    return out.reshape(n + 1, -1), ((np.arange(n)[:, None] + g) / n).ravel()


def moments(f, space, points=2):
    """Load vector of f(x, y), 0 at fixed nodes, by a Gauss rule on quads."""
    (Hy, py), (Hx, px) = (hats(n, points) for n in space.cells)
    F = Hy @ np.broadcast_to(f(px * space.size[1], py[:, None] * space.size[0]), (len(py), len(px))) @ Hx.T
    return np.where(space.free, F * space.size[0] * space.size[1], 0.0)


def estimated_and_true(f, space, medium, points=2, per=8):
    """Relative energy error from a load recovered from moments by a Gauss rule: as estimated, and against f."""
    F, fine = moments(f, space, points), space.refined(per)

    def norm(w):
        return energy_norm(w, medium, space.size)

    load, solver, zero = Load.from_moments(F, space), hierarchy(medium, fine), np.zeros(fine.shape)
    U = galerkin_solve(medium, space, F, np.zeros(space.shape))
    loads = function_moments(of_callable(f), fine.cells, space.size).vector, load.vector(fine.cells, matched=True)
    u, v = (solver.solve(np.where(fine.free, b, 0.0), zero, tolerance=1e-5, max_iterations=200)[0] for b in loads)
    true = norm(u - v) / norm(u)
    return load_uncertainty(load, medium, space, U) * norm(U) / norm(v), true


def step(at, before=1.0, behind=0.0):
    return lambda X, Y: np.where(at < X, behind, before) + 0 * Y


def box(low, high):
    return lambda X, Y: 1.0 * ((low < X) & (high > X) & (low < Y) & (high > Y))


def random_medium(seed, cells):
    return Medium(np.where(np.random.default_rng(seed).random(cells) < 0.5, 1.0, 10.0))


def checkerboard(cells, low, high):
    return np.where(np.add.outer(*(np.arange(n) for n in cells)) % 2, high, low)


def test_steps_and_boxes_by_the_plain_dx_are_not_taken_for_right():
    """Estimates had been 0.009, 0.03 and 0.018."""
    between = Space.with_sides((16, 16), (1.0, 1.0), ("bottom", "top"))
    cooled = Space.with_sides((11, 6), (11 / 6, 1.0), ("top",))
    reacting = Medium(checkerboard((44, 24), 0.1, 1700.0), np.full((44, 24), 4.9e3))
    for estimate, true in (
        estimated_and_true(step(0.3), between, Medium(np.ones((64, 64)))),
        estimated_and_true(box(0.31, 0.43), Space((32, 32)), random_medium(0, (128, 128))),
        estimated_and_true(step(0.854, 0.5, 2.0), cooled, reacting, EXACT),
    ):
        assert true > 0.05
        assert true / 2.5 < estimate < 3.5 * true


@pytest.mark.parametrize("points", [2, 3, EXACT])
def test_wherever_a_step_is_its_error_is_at_most_three_estimates(points):
    """And seldom below a third of one."""
    ratios = []
    for seed, at in enumerate(np.random.default_rng(points).uniform(0.05, 0.95, 12)):
        estimate, true = estimated_and_true(step(at, 0.5, 2.0), Space((12, 12)), random_medium(seed, (48, 48)), points)
        assert true <= 3 * estimate + 1e-3
        ratios.append(estimate / true)
    assert 0.5 < np.median(ratios) < 3


@pytest.mark.parametrize(("points", "above"), [(2, 1.0), (3, 1.1)])
def test_the_error_of_the_mean_is_that_of_the_rule_over_all_places(points, above):
    """A jump at a node may be one that two points moved there, so three points have more than theirs."""
    space, lost, found = Space((8, 8)), [], []
    for at in (4 + np.linspace(-0.5, 0.5, 400, endpoint=False)) / 8:
        F = moments(step(at), space, points)
        lost.append(8 * F[4].sum() - (at - 1 / 16))  # less what the hat of the first node has
        (load,) = jump_loads(F, space)
        found.append(load.vector(space.cells)[4].sum() * 8)
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(above * np.sqrt(np.mean(np.square(lost))), rel=0.02)


def test_well_integrated_steps_are_known_where_they_are():
    """Most of them: near points of a rule they cannot be told from such that were moved there."""
    space = Space((12, 12))
    known = [not jump_loads(moments(step(at / 12), space, EXACT), space) for at in np.linspace(5, 6, 41)]
    assert np.mean(known) > 0.6


@pytest.mark.parametrize(
    "f",
    [
        lambda X, Y: 1 + 0 * X,
        lambda X, Y: X - 2 * Y,
        lambda X, Y: 1.2 + np.sin(3 * X) * np.cos(4 * Y),
        lambda X, Y: np.exp(-((X - 0.4) ** 2 + (Y - 0.5) ** 2) / 2 / 0.1**2),
        lambda X, Y: 1 + np.sin(12 * X + 0.3) + 0 * Y,
    ],
)
@pytest.mark.parametrize("cells", [(16, 16), (24, 12)])
def test_smooth_loads_have_no_jumps(f, cells):
    """Waves of 6.3 coarse cells and Gaussians with σ = 1.2 of them counted in."""
    space = Space(cells)
    assert not jump_loads(moments(f, space), space)


@pytest.mark.parametrize("cells", [(1, 1), (1, 8), (2, 2), (3, 7), (5, 5)])
def test_small_grids_and_no_load_have_none(cells):
    space = Space(cells)
    for F in (np.ones(space.shape), np.zeros(space.shape)):
        assert not jump_loads(F, space)


def test_a_load_of_no_sides_is_balanced():
    """With natural sides only, the energy of a jump is that of what is left when its mean is taken off."""
    space = Space.with_sides((8, 8), (1.0, 1.0), ("bottom", "right", "top", "left"))
    F, medium = moments(step(0.54, 1.0, -1.0), space), Medium(np.ones((32, 32)))
    F -= F.mean()
    estimate = load_uncertainty(Load.from_moments(F, space), medium, space, F)
    assert np.isfinite(estimate)


def coarse_step(at):
    """A step load integrated by the plain dx: the space, its solution, form and LinearForm."""
    fes = H1(MakeStructured2DMesh(quads=True, nx=12, ny=12), order=1, dirichlet=".*")
    u, v = fes.TnT()
    a = VoxelCoefficient((0, 0), (1, 1), random_medium(3, (48, 48)).values, linear=False)
    form = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
    F = LinearForm(IfPos(x - at, 0.0, 1.0) * v * dx).Assemble()
    solution = GridFunction(fes)
    solution.vec.data = form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * F.vec
    return solution, a, form, F


def test_the_plain_dx_of_ngsolve_takes_two_points():
    solution, a, _, _ = coarse_step(0.48)
    problem = Reader(a).read(solution)
    expected = moments(step(0.48), Space((12, 12)))
    np.testing.assert_allclose(problem.load.moments, expected, atol=1e-8 * expected.max())


def test_only_loads_read_off_the_coarse_solution_count():
    """form= says how a was integrated, not f; a LinearForm on quads is integrated anew."""
    solution, a, form, F = coarse_step(0.48)
    read = Reader(a).read
    recovered, by_form, given = read(solution), read(solution, form=form), read(solution, f=F)
    assert recovered.load_error == pytest.approx(by_form.load_error, rel=1e-6)
    assert recovered.load_error > 0.02
    assert given.load_error == 0


@pytest.mark.parametrize(("triangles", "order"), [(False, 2), (True, 1), (True, 2)])
@pytest.mark.parametrize("bonus", [0, 12])
def test_a_strip_on_triangles_and_of_order_2_has_an_estimate_that_covers_its_error(triangles, order, bonus):
    """In islands of 1 in a sea of 1e5, where half of it had been told."""
    pixels = np.full((48, 48), 1e5)
    pixels[1::3, 1::3] = 1.0
    mesh = MakeStructured2DMesh(quads=not triangles, nx=12, ny=12)
    fes = H1(mesh, order=order, dirichlet="left")
    u, v = fes.TnT()
    a = VoxelCoefficient((0, 0), (1, 1), pixels, linear=False)
    form = BilinearForm(a * grad(u) * grad(v) * dx(bonus_intorder=8)).Assemble()
    f = IfPos(x - 0.31, 1.0, 0.0) * IfPos(0.62 - x, 1.0, 0.0)
    solution = GridFunction(fes)
    solution.vec.data = form.mat.Inverse(fes.FreeDofs()) * LinearForm(f * v * dx(bonus_intorder=bonus)).Assemble().vec
    problem = Reader(pixels).read(solution, form=form, scale=8)
    space, medium = problem.space, problem.medium
    fine = space.with_cells((96, 96))
    exact = function_moments(of_callable(lambda X, Y: 1.0 * ((X > 0.31) & (X < 0.62)) + 0 * Y), fine.cells).vector
    solver, zero = hierarchy(medium, fine), np.zeros(fine.shape)
    w, recovered = (
        solver.solve(np.where(fine.free, b, 0.0), zero, tolerance=1e-5, max_iterations=200)[0]
        for b in (exact, problem.load_vector(fine.cells))
    )
    true = energy_norm(w - recovered, medium, space.size) / energy_norm(w, medium, space.size)
    estimate = budget_of(recovered, problem, None).load
    assert true > 0.05
    assert true / 1.5 < estimate < 3 * true
