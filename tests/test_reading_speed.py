"""Reading without assembly and writing on demand: the same numbers, and nothing kept that can change."""

import pickle

import numpy as np
import pytest
from conftest import quads, solve_on, voxel
from helpers import read_problem
from ngsolve import (
    H1,
    L2,
    BilinearForm,
    CoefficientFunction,
    GridFunction,
    IfPos,
    InnerProduct,
    LinearForm,
    VectorH1,
    VoxelCoefficient,
    cos,
    dx,
    grad,
    sin,
    x,
    y,
)
from test_raster import refined

from ngs_nhcsr import GridMismatch, InvalidProblem, correct
from ngs_nhcsr.ngsolve_io import meshes
from ngs_nhcsr.ngsolve_io.cell_rules import CellRules, by_cells, raster_function
from ngs_nhcsr.ngsolve_io.coarse_field import read_coarse
from ngs_nhcsr.ngsolve_io.coefficient import rasterise
from ngs_nhcsr.ngsolve_io.forms import load_of, sparse_matrix
from ngs_nhcsr.ngsolve_io.gauss import exact_elements, gauss_rule, grid_loads
from ngs_nhcsr.ngsolve_io.meshes import free_dofs
from ngs_nhcsr.ngsolve_io.read import Reader
from ngs_nhcsr.solvers.q1 import assemble, element_matrices

MESHES = {
    "stretched": lambda: quads(12, 20, mapping=lambda s, t: (1.3 * s, 0.7 * t)),
    "odd": lambda: quads(7, 5),
    "flipped": lambda: quads(6, 9, mapping=lambda s, t: (2 + 3 * s, 5 - 2 * t)),
    "turned": lambda: quads(6, 9, mapping=lambda s, t: (2 - 3 * t, 5 - 2 * s)),
    "refined": lambda: refined(3, 2),
}


def read_with_raster(mesh, per=4):
    """A coarse field on a mesh, a rough raster and its function."""
    u = GridFunction(H1(mesh, order=1, dirichlet=".*"))
    u.Interpolate(sin(3 * x) * cos(2 * y) + x)
    found = read_coarse(u)
    shape = [per * n for n in found.space.cells]
    raster = np.exp(np.random.default_rng(3_000_000_001).standard_normal(shape))
    return u, found, raster, raster_function(raster, found.space)


