r"""Local functions of the multiscale finite element method on one coarse cell (numpy/LAPACK).

The window of a coarse cell is the cell enlarged by the oversampling margin and clipped at the domain. On the
window four a-harmonic functions with bilinear boundary data are solved for; on the cell, the combinations
that are 1 at one corner and 0 at the others are the basis (Hou & Wu, J. Comput. Phys. 134 (1997) 169, section
2).
"""

from __future__ import annotations

import numpy as np

from ...errors import SolverFailure
from ..lod.boundary import edge_vectors
from ..nesting import Nesting
from ..windows import CORNERS, DirichletWindow, bilinear_hats, reference_stiffness, stiffness_apply

#: Corner matrices of the oversampled functions with a larger condition number are called singular.
SINGULAR = 1e10


def harmonic_hats(a: np.ndarray, h: tuple[float, float]) -> np.ndarray:
    """Four a-harmonic functions with the bilinear hats as boundary values, (4, my+1, mx+1).

    Parameters
    ----------
    a : (my, mx) cell values of the window.
    h : fine cell sides (hy, hx).

    Raises
    ------
    SolverFailure

    Examples
    --------
    >>> bool(np.allclose(harmonic_hats(np.ones((4, 4)), (1.0, 1.0)), bilinear_hats((4, 4))))
    True
    """
    hats = bilinear_hats((a.shape[0], a.shape[1]))
    # By linearity in the boundary data, the defect of the bilinear extension is the only load.
    load = stiffness_apply(a, hats, h)[:, 1:-1, 1:-1]
    if load.size:
        hats[:, 1:-1, 1:-1] -= DirichletWindow(a, h).solve(load.reshape(4, -1)).reshape(load.shape)
    return hats


def cell_functions(a: np.ndarray, nesting: Nesting, cell: tuple[int, int], margin: tuple[int, int]) -> np.ndarray:
    """Multiscale functions of the four corners on a coarse cell, (4, ry+1, rx+1).

    Parameters
    ----------
    a : (ny, nx) coefficient on the fine cells.
    cell : (Ty, Tx).
    margin : oversampling in fine cells (my, mx).

    Raises
    ------
    SolverFailure
        If the oversampled functions are dependent at the cell's corners.
    """
    start = [T * r for T, r in zip(cell, nesting.ratio, strict=True)]
    low = [max(0, s - m) for s, m in zip(start, margin, strict=True)]
    high = [min(n, s + r + m) for n, s, r, m in zip(nesting.n, start, nesting.ratio, margin, strict=True)]
    hats = harmonic_hats(a[low[0] : high[0], low[1] : high[1]], nesting.spacing)
    iy, ix = start[0] - low[0], start[1] - low[1]
    (ry, rx) = nesting.ratio
    local = hats[:, iy : iy + ry + 1, ix : ix + rx + 1]
    if margin == (0, 0):
        return local
    values = local[:, [0, 0, ry, ry], [0, rx, 0, rx]]
    if np.linalg.cond(values) > SINGULAR:
        raise SolverFailure(
            f"the oversampled functions of coarse cell {cell} are dependent at its corners; use another "
            "margin or oversampling=0."
        )
    return np.linalg.solve(values, local.reshape(4, -1)).reshape(4, ry + 1, rx + 1)


def harmonic_lift(rest: np.ndarray, a: np.ndarray, nesting: Nesting) -> np.ndarray:
    """Extension of boundary data to the coarse cells at the boundary: a-harmonic there, zero in all others.

    Parameters
    ----------
    rest : (ny+1, nx+1) data that vanish at the coarse nodes and inside.
    a : (ny, nx) coefficient on the fine cells.

    Returns
    -------
    (ny+1, nx+1)

    Raises
    ------
    SolverFailure
    """
    lift, (ry, rx) = rest.copy(), nesting.ratio
    blocks = nesting.blocks(a)
    for y, x in np.argwhere(edge_vectors(rest, nesting).any(-1)):
        field = lift[y * ry : (y + 1) * ry + 1, x * rx : (x + 1) * rx + 1]  # a view
        load = stiffness_apply(blocks[y, x], field, nesting.spacing)[1:-1, 1:-1]
        if load.size:
            field[1:-1, 1:-1] -= (
                DirichletWindow(blocks[y, x], nesting.spacing).solve(load.reshape(1, -1)).reshape(load.shape)
            )
    return lift


def element_matrices(trial: np.ndarray, test: np.ndarray, a: np.ndarray, h: tuple[float, float]) -> np.ndarray:
    r"""Matrices :math:`\int_T a \nabla\chi_i \cdot \nabla\phi_j` of many coarse cells.

    Parameters
    ----------
    trial : (cells, 4, ry+1, rx+1) functions φ.
    test : (cells or 1, 4, ry+1, rx+1) functions χ.
    a : (cells, ry, rx) coefficient.
    h : fine cell sides (hy, hx).

    Returns
    -------
    (cells, 4, 4), rows test, columns trial.
    """
    ry, rx = a.shape[1:]

    def corners(v: np.ndarray) -> np.ndarray:  # (cells, 4 functions, 4 corners, ry, rx)
        return np.stack([v[..., i : i + ry, j : j + rx] for i, j in CORNERS], 2)

    flux = np.einsum("cd,bqdyx->bqcyx", reference_stiffness(h), corners(trial), optimize=True)
    flux = (flux * a[:, None, None]).reshape(len(a), 4, -1)
    return corners(test).reshape(len(test), 4, -1) @ flux.transpose(0, 2, 1)
