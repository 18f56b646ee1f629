"""Compiled local solves on the skeleton where cells have matrices of their own: media with a reaction.

Order of axes, ranges of rows and threads as in ``skeleton``. ``index (B, my, mx)`` is the number of each cell's
matrices, which contain its coefficient. Edges are relaxed by their residual.
"""

from __future__ import annotations

import numpy as np

from .options import kernel
from .skeleton import Triple
from .skeleton_cells import work_of_line


@kernel
def boundary(x, p, j, i, v):
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


@kernel
def dot(S, v):
    """Return S·v of one row of a matrix and a vector."""
    total = 0.0
    for c in range(v.size):
        total += S[c] * v[c]
    return total


@kernel
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
                boundary(x, p, j, i - 1, before)
                boundary(x, p, j, i, after)
                A, B = S[index[b, j, i - 1]], S[index[b, j, i]]
                for k in range(m):
                    rest[k] = g[p, j, k, i] - dot(A[left + m + k], before) - dot(B[left + k], after)
                inverse = inverses[edges[b, j, i - 1]]
                for k in range(m):
                    V[p, j, k, i] += dot(inverse[k], rest)


@kernel
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
            boundary(x, p, j - 1, i, below)
            boundary(x, p, j, i, above)
            A, B = S[index[b, j - 1, i]], S[index[b, j, i]]
            for k in range(m):
                rest[k] = g[p, j, k, i] - dot(A[m + k], below) - dot(B[k], above)
            inverse = inverses[edges[b, j - 1, i]]
            for k in range(m):
                H[p, j, k, i] += dot(inverse[k], rest)


@kernel
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


@kernel
def to_corners(y, p, j, i, C, lower, upper):
    """Add y (4,) to the lower and the upper corners of cell (j, i), if wanted."""
    if lower:
        C[p, j, i] += y[0]
        C[p, j, i + 1] += y[1]
    if upper:
        C[p, j + 1, i] += y[2]
        C[p, j + 1, i + 1] += y[3]


@kernel
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
            boundary(x, p, j, i, v)
            own = S[index[p // K, j, i]]
            for k in range(4):
                y[k] = -dot(own[k], v)
            to_corners(y, p, j, i, out, row >= r0, row + 1 < r1)


@kernel
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
                boundary(x, p, j, i, v)
                boundary(y, p, j, i, d)
                for k in range(n):
                    d[k] -= v[k]
                own = S[index[p // K, j, i]]
                for k in range(n):
                    force = dot(own[k], d)
                    work -= v[k] * force
                    energy += d[k] * force
        sums[row, 0], sums[row, 1] = work, energy
