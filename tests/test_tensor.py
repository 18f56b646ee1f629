"""Tensor coefficients: against NGSolve and an assembly of its own, symmetries, and who refuses them."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as sla
import torch
from ngsolve import CF, H1, BilinearForm, GridFunction, InnerProduct, LinearForm, VoxelCoefficient, dx, grad
from ngsolve.meshes import MakeStructured2DMesh

import ngs_nhcsr
from ngs_nhcsr import Corrector, InvalidProblem, NhcsrError, NotCoercive, compare, correct
from ngs_nhcsr.checks import check_tensor_values
from ngs_nhcsr.guard import Status, guard
from ngs_nhcsr.ngsolve_io.coefficient import rasterise
from ngs_nhcsr.problem import Problem
from ngs_nhcsr.refine import Refiner
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.hierarchy import TorchHierarchy, hierarchy
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.multigrid import Multigrid
from ngs_nhcsr.solvers.norms import energy_norm, energy_product, energy_squared, functional
from ngs_nhcsr.solvers.q1 import element_matrices
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.stencil import galerkin_elements
from ngs_nhcsr.solvers.substructuring.plain_start import PlainQ1
from ngs_nhcsr.solvers.substructuring.solve import solve as substructuring
from ngs_nhcsr.solvers.target import FineQ1
from ngs_nhcsr.solvers.tensor_medium import TensorMedium, eigenvalues, medium_of
from ngs_nhcsr.solvers.transfer import prolongate


def tensors(shape, ratio, contrast=10.0, seed=0):
    """Pixels 1 or ``contrast`` with random directions, in which a is ``ratio`` times what it is across."""
    rng = np.random.default_rng(seed)
    c, s = np.cos(t := np.pi * rng.random(shape)), np.sin(t)
    k = np.where(rng.random(shape) < 0.5, 1.0, contrast)
    a = np.array([[ratio * c * c + s * s, (ratio - 1) * c * s], [(ratio - 1) * c * s, ratio * s * s + c * c]])
    return np.moveaxis(k * a, (0, 1), (2, 3))


def medium(shape, ratio, **options):
    return medium_of(check_tensor_values(tensors(shape, ratio, **options)))


def function(T):
    parts = [
        VoxelCoefficient((0, 0), (1, 1), np.ascontiguousarray(T[..., i, j]), linear=False) for i, j in np.ndindex(2, 2)
    ]
    return CF(tuple(parts), dims=(2, 2))


def quads(n):
    return MakeStructured2DMesh(quads=True, nx=n, ny=n)


def solved(mesh, a, dirichlet=".*"):
    """Solution of NGSolve, its form and its load."""
    fes = H1(mesh, order=1, dirichlet=dirichlet)
    u, v = fes.TnT()
    form = BilinearForm(InnerProduct(a * grad(u), grad(v)) * dx).Assemble()
    load, out = LinearForm(v * dx).Assemble(), GridFunction(fes)
    out.vec.data = form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * load.vec
    return out, form, load


def energy_error(u, reference, form):
    e = (u.vec - reference.vec).Evaluate()
    return (InnerProduct(e, form.mat * e) / InnerProduct(reference.vec, form.mat * reference.vec)) ** 0.5


def assembled(T, cells, size=(1.0, 1.0)):
    """Matrix from gradients at 2 x 2 Gauss points of every cell: shares nothing with the package."""
    (ny, nx), (my, mx) = cells, T.shape[:2]
    hy, hx = size[0] / ny, size[1] / nx
    node = np.arange((ny + 1) * (nx + 1)).reshape(ny + 1, nx + 1)
    local = np.stack([node[:-1, :-1], node[:-1, 1:], node[1:, :-1], node[1:, 1:]], -1).reshape(-1, 4)
    a = T[np.arange(ny)[:, None] * my // ny, np.arange(nx)[None] * mx // nx].reshape(-1, 2, 2)
    K = np.zeros((ny * nx, 4, 4))
    for t in (0.5 - 12**-0.5, 0.5 + 12**-0.5):
        for s in (0.5 - 12**-0.5, 0.5 + 12**-0.5):
            G = np.array([[-(1 - t), 1 - t, -t, t], [-(1 - s), -s, 1 - s, s]]) / np.array([[hx], [hy]])
            K += np.einsum("ip,kij,jq->kpq", G, a, G) * hx * hy / 4
    rows, columns = np.repeat(local, 4, 1), np.tile(local, 4)
    return sp.csr_matrix((K.ravel(), (rows.ravel(), columns.ravel())))


def direct(K, space, b):
    out, free = np.zeros(b.size), space.free.ravel()
    out[free] = sla.spsolve(K[free][:, free].tocsc(), b.ravel()[free])
    return out.reshape(b.shape)


@pytest.mark.parametrize("cells", [(16, 24), (8, 12), (12, 10)], ids=["nested", "same", "cut"])
def test_elements_and_energies_are_those_of_another_assembly(cells):
    T, size = tensors((8, 12), 30.0), (1.0, 2.0)
    M = medium_of(check_tensor_values(T))
    K, cut = element_matrices(M, cells, size), (240, 120)  # a mesh that resolves mesh and raster
    v, w = np.random.default_rng(1).random((2, cells[0] + 1, cells[1] + 1))
    if cells[0] % 8 == 0:
        expected = v.ravel() @ (assembled(T, cells, size) @ w.ravel())
    else:  # bilinear functions of a mesh are functions of finer ones
        fine = [prolongate(p, cut) for p in (v, w)]
        expected = fine[0].ravel() @ (assembled(T, cut, size) @ fine[1].ravel())
    assert energy_product(v, w, M, size) == pytest.approx(expected, rel=1e-11)
    assert energy_squared(v, M, size) == pytest.approx(energy_product(v, v, M, size), rel=1e-13)
    np.testing.assert_allclose(galerkin_elements(M.tensors(), cells, size)[0].numpy(), K, atol=1e-12 * abs(K).max())
    batch = energy_squared(torch.from_numpy(v)[None], M.tensors(), size)
    assert float(batch[0]) == pytest.approx(energy_squared(v, M, size), rel=1e-12)


@pytest.mark.parametrize(("ratio", "most"), [(1.001, 10), (10, 16), (100, 34), (1000, 55)])
def test_multigrid_steps_grow_slowly_with_the_ratio(ratio, most):
    """Point smoothing sees strong couplings across the grid badly: 8, 13, 24, 33 steps to 1e-8, seen up to 48."""
    T, space = tensors((64, 64), ratio), Space((128, 128))
    M, b = medium_of(check_tensor_values(T)), np.full(space.shape, 1 / 128**2)
    K = assembled(T, space.cells)
    u = direct(K, space, b)
    for solver in (hierarchy(M, space), TorchHierarchy(M, space)):
        x, info = solver.solve(b, tolerance=1e-8, max_iterations=200)
        assert info.converged
        assert info.iterations <= most
        e = (x - u).ravel()
        assert e @ (K @ e) <= 1e-14 * (u.ravel() @ (K @ u.ravel()))


@pytest.mark.parametrize("ratio", [10.0, 100.0])
@pytest.mark.parametrize("seed", [11, 12])
def test_correct_against_ngsolve(ratio, seed):
    T = tensors((64, 64), ratio, seed=seed)
    u, form, _ = solved(quads(16), function(T))
    reference, fine_form, _ = solved(quads(128), function(T))
    for a, options in ((T, {"f": 1}), (function(T), {"form": form}), (function(T), {})):
        r = correct(u, a, 8, full=True, **options)
        assert "tensor" in r.remarks[0]
        truth = energy_error(r.u_fine, reference, fine_form)
        assert r.status is Status.ACCEPTED
        assert truth <= 1e-3
        assert truth / 2 <= r.estimate <= 2 * truth or max(truth, r.estimate) < 3e-4


def test_natural_sides_and_a_reaction():
    """The fine solution by NGSolve's own form, c u v beside it."""
    T = tensors((32, 32), 20.0)
    M, space = (
        medium_of(check_tensor_values(T), np.full((4, 4), 30.0)),
        Space.with_sides((64, 64), natural=("top", "right")),
    )
    fes = H1(quads(64), order=1, dirichlet="left|bottom")
    u, v = fes.TnT()
    form = BilinearForm(InnerProduct(function(T) * grad(u), grad(v)) * dx + 30 * u * v * dx).Assemble()
    load, out = LinearForm(v * dx).Assemble(), GridFunction(fes)
    out.vec.data = form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * load.vec
    expected = out.vec.FV().NumPy().reshape(65, 65)
    for solver in (hierarchy(M, space), TorchHierarchy(M, space)):
        b = load.vec.FV().NumPy().reshape(65, 65)
        x, _ = solver.solve(b, tolerance=1e-10, max_iterations=200)
        np.testing.assert_allclose(x, expected, atol=1e-8 * expected.max())


