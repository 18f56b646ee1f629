"""Compiled parts of a conjugate gradient step on the trace space.

Owns the innermost loops: product with the matrix, updates of the iteration's vectors; ``local_kernels`` has the local
solves.

Every function works on a range of rows or blocks, releases Python's lock and runs on one thread; a pool may call it for
several ranges at a time, which write to disjoint memory.

Vectors are triples ``H (my+1, p, mx)``, ``V (my, p, mx+1)``, ``C (my+1, mx+1)``: coefficients on horizontal edges, on
vertical edges and at vertices, neighbours along x next to each other; the preconditioner's are in the order of a trace
vector, see ``local_kernels``. ``free`` is (j0, j1, i0, i1) of
:meth:`ngs_nhcsr.solvers.trace.layout.Boundary.ranges`.
"""

from __future__ import annotations

import numpy as np

from ..kernels.options import kernel

#: Cells of a row that are worked on at once: what they need stays in the cache.
BLOCK = 128
#: Parts H, V, C of a vector.
Triple = tuple[np.ndarray, np.ndarray, np.ndarray]


@kernel
def _sums(x, classes, rows, corners, j, i0, count, X):
    """Set X (4, W, BLOCK) to the sums and differences of some cells of a row; see ``symmetry``."""
    H, V, C = x
    for k in range(H.shape[1]):
        s, t, d, e = classes[0, k], rows[0, k], classes[1, k], rows[1, k]
        for q in range(count):
            first, second = np.float64(H[j, k, i0 + q]), np.float64(H[j + 1, k, i0 + q])
            X[s, t, q] = first + second
            X[d, e, q] = first - second
        s, t, d, e = classes[2, k], rows[2, k], classes[3, k], rows[3, k]
        for q in range(count):
            first, second = np.float64(V[j, k, i0 + q]), np.float64(V[j, k, i0 + 1 + q])
            X[s, t, q] = first + second
            X[d, e, q] = first - second
    r, s, t, d = corners[0], corners[1], corners[2], corners[3]
    for q in range(count):
        sw, se = np.float64(C[j, i0 + q]), np.float64(C[j, i0 + 1 + q])
        nw, ne = np.float64(C[j + 1, i0 + q]), np.float64(C[j + 1, i0 + 1 + q])
        X[0, r, q] = sw + se + nw + ne
        X[1, s, q] = sw + se - nw - ne
        X[2, t, q] = sw - se + nw - ne
        X[3, d, q] = sw - se - nw + ne


@kernel
def _multiply(B, a, j, i0, count, X, Y):
    """Set Y (4, R, BLOCK) to a B X for some cells of row j; return X·Y."""
    width = B.shape[2]
    total = 0.0
    for k in range(4):
        for r in range(B.shape[1]):
            for c in range(0, width - 8, 4):
                s0, s1, s2, s3 = B[k, r, c], B[k, r, c + 1], B[k, r, c + 2], B[k, r, c + 3]
                for q in range(count):
                    before = Y[k, r, q] if c else 0.0
                    Y[k, r, q] = (
                        before + s0 * X[k, c, q] + s1 * X[k, c + 1, q] + s2 * X[k, c + 2, q] + s3 * X[k, c + 3, q]
                    )
            c = width - 8
            s0, s1, s2, s3 = B[k, r, c], B[k, r, c + 1], B[k, r, c + 2], B[k, r, c + 3]
            s4, s5, s6, s7 = B[k, r, c + 4], B[k, r, c + 5], B[k, r, c + 6], B[k, r, c + 7]
            energy = 0.0
            for q in range(count):
                v = Y[k, r, q] if c else 0.0
                v += s0 * X[k, c, q] + s1 * X[k, c + 1, q] + s2 * X[k, c + 2, q] + s3 * X[k, c + 3, q]
                v += s4 * X[k, c + 4, q] + s5 * X[k, c + 5, q] + s6 * X[k, c + 6, q] + s7 * X[k, c + 7, q]
                v *= a[j, i0 + q]
                Y[k, r, q] = v
                energy += v * X[k, r, q]
            total += energy
    return total


