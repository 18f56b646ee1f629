"""NGSolve objects to arrays and back."""

import logging

import numpy as np
import pytest
from conftest import quads, solve_on, voxel
from helpers import read_problem
from netgen.geom2d import SplineGeometry
from ngsolve import BND, H1, L2, CoefficientFunction, GridFunction, IfPos, Integrate, Mesh, cos, sin, x, y

from ngs_nhcsr import GridMismatch
from ngs_nhcsr.ngsolve_io.coarse_field import read_coarse
from ngs_nhcsr.ngsolve_io.coefficient import rasterise
from ngs_nhcsr.ngsolve_io.evaluate import evaluate
from ngs_nhcsr.ngsolve_io.meshes import fine_space, structured_mesh
from ngs_nhcsr.ngsolve_io.read import Reader
from ngs_nhcsr.solvers.space import Space


def refined(n, times):
    mesh = quads(n)
    for _ in range(times):
        mesh.Refine()
    return mesh


def rectangle(maxh, lower=(0, 0), upper=(1, 1)):
    geo = SplineGeometry()
    geo.AddRectangle(lower, upper, bcs=["bottom", "right", "top", "left"])
    return Mesh(geo.GenerateMesh(maxh=maxh))


@pytest.mark.parametrize(
    "mesh",
    [
        quads(6, 4),
        refined(3, 1),
        quads(6, 4, mapping=lambda px, py: (2 + 3 * px, 5 - 2 * py)),
        structured_mesh(Space((4, 6), (-1.0, 3.0), (0.5, 7.0))),
    ],
    ids=["structured", "refined", "mapped and flipped", "bulk"],
)
def test_nodal_values_of_any_numbering(mesh):
    u = GridFunction(H1(mesh, order=1, dirichlet=".*"))
    u.Interpolate(sin(x) + 2 * y)
    found = read_coarse(u)
    Y, X = np.meshgrid(*found.space.nodes(), indexing="ij")
    np.testing.assert_allclose(found.U, np.sin(X) + 2 * Y, atol=1e-12)
    inner = np.zeros(found.space.shape, bool)
    inner[1:-1, 1:-1] = True
    np.testing.assert_array_equal(found.space.free, inner)
    assert found.space.sides == (True, True, True, True)


def test_dirichlet_sides_are_recognised():
    u = GridFunction(H1(quads(5, 4), order=1, dirichlet="bottom|left"))
    u.Set(1)
    assert read_coarse(u).space.sides == (True, False, False, True)


def test_coefficients_of_every_kind_give_the_same_raster(random_medium):
    kappa = random_medium((16, 24))
    mesh, grid = quads(6, 4), Space((4, 6))
    own = L2(quads(24, 16), order=0)
    piecewise = GridFunction(own)
    piecewise.vec.FV().NumPy()[:] = kappa.ravel()
    for a in (voxel(kappa), piecewise, kappa, kappa.astype(np.float32), np.asfortranarray(kappa.astype(int))):
        raster = rasterise(a, mesh, grid)
        np.testing.assert_array_equal(raster.values, kappa)
        assert raster.varying == 0


def test_region_wise_coefficient_of_another_mesh():
    geo = SplineGeometry()
    geo.AddRectangle((0, 0), (1, 1), leftdomain=1, bc="outer")
    geo.AddRectangle((0.25, 0.25), (0.5, 0.75), leftdomain=2, rightdomain=1)
    geo.SetMaterial(1, "mat")
    geo.SetMaterial(2, "inc")
    triangles = Mesh(geo.GenerateMesh(maxh=0.2))
    a = triangles.MaterialCF({"mat": 1.0, "inc": 100.0})
    raster = rasterise(a, quads(4), Space((4, 4)), mesh=triangles)
    expected = np.ones((16, 16))
    expected[4:12, 4:8] = 100
    np.testing.assert_array_equal(raster.values, expected)


@pytest.mark.parametrize(("mean", "value"), [("arithmetic", 4.0), ("geometric", 10 ** (1 / 3)), ("harmonic", 1 / 0.7)])
def test_varying_cells_are_counted_and_averaged(mean, value):
    from ngsolve import IfPos

    a = IfPos(x - 0.25, 1.0, 1.0) + IfPos(x - (0.5 + 1 / 24), 0.0, 9.0) * IfPos(x - 0.5, 1.0, 0.0)
    raster = rasterise(a, quads(2), Space((2, 2)), mean=mean, cells_per_coarse=4)
    assert raster.varying == 8
    # one of the three samples across the cell [1/2, 5/8] sees 10
    np.testing.assert_allclose(raster.values[:, 4], value)


def test_analytic_coefficient_is_sampled_in_place():
    grid = Space((8, 8))
    raster = rasterise(2 + cos(3 * x) * y, quads(8), grid, cells_per_coarse=8)
    t = (np.arange(64) + 0.5) / 64
    np.testing.assert_allclose(raster.values, 2 + np.cos(3 * t)[None, :] * t[:, None], rtol=2e-3)


