"""Loads and boundary data as users give them, a number, a function or nodal values, at the nodes of a grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..checks import described
from ..errors import InvalidProblem

#: What users give as a load or as boundary data: a number, nodal values, or a function f(x, y) of arrays.
Function = float | np.ndarray | Callable[[np.ndarray, np.ndarray], np.ndarray]


def nodal_values(
    f: Function, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0), name: str = "f"
) -> np.ndarray:
    """Sample a load or boundary data at the nodes of a grid.

    Parameters
    ----------
    f : number, callable f(x, y) of arrays, or nodal values.
    cells : (ny, nx).
    size : (Ly, Lx).
    name : of the argument, for messages.

    Returns
    -------
    Nodal values (ny+1, nx+1), a new array for numbers and callables.

    Raises
    ------
    InvalidProblem
        If they are not real and finite, or have another shape.
    """
    shape = cells[0] + 1, cells[1] + 1
    if callable(f):
        x, y = np.linspace(0, size[1], shape[1])[None, :], np.linspace(0, size[0], shape[0])[:, None]
        values = real_values(f(x, y), name)
        try:
            return np.broadcast_to(values, shape).copy()
        except ValueError as error:
            raise InvalidProblem(
                f"{name}(x, y) gets x {x.shape} and y {y.shape} and must return values that broadcast to {shape}, "
                f"not {values.shape}."
            ) from error
    values = real_values(f, name)
    if values.ndim == 0:
        return np.full(shape, float(values))
    if values.shape != shape:
        raise InvalidProblem(f"{name} has shape {values.shape}; nodal values of {cells} cells have {shape}.")
    return values


def real_values(values: Any, name: str) -> np.ndarray:
    """Check that numbers are real and finite.

    Parameters
    ----------
    values : number or array of any shape; truth values count as 0 and 1.
    name : of the argument, for messages.

    Returns
    -------
    np.ndarray
        In float64; the array itself where it is one of these.

    Raises
    ------
    InvalidProblem
        If they are not.
    """
    try:
        found = np.asarray(values)
    except ValueError:  # lists of unequal lengths
        found = np.empty(0, object)
    if found.dtype.kind not in "fiub":
        raise InvalidProblem(
            f"{name} must be a number, a callable {name}(x, y) or nodal values, all real, not {described(values)}."
        )
    found = np.asarray(found, dtype=float)
    if not np.isfinite(found).all():
        raise InvalidProblem(f"{name} has values that are not finite.")
    return found


def boundary_values(g: Function, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Sample boundary data at the nodes of a grid.

    Parameters
    ----------
    g : number, callable g(x, y) of arrays, or nodal values.
    cells : (ny, nx).
    size : (Ly, Lx).

    Returns
    -------
    Nodal values (ny+1, nx+1), zero inside.

    Examples
    --------
    >>> boundary_values(2.0, (2, 2))[:2].tolist()
    [[2.0, 2.0, 2.0], [2.0, 0.0, 2.0]]
    """
    values = nodal_values(g, cells, size, "g").copy()
    values[1:-1, 1:-1] = 0.0
    return values
