import numpy as np
import pytest
import torch

from ngs_nhcsr.solvers import norms, q1
from ngs_nhcsr.solvers.blocktri import BlockTridiagonal
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.multigrid import Multigrid
from ngs_nhcsr.solvers.stencil import (
    Stencil,
    galerkin_elements,
    tensor_elements,
)
from ngs_nhcsr.solvers.transfer import prolongate_by_two, restrict_by_two


def load(cells):
    return torch.from_numpy(q1.mass_apply(np.ones((cells[0] + 1, cells[1] + 1))))[None]


@pytest.mark.parametrize(
    ("raster", "cells"), [((16, 16), (64, 64)), ((8, 24), (24, 72)), ((10, 10), (50, 50)), ((7, 7), (35, 35))]
)
def test_solution_equals_the_direct_solution_of_the_assembled_system(raster, cells, random_medium):
    A = random_medium(raster)
    u, info = Multigrid(torch.from_numpy(A)[None], cells).solve(load(cells), tolerance=1e-8)
    assert info.converged
    direct = fine_solve(A, cells, method="direct")
    assert norms.relative_errors(u[0].numpy(), direct, A)["energy"] < 5e-8


def test_iterations_do_not_grow_with_the_mesh_at_moderate_contrast(random_medium):
    A = torch.from_numpy(random_medium((32, 32)))[None]
    its = [Multigrid(A, (n, n)).solve(load((n, n)))[1].iterations for n in (64, 128, 256)]
    assert max(its) <= 13


def test_a_batch_gives_what_single_solves_give(random_medium):
    A = torch.from_numpy(np.stack([random_medium((8, 8), s, 10.0**s) for s in (1, 2, 3)]))
    b = load((32, 32)).expand(3, -1, -1)
    together, _ = Multigrid(A, (32, 32)).solve(b, tolerance=1e-10)
    for k in range(3):
        alone, _ = Multigrid(A[k : k + 1], (32, 32)).solve(b[:1], tolerance=1e-10)
        torch.testing.assert_close(together[k], alone[0], rtol=1e-7, atol=1e-9)


def test_coarse_elements_are_the_galerkin_product():
    A = torch.rand(2, 4, 6, dtype=torch.float64) + 0.1
    fine = galerkin_elements(A, (8, 12))
    v = torch.rand(2, 5, 7, dtype=torch.float64)
    via_fine = restrict_by_two(Stencil.from_elements(fine).apply(prolongate_by_two(v)))
    torch.testing.assert_close(via_fine, Stencil.from_elements(galerkin_elements(A, (4, 6))).apply(v))


def test_block_tridiagonal_solves_with_any_dirichlet_mask():
    S = Stencil.from_elements(galerkin_elements(torch.rand(3, 6, 8, dtype=torch.float64) + 0.1, (6, 8)))
    free = torch.rand(7, 9) < 0.8
    b = torch.rand(3, 7, 9, dtype=torch.float64) * free
    x = BlockTridiagonal(S, free).solve(b)
    assert float(x[:, ~free].abs().max()) == 0
    torch.testing.assert_close(S.apply(x) * free, b)


def test_energy_drop_is_the_squared_error_of_the_start(random_medium):
    A = torch.from_numpy(random_medium((16, 16)))[None]
    mg, b = Multigrid(A, (64, 64)), load((64, 64))
    u, _ = mg.solve(b, tolerance=1e-11)
    start = torch.rand(1, 65, 65, dtype=torch.float64) * mg.levels[0].free * 0.01
    true = norms.energy_norm((u - start)[0].numpy(), A[0].numpy()) ** 2
    for steps, least in ((1, 0.9), (3, 0.99)):
        _, info = mg.solve(b, start, tolerance=0.0, max_iterations=steps)
        assert least * true <= float(info.energy_drop[0]) <= true * (1 + 1e-9)


def test_not_converged_is_said():
    A = torch.rand(1, 16, 16, dtype=torch.float64) ** 8 + 1e-4
    _, info = Multigrid(A, (64, 64)).solve(load((64, 64)), max_iterations=2)
    assert not info.converged


@pytest.mark.parametrize("seed", range(8))
def test_a_cycle_that_is_not_positive_definite_is_never_called_converged(seed):
    """Contrasts of 1e10 from node to node: multigrid may fail, but must not say that it has not."""
    g = torch.Generator().manual_seed(seed)
    kxx, kyy = (8 * torch.randn(2, 1, 32, 32, generator=g, dtype=torch.float64)).exp()
    K = tensor_elements(kxx, kyy, 0.9 * (kxx * kyy).sqrt(), 1 / 32, 1 / 32)
    free = torch.zeros(33, 33, dtype=torch.bool)
    free[1:-1, 1:-1] = True
    b = torch.rand(1, 33, 33, generator=g, dtype=torch.float64) * free
    S = Stencil.from_elements(K)
    exact = BlockTridiagonal(S, free).solve(b)
    u, info = Multigrid.of_elements(K, free).solve(b, tolerance=1e-6)
    e = u - exact
    error = float(((e * S.apply(e)).sum() / (exact * S.apply(exact)).sum()).sqrt())
    assert error < 1e-3 or not info.converged
