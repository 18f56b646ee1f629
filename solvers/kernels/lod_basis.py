"""Compiled assembly of the LOD's coarse matrix and of its basis on the fine mesh (see ``lod.basis``)."""

from __future__ import annotations

import numpy as np

from .lapack import Routines, product, product_transposed
from .options import kernel


@kernel
def _functions_on(psi, y, x, V, nodes):
    """Copy the cell vectors of all functions on the cell (y, x) to V (·, q) and their nodes; returns how many."""
    Ny, Nx, width, q = psi.shape[0] - 1, psi.shape[1] - 1, psi.shape[2], psi.shape[4]
    count = 0
    for i in range(width):
        zy = y + width // 2 - i
        for j in range(width):
            zx = x + width // 2 - j
            if 0 <= zy <= Ny and 0 <= zx <= Nx:
                for c in range(q):
                    V[count, c] = psi[zy, zx, i, j, c]
                nodes[count, 0], nodes[count, 1] = zy, zx
                count += 1
    return count


@kernel
def coarse_couplings(
    routines: Routines, psi: np.ndarray, matrix: np.ndarray, loads: np.ndarray, petrov: bool, K: np.ndarray
) -> None:
    """Add up the energy products of the corrected basis functions.

    Parameters
    ----------
    routines : ``lapack.ROUTINES``.
    psi : (Ny+1, Nx+1, 2k+2, 2k+2, q) cell vectors of the corrected basis.
    matrix : (Ny, Nx, q, q) condensed matrices.
    loads : (Ny, Nx, q, 4) condensed load vectors of the plain hats; used if ``petrov``.
    petrov : test with the plain hats instead of the corrected ones.
    K : (Ny+1, Nx+1, 2d+1, 2d+1) with d = k + 1 if ``petrov``, else 2k + 1; zero, overwritten: entry [z, d + i, d + j]
        is the product of the test function z and the function z + (i, j).
    """
    Ny, Nx, q = matrix.shape[:3]
    most, reach = psi.shape[2] ** 2, K.shape[2] // 2
    V, U, nodes, M = np.empty((most, q)), np.empty((most, q)), np.empty((most, 2), np.int64), np.empty((q, q))
    local = np.empty((most, most))
    for y in range(Ny):
        for x in range(Nx):
            count = _functions_on(psi, y, x, V, nodes)
            tests = 4 if petrov else count
            if petrov:
                for i in range(4):
                    for c in range(q):
                        U[i, c] = loads[y, x, c, i]
            else:
                for i in range(q):
                    for j in range(q):
                        value = matrix[y, x, i, j]
                        M[i, j] = 0.0 if (i < q - 4) != (j < q - 4) else value if i < q - 4 else -value
                product(routines, 1.0, V[:count], M, 0.0, U)
            product_transposed(routines, 1.0, U[:tests], V[:count], 0.0, local)
            for i in range(tests):
                zy = y + i // 2 if petrov else nodes[i, 0]
                zx = x + i % 2 if petrov else nodes[i, 1]
                for j in range(count):
                    K[zy, zx, nodes[j, 0] - zy + reach, nodes[j, 1] - zx + reach] += local[i, j]


@kernel
def fine_values(
    routines: Routines,
    psi: np.ndarray,
    extension: np.ndarray,
    places: np.ndarray,
    pointers: np.ndarray,
    rows: np.ndarray,
    values: np.ndarray,
    ry: int,
    rx: int,
    y0: int,
    y1: int,
) -> None:
    """Fill in the columns of the basis on the fine mesh, at the nodes of the coarse cells in the rows y0 ≤ y < y1.

    Parameters
    ----------
    routines : ``lapack.ROUTINES``.
    psi : (Ny+1, Nx+1, 2k+2, 2k+2, q) cell vectors of the corrected basis.
    extension : (Ny, Nx, q, n) the transposes of W.
    places : (nodes,) number of an interior node of a cell, or −1 − the number of a boundary node.
    pointers : (Ny+1)(Nx+1) first entry of the column of every function.
    rows : written, the fine node of every entry.
    values : written, its value.
    ry : fine cells per coarse cell in y.
    rx : fine cells per coarse cell in x.
    y0 : first row of coarse cells.
    y1 : end of the rows.
    """
    Nx, q, n = extension.shape[1:]
    ny, nx, half = extension.shape[0] * ry, Nx * rx, psi.shape[2] // 2
    most = psi.shape[2] ** 2
    V, inside, nodes = np.empty((most, q)), np.empty((most, n)), np.empty((most, 2), np.int64)
    for y in range(y0, y1):
        for x in range(Nx):
            count = _functions_on(psi, y, x, V, nodes)
            product(routines, 1.0, V[:count], extension[y, x], 0.0, inside)
            for f in range(count):
                zy, zx = nodes[f, 0], nodes[f, 1]
                low_y, low_x = max(0, (zy - half) * ry + 1), max(0, (zx - half) * rx + 1)
                end_y, end_x = min(ny + 1, (zy + half) * ry), min(nx + 1, (zx + half) * rx)
                # Nodes that cells share are written by the lower and by the left one.
                for fy in range(max(low_y, y * ry + min(y, 1)), min(end_y, (y + 1) * ry + 1)):
                    at = pointers[zy * (Nx + 1) + zx] + (fy - low_y) * (end_x - low_x) - low_x
                    left, right = max(low_x, x * rx + min(x, 1)), min(end_x, (x + 1) * rx + 1)
                    for fx in range(left, right):
                        rows[at + fx] = fy * (nx + 1) + fx
                    place = (fy - y * ry) * (rx + 1) - x * rx
                    if y * ry < fy < (y + 1) * ry:  # interior nodes of a row follow each other
                        if left == x * rx:
                            values[at + left] = V[f, -1 - places[place + left]]
                        if right > (x + 1) * rx:
                            values[at + right - 1] = V[f, -1 - places[place + right - 1]]
                        number = places[place + x * rx + 1] - x * rx - 1
                        for fx in range(x * rx + 1, (x + 1) * rx):
                            values[at + fx] = inside[f, number + fx]
                    else:
                        for fx in range(left, right):
                            values[at + fx] = V[f, -1 - places[place + fx]]
