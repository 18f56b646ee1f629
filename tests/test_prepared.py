"""One coefficient for many loads, problems from arrays, and what a correction says of itself."""

import numpy as np
import pytest
from conftest import quads, solve_on, voxel
from ngsolve import BND, H1, BilinearForm, GridFunction, LinearForm, dx, grad, sin, x, y

from ngs_nhcsr import Corrector, GridMismatch, InvalidProblem, Problem, Status, correct
from ngs_nhcsr.ngsolve_io import cell_rules, quadrature
from ngs_nhcsr.solvers import direct
from ngs_nhcsr.solvers.q1 import stiffness

N = 8


@pytest.fixture(scope="module")
def medium(random_medium):
    return random_medium((4 * N, 4 * N), seed=31)


@pytest.fixture(scope="module")
def spaces(medium):
    fes = H1(quads(N), order=1, dirichlet=".*")
    u, v = fes.TnT()
    a = voxel(medium)
    form = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
    return fes, a, form


def solved(spaces, f, g=0.0):
    fes, _, form = spaces
    u = GridFunction(fes)
    u.Set(g + 0 * x, BND)
    load = LinearForm(f * fes.TestFunction() * dx).Assemble().vec
    load.data -= form.mat * u.vec
    u.vec.data += form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * load
    return u


@pytest.mark.parametrize("options", [{}, {"symmetrize": True}])
def test_prepared_corrections_are_those_of_correct(spaces, options):
    """For several loads and boundary data, in whatever order they come."""
    fes, a, form = spaces
    corrector = Corrector(**options)
    prepared = corrector.prepare(a, fes, 8)
    for f, g in ((1.0, 0.0), (1 + sin(3 * x) * y, 0.0), (1.0, x - y), (1.0, 0.0)):
        u = solved(spaces, f, g)
        for given in ({}, {"form": form}):
            one, two = prepared(u, **given), corrector(u, a, 8, **given)
            np.testing.assert_allclose(one.values, two.values, atol=1e-12 * np.abs(two.values).max())
            assert one.status is two.status is Status.ACCEPTED
            assert one.estimate == pytest.approx(two.estimate, rel=1e-6)


def test_the_coefficient_is_encoded_once(spaces, monkeypatch):
    fes, a, _ = spaces
    corrector = Corrector()
    calls = []
    encode = type(corrector.model.network).encode
    monkeypatch.setattr(type(corrector.model.network), "encode", lambda *k: calls.append(1) or encode(*k))
    prepared = corrector.prepare(a, fes, 8)
    for f in (1.0, 2.0, x):
        prepared(solved(spaces, f))
    assert len(calls) == 1


def test_further_loads_need_no_assembly_and_no_factor(spaces, monkeypatch):
    """After one solution of each kind of load nothing of the coefficient is integrated or eliminated again."""
    fes, a, form = spaces
    prepared = Corrector().prepare(a, fes, 8)
    kinds = {"f": lambda f: {"f": f}, "form": lambda f: {"form": form}, "nothing": lambda f: {}}
    for given in kinds.values():
        prepared(solved(spaces, 1.0), **given(1.0))
    made = []

    def noted(of):
        return lambda *args, **options: made.append(of) or of(*args, **options)

    for owner, name in ((direct, "_in_band"), (quadrature, "assemble"), (cell_rules, "gauss_elements")):
        monkeypatch.setattr(owner, name, noted(getattr(owner, name)))
    monkeypatch.setattr(quadrature.Rules, "form", lambda *k: made.append("form"))
    for name, given in kinds.items():
        result = prepared(solved(spaces, 2.0, x), **given(2.0))
        assert not made, (name, made)
        assert result.status is Status.ACCEPTED
        assert result.problem.mismatch < 1e-10


