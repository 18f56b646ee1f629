"""Dirichlet data of fine solves, coarse Q1, LOD and MsFEM."""

import pickle
from functools import partial

import numpy as np
import pytest

from ngs_nhcsr.errors import GridMismatch, InvalidProblem
from ngs_nhcsr.ngsolve_io.fine_solve import ngsolve_solve
from ngs_nhcsr.solvers import norms, q1
from ngs_nhcsr.solvers.coarse import coarse_solve
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.lod.lod import LOD
from ngs_nhcsr.solvers.msfem.msfem import MsFEM
from ngs_nhcsr.solvers.nesting import Nesting
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.transfer import prolongate

N, n, size = (4, 5), (24, 20), (1.0, 1.5)
A = np.where(np.random.default_rng(0).random((12, 10)) < 0.5, 1.0, 100.0)
EVERYWHERE = 99
LOADS = {"zero": 0.0, "one": 1.0, "rough": lambda x, y: np.sin(7 * x) * np.cos(40 * y)}
DATA = {"bilinear": lambda x, y: 1 + x * y - 2 * y, "rough": lambda x, y: np.sin(9 * x) + x * np.cos(14 * y)}


def on_boundary(u):
    return np.concatenate([u[0], u[-1], u[:, 0], u[:, -1]])


def error(u, reference):
    return norms.relative_errors(u, reference, A, size)["energy"]


@pytest.mark.parametrize("method", ["direct", "multigrid", "ngsolve"])
def test_fine_solve_takes_boundary_data(method):
    g = DATA["bilinear"]
    x, y = np.meshgrid(np.linspace(0, 1.5, 21), np.linspace(0, 1, 25))
    solve = ngsolve_solve if method == "ngsolve" else partial(fine_solve, method=method, tolerance=1e-12)
    u = solve(np.full((2, 2), 3.0), n, 0.0, size=size, g=g)
    np.testing.assert_allclose(u, g(x, y), atol=1e-10)  # bilinear functions are harmonic
    rough = solve(A, n, 1.0, size=size, g=DATA["rough"])
    inside = np.pad(np.ones((23, 19), bool), 1)
    residual = (q1.stiffness(A, n, size) @ rough.ravel()).reshape(25, 21) - q1.mass_apply(np.ones((25, 21)), size)
    assert np.abs(residual[inside]).max() < 1e-9
    np.testing.assert_array_equal(on_boundary(rough), on_boundary(np.broadcast_to(DATA["rough"](x, y), (25, 21))))


def test_coarse_solve_takes_boundary_data():
    raster = np.ones((4, 5))
    fine = fine_solve(raster, N, 2.0, size=size, g=DATA["rough"], method="direct")
    np.testing.assert_allclose(coarse_solve(raster, N, 2.0, size=size, g=DATA["rough"]), fine, atol=1e-13)


def test_split_is_exact_on_the_boundary():
    nesting = Nesting.of(N, n, size)
    values = np.random.default_rng(1).standard_normal((25, 21))
    coarse, remainder = nesting.split_boundary(values)
    np.testing.assert_allclose(on_boundary(prolongate(coarse, n) + remainder), on_boundary(values), atol=1e-14)
    assert not remainder[::6, ::4].any()
    assert not remainder[1:-1, 1:-1].any()
    assert not nesting.split_boundary(prolongate(values[::6, ::4], n))[1].any()
    with pytest.raises(InvalidProblem, match="shape"):
        nesting.split_boundary(np.ones((3, 3)))


def test_spaces_of_different_rectangles_are_not_nested():
    with pytest.raises(GridMismatch, match="differ in more than their cells"):
        Nesting(Space(N), Space(n, size=size))


@pytest.fixture(scope="module", params=["galerkin", "petrov-galerkin"])
def ideal(request):
    return [LOD(A, N, n, EVERYWHERE, request.param, rhs, size=size).assemble() for rhs in (False, True)]