@pytest.mark.parametrize("name", MESHES)
@pytest.mark.parametrize("points", range(2, 13))
def test_element_matrices_are_those_of_ngsolve(name, points):
    """Also where points of odd rules lie on edges of the raster and rounding decides on which side."""
    u, found, raster, a = read_with_raster(MESHES[name]())
    bonus, (p, q) = 2 * points - 4, u.space.TnT()
    assert len(gauss_rule(bonus)[0]) == points
    form = BilinearForm(a * grad(p) * grad(q) * dx(bonus_intorder=bonus)).Assemble()
    matrix, order = sparse_matrix(u, form), found.vertices.ravel()
    expected = matrix[order][:, order]
    for known in (None, raster):
        rules = CellRules(a, found.quads, found.space, known)
        elements = rules.elements(bonus)
        assert rules.confirm([bonus])
        assert abs(assemble(elements) - expected).max() < 1e-13 * abs(expected).max()
    load = grid_loads(elements[None], found.U, found.space.free)[0]
    expected = load_of(matrix, u.vec.FV().NumPy(), free_dofs(u.space))[found.vertices]
    np.testing.assert_allclose(load, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("shape", [(5, 7), (10, 21), (20, 28)])
def test_exact_element_matrices(shape):
    A = np.random.default_rng(1).random(shape) + 0.1
    expected = element_matrices(A, (5, 7), (0.7, 2.0))
    np.testing.assert_allclose(exact_elements(A, (5, 7), (0.7, 2.0)), expected, rtol=0, atol=1e-13)


def test_samples_need_no_search_for_points(random_medium):
    for make in MESHES.values():
        mesh = make()
        _, found, _, _ = read_with_raster(mesh)
        scaled = 2 + sin(5 * x) * cos(4 * y)
        by_search, by_cells_ = (rasterise(scaled, mesh, found.space, quads=q) for q in (None, found.quads))
        np.testing.assert_allclose(by_cells_.values, by_search.values, rtol=1e-12)
        np.testing.assert_allclose(by_cells_.variation, by_search.variation, rtol=0, atol=1e-12)
        assert by_cells_.varying == by_search.varying


def test_a_coefficient_with_other_values_between_the_samples_is_evaluated():
    """Strips between the samples of the raster that the rule of the user sees."""
    mesh, t = quads(12), gauss_rule(0)[0][0]
    strip = sum(IfPos((12 * x - k - t + 0.002) * (k + t + 0.002 - 12 * x), 1.0, 0.0) for k in range(12))
    A = np.where(np.random.default_rng(0).random((48, 48)) < 0.5, 1.0, 10.0)
    a = voxel(A) * (1 + 4 * strip * IfPos(y - 0.5, 1.0, 0.0))
    assert rasterise(a, mesh, read_coarse(GridFunction(H1(mesh, dirichlet=".*"))).space).variation is None
    u, _ = solve_on(mesh, a)
    problem = read_problem(u, a)
    assert problem.reading.rule == "dx"
    np.testing.assert_allclose(problem.load.values, 1.0, atol=1e-8)


def test_spaces_on_a_part_and_deformed_meshes_are_assembled():
    mesh = quads(4)
    assert by_cells(H1(mesh, order=1))
    assert not by_cells(H1(mesh, order=1, definedon=mesh.Materials("none of it")))
    assert not by_cells(H1(mesh, order=2))
    space = H1(mesh, order=1, dirichlet=".*")
    assert read_coarse(GridFunction(space)).quads is not None
    shift = GridFunction(VectorH1(mesh, order=1))
    mesh.SetDeformation(shift)
    assert read_coarse(GridFunction(space)).quads is None
    mesh.UnsetDeformation()


def test_changes_between_calls_are_seen():
    mesh = quads(6)
    values = np.random.default_rng(2).random((24, 24)) + 1
    own = GridFunction(L2(quads(24), order=0))
    space = H1(mesh, order=1, dirichlet=".*")
    u = GridFunction(space)
    u.Interpolate(x)
    for scale in (1.0, 3.0):
        own.vec.FV().NumPy()[:] = scale * values.ravel()
        np.testing.assert_array_equal(Reader(own).read(u, f=0).A, scale * values)
        u.vec.data *= 2
        np.testing.assert_allclose(Reader(own).read(u, f=0).given[:, -1], 2 * scale if scale == 1 else 4, rtol=1e-12)
    points = mesh.ngmesh.Points()
    for k in range(1, len(points) + 1):
        points[k][0] = 2 * points[k][0]  # netgen's time of change stays
    assert Reader(own * 0 + 1).grid_of(u).space.size == (1.0, 2.0)


def test_a_voxel_coefficient_is_sampled_once_per_object(monkeypatch):
    from ngs_nhcsr.ngsolve_io import coefficient

    calls, averaged = [], coefficient._averaged
    monkeypatch.setattr(coefficient, "_averaged", lambda *args: calls.append(1) or averaged(*args))
    values = np.random.default_rng(4).random((24, 24)) + 1
    u = GridFunction(H1(quads(6), order=1, dirichlet=".*"))
    a = voxel(values)
    first = Reader(a).read(u, f=0).A
    np.testing.assert_array_equal(first, values)
    first *= 7  # the caller's copy
    np.testing.assert_array_equal(Reader(a).read(u, f=0).A, values)
    assert len(calls) == 1
    np.testing.assert_array_equal(Reader(voxel(2 * values)).read(u, f=0).A, 2 * values)
    np.testing.assert_array_equal(Reader(2 * a).read(u, f=0).A, 2 * values)
    assert Reader(a, cells_per_coarse=8).read(u, f=0).A.shape == (48, 48)
    assert len(calls) == 4


def test_a_voxel_coefficient_that_moves_is_sampled_again():
    at = GridFunction(H1(quads(1), order=1))
    values = np.random.default_rng(5).random((24, 24)) + 1
    a = VoxelCoefficient((0, 0), (1, 1), values, linear=False, trafocf=CoefficientFunction((x + at, y)))
    u = GridFunction(H1(quads(6), order=1, dirichlet=".*"))
    np.testing.assert_array_equal(Reader(a).read(u, f=0).A, values)
    at.vec[:] = 0.25
    np.testing.assert_array_equal(Reader(a).read(u, f=0).A[:, :18], values[:, 6:])


@pytest.fixture
def made(monkeypatch):
    """Numbers of cells of the meshes that were made."""
    cells, make = [], meshes.structured_mesh
    monkeypatch.setattr(meshes, "structured_mesh", lambda grid, *args: cells.append(grid.cells) or make(grid, *args))
    return cells


def test_the_fine_mesh_is_made_when_it_is_asked_for(made, random_medium):
    A = random_medium((32, 32))
    u, _ = solve_on(quads(8), voxel(A))
    result = correct(u, A, 8, full=True)
    assert not made
    again = pickle.loads(pickle.dumps(result.write))
    assert again().space.ndof == 65 * 65
    assert result.u_fine is result.u_fine
    np.testing.assert_array_equal(result.u_fine.vec.FV().NumPy(), result.values.ravel())
    assert made == [(64, 64)] * 2
    assert isinstance(correct(u, A, 4), GridFunction)
    assert made[2:] == [(32, 32)]


def test_a_fine_mesh_made_late_is_that_of_the_coarse_mesh_as_it_was(random_medium):
    A, mesh = random_medium((32, 32)), quads(8)
    u, _ = solve_on(mesh, voxel(A), dirichlet="left|bottom")
    result = correct(u, A, 8, full=True, on_untrusted="return")
    mesh.Refine()
    fine = result.u_fine.space
    assert fine.mesh.GetBoundaries() == ("bottom", "right", "top", "left")
    assert sum(fine.FreeDofs()) == 64 * 64


def test_a_space_of_the_users_own_is_checked_at_once(made, random_medium):
    A = random_medium((32, 32))
    u, _ = solve_on(quads(8), voxel(A))
    with pytest.raises(InvalidProblem, match="fes"):
        correct(u, A, 8, full=True, fes="H1")
    with pytest.raises(GridMismatch, match="beyond"):
        correct(u, A, 8, full=True, fes=H1(quads(4, mapping=lambda s, t: (2 * s, t)), order=1))
    own = H1(quads(32), order=1)
    result = correct(u, A, 8, full=True, fes=own)
    np.testing.assert_allclose(result.u_fine.vec.FV().NumPy(), result.values[::2, ::2].ravel(), rtol=1e-12)
    assert result.u_fine.space is own or result.u_fine.space.ndof == own.ndof
    assert not made


def energy_distance_by_ngsolve(u, a, f, bonus):
    """Relative energy norm of u minus NGSolve's own solution by a rule, with u's boundary values."""
    (p, q), solution = u.space.TnT(), GridFunction(u.space)
    form = BilinearForm(a * grad(p) * grad(q) * dx(bonus_intorder=bonus)).Assemble()
    residual = LinearForm(f * q * dx(bonus_intorder=6)).Assemble().vec
    residual.data -= form.mat * u.vec
    change = residual.CreateVector()
    change.data = form.mat.Inverse(u.space.FreeDofs(), "sparsecholesky") * residual
    solution.vec.data = u.vec + change
    norms = [InnerProduct(v, form.mat * v) for v in (change, solution.vec)]
    return np.sqrt(norms[0] / norms[1])


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", MESHES)
def test_the_mismatch_is_the_distance_from_ngsolves_own_solution(name, order):
    """By element matrices for order 1, by the assembled matrix for order 2."""
    mesh = MESHES[name]()
    a = read_with_raster(mesh)[-1]
    u = GridFunction(H1(mesh, order=order, dirichlet="left|bottom"))
    u.Interpolate(sin(3 * x) * cos(2 * y) + x)
    problem = read_problem(u, a, f=1)
    expected = min(energy_distance_by_ngsolve(u, a, 1, bonus) for bonus in (0, *range(20, 0, -2)))
    assert problem.mismatch > 0.1
    assert problem.mismatch == pytest.approx(expected, rel=1e-10)


def test_the_mismatch_of_a_coefficient_with_other_values_between_the_samples():
    """Its raster says what the rule does not see; the distance is that by the coefficient itself."""
    mesh, t = quads(12), gauss_rule(0)[0][0]
    strip = sum(IfPos((12 * x - k - t + 0.002) * (k + t + 0.002 - 12 * x), 1.0, 0.0) for k in range(12))
    A = np.where(np.random.default_rng(0).random((48, 48)) < 0.5, 1.0, 10.0)
    a = voxel(A) * (1 + 4 * strip * IfPos(y - 0.5, 1.0, 0.0))
    u, _ = solve_on(mesh, a)
    assert energy_distance_by_ngsolve(u, voxel(A), 1, 0) > 0.1
    assert read_problem(u, a, f=1).mismatch < 1e-10
