"""What recovered loads leave open: moments at natural sides, sources in points; and what is returned if all fails."""

from dataclasses import replace

import numpy as np
import pytest
from ngsolve import H1, BilinearForm, GridFunction, LinearForm, Mesh, VoxelCoefficient, ds, dx, grad, unit_square

from ngs_nhcsr import Status
from ngs_nhcsr.budget import budget_of
from ngs_nhcsr.ngsolve_io.read import Reader
from ngs_nhcsr.options import Request
from ngs_nhcsr.pipeline import Outcome, run
from ngs_nhcsr.problem import Problem
from ngs_nhcsr.reading import galerkin_solve, read_load
from ngs_nhcsr.solvers.direct import DirichletSystem
from ngs_nhcsr.solvers.hierarchy import hierarchy
from ngs_nhcsr.solvers.load import Load
from ngs_nhcsr.solvers.load_error import load_uncertainty, point_sources, unseen_waves
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.moments import function_moments, of_callable, point_moments
from ngs_nhcsr.solvers.nodal import boundary_values
from ngs_nhcsr.solvers.norms import energy_norm
from ngs_nhcsr.solvers.q1 import stiffness
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.tensor_medium import medium_of


def recovered_and_true(b, space, medium, fine):
    """Estimated and true relative energy error of a load with fine moments b, recovered from its coarse moments."""
    F = np.where(space.free, Load.from_vector(b, space.size).vector(space.cells), 0.0)
    load = Load.from_moments(F, space)
    U = galerkin_solve(medium, space, F, np.zeros(space.shape))
    solver, zero = hierarchy(medium, fine), np.zeros(fine.shape)
    u, v = (
        solver.solve(np.where(fine.free, w, 0.0), zero, tolerance=1e-6, max_iterations=100)[0]
        for w in (b, load.vector(fine.cells))
    )
    d, size, coarse, v_size = (energy_norm(w, medium, space.size) for w in (u - v, u, U, v))
    return load_uncertainty(load, medium, space, U) * coarse / v_size, d / size


def random_medium(seed, cells, contrast=10.0):
    return Medium(np.where(np.random.default_rng(seed).random(cells) < 0.5, 1.0, contrast))


@pytest.mark.parametrize("natural", [("left",), ("left", "right", "bottom")])
@pytest.mark.parametrize(
    "f", [lambda X, Y: np.sin(5 * X - 3) + Y - 0.5, lambda X, Y: 1.2 + np.sin(3 * X) * np.cos(4 * Y)]
)
def test_moments_at_natural_sides_that_extrapolation_misses_are_counted(f, natural):
    """The coarse solution sees them, and what it sees of an error is never more than the error."""
    space = Space.with_sides((16, 6), (1.0, 1.0), natural)
    fine = space.with_cells((192, 72))
    b = function_moments(of_callable(f), fine.cells).vector
    estimate, true = recovered_and_true(b, space, random_medium(0, (64, 24), 100.0), fine)
    assert true > 1e-3
    assert 0.5 * true < estimate < 6 * true


@pytest.mark.parametrize("at", [(0.31, 0.42), (0.5, 0.47), (0.52, 0.28)])
def test_a_source_that_may_sit_in_a_point_is_not_taken_for_a_wide_one(at):
    space = Space((16, 16))
    fine = space.with_cells((256, 256))
    b = point_moments([(*at, 0.7)], fine.cells)
    estimate, true = recovered_and_true(b, space, random_medium(1, (64, 64)), fine)
    assert true > 0.1
    assert 0.5 * true < estimate < 3 * true


