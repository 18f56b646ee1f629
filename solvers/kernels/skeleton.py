"""Compiled local solves on the skeleton: sweeps over edges and corners, and steps along bilinear functions.

Owns the order of axes in the kernels. P = B K problems are numbered load by load, problem p has medium p // K. Values
on the skeleton are triples ``C (P, my+1, mx+1)`` at corners, ``H (P, my+1, rx-1, mx)`` on level edges, ``V (P, my,
ry-1, mx+1)`` on upright edges: neighbours along x lie next to each other. Coefficients are ``a (B, my, mx)``. Boundary
values of cells are ordered as in ``substructuring.condensation.CellLayout``.

The cell on one side of an edge is the mirror image of that on the other, so both act by the same matrix: values of the
one, mirrored, are added to those of the other before they are multiplied.

Every function works on some rows of all problems, releases Python's lock and runs on one thread; calls for disjoint
ranges of rows may run side by side. Columns are counted in unsigned numbers: indices that might be negative do not
vectorise.
"""

from __future__ import annotations

import numpy as np

from .options import kernel

#: Columns of one matrix product; its operands stay in the cache.
BLOCK = 128
ROW, ONE = np.uint64(BLOCK), np.uint64(1)
#: C, H, V.
Triple = tuple[np.ndarray, np.ndarray, np.ndarray]


@kernel
def multiply(W, X, Y, count):
    """Add W X to Y in the first ``count`` columns, for W (m, n), X (n, BLOCK), Y (m, BLOCK).

    Two rows by four columns of W at a time; with flat arrays and fixed distances between rows the compiler needs no
    checks whether rows overlap. Columns left over take as long as four: where W is small, zeros fill it up
    (:func:`filled`).
    """
    m, n = W.shape
    x, y = X.reshape(X.size), Y.reshape(Y.size)
    for k in range(0, m - 1, 2):
        y0 = np.uint64(k) * ROW
        y1 = y0 + ROW
        for c in range(0, n - 3, 4):
            a0, a1, a2, a3 = W[k, c], W[k, c + 1], W[k, c + 2], W[k, c + 3]
            b0, b1, b2, b3 = W[k + 1, c], W[k + 1, c + 1], W[k + 1, c + 2], W[k + 1, c + 3]
            x0 = np.uint64(c) * ROW
            x1, x2, x3 = x0 + ROW, x0 + ROW + ROW, x0 + ROW + ROW + ROW
            for q in range(count):
                y[y0 + q] += a0 * x[x0 + q] + a1 * x[x1 + q] + a2 * x[x2 + q] + a3 * x[x3 + q]
                y[y1 + q] += b0 * x[x0 + q] + b1 * x[x1 + q] + b2 * x[x2 + q] + b3 * x[x3 + q]
        for c in range(n - n % 4, n):
            a0, b0, x0 = W[k, c], W[k + 1, c], np.uint64(c) * ROW
            for q in range(count):
                y[y0 + q] += a0 * x[x0 + q]
                y[y1 + q] += b0 * x[x0 + q]
    if m % 2:
        k, y0 = m - 1, np.uint64(m - 1) * ROW
        for c in range(0, n - 3, 4):
            a0, a1, a2, a3 = W[k, c], W[k, c + 1], W[k, c + 2], W[k, c + 3]
            x0 = np.uint64(c) * ROW
            x1, x2, x3 = x0 + ROW, x0 + ROW + ROW, x0 + ROW + ROW + ROW
            for q in range(count):
                y[y0 + q] += a0 * x[x0 + q] + a1 * x[x1 + q] + a2 * x[x2 + q] + a3 * x[x3 + q]
        for c in range(n - n % 4, n):
            a0, x0 = W[k, c], np.uint64(c) * ROW
            for q in range(count):
                y[y0 + q] += a0 * x[x0 + q]


def filled(W: np.ndarray) -> np.ndarray:
    """Append columns of zeros to a matrix, up to a multiple of four, for :func:`multiply`.

    Examples
    --------
    >>> filled(np.ones((1, 3))).tolist()
    [[1.0, 1.0, 1.0, 0.0]]
    """
    return np.pad(W, ((0, 0), (0, -W.shape[1] % 4)))


@kernel
def block(i0, end):
    """Return the first column and the number of columns, unsigned, of the block that begins at i0."""
    return np.uint64(i0), np.uint64(min(BLOCK, end - i0))


@kernel
def _upright_others(a, x, p, j, i, count, X):
    """Fill X with the values that upright edges of row j, from edge i on, see on level edges and at corners.

    ``a`` is that of row j of the cells; the cell before an edge is mirrored.
    """
    C, H = x[0], x[1]
    h = H.shape[2]
    for side in range(2):
        for k in range(h):
            for q in range(count):
                e = i + q
                X[side * h + k, q] = a[e - ONE] * H[p, j + side, h - 1 - k, e - ONE] + a[e] * H[p, j + side, k, e]
        for q in range(count):
            e = i + q
            X[2 * h + 2 * side, q] = (a[e - ONE] + a[e]) * C[p, j + side, e]
            X[2 * h + 2 * side + 1, q] = a[e - ONE] * C[p, j + side, e - ONE] + a[e] * C[p, j + side, e + ONE]


