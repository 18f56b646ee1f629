"""−div(a∇u) + c u = f through NGSolve: corrections, fine solves and time steps against NGSolve's own solutions."""

import numpy as np
import pytest
from conftest import quads, voxel
from netgen.geom2d import unit_square
from ngsolve import H1, L2, BilinearForm, CoefficientFunction, GridFunction, LinearForm, Mesh, ds, dx, grad, sin, x, y
from ngsolve.krylovspace import CGSolver

from ngs_nhcsr import Corrector, GridMismatch, InvalidProblem, NhcsrWarning, NotCoercive, Problem, compare, correct
from ngs_nhcsr.comparison import methods
from ngs_nhcsr.comparison.context import Context
from ngs_nhcsr.comparison.measure import measure
from ngs_nhcsr.comparison.reference import energy_error, with_reference
from ngs_nhcsr.guard import Status
from ngs_nhcsr.ngsolve_io.fine_solve import solve_fine
from ngs_nhcsr.ngsolve_io.preconditioner import PixelMultigrid
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.hierarchy import hierarchy
from ngs_nhcsr.solvers.load import Load
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.norms import energy_norm
from ngs_nhcsr.solvers.pde import PDE
from ngs_nhcsr.solvers.space import Space

N, SCALE = 8, 16
FINE = N * SCALE


def two_values(shape, contrast=10.0, seed=0):
    return np.where(np.random.default_rng(seed).random(shape) < 0.5, 1.0, contrast)


def cells(shape, size, seed=1):
    """Reactions between 0 and ``size``, a fifth of them zero."""
    c = np.random.default_rng(seed).random(shape) * size
    return np.where(c < 0.2 * size, 0.0, c)


def ngsolve_solution(mesh, a, c, f=1.0, *, bonus=0, dirichlet=".*"):
    """Solution and form of NGSolve alone."""
    fes = H1(mesh, order=1, dirichlet=dirichlet)
    u, v = fes.TnT()
    form = BilinearForm((a * grad(u) * grad(v) + c * u * v) * dx(bonus_intorder=bonus)).Assemble()
    load = LinearForm(f * v * dx(bonus_intorder=6)).Assemble()
    out = GridFunction(fes)
    out.vec.data = form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * load.vec
    return out, form


def nodes(u, n):
    """Nodal values of a solution on ``quads(n)``."""
    return u.vec.FV().NumPy().reshape(n + 1, n + 1)


def relative(v, reference, medium):
    return energy_norm(v - reference, medium) / energy_norm(reference, medium)


def test_each_term_of_a_form_may_have_its_own_quadrature():
    """Where c jumps inside elements, rules mean very different forms: here 10 % of the coarse solution."""
    kappa, c = two_values((32, 32)), 1000.0 * two_values((32, 32), 0.0, seed=5)
    fes = H1(quads(N), order=1, dirichlet=".*")
    u, v = fes.TnT()
    terms = voxel(kappa) * grad(u) * grad(v) * dx + voxel(c) * u * v * dx(bonus_intorder=4)
    form, load, solution = BilinearForm(terms).Assemble(), LinearForm(v * dx).Assemble(), GridFunction(fes)
    solution.vec.data = form.mat.Inverse(fes.FreeDofs()) * load.vec
    for options in ({"f": 1.0}, {"form": form}):
        r = correct(solution, voxel(kappa), SCALE, reaction=c, full=True, **options)
        assert r.status is Status.ACCEPTED
        assert r.budget.total < 1e-3
    wrong = correct(solution, voxel(kappa), SCALE, reaction=c / 2, f=1.0, full=True, on_untrusted="return")
    assert wrong.status is Status.INCONSISTENT


