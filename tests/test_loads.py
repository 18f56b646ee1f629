"""Loads as users have them: jumps, point sources, fluxes, LinearForms; and what recovered ones are worth."""

import numpy as np
import pytest
from ngsolve import (
    BND,
    H1,
    BilinearForm,
    CoefficientFunction,
    GridFunction,
    IfPos,
    LinearForm,
    Projector,
    VoxelCoefficient,
    ds,
    dx,
    exp,
    grad,
    krylovspace,
    sin,
    x,
    y,
)
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr import Corrector, Status, correct
from ngs_nhcsr.errors import InvalidProblem
from ngs_nhcsr.ngsolve_io.coarse_field import read_coarse
from ngs_nhcsr.ngsolve_io.meshes import structured_mesh
from ngs_nhcsr.ngsolve_io.read import Reader
from ngs_nhcsr.ngsolve_io.samplers import of_coefficient, of_integrators
from ngs_nhcsr.reading import galerkin_solve
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.load import Load
from ngs_nhcsr.solvers.load_error import load_uncertainty
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.moments import function_moments, line_moments, of_callable, point_moments
from ngs_nhcsr.solvers.norms import energy_norm
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.transfer import prolongate, restrict

N, SCALE, PIXELS = 8, 16, 32
FINE = N * SCALE
LOW, HIGH = (0.2, 0.31), (0.47, 0.62)  # (y, x) of a box that no grid here fits
A = np.where(np.random.default_rng(0).random((PIXELS, PIXELS)) < 0.5, 1.0, 10.0)
VOXELS = VoxelCoefficient((0, 0), (1, 1), A, linear=False)
BOX = IfPos(x - LOW[1], 1, 0) * IfPos(HIGH[1] - x, 1, 0) * IfPos(y - LOW[0], 1, 0) * IfPos(HIGH[0] - y, 1, 0)
POINT = (0.3, 0.41, 0.05)


def box(X, Y):
    return 1.0 * ((X > LOW[1]) & (X < HIGH[1]) & (Y > LOW[0]) & (Y < HIGH[0]))


def interval_moments(low, high, n, length=1.0):
    """Exact moments of an indicator function of [low, high] with n + 1 hats on [0, length]."""
    nodes = np.linspace(0, length, n + 1)
    a, b = np.clip(low, nodes[:-1], nodes[1:]), np.clip(high, nodes[:-1], nodes[1:])
    rising = ((b - nodes[:-1]) ** 2 - (a - nodes[:-1]) ** 2) / (2 * length / n)
    out = np.zeros(n + 1)
    out[1:] += rising
    out[:-1] += b - a - rising
    return out


def box_moments(cells, size=(1.0, 1.0)):
    return np.outer(*(interval_moments(LOW[k], HIGH[k], cells[k], size[k]) for k in (0, 1)))


def fine_form(fes, f=None, g=None, points=(), bonus=8):
    """Load vector of NGSolve by high-order rules."""
    v, total = fes.TestFunction(), np.zeros(fes.ndof)
    domain = None if f is None else f * v * dx(bonus_intorder=bonus)
    for term in (domain, None if g is None else g * v * ds("top", bonus_intorder=6)):
        if term is not None:
            total += LinearForm(term).Assemble().vec.FV().NumPy()
    for px, py, weight in points:
        form = LinearForm(fes)
        form += v(px, py)
        total += weight * form.Assemble().vec.FV().NumPy()
    return total


def solved(mesh, dirichlet, b=None, form=None, bonus=0):
    """Q1 solution for the voxels and a load vector or LinearForm."""
    fes = H1(mesh, order=1, dirichlet=dirichlet)
    p, q = fes.TnT()
    matrix = BilinearForm(VOXELS * grad(p) * grad(q) * dx(bonus_intorder=bonus)).Assemble().mat
    u, F = GridFunction(fes), GridFunction(fes)
    F.vec.FV().NumPy()[:] = form(fes).vec.FV().NumPy() if b is None else b(fes)
    u.vec.data = matrix.Inverse(fes.FreeDofs(), "sparsecholesky") * F.vec
    return u


@pytest.mark.parametrize(("cells", "size"), [((64, 64), (1.0, 1.0)), ((96, 60), (0.5, 2.0)), ((128, 33), (1.0, 1.0))])
def test_a_box_is_integrated_to_round_off(cells, size):
    found = function_moments(of_callable(box), cells, size)
    exact = box_moments(cells, size)
    assert abs(found.vector.sum() - exact.sum()) < 1e-12
    assert np.abs(found.vector - exact).max() < 1e-8 * exact.max()  # bisection stops at 1e-14 of the integral
    assert found.uncertain == 0


