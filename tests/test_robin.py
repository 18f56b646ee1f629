"""Robin sides a∂u/∂n + α u = q: the boundary mass in every operator, and corrections against NGSolve's solutions."""

import numpy as np
import pytest
import torch
from conftest import quads, voxel
from netgen.geom2d import unit_square
from ngsolve import H1, BilinearForm, GridFunction, LinearForm, Mesh, ds, dx, grad, y
from ngsolve.krylovspace import CGSolver

from ngs_nhcsr import Corrector, InvalidProblem, NotCoercive, PixelMultigrid, Problem, correct, solve_fine
from ngs_nhcsr.guard import Status
from ngs_nhcsr.solvers.direct import DirichletSystem
from ngs_nhcsr.solvers.hierarchy import TorchHierarchy, hierarchy
from ngs_nhcsr.solvers.load import Load
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.neumann import is_neumann
from ngs_nhcsr.solvers.norms import energy_norm, energy_product, energy_squared
from ngs_nhcsr.solvers.pde import PDE
from ngs_nhcsr.solvers.q1 import stiffness
from ngs_nhcsr.solvers.space import SIDES, Space
from ngs_nhcsr.solvers.stencil import Stencil, galerkin_elements
from ngs_nhcsr.solvers.tensor_medium import TensorMedium

N, SCALE = 8, 16
FINE = N * SCALE
NATURAL = ("right", "top")


def two_values(shape, contrast=10.0, seed=0):
    return np.where(np.random.default_rng(seed).random(shape) < 0.5, 1.0, contrast)


def robin_medium(kind, robin):
    """Media of all kinds on 8 x 12 pixels."""
    rng = np.random.default_rng(3)
    if kind == "tensor":
        xx, yy = rng.uniform(1, 5, (2, 8, 12))
        return TensorMedium(np.stack([xx, yy, 0.5 * np.sqrt(xx * yy)]), None, robin)
    return Medium(two_values((8, 12)), rng.random((4, 6)) if kind == "reaction" else None, robin)


def solved(mesh, a, robin, *, f=1.0, flux=None, c=0.0, dirichlet="left|bottom", order=1):
    """Solution, form and load of NGSolve alone; ``robin`` and ``flux`` by boundary name."""
    fes = H1(mesh, order=order, dirichlet=dirichlet)
    (u, v), load = fes.TnT(), LinearForm(fes)
    form = BilinearForm((a * grad(u) * grad(v) + c * u * v) * dx)
    load += f * v * dx
    for name, alpha in robin.items():
        form += alpha * u * v * ds(name)
    for name, q in (flux or {}).items():
        load += q * v * ds(name)
    form.Assemble(), load.Assemble()
    out = GridFunction(fes)
    out.vec.data = form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * load.vec
    return out, form, load


def nodes(u, n):
    return u.vec.FV().NumPy().reshape(n + 1, n + 1)


def relative(v, reference, medium):
    return energy_norm(v - reference, medium) / energy_norm(reference, medium)


@pytest.mark.parametrize("kind", ["scalar", "reaction", "tensor"])
@pytest.mark.parametrize("cells", [(32, 48), (8, 12), (10, 15)], ids=["finer", "pixels", "cut"])
def test_the_boundary_mass_is_in_every_operator(kind, cells):
    """What α adds to the matrix times 1 is α times the length of the sides; energies and stencils are those of it."""
    robin, size = (0.0, 2.0, 5.0, 0.5), (2.0, 3.0)
    with_it, without = robin_medium(kind, robin), robin_medium(kind, None)
    K = stiffness(with_it, cells, size)
    added = K - stiffness(without, cells, size)
    assert added.sum() == pytest.approx(2.0 * 2 + 5.0 * 3 + 0.5 * 2)
    assert abs(K - K.T).max() == 0
    v, w = np.random.default_rng(1).standard_normal((2, cells[0] + 1, cells[1] + 1))
    for p, q in ((v, v), (v, w)):
        assert energy_product(p, q, with_it, size) == pytest.approx(p.ravel() @ (K @ q.ravel()), rel=1e-11)
    batch, several = with_it.tensors(), torch.from_numpy(v)[None]
    assert float(energy_squared(several, batch, size)[0]) == pytest.approx(energy_squared(v, with_it, size), rel=1e-11)
    product = Stencil.from_elements(galerkin_elements(batch, cells, size)).apply(several)[0].numpy()
    np.testing.assert_allclose(product.ravel(), K @ v.ravel(), atol=1e-11 * np.abs(K @ v.ravel()).max())


