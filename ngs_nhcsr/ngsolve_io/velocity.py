"""Conservative velocities as NGSolve GridFunctions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ngsolve as ngs
import numpy as np

from ..errors import InvalidProblem
from ..solvers.space import Space
from .meshes import structured_mesh

if TYPE_CHECKING:
    from ..solvers.trace import TraceField


def velocity_field(mesh: ngs.Mesh, shape: tuple[int, ...], field: TraceField) -> ngs.GridFunction:
    """Compute the velocity −a∇u as HDiv GridFunction of order 0 whose facet fluxes are those of the dual field.

    Parameters
    ----------
    mesh : quads numbered row by row, as ``correct`` makes them.
    shape : (ny+1, nx+1) nodes of the mesh.
    field : the PDE's solution on the same rectangle.

    Returns
    -------
    ngs.GridFunction
        Its divergence is the mean of f on every cell, up to round-off.

    Raises
    ------
    InvalidProblem
        If the mesh is not the tensor mesh, or its cells cut raster cells.
    """
    cells = (shape[0] - 1, shape[1] - 1)
    if mesh.ne != cells[0] * cells[1]:
        raise InvalidProblem("the velocity lives on the fine tensor mesh; leave fes= out.")
    if any(n % m for n, m in zip(cells, field.shape, strict=True)):
        raise InvalidProblem(
            f"the fine mesh of {cells[1]} x {cells[0]} cells cuts the {field.shape[1]} x {field.shape[0]} pixels; "
            "choose a scale with a whole number of fine cells per pixel."
        )
    through_vertical, through_horizontal = field.flux.fluxes(cells)
    space = ngs.HDiv(mesh, order=0)
    out = ngs.GridFunction(space)
    vertical, horizontal = facet_dofs(space, cells)
    factor_x, factor_y = _dofs_of_unit_fluxes((field.size[0] / cells[0], field.size[1] / cells[1]))
    values = out.vec.FV().NumPy()
    values[vertical.ravel()] = -factor_x * through_vertical.ravel()
    values[horizontal.ravel()] = -factor_y * through_horizontal.ravel()
    return out


def facet_dofs(space: ngs.HDiv, cells: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Number the degrees of freedom of an HDiv space of order 0 by the place of their edges.

    Parameters
    ----------
    space : on a mesh of quads numbered row by row.
    cells : (ny, nx) cells of the mesh.

    Returns
    -------
    vertical : np.ndarray
        (ny, nx+1) degrees of freedom of the vertical edges.
    horizontal : np.ndarray
        (ny+1, nx) degrees of freedom of the horizontal edges.
    """
    ny, nx = cells
    vertical, horizontal = np.empty((ny, nx + 1), int), np.empty((ny + 1, nx), int)
    ends = np.array([[v.nr for v in edge.vertices] for edge in space.mesh.edges])
    dofs = np.array([space.GetDofNrs(ngs.NodeId(ngs.EDGE, k))[0] for k in range(len(ends))])
    iy, ix = np.divmod(ends.min(1), nx + 1)
    level = np.abs(ends[:, 1] - ends[:, 0]) == 1
    horizontal[iy[level], ix[level]] = dofs[level]
    vertical[iy[~level], ix[~level]] = dofs[~level]
    return vertical, horizontal


def _dofs_of_unit_fluxes(spacing: tuple[float, float]) -> tuple[float, float]:
    """Degree of freedom of a unit flux in x through a vertical and in y through a horizontal edge, NGSolve's signs."""
    hy, hx = spacing
    space = ngs.HDiv(structured_mesh(Space((2, 2), (0.0, 0.0), (2 * hy, 2 * hx))), order=0)
    vertical, horizontal = facet_dofs(space, (2, 2))
    u = ngs.GridFunction(space)
    u.Set(ngs.CF((1 / hy, 1 / hx)))
    values = u.vec.FV().NumPy()
    return float(values[vertical[0, 1]]), float(values[horizontal[1, 0]])
