"""Stiffness of Q1 elements for pixels that need not fit them, by overlaps per axis; and nodal values of NGSolve."""

from __future__ import annotations

from itertools import product

import ngsolve as ngs
import numpy as np
import scipy.sparse as sp


def overlaps(cells: int, pixels: int, length: float) -> tuple[dict, dict]:
    """Integrate products of the two linear hats of a cell, and of their derivatives, over what pixels it meets.

    Parameters
    ----------
    cells : number of elements on the axis.
    pixels : number of pixels on it.
    length : of the axis.

    Returns
    -------
    mass, stiffness : dict
        (i, j) -> sparse (cells, pixels), exact for every pair of numbers.
    """
    cuts = np.unique(np.concatenate([np.arange(cells + 1) * pixels, np.arange(pixels + 1) * cells]))  # whole numbers
    cell, pixel = cuts[:-1] // pixels, cuts[:-1] // cells
    t0, t1 = cuts[:-1] / pixels - cell, cuts[1:] / pixels - cell
    h = length / cells

    def matrix(values: np.ndarray) -> sp.csr_matrix:
        return sp.csr_matrix((values, (cell, pixel)), shape=(cells, pixels))

    low = ((1 - t0) ** 3 - (1 - t1) ** 3) / 3
    mixed = t1**2 / 2 - t1**3 / 3 - t0**2 / 2 + t0**3 / 3
    high = (t1**3 - t0**3) / 3
    mass = {(0, 0): low, (0, 1): mixed, (1, 0): mixed, (1, 1): high}
    slope = {(i, j): (1.0 if i == j else -1.0) * (t1 - t0) / h for i, j in product((0, 1), repeat=2)}
    return {k: matrix(h * v) for k, v in mass.items()}, {k: matrix(v) for k, v in slope.items()}


def pixel_stiffness(pixels: np.ndarray, cells: tuple[int, int], size: tuple[float, float]) -> sp.csr_matrix:
    """Assemble the Q1 stiffness matrix of pixels, exactly, on a uniform grid that may cut them.

    Parameters
    ----------
    pixels : (my, mx) values.
    cells : (ny, nx) elements.
    size : (Ly, Lx).

    Returns
    -------
    Sparse matrix on (ny+1)(nx+1) nodes, row by row from the lowest y.
    """
    (ny, nx), (my, mx) = cells, pixels.shape
    mass_y, slope_y = overlaps(ny, my, size[0])
    mass_x, slope_x = overlaps(nx, mx, size[1])
    node = np.arange((ny + 1) * (nx + 1)).reshape(ny + 1, nx + 1)
    corner = {(i, k): node[i : ny + i, k : nx + k] for i, k in product((0, 1), repeat=2)}
    total = sp.csr_matrix((node.size, node.size))
    for (i, j), (k, m) in product(mass_y, mass_x):
        block = mass_y[i, j] @ pixels @ slope_x[k, m].T + slope_y[i, j] @ pixels @ mass_x[k, m].T
        at = (corner[i, k].ravel(), corner[j, m].ravel())
        total = total + sp.csr_matrix((block.ravel(), at), shape=total.shape)
    return total


def box_moments(
    box: tuple[float, float, float, float], cells: tuple[int, int], size: tuple[float, float]
) -> np.ndarray:
    """Integrate the hats of a uniform grid over a box, exactly.

    Parameters
    ----------
    box : (x0, x1, y0, y1), inside the rectangle.
    cells : (ny, nx).
    size : (Ly, Lx).

    Returns
    -------
    Moments (ny+1, nx+1).
    """

    def axis(n: int, length: float, low: float, high: float) -> np.ndarray:
        h, nodes = length / n, np.arange(n + 1)
        upto = [np.clip(t / h - nodes, -1, 1) for t in (low, high)]
        below = [np.where(s < 0, (1 + s) ** 2 / 2, 1 - (1 - s) ** 2 / 2) for s in upto]
        return h * (below[1] - below[0])

    return np.outer(axis(cells[0], size[0], *box[2:]), axis(cells[1], size[1], *box[:2]))


def row_order(mesh: ngs.Mesh) -> tuple[np.ndarray, tuple[int, int]]:
    """Order the vertices of a uniform tensor mesh row by row, whatever their numbers.

    Parameters
    ----------
    mesh : of quads on a rectangle.

    Returns
    -------
    order : np.ndarray
        Numbers of the vertices.
    cells : tuple
        (ny, nx).
    """
    xy = np.array([v.point for v in mesh.vertices]) if mesh.nv < 5000 else mesh.ngmesh.Coordinates()
    xy = np.asarray(xy)[:, :2]
    key = np.round((xy - xy.min(0)) / np.ptp(xy, axis=0).max() * 2**28).astype(np.int64)
    order = np.lexsort((key[:, 0], key[:, 1]))
    ny, nx = len(np.unique(key[:, 1])) - 1, len(np.unique(key[:, 0])) - 1
    return order, (ny, nx)


def onto(values: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """Interpolate nodal values bilinearly at the nodes of another grid of the same rectangle.

    Parameters
    ----------
    values : (ny+1, nx+1).
    cells : of the other grid.

    Returns
    -------
    Nodal values there.
    """
    for axis, n in enumerate(cells):
        old, new = np.linspace(0, 1, values.shape[axis]), np.linspace(0, 1, n + 1)
        k = np.minimum((new * (len(old) - 1) + 1e-12).astype(int), len(old) - 2)
        t = new * (len(old) - 1) - k
        t = t[:, None] if axis == 0 else t[None, :]
        values = (1 - t) * values.take(k, axis) + t * values.take(k + 1, axis)
    return values
