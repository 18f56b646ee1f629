"""Recognising the quadrature of a coarse solution, recovering its load, making it canonical."""

import numpy as np
import pytest
from conftest import quads, solve_on, voxel
from helpers import read_problem
from ngsolve import CoefficientFunction, IfPos, LinearForm, cos, dx, sin, x, y
from test_raster import rectangle, refined

from ngs_nhcsr.ngsolve_io.coarse_field import tensor_index
from ngs_nhcsr.ngsolve_io.quadrature import BONUS_ORDERS, EXACT
from ngs_nhcsr.reading import galerkin_solve, roughness
from ngs_nhcsr.solvers.load import Load, load_cells
from ngs_nhcsr.solvers.q1 import mass_apply
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.transfer import restrict

LOADS = {
    "constant": (CoefficientFunction(1.0), lambda x, y: 1.0 + 0 * x * y),
    "smooth": (sin(7 * x) * cos(5 * y) + 0.3, lambda x, y: np.sin(7 * x) * np.cos(5 * y) + 0.3),
    "jumping, changing sign": (
        IfPos(x - 0.5, 1.0, -2.0) * IfPos(y - 0.25, 1.0, 0.3),
        lambda x, y: np.where(x > 0.5, 1.0, -2.0) * np.where(y > 0.25, 1.0, 0.3),
    ),
}


def canonical(A, u, f):
    """Galerkin solution with exact integration for the user's own load vector."""
    grid, vertices = tensor_index(np.array(u.space.mesh.ngmesh.Coordinates())[:, :2])
    F = LinearForm(f * u.space.TestFunction() * dx(bonus_intorder=6)).Assemble().vec.FV().NumPy()[vertices]
    return galerkin_solve(A, grid, F, np.zeros(grid.shape))


@pytest.mark.parametrize("load", list(LOADS))
@pytest.mark.parametrize("bonus", BONUS_ORDERS)
@pytest.mark.parametrize("contrast", [10.0, 100.0])
def test_any_rule_leads_to_the_same_canonical_solution(bonus, load, contrast, random_medium):
    A = random_medium(seed=5, contrast=contrast)
    f, _ = LOADS[load]
    u, _ = solve_on(quads(32), voxel(A), f, bonus=bonus)
    problem = read_problem(u, voxel(A))
    expected = canonical(A, u, f)
    difference = np.linalg.norm(problem.U - expected) / np.linalg.norm(expected)
    # the 12-point rule is within 0.1 % of exact integration and may be taken for it; all others are found exactly
    assert difference < (0.002 if bonus == 20 else 1e-9)
    assert problem.decided
    assert not problem.notes


def test_the_raw_solutions_differ_by_far_more(random_medium):
    """What the recognition is for: plain dx is several per cent away from the exact Galerkin solution."""
    A = random_medium(seed=5)
    u, _ = solve_on(quads(32), voxel(A))
    problem = read_problem(u, voxel(A))
    assert problem.reading.rule == "dx"
    assert np.linalg.norm(problem.given - problem.U) > 0.03 * np.linalg.norm(problem.U)


@pytest.mark.parametrize(
    "mesh", [refined(8, 2), quads(32, mapping=lambda a, b: (2 * a - 1, 3 * b))], ids=["refined", "box"]
)
def test_numbering_and_box_do_not_matter(mesh, random_medium):
    A = random_medium(seed=6)
    lower = (0, 0) if mesh.ngmesh.Coordinates()[:, 0].min() == 0 else (-1, 0)
    upper = (1, 1) if lower == (0, 0) else (1, 3)
    a = voxel(A, lower, upper)
    problem = read_problem(solve_on(mesh, a, bonus=2)[0], a)
    assert problem.reading.rule == "dx(bonus_intorder=2)"
    assert problem.load.values is not None
    np.testing.assert_allclose(problem.load.values, 1.0, atol=1e-8)


def test_recovered_load_is_f(random_medium):
    A = random_medium(seed=7)
    u, _ = solve_on(quads(32), voxel(A), LOADS["smooth"][0])
    f = read_problem(u, voxel(A)).load.values
    t = np.linspace(0, 1, f.shape[0])
    assert np.abs(f - LOADS["smooth"][1](t[None, :], t[:, None])).max() < 0.005


