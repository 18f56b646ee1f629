"""Robin sides: a∂u/∂n + α u = q with a number α ≥ 0 on each natural side, which adds ∫ α u v along it to the form.

Owns how α is read, and the boundary mass matrix, α h/6 · [[2, 1], [1, 2]] on every edge of a side: added to element
matrices here, to stencils in ``stencil`` and ``row_operator``, which take the weights α h/6. q is a flux, and part of
the load.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..checks import EXPONENT_LIMIT, described
from ..errors import InvalidProblem, NotCoercive
from ..number_checks import is_number
from .space import EDGES, SIDES, Space

#: α, or a weight, of bottom, right, top, left.
Sides = tuple[float, float, float, float]
#: The three entries of a cell's element matrix, in the order ``q1.SYMMETRIC_PAIRS``, that belong to its edge on each
#: side: two on the diagonal, and the one off it.
_ENTRIES = ((0, 1, 4), (1, 3, 7), (2, 3, 5), (0, 2, 6))


def robin_sides(alpha: Any, space: Space) -> Sides | None:
    """Read α of the natural sides.

    Parameters
    ----------
    alpha : number ≥ 0 for all natural sides, dict of these by side, or ``None``.
    space : with the boundary conditions.

    Returns
    -------
    α of bottom, right, top, left; ``None`` where all are zero.

    Raises
    ------
    InvalidProblem
        If α is no number, there is no such side, or it carries Dirichlet values, if only in part.
    NotCoercive
        If α is negative.

    Examples
    --------
    >>> space = Space.with_sides((4, 4), natural=("right", "top"))
    >>> robin_sides(2.0, space), robin_sides({"top": 3}, space), robin_sides(0.0, space)
    ((0.0, 2.0, 2.0, 0.0), (0.0, 0.0, 3.0, 0.0), None)
    """
    if alpha is None:
        return None
    natural = [side for side, dirichlet in zip(SIDES, space.sides, strict=True) if not dirichlet]
    mixed = space.mixed_sides
    if not isinstance(alpha, Mapping):
        if mixed or not natural:
            held = f"in part on {mixed[0]!r}; give it by side" if mixed else "on all of them"
            raise InvalidProblem(f"robin= is for natural sides, but there are Dirichlet values {held}.")
        alpha = dict.fromkeys(natural, alpha)
    found = dict.fromkeys(SIDES, 0.0)
    for side, value in alpha.items():
        if side not in SIDES:
            raise InvalidProblem(f"robin= is given on {side!r}, but the sides are {', '.join(map(repr, SIDES))}.")
        found[side] = _number(value)
        if side not in natural:
            part = "in part" if side in mixed else "already"
            raise InvalidProblem(
                f"robin= is given on {side!r}, which carries Dirichlet values {part}: α is for sides that are natural "
                "as a whole."
            )
    bottom, right, top, left = found.values()
    return (bottom, right, top, left) if any(found.values()) else None


def _number(value: Any) -> float:
    """Check α of a side."""
    if not is_number(value) or not np.isfinite(value):
        raise InvalidProblem(
            f"robin= takes finite numbers α, one for all natural sides or a dict by boundary name, not "
            f"{described(value)}."
        )
    if value < 0:
        raise NotCoercive(f"robin= is negative: α = {value:.3g}, and a∂u/∂n + α u = q needs α ≥ 0.")
    if value > 10.0**EXPONENT_LIMIT:
        raise InvalidProblem(f"robin= reaches {value:.0e}; beyond 1e{EXPONENT_LIMIT} digits are lost. Change units.")
    return float(value)


def edge_weights(robin: Sides, cells: tuple[int, int], size: tuple[float, float]) -> Sides:
    """Compute α h/6 of the sides.

    Parameters
    ----------
    robin : α of bottom, right, top, left.
    cells : (ny, nx) cells of the mesh.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    Weights of the matrix [[2, 1], [1, 2]] of an edge.

    Examples
    --------
    >>> edge_weights((6.0, 0.0, 0.0, 12.0), (2, 4), (1.0, 1.0))
    (0.25, 0.0, 0.0, 1.0)
    """
    hy, hx = size[0] / cells[0], size[1] / cells[1]
    bottom, right, top, left = robin
    return bottom * hx / 6, right * hy / 6, top * hx / 6, left * hy / 6


def add_sides(elements: Any, weights: Sides) -> None:
    """Add the boundary mass matrix to element matrices of a mesh.

    Parameters
    ----------
    elements : (..., 10, ny, nx) in the order ``q1.SYMMETRIC_PAIRS``, numpy or torch; changed.
    weights : as of :func:`edge_weights`.

    Examples
    --------
    >>> elements = np.zeros((10, 2, 2))
    >>> add_sides(elements, edge_weights((0.0, 5.0, 0.0, 0.0), (2, 2), (3.0, 1.0)))
    >>> full = elements[[1, 3]].sum() + 2 * elements[7].sum()
    >>> round(float(full), 12)  # α times the length of the side
    15.0
    """
    for edge, entries, weight in zip(EDGES.values(), _ENTRIES, weights, strict=True):
        for entry, factor in zip(entries, (2, 2, 1), strict=True):
            elements[..., entry, :, :][edge] += factor * weight


def add_full_sides(K: np.ndarray, weights: Sides) -> None:
    """Add the boundary mass matrix to element matrices K (ny, nx, 4, 4), which are changed, as :func:`add_sides`."""
    for edge, (i, j), weight in zip(EDGES.values(), ((0, 1), (1, 3), (2, 3), (0, 2)), weights, strict=True):
        for p, q, factor in ((i, i, 2), (j, j, 2), (i, j, 1), (j, i, 1)):
            K[..., p, q][edge] += factor * weight