@kernel
def _scatter(Y, classes, rows, corners, j, i0, count, moments):
    """Add the moments Y of some cells of row j to those of the edges and vertices; those at column i0 have a part."""
    above, below, AV, C_above, C_below = moments
    for k in range(classes.shape[1]):
        s, t, d, e = classes[0, k], rows[0, k], classes[1, k], rows[1, k]
        for q in range(count):
            above[j, k, i0 + q] = Y[s, t, q] + Y[d, e, q]
            below[j + 1, k, i0 + q] = Y[s, t, q] - Y[d, e, q]
        s, t, d, e = classes[2, k], rows[2, k], classes[3, k], rows[3, k]
        AV[j, k, i0] += Y[s, t, 0] + Y[d, e, 0]
        for q in range(1, count):
            AV[j, k, i0 + q] = Y[s, t, q] + Y[d, e, q] + Y[s, t, q - 1] - Y[d, e, q - 1]
        AV[j, k, i0 + count] = Y[s, t, count - 1] - Y[d, e, count - 1]
    r, s, t, d = corners[0], corners[1], corners[2], corners[3]
    for q in range(count):
        both, south, west, cross = Y[0, r, q], Y[1, s, q], Y[2, t, q], Y[3, d, q]
        Y[0, r, q] = both + south + west + cross
        Y[1, s, q] = both + south - west - cross
        Y[2, t, q] = both - south + west - cross
        Y[3, d, q] = both - south - west + cross
    C_above[j, i0] += Y[0, r, 0]
    C_below[j + 1, i0] += Y[2, t, 0]
    for q in range(1, count):
        C_above[j, i0 + q] = Y[0, r, q] + Y[1, s, q - 1]
        C_below[j + 1, i0 + q] = Y[2, t, q] + Y[3, d, q - 1]
    C_above[j, i0 + count] = Y[1, s, count - 1]
    C_below[j + 1, i0 + count] = Y[3, d, count - 1]


@kernel
def apply_cells(a: np.ndarray, S: tuple, x: Triple, moments: tuple, j0: int, j1: int) -> float:
    """Compute a S x in some rows of cells.

    Parameters
    ----------
    a : (my, mx) coefficients.
    S : matrix of a cell with a = 1, :class:`ngs_nhcsr.solvers.trace.symmetry.ReflectionBlocks`.
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
    blocks, classes, rows, corners = S
    X, Y = np.zeros((4, blocks.shape[2], BLOCK)), np.empty((4, blocks.shape[1], BLOCK))
    mx = a.shape[1]
    total = 0.0
    for j in range(j0, j1):
        for k in range(classes.shape[1]):
            moments[2][j, k, 0] = 0
        moments[3][j, 0] = moments[4][j + 1, 0] = 0
        for i0 in range(0, mx, BLOCK):
            count = min(BLOCK, mx - i0)
            _sums(x, classes, rows, corners, j, i0, count, X)
            total += _multiply(blocks, a, j, i0, count, X, Y)
            _scatter(Y, classes, rows, corners, j, i0, count, moments)
    return total


@kernel
def _advance_row(alpha, unit, i0, i1, above, below, q, x, r):
    """Update the entries [i0, i1) of one row."""
    for i in range(i0, i1):
        x[i] += alpha * unit * q[i]
        r[i] -= alpha * (above[i] + below[i])


@kernel
def _advance_upright(alpha, unit, i0, i1, moments, q, x, r):
    """Update the columns [i0, i1) of one row of vertical edges (p, mx+1)."""
    for k in range(q.shape[0]):
        for i in range(i0, i1):
            x[k, i] += alpha * unit * q[k, i]
            r[k, i] -= alpha * moments[k, i]


@kernel
def _scaled(scale, r, s):
    """Set s (i, p) to scale r, r (p, i)."""
    for i in range(s.shape[0]):
        for k in range(s.shape[1]):
            s[i, k] = scale * r[k, i]


@kernel
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
    r : residual, triple of float64, zero where not free.
    s : scaled residual, float32 in the order of a trace vector.
    j0 : first row of vertices.
    j1 : end of the rows.
    """
    above, below, AV, C_above, C_below = moments
    J0, J1, I0, I1 = free
    qH, qV, qC = q
    xH, xV, xC = x
    rH, rV, rC = r
    my, p, mx = qV.shape[0], qH.shape[1], qH.shape[2]
    for j in range(j0, j1):
        if J0 <= j < J1:
            for k in range(p):
                _advance_row(alpha, unit, 0, mx, above[j, k], below[j, k], qH[j, k], xH[j, k], rH[j, k])
            _scaled(scale, rH[j], s[0][j])
            _advance_row(alpha, unit, I0, I1, C_above[j], C_below[j], qC[j], xC[j], rC[j])
            for i in range(I0, I1):
                s[2][j, i] = scale * rC[j, i]
        if j < my:
            _advance_upright(alpha, unit, I0, I1, AV[j], qV[j], xV[j], rV[j])
            _scaled(scale, rV[j], s[1][j])