def test_free_nodes_that_change_after_preparing_are_seen(medium):
    """A further node held fixed: the systems that were kept are not those of this problem."""
    fes, a = H1(quads(N), order=1, dirichlet="left"), voxel(medium)
    prepared = Corrector().prepare(a, fes, 8)
    u, v = fes.TnT()
    form = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
    load = LinearForm(v * dx).Assemble()
    for held in (None, N * (N + 1) // 2 + N):
        if held is not None:
            fes.FreeDofs().Clear(held)
        solution = GridFunction(fes)
        solution.vec.data = form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * load.vec
        problem = prepared(solution, f=1, on_untrusted="return").problem
        assert int(problem.space.free.sum()) == N * (N + 1) - (held is not None)
        assert problem.mismatch < 1e-10
        # the Galerkin equations hold at the free nodes
        residual = stiffness(medium, (N, N)) @ problem.U.ravel() - problem.load.moments.ravel()
        assert np.abs(residual[problem.space.free.ravel()]).max() < 1e-12


def test_a_solution_of_another_space_is_corrected_all_the_same(spaces, medium):
    fes, a, _ = spaces
    prepared = Corrector().prepare(a, fes, 8)
    u, _ = solve_on(quads(2 * N), a)
    assert prepared(u).values.shape == (16 * N + 1, 16 * N + 1)
    np.testing.assert_array_equal(prepared(u).values, correct(u, a, 8, full=True).values)
    assert prepared(solved(spaces, 1.0)).values.shape == (8 * N + 1, 8 * N + 1)


def test_what_cannot_be_prepared(spaces, medium):
    with pytest.raises(InvalidProblem, match="coarse_space"):
        Corrector().prepare(spaces[1], "H1", 8)
    with pytest.raises(GridMismatch, match="cells_per_coarse=3"):
        Corrector().prepare(medium[:-1], spaces[0], 8, cells_per_coarse=3)


def test_problems_from_arrays_are_those_read_from_ngsolve(spaces, medium):
    u = solved(spaces, 1.0, x - y)
    read = Corrector()(u, medium, 8, f=1)
    made = Problem.from_arrays(medium, coarse=N, f=1.0, g=lambda x, y: x - y)
    np.testing.assert_allclose(made.U, read.problem.U, atol=1e-12)
    out = Corrector().correct_problem(made, 8)
    np.testing.assert_allclose(out.values, read.values, atol=1e-9)
    assert out.status is Status.ACCEPTED


def test_natural_sides_and_rectangles_from_arrays(medium):
    """u = x between left and right, sealed above and below, for layers across y."""
    layers = np.repeat(np.where(np.random.default_rng(0).random(4 * N) < 0.5, 1.0, 10.0)[:, None], 4 * N, 1)
    made = Problem.from_arrays(layers, coarse=N, f=0.0, g=lambda x, y: x, natural=("bottom", "top"), size=(0.5, 1.0))
    assert made.space.sides == (False, True, False, True)
    out = Corrector().correct_problem(made, 8)
    np.testing.assert_allclose(out.values, np.linspace(0, 1, 8 * N + 1)[None] * np.ones((8 * N + 1, 1)), atol=1e-6)


def test_arrays_that_make_no_problem(medium):
    with pytest.raises(GridMismatch, match="transposed"):
        Problem.from_arrays(np.ones((7, 12)), coarse=(6, 7))
    with pytest.raises(InvalidProblem, match="positive"):
        Problem.from_arrays(-medium, coarse=N)


@pytest.mark.parametrize("target", ["fine", "pde"])
def test_a_correction_prints_five_lines(spaces, target):
    lines = str(correct(solved(spaces, 1.0), spaces[1], 8, target=target, full=True)).splitlines()
    assert [line.split(":")[0] for line in lines] == ["ACCEPTED", "error", "solver", "seconds", "notes"]
    assert ("u_h" if target == "fine" else "the PDE's solution u") in lines[1]


def test_misspelt_options_name_the_nearest(spaces):
    with pytest.raises(InvalidProblem, match="did you mean refine_to="):
        Corrector()(solved(spaces, 1.0), spaces[1], 8, refineto=1e-3)