@pytest.mark.parametrize("g", DATA)
@pytest.mark.parametrize("f", LOADS)
def test_patches_as_large_as_the_domain_give_the_fine_solution(ideal, f, g):
    """Without correctors of the load it is what they leave out, whatever the boundary data."""
    plain, with_rhs = ideal
    fine = fine_solve(A, n, LOADS[f], method="direct", size=size, g=DATA[g])
    assert error(with_rhs.solve(LOADS[f], DATA[g]), fine) < 1e-10
    u = plain.solve(LOADS[f], DATA[g])
    if f == "zero":
        assert error(u, fine) < 1e-10
    elif plain.variant == "galerkin":
        homogeneous = fine_solve(A, n, LOADS[f], method="direct", size=size)
        np.testing.assert_allclose(fine - u, homogeneous - plain.solve(LOADS[f]), atol=1e-10)


@pytest.mark.parametrize("variant", ["galerkin", "petrov-galerkin"])
def test_localisation_error_decays_and_the_boundary_is_exact(variant):
    raster = np.where(np.random.default_rng(2).random((32, 32)) < 0.5, 1.0, 10.0)
    g = DATA["rough"]
    fine = fine_solve(raster, 64, method="direct", g=g)
    errors = []
    for k in (1, 2, 3):
        u = LOD(raster, 8, 64, k, variant, rhs_correctors=True).solve(1.0, g)
        np.testing.assert_allclose(on_boundary(u), on_boundary(fine), atol=1e-13)
        errors.append(norms.relative_errors(u, fine, raster)["energy"])
    assert errors[1] < errors[0] / 2.5
    assert errors[2] < errors[1] / 2.5


def test_solution_is_affine_in_the_data_and_constants_are_exact(ideal):
    for lod in ideal:
        np.testing.assert_allclose(lod.solve(0.0, 5.0), 5.0, atol=1e-11)
        f, g = LOADS["rough"], DATA["rough"]
        np.testing.assert_allclose(lod.solve(f, g), lod.solve(f) + lod.solve(0.0, g), atol=1e-11)


def test_reconstruct_and_pickle_keep_boundary_data(ideal):
    _, lod = ideal
    f, g = LOADS["rough"], DATA["rough"]
    u = lod.solve(f, g)
    np.testing.assert_allclose(lod.reconstruct(lod.solve_coarse(f, g), f, g), u, atol=1e-14)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(lod)).solve(f, g), u)


@pytest.mark.parametrize("oversampling", [0, 0.5])
@pytest.mark.parametrize("variant", ["galerkin", "petrov-galerkin", "averaged"])
def test_msfem_takes_boundary_data(variant, oversampling):
    solver = MsFEM(A, N, n, oversampling, variant, size)
    np.testing.assert_allclose(solver.solve(0.0, 5.0), 5.0, atol=1e-11)
    for g in DATA.values():
        u = solver.solve(1.0, g)
        fine = fine_solve(A, n, 1.0, method="direct", size=size, g=g)
        np.testing.assert_allclose(on_boundary(u), on_boundary(fine), atol=1e-12)
    plain = MsFEM(np.full((2, 2), 3.0), N, n, oversampling, variant, size)
    u = plain.solve(0.0, DATA["bilinear"])
    np.testing.assert_allclose(u, fine_solve(np.ones((1, 1)), n, 0.0, size=size, g=DATA["bilinear"]), atol=1e-11)


def test_msfem_with_boundary_data_is_the_galerkin_solution_in_its_affine_space():
    g = DATA["rough"]
    solver = MsFEM(A, N, n, 0.5, "averaged", size)
    u = solver.solve(1.0, g)
    defect = q1.mass_apply(np.ones((25, 21)), size).ravel() - q1.stiffness(A, n, size) @ u.ravel()
    assert np.abs((solver.basis.T @ defect)[solver.nesting.coarse.free.ravel()]).max() < 1e-11