def test_isotropic_tensors_are_scalars():
    A = np.where(np.random.default_rng(2).random((32, 32)) < 0.5, 1.0, 10.0)
    T = A[..., None, None] * np.eye(2)
    assert type(Problem.from_arrays(T, coarse=8).medium) is Medium
    voxel = VoxelCoefficient((0, 0), (1, 1), A, linear=False)
    u, _, _ = solved(quads(8), function(T))
    scalar = correct(u, voxel, 8, f=1).vec.FV().NumPy()
    for a in (T, function(T)):
        np.testing.assert_allclose(correct(u, a, 8, f=1).vec.FV().NumPy(), scalar, atol=1e-12 * scalar.max())


def test_a_quarter_turn_turns_the_solution():
    """With the domain, the directions turn too: a → R a Rᵀ."""
    T, R = tensors((16, 16), 50.0, seed=3), np.array([[0.0, -1.0], [1.0, 0.0]])
    turned = np.rot90(R @ T @ R.T, -1)  # [iy, ix] with y upward: np.rot90(·, -1) turns counter-clockwise
    f = np.random.default_rng(4).random((65, 65))
    one = fine_solve(T, 64, f, method="direct")
    other = fine_solve(turned, 64, np.rot90(f, -1), method="direct")
    np.testing.assert_allclose(other, np.rot90(one, -1), atol=1e-13)
    assert abs(fine_solve(np.rot90(T, -1), 64, np.rot90(f, -1), method="direct") - other).max() > 1e-4