@pytest.mark.parametrize("at", [(0.31, 0.42), (0.5, 0.47)])
def test_moments_taken_for_a_residual_are_counted(at):
    """A weak source beside boundary data, where another quadrature would mean a load ten thousand times as large."""
    space, medium = Space((16, 16)), random_medium(2, (64, 64), 1e4)
    fine = space.with_cells((256, 256))
    exact = DirichletSystem(stiffness(medium, space.cells, space.size), space.free)
    weak, g = point_moments([(*at, 1.0)], space.cells), boundary_values(lambda x, y: x + 0 * y, space.cells)
    U = exact.solve(weak, g)
    noise = 1e5 * np.random.default_rng(0).standard_normal(space.shape)
    reading = read_load(exact, space, U, {"exact": weak, "dx": noise})
    assert reading.load is not None
    assert not reading.load.values.any()
    estimate = load_uncertainty(reading.load, medium, space, reading.U, reading.other, reading.dropped)
    mg, b = hierarchy(medium, fine), point_moments([(*at, 1.0)], fine.cells)
    u = mg.solve(b, np.zeros(fine.shape), tolerance=1e-6)[0]
    U_h = mg.solve(b, boundary_values(lambda x, y: x + 0 * y, fine.cells), tolerance=1e-6)[0]
    true = energy_norm(u, medium, space.size) / energy_norm(U_h, medium, space.size)
    assert true > 1e-4
    assert 0.3 * true < estimate < 3 * true


def test_a_zero_field_for_a_weak_load_is_all_wrong():
    """Without boundary data nothing is left where the moments are dropped."""
    space, medium = Space((8, 8)), random_medium(3, (32, 32), 1e4)
    exact = DirichletSystem(stiffness(medium, space.cells, space.size), space.free)
    weak, noise = np.where(space.free, 1.0, 0.0), 1e5 * np.random.default_rng(0).standard_normal(space.shape)
    weak *= np.random.default_rng(1).choice([-1.0, 1.0], space.shape)
    reading = read_load(exact, space, exact.solve(weak, np.zeros(space.shape)), {"exact": weak, "dx": noise})
    assert not reading.U.any()
    assert load_uncertainty(reading.load, medium, space, reading.U, reading.other, reading.dropped) == 1


@pytest.mark.parametrize(("g", "more"), [(lambda X, Y: X + 0 * Y, True), (0.0, False)])
def test_errors_of_loads_are_relative_to_the_field(g, more):
    """The energy of a coarse solution is far too large for boundary data, and too small for loads alone."""
    problem = Problem.from_arrays(random_medium(4, (32, 32), 1e4).values, coarse=8, g=g)
    fine = problem.space.with_cells((128, 128))
    u = galerkin_solve(
        problem.medium, fine, Load.of(1.0, fine.cells).vector(fine.cells), boundary_values(g, fine.cells)
    )
    coarse, size = (energy_norm(v, problem.medium, fine.size) for v in (problem.U, u))
    assert coarse > 1.5 * size if more else coarse < size / 1.5
    told = budget_of(u, replace(problem, load_error=0.01), None).load
    assert told == pytest.approx(0.01 * coarse / size)


def test_points_are_found_where_they_are():
    """Hats reproduce x, y and, in one cell, x y: the centre of the moments of a point is the point."""
    rng, space = np.random.default_rng(0), Space((12, 20), (-1.0, 2.0), (0.7, 1.3))
    cells = np.array([[2, 3], [8, 4], [14, 8]])  # apart, and not at the boundary
    places = space.lower + (cells + rng.uniform(0.1, 0.9, (3, 2))) * np.array(space.spacing)[::-1]
    given = [(float(px), float(py), w) for (px, py), w in zip(places, (1.0, -0.3, 4.0), strict=True)]
    F = point_moments(given, space.cells, space.size, space.lower)
    inside, found = point_sources(F, space)
    np.testing.assert_allclose(sorted(found), sorted(given), rtol=1e-12)
    np.testing.assert_allclose(inside, F, atol=1e-15)


@pytest.mark.parametrize("cells", [(3, 3), (4, 4), (16, 16)])
def test_loads_that_fill_the_domain_are_no_points(cells):
    space = Space(cells)
    for f in (1.0, lambda X, Y: np.sin(6 * X - 3) + Y - 0.5):
        inside, points = point_sources(Load.of(f, cells).vector(cells), space)
        assert not points
        assert not inside.any()


