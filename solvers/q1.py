"""Q1 finite elements on tensor grids with a cellwise-constant coefficient: matrices and loads (numpy).

Owns the element integrals of the project: every stiffness and mass matrix is built from the ones here.

Local nodes of a cell are ordered ``(0,0), (0,1), (1,0), (1,1)`` in ``(iy, ix)``; arrays are ``[iy, ix]`` with
row 0 at the lowest ``y``. Every integral of the coefficient is exact, also where the raster of the coefficient
and the mesh are not nested.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp

from .axes import along
from .medium import Medium, as_medium, reaction_values
from .pattern import pattern_of
from .robin import add_sides, edge_weights
from .tensor_medium import entries_of

Array = np.ndarray

#: The ten entries of a symmetric 4 x 4 element matrix, in the order in which they are stored.
SYMMETRIC_PAIRS = ((0, 0), (1, 1), (2, 2), (3, 3), (0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2))
#: Where the entries of the full matrix are among them.
ENTRIES = np.array(
    [[next(k for k, p in enumerate(SYMMETRIC_PAIRS) if set(p) == {i, j}) for j in range(4)] for i in range(4)]
)


def at_corners(v: Any) -> tuple[Any, Any, Any, Any]:
    """Return the values (..., ny, nx) of a nodal field (..., ny+1, nx+1) at the four nodes of every cell, in order."""
    return v[..., :-1, :-1], v[..., :-1, 1:], v[..., 1:, :-1], v[..., 1:, 1:]


@lru_cache(maxsize=64)
def reference_matrices(hy: float = 1.0, hx: float = 1.0) -> tuple[Array, Array, Array]:
    r"""Return the element matrices of one cell for coefficient 1.

    Parameters
    ----------
    hy : height of the cell, above 0.
    hx : width of the cell, above 0.

    Returns
    -------
    Kxx, Kyy, Kxy : (4, 4) arrays
        :math:`\int \partial_x\phi_i\partial_x\phi_j`, :math:`\int \partial_y\phi_i\partial_y\phi_j` and the
        symmetric mixed part :math:`\int \partial_x\phi_i\partial_y\phi_j + \partial_y\phi_i\partial_x\phi_j`.

    Examples
    --------
    >>> Kxx, Kyy, _ = reference_matrices()
    >>> (6 * (Kxx + Kyy)).round(12)[0].tolist()
    [4.0, -1.0, -1.0, -2.0]
    """
    mass = np.array([[2.0, 1.0], [1.0, 2.0]]) / 6.0
    stiff = np.array([[1.0, -1.0], [-1.0, 1.0]])
    slope = np.array([[-0.5, -0.5], [0.5, 0.5]])  # integral of phi_i' phi_j over the unit interval
    Kxx = np.kron(mass * hy, stiff / hx)
    Kyy = np.kron(stiff / hy, mass * hx)
    mixed = np.kron(slope.T, slope)
    return Kxx, Kyy, mixed + mixed.T


def element_mass(hy: float, hx: float) -> Array:
    """Return the mass matrix (4, 4) of one cell of size ``hy`` x ``hx``."""
    mass = np.array([[2.0, 1.0], [1.0, 2.0]]) / 6.0
    return np.kron(mass * hy, mass * hx)


@lru_cache(maxsize=64)
def overlap_matrices(cells: int, raster: int) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    r"""Integrate products of one-dimensional hat functions over (mesh cell) ∩ (raster cell).

    Both grids divide the unit interval. Row ``3 e + s`` of the results belongs to mesh cell ``e`` and to the
    pair ``s`` of local functions (0,0), (0,1), (1,1); column ``j`` to the raster cell.

    Parameters
    ----------
    cells : number of mesh cells.
    raster : number of raster cells; the two need not be nested.

    Returns
    -------
    stiffness, mass : sparse (3 cells, raster)
        :math:`\int \phi_p'\phi_q'` and :math:`\int \phi_p\phi_q`.

    Examples
    --------
    >>> stiffness, mass = overlap_matrices(1, 2)
    >>> stiffness.toarray().round(12).tolist()  # one mesh cell, half of each integral on either raster cell
    [[0.5, 0.5], [-0.5, -0.5], [0.5, 0.5]]
    """
    breaks = np.union1d(np.arange(cells + 1) * raster, np.arange(raster + 1) * cells)  # in 1/(cells*raster)
    left, right = breaks[:-1], breaks[1:]
    e, j = left // raster, left // cells
    s, t = left / raster - e, right / raster - e  # local coordinates of the segment in its mesh cell
    h = 1.0 / cells

    def moment(k: int) -> Array:
        return (t ** (k + 1) - s ** (k + 1)) / (k + 1) * h

    m0, m1, m2 = moment(0), moment(1), moment(2)
    stiff = np.stack([m0, -m0, m0]) / h**2
    mass = np.stack([m0 - 2 * m1 + m2, m1 - m2, m2])
    rows = np.stack([3 * e, 3 * e + 1, 3 * e + 2])
    cols = np.broadcast_to(j, rows.shape)
    shape = (3 * cells, raster)

    def matrix(values: Array) -> sp.csr_matrix:
        return sp.csr_matrix((values.ravel(), (rows.ravel(), cols.ravel())), shape=shape)

    return matrix(stiff), matrix(mass)


@lru_cache(maxsize=64)
def overlap_slopes(cells: int, raster: int) -> sp.csr_matrix:
    r"""Integrate :math:`\int\phi_p'\phi_q` of one-dimensional hat functions over (mesh cell) ∩ (raster cell).

    Parameters
    ----------
    cells : number of mesh cells of the unit interval.
    raster : number of raster cells; the two need not be nested.

    Returns
    -------
    sparse (4 cells, raster); row ``4 e + 2 p + q`` belongs to mesh cell ``e`` and the local functions p, q.

    Examples
    --------
    >>> overlap_slopes(1, 2).toarray().round(12).tolist()
    [[-0.375, -0.125], [-0.125, -0.375], [0.375, 0.125], [0.125, 0.375]]
    """
    breaks = np.union1d(np.arange(cells + 1) * raster, np.arange(raster + 1) * cells)
    left, right = breaks[:-1], breaks[1:]
    e, j = left // raster, left // cells
    s, t = left / raster - e, right / raster - e
    upper = (t**2 - s**2) / 2  # integral of the upper hat; the slopes are ∓1
    lower = t - s - upper
    rows = 4 * e + np.arange(4)[:, None]
    values = np.stack([-lower, -upper, lower, upper])
    cols = np.broadcast_to(j, rows.shape)
    return sp.csr_matrix((values.ravel(), (rows.ravel(), cols.ravel())), shape=(4 * cells, raster))


@lru_cache(maxsize=32)
def mixed_mass(n: int, p: int) -> sp.csr_array:
    r"""Integrate products :math:`\int \varphi_i\psi_j` of the hats of two grids that divide the unit interval.

    Parameters
    ----------
    n : cells of the one grid.
    p : cells of the other; the two need not be nested.

    Returns
    -------
    (n+1, p+1) sparse, exact: two Gauss points on every piece between nodes.

    Examples
    --------
    >>> (mixed_mass(1, 1) * 6).toarray().round(12).tolist(), mixed_mass(2, 3).sum(0).round(6).tolist()
    ([[2.0, 1.0], [1.0, 2.0]], [0.166667, 0.333333, 0.333333, 0.166667])
    """
    ends = np.union1d(np.arange(n + 1) * p, np.arange(p + 1) * n)
    low, width = ends[:-1], np.diff(ends)
    i, j = low // p, low // n
    parts = []
    for gauss in (0.5 - 12**-0.5, 0.5 + 12**-0.5):
        s, t = (low + gauss * width) / p - i, (low + gauss * width) / n - j
        for di, dj in ((0, 0), (0, 1), (1, 0), (1, 1)):
            share = (s if di else 1 - s) * (t if dj else 1 - t) * width / (2 * n * p)
            parts.append((share, i + di, j + dj))
    shares, rows, columns = (np.concatenate(v) for v in zip(*parts, strict=True))
    return sp.csr_array((shares, (rows, columns)), shape=(n + 1, p + 1))


def element_matrices(A: Array | Medium, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0)) -> Array:
    r"""Integrate the element matrices :math:`\int_T a\,\nabla\phi_i\cdot\nabla\phi_j` of every mesh cell, exactly.

    Parameters
    ----------
    A : (my, mx) coefficient cell values, or the medium, which may be a tensor, whose reaction c adds
        :math:`\int_T c\,\phi_i\phi_j`, and whose Robin sides add :math:`\int\alpha\,\phi_i\phi_j` along T's edges.
    cells : (ny, nx) cells of the mesh; the two grids need not be nested.
    size : (Ly, Lx) side lengths of the rectangle.

    Returns
    -------
    (10, ny, nx) the distinct entries, in the order of ``SYMMETRIC_PAIRS``.

    Examples
    --------
    >>> element_matrices(np.ones((4, 4)), (2, 2))[0, 0, 0].round(12)
    np.float64(0.666666666667)
    """
    c, (xx, yy, xy) = reaction_values(A), entries_of(A)
    xx, yy = np.asarray(xx, dtype=float), np.asarray(yy, dtype=float)
    ny, nx = cells
    Ly, Lx = size
    Dy, My = overlap_matrices(ny, xx.shape[0])
    Dx, Mx = overlap_matrices(nx, xx.shape[1])
    # K[3 ey + sy, 3 ex + sx] for the pairs (sy, sx) of one-dimensional functions.
    K = _both_sides(My, xx, Dx) * (Ly / Lx) + _both_sides(Dy, yy, Mx) * (Lx / Ly)
    elements = _of_pairs(K if c is None else K + _mass_of_pairs(c, cells, size), cells)
    if xy is not None:
        elements += _mixed_elements(xy, cells)
    robin = as_medium(A).robin
    if robin is not None:
        add_sides(elements, edge_weights(robin, cells, size))
    return elements


def _mixed_elements(a: Array, cells: tuple[int, int]) -> Array:
    """Integrals (10, ny, nx) of a (∂xφ_i ∂yφ_j + ∂yφ_i ∂xφ_j), exactly; they do not depend on the size of cells."""
    Ty, Tx = (overlap_slopes(n, m) for n, m in zip(cells, a.shape, strict=True))
    M = np.asarray(Ty @ a @ Tx.T).reshape(cells[0], 4, cells[1], 4).transpose(1, 3, 0, 2)
    out = []
    for i, j in SYMMETRIC_PAIRS:
        (iy, ix), (jy, jx) = divmod(i, 2), divmod(j, 2)
        out.append(M[2 * jy + iy, 2 * ix + jx] + M[2 * iy + jy, 2 * jx + ix])
    return np.stack(out)


def mass_elements(c: Array, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0)) -> Array:
    r"""Integrate the element matrices :math:`\int_T c\,\phi_i\phi_j` of a reaction, exactly.

    Parameters
    ----------
    c : (py, px) cell values.
    cells : (ny, nx) cells of the mesh; the two grids need not be nested.
    size : (Ly, Lx) side lengths of the rectangle.

    Returns
    -------
    (10, ny, nx) the distinct entries, in the order of ``SYMMETRIC_PAIRS``.

    Examples
    --------
    >>> np.allclose(mass_elements(np.ones((3, 3)), (1, 1))[:, 0, 0] * 36, [4, 4, 4, 4, 2, 2, 2, 2, 1, 1])
    True
    """
    return _of_pairs(_mass_of_pairs(c, cells, size), cells)


def _mass_of_pairs(c: Array, cells: tuple[int, int], size: tuple[float, float]) -> Array:
    """Integrals (3 ny, 3 nx) of c times products of one-dimensional functions."""
    c = np.asarray(c, dtype=float)
    (_, My), (_, Mx) = (overlap_matrices(n, m) for n, m in zip(cells, c.shape, strict=True))
    return _both_sides(My, c, Mx) * (size[0] * size[1])


def _both_sides(P: sp.csr_matrix, c: Array, Q: sp.csr_matrix) -> Array:
    """Compute P c Qᵀ; products of arrays with sparse matrices on their right are slower."""
    return np.asarray(Q @ (P @ c).T).T


def _of_pairs(K: Array, cells: tuple[int, int]) -> Array:
    """Element matrices (10, ny, nx) from the integrals K[3 ey + sy, 3 ex + sx] of products (sy, sx)."""
    K = K.reshape(cells[0], 3, cells[1], 3).transpose(1, 3, 0, 2)
    pair = {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 2}
    return np.stack([K[pair[i // 2, j // 2], pair[i % 2, j % 2]] for i, j in SYMMETRIC_PAIRS])


def assemble(elements: Array) -> sp.csr_matrix:
    """Assemble the global matrix from element matrices.

    Parameters
    ----------
    elements : (10, ny, nx) entries in the order of ``SYMMETRIC_PAIRS``.

    Returns
    -------
    (N, N) matrix over all N = (ny+1)(nx+1) nodes, row-major.
    """
    _, ny, nx = elements.shape
    places, columns, begins = pattern_of(ny, nx)
    entries = np.bincount(places, elements[ENTRIES.ravel()].ravel(), minlength=len(columns))
    n = len(begins) - 1
    return sp.csr_matrix((entries, columns.copy(), begins.copy()), shape=(n, n))


def stiffness(A: Array | Medium, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0)) -> sp.csr_matrix:
    """Assemble the stiffness matrix over all nodes; the coefficient is integrated exactly on its own cells.

    Parameters
    ----------
    A : (my, mx) coefficient cell values, or the medium, whose reaction and Robin sides are added.
    cells : (ny, nx) cells of the mesh; the two grids need not be nested.
    size : (Ly, Lx) side lengths of the rectangle.

    Returns
    -------
    (N, N) matrix over all N = (ny+1)(nx+1) nodes, row-major, without boundary conditions.

    Examples
    --------
    >>> stiffness(np.ones((1, 1)), (2, 2)).toarray()[4].round(6).tolist()  # the node in the middle
    [-0.333333, -0.333333, -0.333333, -0.333333, 2.666667, -0.333333, -0.333333, -0.333333, -0.333333]
    """
    return assemble(element_matrices(A, cells, size))


def mass_apply(f: Array, size: tuple[float, float] = (1.0, 1.0)) -> Array:
    r"""Return the load vector :math:`\int f_h\phi_i` of a Q1 function: the mass matrix times its nodal values.

    Parameters
    ----------
    f : (..., ny+1, nx+1) nodal values.
    size : (Ly, Lx) side lengths of the rectangle.

    Returns
    -------
    (..., ny+1, nx+1) moments with the hat functions of all nodes.

    Examples
    --------
    >>> round(float(mass_apply(np.ones((3, 4))).sum()), 12)  # the area
    1.0
    """
    f = np.asarray(f, dtype=float)
    My, Mx = (interval_mass(nodes - 1, length) for nodes, length in zip(f.shape[-2:], size, strict=True))
    return along(Mx, along(My, f, -2), -1)


@lru_cache(maxsize=32)
def interval_mass(n: int, length: float) -> sp.csr_array:
    """Return the mass matrix (n+1, n+1) of the hats on n intervals of a line of this length."""
    h = length / n
    inner = np.full(n + 1, 4.0)
    inner[[0, -1]] = 2.0
    return sp.diags_array([np.ones(n), inner, np.ones(n)], offsets=[-1, 0, 1]).tocsr() * (h / 6)  # type: ignore[call-overload]
