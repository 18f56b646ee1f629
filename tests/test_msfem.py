"""MsFEM and coarse Q1: properties on small grids, figures of an independent code at N=32, n=512 (slow)."""

import pickle

import numpy as np
import pytest
import reference

from ngs_nhcsr.errors import GridMismatch, InvalidProblem, NotCoercive
from ngs_nhcsr.solvers import norms, q1
from ngs_nhcsr.solvers.coarse import coarse_solve
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.msfem.msfem import MsFEM
from ngs_nhcsr.solvers.transfer import prolongate

VARIANTS = ["galerkin", "petrov-galerkin", "averaged"]


def coefficient(shape, seed=0, contrast=10.0):
    return np.where(np.random.default_rng(seed).random(shape) < 0.5, 1.0, contrast)


@pytest.mark.parametrize("oversampling", [0, 0.5, 1])
def test_basis_is_a_nodal_partition_of_unity(oversampling):
    N, n = (4, 6), (32, 24)
    basis = MsFEM(coefficient((16, 12)), N, n, oversampling, size=(2.0, 1.0)).basis
    np.testing.assert_allclose(basis @ np.ones(35), 1.0, atol=1e-12)
    fields = basis.toarray().reshape(33, 25, 35)
    np.testing.assert_allclose(fields[::8, ::4].reshape(35, 35), np.eye(35), atol=1e-12)
    inner = np.pad(np.ones((3, 5), bool), 1).ravel()
    boundary = np.ones((33, 25), bool)
    boundary[1:-1, 1:-1] = False
    assert np.abs(fields[boundary][:, inner]).max() < 1e-12


def test_linear_basis_is_harmonic_in_every_cell_and_bilinear_for_a_constant_coefficient():
    A = coefficient((8, 8))
    basis = MsFEM(A, 4, 16).basis.toarray()
    residual = (q1.stiffness(A, (16, 16)) @ basis).reshape(17, 17, 25)
    off_skeleton = np.arange(17) % 4 != 0
    assert np.abs(residual[off_skeleton][:, off_skeleton]).max() < 1e-12
    unit = np.eye(25).reshape(25, 5, 5)
    for oversampling in (0, 0.5, 1):
        plain = MsFEM(np.ones((1, 1)), 4, 16, oversampling)
        hats = np.stack([prolongate(u, (16, 16)).ravel() for u in unit], 1)
        np.testing.assert_allclose(plain.basis.toarray(), hats, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("oversampling", [0, 0.5, 1])
def test_constant_coefficient_gives_coarse_q1(variant, oversampling):
    A, coarse_f, size = np.full((2, 2), 3.0), np.random.default_rng(0).random((7, 5)), (1.0, 2.0)
    solver = MsFEM(A, (6, 4), (24, 32), oversampling, variant, size)
    U = coarse_solve(A, (6, 4), coarse_f, size=size)
    f = prolongate(coarse_f, (24, 32))
    np.testing.assert_allclose(solver.solve_coarse(f), U, atol=1e-12)
    np.testing.assert_allclose(solver.solve(f), prolongate(U, (24, 32)), atol=1e-12)


def test_matrix_is_that_of_the_conforming_basis():
    """Without oversampling the element-wise, the averaged and the assembled matrix are one."""
    A, N, n, size = coefficient((16, 8)), (4, 4), (32, 16), (1.0, 3.0)
    galerkin, averaged = MsFEM(A, N, n, 0, "galerkin", size), MsFEM(A, N, n, 0, "averaged", size)
    expected = galerkin.basis.T @ (q1.stiffness(A, n, size) @ galerkin.basis)
    np.testing.assert_allclose(galerkin.K.toarray(), expected.toarray(), atol=1e-11)
    np.testing.assert_allclose(averaged.K.toarray(), expected.toarray(), atol=1e-11)
    f = lambda x, y: np.exp(x) * y  # noqa: E731
    np.testing.assert_allclose(galerkin.solve(f), averaged.solve(f), atol=1e-12)


@pytest.mark.parametrize("oversampling", [0, 1])
def test_energy_identity_of_the_conforming_methods(oversampling):
    A = coefficient((32, 32))
    fine = fine_solve(A, 64, method="direct")
    u = MsFEM(A, 8, 64, oversampling, "averaged").solve()
    left = norms.energy_norm(fine, A) ** 2 - norms.energy_norm(u, A) ** 2
    assert left == pytest.approx(norms.energy_norm(fine - u, A) ** 2, rel=1e-8)


def test_oversampling_helps():
    A = coefficient((32, 32))
    fine = fine_solve(A, 64, method="direct")
    error = {
        (o, v): norms.relative_errors(MsFEM(A, 8, 64, o, v).solve(), fine, A)["energy"]
        for o in (0, 1)
        for v in ("galerkin", "petrov-galerkin", "averaged")
    }
    assert error[1, "averaged"] < 0.5 * error[0, "averaged"]
    assert error[1, "petrov-galerkin"] < 0.5 * error[0, "petrov-galerkin"]


def test_pickle_keeps_everything():
    solver = MsFEM(coefficient((8, 8)), 4, 16, 0.5)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(solver)).solve(2.0), solver.solve(2.0))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"n": 15}, GridMismatch),
        ({"A": np.ones((3, 3))}, GridMismatch),
        ({"A": np.zeros((4, 4))}, NotCoercive),
        ({"A": np.full((4, 4), np.nan)}, InvalidProblem),
        ({"oversampling": 0.3}, GridMismatch),
        ({"oversampling": -1}, InvalidProblem),
        ({"variant": "ritz"}, InvalidProblem),
    ],
)
def test_wrong_arguments_raise(arguments, error):
    with pytest.raises(error):
        MsFEM(**{"A": np.ones((4, 4)), "N": 4, "n": 16, **arguments})