def test_waves_below_the_coarse_mesh_are_integrated():
    found = function_moments(of_callable(lambda X, Y: 1 + np.sin(200 * X) + 0 * Y), (16, 128)).vector.sum(0)
    h, s = 1 / 128, np.linspace(0, 1, 129)[1:-1]
    exact = h + np.sin(200 * s) * 2 * (1 - np.cos(200 * h)) / (200**2 * h)
    assert np.abs(found[1:-1] - exact).max() < 1e-6 * h


def test_a_disc_is_integrated_as_far_as_it_says():
    found = function_moments(of_callable(lambda X, Y: 1.0 * ((X - 0.5) ** 2 + (Y - 0.4) ** 2 < 1 / 16)), (64, 64))
    area = np.pi / 16
    assert 0 < found.uncertain < 1e-3
    assert abs(found.vector.sum() - area) < found.uncertain * area


def test_moments_restrict_to_moments():
    """Fine moments restricted are coarse moments, for every kind of load, by two integrations that share no block."""
    fine, coarse = (64, 96), (16, 24)
    for of in (
        lambda cells: function_moments(of_callable(box), cells).vector,
        lambda cells: point_moments([(0.3, 0.4, 2.0), (1.0, 0.0, -1.0)], cells),
    ):
        np.testing.assert_allclose(restrict(of(fine), coarse), of(coarse), atol=1e-12)
    sides = [line_moments(lambda s: 1.0 * (s > 0.3), n, 1.0) for n in (96, 24)]
    np.testing.assert_allclose(restrict(np.stack([sides[0]] * 2), (1, 24))[0], sides[1], atol=1e-12)


def test_a_load_keeps_its_moments_on_every_coarser_grid():
    b = point_moments([(0.33, 0.41, 1.0)], (64, 64))
    load = Load.from_vector(b)
    np.testing.assert_allclose(load.vector((64, 64)), b, atol=1e-14)
    projected = Load(load.at((16, 16)))  # not its values at these nodes
    np.testing.assert_allclose(projected.vector((16, 16)), restrict(b, (16, 16)), atol=1e-14)


@pytest.mark.parametrize("quads", [True, False])
def test_both_samplers_agree_with_the_function(quads):
    mesh = MakeStructured2DMesh(quads=quads, nx=6, ny=4, mapping=lambda s, t: (2 * s - 1, t))
    fes = H1(mesh, order=1, dirichlet=".*")
    found = read_coarse(GridFunction(fes))
    form = LinearForm(BOX * fes.TestFunction() * dx).Assemble()
    cells, size, lower = (32, 64), (1.0, 2.0), (-1.0, 0.0)
    grid = Space(cells, lower, size)
    exact = function_moments(of_callable(box), cells, size, lower).vector
    for sampler in (of_coefficient(BOX, mesh, found.space, found.quads), of_integrators(form.integrators, grid)):
        np.testing.assert_allclose(function_moments(sampler, cells, size, lower).vector, exact, atol=1e-12)


STEP = np.outer(interval_moments(0, 1, FINE), interval_moments(0.51, 1, FINE))
#: By name: function, its exact fine moments or none (then by NGSolve), flux through the top, points, Dirichlet sides.
CASES = {
    "box": (BOX, box_moments((FINE, FINE)), None, (), ".*"),
    "step": (
        IfPos(x - 0.51, 1, 0),
        np.outer(interval_moments(0, 1, FINE), interval_moments(0.51, 1, FINE)),
        None,
        (),
        ".*",
    ),
    "wave": (1 + sin(200 * x), None, None, (), ".*"),
    "point": (None, None, None, (POINT,), ".*"),
    "flux": (None, None, 1 + x, (), "left|bottom"),
    "all": (BOX, box_moments((FINE, FINE)), 1 + x, (POINT,), "left|bottom"),
}


