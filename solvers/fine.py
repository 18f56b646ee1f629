"""Reference solutions on the fine mesh: Q1, by a direct solve or by multigrid."""

from __future__ import annotations

import numpy as np

from ..checks import check_coefficient_values, check_reaction_values, check_tensor_values
from ..errors import InvalidProblem
from ..number_checks import check_size
from .direct import DirichletSystem
from .hierarchy import hierarchy
from .load import Load
from .medium import Medium
from .nodal import Function, boundary_values
from .q1 import stiffness
from .space import Cells, Space, cell_pair
from .tensor_medium import medium_of

#: From this many nodes on "auto" takes multigrid.
MULTIGRID_FROM = 20_000


def fine_solve(
    A: np.ndarray,
    cells: Cells,
    f: Function = 1.0,
    *,
    method: str = "auto",
    size: tuple[float, float] = (1.0, 1.0),
    tolerance: float = 1e-8,
    g: Function = 0.0,
    reaction: np.ndarray | float | None = None,
) -> np.ndarray:
    """Compute u_h, the Q1 solution of −div(a∇u) + c u = f, u = g on the boundary; a and c are integrated exactly.

    Parameters
    ----------
    A : (my, mx) positive cell values of the coefficient, row 0 at the lowest y; or (my, mx, 2, 2) symmetric positive
        definite tensors.
    cells : (ny, nx) cells of the mesh, or one number for both; the raster and the mesh need not be nested.
    f : number, callable f(x, y) of arrays with x in [0, Lx] and y in [0, Ly], or nodal values (ny+1, nx+1).
    method : "direct" (a sparse factorisation), "multigrid", or "auto", which takes multigrid from 20 000 nodes on.
    size : (Ly, Lx) of the rectangle.
    tolerance : relative residual at which the multigrid iteration ends.
    g : likewise a number, a callable g(x, y), or nodal values of which those on the boundary count.
    reaction : c ≥ 0, a number or cell values (py, px) on a raster of its own; default: none.

    Returns
    -------
    Nodal values (ny+1, nx+1).

    Raises
    ------
    InvalidProblem
        If the method is none of these, an array has another shape, or a value is not finite.
    NotCoercive
        If the coefficient is not positive (definite), or the reaction negative.
    SolverFailure
        If multigrid does not converge.

    Examples
    --------
    >>> u = fine_solve(np.ones((4, 4)), 16)
    >>> round(float(u.max()), 4)
    0.0739
    """
    if method not in ("auto", "direct", "multigrid"):
        raise InvalidProblem(f'method must be "auto", "direct" or "multigrid", not {method!r}.')
    space = Space(cell_pair(cells, "cells"), size=check_size(size))
    values = check_tensor_values(A) if np.ndim(A) == 4 else check_coefficient_values(A)
    medium = medium_of(values, check_reaction_values(reaction))
    b = Load.of(f, space.cells, space.size).vector(space.cells)
    lift = boundary_values(g, space.cells, space.size)
    if method == "multigrid" or (method == "auto" and b.size > MULTIGRID_FROM):
        return _multigrid(medium, space, b, lift, tolerance)
    return DirichletSystem(stiffness(medium, space.cells, space.size), space.free).solve(b, lift)


def _multigrid(medium: Medium, space: Space, b: np.ndarray, lift: np.ndarray, tolerance: float) -> np.ndarray:
    """Solve by multigrid-CG to a relative residual of ``tolerance`` for a load vector and boundary values."""
    u, info = hierarchy(medium, space).solve(b, lift if lift.any() else None, tolerance=tolerance, max_iterations=300)
    info.check(tolerance, "use method='direct' for this contrast")
    return u
