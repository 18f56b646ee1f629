"""Cost of the LOD's offline part, predicted from the sizes alone."""

from __future__ import annotations

from typing import NamedTuple

from ..nesting import Nesting
from ..substructuring.condensation import CellLayout

#: Flops per second on one core of an x86-64 with AVX2: cells, patches, and the basis, which is mostly written.
CELL_RATE, PATCH_RATE, BASIS_RATE = 8e9, 1.4e10, 7e9
#: Seconds per patch that do not depend on its size.
OVERHEAD = 5e-5


class Estimate(NamedTuple):
    """Predicted cost of the offline part: peak memory in bytes, seconds on one core."""

    bytes: int
    seconds: float


def estimate(nesting: Nesting, layers: int, loads: int) -> Estimate:
    """Predict memory and time of all patches, the coarse matrix and the basis.

    Parameters
    ----------
    nesting : coarse and fine space.
    layers : k, coarse layers around the cell of a patch, ≥ 1.
    loads : right-hand sides per patch: 4, or 8 with right-hand side correctors.

    Returns
    -------
    Estimate
        Flops at the rates above, of compiled kernels; expect a factor 2 for the seconds, and 4 without numba.

    Examples
    --------
    >>> small, large = (estimate(Nesting.of(32, 512), k, 4) for k in (1, 3))
    >>> small.bytes < large.bytes and small.seconds < large.seconds
    True
    """
    (Ny, Nx), (ry, rx), (ny, nx) = nesting.coarse.cells, nesting.ratio, nesting.fine.cells
    layout = CellLayout(nesting.ratio)
    q, interior = len(layout.boundary) + 4, len(layout.interior)
    wy, wx = min(2 * layers + 1, Ny), min(2 * layers + 1, Nx)
    side, edges = wy * ry - 1, (wy - 1) * (rx - 1)
    outer = 2 * (side + wy + 1) + loads
    columns = side + (wy + 1) * (wx + 1) / 2 + loads  # half of the multipliers, on average: see kernels.lod
    cell = interior * ((rx + 1) ** 2 + 4 * (rx + 1) * q + q * q)
    strip = edges**3 / 3 + edges**2 * outer + edges * outer**2
    line = side**3 / 3 + side**2 * columns + side * columns**2
    nodes, window = (Ny + 1) * (Nx + 1), (2 * layers + 2) ** 2
    basis = nodes * window * 2 * q * (q + interior)
    patch = strip + (wx - 1) * line
    seconds = Ny * Nx * (cell / CELL_RATE + patch / PATCH_RATE + OVERHEAD) + basis / BASIS_RATE
    stored = Ny * Nx * (q * q + 2 * q * interior + loads * (2 * layers + 1) ** 2 * q) + nodes * window * q
    fine = nodes * min(window * ry * rx, 4 * ny * nx)
    # 30 bytes per basis entry: the window, the value, its row, and the mask that selects it.
    return Estimate(int(8 * stored + 30 * fine), float(seconds))
