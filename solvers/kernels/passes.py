"""Compiled smoothing and transfers of the V-cycle, fused into two passes over a grid (numba).

Fields and operators are those of ``rows``. A pass goes down the rows and does everything that a row is ready for while
it is in cache. It works on a range of rows, computes the few rows of its neighbours that it needs itself, and runs on
one thread.
"""

from __future__ import annotations

import numpy as np

from .couplings import inverse_diagonal, times
from .options import kernel


@kernel
def _scaled(S, D, c, s, factor, b, j, d, jd, n):
    for i in range(1, n):
        d[jd, i] = factor * inverse_diagonal(S, D, c, s, i) * b[j, i]


@kernel
def _second_step(S, D, c, s, again, second, b, j, d, js, jc, jn, x, n):
    """Take the second Chebyshev step from zero: the first gave d."""
    for i in range(1, n):
        t = b[j, i] - times(S, d, c, s, js, jc, jn, i)
        x[j, i] = d[jc, i] + again * d[jc, i] + second * inverse_diagonal(S, D, c, s, i) * t


@kernel
def _residual(S, F, c, s, b, j, x, r, jr, n):
    for i in range(1, n):
        r[jr, i] = F[c, i] * (b[j, i] - times(S, x, c, s, j - 1, j, j + 1, i))


@kernel
def _restrict_rows(r, j0, j1, j2, coarse, J, work):
    """Apply the transpose of bilinear interpolation to three rows of r."""
    half = work[0] * 0 + work.dtype.type(0.5)
    n = r.shape[1]
    for i in range(n):
        work[i] = r[j1, i] + half * (r[j0, i] + r[j2, i])
    for c in range(1, coarse.shape[1] - 1):
        coarse[J, c] = work[2 * c - 1] + half * (work[2 * c - 2] + work[2 * c])


@kernel
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
    D : inverse diagonal of couplings; of coefficients the mask.
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
            _scaled(S, D, kind[j], kind[j - 1], first, b, j, d, j & 3, n)
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


@kernel
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


@kernel
def _first_step(S, D, c, s, first, b, j, x0, js, jc, jn, r, d, n):
    for i in range(1, n):
        t = b[j, i] - times(S, x0, c, s, js, jc, jn, i)
        r[jc, i] = t
        d[jc, i] = first * inverse_diagonal(S, D, c, s, i) * t


@kernel
def _last_step(S, D, c, s, again, second, b, j, x0, d, r, js, jc, jn, z, n):
    """Write the result of both steps to row j of z; return its product with b."""
    total = b[j, 0] * 0
    for i in range(1, n):
        t = r[jc, i] - times(S, d, c, s, js, jc, jn, i)
        v = x0[jc, i] + d[jc, i] + again * d[jc, i] + second * inverse_diagonal(S, D, c, s, i) * t
        z[j, i] = v
        total += v * b[j, i]
    return total


@kernel
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
    D : inverse diagonal of couplings; of coefficients the mask.
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