def test_coarse_means():
    A = np.array([[1.0, 4.0], [1.0, 4.0]])
    for mean, value in (("arithmetic", 2.5), ("harmonic", 1.6), ("geometric", 2.0)):
        found = coarse_solve(np.tile(A, (2, 2)), 2, mean=mean)
        np.testing.assert_allclose(found, coarse_solve(np.full((2, 2), value), 2), rtol=1e-12)
    with pytest.raises(GridMismatch):
        coarse_solve(A, 4, mean="harmonic")
    with pytest.raises(InvalidProblem, match="mean"):
        coarse_solve(A, 2, mean="median")


@pytest.mark.parametrize("mean", ["galerkin", "arithmetic", "harmonic", "geometric"])
def test_coarse_solution_of_a_resolved_coefficient_is_the_fine_one(mean):
    A, f = coefficient((4, 6)), lambda x, y: x + y
    fine = fine_solve(A, (8, 12), f, method="direct", size=(1.0, 2.0))
    np.testing.assert_allclose(
        coarse_solve(np.kron(A, np.ones((2, 2))), (8, 12), f, mean, (1.0, 2.0)), fine, atol=1e-13
    )


@pytest.mark.slow
@pytest.mark.parametrize("method", [m for m in reference.FIGURES["errors"]["rand_1_10"] if not m.startswith("lod")])
@pytest.mark.parametrize("case", list(reference.FIGURES["errors"]))
def test_errors_are_those_of_the_independent_code(case, method):
    A, u = reference.medium(case), reference.fine(case)
    kind, *rest = method.split("_")
    if kind == "coarse":
        v = prolongate(coarse_solve(A, reference.N, mean=rest[0]), (reference.n,) * 2)
    else:
        v = MsFEM(A, reference.N, reference.n, float(rest[0]), rest[1]).solve()
    expected = reference.FIGURES["errors"][case][method]
    np.testing.assert_allclose(list(norms.relative_errors(v, u, A).values()), expected, rtol=1e-4)
