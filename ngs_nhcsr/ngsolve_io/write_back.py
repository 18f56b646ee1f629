"""From nodal values on the fine grid to a GridFunction."""

from __future__ import annotations

import ngsolve as ngs
import numpy as np

from ..checks import check_kind
from ..errors import GridMismatch, InvalidProblem
from ..solvers.space import Space
from ..solvers.transfer import prolongate
from .meshes import fine_space, vertices


def check_space(fes: ngs.FESpace | None) -> None:
    """Raise ``InvalidProblem`` unless ``fes`` is ``None`` or a space of NGSolve."""
    check_kind(fes, ngs.FESpace, "fes")


def copy_of(u: ngs.GridFunction) -> ngs.GridFunction:
    """Copy a GridFunction in its own space."""
    out = ngs.GridFunction(u.space)
    out.vec.data = u.vec
    return out


def write_back(
    u_coarse: ngs.GridFunction, fine: Space, values: np.ndarray, fes: ngs.FESpace | None
) -> ngs.GridFunction:
    """Make a GridFunction of nodal values on a fine mesh, or in a space of the user's own.

    Parameters
    ----------
    u_coarse : coarse solution; the fine mesh covers its mesh and has its names and Dirichlet boundaries.
    fine : the fine tensor grid.
    values : (ny+1, nx+1) nodal values on it.
    fes : the user's space; ``None`` for the fine mesh's.

    Returns
    -------
    ngs.GridFunction
        A new one.

    Raises
    ------
    GridMismatch
        If the mesh of ``fes`` reaches beyond the fine mesh.
    """
    u_fine = fine_space(u_coarse, fine).field(values)
    return u_fine if fes is None else transfer(u_fine, values, fine, fes)


def transfer(u: ngs.GridFunction, values: np.ndarray, grid: Space, fes: ngs.FESpace) -> ngs.GridFunction:
    """Transfer a fine field to a space of the user's own: nodal values for H1 of order 1, else NGSolve's ``Set``.

    Parameters
    ----------
    u : the field on the fine mesh.
    values : (ny+1, nx+1) its nodal values.
    grid : the fine tensor grid.
    fes : the user's space.

    Returns
    -------
    ngs.GridFunction
        A new one in ``fes``.

    Raises
    ------
    GridMismatch
        If the space's mesh reaches beyond the fine mesh, where ``Set`` would silently give zero.
    """
    out = ngs.GridFunction(fes)
    coordinates = vertices(fes.mesh)
    yx = (coordinates[:, ::-1] - np.array(grid.lower)[::-1]) / np.array(grid.size)
    if (yx < -1e-9).any() or (yx > 1 + 1e-9).any():
        raise GridMismatch("the mesh of fes= reaches beyond the domain of the coarse solution.")
    if fes.type == "h1ho" and fes.globalorder == 1:
        out.vec.FV().NumPy()[: len(yx)] = prolongate(values, np.clip(yx, 0, 1))
    else:
        out.Set(u)
    return out


def cell_field(mesh: ngs.Mesh, values: np.ndarray) -> ngs.GridFunction:
    """Make an L2 GridFunction of order 0 of cell values.

    Parameters
    ----------
    mesh : fine mesh of quads, numbered row by row.
    values : (ny, nx) cell values.

    Returns
    -------
    ngs.GridFunction

    Raises
    ------
    InvalidProblem
        If the mesh has another number of elements.
    """
    out = ngs.GridFunction(ngs.L2(mesh, order=0))
    if out.space.ndof != values.size:
        raise InvalidProblem("the indicator lives on the fine tensor mesh; leave fes= out.")
    out.vec.FV().NumPy()[:] = values.ravel()
    return out
