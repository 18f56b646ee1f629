from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse.linalg import spsolve

from ngs_nhcsr.errors import GridMismatch, InvalidProblem, NotCoercive
from ngs_nhcsr.solvers import norms, q1
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.flux.flux import EquilibratedFlux
from ngs_nhcsr.solvers.nodal import nodal_values
from ngs_nhcsr.solvers.transfer import prolongate

SQUARE = (1.0, 1.0)
#: |||u|||² of -Δu = 1 on the unit square with zero boundary values: torsion constant / 4.
TORSION = 0.0351442537


def channels(contrast):
    A = np.ones((32, 32))
    A[5::8, 2:29] = contrast
    A[3:30, 20] = contrast
    return A


def medium(name):
    rng = np.random.default_rng(3_000_000_777)
    return {
        "iid 1:10": lambda: np.where(rng.random((16, 16)) < 0.5, 1.0, 10.0),
        "iid 1:100": lambda: np.where(rng.random((16, 16)) < 0.5, 1.0, 100.0),
        "lognormal": lambda: np.exp(2 * rng.standard_normal((8, 16))),
        "checkerboard": lambda: np.where(np.indices((8, 8)).sum(0) % 2, 1.0, 1e4),
        "channels 1:1000": lambda: channels(1000.0),
        "tiny values": lambda: 1e-9 * np.where(rng.random((16, 16)) < 0.5, 1.0, 10.0),
    }[name]()


MEDIA = ("iid 1:10", "iid 1:100", "lognormal", "checkerboard", "channels 1:1000", "tiny values")
LOADS = {
    "one": 1.0,
    "jump": lambda x, y: np.where(x + 2 * y < 1.1, 5.0, -1.0),
    "oscillating": lambda x, y: np.sin(25 * x) * np.cos(31 * y) + 0.2,
    "spike": lambda x, y: 1.0 * (np.hypot(x - 0.4, y - 0.3) < 0.04),
}


def squared_error(v, f, energy, A, size=SQUARE):
    """|||u - v|||² for v = 0 on the boundary, from |||u|||²."""
    return energy - 2 * float(np.sum(v * q1.mass_apply(f, size))) + norms.energy_norm(v, A, size) ** 2


