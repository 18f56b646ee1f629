"""Condensed loads of the LOD's element correctors: the coarse hats' energy, and right-hand sides (numpy)."""

from __future__ import annotations

import numpy as np

from ..nesting import Nesting
from ..q1 import mass_apply
from ..substructuring.condensation import CellLayout, Condensed
from ..windows import bilinear_hats


def hat_loads(cells: Condensed, nesting: Nesting) -> np.ndarray:
    r"""Condensed loads of :math:`a(\phi_j, \cdot)_T` for the four hats of every cell, (Ny, Nx, q, 4)."""
    hats = CellLayout(nesting.ratio).hats
    base, corners = hats.shape[1], np.arange(4)
    loads = cells.matrix[..., :base] @ hats.T
    loads[:, :, base + corners, corners] -= cells.weights
    return loads


def cell_loads(fields: np.ndarray, nesting: Nesting) -> np.ndarray:
    """Loads (f, v)_T of nodal fields on cells: (..., ry+1, rx+1) to (..., fine nodes of a cell)."""
    ry, rx = nesting.ratio
    size = (ry * nesting.spacing[0], rx * nesting.spacing[1])
    flat = fields.reshape(-1, ry + 1, rx + 1)
    return np.stack([mass_apply(v, size).ravel() for v in flat]).reshape(*fields.shape[:-2], -1)


def mass_loads(nesting: Nesting) -> np.ndarray:
    r"""Loads :math:`(\phi_j, v)_T` of the four hats, (4, fine nodes of a cell)."""
    return cell_loads(bilinear_hats(nesting.ratio), nesting)


def condensed_loads(cells: Condensed, loads: np.ndarray, nesting: Nesting) -> np.ndarray:
    """Condense loads (..., p, fine nodes of a cell), broadcast over the cells, to (Ny, Nx, q, p)."""
    layout = CellLayout(nesting.ratio)
    out = cells.extension @ np.swapaxes(loads[..., layout.interior], -1, -2)
    out[:, :, : len(layout.boundary)] += np.swapaxes(loads[..., layout.boundary], -1, -2)
    return out
