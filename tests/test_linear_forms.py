"""Loads given as LinearForms: integrated anew on the fine mesh, or, where that cannot be, kept by coarse moments."""

import numpy as np
import pytest
from netgen.geom2d import SplineGeometry
from ngsolve import (
    CF,
    H1,
    BilinearForm,
    GridFunction,
    IfPos,
    LinearForm,
    Mesh,
    Parameter,
    VoxelCoefficient,
    ds,
    dx,
    grad,
    sin,
    specialcf,
    x,
    y,
)

from ngs_nhcsr.errors import InvalidProblem
from ngs_nhcsr.ngsolve_io.meshes import structured_mesh
from ngs_nhcsr.ngsolve_io.read import Reader
from ngs_nhcsr.solvers.moments import function_moments, line_moments, of_callable, point_moments
from ngs_nhcsr.solvers.space import SIDES, Space

CELLS, SCALE = (8, 12), 8
FINE = (CELLS[0] * SCALE, CELLS[1] * SCALE)
LOWER, SIZE = (-1.0, 2.0), (1.0, 3.0)  # (x0, y0), (Ly, Lx)
A = np.where(np.random.default_rng(0).random((16, 24)) < 0.5, 1.0, 10.0)
VOXELS = VoxelCoefficient(LOWER, (LOWER[0] + SIZE[1], LOWER[1] + SIZE[0]), A, linear=False)
MESH = structured_mesh(Space(CELLS, LOWER, SIZE))
FES = H1(MESH, order=1, dirichlet="bottom")
JUMP = IfPos(x - 0.37, 2.0, -1.0)  # at no node of any mesh
NORMAL = specialcf.normal(2)


def triangles():
    geometry = SplineGeometry()
    geometry.AddRectangle(LOWER, (LOWER[0] + SIZE[1], LOWER[1] + SIZE[0]), bcs=SIDES)
    return Mesh(geometry.GenerateMesh(maxh=0.2))


def read(form):
    """The problem of a form, as it is read from the coarse solution and the form."""
    u, (p, q) = GridFunction(form.space), form.space.TnT()
    matrix = BilinearForm(VOXELS * grad(p) * grad(q) * dx).Assemble().mat
    u.vec.data = matrix.Inverse(form.space.FreeDofs(), "sparsecholesky") * form.vec
    return Reader(VOXELS).read(u, f=form, scale=SCALE)


def fine_moments(problem):
    """Load vector on the fine mesh, away from the Dirichlet side."""
    return problem.load_vector(FINE)[1:]


def along_top(f):
    out = np.zeros((FINE[0] + 1, FINE[1] + 1))
    out[-1] = line_moments(f, FINE[1], SIZE[1], LOWER[0])
    return out[1:]


def along_right(f):
    out = np.zeros((FINE[0] + 1, FINE[1] + 1))
    out[:, -1] = line_moments(f, FINE[0], SIZE[0], LOWER[1])
    return out[1:]


@pytest.mark.parametrize(
    ("term", "exact"),
    [
        (lambda v: JUMP * v * ds("top"), along_top(lambda s: np.where(s > 0.37, 2.0, -1.0))),
        (lambda v: CF((x * y, 1 + x)) * NORMAL * v * ds("top"), along_top(lambda s: 1 + s)),
        (lambda v: CF((x * y, 1 + x)) * NORMAL * v * ds("right"), along_right(lambda s: 2 * s)),
        (
            lambda v: MESH.BoundaryCF({"top": 3.0, "right": y}) * v * ds,
            along_top(lambda s: 3 + 0 * s) + along_right(lambda s: s),
        ),
        (lambda v: v * dx + JUMP * v * ds("top") - v * dx, along_top(lambda s: np.where(s > 0.37, 2.0, -1.0))),
    ],
    ids=["jump", "normal, top", "normal, right", "by name", "with a domain term"],
)
def test_fluxes_in_forms_are_integrated_on_the_fine_mesh(term, exact):
    problem = read(LinearForm(term(FES.TestFunction())).Assemble())
    np.testing.assert_allclose(fine_moments(problem), exact, atol=1e-7 * np.abs(exact).max())  # POINT wide jumps
    assert problem.load_error == 0
    assert problem.mismatch < 1e-10
    assert not problem.notes


