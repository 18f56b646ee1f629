"""LOD: against its defining equations on small grids, against gridlod's figures at N=32, n=512 (slow)."""

import pickle

import numpy as np
import pytest
import reference

from ngs_nhcsr.errors import GridMismatch, InvalidProblem, NotCoercive
from ngs_nhcsr.solvers import norms, q1
from ngs_nhcsr.solvers.coarse import coarse_solve
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.lod.lod import LOD
from ngs_nhcsr.solvers.lod.quasi_interpolation import quasi_interpolation
from ngs_nhcsr.solvers.transfer import prolongate

# Rectangles, different cell shapes in y and x, more layers than cells, the smallest ratio.
GRIDS = [((8, 8), (64, 64), 2, (1.0, 1.0)), ((4, 6), (32, 24), 1, (2.0, 1.0)), ((3, 5), (6, 20), 2, (1.0, 2.5))]
IDEAL = 99


def coefficient(n, seed=0, contrast=10.0):
    ny, nx = n
    shape = (ny // 2, nx // 2)
    return np.where(np.random.default_rng(seed).random(shape) < 0.5, 1.0, contrast)


def hats(N, n):
    """Coarse hats on the fine grid, dense (fine nodes, coarse nodes)."""
    unit = np.eye((N[0] + 1) * (N[1] + 1)).reshape(-1, N[0] + 1, N[1] + 1)
    return np.stack([prolongate(u, n).ravel() for u in unit], 1)


def free_nodes(n):
    inside = np.zeros((n[0] + 1, n[1] + 1), bool)
    inside[1:-1, 1:-1] = True
    return inside.ravel()


@pytest.fixture(scope="module")
def small():
    A = coefficient((64, 64))
    return A, LOD(A, 8, 64, layers=2, rhs_correctors=True).assemble()


@pytest.mark.parametrize(("N", "n", "layers", "size"), GRIDS)
def test_quasi_interpolation_is_a_projection_with_correctors_in_its_kernel(N, n, layers, size):
    I_H, P, inside = quasi_interpolation(N, n), hats(N, n), free_nodes(N)
    np.testing.assert_allclose((I_H @ P)[inside][:, inside], np.eye(inside.sum()), atol=1e-12)
    lod = LOD(coefficient(n), N, n, layers, size=size).assemble()
    correctors = P - lod.basis.toarray()
    assert np.abs(I_H @ correctors).max() < 1e-12
    assert np.abs(correctors[~free_nodes(n)]).max() == 0
    assert np.abs(correctors).max() > 0.05


@pytest.mark.parametrize(("N", "n", "layers", "size"), GRIDS)
def test_corrector_solves_the_saddle_point_problem_on_its_patch(N, n, layers, size):
    A = coefficient(n)
    lod = LOD(A, N, n, layers, size=size).assemble()
    P, K, I_H = hats(N, n), q1.stiffness(A, n, size), quasi_interpolation(N, n)
    z = np.ravel_multi_index((N[0] // 2, N[1] // 2), (N[0] + 1, N[1] + 1))
    expected = P[:, z].copy()
    for dy in (1, 0):
        for dx in (1, 0):
            cell = (N[0] // 2 - dy, N[1] // 2 - dx)
            expected -= element_corrector(K, I_H, P[:, z], A, N, n, cell, layers, size)
    np.testing.assert_allclose(lod.basis[:, [z]].toarray().ravel(), expected, atol=1e-10)


def element_corrector(K, I_H, hat, A, N, n, cell, layers, size):
    """One corrector by a dense global saddle point: the definition, without any of the package's shortcuts."""
    r = (n[0] // N[0], n[1] // N[1])
    fine = np.kron(A, np.ones((2, 2)))
    only = np.zeros_like(fine)
    only[cell[0] * r[0] : (cell[0] + 1) * r[0], cell[1] * r[1] : (cell[1] + 1) * r[1]] = 1
    load = q1.stiffness(np.where(only > 0, fine, 1e-300), n, size) @ hat
    inside = np.zeros((n[0] + 1, n[1] + 1), bool)
    low = [max(0, c - layers) * s for c, s in zip(cell, r, strict=True)]
    high = [min(m, (c + layers + 1) * s) for c, s, m in zip(cell, r, n, strict=True)]
    inside[low[0] + 1 : high[0], low[1] + 1 : high[1]] = True
    inside = np.flatnonzero(inside)
    C = I_H[:, inside].toarray()
    C = C[np.abs(C).max(1) > 0]
    saddle = np.block([[K[inside][:, inside].toarray(), C.T], [C, np.zeros((len(C), len(C)))]])
    q = np.zeros(K.shape[0])
    q[inside] = np.linalg.solve(saddle, np.concatenate([load[inside], np.zeros(len(C))]))[: len(inside)]
    return q


def test_ideal_basis_is_orthogonal_to_the_kernel_of_the_quasi_interpolation():
    N, n, size = (4, 5), (16, 20), (1.0, 1.3)
    A = coefficient(n, contrast=100.0)
    lod = LOD(A, N, n, IDEAL, size=size).assemble()
    I_H, P, inside = quasi_interpolation(N, n), hats(N, n), free_nodes(n)
    w = np.random.default_rng(1).standard_normal((inside.size, 20)) * inside[:, None]
    w -= (P * free_nodes(N)) @ (I_H @ w)
    assert np.abs(I_H @ w).max() < 1e-12
    products = w.T @ (q1.stiffness(A, n, size) @ lod.basis)
    assert np.abs(products).max() < 1e-9


@pytest.mark.parametrize("variant", ["galerkin", "petrov-galerkin"])
def test_coarse_matrix_is_that_of_the_basis(variant):
    N, n, size = (4, 6), (32, 24), (2.0, 1.0)
    A = coefficient(n)
    lod = LOD(A, N, n, 1, variant, size=size).assemble()
    test = lod.basis.toarray() if variant == "galerkin" else hats(N, n)
    expected = test.T @ (q1.stiffness(A, n, size) @ lod.basis)
    np.testing.assert_allclose(lod.K.toarray(), expected, atol=1e-10)


def test_corrected_basis_is_a_partition_of_unity(small):
    _, lod = small
    np.testing.assert_allclose(lod.basis @ np.ones(81), 1.0, atol=1e-12)


def test_galerkin_energy_identity(small):
    A, _ = small
    lod = LOD(A, 8, 64, layers=1).assemble()
    f = lambda x, y: 1 + x * y  # noqa: E731
    u = lod.solve(f)
    fine = fine_solve(A, 64, f, method="direct")
    left = norms.energy_norm(fine, A) ** 2 - norms.energy_norm(u, A) ** 2
    assert left == pytest.approx(norms.energy_norm(fine - u, A) ** 2, rel=1e-8)


@pytest.mark.parametrize("variant", ["galerkin", "petrov-galerkin"])
@pytest.mark.parametrize("f", [1.0, lambda x, y: np.sin(7 * x) * np.cos(40 * y)], ids=["constant", "rough"])
def test_ideal_patches_with_rhs_correctors_give_the_fine_solution(variant, f):
    N, n, size = (4, 5), (24, 20), (1.0, 1.5)
    A = coefficient(n, contrast=100.0)
    lod = LOD(A, N, n, IDEAL, variant, rhs_correctors=True, size=size).assemble()
    fine = fine_solve(A, n, f, method="direct", size=size)
    u = lod.solve(f)
    assert norms.relative_errors(u, fine, A, size)["energy"] < 1e-9
    again = lod.reconstruct(lod.solve_coarse(f), f)
    np.testing.assert_array_equal(again, u)


def test_rhs_correctors_agree_between_stored_and_new_patch_problems(small):
    """A load that is bilinear on coarse cells uses stored correctors; the same load plus noise solves patches."""
    _, lod = small
    f = 1 + prolongate(np.random.default_rng(0).random((9, 9)), (64, 64))
    noise = np.zeros_like(f)
    noise[5, 5] = 1e-10
    np.testing.assert_allclose(lod.solve(f + noise), lod.solve(f), rtol=1e-7, atol=1e-12)


def test_localisation_error_decays_exponentially_once_f_has_correctors():
    A = coefficient((64, 64))
    fine = fine_solve(A, 64, method="direct")
    errors = [
        norms.relative_errors(LOD(A, 8, 64, k, rhs_correctors=True).solve(), fine, A)["energy"] for k in (1, 2, 3)
    ]
    assert errors[1] < errors[0] / 2.5
    assert errors[2] < errors[1] / 2.5
    assert errors[2] < 0.1 * norms.relative_errors(LOD(A, 8, 64, 3).solve(), fine, A)["energy"]


def test_energy_error_is_first_order_whatever_the_period_while_coarse_q1_stagnates():
    n = 128
    x = (np.arange(n) + 0.5) / n
    for period in (4, 8):  # in fine cells, at most one coarse cell: never resolved on the coarse grid
        wave = 1.05 + np.sin(2 * np.pi * x * n / period + 0.3)
        A = np.outer(wave, wave)
        fine = fine_solve(A, n, method="direct")
        lod, coarse = [], []
        for N, k in ((4, 2), (8, 3), (16, 3)):
            lod.append(norms.relative_errors(LOD(A, N, n, k).solve(), fine, A)["energy"])
            coarse.append(norms.relative_errors(prolongate(coarse_solve(A, N), (n, n)), fine, A)["energy"])
        assert lod[1] < 0.65 * lod[0]
        assert lod[2] < 0.65 * lod[1]
        assert lod[2] < 0.1
        assert min(coarse) > 0.5


def test_pickle_keeps_everything(small):
    _, lod = small
    copy = pickle.loads(pickle.dumps(lod))
    np.testing.assert_array_equal(copy.solve(2.0), lod.solve(2.0))


@pytest.mark.parametrize("variant", ["galerkin", "petrov-galerkin"])
def test_update_equals_a_new_assembly(variant):
    A = coefficient((48, 64))
    lod = LOD(A, (6, 8), (48, 64), 1, variant, rhs_correctors=True).assemble()
    assert lod.update(A) == 0
    B = A.copy()
    B[1, 2] *= 3  # coarse cell (0, 0): its 2 x 2 neighbours
    B[12, 16] += 1  # coarse cell (3, 4): 3 x 3
    assert lod.update(B) == 4 + 9
    new = LOD(B, (6, 8), (48, 64), 1, variant, rhs_correctors=True).assemble()
    np.testing.assert_allclose(lod.K.toarray(), new.K.toarray(), atol=1e-12)
    np.testing.assert_allclose(lod.solve(), new.solve(), atol=1e-13)


def test_two_workers_give_what_one_gives(small):
    A, _ = small
    alone = LOD(A, 8, 64, layers=1).assemble()
    pool = LOD(A, 8, 64, layers=1, workers=2).assemble()
    np.testing.assert_allclose(pool.basis.toarray(), alone.basis.toarray(), atol=1e-12)


def test_solve_assembles_on_demand_and_is_linear(small):
    A, _ = small
    lod = LOD(A, 8, 64, layers=1, variant="petrov-galerkin")
    np.testing.assert_allclose(lod.solve(lambda x, y: 3 * x + 0 * y), 3 * lod.solve(lambda x, y: x + 0 * y))
    assert lod.solve_coarse().shape == (9, 9)


def test_estimate_grows_with_the_work(small):
    A, _ = small
    costs = [LOD(A, 8, 64, k, rhs_correctors=r).estimate() for k, r in ((1, False), (2, False), (2, True))]
    assert costs == sorted(costs)
    assert [c.seconds for c in costs] == sorted(c.seconds for c in costs)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"n": 60}, GridMismatch),
        ({"n": 8}, GridMismatch),
        ({"A": np.ones((48, 48))}, GridMismatch),
        ({"A": -np.ones((8, 8))}, NotCoercive),
        ({"layers": 0}, InvalidProblem),
        ({"variant": "ritz"}, InvalidProblem),
        ({"N": (8, 8, 8)}, InvalidProblem),
    ],
)
def test_wrong_arguments_raise(arguments, error):
    with pytest.raises(error):
        LOD(**{"A": np.ones((8, 8)), "N": 8, "n": 64, **arguments})


def test_reconstruct_rejects_what_it_cannot_use(small):
    A, lod = small
    with pytest.raises(InvalidProblem, match="coarse nodes"):
        lod.reconstruct(np.zeros((8, 8)))
    with pytest.raises(InvalidProblem, match="rhs_correctors"):
        LOD(A, 8, 64).reconstruct(np.zeros((9, 9)), f=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["galerkin", "petrov-galerkin"])
@pytest.mark.parametrize(
    ("case", "layers"),
    [
        (case, k)
        for case, found in reference.FIGURES["errors"].items()
        for k in (1, 2, 3)
        if f"lod_k{k}_galerkin" in found
    ],
)
def test_errors_are_those_of_gridlod(case, layers, variant):
    A, u = reference.medium(case), reference.fine(case)
    assert norms.energy_norm(u, A) ** 2 == pytest.approx(reference.FIGURES["fine_energy_sq"][case], rel=1e-9)
    errors = norms.relative_errors(LOD(A, reference.N, reference.n, layers, variant).solve(), u, A)
    expected = reference.FIGURES["errors"][case][f"lod_k{layers}_{variant}"]
    np.testing.assert_allclose(list(errors.values()), expected, rtol=1e-4)