@pytest.mark.parametrize("contrast", [10.0, 1000.0])
@pytest.mark.parametrize(
    ("solver", "raster", "cells"),
    [
        (hierarchy, (16, 24), (64, 96)),
        (hierarchy, (140, 134), (140, 134)),
        (TorchHierarchy, (8, 12), (32, 48)),
        (TorchHierarchy, (70, 66), (70, 66)),
    ],
    ids=["bilinear levels", "black-box levels", "bilinear levels in torch", "black-box levels in torch"],
)
def test_multigrid_takes_no_more_steps_for_any_alpha(contrast, solver, raster, cells):
    """… than with natural sides, and reaches the direct solution."""
    space, steps = Space.with_sides(cells, natural=("right", "top", "left")), []
    b = Load.of(1.0, cells).vector(cells)
    for alpha in (0.0, 1e-3, 1e2, 1e6):
        medium = Medium(two_values(raster, contrast), None, (0.0, alpha, 2 * alpha, alpha / 3) if alpha else None)
        u, info = solver(medium, space).solve(b, tolerance=1e-9)
        exact = DirichletSystem(stiffness(medium, cells), space.free).solve(b)
        assert info.converged
        assert relative(u, exact, medium) < 1e-8
        steps.append(info.iterations)
    assert max(steps) <= steps[0] + 1, steps


def test_limits_of_alpha_are_the_natural_and_the_dirichlet_side():
    """The distance to either falls as α and as 1/α; and α > 0 on one side decides the constant of a Neumann problem."""
    A, cells = two_values((16, 16)), (64, 64)
    b = Load.of(1.0, cells).vector(cells)

    def solve(alpha, natural):
        medium = Medium(A, None, None if alpha is None else (0.0, alpha, 0.0, 0.0))
        return hierarchy(medium, Space.with_sides(cells, natural=natural)).solve(b, tolerance=1e-11)[0]

    free, fixed, medium = solve(None, ("right",)), solve(None, ()), Medium(A)
    for limit, alphas in ((free, (1e-2, 1e-3)), (fixed, (1e4, 1e5))):
        first, second = (relative(solve(alpha, ("right",)), limit, medium) for alpha in alphas)
        assert first < 0.05
        assert second < 0.15 * first
    assert np.abs(solve(1.0, SIDES)).max() > 0.1
    assert not is_neumann(Space.with_sides(cells, natural=SIDES), Medium(A, None, (0.0, 1.0, 0.0, 0.0)))


def test_the_solution_on_an_interval():
    """−a u'' = f, u(0) = 0, a u'(1) + α u(1) = q: u = s x − f x²/(2a), exact at the nodes of Q1."""
    a, f, alpha, q = 3.0, 2.0, 5.0, 0.7
    s = (q + f + alpha * f / (2 * a)) / (a + alpha)
    u, _, _ = solved(quads(N), a, {"right": alpha}, f=f, flux={"right": q}, dirichlet="left")
    t = np.linspace(0, 1, FINE + 1)
    r = correct(
        u, a, SCALE, f=f, flux={"right": q}, robin={"right": alpha}, refine_to=1e-10, full=True, on_untrusted="return"
    )
    expected = np.broadcast_to(s * t - f * t**2 / (2 * a), r.values.shape)
    np.testing.assert_allclose(r.values, expected, atol=1e-9 * expected.max())


@pytest.mark.parametrize("contrast", [10.0, 1000.0])
@pytest.mark.parametrize("alpha", [0.1, 10.0, 1e4])
def test_corrections_reach_ngsolves_fine_solution(contrast, alpha):
    """With the load recovered, given, as LinearForm and by the form; the estimate is that of the operator with α."""
    kappa, robin = two_values((32, 32), contrast), {"right": alpha, "top": 3.0}
    u, form, load = solved(quads(N), voxel(kappa), robin)
    reference, medium = nodes(solved(quads(FINE), voxel(kappa), robin)[0], FINE), Medium(kappa, None, (0, alpha, 3, 0))
    for options in ({}, {"f": 1.0}, {"f": load}, {"form": form}):
        r = correct(u, voxel(kappa), SCALE, robin=robin, full=True, on_untrusted="return", **options)
        error = relative(r.values, reference, medium)
        assert r.status is Status.ACCEPTED, r.notes
        assert error < 1e-3
        assert error / 2 < r.error_estimate < 2 * error
    r = correct(u, voxel(kappa), SCALE, robin=robin, f=1.0, refine_to=1e-8, full=True, on_untrusted="return")
    assert relative(r.values, reference, medium) < 1e-6
    assert "Robin" in r.notes[0]


