"""−div(a∇u) + c u = f on arrays: element matrices, norms, multigrid, condensed cells, corrections."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ngs_nhcsr import GridMismatch, InvalidProblem, NotCoercive, Problem
from ngs_nhcsr.solvers import q1, stencil
from ngs_nhcsr.solvers.compiled_multigrid import CompiledMultigrid
from ngs_nhcsr.solvers.direct import DirichletSystem
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.hierarchy import TorchHierarchy
from ngs_nhcsr.solvers.load import Load
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.norms import energy_norm, energy_product, energy_squared, relative_errors
from ngs_nhcsr.solvers.positions import Nodes
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.substructuring.plain_start import PlainQ1
from ngs_nhcsr.solvers.substructuring.reaction import skeleton_of
from ngs_nhcsr.solvers.substructuring.scheme import Scheme
from ngs_nhcsr.solvers.substructuring.solve import solve
from ngs_nhcsr.solvers.substructuring.values import Values
from ngs_nhcsr.solvers.target import FineQ1

STRENGTHS = (1.0, 1e2, 1e4)


def medium_of(raster, reaction, contrast, strength, seed=0):
    """Pixels with two values of a, and values of c up to ``strength``, a third of them zero."""
    rng = np.random.default_rng(seed)
    c = strength * rng.random(reaction) * (rng.random(reaction) < 2 / 3)
    return Medium(np.where(rng.random(raster) < 0.5, 1.0, contrast), c)


# Element matrices and norms


@pytest.mark.parametrize(("cells", "raster"), [((6, 4), (3, 2)), ((5, 7), (3, 4)), ((3, 4), (6, 8))])
def test_mass_matrices_integrate_products(cells, raster):
    """Against a Gauss rule on the common refinement of mesh and raster, where the integrand is biquadratic."""
    rng = np.random.default_rng(1)
    c, size = rng.random(raster), (1.3, 0.7)
    v, w = (rng.random((cells[0] + 1, cells[1] + 1)) for _ in range(2))
    lines = [np.lcm(n, m) for n, m in zip(cells, raster, strict=True)]
    at = [(np.arange(n)[:, None] + 0.5 + np.array([-0.5, 0.5]) / np.sqrt(3)).ravel() / n for n in lines]

    def values(u):
        hats = [np.maximum(0, 1 - abs(t[:, None] * n - np.arange(n + 1))) for t, n in zip(at, cells, strict=True)]
        return hats[0] @ u @ hats[1].T

    inside = c[(at[0] * raster[0]).astype(int)][:, (at[1] * raster[1]).astype(int)]
    expected = float((inside * values(v) * values(w)).sum()) * size[0] * size[1] / 4 / (lines[0] * lines[1])
    M = q1.assemble(q1.mass_elements(c, cells, size))
    assert float(v.ravel() @ (M @ w.ravel())) == pytest.approx(expected, rel=1e-12)
    twin = stencil.mass_elements(torch.from_numpy(c), cells, size)
    np.testing.assert_allclose(twin.numpy(), q1.mass_elements(c, cells, size), atol=1e-15)


@pytest.mark.parametrize(
    ("raster", "reaction"), [((4, 2), (4, 2)), ((8, 6), (3, 5)), ((5, 7), (8, 6)), ((4, 3), (1, 1))]
)
def test_energy_is_that_of_the_matrix(raster, reaction):
    medium, cells, size = medium_of(raster, reaction, 100.0, 50.0), (8, 6), (0.8, 1.5)
    rng = np.random.default_rng(2)
    v, w = (rng.standard_normal((9, 7)) for _ in range(2))
    K = q1.stiffness(medium, cells, size)
    assert energy_squared(v, medium, size) == pytest.approx(float(v.ravel() @ (K @ v.ravel())), rel=1e-12)
    assert energy_product(v, w, medium, size) == pytest.approx(float(v.ravel() @ (K @ w.ravel())), rel=1e-10)
    batch = energy_squared(torch.from_numpy(np.stack([v, w])), medium.tensors(), size)
    np.testing.assert_allclose(batch, [energy_squared(v, medium, size), energy_squared(w, medium, size)], rtol=1e-12)
    area = size[0] * size[1]
    assert energy_squared(np.ones((9, 7)), medium, size) == pytest.approx(medium.reaction.mean() * area, rel=1e-12)
    applied = stencil.Stencil.from_elements(stencil.galerkin_elements(medium.tensors(), cells, size))
    np.testing.assert_allclose(applied.apply(torch.from_numpy(v)[None])[0].ravel(), K @ v.ravel(), atol=1e-10)


def test_zero_reaction_is_none():
    for nothing in (None, 0, 0.0, np.zeros((2, 2))):
        problem = Problem.from_arrays(np.ones((8, 8)), coarse=4, reaction=nothing)
        assert problem.medium.reaction is None
    plain = Problem.from_arrays(np.ones((8, 8)), coarse=4)
    np.testing.assert_array_equal(problem.U, plain.U)


@pytest.mark.parametrize(
    ("c", "error"),
    [
        (-1.0, NotCoercive),
        (np.array([[1.0, -1e-9]]), NotCoercive),
        (np.nan, InvalidProblem),
        (1j, InvalidProblem),
        (1e200, InvalidProblem),
        (np.ones(3), InvalidProblem),
        ("2", InvalidProblem),
        (np.ones((3, 3)), GridMismatch),
        (np.ones((16, 16)), GridMismatch),
    ],
)
def test_wrong_reactions_are_named(c, error):
    with pytest.raises(error, match="reaction"):
        Problem.from_arrays(np.ones((8, 8)), coarse=4, reaction=c)


# Fine solutions


def test_manufactured_solution_converges():
    """u = sin πx sin 2πy for constant a, c: energy errors of order h."""
    a, c = 2.0, 30.0

    def f(x, y):
        return (5 * np.pi**2 * a + c) * np.sin(np.pi * x) * np.sin(2 * np.pi * y)

    errors = []
    for n in (32, 64):
        t = np.linspace(0, 1, n + 1)
        u = np.sin(2 * np.pi * t)[:, None] * np.sin(np.pi * t)
        fine = fine_solve(np.full((1, 1), a), n, f, reaction=c)
        errors.append(float(np.abs(fine - u).max()))
    assert errors[1] < 2e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)  # nodal errors are of order h²


@pytest.mark.parametrize("kind", ["compiled", "torch"])
@pytest.mark.parametrize("strength", [*STRENGTHS, 1e8])
@pytest.mark.parametrize(
    ("cells", "raster", "reaction", "natural"),
    [
        ((64, 64), (16, 16), (16, 16), ()),
        ((45, 63), (9, 7), (9, 7), ("top",)),
        ((50, 70), (10, 14), (3, 5), ("left", "right")),
        ((33, 47), (8, 8), (5, 5), ("left", "bottom")),
        ((64, 32), (16, 8), (4, 4), ("bottom", "right", "top", "left")),  # c > 0 somewhere makes it definite
    ],
)
def test_multigrid_against_a_direct_solve(kind, strength, cells, raster, reaction, natural):
    medium, space = medium_of(raster, reaction, 100.0, strength), Space.with_sides(cells, (1.0, 1.3), natural)
    b = Load.of(lambda x, y: 1 + x * y, cells, space.size).vector(cells)
    lift = np.where(space.free, 0.0, 0.1 * np.random.default_rng(3).random(space.shape))
    expected = DirichletSystem(q1.stiffness(medium, cells, space.size), space.free).solve(b, lift)
    mg = CompiledMultigrid.of_medium(medium, space) if kind == "compiled" else TorchHierarchy(medium, space, "cpu")
    found, info = mg.solve(b, lift, tolerance=1e-10, max_iterations=40)
    assert info.iterations <= 20
    assert energy_norm(found - expected, medium, space.size) < 1e-9 * energy_norm(expected, medium, space.size)


# Condensed cells


def skeleton(raster, r, contrast, strength, seed=0, size=(1.0, 1.2)):
    """Skeleton, its medium, fine cells, and u_h for zero boundary values with the load vector of its load."""
    medium, cells = medium_of(raster, raster, contrast, strength, seed), (raster[0] * r[0], raster[1] * r[1])
    f = np.random.default_rng(seed + 1).standard_normal((raster[0] + 1, raster[1] + 1))
    made = skeleton_of(medium.tensors(), torch.from_numpy(f)[None, None], r, size, None)
    b = Load(f, size).vector(cells)
    u = DirichletSystem(q1.stiffness(medium, cells, size), Space(cells, size=size).free).solve(b, np.zeros(b.shape))
    return made, medium, b, u


def values_of(u, r):
    t = torch.from_numpy(u)[None, None]
    return Values.of_lines(t[..., :: r[0], :], t[..., :: r[1]], r)


RASTERS = [((4, 4), (4, 4)), ((3, 5), (2, 3)), ((2, 4), (6, 2))]


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize(("raster", "r"), RASTERS)
def test_condensation_is_exact(raster, r, strength):
    """u_h is found from its skeleton, has no residual, and no relaxation moves it."""
    s, medium, _, u = skeleton(raster, r, 10.0, strength)
    v = values_of(u, r)
    size = float(np.abs(u).max())
    np.testing.assert_allclose(s.field(v)[0, 0], u, atol=1e-11 * size)
    forces = float(s._forces(v.boundaries()).abs().max())
    assert float(s.residual(v)[..., 1:-1, 1:-1].abs().max()) < 1e-11 * forces
    for step in (s.relax_edges, s.relax_corners, s.relaxed):
        np.testing.assert_allclose(s.field(step(v))[0, 0], u, atol=1e-10 * size)
    assert medium.reaction is not None


@pytest.mark.parametrize("strength", STRENGTHS)
def test_schur_complements_are_symmetric_and_have_the_energy_of_the_extension(strength):
    raster, r = (2, 3), (4, 3)
    s, medium, _, _ = skeleton(raster, r, 10.0, strength)
    rng = np.random.default_rng(5)
    v, w = (values_of(rng.standard_normal((2 * 4 + 1, 3 * 3 + 1)), r) for _ in range(2))
    V, W = v.boundaries(), w.boundaries()
    assert float((W * s._forces(V)).sum()) == pytest.approx(float((V * s._forces(W)).sum()), rel=1e-11)
    still = skeleton_of(medium.tensors(), torch.zeros_like(s.load), r, s.size, None)
    energy = energy_squared(still.field(v)[0, 0].numpy(), medium, s.size)
    assert float((V * s._forces(V)).sum()) == pytest.approx(energy, rel=1e-11)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize(("raster", "r"), RASTERS)
def test_no_step_raises_the_energy_error(raster, r, strength):
    s, medium, _, u = skeleton(raster, r, 100.0, strength)
    start = np.zeros_like(u)
    start[1:-1, 1:-1] = np.random.default_rng(6).standard_normal((u.shape[0] - 2, u.shape[1] - 2))
    v = values_of(start, r)
    errors = [energy_norm(s.field(v)[0, 0].numpy() - u, medium, s.size)]
    for step in (s.relax_edges, s.relax_corners, s.relax_edges, s.relaxed):
        v = step(v)
        errors.append(energy_norm(s.field(v)[0, 0].numpy() - u, medium, s.size))
    assert all(after < before for before, after in pairwise(errors))


def test_a_vanishing_reaction_changes_nothing():
    """Two implementations: matrices with c = 1e-12, and those that a alone needs."""
    raster, r = (4, 3), (4, 4)
    medium = medium_of(raster, raster, 10.0, 1e-12)
    f = torch.from_numpy(np.random.default_rng(7).random((1, 1, 5, 4)))
    start = values_of(np.pad(np.random.default_rng(8).random((15, 11)), 1), r)
    fields = []
    for m in (medium, Medium(medium.values)):
        s = skeleton_of(m.tensors(), f, r, (1.0, 1.0), 2)
        fields.append(s.field(s.relaxed(start))[0, 0].numpy())
    np.testing.assert_allclose(fields[0], fields[1], atol=1e-9)


@settings(deadline=None, max_examples=15)
@given(st.floats(0.1, 1e3), st.floats(0.1, 10.0), st.integers(0, 10**6))
def test_units_of_operator_and_length_do_not_matter(factor, length, seed):
    """s(−div(a∇u) + c u) = s f; and in lengths L x, c and f are divided by L²."""
    medium = medium_of((8, 8), (4, 4), 10.0, 100.0, seed)
    scheme = Scheme(corrections=1, tolerance=0.0)

    def field(a, c, f, size):
        problem = Problem.from_arrays(a, coarse=4, f=f, size=size, reaction=c)
        with torch.inference_mode():
            return solve(problem.tensors(), FineQ1(8), PlainQ1(), scheme)[0, 0].numpy()

    a, c = medium.values, medium.reaction
    expected = field(a, c, 1.0, (1.0, 1.0))
    found = field(factor * a, factor * c / length**2, factor / length**2, (length, length))
    np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("contrast", [10.0, 100.0])
@pytest.mark.parametrize("strength", STRENGTHS)
def test_corrections_converge(contrast, strength):
    """Each coarse correction by plain Q1 on the pixels takes off a factor, as without reaction."""
    medium = medium_of((32, 32), (32, 32), contrast, strength)
    problem = Problem.from_arrays(medium.values, coarse=8, reaction=medium.reaction)
    expected = fine_solve(medium.values, 128, method="direct", reaction=medium.reaction)
    errors = []
    for k in (0, 2, 4):
        with torch.inference_mode():
            field = solve(problem.tensors(), FineQ1(16), PlainQ1(), Scheme(corrections=k, tolerance=0.0))
        errors.append(relative_errors(field[0, 0].numpy(), expected, medium)["energy"])
    assert errors[0] < 0.3
    assert errors[1] < 0.2 * errors[0]
    assert errors[2] < 0.2 * errors[1]


def test_points_see_the_field_of_the_nodes():
    medium = medium_of((8, 8), (8, 8), 10.0, 1e3)
    problem = Problem.from_arrays(medium.values, coarse=4, reaction=medium.reaction).tensors()
    with torch.inference_mode():
        nodes, every_second = (solve(problem, FineQ1(8), PlainQ1(), query=q) for q in (None, Nodes((16, 16))))
    np.testing.assert_allclose(every_second[0, 0], nodes[0, 0, ::2, ::2], atol=1e-14)
