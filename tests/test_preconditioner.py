"""The multigrid of this package as a preconditioner of NGSolve's Krylov solvers, and fine solves on a user's space."""

import subprocess
import sys
from itertools import pairwise

import ngsolve as ngs
import numpy as np
import pytest
from conftest import quads, voxel
from netgen.meshing import Element1D, Element2D, FaceDescriptor, MeshPoint, Pnt
from netgen.meshing import Mesh as NetgenMesh
from ngsolve import BND, H1, BilinearForm, GridFunction, LinearForm, dx, grad
from ngsolve.krylovspace import CGSolver
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr import GridMismatch, InvalidProblem, NotCoercive, PixelMultigrid, SolverFailure, solve_fine
from ngs_nhcsr.ngsolve_io.fine_solve import ngsolve_solve
from ngs_nhcsr.ngsolve_io.meshes import structured_mesh
from ngs_nhcsr.ngsolve_io.quad_space import QuadSpace, coarsest_raster
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.hierarchy import TorchHierarchy, hierarchy
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.space import SIDES, Space


def two_values(shape, contrast, seed=0):
    return np.where(np.random.default_rng(seed).random(shape) < 0.5, 1.0, contrast)


def system(fes, a, f=1.0):
    u, v = fes.TnT()
    return BilinearForm(a * grad(u) * grad(v) * dx).Assemble(), LinearForm(f * v * dx).Assemble()


def by_cholesky(fes, form, load, g=0.0):
    u = GridFunction(fes)
    u.Set(g, BND)
    residual = (load.vec - form.mat * u.vec).Evaluate()
    u.vec.data += form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * residual
    return u


def by_cg(fes, form, load, pre, tolerance=1e-10, g=0.0):
    """Solution, and steps: CGSolver counts the residual of the start too."""
    u = GridFunction(fes)
    u.Set(g, BND)
    solver = CGSolver(form.mat, pre=pre, tol=tolerance)
    residual = (load.vec - form.mat * u.vec).Evaluate()
    u.vec.data += solver * residual
    return u, solver.iterations - 1


def distance(u, v):
    return (u.vec - v.vec).Evaluate().Norm() / v.vec.Norm()


def shuffled(nx, ny, size, seed=0):
    """A mesh of quads whose vertices and elements are numbered at random, and whose quads begin at any corner."""
    rng = np.random.default_rng(seed)
    mesh = NetgenMesh(dim=2)
    index = rng.permutation((nx + 1) * (ny + 1)).reshape(ny + 1, nx + 1)
    places = {int(index[j, i]): (i / nx * size[0], j / ny * size[1]) for j in range(ny + 1) for i in range(nx + 1)}
    points = [mesh.Add(MeshPoint(Pnt(*places[k], 0))) for k in range(len(places))]
    mesh.Add(FaceDescriptor(surfnr=1, domin=1, bc=1))
    mesh.SetMaterial(1, "dom")
    for k in rng.permutation(nx * ny):
        j, i = divmod(int(k), nx)
        corners = [index[j, i], index[j, i + 1], index[j + 1, i + 1], index[j + 1, i]]
        turn = rng.integers(4)
        mesh.Add(Element2D(1, [points[c] for c in (*corners[turn:], *corners[:turn])]))
    for name, line in (("bottom", index[0]), ("right", index[:, -1]), ("top", index[-1]), ("left", index[:, 0])):
        number = SIDES.index(name) + 1
        for a, b in pairwise(line):
            mesh.Add(Element1D([points[a], points[b]], index=number))
        mesh.SetBCName(number - 1, name)
    return ngs.Mesh(mesh)


@pytest.fixture(scope="module")
def large():
    return H1(structured_mesh(Space((512, 512))), order=1, dirichlet=".*")


@pytest.mark.parametrize(("contrast", "most"), [(10.0, 9), (100.0, 12), (1000.0, 13)])
def test_ngsolves_cg_takes_the_steps_of_our_own(large, contrast, most):
    a = voxel(two_values((128, 128), contrast))
    form, load = system(large, a)
    pre = PixelMultigrid(a, large)
    u, steps = by_cg(large, form, load, pre, 1e-8)
    own = pre.solve(load, tolerance=1e-8)
    assert abs(steps - pre.solved.iterations) <= 1
    assert steps <= most
    assert distance(u, own) < 1e-7


