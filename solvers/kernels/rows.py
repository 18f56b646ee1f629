"""Compiled nine-point operators whose rows repeat: assembly, products, conjugate gradients (numba).

Owns the storage of the grids of multigrid. Between two lines of the raster all rows of a mesh have the same
couplings, so an operator is stored by kinds of rows: 257 kinds instead of 2049 rows for 128 pixels a side on 2048²
cells, which stay in cache.

Fields (ny+3, nx+3) carry one ring of zeros: node (j, i) is at [j+1, i+1]. An operator S has ``kind[j]`` for every row
of a field, in one of two storages:

- couplings (5, kinds, nx+3) of a node with itself, east, north, north-east, and (index 4) of its east with its north
  neighbour, as in ``blackbox``;
- coefficients (kinds, nx+3) of the cells north-east of the nodes, with four entries of the element matrix that they
  multiply: of a corner with itself, its neighbours along x and along y, and the opposite one.

Kind 0 is the ring's, all zeros. ``F`` (kinds, nx+3) is 1 at free and 0 at fixed nodes, float32. S knows no boundary
conditions: fields are zero at fixed nodes. ``couplings`` reads both storages.

Every function works on a range of rows and runs on one thread.
"""

from __future__ import annotations

import numpy as np

from .couplings import times
from .options import kernel


@kernel
def _stretch(K, row, width, out):
    """Repeat every entry of the raster row ``row`` of element matrices K (10, my, mx) ``width`` times: out (10, nx)."""
    for q in range(10):
        for p in range(K.shape[2]):
            v = K[q, row, p]
            for i in range(p * width, (p + 1) * width):
                out[q, i] = v


@kernel
def fill_kinds(K: np.ndarray, below: np.ndarray, above: np.ndarray, width: int, S: np.ndarray) -> None:
    """Assemble an operator by kinds of rows from the element matrices of raster cells.

    Parameters
    ----------
    K : (10, my, mx) element matrices in the order of ``q1.SYMMETRIC_PAIRS``.
    below : (kinds,) raster row of the cells under a row of nodes, -1 outside.
    above : (kinds,) raster row of the cells over it, -1 outside.
    width : mesh cells per raster cell along x.
    S : (5, kinds, nx+3) zeros, filled.
    """
    n = S.shape[2] - 3
    lower, upper = np.zeros((10, n), S.dtype), np.zeros((10, n), S.dtype)
    row_below, row_above = -1, -1
    for k in range(below.shape[0]):
        if below[k] != row_below and below[k] >= 0:  # once per raster row: kinds come in order
            if below[k] == row_above:
                lower[:] = upper
            else:
                _stretch(K, below[k], width, lower)
            row_below = below[k]
        if above[k] != row_above and above[k] >= 0:
            _stretch(K, above[k], width, upper)
            row_above = above[k]
        if below[k] >= 0:
            for i in range(n):
                S[0, k, i + 1] += lower[2, i]
                S[1, k, i + 1] += lower[5, i]
            for i in range(n):
                S[0, k, i + 2] += lower[3, i]
        if above[k] >= 0:
            for i in range(n):
                S[0, k, i + 1] += upper[0, i]
                S[1, k, i + 1] += upper[4, i]
                S[2, k, i + 1] = upper[6, i]
                S[3, k, i + 1] = upper[8, i]
                S[4, k, i + 1] = upper[9, i]
            for i in range(n):
                S[0, k, i + 2] += upper[1, i]
                S[2, k, i + 2] += upper[7, i]


@kernel
def begin(
    F: np.ndarray, kind: np.ndarray, load: np.ndarray, scale: float, b: np.ndarray, r: np.ndarray, j0: int, j1: int
) -> None:
    """Set b to a load vector times ``scale``, and r to the residual of zero.

    Parameters
    ----------
    F : mask of the free nodes.
    kind : (ny+3,) kind of every row.
    load : (ny+1, nx+1) float64, without ring.
    scale : factor.
    b : written.
    r : written, zero at fixed nodes.
    j0 : first row, counted without ring.
    j1 : end of these rows.
    """
    for j in range(j0 + 1, j1 + 1):
        c = kind[j]
        for i in range(1, b.shape[1] - 1):
            v = scale * load[j - 1, i - 1]
            b[j, i] = v
            r[j, i] = F[c, i] * v