@pytest.mark.parametrize("given", ["options", "form"])
@pytest.mark.parametrize("name", list(CASES))
def test_the_fine_load_and_solution_are_those_of_exact_integration(name, given):
    f, exact, g, points, dirichlet = CASES[name]
    fine_mesh = structured_mesh(Space((FINE, FINE)))

    def fine_load(fes):
        return fine_form(fes, f if exact is None else None, g, points) + (0 if exact is None else exact.ravel())

    u_h = solved(fine_mesh, dirichlet, fine_load)
    free = np.fromiter(u_h.space.FreeDofs(), bool, u_h.space.ndof)
    b = fine_load(u_h.space)

    def coarse_form(fes):
        form, v = LinearForm(fes), fes.TestFunction()
        if f is not None:
            form += f * v * dx
        if g is not None:
            form += g * v * ds("top")
        for px, py, _ in points:
            form += v(px, py)  # NGSolve has them with weight 1 only
        return form.Assemble()

    if given == "form" and points:
        points = tuple((px, py, 1.0) for px, py, _ in points)
        u_h, b = solved(fine_mesh, dirichlet, fine_load), fine_load(u_h.space)
    coarse = structured_mesh(Space((N, N)))
    if given == "form":
        u = solved(coarse, dirichlet, form=coarse_form)
        options = {"f": coarse_form(u.space)}
    else:
        u = solved(coarse, dirichlet, lambda fes: fine_form(fes, f, g, points, bonus=30))
        options = {"f": f, "points": points, "flux": None if g is None else {"top": g}}
    r = Corrector()(u, VOXELS, SCALE, refine_to=3e-4, on_untrusted="return", **options)
    assert r.status is Status.ACCEPTED, r.notes
    found = r.problem.load_vector((FINE, FINE)).ravel()
    assert np.linalg.norm((found - b)[free]) < 1e-6 * np.linalg.norm(b[free])
    values = u_h.vec.FV().NumPy().reshape(FINE + 1, FINE + 1)
    error = energy_norm(r.values - values, Medium(A), (1.0, 1.0)) / energy_norm(values, Medium(A), (1.0, 1.0))
    assert error < 1e-3


def test_a_vector_or_a_form_that_cannot_be_taken_apart_keeps_its_coarse_moments():
    u = solved(structured_mesh(Space((N, N))), ".*", form=lambda fes: LinearForm(fes.TestFunction() * dx).Assemble())
    v = u.space.TestFunction()
    for f in (
        LinearForm(v * dx).Assemble().vec,
        LinearForm(CoefficientFunction((x * (1 - x), y)) * grad(v) * dx).Assemble(),  # a load in divergence form
    ):
        vector = getattr(f, "vec", f).FV().NumPy().reshape(N + 1, N + 1)
        problem = Reader(VOXELS).read(u, f=f)
        assert any("LinearForm could not be integrated" in note for note in problem.notes)
        np.testing.assert_allclose(problem.load.vector((N, N))[1:-1, 1:-1], vector[1:-1, 1:-1], atol=1e-12)


def test_triangles_take_points_and_fluxes_too():
    mesh = MakeStructured2DMesh(quads=False, nx=16, ny=16)
    u = solved(mesh, "left|bottom", lambda fes: fine_form(fes, BOX, 1 + x, (POINT,)), bonus=4)
    problem = Reader(A).read(u, f=BOX, points=[POINT], flux={"top": lambda X, Y: 1 + X + 0 * Y}, scale=8)
    assert problem.mismatch < 0.05
    total = box_moments((1, 1)).sum() + 1.5 + POINT[2]
    assert abs(problem.load_vector((128, 128)).sum() - total) < 1e-10


def test_fluxes_go_where_they_are_said_to():
    u = solved(structured_mesh(Space((N, N))), "left", lambda fes: fine_form(fes, g=2))
    loads = [
        Reader(VOXELS).read(u, flux=flux, scale=SCALE).load_vector((FINE, FINE))
        for flux in ({"top": 2}, {"top": CoefficientFunction(2.0)}, {"top": lambda X, Y: 2 + 0 * X}, 2.0)
    ]
    np.testing.assert_allclose(loads[0][-1], line_moments(lambda s: 2 + 0 * s, FINE, 1.0), atol=1e-14)
    assert np.abs(loads[0][:-1]).max() < 1e-14
    for other in loads[1:3]:
        np.testing.assert_allclose(other, loads[0], atol=1e-14)
    assert loads[3].sum() == pytest.approx(6.0)  # through three natural sides


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"flux": {"left": 1.0}}, "Dirichlet"),
        ({"flux": {"lid": 1.0}}, "boundaries"),
        ({"flux": {"top": "much"}}, "number"),
        ({"points": [(2.0, 0.5, 1.0)]}, "does not lie in the domain"),
        ({"points": [(0.5, 0.5)]}, "three numbers"),
        ({"points": [POINT], "target": "pde"}, "finite energy"),
        ({"flux": 1.0, "target": "pde"}, "homogeneous"),
    ],
)
def test_wrong_sources_are_told_in_a_sentence(options, words):
    u = solved(structured_mesh(Space((N, N))), "left", lambda fes: fine_form(fes, g=1))
    with pytest.raises(InvalidProblem, match=words) as caught:
        correct(u, VOXELS, SCALE, **options)
    assert len(str(caught.value)) < 400


