r"""What a right-hand side and boundary data add to the corrected coarse space of the LOD (numpy).

The part of a load is the sum over T of the correctors for :math:`(f, v)_T`. That of boundary data is
:math:`G - BG`: an extension G of what the coarse hats leave over, a-harmonic in the coarse cells at the boundary
and zero in all others, minus the correctors for :math:`a(G, v)_T` (Henning & Målqvist, SIAM J. Sci. Comput. 36
(2014) A1609). With both, and patches that cover the domain, the LOD solution is the fine one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from ..nesting import Nesting
from ..substructuring.condensation import CellLayout, Condensed, bubbles
from ..windows import bilinear_hats
from .basis import fine_field, gather_cells
from .loads import condensed_loads
from .quasi_interpolation import local_projection

log = logging.getLogger(__name__)

#: Loads this close (relative) to bilinear on every coarse cell need no patch problems of their own.
BILINEAR = 1e-12

#: Correctors (Ny, Nx, 1, 2k+1, 2k+1, q) for condensed load vectors (Ny, Nx, q, 1), of the cells (Ny, Nx) that have any.
Solve = Callable[[np.ndarray, np.ndarray], np.ndarray]


def bilinear_corners(f: np.ndarray, nesting: Nesting) -> np.ndarray | None:
    """Recognise a load that is bilinear on every coarse cell.

    Parameters
    ----------
    f : (ny+1, nx+1) fine nodal values.
    nesting : coarse and fine space.

    Returns
    -------
    (Ny, Nx, 4) its values at the corners of the coarse cells, or ``None`` if it is no such load.

    Examples
    --------
    >>> bilinear_corners(np.tile(np.arange(5.0), (5, 1)), Nesting.of(2, 4))[0].round(12).tolist()
    [[0.0, 2.0, 0.0, 2.0], [2.0, 4.0, 2.0, 4.0]]
    """
    fields = nesting.node_blocks(f)
    corners = np.einsum("yxn,cn->yxc", fields.reshape(*nesting.coarse.cells, -1), local_projection(nesting.ratio))
    deviation = fields - np.einsum("yxc,cij->yxij", corners, bilinear_hats(nesting.ratio))
    limit = BILINEAR * max(float(np.abs(f).max()), np.finfo(float).tiny)
    return corners if np.abs(deviation).max() <= limit else None


def load_response(f: np.ndarray, a: np.ndarray, cells: Condensed, nesting: Nesting, solve: Solve) -> np.ndarray:
    """Compute the part of the solution in the kernel of I_H for any load, by one patch problem per coarse cell.

    Parameters
    ----------
    f : (ny+1, nx+1) fine nodal values of the load.
    a : (ny, nx) coefficient on the fine cells.
    cells : condensed coarse cells.
    nesting : coarse and fine space.
    solve : solver of the patch problems.

    Returns
    -------
    (ny+1, nx+1) fine nodal values.

    Raises
    ------
    SolverFailure
        If a patch cannot be solved.
    """
    log.info("the load is not bilinear on coarse cells: one more pass over the patches")
    N = nesting.coarse.cells
    loads = nesting.cell_loads(nesting.node_blocks(f))[:, :, None]
    correctors = solve(condensed_loads(cells, loads, nesting), np.ones(N, bool))
    interior = loads[..., CellLayout(nesting.ratio).interior].reshape(-1, 1, cells.extension.shape[-1])
    inner = bubbles(nesting.blocks(a).reshape(-1, *nesting.ratio), nesting.fine.spacing, interior)
    return fine_field(gather_cells(correctors, np.ones((*N, 1))), inner.reshape(*N, -1), cells, nesting)


def boundary_response(remainder: np.ndarray, cells: Condensed, nesting: Nesting, solve: Solve) -> np.ndarray:
    """Compute G − BG for boundary data that are not linear on the coarse edges, by one patch problem per cell with any.

    Parameters
    ----------
    remainder : (ny+1, nx+1) data that vanish at the coarse nodes and inside, from ``Nesting.split_boundary``.
    cells : condensed coarse cells.
    nesting : coarse and fine space.
    solve : solver of the patch problems.

    Returns
    -------
    (ny+1, nx+1) fine nodal values, those of the remainder on the boundary.

    Raises
    ------
    SolverFailure
        If a patch cannot be solved.
    """
    N, edges = nesting.coarse.cells, nesting.boundary_blocks(remainder)
    base = edges.shape[-1]
    total = np.zeros((*N, cells.matrix.shape[-1]))
    total[..., :base] = edges
    # G is a-harmonic in the cell, so its interior loads nothing and the multipliers' rows stay zero.
    loads = np.zeros((*total.shape, 1))
    loads[:, :, :base] = cells.matrix[:, :, :base, :base] @ edges[..., None]
    wanted = np.asarray(edges.any(-1))
    log.info("the boundary data are not linear on coarse edges: %d patch problems", int(wanted.sum()))
    total -= gather_cells(solve(loads, wanted), np.ones((*N, 1)))
    return fine_field(total, np.zeros((*N, cells.extension.shape[-1])), cells, nesting)
