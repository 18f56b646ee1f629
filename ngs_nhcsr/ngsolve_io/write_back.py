"""From nodal values on the fine grid to a GridFunction."""

from __future__ import annotations

import ngsolve as ngs
import numpy as np

from ..errors import GridMismatch
from ..solvers.space import Space
from .raster import fine_space


def write_back(
    u_coarse: ngs.GridFunction, coarse: Space, fine: Space, values: np.ndarray, fes: ngs.FESpace | None
) -> ngs.GridFunction:
    """GridFunction with nodal values (ny+1, nx+1) on the fine mesh, or in the space ``fes`` if there is one.

    The fine mesh covers the mesh of ``u_coarse`` and has its names and Dirichlet boundaries.
    """
    u_fine = fine_space(u_coarse, coarse, fine).field(values)
    return u_fine if fes is None else transfer(u_fine, values, fine, fes)


def transfer(u: ngs.GridFunction, values: np.ndarray, grid: Space, fes: ngs.FESpace) -> ngs.GridFunction:
    """The fine field in a space of the user's own: nodal values for H1 of order 1, else NGSolve's ``Set``.

    Raises
    ------
    GridMismatch
        If the space's mesh reaches beyond the fine mesh, where ``Set`` would silently give zero.
    """
    out = ngs.GridFunction(fes)
    coordinates = np.array(fes.mesh.ngmesh.Coordinates())[:, :2]
    yx = (coordinates[:, ::-1] - np.array(grid.lower)[::-1]) / np.array(grid.size)
    if (yx < -1e-9).any() or (yx > 1 + 1e-9).any():
        raise GridMismatch("the mesh of fes= reaches beyond the domain of the coarse solution.")
    if fes.type == "h1ho" and fes.globalorder == 1:
        out.vec.FV().NumPy()[: len(yx)] = interpolate_points(values, np.clip(yx, 0, 1))
    else:
        out.Set(u)
    return out


def interpolate_points(values: np.ndarray, yx: np.ndarray) -> np.ndarray:
    """Q1 function with nodal ``values`` (ny+1, nx+1) at points (P, 2) as (y, x) in the unit square."""
    n = np.array(values.shape) - 1
    t = yx * n
    base = np.minimum(t.astype(int), n - 1)
    (fy, fx), (iy, ix) = (t - base).T, base.T
    low = values[iy, ix] * (1 - fx) + values[iy, ix + 1] * fx
    high = values[iy + 1, ix] * (1 - fx) + values[iy + 1, ix + 1] * fx
    return low * (1 - fy) + high * fy