def test_fluxes_reactions_points_and_many_loads_go_with_it():
    """All at once, prepared, α one number for both natural sides; q = α u₀ is a flux."""
    kappa, alpha, c, q = two_values((32, 32)), 4.0, 20.0, {"right": 1 + y, "top": 2.0}
    robin, point = {"right": alpha, "top": alpha}, (0.3, 0.4, 0.5)
    corrector = Corrector()
    for f in (1.0, 3.0):
        (u, form, load), (fine, fine_form, fine_load) = (
            solved(quads(n), voxel(kappa), robin, f=f, flux=q, c=c) for n in (N, FINE)
        )
        for out, operator, b in ((u, form, load), (fine, fine_form, fine_load)):
            source = LinearForm(out.space)
            source += out.space.TestFunction()(*point[:2])
            b.vec.data += point[2] * source.Assemble().vec
            out.vec.data = operator.mat.Inverse(out.space.FreeDofs(), "sparsecholesky") * b.vec
        prepared = corrector.prepare(voxel(kappa), u.space, SCALE, reaction=c, robin=alpha)
        r = prepared(u, f=f, flux=q, points=[point], on_untrusted="return")
        assert r.status is Status.ACCEPTED, r.notes
        assert relative(r.values, nodes(fine, FINE), r.problem.medium) < 1e-3


def test_no_dirichlet_side_is_needed():
    """α > 0 on one side decides the constant: no balance of the data is asked for, and no mean is taken off."""
    kappa, robin = two_values((32, 32)), {"left": 0.01}
    u, _, load = solved(quads(N), voxel(kappa), robin, flux={"top": 1.0}, dirichlet="")
    r = correct(u, voxel(kappa), SCALE, f=load, robin=robin, full=True, on_untrusted="return")
    reference = nodes(solved(quads(FINE), voxel(kappa), robin, flux={"top": 1.0}, dirichlet="")[0], FINE)
    assert r.status is Status.ACCEPTED, r.notes
    assert relative(r.values, reference, r.problem.medium) < 1e-3
    assert r.values.mean() > 100  # all of the load, 1 + 1, leaves through that side


@pytest.mark.parametrize("order", [1, 2])
def test_triangles(order):
    """… and boundary names of the user: the fine mesh has them, and NGSolve's solution on it is reached."""
    kappa, robin = two_values((8, 8)), {"right": 5.0, "top": 2.0}
    u, _, _ = solved(Mesh(unit_square.GenerateMesh(maxh=0.06)), voxel(kappa), robin, order=order)
    r = correct(u, kappa, 4, f=1.0, robin=robin, full=True, on_untrusted="return")
    assert r.problem.consistent
    reference, form, _ = solved(r.u_fine.space.mesh, voxel(kappa), robin)
    off = reference.vec.CreateVector()
    off.data = reference.vec - r.u_fine.vec
    energy = [v.InnerProduct((form.mat * v).Evaluate()) for v in (off, reference.vec)]
    assert energy[0] ** 0.5 < 1e-3 * energy[1] ** 0.5


def test_arrays_need_no_ngsolve():
    kappa = two_values((32, 32))
    problem = Problem.from_arrays(kappa, coarse=N, natural=NATURAL, robin={"right": 7.0})
    out = Corrector().correct_problem(problem, SCALE)
    space, medium = problem.space.refined(SCALE), Medium(kappa, None, (0.0, 7.0, 0.0, 0.0))
    exact = DirichletSystem(stiffness(medium, space.cells), space.free).solve(
        Load.of(1.0, space.cells).vector(space.cells)
    )
    assert out.status is Status.ACCEPTED
    assert relative(out.values, exact, medium) < 1e-3