@kernel
def _combined(beta, q, z):
    """Set q = z + beta q, q (p, i) and z (i, p)."""
    for i in range(z.shape[0]):
        for k in range(z.shape[1]):
            q[k, i] = z[i, k] + beta * q[k, i]


@kernel
def new_direction(q: Triple, z: Triple, beta: float, j0: int, j1: int) -> None:
    """Set q = z + beta q in some rows.

    Parameters
    ----------
    q : direction, triple of float32.
    z : preconditioned residual, float32 in the order of a trace vector.
    beta : factor.
    j0 : first row of vertices.
    j1 : end of the rows.
    """
    factor = np.float32(beta)
    for j in range(j0, j1):
        _combined(factor, q[0][j], z[0][j])
        if j < z[1].shape[0]:
            _combined(factor, q[1][j], z[1][j])
        for i in range(z[2].shape[1]):
            q[2][j, i] = z[2][j, i] + factor * q[2][j, i]


@kernel
def gather_crosspoints(cross: tuple, s: np.ndarray, right: np.ndarray) -> None:
    """Add what edges at cross points contribute to the moments of the coarse functions.

    Parameters
    ----------
    cross : (edges, kind, traces, vertices, weights) as of ``crosspoints.CrossPoints``, numbers in float32; vertices are
        places in ``right``.
    s : flat float32 residual in the order of a trace vector.
    right : flat coarse moments, changed in place.
    """
    edges, kind, traces, vertices, weights = cross
    p = traces.shape[1] // 2
    for k in range(len(kind)):
        total = np.float32(0)
        for e in range(2):
            for c in range(p):
                total += traces[kind[k], e * p + c] * s[edges[k, e] + c]
        for q in range(4):
            right[vertices[k, q]] += weights[k, q] * total


@kernel
def add_crosspoints(cross: tuple, coarse: np.ndarray, z: np.ndarray) -> None:
    """Add the coarse solution to edges at cross points: the transpose of :func:`gather_crosspoints`.

    Parameters
    ----------
    cross : as there.
    coarse : flat coarse solution.
    z : flat float32 in the order of a trace vector, changed in place.
    """
    edges, kind, traces, vertices, weights = cross
    p = traces.shape[1] // 2
    for k in range(len(kind)):
        value = np.float32(0)
        for q in range(4):
            value += weights[k, q] * coarse[vertices[k, q]]
        for e in range(2):
            for c in range(p):
                z[edges[k, e] + c] += value * traces[kind[k], e * p + c]


@kernel
def add_coarse(coarse: np.ndarray, free: tuple[int, int, int, int], z: np.ndarray, right: np.ndarray) -> float:
    """Add the coarse solution to the vertices.

    Parameters
    ----------
    coarse : (my+3, mx+3) solution at the vertices, with a ring.
    free : free vertices (j0, j1, i0, i1).
    z : (my+1, mx+1) float32, changed in place.
    right : (my+3, mx+3) right-hand side that it belongs to, with a ring.

    Returns
    -------
    The product of solution and right-hand side.
    """
    j0, j1, i0, i1 = free
    total = 0.0
    for j in range(j0, j1):
        row = np.float32(0)
        for i in range(i0, i1):
            v = coarse[j + 1, i + 1]
            z[j, i] += v
            row += v * right[j + 1, i + 1]
        total += row
    return total
