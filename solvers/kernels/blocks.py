"""Compiled block-tridiagonal solution of nine-point operators: inverses of the Schur complements, from both ends.

Owns the direct solution on the coarsest grid of the coarse problem; operators and fields with ring as in
``blackbox``. One block is one row of n nodes.

The rows of nodes are eliminated from the first and from the last towards a middle row (a twisted factorisation), so the
two halves can be set up side by side. Inverses are computed in float64 and kept in the precision of the cycle.
"""

from __future__ import annotations

import numpy as np

from .options import kernel


@kernel
def _invert_small(A):
    """Invert a positive definite matrix A (n, n) in place by Gauss-Jordan elimination without pivoting."""
    n = A.shape[0]
    for k in range(n):
        pivot = 1 / A[k, k]
        A[k, k] = 1
        for c in range(n):
            A[k, c] *= pivot
        for r in range(n):
            if r != k:
                f = A[r, k]
                A[r, k] = 0
                for c in range(n):
                    A[r, c] -= f * A[k, c]


@kernel
def invert(A):
    """Invert a positive definite matrix A (n, n) in place by Gauss-Jordan elimination of four rows at a time.

    A row then goes through the registers once for four pivots: it takes half the time of one pivot after the other.
    """
    n = A.shape[0]
    pivot, f, rows = np.empty((4, 4)), np.empty(4), np.empty((4, n))
    for k in range(0, n, 4):
        m = min(4, n - k)
        P = pivot[:m, :m]
        for q in range(m):
            for p in range(m):
                P[q, p] = A[k + q, k + p]
                A[k + q, k + p] = q == p
        _invert_small(P)
        rows[:] = 0
        for q in range(m):
            for p in range(m):
                v = P[q, p]
                for c in range(n):
                    rows[q, c] += v * A[k + p, c]
        for r in range(n):
            if k <= r < k + m:
                continue
            f[:] = 0
            for q in range(m):
                f[q] = A[r, k + q]
                A[r, k + q] = 0
            f0, f1, f2, f3 = f[0], f[1], f[2], f[3]
            for c in range(n):
                A[r, c] -= (f0 * rows[0, c] + f1 * rows[1, c]) + (f2 * rows[2, c] + f3 * rows[3, c])
        A[k : k + m] = rows[:m]


@kernel
def _coupling(S, j, step, i):
    """Return the couplings of node (j, i) with the nodes i-1, i, i+1 of row j - step; indices with ring."""
    if step > 0:
        return S[3, j - 1, i - 1], S[2, j - 1, i], S[4, j - 1, i]
    return S[4, j, i - 1], S[2, j, i], S[3, j, i]


@kernel
def _eliminated(S, j, step, Z):
    """Return B Z B^T where B couples row j with row j - step and Z is that row's inverse."""
    n = Z.shape[0]
    X, Y = np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        lower, same, upper = _coupling(S, j, step, i + 1)
        for c in range(n):
            X[i, c] = same * Z[i, c]
        if i > 0:
            for c in range(n):
                X[i, c] += lower * Z[i - 1, c]
        if i < n - 1:
            for c in range(n):
                X[i, c] += upper * Z[i + 1, c]
    for c in range(n):
        lower, same, upper = _coupling(S, j, step, c + 1)
        for i in range(n):
            v = same * X[i, c]
            if c > 0:
                v += lower * X[i, c - 1]
            if c < n - 1:
                v += upper * X[i, c + 1]
            Y[i, c] = v
    return Y


@kernel
def _subtract_from_row(S, j, Y):
    """Set Y to the tridiagonal matrix of row j minus Y, in place."""
    n = Y.shape[0]
    for i in range(n):
        for c in range(n):
            Y[i, c] = -Y[i, c]
    for i in range(n):
        Y[i, i] += S[0, j, i + 1]
        if i < n - 1:
            Y[i, i + 1] += S[1, j, i + 1]
            Y[i + 1, i] += S[1, j, i + 1]