@pytest.mark.parametrize("contrast", [10.0, 100.0])
@pytest.mark.parametrize("size", [1.0, 1e2, 1e4])
@pytest.mark.parametrize("kind", ["constant", "cells"])
def test_corrections_reach_ngsolves_fine_solution(contrast, size, kind):
    """With the load recovered, given, and given by the form; the estimate is that of the operator with reaction."""
    kappa = two_values((32, 32), contrast)
    c = np.full((1, 1), size) if kind == "constant" else cells((32, 32), size)
    function = CoefficientFunction(size) if kind == "constant" else voxel(c)
    u, form = ngsolve_solution(quads(N), voxel(kappa), function)
    reference = nodes(ngsolve_solution(quads(FINE), voxel(kappa), function)[0], FINE)
    given = size if kind == "constant" else c
    for options in ({}, {"f": 1.0}, {"form": form, "reaction": function}):
        r = correct(u, voxel(kappa), SCALE, full=True, on_untrusted="return", **{"reaction": given, **options})
        error = relative(r.values, reference, Medium(kappa, c))
        assert r.status is Status.ACCEPTED, r.notes
        assert error < 1e-3
        assert error / 2 < r.error_estimate < 2 * error


def test_functions_are_read_by_any_rule_and_on_triangles():
    """A reaction that varies inside cells gets its means, and the rule of the coarse solution is recognised with it."""
    kappa, c, t = two_values((32, 32)), 40 + 30 * sin(5 * x) * y, (np.arange(96) + 0.5) / 96
    means = (40 + 30 * np.sin(5 * t)[None, :] * t[:, None]).reshape(32, 3, 32, 3).mean((1, 3))
    medium = Medium(kappa, means)
    reference = fine_solve(kappa, FINE, reaction=means, method="multigrid")
    for bonus in (0, 2, 4):
        u, _ = ngsolve_solution(quads(N), voxel(kappa), c, bonus=bonus)
        r = correct(u, voxel(kappa), SCALE, reaction=c, full=True, on_untrusted="return")
        assert r.status is Status.ACCEPTED, (bonus, r.notes)
        np.testing.assert_allclose(r.problem.medium.reaction, means, rtol=1e-10)
        assert relative(r.values, reference, medium) < 1e-4  # f = 1 is recovered to round-off
    u, _ = ngsolve_solution(Mesh(unit_square.GenerateMesh(maxh=0.06)), voxel(kappa), c, bonus=12)
    assert correct(u, voxel(kappa), 8, f=1.0, reaction=c, full=True, on_untrusted="return").problem.consistent


def test_natural_sides_keep_the_reaction_of_their_nodes():
    kappa, c = two_values((32, 32)), cells((32, 32), 300.0)
    u, _ = ngsolve_solution(quads(N), voxel(kappa), voxel(c), dirichlet="left|bottom")
    r = correct(u, voxel(kappa), SCALE, f=1.0, reaction=c, full=True, on_untrusted="return")
    medium, space = Medium(kappa, c), Space.with_sides((FINE, FINE), natural=("right", "top"))
    exact, _ = hierarchy(medium, space).solve(Load.of(1.0, space.cells).vector(space.cells), tolerance=1e-10)
    assert relative(r.values, exact, medium) < 1e-3


def test_a_reaction_that_is_wrong_or_missing_is_flagged():
    kappa = two_values((64, 64))
    u, form = ngsolve_solution(quads(16), voxel(kappa), CoefficientFunction(100.0))  # 8² nodes say too little

    def status(**options):
        return correct(u, voxel(kappa), 8, full=True, on_untrusted="return", **options).status

    assert status(reaction=100.0) is Status.ACCEPTED
    assert status() is Status.UNVERIFIED
    assert status(f=1.0) is Status.INCONSISTENT
    assert status(f=1.0, reaction=10.0) is Status.INCONSISTENT
    assert status(form=form, reaction=10.0) is Status.INCONSISTENT
    with pytest.raises(InvalidProblem, match="reaction="):
        status(form=form)