def test_what_is_rejected_for_an_unknown_load_is_u_coarse_itself():
    """On triangles the canonical solution lives on a grid of its own: it may be worse than what the user has."""
    a = VoxelCoefficient((0, 0), (1, 1), random_medium(2, (32, 32)).values, linear=False)
    fes = H1(Mesh(unit_square.GenerateMesh(maxh=0.15)), order=2, dirichlet="left")
    p, q = fes.TnT()
    u = GridFunction(fes)
    form = BilinearForm(a * grad(p) * grad(q) * dx).Assemble()
    u.vec.data = (
        form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * LinearForm(q * dx + 5 * q * ds("top")).Assemble().vec
    )

    def reject(problem, fine, lap):
        assert not problem.decided
        aligned = fine.with_cells((40, 40))
        return Outcome(np.zeros(fine.shape), Status.REJECTED, (), aligned=np.zeros(aligned.shape))

    r = run(u, Reader(a), 5, Request(on_untrusted="return"), reject, "")
    assert r.aligned is not None
    for values in (r.values, r.aligned):
        ys, xs = (np.linspace(0, 1, n) for n in values.shape)
        expected = np.array([[u(fes.mesh(s, t)) for s in xs] for t in ys])
        np.testing.assert_allclose(values, expected, atol=1e-12 * np.abs(expected).max())


def test_what_a_load_does_inside_pixels_of_small_values_is_seen():
    """Islands of 1 in a sea of 1e5 hold most of the energy; one cell a pixel sees a tenth of what a box adds there."""
    space = Space.with_sides((12, 12), (1.0, 1.0), ("top", "right", "bottom"))
    sea = np.full((48, 48), 1e5)
    sea[1::3, 1::3] = 1.0
    fine = space.with_cells((192, 192))
    b = function_moments(of_callable(lambda X, Y: 1.0 * ((abs(X - 0.44) < 0.15) & (abs(Y - 0.42) < 0.15))), fine.cells)
    estimate, true = recovered_and_true(b.vector, space, Medium(sea), fine)
    assert true > 0.2
    assert true / 3 < estimate < 3 * true


@pytest.mark.parametrize(("cells", "f"), [((5, 2), lambda x, y: 1 + x * y), ((4, 3), lambda x, y: 1 + x * y**2)])
def test_few_cells_leave_much_open(cells, f):
    """Two or three cells in a direction have one or two moments: what these say of a load is little, and is told."""
    A = np.where(np.random.default_rng(11).random(cells) < 0.5, 1.0, 100.0)
    given = Problem.from_arrays(A, coarse=cells, f=f, natural=("bottom", "top"))
    recovered = Load.from_moments(given.load.vector(cells), given.space)
    fine = given.space.refined(8)
    u, v = (
        hierarchy(given.medium, fine).solve(b.vector(fine.cells), tolerance=1e-8)[0] for b in (given.load, recovered)
    )
    error = energy_norm(u - v, given.medium, fine.size) / energy_norm(u, given.medium, fine.size)
    assert error < load_uncertainty(recovered, given.medium, given.space, given.U)


def tensor_medium(medium, ratio):
    """The same medium, conducting along y by ``ratio`` less."""
    return medium_of(np.stack([medium.values, medium.values / ratio, 0 * medium.values]))


