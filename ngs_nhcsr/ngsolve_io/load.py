"""Loads the user gives."""

from __future__ import annotations

from typing import Any

import ngsolve as ngs
import numpy as np

from ..checks import described
from ..errors import InvalidProblem
from ..solvers.load import Load, load_cells
from ..solvers.space import Space
from .evaluate import evaluate


def sample_load(f: Any, mesh: ngs.Mesh, space: Space) -> Load[np.ndarray]:
    """Sample a load at the nodes of a refined coarse grid.

    Parameters
    ----------
    f : number, CoefficientFunction, callable f(x, y) of arrays, or array of nodal values ``[iy, ix]`` of any grid.
    mesh : of the coarse solution, on which a CoefficientFunction is evaluated.
    space : the coarse space; callables get the user's coordinates, from ``space.lower`` on.

    Returns
    -------
    Load
        Nodal values on the grid with ``load_cells`` cells per coarse cell, or the array's own.

    Raises
    ------
    InvalidProblem
        If f is none of these, not a real scalar, not finite, or an array of another dimension than two.
    """
    y, x = space.refined(load_cells(space.cells)).nodes()
    shape = (len(y), len(x))
    if isinstance(f, (ngs.LinearForm, ngs.BaseVector)):
        raise InvalidProblem(
            f"f= takes the function f, not an assembled {type(f).__name__}; pass the CoefficientFunction it was made "
            "of, or leave f out (the load is then read from u_coarse)."
        )
    if isinstance(f, (int, float)) and not isinstance(f, bool):
        values = np.full(shape, float(f))
    elif isinstance(f, ngs.CoefficientFunction):
        if f.is_complex or f.dim != 1:
            raise InvalidProblem("f must be a real scalar.")
        values = evaluate(f, mesh, y, x)
    elif callable(f):
        values = np.broadcast_to(np.asarray(f(x[None, :], y[:, None]), dtype=float), shape).copy()
    else:
        values = _as_nodal_values(f)
    if not np.isfinite(values).all():
        raise InvalidProblem("f has values that are not finite.")
    return Load(values, space.size)


def as_function(f: Any, load: Load[np.ndarray], space: Space) -> ngs.CoefficientFunction:
    """Convert a load to a CoefficientFunction.

    Parameters
    ----------
    f : as given to :func:`sample_load`.
    load : what it returned.
    space : the coarse space.

    Returns
    -------
    ngs.CoefficientFunction
        f itself where it is one or a number; else the bilinear function of the nodal values.
    """
    if isinstance(f, ngs.CoefficientFunction):
        return f
    if isinstance(f, (int, float)):
        return ngs.CoefficientFunction(float(f))
    upper = (space.lower[0] + space.size[1], space.lower[1] + space.size[0])
    return ngs.VoxelCoefficient(space.lower, upper, load.values, linear=True)


def _as_nodal_values(f: Any) -> np.ndarray:
    try:
        values = np.asarray(f, dtype=float)
    except (TypeError, ValueError) as error:
        raise InvalidProblem(
            f"f must be a number, CoefficientFunction, callable f(x, y) or nodal array, not {described(f)}."
        ) from error
    if values.ndim != 2 or min(values.shape) < 2:
        raise InvalidProblem(f"f as an array must hold nodal values [iy, ix], not shape {values.shape}.")
    return values