def test_eigenvalues_keep_their_digits():
    T = medium((50,) * 2, 1e8, contrast=1.0)
    low, high = eigenvalues(T.components)
    np.testing.assert_allclose(high, 1e8, rtol=1e-12)
    np.testing.assert_allclose(low, 1.0, rtol=1e-7)  # round-off of the entries themselves is 1e-16 · 1e8


def test_guard_estimate_and_functional():
    M, space = medium((16, 16), 10.0), Space((64, 64))
    P = Problem.from_arrays(tensors((16, 16), 10.0), coarse=8)
    b, K = P.load_vector((64, 64)), assembled(tensors((16, 16), 10.0), (64, 64))
    u = direct(K, space, b)
    noise = np.where(space.free, np.random.default_rng(5).standard_normal(space.shape), 0.0)
    verdict = guard(u + 10 * noise, P.U, M, b, (1.0, 1.0))
    assert verdict.status in (Status.DAMPED, Status.REJECTED)
    assert functional(verdict.field, M, b) <= verdict.coarse_energy + 1e-12
    near = Refiner(M, space).refine(np.zeros(space.shape), b, steps=4).field
    truth = energy_norm(near - u, M) / energy_norm(u, M)
    assert truth / 2 <= Refiner(M, space).error(near, b) <= 1.05 * truth