@pytest.mark.parametrize(
    ("mesh", "dirichlet", "raster"),
    [
        (quads(48, 32, lambda x, y: (3 * x - 1, 2 * y + 0.5)), "left", (8, 12)),
        (quads(32, 32), "bottom|right", (8, 8)),
        (quads(20, 28, lambda x, y: (2 * x, y)), "left|right", (7, 5)),
        (quads(30, 17), ".*", (17, 10)),
        (shuffled(24, 16, (1.5, 1.0)), "top|left", (4, 6)),
        (shuffled(16, 16, (1.0, 1.0), 1), ".*", (16, 16)),
    ],
    ids=["rectangle", "natural sides", "odd", "17 x 30", "any numbering", "pixels are elements"],
)
def test_rectangles_natural_sides_and_numberings(mesh, dirichlet, raster):
    fes = H1(mesh, order=1, dirichlet=dirichlet)
    points = np.array(mesh.ngmesh.Coordinates())[:, :2]
    a = voxel(two_values(raster, 100.0, 1), tuple(points.min(0)), tuple(points.max(0)))
    form, load = system(fes, a, 1 + ngs.x)
    expected = by_cholesky(fes, form, load, ngs.x * ngs.y)
    pre = PixelMultigrid(a, fes)
    u, steps = by_cg(fes, form, load, pre, g=ngs.x * ngs.y)
    assert steps <= 16
    assert distance(u, expected) < 1e-8
    assert distance(pre.solve(1 + ngs.x, ngs.x * ngs.y, tolerance=1e-10), expected) < 1e-8
    assert QuadSpace.of(fes).raster(a).shape == raster


def test_a_part_of_a_side_may_be_dirichlet():
    labels = np.repeat([0, 1, 0, 1], [16, 48, 16, 48])
    mesh = structured_mesh(Space((32, 32)), boundaries=("fixed", "free"), labels=labels)
    fes = H1(mesh, order=1, dirichlet="fixed")
    a = voxel(two_values((8, 8), 10.0, 2))
    form, load = system(fes, a)
    u, steps = by_cg(fes, form, load, PixelMultigrid(a, fes))
    assert steps <= 16
    assert distance(u, by_cholesky(fes, form, load)) < 1e-8


def test_the_neumann_problem():
    fes = H1(quads(32, 16, lambda x, y: (2 * x, y)), order=1)
    a = voxel(two_values((8, 16), 50.0, 3), (0, 0), (2, 1))
    form, load = system(fes, a, ngs.cos(np.pi * ngs.x))
    pre = PixelMultigrid(a, fes)
    u, steps = by_cg(fes, form, load, pre)
    own = pre.solve(load, tolerance=1e-10)
    assert steps <= 16
    for field in (u, own):
        left = (load.vec - form.mat * field.vec).Evaluate()
        assert left.Norm() < 1e-8 * load.vec.Norm()
    assert abs(ngs.Integrate(own, fes.mesh)) < 1e-10
    with pytest.raises(InvalidProblem, match="integrates to 2"):
        pre.solve(1.0)


