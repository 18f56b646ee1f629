"""α of Robin sides, from what users give by boundary name to the sides of the rectangle, and as a function on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ngsolve as ngs

from ..errors import InvalidProblem
from ..solvers.robin import Sides, robin_sides
from ..solvers.space import SIDES, Space
from .flux import CLOSE, named_parts, on_side, side_ends


def read_robin(alpha: Any, mesh: ngs.Mesh, space: Space) -> Sides | None:
    """Read α of a∂u/∂n + α u = q.

    Parameters
    ----------
    alpha : number ≥ 0 for all natural sides, dict of these by boundary name of the mesh, or by side; ``None``: no side.
    mesh : of the coarse solution.
    space : the coarse space.

    Returns
    -------
    Sides or None
        α of bottom, right, top, left; ``None`` where all are zero.

    Raises
    ------
    InvalidProblem
        If there is no such boundary, it is only a part of a side or has Dirichlet values, or α is no number.
    NotCoercive
        If α is negative.
    """
    if not isinstance(alpha, Mapping):
        return robin_sides(alpha, space)
    by_side: dict[str, Any] = {}
    for name, value in alpha.items():
        for side, low, high in named_parts(name, mesh, space, "robin"):
            first, last = side_ends(side, space)
            if low - first > CLOSE * max(space.size) or last - high > CLOSE * max(space.size):
                raise InvalidProblem(
                    f"robin= is given on {name!r}, which is only a part of the {side} side: α is for whole sides."
                )
            if side in by_side:
                raise InvalidProblem(f"robin= is given twice on the {side} side; leave {name!r} out.")
            by_side[side] = value
    return robin_sides(by_side, space)


def robin_function(robin: Sides, space: Space) -> ngs.CoefficientFunction:
    """Make the function that is α on each side, for forms on the boundary.

    Parameters
    ----------
    robin : α of bottom, right, top, left.
    space : with the rectangle.

    Returns
    -------
    ngs.CoefficientFunction
    """
    total = ngs.CoefficientFunction(0.0)
    for side, alpha in zip(SIDES, robin, strict=True):
        if alpha:
            total += alpha * on_side(side, space)
    return total
