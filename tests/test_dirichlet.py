"""Dirichlet data that are not linear between coarse nodes: met where given, else what they cost is estimated."""

import numpy as np
import pytest
from conftest import quads, voxel
from ngsolve import H1, BilinearForm, CoefficientFunction, GridFunction, IfPos, LinearForm, cos, dx, grad, sin, x, y

from ngs_nhcsr import Corrector, InvalidProblem, NhcsrWarning, Problem, Status, correct
from ngs_nhcsr.solvers.dirichlet import data_error, departure, jumps, with_data
from ngs_nhcsr.solvers.norms import energy_norm
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.target import FineQ1

CURVED = {
    "parabola": lambda x, y: x**2 + 0 * y,
    "waves": lambda x, y: np.sin(6 * x) * np.cos(4 * y),
    "all sides": lambda x, y: x + y**2,
}


def by_side(g, n):
    """Nodal values of g on the sides of the unit square."""
    s, zero = np.linspace(0, 1, n + 1), np.zeros(n + 1)
    return {"bottom": g(s, zero), "top": g(s, zero + 1), "left": g(zero, s), "right": g(zero + 1, s)}


def solved(A, g, data, scale=16):
    """u_h for Dirichlet data that are linear between coarse nodes, and for others."""
    problem = Problem.from_arrays(A, coarse=16, f=1.0, g=g)
    fine = problem.space.refined(scale)
    linear = FineQ1(scale).solve(problem, fine)
    object.__setattr__(problem, "dirichlet", data)
    return problem, fine, linear, FineQ1(scale).solve(problem, fine)


@pytest.mark.parametrize("name", CURVED)
@pytest.mark.parametrize("contrast", [1.0, 10.0, 1000.0])
def test_what_curved_data_cost_is_estimated(random_medium, name, contrast):
    A = random_medium((64, 64), seed=41, contrast=contrast)
    problem, fine, linear, curved = solved(A, CURVED[name], by_side(CURVED[name], 256))
    error = energy_norm(linear - curved, problem.medium, fine.size) / energy_norm(curved, problem.medium, fine.size)
    index = data_error(problem.U, problem.space, linear, problem.medium) / error
    assert 0.7 < index < 1.5


def test_a_jump_costs_more_than_any_bend(random_medium):
    """One hot wall: the energy grows like the logarithm of the mesh size."""
    wall = lambda x, y: (x == 0) + 0.0 * y  # noqa: E731
    problem, fine, linear, sharp = solved(random_medium((64, 64), seed=42), wall, by_side(wall, 256))
    error = energy_norm(linear - sharp, problem.medium, fine.size) / energy_norm(sharp, problem.medium, fine.size)
    assert 0.7 < data_error(problem.U, problem.space, linear, problem.medium) / error < 1.6


def test_linear_data_cost_nothing(random_medium):
    problem = Problem.from_arrays(random_medium((32, 32), seed=43), coarse=8, g=lambda x, y: 2 + x - 3 * y)
    assert data_error(problem.U, problem.space, problem.U, problem.medium) == 0
    natural = Problem.from_arrays(np.ones((32, 32)), coarse=8, f=0.0, natural=("bottom", "right", "top", "left"))
    assert data_error(natural.U, natural.space, natural.U, natural.medium) == 0


def test_data_are_met_and_change_nothing_far_from_the_boundary():
    coarse, fine = Space.with_sides((4, 4), natural=("top",)), Space.with_sides((16, 16), natural=("top",))
    values = np.random.default_rng(0).random(fine.shape)
    data = by_side(CURVED["waves"], 16)
    out = with_data(values, data, coarse, fine)
    for side, edge in {"bottom": out[0], "left": out[:, 0], "right": out[:, -1]}.items():
        np.testing.assert_allclose(edge, data[side], atol=1e-15)
    assert (out[5:, 5:-5] == values[5:, 5:-5]).all()
    assert (with_data(values, None, coarse, fine) == values).all()
    np.testing.assert_allclose(with_data(out, data, coarse, fine), out, atol=1e-15)


def coarse_solution(g, sides=".*"):
    """A coarse solution with data on some sides of a mesh's boundary, its coefficient, and the data."""
    mesh = quads(16)
    fes = H1(mesh, order=1, dirichlet=sides)
    g = g(mesh)
    u, v = fes.TnT()
    a = np.where(np.random.default_rng(44).random((64, 64)) < 0.5, 1.0, 10.0)
    form, load = BilinearForm(fes), LinearForm(v * dx).Assemble()
    form += voxel(a) * grad(u) * grad(v) * dx
    form.Assemble()
    solution = GridFunction(fes)
    solution.Set(g, definedon=mesh.Boundaries(sides))
    rest = (load.vec - form.mat * solution.vec).Evaluate()
    solution.vec.data += form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * rest
    return solution, a, g


@pytest.fixture(scope="module")
def curved():
    """A coarse solution with curved data on all sides."""
    return coarse_solution(lambda mesh: sin(6 * x) * cos(4 * y))


