"""Q1 matrices and norms: against NGSolve, against mathematics, and two own paths against each other."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from conftest import quads, solve_on, voxel
from ngsolve import InnerProduct

from ngs_nhcsr.ngsolve_io.fine_solve import ngsolve_solve
from ngs_nhcsr.solvers import norms, q1
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.stencil import Stencil, galerkin_elements
from ngs_nhcsr.solvers.transfer import prolongate


def test_matrix_equals_ngsolves(random_medium):
    A = random_medium((8, 16))
    gfu, form = solve_on(quads(16, 8), voxel(A))
    values, columns, pointers = form.mat.CSR()
    theirs = sp.csr_matrix((np.array(values), np.array(columns), np.array(pointers)))
    ours = q1.stiffness(A, (8, 16))
    assert abs(ours - theirs).max() <= 1e-12 * abs(theirs).max()
    v = gfu.vec.FV().NumPy()
    ours_energy = norms.energy_norm(v.reshape(9, 17), A) ** 2
    assert InnerProduct(form.mat * gfu.vec, gfu.vec) == pytest.approx(ours_energy, rel=1e-12)


@pytest.mark.parametrize(("raster", "mesh"), [((4, 6), (8, 12)), ((8, 12), (4, 6)), ((8, 8), (3, 5)), ((5, 7), (7, 5))])
def test_coefficient_is_integrated_exactly_on_any_mesh(raster, mesh):
    rng = np.random.default_rng(0)
    A = rng.random(raster) + 0.1
    common = tuple(int(np.lcm(m, n)) for m, n in zip(raster, mesh, strict=True))
    size = (1.0, 2.5)
    v = rng.standard_normal((mesh[0] + 1, mesh[1] + 1))
    on_common = norms.energy_product(prolongate(v, common), prolongate(v, common), A, size)
    assert norms.energy_product(v, v, A, size) == pytest.approx(on_common, rel=1e-12)
    assert v.ravel() @ q1.stiffness(A, mesh, size) @ v.ravel() == pytest.approx(on_common, rel=1e-12)


@pytest.mark.parametrize(("raster", "mesh"), [((4, 6), (8, 12)), ((8, 12), (4, 6)), ((6, 6), (4, 4))])
def test_torch_twin_of_the_element_matrices(raster, mesh):
    A = np.random.default_rng(1).random(raster) + 0.1
    K = q1.element_matrices(A, mesh, (1.0, 3.0))
    T = galerkin_elements(torch.from_numpy(A)[None], mesh, (1.0, 3.0))[0]
    np.testing.assert_allclose(T.numpy(), K, rtol=1e-12, atol=1e-14)
    v = np.random.default_rng(2).standard_normal((mesh[0] + 1, mesh[1] + 1))
    applied = Stencil.from_elements(T[None]).apply(torch.from_numpy(v)[None])[0].numpy()
    np.testing.assert_allclose(applied.ravel(), q1.assemble(K) @ v.ravel(), atol=1e-11)


def test_l2_norm_and_load():
    x = np.linspace(0, 1, 9)[None, :] * np.ones((5, 1))
    assert norms.l2_norm(x) == pytest.approx(3**-0.5)
    assert q1.mass_apply(np.ones((5, 9)), (2.0, 3.0)).sum() == pytest.approx(6.0)


@pytest.mark.parametrize("method", ["direct", "multigrid"])
def test_manufactured_solution_converges_at_rates_2_and_1(method):
    def exact(n):
        t = np.linspace(0, 1, n + 1)
        return np.sin(np.pi * t)[:, None] * np.sin(np.pi * t)[None, :]

    one, errors = np.ones((1, 1)), []
    for n in (8, 16, 32, 64):
        f = lambda x, y: 2 * np.pi**2 * np.sin(np.pi * x) * np.sin(np.pi * y)  # noqa: E731
        v = prolongate(fine_solve(one, n, f, method=method), (256, 256))
        e = v - exact(256)
        errors.append((norms.l2_norm(e), norms.energy_norm(e, one)))
    rates = np.log2(np.array(errors[:-1]) / np.array(errors[1:])).mean(0)
    np.testing.assert_allclose(rates, [2.0, 1.0], atol=0.12)


def test_the_three_fine_solvers_agree(random_medium):
    A = random_medium((16, 16))
    u = fine_solve(A, 64, method="direct")
    assert norms.relative_errors(fine_solve(A, 64, method="multigrid"), u, A)["energy"] < 1e-7
    assert norms.relative_errors(ngsolve_solve(A, 64), u, A)["energy"] < 1e-9
