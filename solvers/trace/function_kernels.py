"""Compiled evaluation of functions of the trace space: nodal values, energies, the gap between a field and a flux.

Owns these loops over cells; ``function``, ``dual`` and ``bounds`` say what they compute, in numpy.

Every function works on a range of rows of cells, releases Python's lock and runs on one thread. Functions come as the
arrays (level, upright, corners) of a trace vector.
"""

from __future__ import annotations

import numpy as np

from ..kernels.options import kernel

#: Cells of a row that are worked on at once, columns of one matrix product.
BLOCK = 128
#: Arrays (level, upright, corners).
Trace = tuple[np.ndarray, np.ndarray, np.ndarray]


@kernel
def _gather(x, j, i0, count, centred, X):
    """Set the first n rows of X (n or more, BLOCK) to the cells' coefficients, less the first vertex if centred."""
    level, upright, corners = x
    p = level.shape[2]
    for q in range(count):
        for k in range(p):
            X[k, q] = level[j, i0 + q, k]
        for k in range(p):
            X[p + k, q] = level[j + 1, i0 + q, k]
        for k in range(p):
            X[2 * p + k, q] = upright[j, i0 + q, k]
        for k in range(p):
            X[3 * p + k, q] = upright[j, i0 + q + 1, k]
        base = corners[j, i0 + q] if centred else 0.0
        X[4 * p, q] = corners[j, i0 + q] - base
        X[4 * p + 1, q] = corners[j, i0 + q + 1] - base
        X[4 * p + 2, q] = corners[j + 1, i0 + q] - base
        X[4 * p + 3, q] = corners[j + 1, i0 + q + 1] - base


@kernel
def _copy(values, j, i0, count, X, first):
    """Set the rows of X from ``first`` on to the values (K, my, mx) of the cells."""
    for k in range(values.shape[0]):
        for q in range(count):
            X[first + k, q] = values[k, j, i0 + q]


@kernel
def _add_products(X, Y, rows, count, out):
    """Add X·Y of the first ``rows`` rows to out (BLOCK,)."""
    for k in range(rows):
        for q in range(count):
            out[q] += X[k, q] * Y[k, q]


@kernel
def fill_nodes(
    x: Trace, interior: np.ndarray, basis: np.ndarray, ry: int, rx: int, out: np.ndarray, j0: int, j1: int
) -> None:
    """Write the nodal values of some rows of cells, without the nodes at their right and upper ends.

    Parameters
    ----------
    x : the function's trace.
    interior : (3, my, mx) factors of the particular solutions.
    basis : (ry rx, n + 3) values of the basis at the cell's nodes, row by row.
    ry : nodes per cell along y.
    rx : nodes per cell along x.
    out : (ry my + 1, rx mx + 1), written.
    j0 : first row of cells.
    j1 : end of the rows.
    """
    nodes, n = basis.shape[0], basis.shape[1] - 3
    X, Y = np.zeros((n + 3, BLOCK)), np.empty((nodes, BLOCK))
    mx = interior.shape[2]
    for j in range(j0, j1):
        for i0 in range(0, mx, BLOCK):
            count = min(BLOCK, mx - i0)
            _gather(x, j, i0, count, False, X)
            _copy(interior, j, i0, count, X, n)
            np.dot(basis, X, Y)
            for s in range(ry):
                for q in range(count):
                    for t in range(rx):
                        out[j * ry + s, (i0 + q) * rx + t] = Y[s * rx + t, q]