@kernel
def relax_upright(
    a: np.ndarray, K: int, W: np.ndarray, T: np.ndarray, loads: np.ndarray, x: Triple, r0: int, r1: int
) -> None:
    """Minimise the energy over every second inner upright edge, then over the others, in some rows of cells.

    Parameters
    ----------
    a : (B, my, mx) coefficients.
    K : loads per medium.
    W : (ry-1, 2 (rx-1) + 4) weights of a cell's values [bottom | top | corners] for its left edge, filled.
    T : (ry-1, ry-1) weights of those of its right edge, filled.
    loads : (P, my, ry-1, mx+1) the load's part.
    x : values, changed in place.
    r0 : first of the P my rows.
    r1 : end of the rows.
    """
    V = x[2]
    my, mx, m = a.shape[1], a.shape[2], W.shape[0]
    X, across, Y = np.zeros((W.shape[1], BLOCK)), np.zeros((T.shape[1], BLOCK)), np.empty((m, BLOCK))
    others, inverse = np.empty((m, mx)), np.empty(mx)
    for row in range(r0, r1):
        p, j = row // my, row % my
        cells = a[p // K, j]
        for i in range(1, mx):
            inverse[i] = 1 / (cells[i - 1] + cells[i])
        for i0 in range(1, mx, BLOCK):
            i, count = block(i0, mx)
            _upright_others(cells, x, p, j, i, count, X)
            for k in range(m):
                for q in range(count):
                    Y[k, q] = loads[p, j, k, i + q]
            multiply(W, X, Y, count)
            for k in range(m):
                for q in range(count):
                    others[k, i + q] = Y[k, q]
        for first in range(1, 3):
            edges = (mx - first + 1) // 2
            for e0 in range(0, edges, BLOCK):
                i, count = block(first + 2 * e0, first + 2 * e0 + edges - e0)
                for k in range(m):
                    for q in range(count):
                        e = i + q + q
                        across[k, q] = cells[e - ONE] * V[p, j, k, e - ONE] + cells[e] * V[p, j, k, e + ONE]
                        Y[k, q] = others[k, e]
                multiply(T, across, Y, count)
                for k in range(m):
                    for q in range(count):
                        e = i + q + q
                        V[p, j, k, e] = Y[k, q] * inverse[e]


@kernel
def _level_others(a, b, x, p, j, i, count, X):
    """Fill X with the values that level edges of line j, from edge i on, see in the cells below and above.

    ``a`` and ``b`` are the coefficients of the cells below and above; the cell below is mirrored.
    """
    C, H, V = x
    h, v = H.shape[2], V.shape[2]
    for k in range(h):
        for q in range(count):
            e = i + q
            X[k, q] = a[e] * H[p, j - 1, k, e] + b[e] * H[p, j + 1, k, e]
    for k in range(v):
        for q in range(count):
            e = i + q
            X[h + k, q] = a[e] * V[p, j - 1, v - 1 - k, e] + b[e] * V[p, j, k, e]
        for q in range(count):
            e = i + q
            X[h + v + k, q] = a[e] * V[p, j - 1, v - 1 - k, e + ONE] + b[e] * V[p, j, k, e + ONE]
    c = h + 2 * v
    for q in range(count):
        e = i + q
        X[c, q] = (a[e] + b[e]) * C[p, j, e]
    for q in range(count):
        e = i + q
        X[c + 1, q] = (a[e] + b[e]) * C[p, j, e + ONE]
    for q in range(count):
        e = i + q
        X[c + 2, q] = a[e] * C[p, j - 1, e] + b[e] * C[p, j + 1, e]
    for q in range(count):
        e = i + q
        X[c + 3, q] = a[e] * C[p, j - 1, e + ONE] + b[e] * C[p, j + 1, e + ONE]


@kernel
def relax_level(
    a: np.ndarray, K: int, W: np.ndarray, loads: np.ndarray, x: Triple, first: int, r0: int, r1: int
) -> None:
    """Minimise the energy over the level edges of every second inner line.

    Parameters
    ----------
    a : (B, my, mx) coefficients.
    K : loads per medium.
    W : (rx-1, (rx-1) + 2 (ry-1) + 4) weights of a cell's values [top | left | right | corners] for its bottom edge,
        filled.
    loads : (P, my+1, rx-1, mx) the load's part.
    x : values, changed in place.
    first : first line, 1 or 2.
    r0 : first of these lines, which all problems together have.
    r1 : end of the lines.
    """
    H = x[1]
    my, mx, (m, n) = a.shape[1], a.shape[2], W.shape
    lines = (my - first + 1) // 2
    X, Y, inverse = np.zeros((n, BLOCK)), np.empty((m, BLOCK)), np.empty(BLOCK)
    for row in range(r0, r1):
        p, j = row // lines, first + 2 * (row % lines)
        below, above = a[p // K, j - 1], a[p // K, j]
        for i0 in range(0, mx, BLOCK):
            i, count = block(i0, mx)
            _level_others(below, above, x, p, j, i, count, X)
            for k in range(m):
                for q in range(count):
                    Y[k, q] = loads[p, j, k, i + q]
            multiply(W, X, Y, count)
            for q in range(count):
                inverse[q] = 1 / (below[i + q] + above[i + q])
            for k in range(m):
                for q in range(count):
                    H[p, j, k, i + q] = Y[k, q] * inverse[q]


@kernel
def relax_corners(
    a: np.ndarray, K: int, entries: tuple, residual: np.ndarray, step: np.ndarray, first: int, r0: int, r1: int
) -> None:
    """Minimise the energy over the hats of every second inner corner, then over the others, on every second line.

    Parameters
    ----------
    a : (B, my, mx) coefficients.
    K : loads per medium.
    entries : of the Q1 element matrix for a = 1: a corner with itself, with its neighbours along x and y, across.
    residual : (P, my+1, mx+1) residual before the first step.
    step : (P, my+1, mx+1) sum of the steps, changed in place; zero where no step was taken yet.
    first : first line, 1 or 2.
    r0 : first of these lines, which all problems together have.
    r1 : end of the lines.
    """
    diagonal, along_x, along_y, across = entries
    my, mx = a.shape[1], a.shape[2]
    lines = (my - first + 1) // 2
    left, inverse = np.empty(mx), np.empty(mx)
    for row in range(r0, r1):
        p, j = row // lines, first + 2 * (row % lines)
        below, above = a[p // K, j - 1], a[p // K, j]
        for i in range(1, mx):
            sw, se, nw, ne = below[i - 1], below[i], above[i - 1], above[i]
            inverse[i] = 1 / (diagonal * (sw + se + nw + ne))
            left[i] = residual[p, j, i] - (
                along_y * ((sw + se) * step[p, j - 1, i] + (nw + ne) * step[p, j + 1, i])
                + across * (sw * step[p, j - 1, i - 1] + se * step[p, j - 1, i + 1])
                + across * (nw * step[p, j + 1, i - 1] + ne * step[p, j + 1, i + 1])
            )
        for i in range(1, mx, 2):
            step[p, j, i] = left[i] * inverse[i]
        for i in range(2, mx, 2):
            west, east = below[i - 1] + above[i - 1], below[i] + above[i]
            step[p, j, i] = inverse[i] * (left[i] - along_x * (west * step[p, j, i - 1] + east * step[p, j, i + 1]))


@kernel
def add_bilinear(step: np.ndarray, x: Triple, r0: int, r1: int) -> None:
    """Add the function with values ``step`` at the corners, linear on the edges.

    Parameters
    ----------
    step : (P, my+1, mx+1).
    x : values, changed in place.
    r0 : first of the P (my+1) lines; with each the upright edges above it are treated.
    r1 : end of the lines.
    """
    C, H, V = x
    lines, nx = C.shape[1], C.shape[2]
    h, v = H.shape[2], V.shape[2]
    for row in range(r0, r1):
        p, j = row // lines, row % lines
        for i in range(nx):
            C[p, j, i] += step[p, j, i]
        for k in range(h):
            t = (k + 1) / (h + 1)
            for i in range(nx - 1):
                H[p, j, k, i] += step[p, j, i] + t * (step[p, j, i + 1] - step[p, j, i])
        if j == lines - 1:
            continue
        for k in range(v):
            t = (k + 1) / (v + 1)
            for i in range(nx):
                V[p, j, k, i] += step[p, j, i] + t * (step[p, j + 1, i] - step[p, j, i])


@kernel
def towards(share: np.ndarray, x: Triple, y: Triple, r0: int, r1: int) -> None:
    """Set y = (1 - share) x + share y, problem by problem.

    Parameters
    ----------
    share : (P,).
    x : values.
    y : values, changed in place.
    r0 : first of the P (my+1) lines; with each the upright edges above it are treated.
    r1 : end of the lines.
    """
    lines, h, v = x[0].shape[1], x[1].shape[2], x[2].shape[2]
    for row in range(r0, r1):
        p, j = row // lines, row % lines
        s = share[p]
        _mix(s, x[0][p, j], y[0][p, j])
        for k in range(h):
            _mix(s, x[1][p, j, k], y[1][p, j, k])
        if j < lines - 1:
            for k in range(v):
                _mix(s, x[2][p, j, k], y[2][p, j, k])


@kernel
def _mix(s, x, y):
    """Set y = (1 - s) x + s y; exactly x for s = 0 and y for s = 1."""
    if s < 0.5:
        for i in range(x.size):
            y[i] = x[i] + s * (y[i] - x[i])
    else:
        for i in range(x.size):
            y[i] -= (1 - s) * (y[i] - x[i])
