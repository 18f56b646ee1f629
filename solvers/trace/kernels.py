"""Compiled parts of a conjugate gradient step on the trace space.

Owns the innermost loops: product with the matrix, local solves by kind, updates of the iteration's vectors.

Every function works on a range of rows or blocks, releases Python's lock and runs on one thread; a pool may call it for
several ranges at a time, which write to disjoint memory.

Vectors are triples ``H (my+1, p, mx)``, ``V (my, p, mx+1)``, ``C (my+1, mx+1)``: coefficients on horizontal edges, on
vertical edges and at vertices, neighbours along x next to each other. ``free`` is (j0, j1, i0, i1) of
:meth:`ngs_nhcsr.solvers.trace.layout.Boundary.ranges`. Loops are written out where the compiler must see that no index
is negative: as functions of their own they take twice as long.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..kernels.options import OPTIONS

#: Columns of one matrix product: few enough for BLAS to stay on one thread up to 11 functions per edge.
BLOCK = 128
#: Vertices of one matrix product.
SEGMENT = 64
#: Parts H, V, C of a vector.
Triple = tuple[np.ndarray, np.ndarray, np.ndarray]


@njit(**OPTIONS)
def apply_cells(a: np.ndarray, S: np.ndarray, x: Triple, moments: tuple, j0: int, j1: int) -> float:
    """Compute a S x in some rows of cells.

    Parameters
    ----------
    a : (my, mx) coefficients.
    S : (n, n) float64 matrix of a cell with a = 1.
    x : triple (H, V, C).
    moments : (above, below, V, C_above, C_below), where the result is written. What horizontal edges and vertices get
        from the cells above them and below them is kept apart, so that rows of cells are independent. Row 0 of
        ``below`` and the last row of ``above`` are not touched: they must be zero.
    j0 : first row of cells.
    j1 : end of the rows.

    Returns
    -------
    The rows' part of x·Ax.
    """
    H, V, C = x
    above, below, AV, C_above, C_below = moments
    mx, n = a.shape[1], S.shape[0]
    p = n // 4 - 1
    X, Y = np.zeros((n, BLOCK)), np.empty((n, BLOCK))
    total = 0.0
    for j in range(j0, j1):
        for k in range(p):
            AV[j, k, 0] = 0
        C_above[j, 0] = C_below[j + 1, 0] = 0
        for i0 in range(0, mx, BLOCK):
            count = min(BLOCK, mx - i0)
            for k in range(p):
                for q in range(count):
                    X[k, q] = H[j, k, i0 + q]
                for q in range(count):
                    X[p + k, q] = H[j + 1, k, i0 + q]
                for q in range(count):
                    X[2 * p + k, q] = V[j, k, i0 + q]
                for q in range(count):
                    X[3 * p + k, q] = V[j, k, i0 + 1 + q]
            for q in range(count):
                X[4 * p, q] = C[j, i0 + q]
            for q in range(count):
                X[4 * p + 1, q] = C[j, i0 + 1 + q]
            for q in range(count):
                X[4 * p + 2, q] = C[j + 1, i0 + q]
            for q in range(count):
                X[4 * p + 3, q] = C[j + 1, i0 + 1 + q]
            np.dot(S, X, Y)
            for r in range(n):
                energy = 0.0
                for q in range(count):
                    v = Y[r, q] * a[j, i0 + q]
                    Y[r, q] = v
                    energy += v * X[r, q]
                total += energy
            # Vertical edges and vertices of the columns from i0 + 1 on are new, those at i0 have a part already.
            for k in range(p):
                for q in range(count):
                    above[j, k, i0 + q] = Y[k, q]
                for q in range(count):
                    below[j + 1, k, i0 + q] = Y[p + k, q]
                AV[j, k, i0] += Y[2 * p + k, 0]
                for q in range(1, count):
                    AV[j, k, i0 + q] = Y[2 * p + k, q] + Y[3 * p + k, q - 1]
                AV[j, k, i0 + count] = Y[3 * p + k, count - 1]
            C_above[j, i0] += Y[4 * p, 0]
            C_below[j + 1, i0] += Y[4 * p + 2, 0]
            for q in range(1, count):
                C_above[j, i0 + q] = Y[4 * p, q] + Y[4 * p + 1, q - 1]
            for q in range(1, count):
                C_below[j + 1, i0 + q] = Y[4 * p + 2, q] + Y[4 * p + 3, q - 1]
            C_above[j, i0 + count] = Y[4 * p + 1, count - 1]
            C_below[j + 1, i0 + count] = Y[4 * p + 3, count - 1]
    return total


@njit(**OPTIONS)
def _advance_row(alpha, unit, scale, i0, i1, above, below, q, x, r, s):
    """Update the entries [i0, i1) of one row."""
    for i in range(i0, i1):
        x[i] += alpha * unit * q[i]
        v = r[i] - alpha * (above[i] + below[i])
        r[i] = v
        s[i] = v * scale


@njit(**OPTIONS)
def _advance_upright(alpha, unit, scale, i0, i1, moments, q, x, r, s):
    """Update the columns [i0, i1) of one row of vertical edges (p, mx+1)."""
    for k in range(q.shape[0]):
        for i in range(i0, i1):
            x[k, i] += alpha * unit * q[k, i]
            v = r[k, i] - alpha * moments[k, i]
            r[k, i] = v
            s[k, i] = v * scale


@njit(**OPTIONS)
def advance(
    alpha: float,
    unit: float,
    scale: float,
    moments: tuple,
    free: tuple[int, int, int, int],
    q: Triple,
    x: Triple,
    r: Triple,
    s: Triple,
    j0: int,
    j1: int,
) -> None:
    """Set x += alpha unit q, r -= alpha A q, s = float32(scale r) at the free unknowns of some rows.

    Parameters
    ----------
    alpha : length of the step.
    unit : factor of q where it changes x.
    scale : factor of r in s.
    moments : A q as :func:`apply_cells` left it.
    free : free vertices (j0, j1, i0, i1).
    q : direction, triple of float32.
    x : solution, triple of float64.
    r : residual, triple of float64.
    s : scaled residual, triple of float32.
    j0 : first row of vertices.
    j1 : end of the rows.
    """
    above, below, AV, C_above, C_below = moments
    J0, J1, I0, I1 = free
    qH, qV, qC = q
    xH, xV, xC = x
    rH, rV, rC = r
    sH, sV, sC = s
    my, p, mx = qV.shape[0], qH.shape[1], qH.shape[2]
    for j in range(j0, j1):
        if J0 <= j < J1:
            for k in range(p):
                _advance_row(
                    alpha, unit, scale, 0, mx, above[j, k], below[j, k], qH[j, k], xH[j, k], rH[j, k], sH[j, k]
                )
            _advance_row(alpha, unit, scale, I0, I1, C_above[j], C_below[j], qC[j], xC[j], rC[j], sC[j])
        if j < my:
            _advance_upright(alpha, unit, scale, I0, I1, AV[j], qV[j], xV[j], rV[j], sV[j])


@njit(**OPTIONS)
def new_direction(q, z, beta, i0, i1):
    """Set q = z + beta q in the entries [i0, i1) of flat float32 vectors."""
    beta = np.float32(beta)
    for i in range(i0, i1):
        q[i] = z[i] + beta * q[i]


@njit(**OPTIONS)
def solve_kinds(
    B: np.ndarray,
    places: np.ndarray,
    segments: np.ndarray,
    strides: tuple,
    s: np.ndarray,
    Z: np.ndarray,
    k0: int,
    k1: int,
) -> None:
    """Solve the local problems of some segments, vertices of one kind each.

    Parameters
    ----------
    B : (kinds, m, m) float32 inverses with zeros for unknowns that are fixed or missing.
    places : (6, vertices) uint64, in the flat s the first coefficient of the left, right, lower and upper edge and the
        vertex, in the flat Z the first number of the vertex; unsigned, so that no index is checked for a sign.
    segments : (K, 3) first and last position in ``places`` and the kind; at most SEGMENT vertices each.
    strides : (mx, mx+1) uint64, between coefficients of horizontal and of vertical edges.
    s : flat float32 residual.
    Z : flat float32, the local solutions (my+1, m, mx+1), written.
    k0 : first segment.
    k1 : end of the segments.
    """
    m = B.shape[1]
    p = (m - 1) // 4
    level, upright = strides
    X, Y = np.zeros((m, SEGMENT), np.float32), np.empty((m, SEGMENT), np.float32)
    for k in range(k0, k1):
        first, count = segments[k, 0], segments[k, 1] - segments[k, 0]
        along, across = np.uint64(0), np.uint64(0)
        for c in range(p):
            for q in range(count):
                X[c, q] = s[places[0, first + q] + along]
            for q in range(count):
                X[p + c, q] = s[places[1, first + q] + along]
            for q in range(count):
                X[2 * p + c, q] = s[places[2, first + q] + across]
            for q in range(count):
                X[3 * p + c, q] = s[places[3, first + q] + across]
            along += level
            across += upright
        for q in range(count):
            X[4 * p, q] = s[places[4, first + q]]
        np.dot(B[segments[k, 2]], X, Y)
        across = np.uint64(0)
        for c in range(m):
            for q in range(count):
                Z[places[5, first + q] + across] = Y[c, q]
            across += upright


@njit(**OPTIONS)
def collect_vertices(
    Z: np.ndarray, coarse: np.ndarray, free: tuple[int, int, int, int], z: Triple, s: Triple, j0: int, j1: int
) -> float:
    """Set z to half the sum of the local solutions plus the coarse one, at the free unknowns of some rows.

    Parameters
    ----------
    Z : (my+1, m, mx+1) float32 local solutions.
    coarse : (my+3, mx+3) float32 coarse solution at the vertices, with a ring.
    free : free vertices (j0, j1, i0, i1).
    z : triple of float32, written.
    s : scaled residual, triple of float32.
    j0 : first row of vertices.
    j1 : end of the rows.

    Returns
    -------
    The rows' part of z·s.
    """
    H, V, C = z
    sH, sV, sC = s
    my, p, mx = V.shape[0], H.shape[1], H.shape[2]
    J0, J1, I0, I1 = free
    half = np.float32(0.5)
    total = 0.0
    for j in range(j0, j1):
        row = np.float32(0)
        if J0 <= j < J1:
            for k in range(p):
                for i in range(mx):
                    v = half * (Z[j, p + k, i] + Z[j, k, i + 1])
                    H[j, k, i] = v
                    row += v * sH[j, k, i]
            for i in range(I0, I1):
                v = half * Z[j, 4 * p, i] + coarse[j + 1, i + 1]
                C[j, i] = v
                row += v * sC[j, i]
        if j < my:
            for k in range(p):
                for i in range(I0, I1):
                    v = half * (Z[j, 3 * p + k, i] + Z[j + 1, 2 * p + k, i])
                    V[j, k, i] = v
                    row += v * sV[j, k, i]
        total += row
    return total