@pytest.mark.parametrize(
    ("medium", "size", "natural"),
    [
        (random_medium(5, (64, 64), 1.0), (1.0, 1.0), ()),
        (random_medium(5, (64, 64), 10.0), (1.0, 1.0), ()),
        (random_medium(5, (64, 64), 100.0), (1.0, 1.0), ()),
        (random_medium(5, (64, 64), 10.0), (1.0, 1.0), ("right", "top", "left")),
        (random_medium(5, (64, 64), 10.0), (300.0, 1.0), ()),
        (random_medium(5, (64, 64), 10.0), (1.0, 300.0), ("bottom",)),
        (replace(random_medium(5, (64, 64), 10.0), reaction=np.full((64, 64), 1e6)), (1.0, 1.0), ()),
        (tensor_medium(random_medium(5, (64, 64), 10.0), 3.0), (1.0, 1.0), ()),
    ],
    ids=["1:1", "1:10", "1:100", "three natural", "tall", "wide", "reaction", "tensor"],
)
def test_waves_that_no_coarse_solution_shows_are_told(medium, size, natural):
    """Their moments vanish, and what they change is about what is told for the worse of two directions, or less."""
    space = Space.with_sides((16, 16), size, natural)
    fine, one = space.with_cells((256, 256)), Load.of(1.0, (1, 1), size)
    U = galerkin_solve(medium, space, one.vector(space.cells), np.zeros(space.shape))
    found = []
    for wave in (
        lambda X, Y: np.cos(32 * np.pi * X / size[1]) + 0 * Y,
        lambda X, Y: np.cos(32 * np.pi * Y / size[0]) + 0 * X,
    ):
        b = function_moments(of_callable(wave), fine.cells, size).vector
        assert np.abs(Load.from_vector(b, size).vector(space.cells)).max() < 1e-9 * size[0] * size[1]
        solver = hierarchy(medium, fine)
        change, _ = solver.solve(np.where(fine.free, b, 0.0), np.zeros(fine.shape), tolerance=1e-6, max_iterations=200)
        found.append(energy_norm(change, medium, size) / energy_norm(U, medium, size))
    assert max(found) / 1.1 <= unseen_waves(one, medium, space, U) <= 2.2 * max(found)


def test_only_recovered_loads_have_something_unseen():
    A = np.where(np.random.default_rng(1).random((32, 32)) < 0.5, 1.0, 10.0)
    given = Problem.from_arrays(A, coarse=8)
    assert budget_of(given.U, given, 0.0).unseen == 0.0
    reading = read_load(
        DirichletSystem(stiffness(A, (8, 8)), given.space.free),
        given.space,
        given.U,
        {"exact": given.load_vector((8, 8))},
    )
    recovered = replace(given, reading=reading, load=reading.load)
    assert recovered.load_recovered
    budget = budget_of(given.U, recovered, 0.0)
    assert 0.01 < budget.unseen < 1.0
    assert budget.total < budget.unseen


def test_functions_that_oscillate_too_fast_to_be_integrated_are_told_also_for_arrays():
    fast = Problem.from_arrays(np.ones((32, 32)), coarse=8, f=lambda x, y: 1.0 * (np.sin(3000 * x * y) > 0))
    assert any("was not integrated to the end" in note for note in fast.notes)
    assert not Problem.from_arrays(np.ones((32, 32)), coarse=8, f=lambda x, y: 1.0 * (x > 0.3)).notes


def test_a_load_uncertain_by_more_than_the_field_is_from_the_coarse_solution_is_not_known():
    """Then the coarse solution may be nearer: 'no worse than the coarse solution' cannot be said."""
    A = np.where(np.random.default_rng(2).random((32, 32)) < 0.5, 1.0, 10.0)
    problem = Problem.from_arrays(A, coarse=8)
    fine = problem.space.with_cells((64, 64))
    u = galerkin_solve(problem.medium, fine, problem.load_vector((64, 64)), np.zeros(fine.shape))
    away = budget_of(u, replace(problem, load_error=0.2), 1e-5).from_coarse
    assert 0.3 < away < 0.9
    size = energy_norm(u, problem.medium, fine.size) / energy_norm(problem.U, problem.medium, fine.size)
    for share, status in ((0.9, Status.INACCURATE), (1.1, Status.UNVERIFIED)):
        budget = budget_of(u, replace(problem, load_error=share * away * size), 1e-5)
        assert budget.judge(Status.ACCEPTED, ())[0] is status
        assert budget.known == (status is Status.INACCURATE)
    assert budget_of(u, replace(problem, load_error=0.01), 1e-5).from_coarse == float("inf")  # does not matter
