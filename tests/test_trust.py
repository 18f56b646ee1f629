"""Refinement and guaranteed bounds of a correction."""

import numpy as np
import pytest
from conftest import quads, solve_on, voxel

from ngs_nhcsr import Corrector, InvalidProblem, correct
from ngs_nhcsr.grid import prolongate
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.q1 import energy_norm, relative_errors


@pytest.fixture(scope="module")
def case(random_medium):
    A = random_medium((64, 64), seed=21)
    u, _ = solve_on(quads(16), voxel(A))
    return A, u, fine_solve(A, 256, tolerance=1e-10)


def test_steps_lower_the_error_and_estimate_it(case):
    A, u, reference = case
    corrector = Corrector()
    error = [relative_errors(corrector(u, voxel(A), 16, refine=k).values, reference, A)["energy"] for k in range(4)]
    assert error[1] <= 0.02
    assert error[2] <= 0.004
    assert error[3] < 0.5 * error[2]
    refinement = corrector(u, voxel(A), 16, refine=2).refinement
    assert refinement.steps == 2
    assert 0.9 * error[0] <= refinement.before <= 1.01 * error[0]


def test_refine_to_reaches_its_tolerance(case):
    A, u, reference = case
    result = correct(u, voxel(A), 16, refine_to=1e-4, full=True)
    assert relative_errors(result.values, reference, A)["energy"] < 2e-4
    assert result.refinement.converged


def test_bound_holds_against_the_pde(case):
    """Against the energy of a four times finer solution, which is below that of u, and with it extrapolated."""
    A, u, _ = case
    energies = [energy_norm(fine_solve(A, n), A) ** 2 for n in (256, 512, 1024)]
    ratio = (energies[2] - energies[1]) / (energies[1] - energies[0])
    exact = energies[2] + (energies[2] - energies[1]) * ratio / (1 - ratio)
    result = Corrector()(u, voxel(A), 16)
    f_of_v = float((result.problem.load((256, 256)) * result.values).sum())
    true = np.sqrt(exact - 2 * f_of_v + energy_norm(result.values, A) ** 2)
    assert true <= result.error_bound <= 1.5 * true
    assert result.relative_error_bound >= true / np.sqrt(exact)
    coarse = prolongate(result.problem.U, (256, 256))
    assert result.flux.bound(coarse) > result.error_bound
    assert result.indicator.space.ndof == 256**2
    assert np.linalg.norm(result.indicator.vec.FV().NumPy()) == pytest.approx(result.error_bound, rel=1e-6)


def test_no_bound_without_a_load(case, random_medium):
    _, u, _ = case
    result = Corrector()(u, random_medium((64, 64), seed=99), 4)
    with pytest.raises(InvalidProblem, match="needs the load"):
        _ = result.error_bound
    assert any("not refined" in n for n in Corrector()(u, random_medium((64, 64), seed=99), 4, refine=1).notes)


@pytest.mark.parametrize(
    "options", [{"refine": -1}, {"refine": 1.5}, {"refine": True}, {"refine_to": 2.0}, {"refine_to": "x"}]
)
def test_senseless_refinement(case, options):
    with pytest.raises(InvalidProblem, match="refine"):
        correct(case[1], voxel(case[0]), 4, **options)
