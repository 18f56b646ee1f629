"""Compiled static condensation of cells of fine Q1 sub-cells (see ``substructuring.condensation``).

Owns the band Cholesky factor with the right-hand sides side by side: a row of the triangular solve is a sum of rows,
and the processor's vectors run over the right-hand sides. LAPACK solves for one of them after the other.

The matrix of the n interior nodes, row-major, has w = rx entries left of the diagonal; row i of it is stored as
``band[i]``, entry j at w − i + j.
"""

from __future__ import annotations

import numpy as np

from .lapack import Routines, add_gram_of_columns, factorise_band
from .options import kernel


@kernel
def _add_elements(a, element, places, band, R, M):
    """Add the element matrices a[j, i] ``element`` of one cell to the blocks of its matrix.

    ``places`` (nodes,): number of an interior node, or −1 − the number of a boundary node. ``R`` (n, ≥ B) is the
    coupling of interior with boundary nodes, ``M`` (≥ B, ≥ B) the boundary's block.
    """
    ry, rx = a.shape
    w = band.shape[1] - 1
    at = np.empty(4, np.int64)
    for j in range(ry):
        for i in range(rx):
            first = j * (rx + 1) + i
            at[0], at[1], at[2], at[3] = (
                places[first],
                places[first + 1],
                places[first + rx + 1],
                places[first + rx + 2],
            )
            for c in range(4):
                for d in range(4):
                    row, col, value = at[c], at[d], a[j, i] * element[c, d]
                    if row < 0:
                        if col < 0:
                            M[-1 - row, -1 - col] += value
                    elif col < 0:
                        R[row, -1 - col] += value
                    elif col <= row:
                        band[row, w - row + col] += value


@kernel
def _forward(band, R):
    """Overwrite R (n, q) with L⁻¹ R."""
    n, q = R.shape
    w = band.shape[1] - 1
    for i in range(n):
        j = max(0, i - w)
        while j + 4 <= i:
            b, o = w - i + j, j
            l0, l1, l2, l3 = band[i, b], band[i, b + 1], band[i, b + 2], band[i, b + 3]
            for c in range(q):
                R[i, c] -= l0 * R[o, c] + l1 * R[o + 1, c] + l2 * R[o + 2, c] + l3 * R[o + 3, c]
            j += 4
        while j < i:
            l0, o = band[i, w - i + j], j
            for c in range(q):
                R[i, c] -= l0 * R[o, c]
            j += 1
        pivot = 1 / band[i, w]
        for c in range(q):
            R[i, c] *= pivot


@kernel
def _backward(band, R):
    """Overwrite R (n, q) with L⁻ᵀ R."""
    n, q = R.shape
    w = band.shape[1] - 1
    for i in range(n - 1, -1, -1):
        j, end = i + 1, min(n, i + w + 1)
        while j + 4 <= end:
            b, o = w - j + i, j
            l0, l1, l2, l3 = band[j, b], band[j + 1, b - 1], band[j + 2, b - 2], band[j + 3, b - 3]
            for c in range(q):
                R[i, c] -= l0 * R[o, c] + l1 * R[o + 1, c] + l2 * R[o + 2, c] + l3 * R[o + 3, c]
            j += 4
        while j < end:
            l0, o = band[j, w - j + i], j
            for c in range(q):
                R[i, c] -= l0 * R[o, c]
            j += 1
        pivot = 1 / band[i, w]
        for c in range(q):
            R[i, c] *= pivot


@kernel
def condense_cells(
    routines: Routines,
    a: np.ndarray,
    element: np.ndarray,
    rows: np.ndarray,
    places: np.ndarray,
    matrix: np.ndarray,
    extension: np.ndarray,
    k0: int,
    k1: int,
) -> tuple[int, int]:
    """Condense the cells k0 ≤ k < k1.

    Parameters
    ----------
    routines : ``lapack.ROUTINES``.
    a : (cells, ry, rx) coefficient on the sub-cells.
    element : (4, 4) element matrix of a sub-cell for a = 1.
    rows : (cells or 1, c, nodes) constraints.
    places : (nodes,) number of an interior node, or −1 − the number of a boundary node.
    matrix : (cells, q, q), q boundary nodes and constraints; zero, overwritten with the condensed matrices.
    extension : (cells, q, n) overwritten with the values inside for unit values and multipliers.
    k0 : first cell.
    k1 : end of the cells.

    Returns
    -------
    Cell and pivot, from 1, that is not positive; (−1, 0) if all are.
    """
    rx = a.shape[2]
    q, n = extension.shape[1:]
    base = q - rows.shape[1]
    band, R = np.empty((n, rx + 1)), np.empty((n, q))
    info = np.empty(1, np.int32)
    for k in range(k0, k1):
        M, C, W = matrix[k], rows[min(k, rows.shape[0] - 1)], extension[k]
        band[:], R[:] = 0, 0
        _add_elements(a[k], element, places, band, R, M)
        for node in range(places.size):
            place = places[node]
            for c in range(base, q):
                if place >= 0:
                    R[place, c] = C[c - base, node]
                else:
                    M[c, -1 - place] = C[c - base, node]
        pivot = factorise_band(routines, band, info)
        if pivot:
            return k, pivot
        _forward(band, R)
        add_gram_of_columns(routines, -1.0, R, 1.0, M)
        for i in range(q):
            for j in range(i):
                M[j, i] = M[i, j]
        _backward(band, R)
        for i in range(n):
            for c in range(q):
                W[c, i] = -R[i, c]
    return -1, 0


@kernel
def solve_cells(
    routines: Routines,
    a: np.ndarray,
    element: np.ndarray,
    places: np.ndarray,
    loads: np.ndarray,
    out: np.ndarray,
    k0: int,
    k1: int,
) -> tuple[int, int]:
    """Solve for the interior nodes of the cells k0 ≤ k < k1, with the value zero on their boundaries.

    Parameters
    ----------
    routines : ``lapack.ROUTINES``.
    a : (cells, ry, rx) coefficient on the sub-cells.
    element : (4, 4) element matrix of a sub-cell for a = 1.
    places : (nodes,) number of an interior node, or −1 − the number of a boundary node.
    loads : (cells or 1, p, n) load vectors.
    out : (cells, p, n) overwritten with the nodal values.
    k0 : first cell.
    k1 : end of the cells.

    Returns
    -------
    Cell and pivot, from 1, that is not positive; (−1, 0) if all are.
    """
    p, n = loads.shape[1:]
    base = places.size - n
    band, unused, M, R = np.empty((n, a.shape[2] + 1)), np.zeros((n, base)), np.zeros((base, base)), np.empty((n, p))
    info = np.empty(1, np.int32)
    for k in range(k0, k1):
        b = loads[min(k, loads.shape[0] - 1)]
        band[:] = 0
        _add_elements(a[k], element, places, band, unused, M)
        pivot = factorise_band(routines, band, info)
        if pivot:
            return k, pivot
        for i in range(n):
            for c in range(p):
                R[i, c] = b[c, i]
        _forward(band, R)
        _backward(band, R)
        for i in range(n):
            for c in range(p):
                out[k, c, i] = R[i, c]
    return -1, 0