def test_fine_mesh_keeps_names_and_is_built_once():
    geo = SplineGeometry()
    geo.AddRectangle((0, 0), (1, 1), bcs=["b", "r", "t", "l"])
    geo.SetMaterial(1, "rock")
    mesh = Mesh(geo.GenerateMesh(maxh=0.3))
    u = GridFunction(H1(mesh, order=1, dirichlet="b|l"))
    coarse = read_coarse(u).space
    first = fine_space(u, coarse.refined(2))
    assert fine_space(u, coarse.refined(2)) is first
    fine = first.space.mesh
    assert fine.GetMaterials() == ("rock",)
    for name in "brtl":
        assert Integrate(1, fine, BND, definedon=fine.Boundaries(name)) == pytest.approx(1)
        where = {"b": y, "l": x, "r": 1 - x, "t": 1 - y}[name]
        assert Integrate(where, fine, BND, definedon=fine.Boundaries(name)) == pytest.approx(0, abs=1e-12)
    assert sum(first.space.FreeDofs()) == coarse.refined(2).cells[0] * coarse.refined(2).cells[1]


def test_written_field_is_an_ordinary_gridfunction():
    u = GridFunction(H1(quads(4), order=1, dirichlet=".*"))
    grid = read_coarse(u).space
    fine = fine_space(u, grid.refined(4))
    Y, X = np.meshgrid(*fine.grid.nodes(), indexing="ij")
    v = fine.field(X * Y)
    assert Integrate(v, v.space.mesh) == pytest.approx(0.25)
    np.testing.assert_allclose(evaluate(v, v.space.mesh, np.array([0.3]), np.array([0.9])), [[0.27]])


@pytest.mark.parametrize("order", [1, 2])
def test_triangles_are_brought_to_a_grid_of_matching_size(order, caplog):
    mesh = rectangle(0.08)
    u = GridFunction(H1(mesh, order=order, dirichlet="bottom|top"))
    u.Interpolate(x + 2 * y)
    with caplog.at_level(logging.INFO, "ngs_nhcsr"):
        found = read_coarse(u)
    assert "tensor grid" in caplog.text
    assert 0.6 * u.space.ndof < np.prod(found.space.shape) < 1.6 * u.space.ndof
    assert read_coarse(u, (20, 36)).space.cells in {(10, 12), (10, 9), (20, 18), (20, 36)}
    Y, X = np.meshgrid(*found.space.nodes(), indexing="ij")
    np.testing.assert_allclose(found.U, X + 2 * Y, atol=1e-9)
    assert found.space.sides == (True, False, True, False)
    assert not found.space.free[0].any()
    assert found.space.free[1:-1, 0].all()


def test_quads_of_order_two_keep_their_own_grid():
    gfu, _ = solve_on(quads(8), CoefficientFunction(1.0), order=2)
    found = read_coarse(gfu)
    assert found.space.cells == (8, 8)
    assert found.U[4, 4] == pytest.approx(gfu(gfu.space.mesh(0.5, 0.5)))


def test_points_outside_are_an_error():
    u = GridFunction(H1(quads(4), order=1))
    with pytest.raises(GridMismatch, match="outside"):
        evaluate(u, u.space.mesh, np.array([0.5]), np.array([1.5]))


def test_a_prepared_reader_makes_its_raster_once(random_medium):
    A = random_medium((32, 32))
    u, _ = solve_on(quads(8), voxel(A))
    reader = Reader(voxel(A))
    space, medium = reader.prepare(u.space)
    read = reader.read(u, f=1)
    assert read.medium is medium
    np.testing.assert_array_equal(read.space.free, space.free)
    fresh = read_problem(u, voxel(A), f=1)
    np.testing.assert_array_equal(read.U, fresh.U)
    assert (read.notes, read.decided) == (fresh.notes, fresh.decided)
    assert max(read.mismatch, fresh.mismatch) < 1e-13
    other, _ = solve_on(quads(16), voxel(A))
    assert reader.read(other).medium.cells == (64, 64)  # another space: made anew


def test_a_refined_mesh_makes_the_prepared_raster_void():
    mesh = quads(4)
    space = H1(mesh, order=1, dirichlet=".*")
    reader = Reader(2 + x)
    _, medium = reader.prepare(space)
    mesh.Refine()
    space.Update()
    u = GridFunction(space)
    assert reader.read(u, f=0).medium.cells == (32, 32) != medium.cells


@pytest.mark.parametrize("ends", [(0.507, 0.510), (0.5065, 0.5085)])
def test_layers_between_the_samples_are_found(ends):
    """Much thinner than a raster cell: random points see them, finer samples their edges, which lie on a grid."""
    low, high = ends
    u, _ = solve_on(quads(8), 1.0)
    problem = read_problem(u, IfPos(x - low, IfPos(high - x, 100.0, 1.0), 1.0), f=1)
    values, pixels = problem.A[0], round(1 / (high - low))
    assert problem.A.shape[0] == 1
    assert values.mean() == pytest.approx(1 + 99 * (high - low), rel=1e-12)
    assert len(values) >= pixels


def test_a_thin_ring_is_told():
    """No grid has its edges: its cells vary, and the budget has what that costs."""
    r2 = (x - 0.5) ** 2 + (y - 0.5) ** 2
    a = IfPos(r2 - 0.1**2, 1.0, IfPos(r2 - 0.098**2, 100.0, 1.0))
    u, _ = solve_on(quads(8), 1.0)
    problem = read_problem(u, a, f=1)
    assert problem.variation is not None
    radius = np.hypot(*((np.indices((32, 32)) + 0.5) / 32 - 0.5))
    assert (np.abs(radius[problem.variation > 0] - 0.1) < 0.03).all()
    assert (problem.variation > 0.5).sum() >= 16