@pytest.mark.parametrize("target", ["fine", "pde"])
def test_data_by_boundary_are_those_of_a_function(target):
    """``mesh.BoundaryCF`` lives on segments; at a corner a side's own value counts, not that of its neighbour."""
    u, a, by_boundary = coarse_solution(lambda mesh: mesh.BoundaryCF({"top": sin(3 * x)}), "top|bottom")
    one, other = (correct(u, a, 8, f=1, g=g, target=target, full=True) for g in (by_boundary, y * sin(3 * x)))
    np.testing.assert_allclose(one.values, other.values, atol=1e-8)
    assert one.status is other.status is Status.ACCEPTED


@pytest.mark.parametrize(
    ("data", "sides"),
    [
        (lambda mesh: mesh.BoundaryCF({"top": 1.0, "left": 0.0}), "left|top"),
        (lambda mesh: mesh.BoundaryCF({"top": IfPos(x - 0.4, 1, 0)}), "top|bottom"),
    ],
)
def test_data_that_jump_are_told_or_have_no_solution(data, sides):
    u, a, g = coarse_solution(data, sides)
    r = correct(u, a, 8, f=1, g=g, full=True, on_untrusted="return")
    assert r.status is Status.ACCEPTED
    assert "g jumps by 1 on the top side" in r.notes[-1]
    with pytest.raises(InvalidProblem, match="no function of finite energy"):
        correct(u, a, 8, f=1, g=g, target="pde")


def test_steep_data_are_no_jumps_and_jumps_hide_no_other_difference():
    space, at = Space((8, 8)), np.linspace(0, 1, 8 * 16 + 1)
    data = {side: np.zeros(at.size) for side in ("bottom", "right", "top", "left")}
    assert jumps(data | {"top": np.sin(np.pi * at) * np.tanh(60 * (at - 0.4))}, space) == []
    (jump,) = jumps(data | {"top": np.where(at > 0.4, np.sin(np.pi * at), 0.0)}, space)
    assert (jump.side, jump.at) == ("top", pytest.approx(0.4, abs=1 / 128))
    U = np.zeros((9, 9))
    U[0, 4] = 0.25
    assert departure(U, data | {"top": np.where(at > 0.4, 1.0, 0.0) * (at < 0.9)}, space) == 1.0
    assert departure(U, data, space) == 0.25


def test_round_off_in_data_is_no_jump_and_a_crest_at_a_corner_neither(random_medium):
    at = np.linspace(0, 1, 129)
    flat = {side: np.cos(7 * at) ** 2 + np.sin(7 * at) ** 2 for side in ("bottom", "right", "top", "left")}
    assert np.ptp(flat["top"]) > 0
    assert jumps(flat, Space((8, 8))) == []
    crest = lambda x, y: 1 + np.sin(5.2 * x)  # noqa: E731 - flat in the last cell but one
    problem, fine, linear, curved = solved(random_medium((64, 64), seed=45), crest, by_side(crest, 256))
    error = energy_norm(linear - curved, problem.medium, fine.size) / energy_norm(curved, problem.medium, fine.size)
    assert 0.7 < data_error(problem.U, problem.space, linear, problem.medium) / error < 1.5


def test_the_fine_solution_has_the_data_given(curved):
    u, a, g = curved
    with pytest.warns(NhcsrWarning, match="Dirichlet values, which are those of u_coarse"):
        linear = correct(u, a, 16, f=1, full=True)
    given = correct(u, a, 16, f=1, g=g, full=True)
    prepared = Corrector().prepare(a, u.space, 16)(u, f=1, g=g)
    truth = FineQ1(16).solve(given.problem, given.problem.space.refined(16))
    nodes = np.linspace(0, 1, 257)
    np.testing.assert_allclose(truth[0], np.sin(6 * nodes), atol=1e-12)

    def error(values):
        return energy_norm(values - truth, given.problem.medium, (1, 1)) / energy_norm(
            truth, given.problem.medium, (1, 1)
        )

    assert error(given.values) < 5e-4
    assert error(prepared.values) < 5e-4
    assert linear.budget.total / 2 < error(linear.values) < 2 * linear.budget.total
    assert given.budget.dirichlet == 0


def test_data_that_are_not_those_of_the_coarse_solution_are_told(curved):
    u, a, _ = curved
    with pytest.warns(NhcsrWarning, match="g= is not what u_coarse is on its Dirichlet sides"):
        result = correct(u, a, 8, f=1, g=CoefficientFunction(x), full=True)
    np.testing.assert_allclose(result.values[:, -1], 1.0)
    assert result.budget.fine_scales < 1e-3


def test_data_are_compared_with_the_range_of_the_solution():
    """293.15 K on the boundary, given with a difference that no measurement shows, is the same 293.15 K."""
    u, a, _ = coarse_solution(lambda mesh: CoefficientFunction(293.15))
    result = correct(u, a, 8, f=1, g=293.15 + 1e-8 * x, full=True)
    assert result.status is Status.ACCEPTED
    assert result.notes == ()


def test_data_that_contradict_the_coarse_solution_are_inconsistent(curved):
    u, a, _ = curved
    result = correct(u, a, 8, f=1, g=CoefficientFunction(x + 2), full=True, on_untrusted="return")
    assert result.status is Status.INCONSISTENT
