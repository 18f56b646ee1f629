"""Compiled local problems where every vertex has its own matrix: batched factorisations in lanes of vertices.

Owns the packed storage of these matrices, their factorisation and the solves.

Vertices are packed by LANES in a given order. A packed symmetric matrix (r >= c at r (r+1)/2 + c) of all
lanes is one (m (m+1)/2, LANES) array, so that every operation is one on LANES numbers. Matrices are factorised as
L D L^T in float64 and kept in float32; the left and the right edge of a vertex share no cell, so that block stays zero.
"""

from __future__ import annotations

import numpy as np

from ..kernels.options import kernel
from .local_kernels import gather_vertices, product, scatter_vertices

LANES = 64


@kernel
def _assemble(a, parts, order, first, last, A):
    """Set A (packed, LANES) to the matrices of order[first:last], before fixing; a has a ring. The last one repeats."""
    columns = a.shape[1] - 1
    sw, se, nw, ne = np.empty(LANES), np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for k in range(LANES):
        v = order[min(first + k, last - 1)]
        j, i = v // columns, v % columns
        sw[k], se[k], nw[k], ne[k] = a[j, i], a[j, i + 1], a[j + 1, i], a[j + 1, i + 1]
    for q in range(A.shape[0]):
        for k in range(LANES):
            A[q, k] = parts[0, q] * sw[k] + parts[1, q] * se[k] + parts[2, q] * nw[k] + parts[3, q] * ne[k]


@kernel
def _is_fixed(code, r, p):
    """Return whether unknown r around a vertex is fixed or missing; bits: left, right, lower, upper, vertex."""
    return (code >> (r // p if r < 4 * p else 4)) & 1


@kernel
def _fix(A, k, code, m):
    """Give the unknowns of lane k that ``code`` names identity rows."""
    p = (m - 1) // 4
    for r in range(m):
        for c in range(r + 1):
            if _is_fixed(code, r, p) or _is_fixed(code, c, p):
                A[r * (r + 1) // 2 + c, k] = 1.0 if r == c else 0.0


@kernel
def _eliminate(A, r, k, c0, scaled, column):
    """Subtract the product of L[r, k] and column k from the entries [c0, r] of row r."""
    q = r * (r + 1) // 2
    for c in range(c0, r + 1):
        for lane in range(LANES):
            A[q + c, lane] -= scaled[r, lane] * column[c, lane]


@kernel
def _factorise(A, m, column, scaled):
    """Replace packed matrices A by L (below the diagonal) and 1/D (on it)."""
    p = (m - 1) // 4
    for k in range(m):
        diagonal = k * (k + 1) // 2 + k
        for lane in range(LANES):
            A[diagonal, lane] = 1 / A[diagonal, lane]
        for r in range(k + 1, m):
            if k < p and p <= r < 2 * p:
                continue
            q = r * (r + 1) // 2 + k
            for lane in range(LANES):
                column[r, lane] = A[q, lane]
                scaled[r, lane] = A[q, lane] * A[diagonal, lane]
                A[q, lane] = scaled[r, lane]
        for r in range(k + 1, m):
            if k >= p:
                _eliminate(A, r, k, k + 1, scaled, column)
            elif r < p:
                _eliminate(A, r, k, k + 1, scaled, column)
            elif r >= 2 * p:
                q = r * (r + 1) // 2
                for c in range(k + 1, p):
                    for lane in range(LANES):
                        A[q + c, lane] -= scaled[r, lane] * column[c, lane]
                _eliminate(A, r, k, 2 * p, scaled, column)


@kernel
def factorise_vertices(
    a: np.ndarray,
    parts: np.ndarray,
    codes: np.ndarray,
    order: np.ndarray,
    blocks: np.ndarray,
    B: np.ndarray,
    b0: int,
    b1: int,
) -> None:
    """Factorise the matrices of some blocks of at most LANES vertices.

    Parameters
    ----------
    a : (my+2, mx+2) coefficients with a ring of zeros.
    parts : (4, packed) what the cells SW, SE, NW, NE contribute.
    codes : (vertices,) bits of the fixed or missing unknowns of every vertex: left, right, lower, upper edge, vertex.
    order : (vertices,) numbers j (mx + 1) + i of the vertices.
    blocks : (blocks, 2) first and last position in ``order``.
    B : (blocks, packed, LANES) float32 factors, written; of twice the matrices, since solutions count by half.
    b0 : first block.
    b1 : end of the blocks.
    """
    packed = parts.shape[1]
    m = int(((8 * packed + 1) ** 0.5 - 1) / 2 + 0.5)
    A, column, scaled = np.empty((packed, LANES)), np.empty((m, LANES)), np.empty((m, LANES))
    for block in range(b0, b1):
        first, last = blocks[block, 0], blocks[block, 1]
        _assemble(a, parts, order, first, last, A)
        for k in range(LANES):
            code = codes[order[min(first + k, last - 1)]]
            if code:
                _fix(A, k, code, m)
        _factorise(A, m, column, scaled)
        for r in range(m):
            for c in range(r + 1):
                q = r * (r + 1) // 2 + c
                factor = 0.5 if r == c else 1.0
                for k in range(LANES):
                    B[block, q, k] = factor * A[q, k]


@kernel
def _substitute(L, m, X):
    """Replace X (m, LANES) by the solutions with the factors L (packed, LANES)."""
    p = (m - 1) // 4
    for r in range(m):
        q = r * (r + 1) // 2
        for c in range(r):
            if c < p <= r < 2 * p:
                continue
            for k in range(LANES):
                X[r, k] -= L[q + c, k] * X[c, k]
    for r in range(m - 1, -1, -1):
        q = r * (r + 1) // 2
        for k in range(LANES):
            X[r, k] *= L[q + r, k]
    for r in range(m - 1, 0, -1):
        q = r * (r + 1) // 2
        for c in range(r):
            if c < p <= r < 2 * p:
                continue
            for k in range(LANES):
                X[c, k] -= L[q + c, k] * X[r, k]


@kernel
def solve_vertices(
    B: np.ndarray,
    places: np.ndarray,
    blocks: np.ndarray,
    add: bool,
    s: np.ndarray,
    z: np.ndarray,
    b0: int,
    b1: int,
) -> float:
    """Solve the local problems of some blocks of vertices.

    Parameters
    ----------
    B : (blocks, packed, LANES) float32 factors.
    places : (5, vertices) uint64, see :func:`ngs_nhcsr.solvers.trace.local_kernels.solve_kinds`.
    blocks : (blocks, 2) first and last position in ``places``.
    add : whether solutions are added to what the edges in z have, or replace it.
    s : flat float32 residual, zero at fixed unknowns.
    z : flat float32, changed around the vertices.
    b0 : first block.
    b1 : end of the blocks.

    Returns
    -------
    What these vertices contribute to z·s.
    """
    m = int(((8 * B.shape[1] + 1) ** 0.5 - 1) / 2 + 0.5)
    X, Y = np.zeros((m, LANES), np.float32), np.zeros((m, LANES), np.float32)
    total = 0.0
    for block in range(b0, b1):
        first, count = blocks[block, 0], blocks[block, 1] - blocks[block, 0]
        gather_vertices(places, first, count, s, X)
        Y[:] = X
        _substitute(B[block], m, Y)
        total += product(X, Y, count)
        scatter_vertices(places, first, count, add, Y, z)
    return total
