"""One energy and one L2 norm: batches in torch agree with single arrays in numpy, on any pair of grids."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ngs_nhcsr.solvers import norms
from ngs_nhcsr.solvers.transfer import prolongate

counts, lengths = st.integers(1, 7), st.floats(0.1, 3)


@given(counts, counts, counts, counts, lengths, lengths, st.integers(0, 2**32 - 1))
def test_batches_have_the_norms_of_their_members(ny, nx, my, mx, Ly, Lx, seed):
    rng, size = np.random.default_rng(seed), (Ly, Lx)
    v, u = rng.standard_normal((2, 3, ny + 1, nx + 1)), rng.standard_normal((2, 3, ny + 1, nx + 1))
    A = 0.1 + rng.random((2, 1, my, mx))
    V, U, a = torch.from_numpy(v), torch.from_numpy(u), torch.from_numpy(A)
    energy, l2 = norms.energy_squared(V, a, size), norms.l2_squared(V, size)
    errors = norms.relative_errors(V, U, a, size)
    for i, k in np.ndindex(2, 3):
        product = norms.energy_product(v[i, k], v[i, k], A[i, 0], size)
        assert float(energy[i, k]) == pytest.approx(product, rel=1e-12)
        assert norms.energy_squared(v[i, k], A[i, 0], size) == pytest.approx(product, rel=1e-12)
        assert float(l2[i, k]) == pytest.approx(norms.l2_norm(v[i, k], size) ** 2, rel=1e-12)
        single = norms.relative_errors(v[i, k], u[i, k], A[i, 0], size)
        assert {n: float(e[i, k]) for n, e in errors.items()} == pytest.approx(single, rel=1e-10)


@pytest.mark.parametrize(("n", "m"), [((8, 12), (4, 3)), ((4, 6), (8, 12)), ((6, 9), (4, 6))])
def test_the_energy_in_single_precision_has_its_accuracy(n, m):
    """A smooth field of order 1, whose differences are small: no digits are lost to the values themselves."""
    y, x = (np.linspace(0, 1, 16 * k + 1) for k in n)
    v = 1 + 1e-3 * np.sin(3 * y)[:, None] * np.cos(2 * x)
    A = 0.1 + np.random.default_rng(0).random((16 * m[0], 16 * m[1]))
    exact = norms.energy_squared(v, A)
    found = norms.energy_squared(torch.from_numpy(v).float(), torch.from_numpy(A).float())
    of_rounded = norms.energy_squared(v.astype(np.float32).astype(float), A)
    assert float(found) == pytest.approx(of_rounded, rel=1e-5)
    assert float(found) == pytest.approx(exact, rel=0.05)


def test_gradients_are_those_of_the_quadratic_forms():
    A = torch.rand(1, 6, 4, dtype=torch.float64) + 0.1
    for n in ((6, 8), (3, 2), (4, 6)):
        v = torch.randn(1, n[0] + 1, n[1] + 1, dtype=torch.float64, requires_grad=True)
        for f in (lambda v: norms.energy_squared(v, A, (1.0, 2.0)), lambda v: norms.l2_squared(v, (1.0, 2.0))):
            assert torch.autograd.gradcheck(f, (v,))
            (g,) = torch.autograd.grad(f(v).sum(), v)
            assert float((g * v).sum().detach()) == pytest.approx(2 * float(f(v).detach()), rel=1e-12)


def test_the_energy_of_a_prolonged_field_is_that_of_the_field():
    rng = np.random.default_rng(1)
    v, A = rng.standard_normal((5, 7)), rng.random((8, 12)) + 0.1
    expected = norms.energy_squared(prolongate(v, (16, 24)), A, (2.0, 1.0))
    assert norms.energy_squared(v, A, (2.0, 1.0)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("cells", "raster"), [((6, 9), (2, 3)), ((4, 4), (4, 4)), ((5, 8), (1, 2))])
def test_the_compiled_energy_is_that_of_numpy(monkeypatch, cells, raster):
    rng = np.random.default_rng(31)
    v, w = rng.standard_normal((2, cells[0] + 1, cells[1] + 1))
    a, size = rng.random(raster) + 0.1, (0.7, 1.3)
    found = [norms.energy_product(v, w, a, size), norms.energy_squared(v, a, size)]
    monkeypatch.setattr(norms, "compiled", lambda: False)
    expected = [norms.energy_product(v, w, a, size), norms.energy_squared(v, a, size)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.isnan(norms.energy_squared(np.where(v == v[1, 1], np.nan, v), a))


@pytest.mark.parametrize("raster", [(3, 3), (5, 7), (8, 8)])
def test_constants_leave_no_energy_whatever_the_raster(raster):
    """Of 1e8 + x the energy is that of x, also where cells of the raster cut those of the mesh."""
    x, a = np.linspace(0, 1, 9) * np.ones((9, 1)), np.ones(raster)
    assert norms.energy_squared(1e8 + x, a) == pytest.approx(1.0, rel=1e-6)
    v, A = (torch.from_numpy(t)[None] for t in (1e8 + x, a))
    assert float(norms.energy_squared(v, A)) == pytest.approx(1.0, rel=1e-6)
