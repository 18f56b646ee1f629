r"""Quasi-interpolation I_H of the LOD: element-wise L2 projection to Q1, then averaging at the coarse nodes.

:math:`(I_H v)(z)` is the mean over the coarse cells T at z of :math:`(\Pi_T v)(z)`, and 0 for z on the
boundary (Målqvist & Peterseim, Localization of elliptic multiscale problems, Math. Comp. 2014; Engwer,
Henning, Målqvist & Peterseim, arXiv 1602.01658, section 2). It is a projection onto the coarse space and
stable in H1.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.sparse as sp

from .nesting import Cells, Nesting, cell_pair


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


def quasi_interpolation(N: Cells, n: Cells) -> sp.csr_matrix:
    """Matrix of I_H, (coarse nodes, fine nodes), both row-major; rows of boundary nodes are zero.

    Parameters
    ----------
    N, n : coarse and fine cells, a number or (ny, nx).

    Raises
    ------
    GridMismatch
        If ``n`` is no multiple of ``N``.

    Examples
    --------
    >>> I = quasi_interpolation(2, 4)
    >>> I.shape, float((I @ np.ones(25)).round(12).sum())  # one interior node
    ((9, 25), 1.0)
    """
    nesting = Nesting(cell_pair(N, "N"), cell_pair(n, "n"))
    parts = []
    for cells, r in zip(nesting.N, nesting.ratio, strict=True):
        inside = np.ones(cells + 1)
        inside[[0, -1]] = 0.0
        parts.append(sp.diags(inside) @ _averaged_1d(cells, r))
    # The tensor product of the averages is the average: the number of cells at a node is a product too.
    I_H = sp.csr_matrix(sp.kron(parts[0], parts[1]))
    I_H.eliminate_zeros()
    return I_H
