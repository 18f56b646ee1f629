"""The trace solver against two independent solutions of the PDE: hp finite elements and Q1 on graded meshes."""

import numpy as np
import pytest
import scipy.sparse as sp
from netgen.geom2d import SplineGeometry
from ngsolve import H1, BilinearForm, GridFunction, InnerProduct, LinearForm, Mesh, dx, grad
from scipy.sparse.linalg import splu

from ngs_nhcsr.solvers.trace import solve_pde


def hp_energy(A, levels, order):
    """Energy of NGSolve's solution on triangles of the pixels, refined geometrically towards all inner vertices."""
    m, geometry, points = len(A), SplineGeometry(), {}
    for j, i in np.ndindex(m + 1, m + 1):
        points[j, i] = geometry.AddPoint(i / m, j / m, hpref=int(0 < i < m and 0 < j < m))

    def domain(j, i):
        return j * m + i + 1 if 0 <= i < m and 0 <= j < m else 0

    for k, i in np.ndindex(m + 1, m):
        side = "outer" if k in (0, m) else "inner"
        level, upright = (domain(k, i), domain(k - 1, i)), (domain(i, k - 1), domain(i, k))
        for ends, domains in (((points[k, i], points[k, i + 1]), level), ((points[i, k], points[i + 1, k]), upright)):
            geometry.Append(["line", *ends], leftdomain=domains[0], rightdomain=domains[1], bc=side)
    names = {f"{j} {i}": float(A[j, i]) for j, i in np.ndindex(m, m)}
    for j, i in np.ndindex(m, m):
        geometry.SetMaterial(domain(j, i), f"{j} {i}")
    mesh = Mesh(geometry.GenerateMesh(maxh=1 / m))
    mesh.RefineHP(levels, 0.125)
    space = H1(mesh, order=order, dirichlet="outer")
    u, v = space.TnT()
    load, solution = LinearForm(v * dx).Assemble(), GridFunction(space)
    form = BilinearForm(mesh.MaterialCF(names) * grad(u) * grad(v) * dx).Assemble()
    solution.vec.data = form.mat.Inverse(space.FreeDofs(), "sparsecholesky") * load.vec
    return InnerProduct(solution.vec, load.vec)


def graded_energy(A, intervals, grading=4.0):
    """Energy of Q1 for f = 1 on a tensor mesh graded like s^grading towards every line between pixels."""
    m = len(A)
    half = 0.5 * (np.arange(intervals // 2 + 1) / (intervals // 2)) ** grading
    cell = np.concatenate([half, 1 - half[-2::-1]])
    x = np.concatenate([[0.0], *((k + cell[1:]) / m for k in range(m))])
    h, n = np.diff(x), len(x) - 1
    a = A.repeat(intervals, 0).repeat(intervals, 1)
    D, M = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([[2.0, 1.0], [1.0, 2.0]]) / 6
    ratio = h[:, None] / h[None, :]  # height over width of the cells
    local = a[..., None, None] * (ratio[..., None, None] * np.kron(M, D) + np.kron(D, M) / ratio[..., None, None])
    corner = np.arange(n)[:, None] * (n + 1) + np.arange(n)
    dofs = np.stack([corner, corner + 1, corner + n + 1, corner + n + 2], -1).reshape(-1, 4)
    rows, columns = np.repeat(dofs, 4, 1).ravel(), np.tile(dofs, (1, 4)).ravel()
    K = sp.csr_array((local.ravel(), (rows, columns)), shape=((n + 1) ** 2,) * 2)
    b = np.bincount(dofs.ravel(), np.repeat(np.outer(h, h).ravel() / 4, 4))
    inside = np.pad(np.ones((n - 1, n - 1), bool), 1).ravel()
    factor = splu(K[inside][:, inside].tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    return float(b[inside] @ factor.solve(b[inside]))


def test_hp_finite_elements_agree():
    """4 x 4 pixels with a crossing in the middle, u ~ r^0.39 there; the energy lies within the guaranteed bounds."""
    A = np.where(np.random.default_rng().random((4, 4)) < 0.5, 1.0, 10.0)
    A[1:3, 1:3] = [[1.0, 10.0], [10.0, 1.0]]
    hp = hp_energy(A, levels=12, order=10)
    u = solve_pde(A, modes=10, tolerance=1e-9)
    assert u.energy == pytest.approx(hp, rel=1e-6)
    assert u.energy_bounds[1] >= hp


def test_graded_meshes_with_richardson_extrapolation_agree():
    """8 x 8 random pixels at contrast 10; the squared energy error of graded Q1 falls like h²."""
    A = np.where(np.random.default_rng().random((8, 8)) < 0.5, 1.0, 10.0)
    coarse, fine = graded_energy(A, 32), graded_energy(A, 64)
    assert solve_pde(A, modes=10, tolerance=1e-8).energy == pytest.approx(fine + (fine - coarse) / 3, rel=2e-5)