def fields(A, cells, f, size, rng):
    """Fields of any quality: u_h, prolonged coarse, zero, noise, and too large."""
    u = fine_solve(A, cells, f, size=size, method="direct")
    coarse = tuple(n // 4 for n in cells)
    step = (slice(None, None, 4),) * 2
    U = prolongate(fine_solve(A, coarse, f[step], size=size), cells)
    noise = np.zeros_like(u)
    noise[1:-1, 1:-1] = rng.standard_normal(noise[1:-1, 1:-1].shape)
    return {"u_h": u, "coarse": U, "zero": 0 * u, "noisy": u + 0.02 * np.abs(u).max() * noise, "large": 3 * u}


@pytest.mark.parametrize("name", MEDIA)
@pytest.mark.parametrize(
    ("load", "cells", "size"),
    [
        ("one", (32, 32), (1.0, 1.0)),
        ("jump", (32, 64), (0.5, 2.0)),
        ("oscillating", (64, 32), (1.0, 1.5)),
        ("spike", (32, 32), (3.0, 1.0)),
    ],
)
def test_bound_holds_against_a_solution_four_times_finer(name, load, cells, size):
    A = medium(name)
    f = nodal_values(LOADS[load], cells, size)
    fine = tuple(4 * n for n in cells)
    u = fine_solve(A, fine, prolongate(f, fine), size=size, method="direct")
    energy = norms.energy_norm(u, A, size) ** 2  # below that of the exact solution
    flux = EquilibratedFlux(A, cells, f, size)
    assert flux.divergence_defect < 1e-11
    assert flux.norm**2 >= energy
    for key, v in fields(A, cells, f, size, np.random.default_rng(1)).items():
        error = np.sqrt(squared_error(v, f, energy, A, size))
        assert flux.bound(v) >= error * (1 - 1e-7), key
        assert flux.relative_bound(v) >= error / np.sqrt(energy) * (1 - 1e-7), key


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e5])
def test_bound_holds_and_is_sharp_where_the_energy_is_known(scale):
    n = 64
    f, A = np.ones((n + 1, n + 1)), np.full((4, 4), scale)
    flux = EquilibratedFlux(A, (n, n), f)
    energy = TORSION / scale
    assert energy <= flux.norm**2 <= 1.002 * energy
    for N, index in ((n, 1.5), (n // 2, 1.2), (n // 4, 1.05), (n // 8, 1.02)):
        v = prolongate(fine_solve(A, N, 1.0, method="direct"), (n, n))
        true = np.sqrt(squared_error(v, f, energy, A))
        assert true <= flux.bound(v) <= index * true
        assert true / np.sqrt(energy) <= flux.relative_bound(v) <= 1.01 * index * true / np.sqrt(energy)


@pytest.mark.parametrize("name", ["iid 1:10", "iid 1:100", "lognormal"])
def test_index_is_small_for_rough_media(name):
    A, n = medium(name), 128
    f = np.ones((n + 1, n + 1))
    energies = [norms.energy_norm(fine_solve(A, m, 1.0, method="direct"), A) ** 2 for m in (64, 128, 256)]
    ratio = (energies[2] - energies[1]) / (energies[1] - energies[0])
    energy = energies[2] + (energies[2] - energies[1]) * ratio / (1 - ratio)  # Richardson
    flux = EquilibratedFlux(A, (n, n), f, cycles=3)
    limit = {"iid 1:10": 1.5, "iid 1:100": 2.5, "lognormal": 1.8}[name]
    for N in (128, 32, 16):
        v = prolongate(fine_solve(A, N, 1.0, method="direct"), (n, n))
        index = flux.bound(v) / np.sqrt(squared_error(v, f, energy, A))
        assert 1 <= index <= limit


def test_energies_of_the_reference_case():
    A = np.where(np.random.default_rng(20261120).random((128, 128)) < 0.5, 1.0, 10.0)
    f = np.ones((513, 513))
    assert EquilibratedFlux(A, (512, 512), f, cycles=7).norm ** 2 == pytest.approx(0.0118112376539, rel=1e-7)
    assert EquilibratedFlux(A, (512, 512), f).norm ** 2 == pytest.approx(0.0118112376539, rel=1e-3)


@pytest.mark.parametrize("size", [(1.0, 1.0), (0.3, 4.0)])
@pytest.mark.parametrize("load", list(LOADS))
def test_identity_equals_the_sum_over_cells(size, load):
    A, cells = medium("iid 1:100"), (64, 48)
    f = nodal_values(LOADS[load], cells, size)
    flux = EquilibratedFlux(A, cells, f, size)
    for v in fields(A, cells, f, size, np.random.default_rng(2)).values():
        assert flux.bound(v) ** 2 == pytest.approx(squared_error(v, f, flux.norm**2, A, size), rel=1e-9)
        assert flux.indicator(v).shape == cells
        assert np.sum(flux.indicator(v) ** 2) == pytest.approx(flux.bound(v) ** 2, rel=1e-12)


def test_norm_equals_quadrature_of_the_flux_with_its_bubbles():
    """The one test that writes the flux out, point by point."""
    rng = np.random.default_rng(3)
    cells, size = (4, 6), (1.2, 0.7)
    hy, hx = size[0] / 4, size[1] / 6
    A, f, v = rng.random((2, 3)) + 0.2, rng.standard_normal((5, 7)), rng.standard_normal((5, 7))
    flux = EquilibratedFlux(A, cells, f, size)
    a, (Qx, Qy) = A.repeat(2, 0).repeat(2, 1), flux.flux
    nodes, weights = np.polynomial.legendre.leggauss(4)
    share = hy**2 / (hx**2 + hy**2)
    for iy, ix in np.ndindex(*cells):
        f00, f01, f10, f11 = (f[iy + p, ix + q] for p in (0, 1) for q in (0, 1))
        v00, v01, v10, v11 = (v[iy + p, ix + q] for p in (0, 1) for q in (0, 1))
        fx, fy, fxy = (f01 + f11 - f00 - f10) / 4, (f10 + f11 - f00 - f01) / 4, (f00 + f11 - f01 - f10) / 4
        total = 0.0
        for t, wt in zip(nodes, weights, strict=True):
            for s, ws in zip(nodes, weights, strict=True):
                sx = (Qx[iy, ix] * (1 - s) + Qx[iy, ix + 1] * (1 + s)) / (2 * hy)
                sy = (Qy[iy, ix] * (1 - t) + Qy[iy + 1, ix] * (1 + t)) / (2 * hx)
                sx += (1 - s * s) * hx / 4 * (fx + share * fxy * t)
                sy += (1 - t * t) * hy / 4 * (fy + (1 - share) * fxy * s)
                gx = ((v01 - v00) * (1 - t) + (v11 - v10) * (1 + t)) / (2 * hx)
                gy = ((v10 - v00) * (1 - s) + (v11 - v01) * (1 + s)) / (2 * hy)
                k = a[iy, ix]
                total += wt * ws * hx * hy / 4 * ((sx - k * gx) ** 2 + (sy - k * gy) ** 2) / k
        assert flux.indicator(v)[iy, ix] ** 2 == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("name", MEDIA)
@pytest.mark.parametrize("started", [False, True])
def test_more_cycles_never_increase_the_norm(name, started):
    A, cells = medium(name), (64, 64)
    f = nodal_values(LOADS["jump"], cells)
    start = prolongate(fine_solve(A, (16, 16), f[::4, ::4]), cells) if started else None
    norms = [EquilibratedFlux(A, cells, f, cycles=k, start=start).norm for k in (0, 1, 2, 4)]
    assert all(b <= a * (1 + 1e-12) for a, b in pairwise(norms))
    assert norms[-1] < norms[0]


def test_start_from_a_good_field_pays_at_channels():
    A, n = channels(1000.0), 128
    f = np.ones((n + 1, n + 1))
    u = fine_solve(A, n, 1.0, method="direct")
    plain = EquilibratedFlux(A, (n, n), f, cycles=1)
    started = EquilibratedFlux(A, (n, n), f, cycles=1, start=u)
    assert started.divergence_defect < 1e-11
    assert started.bound(u) < plain.bound(u)


def test_scaling_of_coefficient_load_and_length():
    A, cells = medium("iid 1:10"), (32, 32)
    f = nodal_values(LOADS["oscillating"], cells)
    v = fine_solve(A, (32, 32), f) * 1.1
    base = EquilibratedFlux(A, cells, f)
    eta = base.bound(v)
    assert EquilibratedFlux(7 * A, cells, f).bound(v / 7) == pytest.approx(eta / np.sqrt(7), rel=1e-5)
    assert EquilibratedFlux(A, cells, -3 * f).bound(-3 * v) == pytest.approx(3 * eta, rel=1e-5)
    assert EquilibratedFlux(A, cells, f, (2.0, 2.0)).bound(4 * v) == pytest.approx(4 * eta, rel=1e-5)
    turned = EquilibratedFlux(A.T, cells, f.T)
    np.testing.assert_allclose(turned.indicator(v.T), base.indicator(v).T, rtol=1e-3, atol=1e-6 * base.norm)


def noise_inside(shape, seed, scale):
    out = np.zeros(shape)
    out[1:-1, 1:-1] = np.random.default_rng(seed).standard_normal((shape[0] - 2, shape[1] - 2)) * scale
    return out


def test_other_boundary_values_of_a_layered_medium_without_load():
    """(a u')' = 0 with layers across x: u is Q1, so the error of a field is known exactly."""
    k, cells = np.array([1.0, 20.0, 3.0, 100.0]), (32, 64)
    A = np.tile(k, (2, 1))
    u = np.tile(np.concatenate([[0], np.cumsum(1 / k.repeat(16))]) / 64, (33, 1))
    bump = noise_inside(u.shape, 5, 1e-2)
    flux = EquilibratedFlux(A, cells, 0 * u, cycles=6, start=u + bump)
    norm = norms.energy_norm(u, A)
    for scale in (0.0, 0.1, 1.0, 3.0):
        true = norms.energy_norm(scale * bump, A)
        assert true * (1 - 1e-12) <= flux.bound(u + scale * bump)
        assert true / norm * (1 - 1e-12) <= flux.relative_bound(u + scale * bump)
    assert flux.bound(u + bump) <= 1.05 * norms.energy_norm(bump, A)


def test_other_boundary_values_of_a_rough_medium_with_load():
    A, cells = medium("iid 1:10"), (32, 32)
    y, x = np.meshgrid(*[np.linspace(0, 1, 33)] * 2, indexing="ij")
    g, f = x * y + np.sin(3 * x), 1 + x - 3 * y
    lift = prolongate(g, (128, 128))
    load = q1.mass_apply(prolongate(f, (128, 128)))
    inside = np.zeros(lift.shape, bool)
    inside[1:-1, 1:-1] = True
    K, u = q1.stiffness(A, (128, 128)), lift.copy()
    free = inside.ravel()
    u[inside] += spsolve(K[free][:, free].tocsc(), (load.ravel() - K @ lift.ravel())[free])
    flux = EquilibratedFlux(A, cells, f, cycles=3, start=g)
    for v in (g, g + noise_inside(g.shape, 9, 0.1), u[::4, ::4]):
        error = norms.energy_norm(u - prolongate(v, (128, 128)), A)  # the exact one is larger
        assert error <= flux.bound(v) <= 2.2 * error


def test_relative_bound_of_degenerate_problems():
    f = np.zeros((9, 9))
    flux = EquilibratedFlux(np.ones((2, 2)), (8, 8), f)
    v = np.zeros((9, 9))
    assert flux.bound(v) == 0 == flux.relative_bound(v) == flux.divergence_defect
    v[4, 4] = 1
    assert flux.relative_bound(v) == np.inf
    assert flux.bound(v) == pytest.approx(norms.energy_norm(v, np.ones((1, 1))))


@pytest.mark.parametrize("cells", [(1, 1), (3, 5), (7, 7), (2, 64)])
def test_grids_that_do_not_coarsen(cells):
    f = np.ones((cells[0] + 1, cells[1] + 1))
    flux = EquilibratedFlux(np.ones((1, 1)), cells, f)
    assert flux.divergence_defect < 1e-12
    assert flux.bound(0 * f) ** 2 >= TORSION


def test_errors_name_the_remedy():
    A, f = np.ones((8, 8)), np.ones((25, 25))
    with pytest.raises(GridMismatch, match="such as 24 x 16"):
        EquilibratedFlux(A, (24, 20), f[:, :21])
    with pytest.raises(InvalidProblem, match="prolongate"):
        EquilibratedFlux(A, (24, 24), np.ones((9, 9)))
    with pytest.raises(InvalidProblem, match="cycles"):
        EquilibratedFlux(A, (24, 24), f, cycles=-1)
    with pytest.raises(NotCoercive, match="positive"):
        EquilibratedFlux(A - 1, (24, 24), f)
    with pytest.raises(InvalidProblem, match="array"):
        EquilibratedFlux(np.ones(8), (24, 24), f)
    flux = EquilibratedFlux(A, (24, 24), f)
    with pytest.raises(InvalidProblem, match="not finite"):
        flux.bound(f * np.nan)
    with pytest.raises(InvalidProblem, match="shape"):
        flux.indicator(f[1:])


def test_rounding_of_the_divergence_is_part_of_the_bound():
    A, f = np.where(np.ones((8, 8)).cumsum(0) % 2, 1.0, 1e12), np.ones((25, 25))
    flux = EquilibratedFlux(A, (24, 24), f)
    assert flux.divergence_defect < 1e-12
    u = fine_solve(A, 96, 1.0, method="direct")
    zero = np.zeros((25, 25))
    noise = np.random.default_rng(8).standard_normal((25, 25))
    spoilt = EquilibratedFlux(A, (24, 24), f, start=noise)
    assert spoilt.divergence_defect > 1e-8
    for bound in (flux, spoilt):
        assert bound.bound(zero) >= norms.energy_norm(u, A)
