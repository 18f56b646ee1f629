"""Compiled local solves on the skeleton where cells have matrices of their own: media with a reaction.

Order of axes, ranges of rows and threads as in ``skeleton``. ``index (B, my, mx)`` is the number of each cell's
matrices, which contain its coefficient. Edges are relaxed by their residual.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .options import OPTIONS
from .skeleton import Triple
from .skeleton_cells import work_of_line


@njit(**OPTIONS)
def _boundary(x, p, j, i, v):
    """Fill v (n,) with the boundary values of cell (j, i)."""
    C, H, V = x
    h, m = H.shape[2], V.shape[2]
    for k in range(h):
        v[k] = H[p, j, k, i]
        v[h + k] = H[p, j + 1, k, i]
    for k in range(m):
        v[2 * h + k] = V[p, j, k, i]
        v[2 * h + m + k] = V[p, j, k, i + 1]
    c = 2 * (h + m)
    v[c], v[c + 1], v[c + 2], v[c + 3] = C[p, j, i], C[p, j, i + 1], C[p, j + 1, i], C[p, j + 1, i + 1]


@njit(**OPTIONS)
def _dot(S, v):
    """Return S·v of one row of a matrix and a vector."""
    total = 0.0
    for c in range(v.size):
        total += S[c] * v[c]
    return total


@njit(**OPTIONS)
def relax_upright(
    index: np.ndarray,
    K: int,
    S: np.ndarray,
    inverses: np.ndarray,
    edges: np.ndarray,
    g: np.ndarray,
    x: Triple,
    r0: int,
    r1: int,
) -> None:
    """Minimise the energy over every second inner upright edge, then over the others, in some rows of cells.

    Parameters
    ----------
    index : (B, my, mx) numbers of the cells' matrices.
    K : loads per medium.
    S : (D, n, n) Schur complements.
    inverses : (E, ry-1, ry-1) inverses of the edges' matrices.
    edges : (B, my, mx-1) numbers of the inner edges' inverses.
    g : (P, my, ry-1, mx+1) load vectors.
    x : values, changed in place.
    r0 : first of the P my rows.
    r1 : end of the rows.
    """
    V = x[2]
    my, mx, n, m = index.shape[1], index.shape[2], S.shape[1], V.shape[2]
    left = n - 4 - 2 * m
    before, after, rest = np.empty(n), np.empty(n), np.empty(m)
    for row in range(r0, r1):
        p, j = row // my, row % my
        b = p // K
        for first in range(1, 3):
            for i in range(first, mx, 2):
                _boundary(x, p, j, i - 1, before)
                _boundary(x, p, j, i, after)
                A, B = S[index[b, j, i - 1]], S[index[b, j, i]]
                for k in range(m):
                    rest[k] = g[p, j, k, i] - _dot(A[left + m + k], before) - _dot(B[left + k], after)
                inverse = inverses[edges[b, j, i - 1]]
                for k in range(m):
                    V[p, j, k, i] += _dot(inverse[k], rest)


@njit(**OPTIONS)
def relax_level(
    index: np.ndarray,
    K: int,
    S: np.ndarray,
    inverses: np.ndarray,
    edges: np.ndarray,
    g: np.ndarray,
    x: Triple,
    first: int,
    r0: int,
    r1: int,
) -> None:
    """Minimise the energy over the level edges of every second inner line.

    Parameters
    ----------
    index : (B, my, mx) numbers of the cells' matrices.
    K : loads per medium.
    S : (D, n, n) Schur complements.
    inverses : (E, rx-1, rx-1) inverses of the edges' matrices.
    edges : (B, my-1, mx) numbers of the inner edges' inverses.
    g : (P, my+1, rx-1, mx) load vectors.
    x : values, changed in place.
    first : first line, 1 or 2.
    r0 : first of these lines, which all problems together have.
    r1 : end of the lines.
    """
    H = x[1]
    my, mx, n, m = index.shape[1], index.shape[2], S.shape[1], H.shape[2]
    lines = (my - first + 1) // 2
    below, above, rest = np.empty(n), np.empty(n), np.empty(m)
    for row in range(r0, r1):
        p, j = row // lines, first + 2 * (row % lines)
        b = p // K
        for i in range(mx):
            _boundary(x, p, j - 1, i, below)
            _boundary(x, p, j, i, above)
            A, B = S[index[b, j - 1, i]], S[index[b, j, i]]
            for k in range(m):
                rest[k] = g[p, j, k, i] - _dot(A[m + k], below) - _dot(B[k], above)
            inverse = inverses[edges[b, j - 1, i]]
            for k in range(m):
                H[p, j, k, i] += _dot(inverse[k], rest)


@njit(**OPTIONS)
def relax_corners(
    index: np.ndarray, K: int, E: np.ndarray, residual: np.ndarray, step: np.ndarray, first: int, r0: int, r1: int
) -> None:
    """Minimise the energy over the hats of every second inner corner, then over the others, on every second line.

    Parameters
    ----------
    index : (B, my, mx) numbers of the cells' matrices.
    K : loads per medium.
    E : (D, 4, 4) matrices of the hats.
    residual : (P, my+1, mx+1) residual before the first step.
    step : (P, my+1, mx+1) sum of the steps, changed in place; zero where no step was taken yet.
    first : first line, 1 or 2.
    r0 : first of these lines, which all problems together have.
    r1 : end of the lines.
    """
    my, mx = index.shape[1], index.shape[2]
    lines = (my - first + 1) // 2
    for row in range(r0, r1):
        p, j = row // lines, first + 2 * (row % lines)
        below, above = index[p // K, j - 1], index[p // K, j]
        s, t, u = step[p, j - 1], step[p, j], step[p, j + 1]
        for start in range(1, 3):
            for i in range(start, mx, 2):
                sw, se, nw, ne = E[below[i - 1], 3], E[below[i], 2], E[above[i - 1], 1], E[above[i], 0]
                rest = residual[p, j, i]
                rest -= sw[0] * s[i - 1] + (sw[1] + se[0]) * s[i] + se[1] * s[i + 1]
                rest -= nw[2] * u[i - 1] + (nw[3] + ne[2]) * u[i] + ne[3] * u[i + 1]
                rest -= (sw[2] + nw[0]) * t[i - 1] + (se[3] + ne[1]) * t[i + 1]
                t[i] = rest / (sw[3] + se[2] + nw[1] + ne[0])


@njit(**OPTIONS)
def _to_corners(y, p, j, i, C, lower, upper):
    """Add y (4,) to the lower and the upper corners of cell (j, i), if wanted."""
    if lower:
        C[p, j, i] += y[0]
        C[p, j, i + 1] += y[1]
    if upper:
        C[p, j + 1, i] += y[2]
        C[p, j + 1, i + 1] += y[3]


@njit(**OPTIONS)
def _samples(f, parts, p, j, i, v):
    """Fill v ((qy+1)(qx+1),) with the samples of f in cell (j, i)."""
    qy, qx = parts
    for k in range(qy + 1):
        for m in range(qx + 1):
            v[k * (qx + 1) + m] = f[p, j * qy + k, i * qx + m]


@njit(**OPTIONS)
def load_vectors(
    index: np.ndarray,
    K: int,
    M: np.ndarray,
    f: np.ndarray,
    parts: tuple,
    g: Triple,
    hats: np.ndarray,
    r0: int,
    r1: int,
) -> None:
    """Add up the condensed load vectors of the cells.

    Parameters
    ----------
    index : (B, my, mx) numbers of the cells' matrices.
    K : loads per medium.
    M : (D, n + 4, (qy+1)(qx+1)) load vectors of a cell for its n boundary values and the four bilinear hats.
    f : (P, qy my + 1, qx mx + 1) samples of the load.
    parts : (qy, qx).
    g : (C, H, V) load vectors of the boundary values, zero before.
    hats : (P, my+1, mx+1) load vectors of the hats, zero before.
    r0 : first of the P (my+1) lines; with each goes the row of upright edges above it.
    r1 : end of the lines.
    """
    C, H, V = g
    lines, mx, h, v = C.shape[1], index.shape[2], H.shape[2], V.shape[2]
    n = M.shape[1] - 4
    samples, y = np.empty(M.shape[2]), np.empty(n + 4)
    for row in range(max(r0 - 1, 0), r1):
        p, j = row // lines, row % lines
        if j == lines - 1:
            continue
        lower, upper = row >= r0, row + 1 < r1
        for i in range(mx):
            _samples(f, parts, p, j, i, samples)
            own = M[index[p // K, j, i]]
            for k in range(n + 4):
                y[k] = _dot(own[k], samples)
            if upper:
                for k in range(h):
                    H[p, j + 1, k, i] += y[h + k]
            if lower:
                for k in range(h):
                    H[p, j, k, i] += y[k]
                for k in range(v):
                    V[p, j, k, i] += y[2 * h + k]
                    V[p, j, k, i + 1] += y[2 * h + v + k]
            _to_corners(y[n - 4 : n], p, j, i, C, lower, upper)
            _to_corners(y[n:], p, j, i, hats, lower, upper)


@njit(**OPTIONS)
def residual(
    index: np.ndarray, K: int, S: np.ndarray, hats: np.ndarray, x: Triple, out: np.ndarray, r0: int, r1: int
) -> None:
    """Compute the residual against the bilinear hats of the corners.

    Parameters
    ----------
    index : (B, my, mx) numbers of the cells' matrices.
    K : loads per medium.
    S : (D, 4, n) the hats times the Schur complements.
    hats : (P, my+1, mx+1) load vectors of the hats.
    x : values.
    out : (P, my+1, mx+1) residual, overwritten.
    r0 : first of the P (my+1) lines.
    r1 : end of the lines.
    """
    lines, mx = out.shape[1], index.shape[2]
    v, y = np.empty(S.shape[2]), np.empty(4)
    for row in range(r0, r1):
        p, j = row // lines, row % lines
        for i in range(mx + 1):
            out[p, j, i] = hats[p, j, i]
    for row in range(max(r0 - 1, 0), r1):
        p, j = row // lines, row % lines
        if j == lines - 1:
            continue
        for i in range(mx):
            _boundary(x, p, j, i, v)
            own = S[index[p // K, j, i]]
            for k in range(4):
                y[k] = -_dot(own[k], v)
            _to_corners(y, p, j, i, out, row >= r0, row + 1 < r1)


@njit(**OPTIONS)
def line_search(
    index: np.ndarray, K: int, S: np.ndarray, g: Triple, x: Triple, y: Triple, sums: np.ndarray, r0: int, r1: int
) -> None:
    """Compute what the minimum of the energy on the line through x and y needs; as ``skeleton_cells.line_search``.

    Parameters
    ----------
    index : (B, my, mx) numbers of the cells' matrices.
    K : loads per medium.
    S : (D, n, n) Schur complements.
    g : load vectors of the boundary values.
    x : values.
    y : values.
    sums : (P (my+1), 2) the residual of x times d = y - x, and d's squared energy norm; written.
    r0 : first of the P (my+1) lines.
    r1 : end of the lines.
    """
    lines, mx, n = x[0].shape[1], index.shape[2], S.shape[1]
    v, d = np.empty(n), np.empty(n)
    for row in range(r0, r1):
        p, j = row // lines, row % lines
        work, energy = work_of_line(g, x, y, p, j), 0.0
        if j < lines - 1:
            for i in range(mx):
                _boundary(x, p, j, i, v)
                _boundary(y, p, j, i, d)
                for k in range(n):
                    d[k] -= v[k]
                own = S[index[p // K, j, i]]
                for k in range(n):
                    force = _dot(own[k], d)
                    work -= v[k] * force
                    energy += d[k] * force
        sums[row, 0], sums[row, 1] = work, energy


@njit(**OPTIONS)
def extend(
    index: np.ndarray,
    K: int,
    W: np.ndarray,
    R: np.ndarray,
    f: np.ndarray,
    parts: tuple,
    x: Triple,
    out: np.ndarray,
    r0: int,
    r1: int,
) -> None:
    """Extend values on the skeleton into the cells.

    Parameters
    ----------
    index : (B, my, mx) numbers of the cells' matrices.
    K : loads per medium.
    W : (D, (ry-1)(rx-1), n) values inside a cell for its boundary values.
    R : (D, (ry-1)(rx-1), (qy+1)(qx+1)) those for the load's samples.
    f : (P, qy my + 1, qx mx + 1) samples of the load.
    parts : (qy, qx).
    x : values.
    out : (P, ry my + 1, rx mx + 1) fine field, overwritten.
    r0 : first of the P (my+1) lines; with each goes the row of cells above it.
    r1 : end of the lines.
    """
    C, H, V = x
    lines, mx, h, v = C.shape[1], index.shape[2], H.shape[2], V.shape[2]
    boundary, samples = np.empty(W.shape[2]), np.empty(R.shape[2])
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
        for i in range(mx):
            _boundary(x, p, j, i, boundary)
            _samples(f, parts, p, j, i, samples)
            number = index[p // K, j, i]
            for s in range(v):
                out[p, line + s + 1, i * (h + 1)] = V[p, j, s, i]
                for k in range(h):
                    e = s * h + k
                    out[p, line + s + 1, i * (h + 1) + k + 1] = _dot(W[number, e], boundary) + _dot(
                        R[number, e], samples
                    )
        for s in range(v):
            out[p, line + s + 1, mx * (h + 1)] = V[p, j, s, mx]
