"""Refinement, estimates, flags and guaranteed bounds of a correction."""

import copy
import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import quads, solve_on, voxel

from ngs_nhcsr import Corrector, InvalidProblem, NhcsrWarning, Status, UntrustedResult, correct
from ngs_nhcsr.budget import ACCEPTED_UP_TO, Budget
from ngs_nhcsr.refine import AUTOMATIC, Refiner
from ngs_nhcsr.result import report
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.norms import energy_norm, functional, relative_errors
from ngs_nhcsr.solvers.q1 import mass_apply
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.transfer import prolongate


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
    f_of_v = float((result.problem.load.vector((256, 256)) * result.values).sum())
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
    "options",
    [
        {"refine": -1},
        {"refine": 1.5},
        {"refine": True},
        {"refine_to": 2.0},
        {"refine_to": "x"},
        {"refine": 2, "refine_to": 1e-3},
    ],
)
def test_senseless_refinement(case, options):
    with pytest.raises(InvalidProblem, match="refine"):
        correct(case[1], voxel(case[0]), 4, **options)


def example(name):
    """An example of this repository as a module."""
    folder = Path(__file__).parent.parent / "examples"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        return importlib.import_module(name)


def spoilt(monkeypatch, case, share):
    """Corrector whose network returns the coarse solution moved by ``share`` of the way to u_h."""
    A, u, reference = case
    corrector = Corrector()
    coarse = prolongate(corrector(u, voxel(A), 2).problem.U, (256, 256))
    monkeypatch.setattr(Corrector, "_predict", lambda *_, **__: coarse + share * (reference - coarse))
    return corrector, (1 - share) * relative_errors(coarse, reference, A)["energy"]


def test_error_estimate_is_near_the_error_and_the_refinements_where_there_is_one(case):
    A, u, reference = case
    corrector = Corrector()
    for steps in (0, 1, 2):
        result = corrector(u, voxel(A), 16, refine=steps)
        error = relative_errors(result.values, reference, A)["energy"]
        assert 0.9 * error <= result.error_estimate <= 1.05 * error
        if steps:
            assert result.error_estimate == result.refinement.after


def test_large_errors_are_refined_away_unless_that_is_forbidden(case, monkeypatch):
    A, u, reference = case
    corrector, error = spoilt(monkeypatch, case, 0.3)
    assert error > ACCEPTED_UP_TO
    result = corrector(u, voxel(A), 16, refine=0, on_untrusted="return")
    assert result.status is Status.INACCURATE
    assert result.energy < result.coarse_energy
    assert result.error_estimate == pytest.approx(error, rel=0.05)
    with pytest.raises(UntrustedResult, match=r"INACCURATE: .*estimated at .* fine scales; refine_to="):
        report(result, "raise")
    with pytest.warns(NhcsrWarning, match="INACCURATE"):
        report(result, "warn")
    refined = corrector(u, voxel(A), 16, refine=2)
    assert refined.status is Status.ACCEPTED
    assert refined.error_estimate < 0.1
    automatic = corrector(u, voxel(A), 16, on_untrusted="raise")
    assert not automatic.notes
    assert f"and {automatic.refinement.steps} multigrid steps" in str(automatic)
    assert relative_errors(automatic.values, reference, A)["energy"] < 1.1 * AUTOMATIC
    b = automatic.problem.load_vector((256, 256))
    assert automatic.energy == pytest.approx(functional(automatic.values, Medium(A), b, (1.0, 1.0)), rel=1e-12)


def test_small_errors_are_not_flagged(case, monkeypatch):
    corrector, error = spoilt(monkeypatch, case, 0.97)
    assert 0.01 < error < 0.04
    result = corrector(case[1], voxel(case[0]), 16, refine=0, on_untrusted="raise")
    assert result.status is Status.ACCEPTED
    assert "fine scales" in result.notes[0]  # told, since above 1 %


def test_rejected_fields_are_replaced_and_refined(case, monkeypatch):
    A, u, reference = case
    corrector, error = spoilt(monkeypatch, case, -0.1)
    result = corrector(u, voxel(A), 16, refine=0, on_untrusted="return")
    assert result.status is Status.DAMPED or result.status is Status.REJECTED
    true = relative_errors(result.values, reference, A)["energy"]
    assert true < error
    assert result.error_estimate == pytest.approx(true, rel=0.1)
    monkeypatch.setattr(Corrector, "_predict", lambda *_, **__: np.full_like(reference, np.nan))
    refined = corrector(u, voxel(A), 16, on_untrusted="raise")
    assert relative_errors(refined.values, reference, A)["energy"] < 1.1 * AUTOMATIC


def test_an_error_that_cannot_be_estimated_is_not_accepted():
    status, notes = Budget(float("nan")).judge(Status.ACCEPTED, ())
    assert status is Status.INACCURATE
    assert "could not be estimated" in notes[0]