@kernel
def residual(
    S: np.ndarray, F: np.ndarray, kind: np.ndarray, b: np.ndarray, x: np.ndarray, r: np.ndarray, j0: int, j1: int
) -> tuple[float, float]:
    """Set r = b - S x at free nodes.

    Parameters
    ----------
    S : operator, float64.
    F : mask of the free nodes.
    kind : (ny+3,) kind of every row.
    b : load vector, float64.
    x : field, also at fixed nodes.
    r : residual, written.
    j0 : first row, counted without ring.
    j1 : end of these rows.

    Returns
    -------
    The products over these rows of x with S x, and of x with b at free nodes.
    """
    n = b.shape[1] - 1
    energy, work = 0.0, 0.0
    for j in range(j0 + 1, j1 + 1):
        c, s = kind[j], kind[j - 1]
        for i in range(1, n):
            t = times(S, x, c, s, j - 1, j, j + 1, i)
            energy += t * x[j, i]
            work += F[c, i] * b[j, i] * x[j, i]
            r[j, i] = F[c, i] * (b[j, i] - t)
    return energy, work


@kernel
def scaled(r: np.ndarray, scale: float, b: np.ndarray, j0: int, j1: int) -> None:
    """Set the field b to ``scale`` times the float64 field r, in rows [j0, j1) counted without ring."""
    for j in range(j0 + 1, j1 + 1):
        for i in range(1, b.shape[1] - 1):
            b[j, i] = scale * r[j, i]


@kernel
def direction(
    S: np.ndarray, kind: np.ndarray, z: np.ndarray, p: np.ndarray, q: np.ndarray, beta: float, j0: int, j1: int
) -> float:
    """Set q = z + beta p.

    Parameters
    ----------
    S : operator, in the precision of the fields.
    kind : (ny+3,) kind of every row.
    z : preconditioned residual.
    p : last direction.
    q : new direction, written; not p, of which other threads read rows.
    beta : factor.
    j0 : first row, counted without ring.
    j1 : end of these rows.

    Returns
    -------
    The product of q and S q over these rows.
    """
    n = z.shape[1] - 1
    factor = z.dtype.type(beta)
    total = 0.0
    for j in range(j0, j1 + 2):
        for i in range(1, n):
            q[j, i] = z[j, i] + factor * p[j, i]
        k = j - 1
        if k < j0 + 1:
            continue
        c, s = kind[k], kind[k - 1]
        part = z.dtype.type(0)
        for i in range(1, n):
            part += q[k, i] * times(S, q, c, s, k - 1, k, k + 1, i)
        total += part
    return total


@kernel
def advance(
    S: np.ndarray,
    F: np.ndarray,
    kind: np.ndarray,
    q: np.ndarray,
    alpha: float,
    scale: float,
    x: np.ndarray,
    r: np.ndarray,
    b: np.ndarray,
    j0: int,
    j1: int,
) -> None:
    """Set x = x + alpha / scale q, r = r - alpha / scale S q and b = scale r.

    Parameters
    ----------
    S : operator, float64.
    F : mask of the free nodes.
    kind : (ny+3,) kind of every row.
    q : direction, in units of 1 / scale.
    alpha : length of the step.
    scale : by which residuals are multiplied for the preconditioner.
    x : solution, float64, changed.
    r : residual, float64, changed.
    b : the scaled residual, in the precision of the cycle, written.
    j0 : first row, counted without ring.
    j1 : end of these rows.
    """
    n = q.shape[1] - 1
    step = alpha / scale
    for j in range(j0 + 1, j1 + 1):
        c, s = kind[j], kind[j - 1]
        for i in range(1, n):
            t = times(S, q, c, s, j - 1, j, j + 1, i)
            x[j, i] += step * q[j, i]
            v = r[j, i] - step * F[c, i] * t
            r[j, i] = v
            b[j, i] = scale * v


@kernel
def row_sum_bound(S: np.ndarray, F: np.ndarray, kind: np.ndarray) -> float:
    """Compute Gershgorin's bound on the eigenvalues of D^-1 S.

    Parameters
    ----------
    S : operator, as couplings.
    F : mask of the free nodes.
    kind : (ny+3,) kind of every row.

    Returns
    -------
    The largest sum of moduli of a row over its diagonal entry, free nodes only.
    """
    bound = 1.0
    for j in range(1, kind.shape[0] - 1):
        c, s = kind[j], kind[j - 1]
        if j > 2 and j < kind.shape[0] - 2 and c == s and c == kind[j - 2]:
            continue
        for i in range(1, S.shape[2] - 1):
            if F[c, i] == 0:
                continue
            off = (
                abs(S[1, c, i]) + abs(S[1, c, i - 1]) + abs(S[2, c, i]) + abs(S[2, s, i])
                + abs(S[3, c, i]) + abs(S[3, s, i - 1]) + abs(S[4, c, i - 1]) + abs(S[4, s, i])
            )  # fmt: skip
            bound = max(bound, 1 + off / S[0, c, i])
    return bound
