r"""What a right-hand side and boundary data add to the corrected coarse space of the LOD (numpy).

The response of a load is the sum over T of the correctors for :math:`(f, v)_T`. That of boundary data is
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
from .boundary import edge_vectors
from .loads import cell_loads, condensed_loads
from .quasi_interpolation import local_projection
from .space import fine_field, gather_cells

log = logging.getLogger(__name__)

#: Loads this close (relative) to bilinear on every coarse cell need no patch problems of their own.
BILINEAR = 1e-12

#: Correctors (Ny, Nx, 1, 2k+1, 2k+1, q) for condensed loads (Ny, Nx, q, 1), of the cells (Ny, Nx) that have any.
Solve = Callable[[np.ndarray, np.ndarray], np.ndarray]


def bilinear_corners(f: np.ndarray, nesting: Nesting) -> np.ndarray | None:
    """Corner values (Ny, Nx, 4) of nodal values (ny+1, nx+1) that are bilinear on every coarse cell, else ``None``."""
    fields = nesting.node_blocks(f)
    corners = np.einsum("yxn,cn->yxc", fields.reshape(*nesting.N, -1), local_projection(nesting.ratio))
    rest = fields - np.einsum("yxc,cij->yxij", corners, bilinear_hats(nesting.ratio))
    limit = BILINEAR * max(float(np.abs(f).max()), np.finfo(float).tiny)
    return corners if np.abs(rest).max() <= limit else None


def load_response(f: np.ndarray, a: np.ndarray, cells: Condensed, nesting: Nesting, solve: Solve) -> np.ndarray:
    """Response (ny+1, nx+1) of any load, by one patch problem per coarse cell.

    Parameters
    ----------
    f : (ny+1, nx+1) nodal values.
    a : (ny, nx) coefficient.

    Raises
    ------
    SolverFailure
    """
    log.info("the load is not bilinear on coarse cells: one more pass over the patches")
    loads = cell_loads(nesting.node_blocks(f), nesting)[:, :, None]
    out = solve(condensed_loads(cells, loads, nesting), np.ones(nesting.N, bool))
    interior = loads[..., CellLayout(nesting.ratio).interior].reshape(-1, 1, cells.extension.shape[-1])
    inner = bubbles(nesting.blocks(a).reshape(-1, *nesting.ratio), nesting.spacing, interior)
    return fine_field(gather_cells(out, np.ones((*nesting.N, 1))), inner.reshape(*nesting.N, -1), cells, nesting)


def boundary_response(rest: np.ndarray, cells: Condensed, nesting: Nesting, solve: Solve) -> np.ndarray:
    """Response (ny+1, nx+1) of a remainder of boundary data, by one patch problem per cell that has some.

    Parameters
    ----------
    rest : (ny+1, nx+1), from :func:`ngs_nhcsr.solvers.lod_boundary.split_boundary`.

    Raises
    ------
    SolverFailure
    """
    edges = edge_vectors(rest, nesting)
    base = edges.shape[-1]
    total = np.zeros((*nesting.N, cells.matrix.shape[-1]))
    total[..., :base] = edges
    # G is a-harmonic in the cell, so its interior loads nothing and the multipliers' rows stay zero.
    loads = np.zeros((*total.shape, 1))
    loads[:, :, :base] = cells.matrix[:, :, :base, :base] @ edges[..., None]
    wanted = np.asarray(edges.any(-1))
    log.info("the boundary data are not linear on coarse edges: %d patch problems", int(wanted.sum()))
    total -= gather_cells(solve(loads, wanted), np.ones((*nesting.N, 1)))
    return fine_field(total, np.zeros((*nesting.N, cells.extension.shape[-1])), cells, nesting)
