"""Rectangular windows of the fine grid: Q1 stiffness applied to fields, and local Dirichlet problems.

Owns local problems on the fine mesh. A window of m x m cells has bandwidth m + 1; its LAPACK band factor needs no
symbolic analysis and beats a general sparse factor at the sizes of local problems.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import get_lapack_funcs

from ..errors import SolverFailure
from .q1 import reference_matrices

pbtrf, pbtrs = get_lapack_funcs(("pbtrf", "pbtrs"), dtype=np.float64)

#: Offsets (iy, ix) of the local nodes of a cell.
CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


def reference_stiffness(h: tuple[float, float]) -> np.ndarray:
    """Return the element stiffness matrix (4, 4) for coefficient 1 on a cell of sides ``h`` = (hy, hx)."""
    Kxx, Kyy, _ = reference_matrices(*h)
    return Kxx + Kyy


def bilinear_hats(r: tuple[int, int]) -> np.ndarray:
    """Evaluate the four bilinear hats of one coarse cell at the nodes of its fine cells.

    Parameters
    ----------
    r : (ry, rx) fine cells.

    Returns
    -------
    (4, ry+1, rx+1) values; hat k is 1 at corner ``CORNERS[k]``.

    Examples
    --------
    >>> bilinear_hats((1, 2))[0].tolist()
    [[1.0, 0.5, 0.0], [0.0, 0.0, 0.0]]
    """
    y, x = np.linspace(0, 1, r[0] + 1), np.linspace(0, 1, r[1] + 1)
    return np.stack([np.outer(v, w) for v in (1 - y, y) for w in (1 - x, x)])


def corner_nodes(cells: tuple[int, int]) -> np.ndarray:
    """Return the numbers of the four nodes of every cell of a grid.

    Parameters
    ----------
    cells : (ny, nx).

    Returns
    -------
    (ny nx, 4) row-major node numbers, cells row-major too, corners in the order of ``CORNERS``.

    Examples
    --------
    >>> corner_nodes((1, 2)).tolist()
    [[0, 1, 3, 4], [1, 2, 4, 5]]
    """
    ny, nx = cells
    nodes = np.arange((ny + 1) * (nx + 1)).reshape(ny + 1, nx + 1)
    return np.stack([nodes[i : i + ny, j : j + nx].ravel() for i, j in CORNERS], 1)


def stiffness_apply(a: np.ndarray, V: np.ndarray, h: tuple[float, float]) -> np.ndarray:
    """Multiply nodal fields with the Q1 stiffness matrix of a window, without boundary condition.

    Parameters
    ----------
    a : (..., my, mx) cell values.
    V : (..., my+1, mx+1) nodal fields; leading dimensions broadcast with those of ``a``.
    h : cell sides (hy, hx).

    Returns
    -------
    Moments of the shape of ``V``.
    """
    K = reference_stiffness(h)
    my, mx = a.shape[-2:]
    corner = [V[..., i : i + my, j : j + mx] for i, j in CORNERS]
    out = np.zeros(V.shape)
    for row, (i, j) in zip(K, CORNERS, strict=True):
        out[..., i : i + my, j : j + mx] += a * sum(k * v for k, v in zip(row, corner, strict=True))
    return out


def not_definite(a: np.ndarray, pivot: int) -> SolverFailure:
    """Return the error for a window with cell values ``a`` (my, mx) whose matrix has a wrong ``pivot``, from 1."""
    return SolverFailure(
        f"the stiffness matrix of a window of {a.shape} cells is not positive definite (pivot "
        f"{pivot}); the coefficient spans {a.min():.1e} … {a.max():.1e} there, reduce its contrast."
    )


class DirichletWindow:
    """Band Cholesky factor of the stiffness matrix on the interior nodes of one window.

    Parameters
    ----------
    a : (my, mx) cell values.
    h : cell sides (hy, hx).

    Raises
    ------
    SolverFailure
        If the matrix is not positive definite in double precision.

    Examples
    --------
    >>> w = DirichletWindow(np.ones((2, 2)), (0.5, 0.5))
    >>> float(np.round(w.solve(np.ones((1, 1)))[0, 0], 12))  # the one interior node has a_ii = 8/3
    0.375
    """

    def __init__(self, a: np.ndarray, h: tuple[float, float]):
        m = a.shape[1] - 1
        # A C-ordered (nodes, m + 2) array is LAPACK's lower band storage transposed: no copy.
        band = np.zeros((a.shape[0] - 1, m, m + 2))
        K = reference_stiffness(h)
        band[:, :, 0] = K[0, 0] * (a[1:, 1:] + a[1:, :-1] + a[:-1, 1:] + a[:-1, :-1])
        band[:, :-1, 1] += K[0, 1] * (a[1:, 1:-1] + a[:-1, 1:-1])
        band[:-1, 1:, m - 1] += K[1, 2] * a[1:-1, 1:-1]
        band[:-1, :, m] += K[0, 2] * (a[1:-1, 1:] + a[1:-1, :-1])
        band[:-1, :-1, m + 1] += K[0, 3] * a[1:-1, 1:-1]
        self.factor, info = pbtrf(band.reshape(-1, m + 2).T, lower=1, overwrite_ab=1)
        if info:
            raise not_definite(a, info)

    def solve(self, b: np.ndarray) -> np.ndarray:
        """Solve for load vectors.

        Parameters
        ----------
        b : (k, interior nodes) moments with the hats of the interior nodes, row-major.

        Returns
        -------
        Nodal values of the shape of ``b``, zero on the window's boundary.
        """
        x, _ = pbtrs(self.factor, b.T, lower=1)
        return x.T