def test_it_is_a_symmetric_matrix_for_vectors_of_any_magnitude():
    fes = H1(shuffled(12, 20, (1.0, 1.0)), order=1, dirichlet="left|top")
    pre = PixelMultigrid(two_values((5, 3), 100.0), fes)
    assert (pre.height, pre.width, pre.is_complex) == (fes.ndof, fes.ndof, False)
    assert len(pre.CreateColVector()) == len(pre.CreateRowVector()) == fes.ndof
    x, y, z = (GridFunction(fes).vec for _ in range(3))
    x.SetRandom(1)
    y.SetRandom(2)
    Bx, By = (pre * x).Evaluate(), (pre * y).Evaluate()
    assert Bx.InnerProduct(y) == pytest.approx(By.InnerProduct(x), rel=1e-4)
    assert Bx.InnerProduct(x) > 0
    fixed = ~np.array([bool(k) for k in fes.FreeDofs()])
    assert not Bx.FV().NumPy()[fixed].any()
    np.testing.assert_array_equal((pre.T * x).Evaluate().FV().NumPy(), Bx.FV().NumPy())
    z.data = y - 2 * pre * x
    np.testing.assert_allclose(z.FV().NumPy(), y.FV().NumPy() - 2 * Bx.FV().NumPy(), rtol=1e-14)
    z.data = y
    z.data += 0.5 * pre.T * x
    np.testing.assert_allclose(z.FV().NumPy(), y.FV().NumPy() + 0.5 * Bx.FV().NumPy(), rtol=1e-14)
    z.data = x
    pre.Mult(z, z)
    np.testing.assert_array_equal(z.FV().NumPy(), Bx.FV().NumPy())
    for factor in (1e-120, 1e-30, 1e30, 1e200):
        z.data = factor * x
        z.data = (pre * z).Evaluate()
        np.testing.assert_allclose(z.FV().NumPy() / factor, Bx.FV().NumPy(), atol=1e-5 * Bx.Norm())
    z[:] = 0
    assert (pre * z).Evaluate().Norm() == 0
    z[3] = np.nan
    assert np.isnan((pre * z).Evaluate().FV().NumPy()).any() or fixed[3]


@pytest.mark.parametrize("make", [hierarchy, lambda a, space: TorchHierarchy(Medium(a), space)], ids=["best", "torch"])
@pytest.mark.parametrize("natural", [("left",), SIDES])
def test_both_hierarchies_precondition(make, natural):
    a, space = 3e20 * two_values((4, 6), 10.0, 4), Space.with_sides((16, 24), (1.0, 1.5), natural)
    mg = make(a, space)
    r, s = np.random.default_rng(5).standard_normal((2, 17, 25))
    z, w = mg.precondition(r), mg.precondition(s)
    assert (z * s).sum() == pytest.approx((w * r).sum(), rel=1e-4, abs=1e-5 * abs(z).max())
    assert not z[~space.free].any()
    balanced = np.where(space.free, r, 0.0)
    if space.free.all():
        balanced -= balanced.mean()
        assert abs(z.mean()) < 1e-6 * abs(z).max()
    u, _ = mg.solve(balanced, tolerance=1e-10)
    u -= u.mean() if space.free.all() else 0
    assert 0.5 * (u * balanced).sum() < (z * balanced).sum() < 1.5 * (u * balanced).sum()
    np.testing.assert_allclose(mg.precondition(1e-40 * r) * 1e40, z, atol=1e-5 * abs(z).max())
    out = r.copy()
    assert mg.precondition(out, out=out) is out
    np.testing.assert_array_equal(out, z)


def test_coefficients_of_every_kind():
    owner = np.repeat([0, 1], [512, 512])
    mesh = structured_mesh(Space((32, 32)), materials=("sand", "clay"), owner=owner)
    fes = H1(mesh, order=1, dirichlet=".*")
    layers = np.array([[1.0], [50.0]])
    constant = GridFunction(ngs.L2(mesh, order=0))
    constant.Set(voxel(layers))
    on_coarse = GridFunction(ngs.L2(quads(2), order=0))
    on_coarse.Set(voxel(layers))
    kinds = (layers, voxel(layers), mesh.MaterialCF({"sand": 1, "clay": 50}), constant, on_coarse, layers.repeat(64, 0))
    expected = solve_fine(voxel(layers), fes, tolerance=1e-10)
    for a in kinds:
        assert QuadSpace.of(fes).raster(a).shape == (2, 1)
        assert distance(solve_fine(a, fes, tolerance=1e-10), expected) < 1e-8
    assert distance(solve_fine(50, fes), solve_fine(np.full((3, 5), 50.0), fes)) < 1e-7
    smooth = 1 + ngs.x * ngs.y
    u, steps = by_cg(fes, *system(fes, smooth), PixelMultigrid(smooth, fes))
    assert steps <= 12
    assert distance(solve_fine(smooth, fes, tolerance=1e-10), u) < 1e-5
    fine = two_values((64, 64), 10.0)
    per_two = solve_fine(voxel(fine), fes, cells_per_element=2, tolerance=1e-10)
    assert distance(per_two, solve_fine(fine, fes, tolerance=1e-10)) < 1e-8