def test_an_alpha_that_is_wrong_or_missing_is_flagged():
    kappa = two_values((32, 32))
    u, form, _ = solved(quads(N), voxel(kappa), {"right": 10.0})

    def status(**options):
        return correct(u, voxel(kappa), 8, full=True, on_untrusted="return", **options).status

    assert status(f=1.0, robin={"right": 10.0}) is Status.ACCEPTED
    assert status(f=1.0, robin={"right": 1.0}) is Status.INCONSISTENT
    assert status(f=1.0) is Status.INCONSISTENT
    for robin in (None, {"right": 1.0}, 10.0, {"top": 10.0}):
        with pytest.raises(InvalidProblem, match="Pass robin="):
            status(form=form, robin=robin)


def test_what_is_no_robin_side_is_refused():
    u, _, _ = solved(quads(4), 1.0, {})
    for wrong, words in (
        (-1.0, "negative"),
        (y, "numbers"),
        (lambda x, y: x, "numbers"),
        (np.nan, "finite"),
        (True, "numbers"),
        ({"left": 1.0}, "Dirichlet"),
        ({"outlet": 1.0}, "boundaries"),
    ):
        with pytest.raises((InvalidProblem, NotCoercive), match=words):
            correct(u, 1.0, 4, f=1.0, robin=wrong)
    closed, _, _ = solved(quads(4), 1.0, {}, dirichlet=".*")
    with pytest.raises(InvalidProblem, match="on all of them"):
        correct(closed, 1.0, 4, f=1.0, robin=1.0)
    mesh = quads(8)
    for element in mesh.ngmesh.Elements1D():
        if all(mesh.ngmesh.Points()[k].p[0] == 1.0 and mesh.ngmesh.Points()[k].p[1] <= 0.5 for k in element.vertices):
            element.index = 5
    mesh.ngmesh.SetBCName(4, "outlet")
    half, _, _ = solved(Mesh(mesh.ngmesh), 1.0, {}, dirichlet="left")
    with pytest.raises(InvalidProblem, match="only a part of the right side"):
        correct(half, 1.0, 4, f=1.0, robin={"outlet": 1.0})
    part, _, _ = solved(Mesh(mesh.ngmesh), 1.0, {}, dirichlet="left|outlet")
    for alpha in (1.0, {"right": 1.0}):
        with pytest.raises(InvalidProblem, match="part"):
            correct(part, 1.0, 4, f=1.0, robin=alpha)


def test_fine_solves_and_preconditioners_on_ngsolves_side():
    """Against NGSolve's matrix, with the data q in a LinearForm; no Dirichlet side is needed."""
    kappa, robin = two_values((8, 8), 100.0), {"right": 2.0, "top": 0.5}
    for dirichlet in ("left|bottom", ""):
        u, form, load = solved(quads(32), voxel(kappa), robin, flux={"right": 1.0}, dirichlet=dirichlet)
        v = solve_fine(kappa, u.space, load, robin=robin, tolerance=1e-10)
        assert relative(nodes(v, 32), nodes(u, 32), Medium(kappa)) < 1e-8
        cg = CGSolver(form.mat, pre=PixelMultigrid(kappa, u.space, robin=robin), tol=1e-10)
        v.vec.data = cg * load.vec
        assert cg.iterations < 20
        assert relative(nodes(v, 32), nodes(u, 32), Medium(kappa)) < 1e-8
    with pytest.raises(InvalidProblem, match="robin"):
        PixelMultigrid(kappa, u.space, robin={"east": 1.0})


def test_what_knows_no_robin_sides_says_so():
    kappa = two_values((16, 16))
    u, _, _ = solved(quads(4), voxel(kappa), {"right": 1.0})
    with pytest.raises(InvalidProblem, match="robin="):
        correct(u, kappa, 8, f=1.0, target="pde", robin=1.0)
    problem = Problem.from_arrays(kappa, coarse=4, natural=NATURAL, robin=2.0)
    with pytest.raises(InvalidProblem, match="no Robin sides"):
        PDE().solve(problem, problem.space.refined(4))
    result = correct(u, kappa, 8, f=1.0, robin={"right": 1.0}, full=True, on_untrusted="return")
    with pytest.raises(InvalidProblem, match="no Robin sides"):
        _ = result.flux
    with pytest.raises(InvalidProblem, match="no Robin sides"):
        Corrector().model.solve(problem, 8)
