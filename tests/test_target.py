"""Targets: one protocol of cells for both, energies that agree, and a solution for each."""

import numpy as np
import pytest

from ngs_nhcsr import PDE, FineQ1, Problem
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.norms import energy_distance, energy_norm
from ngs_nhcsr.solvers.q1 import reference_matrices
from ngs_nhcsr.solvers.target import aligned_ratio
from ngs_nhcsr.solvers.transfer import prolongate


@pytest.fixture(scope="module")
def problem(random_medium):
    return Problem.from_arrays(random_medium((16, 16), seed=41), coarse=4, f=lambda x, y: 1 + x * y)


@pytest.mark.parametrize("size", [(1.0, 1.0), (0.5, 1.0)])
def test_both_cells_have_the_element_matrix_of_q1_on_their_corners(random_medium, size):
    """Bilinear functions are harmonic, so that is their Schur complement in either cell, corners in one order."""
    p = Problem.from_arrays(random_medium((16, 16), seed=42), coarse=4, size=size)
    Kxx, Kyy, _ = reference_matrices(size[0], size[1])
    nodal, trace = FineQ1(16).cell(p.medium, p.space), PDE().cell(p.medium, p.space)
    np.testing.assert_allclose(nodal.hats @ nodal.stiffness @ nodal.hats.T, Kxx + Kyy, atol=1e-12)
    np.testing.assert_allclose(trace.stiffness[-4:, -4:], Kxx + Kyy, atol=1e-9)
    for cell in (nodal, trace):  # symmetric, and without energy for constants
        np.testing.assert_allclose(cell.stiffness, cell.stiffness.T, atol=1e-10)
    ones = np.concatenate([np.zeros(len(trace.stiffness) - 4), np.ones(4)])
    assert np.abs(trace.stiffness @ ones).max() < 1e-9
    assert np.abs(nodal.stiffness.sum(1)).max() < 1e-12


def test_edges_of_both_cells_come_in_one_order(random_medium):
    """Opposite edges of a symmetric cell have equal blocks, and symmetric ones between them."""
    p = Problem.from_arrays(random_medium((16, 16), seed=42), coarse=4)
    nodal, trace = FineQ1(16).cell(p.medium, p.space), PDE().cell(p.medium, p.space)
    for cell in (nodal, trace):
        n = (len(cell.stiffness) - 4) // 4
        blocks = [slice(k * n, (k + 1) * n) for k in range(4)]
        bottom, top, left, right = (cell.stiffness[b, b] for b in blocks)
        np.testing.assert_allclose(bottom, top, atol=1e-9)
        np.testing.assert_allclose(left, right, atol=1e-9)
        across, along = cell.stiffness[blocks[0], blocks[1]], cell.stiffness[blocks[2], blocks[3]]
        assert np.abs(across).max() < np.abs(bottom).max()
        np.testing.assert_allclose(across, across.T, atol=1e-9)
        np.testing.assert_allclose(along, along.T, atol=1e-9)


def test_fine_target_solves_what_the_fine_solver_solves(problem):
    fine = problem.space.refined(8)
    u = FineQ1(8).solve(problem, fine)
    np.testing.assert_allclose(u, fine_solve(problem.A, 32, problem.load.at((32, 32))), atol=1e-9)


def test_energies_of_the_targets_obey_pythagoras(problem):
    """E(u_h) − E(u) = ½ |||u − u_h|||², so the energies fall from mesh to mesh and that of u is below them all."""
    pde = PDE()
    u = pde.solve(problem)
    E, energies = pde.energy(u, problem), []
    for scale in (4, 8, 16):
        target, fine = FineQ1(scale), problem.space.refined(scale)
        energies.append(target.energy(target.solve(problem, fine), problem))
    assert energies[0] > energies[1] > energies[2] > E
    distances = [energy_distance(e, E, u.energy) for e in energies]
    coarser, finer = (FineQ1(s).solve(problem, problem.space.refined(s)) for s in (8, 16))
    between = energy_norm(finer - prolongate(coarser, (64, 64)), problem.medium)
    assert distances[1] ** 2 == pytest.approx(distances[2] ** 2 + between**2 / u.energy, rel=1e-3)
    assert pde.bound(u) < distances[2]


@pytest.mark.parametrize(("ratio", "aligned"), [(4.0, 4.0), (2.5, 2.0), (1.25, 1.0), (0.75, 0.5)])
def test_meshes_that_cut_the_raster_are_coarsened_to_one_that_does_not(ratio, aligned):
    assert aligned_ratio(ratio) == aligned