@kernel
def eliminate(S: np.ndarray, G: np.ndarray, middle: int, step: int) -> np.ndarray:
    """Eliminate rows from one end up to the middle row.

    Parameters
    ----------
    S : (5, rows+2, n+2) float64 operator with ring.
    G : (rows, n, n), where the inverses of the eliminated rows' Schur complements are written.
    middle : number of the row that is kept.
    step : 1 from the first row, -1 from the last.

    Returns
    -------
    (n, n) what the elimination subtracts from the block of the middle row.
    """
    rows, n = S.shape[1] - 2, S.shape[2] - 2
    Y = np.zeros((n, n))
    q = 0 if step > 0 else rows - 1
    first = True
    Z = np.zeros((n, n))
    while q != middle:
        if not first:
            Y = _eliminated(S, q + 1, step, Z)
        _subtract_from_row(S, q + 1, Y)
        invert(Y)
        Z = Y
        for i in range(n):
            for c in range(n):
                G[q, i, c] = Z[i, c]
        first = False
        q += step
    return np.zeros((n, n)) if first else _eliminated(S, middle + 1, step, Z)


@kernel
def finish(S: np.ndarray, G: np.ndarray, middle: int, first: np.ndarray, second: np.ndarray) -> None:
    """Fill in the inverse of the middle row's Schur complement.

    Parameters
    ----------
    S : (5, rows+2, n+2) float64 operator with ring.
    G : (rows, n, n) inverses, changed at ``middle``.
    middle : number of the row.
    first : (n, n) result of :func:`eliminate` from the first row.
    second : (n, n) result from the last row.
    """
    Y = first + second
    _subtract_from_row(S, middle + 1, Y)
    invert(Y)
    n = Y.shape[0]
    for i in range(n):
        for c in range(n):
            G[middle, i, c] = Y[i, c]


@kernel
def _multiply(G, q, v, y):
    """Set y = G[q] v for a symmetric matrix, by columns (v without ring)."""
    n = G.shape[1]
    for c in range(n):
        y[c] = 0
    for i in range(0, n - 3, 4):
        v0, v1, v2, v3 = v[i], v[i + 1], v[i + 2], v[i + 3]
        for c in range(n):
            y[c] += (G[q, i, c] * v0 + G[q, i + 1, c] * v1) + (G[q, i + 2, c] * v2 + G[q, i + 3, c] * v3)
    for i in range(n - n % 4, n):
        v0 = v[i]
        for c in range(n):
            y[c] += G[q, i, c] * v0


@kernel
def _reduce_row(S, j, step, x, v):
    """Subtract from v (n) the couplings of row j with x in row j - step; indices with ring."""
    n = v.shape[0]
    p = j - step
    if step > 0:
        for i in range(1, n + 1):
            v[i - 1] -= S[3, p, i - 1] * x[p, i - 1] + S[2, p, i] * x[p, i] + S[4, p, i] * x[p, i + 1]
    else:
        for i in range(1, n + 1):
            v[i - 1] -= S[4, j, i - 1] * x[p, i - 1] + S[2, j, i] * x[p, i] + S[3, j, i] * x[p, i + 1]


@kernel
def solve(S: np.ndarray, G: np.ndarray, middle: int, b: np.ndarray, x: np.ndarray, V: np.ndarray) -> None:
    """Solve S x = b.

    Parameters
    ----------
    S : (5, rows+2, n+2) operator with ring, of the type of G.
    G : (rows, n, n) inverses of all Schur complements.
    middle : number of the row that was eliminated last.
    b : (rows+2, n+2) right-hand side with ring.
    x : (rows+2, n+2) solution with ring, written.
    V : (rows, n) work space for the reduced right-hand sides.
    """
    rows, n = S.shape[1] - 2, S.shape[2] - 2
    y = np.empty(n, b.dtype)
    for step in (1, -1):
        q = 0 if step > 0 else rows - 1
        first = True
        while q != middle:
            for i in range(n):
                V[q, i] = b[q + 1, i + 1]
            if not first:
                _reduce_row(S, q + 1, step, x, V[q])
            _multiply(G, q, V[q], y)
            for i in range(n):
                x[q + 1, i + 1] = y[i]
            first = False
            q += step
    for i in range(n):
        V[middle, i] = b[middle + 1, i + 1]
    if middle > 0:
        _reduce_row(S, middle + 1, 1, x, V[middle])
    if middle < rows - 1:
        _reduce_row(S, middle + 1, -1, x, V[middle])
    _multiply(G, middle, V[middle], y)
    for i in range(n):
        x[middle + 1, i + 1] = y[i]
    for step in (1, -1):
        q = middle - step
        while 0 <= q < rows:
            _reduce_row(S, q + 1, -step, x, V[q])
            _multiply(G, q, V[q], y)
            for i in range(n):
                x[q + 1, i + 1] = y[i]
            q -= step
