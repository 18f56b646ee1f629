r"""Static condensation of the fine interior nodes of coarse cells, with the constraints of I_H.

On a cell T with interior nodes I, boundary nodes B and the four constraint rows C (local L2 projection), the
saddle point system of a corrector q with multipliers :math:`\lambda` gives

.. math:: q_I = W (q_B, \lambda) + A_{II}^{-1} b_I, \qquad W = -A_{II}^{-1} (A_{IB}, C_I^T),

and the condensed symmetric matrix :math:`M = \begin{pmatrix} S & G^T \\ G & -D \end{pmatrix}` in
:math:`(q_B, \lambda)`. It depends on the coefficient in T only, so all patches that contain T share it.

Compiled kernels condense the cells where numba is installed; else, and where there are few, LAPACK, one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..backend import compiled
from ..kernels.workers import Workers
from ..windows import CORNERS, DirichletWindow, bilinear_hats, not_definite, reference_stiffness

#: Cells whose dense coupling blocks are made at a time.
CHUNK = 32
#: Fewer cells are left to LAPACK, which takes less time for them than loading compiled kernels.
FEW = 16


@dataclass(frozen=True)
class CellLayout:
    """Order of the nodes of a coarse cell of ``r`` = (ry, rx) fine cells.

    The boundary comes as bottom, top (rx−1 nodes each, rightwards), left, right (ry−1 each, upwards), then the corners
    (0,0), (0,1), (1,0), (1,1) in (iy, ix): 2 (ry + rx) nodes. The trace cell has the same order::

        corner 2 ── top ──── corner 3
          │                     │
         left                 right
          │                     │
        corner 0 ── bottom ─ corner 1
    """

    r: tuple[int, int]

    @property
    def boundary(self) -> np.ndarray:
        """Flat numbers of the boundary nodes."""
        nodes = np.arange((self.r[0] + 1) * (self.r[1] + 1)).reshape(self.r[0] + 1, self.r[1] + 1)
        edges = [nodes[0, 1:-1], nodes[-1, 1:-1], nodes[1:-1, 0], nodes[1:-1, -1]]
        return np.concatenate([*edges, nodes[[0, 0, -1, -1], [0, -1, 0, -1]]])

    @property
    def interior(self) -> np.ndarray:
        """Flat numbers of the interior nodes, row-major."""
        nodes = np.arange((self.r[0] + 1) * (self.r[1] + 1)).reshape(self.r[0] + 1, self.r[1] + 1)
        return nodes[1:-1, 1:-1].ravel()

    @property
    def places(self) -> np.ndarray:
        """For every node its number among the interior nodes, or −1 − its number among the boundary nodes."""
        boundary, interior = self.boundary, self.interior
        places = np.empty(len(boundary) + len(interior), np.int64)
        places[interior], places[boundary] = np.arange(len(interior)), -1 - np.arange(len(boundary))
        return places

    @property
    def hats(self) -> np.ndarray:
        """The four coarse hats at the boundary nodes, (4, 2 (ry + rx))."""
        return bilinear_hats(self.r).reshape(4, -1)[:, self.boundary]


@dataclass
class Condensed:
    """Condensed coarse cells; q = 2 (ry + rx) + 4 is the number of boundary nodes and multipliers.

    Attributes
    ----------
    matrix : (Ny, Nx, q, q) the matrices M.
    extension : (Ny, Nx, q, interior nodes) the transposes of W.
    weights : (Ny, Nx, 4) the constraint rows of a cell at its own hats: row i of hat j is ``weights[i]`` for i = j,
        else 0.
    """

    matrix: np.ndarray
    extension: np.ndarray
    weights: np.ndarray

    def drop_multipliers(self, free: np.ndarray) -> None:
        """Remove the constraints at coarse nodes not ``free`` (Ny+1, Nx+1): their rows become zero."""
        base = self.matrix.shape[-1] - 4
        Ny, Nx = self.matrix.shape[:2]
        for corner, (i, j) in enumerate(CORNERS):
            cells = ~free[i : i + Ny, j : j + Nx]
            self.matrix[cells, base + corner, :] = 0.0
            self.matrix[cells, :, base + corner] = 0.0
            self.extension[cells, base + corner] = 0.0
            self.weights[cells, corner] = 0.0


def _element_map(r: tuple[int, int], h: tuple[float, float], rows: np.ndarray, cols: np.ndarray) -> sp.csr_matrix:
    """Linear map from the cell values of a window to the entries [rows, cols] of its stiffness matrix."""
    nodes = np.arange((r[0] + 1) * (r[1] + 1)).reshape(r[0] + 1, r[1] + 1)
    place = np.full((2, nodes.size), -1)
    place[0, rows], place[1, cols] = np.arange(len(rows)), np.arange(len(cols))
    K = reference_stiffness(h)
    local = [nodes[i : i + r[0], j : j + r[1]].ravel() for i, j in CORNERS]
    entries, cells, values = [], [], []
    for i in range(4):
        for j in range(4):
            p, q = place[0, local[i]], place[1, local[j]]
            both = np.flatnonzero((p >= 0) & (q >= 0))
            entries.append((p * len(cols) + q)[both])
            cells.append(both)
            values.append(np.full(len(both), K[i, j]))
    shape = (len(rows) * len(cols), r[0] * r[1])
    return sp.csr_matrix((np.concatenate(values), (np.concatenate(entries), np.concatenate(cells))), shape=shape)


@lru_cache(maxsize=16)
def _coupling_maps(r: tuple[int, int], h: tuple[float, float]) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    layout = CellLayout(r)
    return (
        _element_map(r, h, layout.boundary, layout.interior),
        _element_map(r, h, layout.boundary, layout.boundary),
    )


def condense(
    a: np.ndarray, h: tuple[float, float], constraints: np.ndarray | None = None, threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Condense a list of coarse cells.

    Parameters
    ----------
    a : (cells, ry, rx) fine cell values of the coefficient.
    h : fine cell sides (hy, hx).
    constraints : (cells, k, fine nodes of a cell) the rows C, or (1, k, …) for the same in all cells; default: none.
    threads : number of threads of the compiled kernels.

    Returns
    -------
    matrix (cells, q, q), extension (cells, q, interior nodes); see :class:`Condensed`.

    Raises
    ------
    SolverFailure

    Examples
    --------
    >>> M, W = condense(np.ones((1, 4, 4)), (0.25, 0.25))
    >>> M.shape, W.shape, bool(abs(M[0, :16, :16].sum(1)).max() < 1e-12)  # constants have no energy
    ((1, 16, 16), (1, 16, 9), True)
    """
    r = (a.shape[1], a.shape[2])
    C = np.zeros((1, 0, (r[0] + 1) * (r[1] + 1))) if constraints is None else constraints
    if not _by_kernels(a):
        return condense_by_lapack(a, h, C)
    from ..kernels.lapack import ROUTINES
    from ..kernels.lod_cells import condense_cells

    layout = CellLayout(r)
    q = len(layout.boundary) + C.shape[1]
    matrix, extension = np.zeros((len(a), q, q)), np.empty((len(a), q, len(layout.interior)))
    fixed = (ROUTINES, np.require(a, float, ["C", "W"]), reference_stiffness(h), _distinct(C), layout.places)
    _run(condense_cells, a, threads, *fixed, matrix, extension)
    return matrix, extension