def test_the_coarsest_raster_is_found_for_every_block():
    values = two_values((3, 4), 10.0, 6) * np.random.default_rng(7).random((3, 4))
    assert (coarsest_raster(values.repeat(5, 0).repeat(6, 1)) == values).all()
    assert coarsest_raster(np.ones((6, 8))).shape == (1, 1)
    unequal = np.repeat([1.0, 2.0], [4, 8])[None] * np.ones((3, 1))
    assert coarsest_raster(unequal).tolist() == [[1.0, 2.0, 2.0]]


def test_solve_fine_is_ngsolves_solution_for_loads_and_data_of_every_kind():
    A, cells, size = two_values((6, 4), 20.0, 8), (24, 32), (1.5, 2.0)
    mesh = structured_mesh(Space(cells, (1.0, -1.0), size))
    fes = H1(mesh, order=1, dirichlet=".*")
    f, g = (lambda x, y: 1 + x), (lambda x, y: x - y)
    expected = ngsolve_solve(A, cells, lambda x, y: f(x + 1, y), size=size, g=lambda x, y: g(x + 1, y - 1))
    load = LinearForm((1 + ngs.x) * fes.TestFunction() * dx).Assemble()
    y, x = Space(cells, (1.0, -1.0), size).nodes()
    nodes = np.meshgrid(x, y)
    data = GridFunction(fes)
    data.Set(ngs.x - ngs.y)
    loads = (f, 1 + ngs.x, f(*nodes), load, load.vec)
    values = (g, ngs.x - ngs.y, g(*nodes), data, mesh.BoundaryCF({}, default=ngs.x - ngs.y))
    for some_f, some_g in zip(loads, values, strict=True):
        u = solve_fine(A, fes, some_f, some_g, tolerance=1e-11)
        assert u.space.mesh.ne == 24 * 32
        np.testing.assert_allclose(u.vec.FV().NumPy().reshape(25, 33), expected, atol=1e-8)
    for zero in (0, 0.0, ngs.CF(0.0)):
        assert solve_fine(A, fes, zero).vec.Norm() == 0
        assert solve_fine(A, fes, zero, 2.0)(mesh(2.0, 0.0)) == pytest.approx(2.0)


def test_messages_name_the_function_that_takes_no_arrays():
    fes, scalar = H1(quads(4), order=1, dirichlet=".*"), lambda x, y: 1.0 if x > 0.5 else 0.0
    for name, options in (("f", {"f": scalar}), ("g", {"g": scalar})):
        with pytest.raises(InvalidProblem, match=rf"^{name}\("):
            solve_fine(1.0, fes, **options)


def test_a_linear_form_may_have_terms_on_natural_sides():
    fes = H1(quads(16), order=1, dirichlet="left")
    load = LinearForm(fes.TestFunction() * ngs.ds("right")).Assemble()
    u = solve_fine(1.0, fes, load)
    assert u(fes.mesh(0.7, 0.3)) == pytest.approx(0.7, rel=1e-6)


def test_it_is_the_fine_solution_of_arrays_on_any_raster():
    A = two_values((5, 7), 10.0, 9)
    u = solve_fine(A, H1(quads(12, 16), order=1, dirichlet=".*"), tolerance=1e-11)
    np.testing.assert_allclose(u.vec.FV().NumPy().reshape(17, 13), fine_solve(A, (16, 12)), atol=1e-9)


def refined_space():
    """A space whose mesh was refined after it was made."""
    mesh = quads(4)
    fes = H1(mesh, order=1, dirichlet=".*", autoupdate=False)
    mesh.Refine()
    return fes


