"""Compiled products over whole cells of the skeleton: condensed loads, residuals, line search, extension into cells.

Order of axes, ranges of rows and threads as in ``skeleton``. A load is given by samples ``f (P, qy my + 1, qx mx + 1)``
on qy x qx parts of every cell. What several cells contribute to a line is added by the call that has the line, so calls
for disjoint ranges may run side by side; each computes the cells below its first line once more.
"""

from __future__ import annotations

import numpy as np

from .options import kernel
from .skeleton import BLOCK, ONE, Triple, block, multiply


@kernel
def _clear(Y, count):
    """Set the first ``count`` columns of Y to zero."""
    for k in range(Y.shape[0]):
        for q in range(count):
            Y[k, q] = 0.0


@kernel
def _boundaries(x, p, j, i, count, X):
    """Fill X with the boundary values of ``count`` cells of row j, from cell i on."""
    C, H, V = x
    h, v = H.shape[2], V.shape[2]
    for k in range(h):
        for q in range(count):
            X[k, q] = H[p, j, k, i + q]
        for q in range(count):
            X[h + k, q] = H[p, j + 1, k, i + q]
    for k in range(v):
        for q in range(count):
            X[2 * h + k, q] = V[p, j, k, i + q]
        for q in range(count):
            X[2 * h + v + k, q] = V[p, j, k, i + q + ONE]
    c = 2 * (h + v)
    for q in range(count):
        X[c, q] = C[p, j, i + q]
    for q in range(count):
        X[c + 1, q] = C[p, j, i + q + ONE]
    for q in range(count):
        X[c + 2, q] = C[p, j + 1, i + q]
    for q in range(count):
        X[c + 3, q] = C[p, j + 1, i + q + ONE]


@kernel
def _samples(f, parts, p, j, i, count, X):
    """Fill X with the samples of f in ``count`` cells of row j, from cell i on."""
    qy, qx = parts
    width = np.uint64(qx)
    for k in range((qy + 1) * (qx + 1)):
        line, place = j * qy + k // (qx + 1), np.uint64(k % (qx + 1))
        for q in range(count):
            X[k, q] = f[p, line, (i + q) * width + place]


@kernel
def _add_to_corners(Y, p, j, i, count, C, lower, upper):
    """Add the first four rows of Y to the lower and the upper corners of ``count`` cells of row j, if wanted."""
    if lower:
        for q in range(count):
            C[p, j, i + q] += Y[0, q]
        for q in range(count):
            C[p, j, i + q + ONE] += Y[1, q]
    if upper:
        for q in range(count):
            C[p, j + 1, i + q] += Y[2, q]
        for q in range(count):
            C[p, j + 1, i + q + ONE] += Y[3, q]


@kernel
def load_vectors(f: np.ndarray, parts: tuple, M: np.ndarray, g: Triple, hats: np.ndarray, r0: int, r1: int) -> None:
    """Add up the condensed load vectors of the cells.

    Parameters
    ----------
    f : (P, qy my + 1, qx mx + 1) samples of the load.
    parts : (qy, qx).
    M : (n + 4, (qy+1)(qx+1)) load vectors of a cell for its n boundary values and the four bilinear hats.
    g : (C, H, V) load vectors of the boundary values, zero before.
    hats : (P, my+1, mx+1) load vectors of the bilinear hats, zero before.
    r0 : first of the P (my+1) lines; with each goes the row of upright edges above it.
    r1 : end of the lines.
    """
    C, H, V = g
    lines, mx, h, v = C.shape[1], H.shape[3], H.shape[2], V.shape[2]
    m = M.shape[0]
    X, Y = np.empty((M.shape[1], BLOCK)), np.empty((m, BLOCK))
    for row in range(max(r0 - 1, 0), r1):
        p, j = row // lines, row % lines
        if j == lines - 1:
            continue
        lower, upper = row >= r0, row + 1 < r1
        for i0 in range(0, mx, BLOCK):
            i, count = block(i0, mx)
            _samples(f, parts, p, j, i, count, X)
            _clear(Y, count)
            multiply(M, X, Y, count)
            if upper:
                for k in range(h):
                    for q in range(count):
                        H[p, j + 1, k, i + q] += Y[h + k, q]
            if lower:
                for k in range(h):
                    for q in range(count):
                        H[p, j, k, i + q] += Y[k, q]
                for k in range(v):
                    for q in range(count):
                        V[p, j, k, i + q] += Y[2 * h + k, q]
                    for q in range(count):
                        V[p, j, k, i + q + ONE] += Y[2 * h + v + k, q]
            _add_to_corners(Y[m - 8 :], p, j, i, count, C, lower, upper)
            _add_to_corners(Y[m - 4 :], p, j, i, count, hats, lower, upper)