def condense_by_lapack(a: np.ndarray, h: tuple[float, float], constraints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Condense a list of coarse cells without compiled kernels; see :func:`condense`.

    Parameters
    ----------
    a : (cells, ry, rx) fine cell values of the coefficient.
    h : fine cell sides (hy, hx).
    constraints : (cells or 1, k, fine nodes of a cell) the rows C.

    Returns
    -------
    matrix (cells, q, q), extension (cells, q, interior nodes).

    Raises
    ------
    SolverFailure
    """
    r = (a.shape[1], a.shape[2])
    layout = CellLayout(r)
    C = np.broadcast_to(constraints, (len(a), *constraints.shape[1:]))
    B, q = len(layout.boundary), len(layout.boundary) + C.shape[1]
    to_coupling, to_boundary = _coupling_maps(r, h)
    matrix = np.zeros((len(a), q, q))
    extension = np.empty((len(a), q, len(layout.interior)))
    for start in range(0, len(a), CHUNK):
        values = a[start : start + CHUNK].reshape(-1, r[0] * r[1]).T
        coupling = np.empty((values.shape[1], q, len(layout.interior)))
        coupling[:, :B] = (to_coupling @ values).T.reshape(-1, B, len(layout.interior))
        coupling[:, B:] = C[start : start + CHUNK, :, layout.interior]
        matrix[start : start + CHUNK, :B, :B] = (to_boundary @ values).T.reshape(-1, B, B)
        for k, R in enumerate(coupling, start):
            extension[k] = -DirichletWindow(a[k], h).solve(R)
            matrix[k] += R @ extension[k].T
    matrix[:, B:, :B] += C[:, :, layout.boundary]
    matrix[:, :B, B:] += C[:, :, layout.boundary].transpose(0, 2, 1)
    return matrix, extension


def bubbles(a: np.ndarray, h: tuple[float, float], loads: np.ndarray, threads: int = 1) -> np.ndarray:
    """Solve in the cell interiors, with zero on the cell boundaries: :math:`A_{II}^{-1} b_I`.

    Parameters
    ----------
    a : (cells, ry, rx) coefficient.
    h : fine cell sides (hy, hx).
    loads : (cells, p, interior nodes), or (1, p, …) for the same in all cells.
    threads : number of threads of the compiled kernels.

    Returns
    -------
    (cells, p, interior nodes).

    Raises
    ------
    SolverFailure
    """
    if not _by_kernels(a):
        loads = np.broadcast_to(loads, (len(a), *loads.shape[1:]))
        return np.stack([DirichletWindow(cell, h).solve(b) for cell, b in zip(a, loads, strict=True)])
    from ..kernels.lapack import ROUTINES
    from ..kernels.lod_cells import solve_cells

    places = CellLayout((a.shape[1], a.shape[2])).places
    out = np.empty((len(a), *loads.shape[1:]))
    fixed = (ROUTINES, np.require(a, float, ["C", "W"]), reference_stiffness(h), places, _distinct(loads))
    _run(solve_cells, a, threads, *fixed, out)
    return out


def _by_kernels(a: np.ndarray) -> bool:
    """Tell whether compiled kernels take these cells: numba is installed, and there are enough of them."""
    return len(a) >= FEW and compiled()


def _distinct(rows: np.ndarray) -> np.ndarray:
    """Return what is given for every cell as kernels take it, of length 1 if it was broadcast to all cells."""
    return np.require(rows[:1] if len(rows) and not rows.strides[0] else rows, float, ["C", "W"])


def _run(kernel: Callable[..., tuple[int, int]], a: np.ndarray, threads: int, *arguments: Any) -> None:
    """Run a kernel over all cells, and raise if one of them has no positive definite matrix."""
    workers = Workers(min(threads, len(a)))
    for cell, pivot in workers.map(kernel, workers.ranges(len(a)), *arguments):
        if pivot:
            raise not_definite(a[cell], pivot)
