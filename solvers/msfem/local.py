r"""Local functions of the multiscale finite element method on one coarse cell (numpy/LAPACK).

The window of a coarse cell is the cell enlarged by the oversampling margin and clipped at the domain. On the
window four a-harmonic functions with bilinear boundary data are solved for; on the cell, the combinations
that are 1 at one corner and 0 at the others are the basis (Hou & Wu, J. Comput. Phys. 134 (1997) 169, section 2).
"""

from __future__ import annotations

import numpy as np

from ...errors import SolverFailure
from ..nesting import Nesting
from ..windows import DirichletWindow, bilinear_hats, stiffness_apply

#: Corner matrices of the oversampled functions with a larger condition number are called singular.
SINGULAR = 1e10


def harmonic_extension(a: np.ndarray, v: np.ndarray, h: tuple[float, float]) -> np.ndarray:
    """Replace fields inside a window by the discrete a-harmonic functions with their boundary values.

    Parameters
    ----------
    a : (my, mx) cell values of the coefficient on the window.
    v : (k, my+1, mx+1) nodal values; values inside only change the rounding.
    h : fine cell sides (hy, hx).

    Returns
    -------
    (k, my+1, mx+1) nodal values, a new array.

    Raises
    ------
    SolverFailure
        If the window's matrix is not positive definite in double precision.

    Examples
    --------
    >>> v = np.pad(np.zeros((1, 3, 3)), ((0, 0), (1, 1), (1, 1)), constant_values=2.0)
    >>> harmonic_extension(np.ones((4, 4)), v, (1.0, 1.0))[0, 2].round(12).tolist()
    [2.0, 2.0, 2.0, 2.0, 2.0]
    """
    v = v.copy()
    load = stiffness_apply(a, v, h)[:, 1:-1, 1:-1]  # the residual of v, which is the load of the correction
    if load.size:
        v[:, 1:-1, 1:-1] -= DirichletWindow(a, h).solve(load.reshape(len(v), -1)).reshape(load.shape)
    return v


def cell_functions(a: np.ndarray, nesting: Nesting, cell: tuple[int, int], margin: tuple[int, int]) -> np.ndarray:
    """Compute the multiscale functions of the four corners of a coarse cell on that cell.

    Parameters
    ----------
    a : (ny, nx) coefficient on the fine cells.
    nesting : coarse and fine space.
    cell : (Ty, Tx) row and column of the coarse cell.
    margin : oversampling in fine cells (my, mx).

    Returns
    -------
    (4, ry+1, rx+1) fine nodal values; function k is 1 at corner k and 0 at the others.

    Raises
    ------
    SolverFailure
        If the window's problem cannot be solved, or the oversampled functions are dependent at the cell's corners.
    """
    ry, rx = nesting.ratio
    start = [T * r for T, r in zip(cell, nesting.ratio, strict=True)]
    low = [max(0, s - m) for s, m in zip(start, margin, strict=True)]
    high = [min(n, s + r + m) for n, s, r, m in zip(nesting.fine.cells, start, nesting.ratio, margin, strict=True)]
    window = a[low[0] : high[0], low[1] : high[1]]
    hats = harmonic_extension(window, bilinear_hats((window.shape[0], window.shape[1])), nesting.fine.spacing)
    iy, ix = start[0] - low[0], start[1] - low[1]
    local = hats[:, iy : iy + ry + 1, ix : ix + rx + 1]
    if margin == (0, 0):
        return local
    values = local[:, ::ry, ::rx].reshape(4, 4)
    if np.linalg.cond(values) > SINGULAR:
        raise SolverFailure(
            f"the oversampled functions of coarse cell {cell} are dependent at its corners; use another "
            "margin or oversampling=0."
        )
    return np.linalg.solve(values, local.reshape(4, -1)).reshape(4, ry + 1, rx + 1)


def harmonic_lift(remainder: np.ndarray, a: np.ndarray, nesting: Nesting) -> np.ndarray:
    """Extend boundary data to the coarse cells at the boundary: a-harmonic there, zero in all others.

    Parameters
    ----------
    remainder : (ny+1, nx+1) data that vanish at the coarse nodes and inside, from ``Nesting.split_boundary``.
    a : (ny, nx) coefficient on the fine cells.
    nesting : coarse and fine space.

    Returns
    -------
    (ny+1, nx+1) fine nodal values.

    Raises
    ------
    SolverFailure
        If a cell's matrix is not positive definite in double precision.
    """
    lift, (ry, rx) = remainder.copy(), nesting.ratio
    blocks = nesting.blocks(a)
    for y, x in np.argwhere(nesting.boundary_blocks(remainder).any(-1)):
        place = (slice(y * ry, (y + 1) * ry + 1), slice(x * rx, (x + 1) * rx + 1))
        lift[place] = harmonic_extension(blocks[y, x], lift[place][None], nesting.fine.spacing)[0]
    return lift


def element_matrices(trial: np.ndarray, test: np.ndarray, a: np.ndarray, h: tuple[float, float]) -> np.ndarray:
    r"""Compute the matrices :math:`\int_T a \nabla\chi_i \cdot \nabla\phi_j` of many coarse cells.

    Parameters
    ----------
    trial : (cells, 4, ry+1, rx+1) functions φ, fine nodal values.
    test : (cells or 1, 4, ry+1, rx+1) functions χ.
    a : (cells, ry, rx) coefficient on the fine cells.
    h : fine cell sides (hy, hx).

    Returns
    -------
    (cells, 4, 4), rows test, columns trial.

    Examples
    --------
    >>> hats = bilinear_hats((2, 2))[None]
    >>> element_matrices(hats, hats, np.ones((1, 2, 2)), (0.5, 0.5))[0, 0].round(6).tolist()
    [0.666667, -0.166667, -0.166667, -0.333333]
    """
    moments = stiffness_apply(a[:, None], trial, h).reshape(len(a), 4, -1)
    return test.reshape(len(test), 4, -1) @ moments.transpose(0, 2, 1)
