"""Problems that leave a constant open: natural conditions all around, no reaction, no Robin side (the Neumann problem).

Owns what makes them solvable: data that are in balance, one node fixed for direct solvers, the mean that is wanted.
"""

from __future__ import annotations

import numpy as np

from ..errors import InvalidProblem
from .medium import Medium
from .space import Space

#: Data may sum to this share of the sum of their absolute values.
BALANCED = 1e-9


def is_neumann(space: Space, medium: Medium) -> bool:
    """Whether solutions are determined up to a constant.

    Parameters
    ----------
    space : with its boundary conditions.
    medium : with a reaction or Robin sides, or without.

    Returns
    -------
    bool

    Examples
    --------
    >>> space = Space.with_sides((4, 4), natural=("bottom", "right", "top", "left"))
    >>> is_neumann(space, Medium(np.ones((4, 4)))), is_neumann(space, Medium(np.ones((4, 4)), np.ones((4, 4))))
    (True, False)
    """
    return bool(space.free.all()) and medium.only_diffuses


def pinned(free: np.ndarray) -> np.ndarray:
    """Fix the first node where all are free: the matrix of a Neumann problem is regular on the others.

    Parameters
    ----------
    free : mask of the free nodes, of any shape.

    Returns
    -------
    The mask, or a copy without the first node.
    """
    if not free.all():
        return free
    free = free.copy()
    free.flat[0] = False
    return free


def balanced(b: np.ndarray) -> np.ndarray:
    """Check that the data of a Neumann problem have a solution.

    Parameters
    ----------
    b : (ny+1, nx+1) load vector: f, point sources and fluxes.

    Returns
    -------
    (ny+1, nx+1) load vector that sums to zero to the last digit.

    Raises
    ------
    InvalidProblem
        If it sums to more than ``BALANCED`` of its size; the message says to how much.

    Examples
    --------
    >>> balanced(np.array([[1.0, -1.0], [0.5, -0.5]])).sum()
    np.float64(0.0)
    """
    total = float(b.sum())
    if abs(total) > BALANCED * float(np.abs(b).sum()):
        raise InvalidProblem(
            f"the space has no Dirichlet nodes and the load integrates to {total:.3g} (f, points and fluxes together), "
            "so there is no solution; take H1(..., dirichlet=...) or data that sum to zero."
        )
    return b - total / b.size


def mean_value(u: np.ndarray) -> float:
    """Compute the mean of a Q1 function over the rectangle.

    Parameters
    ----------
    u : (ny+1, nx+1) nodal values.

    Returns
    -------
    float

    Examples
    --------
    >>> mean_value(np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]))
    0.5
    """
    return float((u[:-1, :-1] + u[:-1, 1:] + u[1:, :-1] + u[1:, 1:]).mean()) / 4


def with_mean(u: np.ndarray, mean: float = 0.0) -> np.ndarray:
    """Add the constant that gives a Q1 function a mean.

    Parameters
    ----------
    u : (ny+1, nx+1) nodal values.
    mean : over the rectangle.

    Returns
    -------
    (ny+1, nx+1) nodal values.
    """
    return u + (mean - mean_value(u))
