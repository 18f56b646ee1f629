"""Q1 on the coarse grid alone: exactly integrated coefficient, or one mean value per coarse cell."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..checks import check_coefficient_values, check_reaction_values
from ..errors import InvalidProblem
from ..number_checks import check_size
from .direct import DirichletSystem
from .load import Load
from .medium import MEANS, Mean, Medium
from .nodal import Function, nodal_values
from .q1 import stiffness
from .space import Cells, Space, cell_pair


def coarse_solve(
    A: np.ndarray,
    N: Cells,
    f: Function = 1.0,
    mean: Mean | Literal["galerkin"] = "galerkin",
    size: tuple[float, float] = (1.0, 1.0),
    g: Function = 0.0,
    reaction: np.ndarray | float | None = None,
) -> np.ndarray:
    """Compute the Q1 solution of −div(a∇u) + c u = f on the coarse grid, u = g on the boundary.

    Parameters
    ----------
    A : (my, mx) positive cell values of the coefficient, row 0 at the lowest y.
    N : coarse cells, a number or (Ny, Nx).
    f : number, callable f(x, y) of arrays, or coarse nodal values (Ny+1, Nx+1).
    mean : "galerkin" (a integrated exactly; any raster), or the mean that replaces a in every coarse cell:
        "arithmetic" (no more than the mean survives, unlike "galerkin"), "harmonic", "geometric".
    size : (Ly, Lx) of the rectangle.
    g : number, callable g(x, y), or coarse nodal values of which those on the boundary count.
    reaction : c ≥ 0, a number or cell values (py, px) on a raster of its own, integrated exactly; default: none.

    Returns
    -------
    Nodal values (Ny+1, Nx+1).

    Raises
    ------
    GridMismatch
        If a mean is wanted and the raster is no multiple of the coarse cells.
    InvalidProblem
        If ``mean`` is none of these, or an array has another shape.
    NotCoercive
        If the coefficient is not positive.

    Examples
    --------
    >>> round(float(coarse_solve(np.ones((4, 4)), 8).max()), 4)
    0.0746
    """
    values, space = check_coefficient_values(A), Space(cell_pair(N, "N"), size=check_size(size))
    if mean not in ("galerkin", *MEANS):
        raise InvalidProblem(f"mean must be one of galerkin, {', '.join(MEANS)}, not {mean!r}.")
    if mean != "galerkin":
        values = np.asarray(Medium(values).mean(mean, space.cells))
    F = Load.of(f, space.cells, space.size).vector(space.cells)
    medium = Medium(values, check_reaction_values(reaction))
    system = DirichletSystem(stiffness(medium, space.cells, space.size), space.free)
    return system.solve(F, nodal_values(g, space.cells, space.size, "g"))
