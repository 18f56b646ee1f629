r"""Quasi-interpolation I_H of the LOD: element-wise L2 projection to Q1, then averaging at the coarse nodes.

:math:`(I_H v)(z)` is the mean over the coarse cells T at z of :math:`(\Pi_T v)(z)`, and 0 for z on the
boundary (Målqvist & Peterseim, Localization of elliptic multiscale problems, Math. Comp. 2014; Engwer,
Henning, Målqvist & Peterseim, arXiv 1602.01658, section 2). It is a projection onto the coarse space and
stable in H1.

Its constant grows with the contrast, and the correctors of a high-contrast coefficient do not decay along
channels. The weighted variant projects in :math:`L^2(a)` and averages with the weights
:math:`w_T(z) = \int_T a \phi_z`; it is a projection too (weighted averages: Peterseim & Scheichl, Comput.
Methods Appl. Math. 16 (2016) 579; Hellman & Målqvist, Multiscale Model. Simul. 15 (2017) 1325).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.sparse as sp

from ..nesting import Cells, Nesting, cell_pair
from ..q1 import element_mass
from ..windows import CORNERS, bilinear_hats


@lru_cache(maxsize=64)
def _projection_1d(r: int) -> np.ndarray:
    """L2 projection of piecewise linears on ``r`` intervals to the linears: values at both ends, (2, r+1)."""
    t = np.arange(r + 1) / r
    hats = np.stack([1 - t, t])
    mass = np.zeros((r + 1, r + 1))
    for i in range(r):
        mass[i : i + 2, i : i + 2] += np.array([[2.0, 1.0], [1.0, 2.0]]) / (6 * r)
    return np.linalg.solve(hats @ mass @ hats.T, hats @ mass)


@lru_cache(maxsize=64)
def local_projection(r: tuple[int, int]) -> np.ndarray:
    """L2 projection of fine Q1 functions on one coarse cell to its corner values.

    Parameters
    ----------
    r : fine cells per coarse cell (ry, rx).

    Returns
    -------
    (4, (ry+1)(rx+1)), corners and nodes row-major.

    Examples
    --------
    >>> local_projection((2, 2)).sum(1).round(12).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    return np.kron(_projection_1d(r[0]), _projection_1d(r[1]))


def _averaged_1d(N: int, r: int) -> sp.csr_matrix:
    """One-dimensional I_H without boundary condition, (N+1, N r + 1)."""
    local = _projection_1d(r)
    cell, side, node = np.meshgrid(np.arange(N), np.arange(2), np.arange(r + 1), indexing="ij")
    values = np.broadcast_to(local, (N, 2, r + 1))
    rows, cols = (cell + side).ravel(), (cell * r + node).ravel()
    total = sp.csr_matrix((values.ravel(), (rows, cols)), shape=(N + 1, N * r + 1))
    share = np.full(N + 1, 0.5)
    share[[0, -1]] = 1.0
    return sp.csr_matrix(sp.diags(share) @ total)


@lru_cache(maxsize=16)
def _weighted_mass_map(r: tuple[int, int]) -> sp.csr_matrix:
    """Linear map from the cell values of a window to the mass matrix between its hats and its fine nodes."""
    nodes = np.arange((r[0] + 1) * (r[1] + 1)).reshape(r[0] + 1, r[1] + 1)
    local = np.stack([nodes[i : i + r[0], j : j + r[1]].ravel() for i, j in CORNERS])  # (4, cells)
    mass = element_mass(1 / r[0], 1 / r[1])
    hats = bilinear_hats(r).reshape(4, -1)
    values = np.einsum("hic,ij->hjc", hats[:, local], mass)
    rows = np.arange(4)[:, None, None] * nodes.size + local
    cols = np.broadcast_to(np.arange(r[0] * r[1]), rows.shape)
    return sp.csr_matrix((values.ravel(), (rows.ravel(), cols.ravel())), shape=(4 * nodes.size, r[0] * r[1]))


def weighted_projection(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Parts of the weighted I_H on a list of coarse cells.

    Parameters
    ----------
    a : (cells, ry, rx) fine cell values of the coefficient.

    Returns
    -------
    rows : (cells, 4, fine nodes of a cell), the projection in :math:`L^2(a)` to the corner values, times the weights.
    weights : (cells, 4), :math:`\int_T a \phi_z` for T of area 1.

    Examples
    --------
    >>> rows, weights = weighted_projection(np.full((1, 2, 2), 8.0))
    >>> bool(np.allclose(rows[0], 2 * local_projection((2, 2)))), weights.round(12).tolist()
    (True, [[2.0, 2.0, 2.0, 2.0]])
    """
    r = (a.shape[1], a.shape[2])
    mass = (_weighted_mass_map(r) @ a.reshape(len(a), -1).T).T.reshape(len(a), 4, -1)
    weights = mass.sum(2)
    rows = np.linalg.solve(mass @ bilinear_hats(r).reshape(4, -1).T, mass)
    return rows * weights[:, :, None], weights


def quasi_interpolation(N: Cells, n: Cells, A: np.ndarray | None = None) -> sp.csr_matrix:
    """Matrix of I_H, (coarse nodes, fine nodes), both row-major; rows of boundary nodes are zero.

    Parameters
    ----------
    N, n : coarse and fine cells, a number or (ny, nx).
    A : (my, mx) coefficient of the weighted variant; default: the unweighted one.

    Raises
    ------
    GridMismatch
        If ``n`` is no multiple of ``N`` or of the raster.
    InvalidProblem, NotCoercive

    Examples
    --------
    >>> I = quasi_interpolation(2, 4)
    >>> I.shape, float((I @ np.ones(25)).round(12).sum())  # one interior node
    ((9, 25), 1.0)
    """
    nesting = Nesting(cell_pair(N, "N"), cell_pair(n, "n"))
    if A is not None:
        return _weighted(nesting, nesting.fine_coefficient(A))
    parts = []
    for cells, r in zip(nesting.N, nesting.ratio, strict=True):
        inside = np.ones(cells + 1)
        inside[[0, -1]] = 0.0
        parts.append(sp.diags(inside) @ _averaged_1d(cells, r))
    # The tensor product of the averages is the average: the number of cells at a node is a product too.
    I_H = sp.csr_matrix(sp.kron(parts[0], parts[1]))
    I_H.eliminate_zeros()
    return I_H


def _weighted(nesting: Nesting, a: np.ndarray) -> sp.csr_matrix:
    """Weighted I_H of a fine coefficient (ny, nx)."""
    (Ny, Nx), (ny, nx) = nesting.N, nesting.n
    values, weights = weighted_projection(nesting.blocks(a).reshape(-1, *nesting.ratio))
    coarse = np.arange((Ny + 1) * (Nx + 1)).reshape(Ny + 1, Nx + 1)
    corners = np.stack([coarse[i : i + Ny, j : j + Nx].ravel() for i, j in CORNERS], 1)  # (cells, 4)
    nodes = nesting.node_blocks(np.arange((ny + 1) * (nx + 1)).reshape(ny + 1, nx + 1)).reshape(len(values), -1)
    rows = np.broadcast_to(corners[:, :, None], values.shape).ravel()
    cols = np.broadcast_to(nodes[:, None], values.shape).ravel()
    total = sp.csr_matrix((values.ravel(), (rows, cols)), shape=(coarse.size, (ny + 1) * (nx + 1)))
    share = nesting.free.ravel() / np.bincount(corners.ravel(), weights.ravel())
    I_H = sp.csr_matrix(sp.diags(share) @ total)
    I_H.eliminate_zeros()
    return I_H