def recovered_and_true(f, n=16, cells=256):
    """Estimated and true relative energy error of a load that is recovered from exact coarse moments."""
    space, medium = Space((n, n)), Medium(np.repeat(np.repeat(A, 2, 0), 2, 1))
    load = Load.from_vector(function_moments(of_callable(f), (cells, cells)).vector)
    F = np.where(space.free, load.vector((n, n)), 0.0)
    found = Load.from_moments(F, space)
    U = galerkin_solve(medium.values, space, F, np.zeros((n + 1, n + 1)))
    u, v = (fine_solve(medium.values, (cells, cells), w.at((cells, cells))) for w in (load, found))
    d, size, coarse, v_size = (energy_norm(w, medium, space.size) for w in (u - v, u, U, v))
    return load_uncertainty(found, medium, space, U) * coarse / v_size, d / size


@pytest.mark.parametrize("f", [box, lambda X, Y: 1.0 * (X > 0.51) + 0 * Y, lambda X, Y: 1 + np.sin(40 * X) + 0 * Y])
def test_a_recovered_load_says_what_it_may_be_wrong_by(f):
    estimate, true = recovered_and_true(f)
    assert true > 0.005
    assert 0.5 * true < estimate < 6 * true  # 0.7 to 4 measured, docstring of FACTOR


@pytest.mark.parametrize("f", [lambda X, Y: 1.0 + 0 * X * Y, lambda X, Y: np.exp(X * Y)])
def test_a_smooth_recovered_load_is_not_suspected(f):
    estimate, true = recovered_and_true(f)
    assert true < 1e-5
    assert estimate < 2e-4


@pytest.mark.parametrize("iterative", [False, True])
def test_a_pressure_drop_needs_no_load(iterative):
    """f = 0: what the solver left of it is no load."""

    def drop(cells, iterate):
        fes = H1(structured_mesh(Space((cells, cells))), order=1, dirichlet="left|right")
        p, q = fes.TnT()
        matrix = BilinearForm(VOXELS * grad(p) * grad(q) * dx).Assemble().mat
        u = GridFunction(fes)
        u.Set(x, BND)
        r = (-matrix * u.vec).Evaluate()
        if iterate:
            solver = krylovspace.CGSolver(matrix, Projector(fes.FreeDofs(), True), tol=1e-6, maxiter=1000)
            u.vec.data += solver * r
        else:
            u.vec.data += matrix.Inverse(fes.FreeDofs(), "sparsecholesky") * r
        return u

    r = correct(drop(N, iterative), VOXELS, SCALE, refine_to=3e-5, full=True)
    assert r.status is Status.ACCEPTED
    assert not r.problem.load.moments.any()
    values = drop(FINE, False).vec.FV().NumPy().reshape(FINE + 1, FINE + 1)
    assert energy_norm(r.values - values, Medium(A), (1.0, 1.0)) < 1e-4 * energy_norm(values, Medium(A), (1.0, 1.0))


def test_a_smooth_function_has_the_moments_of_ngsolve():
    u = solved(structured_mesh(Space((N, N))), ".*", lambda fes: fine_form(fes, exp(x * y)))
    found = Reader(VOXELS).read(u, f=exp(x * y), scale=SCALE).load_vector((FINE, FINE))
    fes = H1(structured_mesh(Space((FINE, FINE))), order=1)
    b = fine_form(fes, exp(x * y)).reshape(found.shape)
    np.testing.assert_allclose(found, b, atol=1e-12 * b.max())


def test_moments_on_grids_that_are_not_nested_are_exact():
    """Two ways: the mixed mass matrix, and exact restriction from a common refinement of both grids."""
    values = np.random.default_rng(0).standard_normal((9, 6))  # 8 x 5 cells
    load = Load(values, (0.7, 1.3))
    by_refinement = Load(prolongate(values, (24, 35)), (0.7, 1.3)).vector((6, 7))
    np.testing.assert_allclose(load.vector((6, 7)), by_refinement, atol=1e-15)
    torch_load = load.tensors().vector((6, 7))
    np.testing.assert_allclose(torch_load[0, 0].numpy(), by_refinement, atol=1e-15)


def test_a_load_made_from_its_vector_gives_it_back(rng):
    """On its grid, on coarser ones and on others: what its nodal values integrate to, but for round-off."""
    b = rng.standard_normal((25, 17))
    load = Load.from_vector(b, (0.7, 1.3))
    by_values = Load(load.values, load.size)
    for cells in ((24, 16), (12, 8), (6, 4), (48, 32), (7, 5)):
        found = load.vector(cells)
        assert np.allclose(found, by_values.vector(cells), rtol=0, atol=1e-12 * np.abs(b).max())
        assert np.allclose(load.tensors().vector(cells)[0, 0].numpy(), found, rtol=0, atol=1e-14)
    load.vector((24, 16))[:] = 0  # memory of its own
    assert np.array_equal(load.vector((24, 16)), b)