WRONG = {
    "triangles": (
        lambda: H1(MakeStructured2DMesh(quads=False, nx=4, ny=4), order=1),
        GridMismatch,
        "uniform grid of qu",
    ),
    "graded": (lambda: H1(quads(4, mapping=lambda x, y: (x**2, y)), order=1), GridMismatch, "uniform grid of quads"),
    "order 2": (lambda: H1(quads(4), order=2), InvalidProblem, "order 2"),
    "complex": (lambda: H1(quads(4), order=1, complex=True), InvalidProblem, "complex"),
    "vectors": (lambda: ngs.VectorH1(quads(4), order=1), InvalidProblem, "scalar H1"),
    "dim 2": (lambda: H1(quads(4), order=1, dim=2), InvalidProblem, "dimension 2"),
    "L2": (lambda: ngs.L2(quads(4), order=1), InvalidProblem, "scalar H1"),
    "periodic": (lambda: ngs.Periodic(H1(quads(4), order=1)), InvalidProblem, "scalar H1"),
    "no space": (lambda: quads(4), InvalidProblem, "FESpace"),
    "all fixed": (lambda: H1(quads(1), order=1, dirichlet=".*"), InvalidProblem, "no free dofs"),
    "refined": (refined_space, InvalidProblem, "after a refinement"),
}


@pytest.mark.parametrize("case", WRONG)
def test_other_spaces_are_refused_in_a_sentence(case):
    make, kind, words = WRONG[case]
    with pytest.raises(kind, match=words) as caught:
        PixelMultigrid(1.0, make())
    assert "\n" not in str(caught.value)


def test_spaces_on_a_part_of_the_mesh_are_refused():
    mesh = structured_mesh(Space((4, 4)), materials=("a", "b"), owner=np.repeat([0, 1], 8))
    with pytest.raises(InvalidProblem, match="part of the mesh"):
        PixelMultigrid(1.0, H1(mesh, order=1, definedon="a"))


def test_wrong_coefficients_loads_data_and_vectors_are_refused():
    fes = H1(quads(8), order=1, dirichlet=".*")
    for a in (ngs.x - 0.5, 0.0, -np.ones((4, 4)), ngs.IfPos(ngs.x - 0.9, -1, 3)):
        with pytest.raises(NotCoercive, match=r"not positive|changes sign"):
            PixelMultigrid(a, fes)
    for a in (1 + 1j * ngs.x, ngs.CF((1, 2)), "stone", np.full((2, 2), np.nan), ngs.x / 0.0):
        with pytest.raises(InvalidProblem):
            PixelMultigrid(a, fes)
    for per in (0, 1.5, True):
        with pytest.raises(InvalidProblem, match="cells_per_element"):
            solve_fine(1.0, fes, cells_per_element=per)
    pre = PixelMultigrid(1.0, fes)
    other = H1(quads(4), order=1)
    for f in (1j * ngs.x, ngs.CF((1, 2)), "f", LinearForm(other), float("nan"), lambda x, y: x * np.nan, np.ones(3)):
        with pytest.raises(InvalidProblem):
            pre.solve(f)
    for g in (1j * ngs.x, "g", np.ones((3, 3)), float("inf")):
        with pytest.raises(InvalidProblem):
            pre.solve(1.0, g)
    with pytest.raises(InvalidProblem, match="vector of 25 entries"):
        (pre * GridFunction(other).vec).Evaluate()
    with pytest.raises(InvalidProblem, match="complex vector"):
        pre.Mult(ngs.BaseVector(fes.ndof, complex=True), ngs.BaseVector(fes.ndof))
    with pytest.raises(SolverFailure, match="after 1 steps"):
        PixelMultigrid(two_values((8, 8), 100.0), fes).solve(max_iterations=1)


def test_it_works_without_numba():
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "import ngsolve as ngs\n"
        "from ngsolve.krylovspace import CGSolver\n"
        "from ngsolve.meshes import MakeStructured2DMesh\n"
        "from ngs_nhcsr import PixelMultigrid\n"
        "fes = ngs.H1(MakeStructured2DMesh(quads=True, nx=16, ny=16), order=1, dirichlet='left')\n"
        "u, v = fes.TnT()\n"
        "form = ngs.BilinearForm(ngs.grad(u) * ngs.grad(v) * ngs.dx).Assemble()\n"
        "load = ngs.LinearForm(v * ngs.dx).Assemble()\n"
        "pre = PixelMultigrid(1.0, fes)\n"
        "assert 'Torch' in type(pre._hierarchy).__name__\n"
        "solver = CGSolver(form.mat, pre=pre, tol=1e-8)\n"
        "w = solver.Solve(load.vec)\n"
        "assert solver.iterations < 12\n"
        "assert (w - pre.solve(load).vec).Evaluate().Norm() < 1e-6 * w.Norm()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