@pytest.mark.parametrize("parts", [(1e-4, 0.0, 0.0), (None, 0.03, 0.01), (1e-4, 0.03, 0.03), (0.2, 0.0, 0.0)])
def test_the_status_is_judged_by_the_sum_of_the_budget(parts):
    budget = Budget(*parts)
    total = sum(p or 0.0 for p in parts)
    assert budget.total == pytest.approx(total)
    status, notes = budget.judge(Status.ACCEPTED, ())
    assert status is (Status.ACCEPTED if total <= ACCEPTED_UP_TO else Status.INACCURATE)
    assert bool(notes) == (total > 0.01)
    assert budget.judge(Status.UNVERIFIED, ())[0] is Status.UNVERIFIED


def test_no_estimate_without_a_load(case, random_medium):
    with pytest.raises(InvalidProblem, match="needs the load"):
        _ = Corrector()(case[1], random_medium((64, 64), seed=99), 4).error_estimate
    with pytest.raises(InvalidProblem, match="needs the load"):
        _ = Corrector()(case[1], voxel(case[0]), 1).error_estimate


@pytest.mark.parametrize("factor", [1.0, 1e-20, 1e20])
@pytest.mark.parametrize("contrast", [10.0, 1e5])
def test_estimate_in_either_precision_and_any_units(random_medium, factor, contrast):
    A = random_medium((16, 16), contrast=contrast)
    b = mass_apply(np.ones((65, 65)))
    u = fine_solve(A, 64, method="direct")
    v = prolongate(fine_solve(A, 16, method="direct"), (64, 64))
    error = relative_errors(v, u, A)["energy"]
    estimate = Refiner(Medium(A / factor), Space((64, 64))).error
    assert 0.85 * error <= estimate(factor * v, b) <= 1.15 * error
    assert estimate(0 * v, 0 * b) == 0


def test_boundary_values_without_a_load_are_refined_to_a_tolerance(random_medium):
    """The energy is that of the boundary values; the load, which is zero, is no measure of it."""
    A, b = random_medium((16, 16)), np.zeros((65, 65))
    medium, fine, inside = Medium(A), Space((64, 64)), np.pad(np.ones((63, 63), bool), 1)
    start = np.add.outer(np.linspace(0, 1, 65) ** 2, np.linspace(0, 1, 65))
    refiner = Refiner(medium, fine)
    exact = refiner.refine(start, b, steps=30).field
    np.testing.assert_array_equal(exact[~inside], start[~inside])
    error = relative_errors(start, exact, A)["energy"]
    result = refiner.refine(start, b, tolerance=1e-4)
    assert result.converged
    assert result.steps < 15
    assert 0.9 * error <= result.before <= 1.001 * error
    assert relative_errors(result.field, exact, A)["energy"] < 2e-4
    assert refiner.error(start, b) == pytest.approx(error, rel=0.1)


def spoiled():
    """A corrector that is wrong wherever something is learned: other weights, and no local solves to repair them."""
    model = Corrector(device="cpu").model
    network = copy.deepcopy(model.network)
    network.architecture = replace(network.architecture, local_solves=False)
    for p in network.parameters():
        p.mul_(1.5)
    return Corrector(replace(model, network=network))


def check_stress(seeds, largest):
    """A third of the problems with the shipped model, the others with one whose fields are bad."""
    stress = example("guard_stress")
    correctors = (Corrector(device="cpu"), spoiled())
    trials = [t for t in (stress.run(correctors[s % 3 > 0], s, largest) for s in seeds) if t is not None]
    lines = stress.summary(trials)
    assert all(t.finite and not t.violated for t in trials), lines
    large = [t for t in trials if t.error > stress.LARGE_ERROR]
    assert sum(not t.status.trusted for t in large) >= 0.99 * len(large), lines
    small = [t for t in trials if t.error < stress.SMALL_ERROR]
    assert sum(t.status is Status.INACCURATE for t in small) <= 0.05 * len(small), lines
    assert len(large) > len(trials) / 6
    return lines


def test_problems_far_from_training_are_guarded_and_flagged():
    check_stress(range(60), 192)  # meshes smaller than this mostly have scales that are exact


@pytest.mark.slow
def test_two_hundred_problems_far_from_training_are_guarded_and_flagged():
    check_stress(range(1000, 1200), 256)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "limit"), [("iid 1:10", 1.5), ("iid 1:100", 2.5), ("checkerboard 1:10", 1.5), ("wave 1:19", 1.5)]
)
def test_bounds_hold_for_all_methods_on_the_reference_cases(name, limit):
    rows, _, _ = example("error_bounds").measure(name, 32, 512, Corrector(device="cpu"))
    for method, _, _, _, index in rows:
        assert 1 <= index <= limit, method


@pytest.mark.slow
def test_refinement_of_the_reference_media():
    table = example("refine_table")
    for contrast, limits in ((10.0, {1: 0.02, 2: 0.004}), (100.0, {3: 0.10})):
        errors, _ = table.measure(contrast, 32, 512, 2, Corrector(device="cpu"))
        for steps, limit in limits.items():
            assert errors["network"][steps] <= limit
            assert errors["network"][steps] < min(errors["coarse solution"][steps], errors["zero"][steps])
