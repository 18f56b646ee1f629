"""Compiled local problems of the Schwarz method: at every vertex its unknown and those of the edges that meet there.

Owns how residuals are gathered around vertices and solutions scattered, and the solves where vertices are of few kinds;
``vertex_kernels`` has those where every vertex has a matrix of its own.

Vertices have two colours, as the squares of a chessboard: an edge joins one of each. So no two of one colour share an
unknown: the first colour writes its solutions, the second adds to them, and nothing is kept vertex by vertex.

Vectors are flat, in the order of ``TraceVector.flat``: the p coefficients of an edge are next to each other, since
around a vertex they are needed together. p numbers behind them stand for edges outside the domain.
"""

from __future__ import annotations

import numpy as np

from ..kernels.options import kernel

#: Vertices of one matrix product: what they need stays in the cache.
SEGMENT = 192


@kernel
def gather_vertices(places, first, count, s, X):
    """Set the columns of X (m or more, SEGMENT) to the unknowns of s around the vertices from ``first`` on."""
    p = (X.shape[0] - 1) // 4
    for edge in range(4):
        for q in range(count):
            begin = places[edge, first + q]
            for c in range(p):
                X[edge * p + c, q] = s[begin + np.uint64(c)]
    for q in range(count):
        X[4 * p, q] = s[places[4, first + q]]


@kernel
def scatter_vertices(places, first, count, add, Y, z):
    """Write local solutions Y to the unknowns of z around the vertices, or add them to those of the edges."""
    p = (Y.shape[0] - 1) // 4
    for edge in range(4):
        for q in range(count):
            begin = places[edge, first + q]
            if add:
                for c in range(p):
                    z[begin + np.uint64(c)] += Y[edge * p + c, q]
            else:
                for c in range(p):
                    z[begin + np.uint64(c)] = Y[edge * p + c, q]
    for q in range(count):
        z[places[4, first + q]] = Y[4 * p, q]


@kernel
def product(X, Y, count):
    """Return X·Y of the first ``count`` columns: summed over all vertices, with the local solutions Y, it is z·s."""
    total = 0.0
    for k in range(X.shape[0]):
        row = np.float32(0)
        for q in range(count):
            row += X[k, q] * Y[k, q]
        total += row
    return total


@kernel
def _solve_segment(B, kind, count, X, Y):
    """Set Y to B[kind] X, four rows by four columns at a time; the sizes of B are multiples of four."""
    for r in range(0, B.shape[1], 4):
        for c in range(0, B.shape[1], 4):
            a0, a1, a2, a3 = B[kind, r, c], B[kind, r, c + 1], B[kind, r, c + 2], B[kind, r, c + 3]
            b0, b1, b2, b3 = B[kind, r + 1, c], B[kind, r + 1, c + 1], B[kind, r + 1, c + 2], B[kind, r + 1, c + 3]
            c0, c1, c2, c3 = B[kind, r + 2, c], B[kind, r + 2, c + 1], B[kind, r + 2, c + 2], B[kind, r + 2, c + 3]
            d0, d1, d2, d3 = B[kind, r + 3, c], B[kind, r + 3, c + 1], B[kind, r + 3, c + 2], B[kind, r + 3, c + 3]
            if c == 0:
                for q in range(count):
                    x, y, z, w = X[c, q], X[c + 1, q], X[c + 2, q], X[c + 3, q]
                    Y[r, q] = a0 * x + a1 * y + a2 * z + a3 * w
                    Y[r + 1, q] = b0 * x + b1 * y + b2 * z + b3 * w
                    Y[r + 2, q] = c0 * x + c1 * y + c2 * z + c3 * w
                    Y[r + 3, q] = d0 * x + d1 * y + d2 * z + d3 * w
            else:
                for q in range(count):
                    x, y, z, w = X[c, q], X[c + 1, q], X[c + 2, q], X[c + 3, q]
                    Y[r, q] += a0 * x + a1 * y + a2 * z + a3 * w
                    Y[r + 1, q] += b0 * x + b1 * y + b2 * z + b3 * w
                    Y[r + 2, q] += c0 * x + c1 * y + c2 * z + c3 * w
                    Y[r + 3, q] += d0 * x + d1 * y + d2 * z + d3 * w


@kernel
def solve_kinds(
    B: np.ndarray,
    places: np.ndarray,
    segments: np.ndarray,
    add: bool,
    s: np.ndarray,
    z: np.ndarray,
    k0: int,
    k1: int,
) -> float:
    """Solve the local problems of some segments, vertices of one kind each.

    Parameters
    ----------
    B : (kinds, M, M) float32 inverses with zeros for unknowns that are fixed or missing; M >= m a multiple of four.
    places : (5, vertices) uint64, in flat vectors the first coefficient of the left, right, lower and upper edge and
        the vertex; unsigned, so that no index is checked for a sign.
    segments : (K, 3) first and last position in ``places`` and the kind; at most SEGMENT vertices each.
    add : whether solutions are added to what the edges in z have, or replace it.
    s : flat float32 residual.
    z : flat float32, changed around the vertices.
    k0 : first segment.
    k1 : end of the segments.

    Returns
    -------
    What these vertices contribute to z·s.
    """
    m = B.shape[1]
    X, Y = np.zeros((m, SEGMENT), np.float32), np.empty((m, SEGMENT), np.float32)
    total = 0.0
    for k in range(k0, k1):
        first, count = segments[k, 0], segments[k, 1] - segments[k, 0]
        gather_vertices(places, first, count, s, X)
        _solve_segment(B, segments[k, 2], min(SEGMENT, (count + 7) // 8 * 8), X, Y)
        total += product(X, Y, count)
        scatter_vertices(places, first, count, add, Y, z)
    return total