def test_form_and_f_need_no_guess(random_medium):
    A = random_medium(seed=8)
    u, form = solve_on(quads(32), voxel(A), bonus=4)
    by_form, by_f, guessed = (read_problem(u, voxel(A), **k) for k in ({"form": form}, {"f": 1}, {}))
    np.testing.assert_allclose(by_form.U, guessed.U, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(by_f.U, guessed.U, rtol=1e-9, atol=1e-12)
    assert (by_form.reading.rule, by_f.reading.rule) == ("given form", "given f")


def test_checkerboard_is_undecidable_and_says_what_to_pass():
    A = np.where(np.add.outer(np.arange(128), np.arange(128)) % 2 == 0, 1.0, 10.0)
    u, form = solve_on(quads(32), voxel(A))
    problem = read_problem(u, voxel(A))
    assert not problem.decided
    assert "form=" in problem.notes[0]
    assert "f=" in problem.notes[0]
    assert read_problem(u, voxel(A), form=form).decided


def test_constant_coefficient_is_no_tie():
    u, _ = solve_on(quads(16), CoefficientFunction(3.0))
    problem = read_problem(u, CoefficientFunction(3.0))
    assert problem.decided
    assert problem.reading.rule == EXACT


def test_solution_of_another_coefficient_is_noticed(random_medium):
    u, _ = solve_on(quads(32), voxel(random_medium(seed=1)))
    problem = read_problem(u, voxel(random_medium(seed=2)))
    assert not problem.decided
    assert "roughness" in problem.notes[0]


@pytest.mark.parametrize(("mesh", "order"), [(rectangle(1 / 24), 1), (rectangle(1 / 16), 2), (quads(24), 2)])
@pytest.mark.parametrize("bonus", [0, 4])
def test_triangles_and_higher_order(mesh, order, bonus, random_medium):
    """The load read from another mesh is f up to a few per cent, whatever the user's rule."""
    a = voxel(random_medium((96, 96), seed=9))
    u, _ = solve_on(mesh, a, LOADS["smooth"][0], order=order, bonus=bonus)
    problem = read_problem(u, a)
    assert problem.decided
    yy, xx = problem.space.refined(load_cells(problem.space.cells) // 2).nodes()
    exact = LOADS["smooth"][1](xx[None, :], yy[:, None])
    assert np.linalg.norm(problem.load.values - exact) < 0.1 * np.linalg.norm(exact)


def test_nonzero_dirichlet_values_stay(random_medium):
    from ngsolve import BND, H1, BilinearForm, GridFunction, grad

    mesh, a = quads(16), voxel(random_medium((64, 64), seed=3))
    fes = H1(mesh, order=1, dirichlet="left|right|bottom|top")
    u, v = fes.TnT()
    gfu = GridFunction(fes)
    gfu.Set(1 + x * y, BND)
    form = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
    load = LinearForm(1 * v * dx).Assemble()
    load.vec.data -= form.mat * gfu.vec
    gfu.vec.data += form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * load.vec
    problem = read_problem(gfu, a)
    assert problem.reading.rule == "dx"
    np.testing.assert_array_equal(problem.U[~problem.space.free], problem.given[~problem.space.free])
    np.testing.assert_allclose(problem.load.values, 1.0, atol=1e-8)


def test_roughness_and_nodal_load_on_known_data():
    grid = Space((8, 10))
    F = mass_apply(np.ones(grid.shape)) * grid.free
    assert roughness(F, grid.free) < 1e-12
    np.testing.assert_allclose(Load.from_moments(F, grid).values, 1.0)
    assert roughness(np.random.default_rng(0).standard_normal(grid.shape), grid.free) > 0.5


@pytest.mark.parametrize("cells", [(8, 12), (16, 24), (4, 6)])
@pytest.mark.parametrize("natural", [(), ("top",), ("left", "right")])
def test_matched_load_vectors_have_the_coarse_moments(cells, natural):
    """Tested with coarse hats they are the given moments at free nodes, whatever f says."""
    rng = np.random.default_rng(0)
    space = Space.with_sides((4, 6), (1.0, 1.5), natural)
    moments = rng.random(space.shape)
    for load in (Load.from_moments(moments, space), Load(rng.random((9, 13)), space.size, moments, space.free)):
        restricted = restrict(load.vector(cells, matched=True), space.cells)
        np.testing.assert_allclose(restricted[space.free], moments[space.free])


@pytest.mark.parametrize("n", [4, 7, 8])
def test_moments_and_load_vectors_give_linear_loads_back(n):
    f = Load.of(lambda x, y: 1 + 2 * x - y, (2 * n, 3 * n), (1.0, 1.5))
    space = Space((n, n), (0.0, 0.0), (1.0, 1.5))
    again = Load.from_vector(f.vector((2 * n, 3 * n)), f.size)
    np.testing.assert_allclose(again.values, f.values, atol=1e-12)
    recovered = Load.from_moments(f.vector(space.cells), space)
    np.testing.assert_allclose(recovered.values, f.at(recovered.cells), atol=1e-11)


def test_a_load_finer_than_the_mesh_loses_nothing():
    """A point source between the nodes of the mesh still has its integral."""
    f = np.zeros((17, 17))
    f[7, 9] = 1.0
    total = Load(f).vector((16, 16)).sum()
    for n in (8, 4, 32):
        assert Load(f).vector((n, n)).sum() == pytest.approx(total)