@pytest.mark.parametrize("kind", ["number", "array", "function", "grid function"])
def test_fine_solutions_are_those_of_ngsolve(kind):
    kappa, mesh = two_values((16, 16), 100.0), quads(64)
    by_element = GridFunction(L2(mesh, order=0))
    by_element.vec.FV().NumPy()[:] = np.random.default_rng(7).random(mesh.ne) * 90
    array = cells((16, 16), 400.0)
    c, function = {
        "number": (50.0, CoefficientFunction(50.0)),
        "array": (array, voxel(array)),
        "function": (voxel(array), voxel(array)),
        "grid function": (by_element, by_element),
    }[kind]
    u, form = ngsolve_solution(mesh, voxel(kappa), function, f=x + y)
    expected = u.vec.FV().NumPy()
    found = solve_fine(kappa, u.space, x + y, reaction=c, tolerance=1e-11)
    np.testing.assert_allclose(found.vec.FV().NumPy(), expected, atol=1e-8 * abs(expected).max())
    load, out = LinearForm((x + y) * u.space.TestFunction() * dx).Assemble(), GridFunction(u.space)
    solver = CGSolver(form.mat, pre=PixelMultigrid(kappa, u.space, reaction=c), tol=1e-9)
    out.vec.data = solver * load.vec
    assert solver.iterations <= 16  # contrast 100 without reaction takes 12


def test_without_dirichlet_nodes_a_reaction_decides_the_constant():
    """−div(a∇u) + 3 u = 6 with natural sides has the solution 2."""
    u = solve_fine(two_values((4, 4)), H1(quads(16), order=1), 6.0, reaction=3.0)
    np.testing.assert_allclose(u.vec.FV().NumPy(), 2.0, rtol=1e-7)


def test_what_knows_no_reaction_says_so():
    kappa = two_values((16, 16))
    u, _ = ngsolve_solution(quads(4), voxel(kappa), CoefficientFunction(5.0))
    with pytest.raises(InvalidProblem, match="reaction"):
        correct(u, kappa, 8, target="pde", reaction=5.0)
    with pytest.raises(InvalidProblem, match="no reaction term"):
        PDE().solve(Problem.from_arrays(kappa, coarse=4, reaction=5.0))
    result = correct(u, kappa, 8, reaction=5.0, full=True)
    with pytest.raises(InvalidProblem, match="no reaction term"):
        _ = result.flux
    for wrong in (-1.0, np.ones(3), "x", np.nan, np.ones((5, 16))):
        with pytest.raises((NotCoercive, InvalidProblem, GridMismatch), match="reaction"):
            correct(u, kappa, 8, reaction=wrong)


def test_implicit_euler_steps_share_one_preparation():
    """ρ ∂u/∂t − div(a∇u) = f: ten steps, each corrected, against the same steps by NGSolve on the fine mesh."""
    kappa, rate = two_values((32, 32)), 2.0 / 0.01  # ρ / τ
    a, medium = voxel(kappa), Medium(kappa, np.array([[rate]]))

    def euler(mesh, bonus):
        fes = H1(mesh, order=1, dirichlet=".*")
        u, v = fes.TnT()
        form = BilinearForm((a * grad(u) * grad(v) + rate * u * v) * dx(bonus_intorder=bonus)).Assemble()
        return fes, form, form.mat.Inverse(fes.FreeDofs(), "sparsecholesky")

    (fine, _, exact_step), (coarse, form, step) = euler(quads(FINE), 0), euler(quads(N), 6)
    exact, now, values = GridFunction(fine), GridFunction(coarse), np.zeros((FINE + 1, FINE + 1))
    prepared = Corrector().prepare(a, coarse, SCALE, reaction=rate)
    for k in range(10):
        source, w = 1.0 + np.sin(k), fine.TestFunction()
        exact.vec.data = exact_step * LinearForm((source + rate * exact) * w * dx).Assemble().vec
        f = source + rate * values
        load = form.mat.CreateColVector()
        load.FV().NumPy()[:] = Load(f).vector((N, N)).ravel()
        now.vec.data = step * load
        result = prepared(now, f=f, on_untrusted="return")
        assert result.status is Status.ACCEPTED, (k, result.notes)
        values = result.values
        assert relative(values, nodes(exact, FINE), medium) < 1e-3