@pytest.mark.parametrize("mesh", [MESH, triangles()], ids=["quads", "triangles"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_functions_fluxes_and_points_are_found_on_any_mesh_and_order(mesh, order):
    v = H1(mesh, order=order, dirichlet="bottom").TestFunction()
    form = LinearForm(JUMP * v * dx + (1 + x) * v * ds("top"))
    for point in ((0.31, 2.43), (1.29, 2.71)):
        form += v(*point)
    problem = read(form.Assemble())
    cells = problem.load.cells
    exact = function_moments(of_callable(lambda X, Y: np.where(X > 0.37, 2.0, -1.0) + 0 * Y), cells, SIZE, LOWER).vector
    exact += point_moments([(0.31, 2.43, 1.0), (1.29, 2.71, 1.0)], cells, SIZE, LOWER)
    exact[-1] += line_moments(lambda s: 1 + s, cells[1], SIZE[1], LOWER[0])
    np.testing.assert_allclose(problem.load_vector(cells)[1:], exact[1:], atol=1e-6 * np.abs(exact).max())
    assert problem.load_error == 0
    assert problem.mismatch < 1e-8
    assert not problem.notes


@pytest.mark.parametrize("term", [lambda v: specialcf.mesh_size * v * dx, lambda v: CF((x, y)) * grad(v) * dx])
@pytest.mark.parametrize("order", [1, 2])
def test_on_triangles_too_what_cannot_be_integrated_anew_is_recovered(term, order):
    problem = read(LinearForm(term(H1(triangles(), order=order, dirichlet=".*").TestFunction())).Assemble())
    assert any("could not be integrated on the fine mesh" in note for note in problem.notes)
    assert problem.load_error > 0


@pytest.mark.parametrize("mesh", [MESH, triangles()], ids=["quads", "triangles"])
def test_a_wave_that_the_coarse_quadrature_does_not_see_is_integrated_and_told(mesh):
    v = H1(mesh, order=2, dirichlet="bottom").TestFunction()
    problem = read(LinearForm(sin(20 * np.pi * x) * v * dx).Assemble())  # 0.4 elements a wave
    cells = problem.load.cells
    exact = function_moments(of_callable(lambda X, Y: np.sin(20 * np.pi * X) + 0 * Y), cells, SIZE, LOWER).vector
    np.testing.assert_allclose(problem.load_vector(cells)[1:], exact[1:], atol=1e-4 * np.abs(exact).max())
    assert problem.load_error == 0
    assert any("too fast for its quadrature" in note for note in problem.notes)


def test_a_grid_function_in_a_form_is_evaluated_where_it_lives():
    g = GridFunction(H1(MESH, order=1))
    g.Set(1 + x)
    v = FES.TestFunction()
    problem, same = (read(LinearForm(f * v * dx + f * v * ds("top")).Assemble()) for f in (g, 1 + x))
    largest = np.abs(fine_moments(same)).max()
    np.testing.assert_allclose(fine_moments(problem), fine_moments(same), atol=1e-8 * largest)


@pytest.mark.parametrize(
    "term",
    [
        lambda v: specialcf.mesh_size * v * dx,  # another function on another mesh
        lambda v: v * ds("top", skeleton=True),  # an integrator that needs neighbouring elements
        lambda v: CF((x, y)) * grad(v) * dx,  # no function times v
    ],
    ids=["mesh size", "skeleton", "gradient"],
)
def test_what_cannot_be_integrated_anew_keeps_its_coarse_moments_and_says_so(term):
    form = LinearForm(term(FES.TestFunction())).Assemble()
    problem = read(form)
    assert any("could not be integrated on the fine mesh" in note for note in problem.notes)
    coarse = form.vec.FV().NumPy().reshape(CELLS[0] + 1, CELLS[1] + 1)
    moments = problem.load.moments
    np.testing.assert_allclose(moments[1:], coarse[1:], atol=1e-12 * np.abs(coarse).max())
    assert problem.load_error > 0 or not problem.decided  # the energy of a flux that is not known is not checked


def test_a_form_that_was_not_assembled_is_told_apart_from_a_zero_one():
    v, u = FES.TestFunction(), GridFunction(FES)
    u.Set(x, definedon=MESH.Boundaries("bottom"))
    with pytest.raises(InvalidProblem, match="not assembled"):
        Reader(VOXELS).read(u, f=LinearForm(v * dx))
    zero = Reader(VOXELS).read(u, f=LinearForm(Parameter(0.0) * v * dx).Assemble(), scale=SCALE)
    assert not fine_moments(zero).any()


def test_a_function_too_rough_to_be_integrated_is_noted():
    u, rng = GridFunction(FES), np.random.default_rng(0)
    noise = Reader(VOXELS).read(u, f=lambda X, Y: rng.standard_normal(np.broadcast_shapes(X.shape, Y.shape)))
    smooth = Reader(VOXELS).read(u, f=lambda X, Y: X * Y)
    assert any("not integrated to the end" in note for note in noise.notes)
    assert not any("integrated" in note for note in smooth.notes)


def test_a_function_of_the_wrong_shape_is_told_in_a_sentence():
    with pytest.raises(InvalidProblem, match="must take arrays that broadcast"):
        Reader(VOXELS).read(GridFunction(FES), f=lambda X, Y: np.ones(7))
    with pytest.raises(InvalidProblem, match="flux= has values that are not finite"):
        Reader(VOXELS).read(GridFunction(FES), flux={"top": float("nan")})