@kernel
def fill_dirichlet(
    x: Trace, interior: np.ndarray, S: np.ndarray, particular: np.ndarray, out: np.ndarray, j0: int, j1: int
) -> None:
    """Set out (my, mx) to the integrals of |grad v|^2 over the cells of some rows.

    Parameters
    ----------
    x : the function's trace.
    interior : (3, my, mx) factors of the particular solutions.
    S : (n, n) matrix of a cell with a = 1.
    particular : (3, 3) energies of the particular solutions.
    out : (my, mx), written.
    j0 : first row of cells.
    j1 : end of the rows.
    """
    n, mx = S.shape[0], interior.shape[2]
    X, Y = np.zeros((n, BLOCK)), np.empty((n, BLOCK))
    D, E = np.zeros((3, BLOCK)), np.empty((3, BLOCK))
    total = np.empty(BLOCK)
    for j in range(j0, j1):
        for i0 in range(0, mx, BLOCK):
            count = min(BLOCK, mx - i0)
            _gather(x, j, i0, count, True, X)
            _copy(interior, j, i0, count, D, 0)
            np.dot(S, X, Y)
            np.dot(particular, D, E)
            total[:] = 0
            _add_products(X, Y, n, count, total)
            _add_products(D, E, 3, count, total)
            for q in range(count):
                out[j, i0 + q] = total[q]


@kernel
def _remove_means(Q, first, means, hy, hx, n, count):
    """Move the mean of the polynomials in rows ``first`` of Q to the linear part of the stream function in rows 0."""
    for q in range(count):
        x, y = 0.0, 0.0
        for m in range(6):
            x += means[m] * Q[first + m, q]
            y += means[m] * Q[first + 6 + m, q]
        Q[first, q] -= x
        Q[first + 6, q] -= y
        Q[n - 3, q] -= y * hx
        Q[n - 2, q] += x * hy
        Q[n - 1, q] += x * hy - y * hx


@kernel
def fill_gaps(
    a: np.ndarray,
    field: tuple,
    flux: tuple,
    forms: tuple,
    means: np.ndarray,
    sides: tuple[float, float],
    out: np.ndarray,
    j0: int,
    j1: int,
) -> None:
    """Set out (my, mx) to the integrals of |q - a grad v|^2 / a over the cells of some rows.

    Parameters
    ----------
    a : (my, mx) coefficients.
    field : (trace, interior, load) of v: :data:`Trace`, (3, my, mx), (3, my, mx).
    flux : (trace, particular, interior) of q: the stream function's trace, (12, my, mx), (3, my, mx).
    forms : (M, N, K) matrices: |q|^2 is w·Mw, the product of q and grad v is x·Nw', |grad v|^2 is x·Kx; with
        w = (trace, particular, interior) of q, x = (trace, interior) of v, w' = (trace, particular, load).
    means : (6,) means of the monomials.
    sides : (hy, hx) of a cell.
    out : (my, mx), written.
    j0 : first row of cells.
    j1 : end of the rows.
    """
    trace, interior, load = field
    stream, particular, curl = flux
    M, N, K = forms
    mx, n = a.shape[1], K.shape[0] - 3
    X, Y, Z = np.zeros((n + 3, BLOCK)), np.empty((n + 3, BLOCK)), np.empty((n + 3, BLOCK))
    W, V = np.zeros((n + 15, BLOCK)), np.empty((n + 15, BLOCK))
    square, mixed, energy = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for j in range(j0, j1):
        for i0 in range(0, mx, BLOCK):
            count = min(BLOCK, mx - i0)
            _gather(trace, j, i0, count, True, X)
            _copy(interior, j, i0, count, X, n)
            _gather(stream, j, i0, count, True, W)
            _copy(particular, j, i0, count, W, n)
            _copy(curl, j, i0, count, W, n + 12)
            _remove_means(W, n, means, sides[0], sides[1], n, count)
            np.dot(M, W, V)
            square[:] = 0
            _add_products(W, V, n + 15, count, square)
            _copy(load, j, i0, count, W, n + 12)
            np.dot(N, W, Y)
            np.dot(K, X, Z)
            mixed[:] = 0
            energy[:] = 0
            _add_products(X, Y, n + 3, count, mixed)
            _add_products(X, Z, n + 3, count, energy)
            for q in range(count):
                c = a[j, i0 + q]
                out[j, i0 + q] = square[q] / c - 2 * mixed[q] + c * energy[q]
