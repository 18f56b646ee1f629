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

from ..nesting import Nesting
from ..q1 import element_mass
from ..space import Cells
from ..windows import bilinear_hats, corner_nodes


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
    """Compute the L2 projection of fine Q1 functions on one coarse cell to the bilinear functions.

    Parameters
    ----------
    r : fine cells per coarse cell (ry, rx).

    Returns
    -------
    (4, (ry+1)(rx+1)) matrix from fine nodal values to corner values; corners and nodes row-major.

    Examples
    --------
    >>> local_projection((2, 2)).sum(1).round(12).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    return np.kron(_projection_1d(r[0]), _projection_1d(r[1]))


@lru_cache(maxsize=16)
def _weighted_mass_map(r: tuple[int, int]) -> sp.csr_matrix:
    """Linear map from the cell values of a window to the mass matrix between its hats and its fine nodes."""
    local = corner_nodes(r).T  # (4, cells)
    mass = element_mass(1 / r[0], 1 / r[1])
    hats = bilinear_hats(r).reshape(4, -1)
    values = np.einsum("hic,ij->hjc", hats[:, local], mass)
    rows = np.arange(4)[:, None, None] * hats.shape[1] + local
    cols = np.broadcast_to(np.arange(r[0] * r[1]), rows.shape)
    return sp.csr_matrix((values.ravel(), (rows.ravel(), cols.ravel())), shape=(hats.size, r[0] * r[1]))


def cell_projections(a: np.ndarray, weighted: bool) -> tuple[np.ndarray, np.ndarray]:
    r"""Compute I_H on single coarse cells T: the projections, and the weights with which the nodes average over T.

    Parameters
    ----------
    a : (cells, ry, rx) fine cell values of the coefficient.
    weighted : project in :math:`L^2(a)` instead of :math:`L^2`.

    Returns
    -------
    rows : (cells, 4, fine nodes of a cell) the projection to the corner values, times the weights.
    weights : (cells, 4) 1, or :math:`\int_T a \phi_z` for T of area 1.

    Examples
    --------
    >>> rows, weights = cell_projections(np.full((1, 2, 2), 8.0), weighted=True)
    >>> bool(np.allclose(rows[0], 2 * local_projection((2, 2)))), weights.round(12).tolist()
    (True, [[2.0, 2.0, 2.0, 2.0]])
    """
    r = (a.shape[1], a.shape[2])
    if not weighted:
        rows = local_projection(r)
        return np.broadcast_to(rows, (len(a), *rows.shape)), np.ones((len(a), 4))
    mass = (_weighted_mass_map(r) @ a.reshape(len(a), -1).T).T.reshape(len(a), 4, -1)
    weights = mass.sum(2)
    rows = np.linalg.solve(mass @ bilinear_hats(r).reshape(4, -1).T, mass)
    return rows * weights[:, :, None], weights


def quasi_interpolation(N: Cells, n: Cells, A: np.ndarray | None = None) -> sp.csr_matrix:
    """Assemble the matrix of I_H.

    Parameters
    ----------
    N : coarse cells, a number or (Ny, Nx).
    n : fine cells, a number or (ny, nx); a multiple of N.
    A : (my, mx) coefficient cell values for the weighted variant; default: the plain one.

    Returns
    -------
    Sparse (coarse nodes, fine nodes), both row-major; rows of boundary nodes are zero.

    Raises
    ------
    GridMismatch
        If ``n`` is no multiple of ``N`` or of the raster.
    InvalidProblem, NotCoercive
        If N, n or A is none of these.

    Examples
    --------
    >>> I = quasi_interpolation(2, 4)
    >>> I.shape, float((I @ np.ones(25)).round(12).sum())  # one interior node
    ((9, 25), 1.0)
    """
    nesting = Nesting.of(N, n)
    fine, raster = nesting.fine.shape, np.ones((1, 1)) if A is None else A
    a = nesting.blocks(nesting.fine_coefficient(raster)).reshape(-1, *nesting.ratio)
    rows, weights = cell_projections(a, weighted=A is not None)
    corners = corner_nodes(nesting.coarse.cells)
    nodes = nesting.node_blocks(np.arange(fine[0] * fine[1]).reshape(fine)).reshape(len(rows), 1, -1)
    i = np.broadcast_to(corners[:, :, None], rows.shape).ravel()
    j = np.broadcast_to(nodes, rows.shape).ravel()
    total = sp.csr_matrix((rows.ravel(), (i, j)), shape=(nesting.coarse.free.size, fine[0] * fine[1]))
    share = nesting.coarse.free.ravel() / np.bincount(corners.ravel(), weights.ravel())
    I_H = sp.csr_matrix(sp.diags(share) @ total)
    I_H.eliminate_zeros()
    return I_H