@kernel
def multiply_rows(W: np.ndarray, x: np.ndarray, y: np.ndarray, r0: int, r1: int) -> None:
    """Set y = W x in some rows.

    Parameters
    ----------
    W : (m, m).
    x : (rows, m, columns).
    y : (rows, m, columns), overwritten.
    r0 : first row.
    r1 : end of the rows.
    """
    m, columns = x.shape[1], x.shape[2]
    X, Y = np.empty((m, BLOCK)), np.empty((m, BLOCK))
    for row in range(r0, r1):
        for i0 in range(0, columns, BLOCK):
            i, count = block(i0, columns)
            for k in range(m):
                for q in range(count):
                    X[k, q] = x[row, k, i + q]
            _clear(Y, count)
            multiply(W, X, Y, count)
            for k in range(m):
                for q in range(count):
                    y[row, k, i + q] = Y[k, q]


@kernel
def residual(
    a: np.ndarray, K: int, S: np.ndarray, hats: np.ndarray, x: Triple, out: np.ndarray, r0: int, r1: int
) -> None:
    """Compute the residual against the bilinear hats of the corners.

    Parameters
    ----------
    a : (B, my, mx) coefficients.
    K : loads per medium.
    S : (4, n) minus the hats times the Schur complement of a cell.
    hats : (P, my+1, mx+1) load vectors of the hats.
    x : values.
    out : (P, my+1, mx+1) residual, overwritten.
    r0 : first of the P (my+1) lines.
    r1 : end of the lines.
    """
    lines, mx = out.shape[1], a.shape[2]
    X, Y = np.empty((S.shape[1], BLOCK)), np.empty((4, BLOCK))
    for row in range(r0, r1):
        p, j = row // lines, row % lines
        for i in range(mx + 1):
            out[p, j, i] = hats[p, j, i]
    for row in range(max(r0 - 1, 0), r1):
        p, j = row // lines, row % lines
        if j == lines - 1:
            continue
        cells = a[p // K, j]
        for i0 in range(0, mx, BLOCK):
            i, count = block(i0, mx)
            _boundaries(x, p, j, i, count, X)
            _clear(Y, count)
            multiply(S, X, Y, count)
            for k in range(4):
                for q in range(count):
                    Y[k, q] *= cells[i + q]
            _add_to_corners(Y, p, j, i, count, out, row >= r0, row + 1 < r1)


@kernel
def _work(g, x, y):
    """Return g·(y - x) of three rows of numbers."""
    total = 0.0
    for i in range(g.size):
        total += g[i] * (y[i] - x[i])
    return total


@kernel
def work_of_line(g, x, y, p, j):
    """Return the work of the load along y - x on line j and the upright edges above it."""
    total = _work(g[0][p, j], x[0][p, j], y[0][p, j])
    for k in range(g[1].shape[2]):
        total += _work(g[1][p, j, k], x[1][p, j, k], y[1][p, j, k])
    if j < g[0].shape[1] - 1:
        for k in range(g[2].shape[2]):
            total += _work(g[2][p, j, k], x[2][p, j, k], y[2][p, j, k])
    return total


@kernel
def line_search(
    a: np.ndarray, K: int, S: np.ndarray, g: Triple, x: Triple, y: Triple, sums: np.ndarray, r0: int, r1: int
) -> None:
    """Compute what the minimum of the energy on the line through x and y needs, line by line.

    S is symmetric, so one product with the difference d = y - x gives d·Sd and x·Sd. Sums are kept by lines: they do
    not depend on how the lines are split among threads.

    Parameters
    ----------
    a : (B, my, mx) coefficients.
    K : loads per medium.
    S : (n, n) Schur complement of a cell.
    g : load vectors of the boundary values.
    x : values.
    y : values.
    sums : (P (my+1), 2) each line's and the cells' above it part of the residual of x times d, and of d's squared
        energy norm; written.
    r0 : first of the P (my+1) lines.
    r1 : end of the lines.
    """
    lines, mx, n = x[0].shape[1], a.shape[2], S.shape[0]
    X, D, Y = np.empty((n, BLOCK)), np.empty((n, BLOCK)), np.empty((n, BLOCK))
    for row in range(r0, r1):
        p, j = row // lines, row % lines
        work, energy = work_of_line(g, x, y, p, j), 0.0
        if j < lines - 1:
            cells = a[p // K, j]
            for i0 in range(0, mx, BLOCK):
                i, count = block(i0, mx)
                _boundaries(x, p, j, i, count, X)
                _boundaries(y, p, j, i, count, D)
                _clear(Y, count)
                for k in range(n):
                    for q in range(count):
                        D[k, q] -= X[k, q]
                multiply(S, D, Y, count)
                for k in range(n):
                    along_d, along_x = 0.0, 0.0  # sums of one row each: longer ones do not vectorise
                    for q in range(count):
                        force = cells[i + q] * Y[k, q]
                        along_d += D[k, q] * force
                        along_x += X[k, q] * force
                    energy += along_d
                    work -= along_x
        sums[row, 0], sums[row, 1] = work, energy


@kernel
def extend(
    a: np.ndarray, K: int, W: np.ndarray, f: np.ndarray, parts: tuple, x: Triple, out: np.ndarray, r0: int, r1: int
) -> None:
    """Extend values on the skeleton into the cells.

    Parameters
    ----------
    a : (B, my, mx) coefficients.
    K : loads per medium.
    W : (ry-1, rx-1, n + (qy+1)(qx+1)) values inside a cell for its boundary values and, over a, for the load's.
    f : (P, qy my + 1, qx mx + 1) samples of the load.
    parts : (qy, qx).
    x : values.
    out : (P, ry my + 1, rx mx + 1) fine field, overwritten.
    r0 : first of the P (my+1) lines; with each goes the row of cells above it.
    r1 : end of the lines.
    """
    C, H, V = x
    lines, mx, h, v = C.shape[1], H.shape[3], H.shape[2], V.shape[2]
    n = 2 * (h + v) + 4
    X, Y = np.empty((W.shape[2], BLOCK)), np.empty((h, BLOCK))
    for row in range(r0, r1):
        p, j = row // lines, row % lines
        line = j * (v + 1)
        for i in range(mx):
            out[p, line, i * (h + 1)] = C[p, j, i]
            for k in range(h):
                out[p, line, i * (h + 1) + k + 1] = H[p, j, k, i]
        out[p, line, mx * (h + 1)] = C[p, j, mx]
        if j == lines - 1:
            continue
        cells = a[p // K, j]
        for i0 in range(0, mx, BLOCK):
            i, count = block(i0, mx)
            _boundaries(x, p, j, i, count, X)
            _samples(f, parts, p, j, i, count, X[n:])
            for k in range(n, W.shape[2]):
                for q in range(count):
                    X[k, q] /= cells[i + q]
            for s in range(v):
                _clear(Y, count)
                multiply(W[s], X, Y, count)
                for q in range(count):
                    e = i + q
                    place = e * np.uint64(h + 1)
                    out[p, line + s + 1, place] = V[p, j, s, e]
                    for k in range(h):
                        out[p, line + s + 1, place + np.uint64(k + 1)] = Y[k, q]
        for s in range(v):
            out[p, line + s + 1, mx * (h + 1)] = V[p, j, s, mx]
