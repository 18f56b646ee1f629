import numpy as np
import pytest
import torch

from ngs_nhcsr.solvers.flux.equilibration import averaged_flux, divergence, hierarchical_flux, rotation
from ngs_nhcsr.solvers.multigrid import Multigrid


@pytest.mark.parametrize("shape", [(1, 1), (1, 8), (3, 5), (7, 24), (64, 64)])
@pytest.mark.parametrize("contrast", [1.0, 1e8])
def test_hierarchical_flux_has_the_prescribed_divergence(shape, contrast):
    rng = np.random.default_rng(6)
    load, a = rng.standard_normal(shape), contrast ** rng.random(shape)
    Q = hierarchical_flux(load, a, (2.0, 0.3))
    assert np.abs(divergence(Q) + load).max() < 1e-11
    psi = rng.standard_normal((shape[0] + 1, shape[1] + 1))
    assert np.abs(divergence(rotation(psi))).max() < 1e-14


def test_averaged_flux_of_a_linear_field_is_exact():
    y, x = np.meshgrid(np.linspace(0, 2, 9), np.linspace(0, 0.5, 6), indexing="ij")
    Qx, Qy = averaged_flux(3 * x - 4 * y, np.full((8, 5), 7.0), (2.0, 0.5))
    np.testing.assert_allclose(Qx, 21 * 0.25, rtol=1e-12)
    np.testing.assert_allclose(Qy, -28 * 0.1, rtol=1e-12)


def test_multigrid_solves_the_neumann_problem():
    rng = np.random.default_rng(7)
    A = torch.from_numpy(np.where(rng.random((16, 16)) < 0.5, 0.1, 1.0))[None]
    free = torch.ones(65, 65, dtype=torch.bool)
    mg = Multigrid(A, (64, 64), free=free)
    exact = torch.from_numpy(rng.standard_normal((1, 65, 65)))
    u, info = mg.solve(mg.levels[0].stencil.apply(exact), tolerance=1e-9)
    assert info.converged
    assert info.iterations <= 20
    e = u - exact
    assert float((e - e.mean()).abs().max()) < 1e-6