def test_without_ngsolve_prepared_and_scales_that_cut():
    T = tensors((32, 32), 10.0)
    out = Corrector().correct_problem(Problem.from_arrays(T, coarse=8), 8)
    u = direct(assembled(T, (64, 64)), Space((64, 64)), Problem.from_arrays(T, coarse=8).load_vector((64, 64)))
    M = medium_of(check_tensor_values(T))
    assert energy_norm(out.values - u, M) / energy_norm(u, M) < 1e-3
    coarse, _, _ = solved(quads(8), function(T))
    many = Corrector().prepare(function(T), coarse.space, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert energy_norm(many(coarse, f=1).values - u, M) / energy_norm(u, M) < 1e-3
        assert correct(coarse, T, 5, f=1, full=True).status is Status.ACCEPTED


def test_rasters_of_tensor_functions():
    """Pixels are found; what varies gets means between the harmonic and the arithmetic one."""
    T = tensors((12, 20), 10.0)
    found = rasterise(function(T), quads(8), Space((8, 8)))
    np.testing.assert_array_equal(found.values, check_tensor_values(T))
    from ngsolve import cos, sin, x

    rotating = CF((2 + cos(9 * x), sin(9 * x), sin(9 * x), 2 - cos(9 * x)), dims=(2, 2))
    low, middle, high = (
        rasterise(rotating, quads(8), Space((8, 8)), mean=m).values for m in ("harmonic", "geometric", "arithmetic")
    )
    for less, more in ((low, middle), (middle, high)):
        assert (eigenvalues(more - less)[1] > 0).all()
        xx, yy, xy = more - less
        assert (xx * yy - xy * xy > -1e-12).all()  # the Loewner order of means holds for these rotations


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        ([[1.0, 0.5], [0.4, 1.0]], InvalidProblem, r"not symmetric.*\[\[1, 0.5\], \[0.4, 1\]\] in cell \(iy=3, ix=5\)"),
        (
            [[1.0, 2.0], [2.0, 1.0]],
            NotCoercive,
            r"not positive definite.*in cell \(iy=3, ix=5\), with an eigenvalue -1",
        ),
        ([[1.0, 1.0], [1.0, 1.0]], NotCoercive, r"not positive definite.*in cell \(iy=3, ix=5\)"),
        ([[np.nan, 0.0], [0.0, 1.0]], InvalidProblem, r"nan in cell \(iy=3, ix=5\)"),
    ],
)
def test_bad_tensors_are_refused_by_one_sentence(bad, error, words):
    T = tensors((16, 16), 10.0)
    T[3, 5] = bad
    u, _, _ = solved(quads(4), CF((1, 0, 0, 2), dims=(2, 2)))  # its raster has four cells per coarse cell
    for a in (T, function(T)):
        with pytest.raises(error, match=words) as caught:
            correct(u, a, 4, f=1)
        assert "cell (iy=3, ix=5)" in str(caught.value)
        assert len(str(caught.value)) < 300


def test_who_knows_scalars_only_refuses():
    """Every public consumer of a medium is right (the tests above) or raises the package's own error."""
    T = tensors((16, 16), 10.0)
    a, M, P = function(T), medium_of(check_tensor_values(T)), Problem.from_arrays(T, coarse=4)
    assert isinstance(M, TensorMedium)
    u, _, _ = solved(quads(4), a)
    r = correct(u, a, 8, f=1, full=True, on_untrusted="return")
    network = Corrector().model
    refuse = [
        lambda: M.values, lambda: P.A, lambda: M.on((32, 32)), lambda: M.mean("geometric", (4, 4)),
        lambda: correct(u, a, 8, f=1, target="pde"), lambda: r.field, lambda: r.flux, lambda: r.error_bound,
        lambda: r.relative_error_bound, lambda: r.discretisation_error, lambda: r.indicator, r.velocity,
        lambda: network.solve(P, 8), lambda: network.network.encode(P.tensors().medium, P.space, 8),
        lambda: substructuring(P.tensors(), FineQ1(8), PlainQ1()), lambda: ngs_nhcsr.solve_fine(a, u.space),
        lambda: ngs_nhcsr.PixelMultigrid(a, u.space),
    ]  # fmt: skip
    for what in (T, M):
        refuse += [
            lambda a=what: ngs_nhcsr.solvers.LOD(a, 4, 32, layers=1), lambda a=what: ngs_nhcsr.solvers.MsFEM(a, 4, 32),
            lambda a=what: ngs_nhcsr.solvers.EquilibratedFlux(a, (32, 32), np.ones((33, 33))),
            lambda a=what: ngs_nhcsr.solvers.solve_pde(a, 1.0), lambda a=what: ngs_nhcsr.solvers.coarse_solve(a, 4),
            lambda a=what: ngs_nhcsr.solvers.effective_conductivity(a), lambda a=what: ngs_nhcsr.solve_fine(a, u.space),
        ]  # fmt: skip
    for consumer in refuse:
        with pytest.raises(NhcsrError):
            consumer()
    rows = {
        row.name: row
        for row in compare(u, a, 8, f=1, methods=("lod1", "msfem-linear", "network", "cells+1", "direct")).rows
    }
    assert all("scalar" in rows[name].message for name in ("lod1", "msfem-linear", "network", "cells+1"))
    K, space = assembled(T, (32, 32)), Space((32, 32))
    b = P.load_vector((32, 32))
    x, _ = Multigrid(M.tensors(), (32, 32)).solve(torch.from_numpy(b)[None], tolerance=1e-9, max_iterations=100)
    np.testing.assert_allclose(x[0].numpy(), direct(K, space, b), atol=1e-9)
