"""From nodal values on the fine grid to a GridFunction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import ngsolve as ngs
import numpy as np

from ..checks import check_kind
from ..errors import GridMismatch, InvalidProblem
from ..solvers.space import Space
from ..solvers.transfer import prolongate
from .checks import SCALAR_H1
from .meshes import dirichlet_names, fine_space_on, vertices


def check_space(fes: ngs.FESpace | None) -> None:
    """Raise ``InvalidProblem`` unless ``fes`` is ``None`` or a space of NGSolve."""
    check_kind(fes, ngs.FESpace, "fes")


def copy_of(u: ngs.GridFunction) -> ngs.GridFunction:
    """Copy a GridFunction in its own space."""
    out = ngs.GridFunction(u.space)
    out.vec.data = u.vec
    return out


def write_later(
    u_coarse: ngs.GridFunction, fine: Space, values: np.ndarray, fes: ngs.FESpace | None
) -> Callable[[], ngs.GridFunction]:
    """Prepare a GridFunction of nodal values on a fine mesh, or in a space of the user's own.

    A fine mesh takes more time and memory in NGSolve than many solutions on it: it is made when the function is called.
    All that can go wrong goes wrong now.

    Parameters
    ----------
    u_coarse : coarse solution; the fine mesh covers its mesh and has its names and Dirichlet boundaries.
    fine : the fine tensor grid.
    values : (ny+1, nx+1) nodal values on it, not copied.
    fes : the user's space; ``None`` for the fine mesh's.

    Returns
    -------
    Callable
        Makes a new GridFunction; it can be pickled.

    Raises
    ------
    GridMismatch
        If the mesh of ``fes`` reaches beyond the fine mesh.
    """
    mesh, names = u_coarse.space.mesh, dirichlet_names(u_coarse)
    later = partial(_on_fine_mesh, mesh, names, fine, values)
    return later if fes is None else partial(copy_of, transfer(later, values, fine, fes))


def _on_fine_mesh(mesh: ngs.Mesh, names: str, fine: Space, values: np.ndarray) -> ngs.GridFunction:
    return fine_space_on(mesh, names, fine).field(values)


def transfer(
    make: Callable[[], ngs.GridFunction], values: np.ndarray, grid: Space, fes: ngs.FESpace
) -> ngs.GridFunction:
    """Transfer a fine field to a space of the user's own: nodal values for H1 of order 1, else NGSolve's ``Set``.

    Parameters
    ----------
    make : makes the field on the fine mesh, where it is needed.
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
    if fes.type == SCALAR_H1 and fes.globalorder == 1:
        out.vec.FV().NumPy()[: len(yx)] = prolongate(values, np.clip(yx, 0, 1))
    else:
        out.Set(make())
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
