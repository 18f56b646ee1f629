"""Condensed load vectors of the LOD's element correctors: the coarse hats' energy, and right-hand sides (numpy)."""

from __future__ import annotations

import numpy as np

from ..nesting import Nesting
from ..substructuring.condensation import CellLayout, Condensed
from ..windows import bilinear_hats


def hat_loads(cells: Condensed, nesting: Nesting) -> np.ndarray:
    r"""Compute the condensed load vectors of :math:`a(\phi_j, \cdot)_T` for the four coarse hats of every cell T.

    No fine solve is needed: the saddle point matrix applied to (φ, 0) is a(φ, ·)_T with the constraint rows Cφ, and it
    condenses to M (φ_B, 0). Cφ, the cell's ``weights``, is subtracted.

    Parameters
    ----------
    cells : condensed coarse cells.
    nesting : coarse and fine space.

    Returns
    -------
    (Ny, Nx, q, 4)
    """
    hats = CellLayout(nesting.ratio).hats
    base, corners = hats.shape[1], np.arange(4)
    loads = cells.matrix[..., :base] @ hats.T
    loads[:, :, base + corners, corners] -= cells.weights
    return loads


def mass_loads(nesting: Nesting) -> np.ndarray:
    r"""Compute the load vectors :math:`(\phi_j, \varphi_i)_T` of the four coarse hats: (4, fine nodes of a cell)."""
    return nesting.cell_loads(bilinear_hats(nesting.ratio))


def condensed_loads(cells: Condensed, loads: np.ndarray, nesting: Nesting) -> np.ndarray:
    """Condense load vectors on coarse cells: eliminate the fine nodes inside.

    Parameters
    ----------
    cells : condensed coarse cells.
    loads : (Ny, Nx, p, fine nodes of a cell) p load vectors of every cell, or (p, …) for the same in all cells.
    nesting : coarse and fine space.

    Returns
    -------
    (Ny, Nx, q, p)
    """
    layout = CellLayout(nesting.ratio)
    out = cells.extension @ np.swapaxes(loads[..., layout.interior], -1, -2)
    out[:, :, : len(layout.boundary)] += np.swapaxes(loads[..., layout.boundary], -1, -2)
    return out
