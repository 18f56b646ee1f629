"""Compiled smoothing, transfers and conjugate gradients for nine-point operators whose rows repeat (numba).

Owns the fused passes of the fine levels of multigrid. Between two lines of the raster all rows of a mesh have the same
couplings, so an operator is stored by kinds of rows: 257 kinds instead of 2049 rows for 128 pixels a side on 2048²
cells, which stay in cache.

Fields (ny+3, nx+3) carry one ring of zeros: node (j, i) is at [j+1, i+1]. An operator S is (5, kinds, nx+3) with
``kind[j]`` for every row of a field: couplings of a node with itself, east, north, north-east, and (index 4) of its
east with its north neighbour, as in ``blackbox``. Kind 0 is the ring's, without couplings. ``F`` (kinds, nx+3) is 1 at
free and 0 at fixed nodes, float32; ``D`` is F over the diagonal. S knows no boundary conditions: fields are zero at
fixed nodes.

A pass goes down the rows and does everything that a row is ready for while it is in cache. Every function works on a
range of rows, computes the few rows of its neighbours that it needs itself, and runs on one thread.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .options import OPTIONS


@njit(**OPTIONS)
def _stretch(K, row, width, out):
    """Repeat every entry of the raster row ``row`` of element matrices K (10, my, mx) ``width`` times: out (10, nx)."""
    for q in range(10):
        for p in range(K.shape[2]):
            v = K[q, row, p]
            for i in range(p * width, (p + 1) * width):
                out[q, i] = v


@njit(**OPTIONS)
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


@njit(**OPTIONS)
def _times(S, x, c, s, js, jc, jn, i):
    """Return (S x) at node i of row jc of x, of kind c, between the rows js, of kind s, and jn."""
    return (
        (S[0, c, i] * x[jc, i] + (S[1, c, i] * x[jc, i + 1] + S[1, c, i - 1] * x[jc, i - 1]))
        + (S[2, c, i] * x[jn, i] + S[2, s, i] * x[js, i])
        + (S[3, c, i] * x[jn, i + 1] + S[3, s, i - 1] * x[js, i - 1])
        + (S[4, c, i - 1] * x[jn, i - 1] + S[4, s, i] * x[js, i + 1])
    )


@njit(**OPTIONS)
def _scaled(D, c, factor, b, j, d, jd, n):
    for i in range(1, n):
        d[jd, i] = factor * D[c, i] * b[j, i]


@njit(**OPTIONS)
def _second_step(S, D, c, s, again, second, b, j, d, js, jc, jn, x, n):
    """Take the second Chebyshev step from zero: the first gave d."""
    for i in range(1, n):
        t = b[j, i] - _times(S, d, c, s, js, jc, jn, i)
        x[j, i] = d[jc, i] + again * d[jc, i] + second * D[c, i] * t


@njit(**OPTIONS)
def _residual(S, F, c, s, b, j, x, r, jr, n):
    for i in range(1, n):
        r[jr, i] = F[c, i] * (b[j, i] - _times(S, x, c, s, j - 1, j, j + 1, i))


@njit(**OPTIONS)
def _restrict_rows(r, j0, j1, j2, coarse, J, work):
    """Apply the transpose of bilinear interpolation to three rows of r."""
    half = work[0] * 0 + work.dtype.type(0.5)
    n = r.shape[1]
    for i in range(n):
        work[i] = r[j1, i] + half * (r[j0, i] + r[j2, i])
    for c in range(1, coarse.shape[1] - 1):
        coarse[J, c] = work[2 * c - 1] + half * (work[2 * c - 2] + work[2 * c])


@njit(**OPTIONS)
def smooth_and_restrict(
    S: np.ndarray,
    D: np.ndarray,
    F: np.ndarray,
    kind: np.ndarray,
    steps: np.ndarray,
    b: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
    bilinear: bool,
    j0: int,
    j1: int,
) -> None:
    """Take two Chebyshev steps from zero, then the residual, in one pass.

    Parameters
    ----------
    S : operator.
    D : inverse diagonal.
    F : mask of the free nodes.
    kind : (ny+3,) kind of every row.
    steps : (3,) factors of the Chebyshev steps, of the type of the fields.
    b : right-hand side.
    x : result of the steps, written.
    out : (Ny+3, Nx+3) the residual restricted to half the grid if ``bilinear``, else the residual (ny+3, nx+3).
    bilinear : restrict by the transpose of bilinear interpolation.
    j0 : first row of ``out`` to write, counted without ring.
    j1 : end of these rows.
    """
    n = b.shape[1] - 1
    last = b.shape[0] - 2
    first, again, second = steps[0], steps[1], steps[2]
    d = np.zeros((4, n + 1), b.dtype)
    r = np.zeros((4, n + 1), b.dtype)
    work = np.zeros(n + 1, b.dtype)
    low, high = (2 * j0, 2 * j1) if bilinear else (j0 + 1, j1)
    for j in range(low - 2, high + 3):
        if 1 <= j <= last:
            _scaled(D, kind[j], first, b, j, d, j & 3, n)
        else:
            d[j & 3] = 0
        k = j - 1
        if low - 1 <= k and 1 <= k <= last:
            _second_step(
                S, D, kind[k], kind[k - 1], again, second, b, k, d, (k - 1) & 3, k & 3, (k + 1) & 3, x, n
            )  # fmt: skip
        k = j - 2
        if k < low:
            continue
        if not bilinear:
            _residual(S, F, kind[k], kind[k - 1], b, k, x, out, k, n)
            continue
        if 1 <= k <= last:
            _residual(S, F, kind[k], kind[k - 1], b, k, x, r, k & 3, n)
        else:
            r[k & 3] = 0
        if k > low and k % 2 == 0:
            _restrict_rows(r, (k - 2) & 3, (k - 1) & 3, k & 3, out, k // 2, work)


@njit(**OPTIONS)
def _corrected_row(F, c, x, j, coarse, x0, jc, work):
    """Set row jc of x0 to row j of x plus the bilinear interpolation of ``coarse``, zero at fixed nodes."""
    half = work[0] * 0 + work.dtype.type(0.5)
    J = (j + 1) // 2
    columns = coarse.shape[1]
    if j % 2:
        for i in range(columns):
            work[i] = coarse[J, i]
    else:
        for i in range(columns):
            work[i] = half * (coarse[J, i] + coarse[J + 1, i])
    for i in range(1, columns - 2):  # pairs, which are stored side by side
        x0[jc, 2 * i - 1] = F[c, 2 * i - 1] * (x[j, 2 * i - 1] + work[i])
        x0[jc, 2 * i] = F[c, 2 * i] * (x[j, 2 * i] + half * (work[i] + work[i + 1]))
    i = columns - 2
    x0[jc, 2 * i - 1] = F[c, 2 * i - 1] * (x[j, 2 * i - 1] + work[i])


@njit(**OPTIONS)
def _first_step(S, D, c, s, first, b, j, x0, js, jc, jn, r, d, n):
    for i in range(1, n):
        t = b[j, i] - _times(S, x0, c, s, js, jc, jn, i)
        r[jc, i] = t
        d[jc, i] = first * D[c, i] * t


@njit(**OPTIONS)
def _last_step(S, D, c, s, again, second, b, j, x0, d, r, js, jc, jn, z, n):
    """Write the result of both steps to row j of z; return its product with b."""
    total = b[j, 0] * 0
    for i in range(1, n):
        t = r[jc, i] - _times(S, d, c, s, js, jc, jn, i)
        v = x0[jc, i] + d[jc, i] + again * d[jc, i] + second * D[c, i] * t
        z[j, i] = v
        total += v * b[j, i]
    return total


@njit(**OPTIONS)
def correct_and_smooth(
    S: np.ndarray,
    D: np.ndarray,
    F: np.ndarray,
    kind: np.ndarray,
    steps: np.ndarray,
    b: np.ndarray,
    x: np.ndarray,
    coarse: np.ndarray,
    z: np.ndarray,
    bilinear: bool,
    j0: int,
    j1: int,
) -> float:
    """Add a coarse correction and take two Chebyshev steps, in one pass.

    Parameters
    ----------
    S : operator.
    D : inverse diagonal.
    F : mask of the free nodes.
    kind : (ny+3,) kind of every row.
    steps : (3,) factors of the Chebyshev steps.
    b : right-hand side, zero at fixed nodes.
    x : iterate before the correction; if not ``bilinear``, after it.
    coarse : (Ny+3, Nx+3) correction on half the grid; read only if ``bilinear``.
    z : result, written; not x, of which other threads read rows.
    bilinear : interpolate bilinearly.
    j0 : first row of z to write, counted without ring.
    j1 : end of these rows.

    Returns
    -------
    The product of b and z over these rows.
    """
    n = b.shape[1] - 1
    last = b.shape[0] - 2
    first, again, second = steps[0], steps[1], steps[2]
    x0, d, r = np.zeros((4, n + 1), b.dtype), np.zeros((4, n + 1), b.dtype), np.zeros((4, n + 1), b.dtype)
    work = np.zeros(n + 1, b.dtype)
    low, high = j0 + 1, j1
    total = 0.0
    for j in range(low - 2, high + 3):
        if not 1 <= j <= last:
            x0[j & 3] = 0
        elif bilinear:
            _corrected_row(F, kind[j], x, j, coarse, x0, j & 3, work)
        else:
            c = kind[j]
            for i in range(1, n):
                x0[j & 3, i] = F[c, i] * x[j, i]
        k = j - 1
        if k >= low - 1:
            if 1 <= k <= last:
                _first_step(S, D, kind[k], kind[k - 1], first, b, k, x0, (k - 1) & 3, k & 3, (k + 1) & 3, r, d, n)
            else:
                d[k & 3] = 0
        k = j - 2
        if k >= low:
            total += _last_step(
                S, D, kind[k], kind[k - 1], again, second, b, k, x0, d, r, (k - 1) & 3, k & 3, (k + 1) & 3, z, n
            )  # fmt: skip
    return total


@njit(**OPTIONS)
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
            t = _times(S, x, c, s, j - 1, j, j + 1, i)
            energy += t * x[j, i]
            work += F[c, i] * b[j, i] * x[j, i]
            r[j, i] = F[c, i] * (b[j, i] - t)
    return energy, work


@njit(**OPTIONS)
def single(r: np.ndarray, scale: float, b: np.ndarray, j0: int, j1: int) -> None:
    """Set the float32 field b to ``scale`` times the float64 field r, in rows [j0, j1) counted without ring."""
    for j in range(j0 + 1, j1 + 1):
        for i in range(1, b.shape[1] - 1):
            b[j, i] = np.float32(scale * r[j, i])


@njit(**OPTIONS)
def direction(
    S: np.ndarray, kind: np.ndarray, z: np.ndarray, p: np.ndarray, q: np.ndarray, beta: float, j0: int, j1: int
) -> float:
    """Set q = z + beta p.

    Parameters
    ----------
    S : operator, float32 as the fields.
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
    factor = np.float32(beta)
    total = 0.0
    for j in range(j0, j1 + 2):
        for i in range(1, n):
            q[j, i] = z[j, i] + factor * p[j, i]
        k = j - 1
        if k < j0 + 1:
            continue
        c, s = kind[k], kind[k - 1]
        part = np.float32(0)
        for i in range(1, n):
            part += q[k, i] * _times(S, q, c, s, k - 1, k, k + 1, i)
        total += part
    return total


@njit(**OPTIONS)
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
    q : direction, float32, in units of 1 / scale.
    alpha : length of the step.
    scale : by which residuals are multiplied for the preconditioner.
    x : solution, float64, changed.
    r : residual, float64, changed.
    b : float32, written.
    j0 : first row, counted without ring.
    j1 : end of these rows.
    """
    n = q.shape[1] - 1
    step = alpha / scale
    for j in range(j0 + 1, j1 + 1):
        c, s = kind[j], kind[j - 1]
        for i in range(1, n):
            t = _times(S, q, c, s, j - 1, j, j + 1, i)
            x[j, i] += step * q[j, i]
            v = r[j, i] - step * F[c, i] * t
            r[j, i] = v
            b[j, i] = np.float32(scale * v)


@njit(**OPTIONS)
def row_sum_bound(S: np.ndarray, F: np.ndarray, kind: np.ndarray) -> float:
    """Compute Gershgorin's bound on the eigenvalues of D^-1 S.

    Parameters
    ----------
    S : operator.
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