def test_comparisons_have_the_reaction_or_refuse():
    """Rows that know the operator solve it; LOD, MsFEM and the trace space say what they lack."""
    problem = Problem.from_arrays(two_values((16, 16)), coarse=4, reaction=cells((16, 16), 200.0))
    context, _ = with_reference("fine", Context.of(problem, 16))
    errors = {}
    for name in ("direct", "multigrid", "cells+2", "network"):
        measured = measure(methods[name], context)
        assert measured.field is not None, measured.message
        errors[name] = energy_error(measured.field, context)
    assert max(errors["direct"], errors["multigrid"]) < 1e-6
    assert errors["network"] < 1e-3
    assert errors["cells+2"] < 1e-2
    for name in ("lod1", "msfem-linear", "trace6"):
        assert "no reaction term" in measure(methods[name], context).message


@pytest.mark.parametrize("c", [50 * (1 + sin(5 * x)), 20 * (1 + x * y)], ids=["wave", "bilinear"])
def test_a_hidden_reaction_that_varies_is_seen_in_the_recovered_load(random_medium, c):
    """The recovered load is F − ∫ c U φ, and U is rough; nothing else tells that there is a reaction."""
    kappa = random_medium((64, 64), seed=8)
    fes = H1(quads(16), order=1, dirichlet=".*")
    u, v = fes.TnT()
    form = BilinearForm((voxel(kappa) * grad(u) * grad(v) + c * u * v) * dx).Assemble()
    coarse = GridFunction(fes)
    coarse.vec.data = form.mat.Inverse(fes.FreeDofs()) * LinearForm(v * dx).Assemble().vec
    with pytest.warns(NhcsrWarning, match="reaction="):
        result = correct(coarse, voxel(kappa), 16, full=True)
    assert result.status is Status.UNVERIFIED


@pytest.mark.parametrize(("c", "bonus"), [(1.0, 0), (50.0, 0), (1.0 + sin(40 * x), 4), (1.0 + sin(40 * x), 3)])
def test_a_robin_side_beside_a_reaction_is_found_in_the_form(c, bonus):
    """The reaction alone passes, whatever rule it was integrated with."""
    fes = H1(quads(N), order=1, dirichlet="left")
    u, v = fes.TnT()
    a = voxel(two_values((32, 32)))
    load = LinearForm(v * dx).Assemble()
    for alpha in (0.0, 0.1):
        form = BilinearForm(fes)
        form += (a * grad(u) * grad(v) + c * u * v) * dx(bonus_intorder=bonus)
        form += alpha * u * v * ds("right")
        form.Assemble()
        out = GridFunction(fes)
        out.vec.data = form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * load.vec
        if alpha == 0:
            assert correct(out, a, 4, form=form, reaction=c, full=True, on_untrusted="return").status.trusted
        else:
            with pytest.raises(InvalidProblem, match="Robin"):
                correct(out, a, 4, form=form, reaction=c)


def test_a_comparison_takes_the_reaction_and_point_sources():
    """With them the user's solution is that of the problem, and the network's field is near the fine one."""
    kappa, points = two_values((32, 32)), [(0.3, 0.6, 1.0)]
    u, _ = ngsolve_solution(quads(N), voxel(kappa), 10.0)
    source = LinearForm(u.space)
    source += u.space.TestFunction()(*points[0][:2])
    form = BilinearForm(u.space)
    p, q = u.space.TnT()
    form += (voxel(kappa) * grad(p) * grad(q) + 10.0 * p * q) * dx
    u.vec.data += form.Assemble().mat.Inverse(u.space.FreeDofs()) * source.Assemble().vec
    methods = ("prolongation", "network", "lod1")
    result = compare(u, voxel(kappa), 8, f=1.0, points=points, reaction=10.0, methods=methods)
    assert result["network"].energy_error < 0.02 < result["prolongation"].energy_error
    assert "no reaction term" in result["lod1"].message
    assert not any("not the solution" in note for note in result.notes)
