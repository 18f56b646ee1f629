"""Stretched cells, strong anisotropy, constants that little holds, coarse solutions that are exact: said as it is."""

import numpy as np
import pytest
from conftest import quads
from ngsolve import H1, GridFunction, x

from ngs_nhcsr import Corrector, InvalidProblem, PixelMultigrid, Problem, Status, correct, solve_fine
from ngs_nhcsr.refine import Refiner
from ngs_nhcsr.solvers import direct_fine
from ngs_nhcsr.solvers.compiled_multigrid import CompiledMultigrid
from ngs_nhcsr.solvers.hierarchy import hierarchy
from ngs_nhcsr.solvers.load import Load
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.norms import energy_norm
from ngs_nhcsr.solvers.space import Space

ALL = ("bottom", "right", "top", "left")


def true_error(v, problem, cells):
    """Relative energy error of a field against a factorisation's."""
    fine = problem.space.with_cells(cells)
    u, _ = direct_fine.DirectFine(problem.medium, fine).solve(
        problem.load.vector(cells), np.where(fine.free, 0.0, 1.0) * v
    )
    return energy_norm(v - u, problem.medium, fine.size) / energy_norm(u, problem.medium, fine.size)


@pytest.mark.parametrize("length", [3.0, 30.0, 1000.0])
@pytest.mark.parametrize("natural", [(), ("left", "right", "top")])
@pytest.mark.parametrize("reaction", [None, 1.0])
def test_estimates_on_stretched_cells(random_medium, length, natural, reaction):
    A = random_medium((32, 32), seed=3)
    problem = Problem.from_arrays(A, coarse=8, size=(length, 1.0), natural=natural, reaction=reaction)
    result = Corrector().correct_problem(problem, 8)
    assert result.status is Status.ACCEPTED
    assert true_error(result.values, problem, (64, 64)) <= 1.3 * result.budget.total + 1e-5


def test_on_stretched_meshes_that_are_too_large_for_a_direct_solve_estimates_are_careful(random_medium, monkeypatch):
    monkeypatch.setattr(direct_fine, "NODES", 100)
    A, b = random_medium((32, 32), seed=4), Load.of(1.0, (128, 128), (1000.0, 1.0)).vector((128, 128))
    fine = Space.with_sides((128, 128), (1000.0, 1.0), ("left", "right", "top"))
    refiner = Refiner(Medium(A), fine)
    done = refiner.refine(np.zeros(fine.shape), np.where(fine.free, b, 0.0), tolerance=1e-2, max_steps=300)
    monkeypatch.undo()
    u, _ = hierarchy(Medium(A), fine).solve(np.where(fine.free, b, 0.0), np.zeros(fine.shape))
    error = energy_norm(done.field - u, Medium(A), fine.size) / energy_norm(u, Medium(A), fine.size)
    assert error <= done.after


def test_multigrid_serves_where_it_can(random_medium):
    A = random_medium((32, 32), seed=5)
    assert isinstance(hierarchy(A, Space((64, 64), (0.0, 0.0), (10.0, 1.0))), CompiledMultigrid)
    assert isinstance(hierarchy(A, Space((64, 64), (0.0, 0.0), (100.0, 1.0))), direct_fine.DirectFine)


@pytest.mark.parametrize("c", [1e-2, 7e-3, 1e-4])
def test_a_weak_reaction_holds_the_constant(random_medium, c):
    """Without Dirichlet nodes the integral of c u is that of f, however small c is."""
    A, fes = random_medium((32, 32), seed=6), H1(quads(64), order=1)
    u = solve_fine(A, fes, f=1 + x, reaction=c)
    nodes = u.vec.FV().NumPy().reshape(65, 65)
    mean = float(Load(nodes).vector((1, 1)).sum())
    assert c * mean == pytest.approx(1.5, rel=1e-5)
    problem = Problem.from_arrays(A, coarse=8, f=lambda x, y: 1 + x, natural=ALL, reaction=c)
    result = Corrector().correct_problem(problem, 8)
    assert result.status is Status.ACCEPTED
    assert c * float(Load(result.values).vector((1, 1)).sum()) == pytest.approx(1.5, rel=1e-4)


def test_a_reaction_that_is_lost_to_rounding_is_refused(random_medium):
    A = random_medium((16, 16), seed=7)
    with pytest.raises(InvalidProblem, match="too small for double precision"):
        Problem.from_arrays(A, coarse=4, natural=ALL, reaction=1e-14)
    with pytest.raises(InvalidProblem, match="too small for double precision"):
        PixelMultigrid(A, H1(quads(16), order=1), robin=1e-14)
    Problem.from_arrays(A, coarse=4, natural=ALL[:3], reaction=1e-14)  # a Dirichlet side holds it


@pytest.mark.parametrize("f", [0.0, None])
def test_exact_coarse_solutions_are_accepted(f):
    """For a constant coefficient u = x is exact on every mesh: whatever a network proposes is worse."""
    u = GridFunction(H1(quads(8), order=1, dirichlet=".*"))
    u.Set(x)
    result = correct(u, 1.0, scale=8, f=f, full=True, on_untrusted="raise")
    assert result.status is Status.ACCEPTED
    assert np.abs(result.values - np.linspace(0, 1, 65)).max() < 1e-9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": -1}, "tolerance must lie between 0 and 1"),
        ({"tolerance": "a"}, "tolerance must lie between 0 and 1"),
        ({"max_iterations": 0}, "max_iterations must be a whole number"),
    ],
)
def test_options_of_fine_solves(options, message):
    with pytest.raises(InvalidProblem, match=message):
        solve_fine(np.ones((4, 4)), H1(quads(8), order=1, dirichlet=".*"), **options)
