"""Compiled loads and fields of cells that have matrices of their own; conventions of ``distinct_cells``."""

from __future__ import annotations

import numpy as np

from .distinct_cells import boundary, dot, to_corners
from .options import kernel
from .skeleton import Triple


@kernel
def _samples(f, parts, p, j, i, v):
    """Fill v ((qy+1)(qx+1),) with the samples of f in cell (j, i)."""
    qy, qx = parts
    for k in range(qy + 1):
        for m in range(qx + 1):
            v[k * (qx + 1) + m] = f[p, j * qy + k, i * qx + m]


@kernel
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
                y[k] = dot(own[k], samples)
            if upper:
                for k in range(h):
                    H[p, j + 1, k, i] += y[h + k]
            if lower:
                for k in range(h):
                    H[p, j, k, i] += y[k]
                for k in range(v):
                    V[p, j, k, i] += y[2 * h + k]
                    V[p, j, k, i + 1] += y[2 * h + v + k]
            to_corners(y[n - 4 : n], p, j, i, C, lower, upper)
            to_corners(y[n:], p, j, i, hats, lower, upper)


@kernel
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
    values, samples = np.empty(W.shape[2]), np.empty(R.shape[2])
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
            boundary(x, p, j, i, values)
            _samples(f, parts, p, j, i, samples)
            number = index[p // K, j, i]
            for s in range(v):
                out[p, line + s + 1, i * (h + 1)] = V[p, j, s, i]
                for k in range(h):
                    e, place = s * h + k, i * (h + 1) + k + 1
                    out[p, line + s + 1, place] = dot(W[number, e], values) + dot(R[number, e], samples)
        for s in range(v):
            out[p, line + s + 1, mx * (h + 1)] = V[p, j, s, mx]
