"""Loads and boundary data as users give them, a number, a function or nodal values, at the nodes of a grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..checks import described, refuse_masked
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
        return values_of(f, x, y, name).copy()
    values = real_values(f, name)
    if values.ndim == 0:
        return np.full(shape, float(values))
    if values.shape != shape:
        raise InvalidProblem(f"{name} has shape {values.shape}; nodal values of {cells} cells have {shape}.")
    return values


def values_of(f: Callable[[np.ndarray, np.ndarray], Any], x: np.ndarray, y: np.ndarray, name: str = "f") -> np.ndarray:
    """Call a user's function with arrays.

    Parameters
    ----------
    f : function f(x, y).
    x : coordinates, and
    y : of a shape that broadcasts with theirs.
    name : of the function, for messages.

    Returns
    -------
    np.ndarray
        Real and finite values in the shape of x and y together, not to be written to.

    Raises
    ------
    InvalidProblem
        If it takes no arrays, or returns something else.

    Examples
    --------
    >>> values_of(lambda x, y: x, np.arange(3.0)[None, :], np.zeros((2, 1))).tolist()
    [[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]
    """
    shape = np.broadcast_shapes(x.shape, y.shape)
    try:
        found = f(x, y)
    except (TypeError, ValueError) as error:
        raise InvalidProblem(
            f"{name}(x, y) must take arrays that broadcast, and fails for x {x.shape} and y {y.shape} ({error}); write "
            "conditions with NumPy, such as np.where(x > 0.5, 1.0, 0.0)."
        ) from error
    values = real_values(found, name)
    try:
        return np.broadcast_to(values, shape)
    except ValueError as error:
        raise InvalidProblem(
            f"{name}(x, y) must take arrays that broadcast, and must return values that broadcast to {shape} for x "
            f"{x.shape} and y {y.shape}, not {values.shape}; write it for arrays."
        ) from error


def refuse_cell_values(shape: tuple[int, ...], cells: tuple[int, int], name: str) -> None:
    """Refuse an array of nodal values whose shape is that of cell values.

    Parameters
    ----------
    shape : of the array.
    cells : (ny, nx) of a grid of the rectangle; rows and columns that are multiples of these are one per cell.
    name : of the argument, for the message.

    Raises
    ------
    InvalidProblem
        If it is, and not at the same time that of nodal values of a refined grid.

    Examples
    --------
    >>> refuse_cell_values((17, 33), (8, 8), "f")
    """
    if all(n % m == 0 for n, m in zip(shape, cells, strict=True)) and any(
        (n - 1) % m for n, m in zip(shape, cells, strict=True)
    ):
        raise InvalidProblem(
            f"{name} has shape {shape}, one value per cell; arrays hold values at nodes, one more per axis. Give cell "
            f"values as VoxelCoefficient(lower, upper, {name}, linear=False), or as a function {name}(x, y)."
        )


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
    refuse_masked(values, name)
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
