r"""Guaranteed bounds of means over regions and of fluxes through sides: the error of a field times that of its dual.

For a mean :math:`J(u) = \int_\omega u / |\omega|` the dual solution z has the load :math:`1_\omega / |\omega|` and zero
Dirichlet data; for the flux :math:`J(u) = \int_\Gamma a\,\partial_n u` it has no load, one on the side Γ and zero on
the opposite one. With v and w the computed fields for u and z,

.. math:: J(u) = J(v) + r(w) + a(u - v, z - w), \qquad r(w) = l(w) - a(v, w),

with J(v) = 0 for a flux, whose sign is that of -r. The last term is at most the product of the guaranteed error bounds,
and r(w) is computed.

Reference: N. A. Pierce and M. B. Giles, SIAM Review 42 (2000) 247-264.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidProblem
from ..space import SIDES
from .boundary import NEIGHBOURS
from .bounds import without_load
from .problem import apply_cells

if TYPE_CHECKING:
    from .field import TraceField

#: The side across.
OPPOSITE = {"left": "right", "right": "left", "bottom": "top", "top": "bottom"}


def mean_bounds(field: TraceField, region: tuple[float, float, float, float] | None) -> tuple[float, float]:
    """Bound the mean of the PDE's solution over a rectangle of whole cells.

    Parameters
    ----------
    field : the field.
    region : (x0, y0, x1, y1); ``None``: the domain.

    Returns
    -------
    (lower, upper).

    Raises
    ------
    InvalidProblem
        If the region is not made of whole cells, or the Dirichlet data are not in the trace space.
    """
    value, weights = field.mean(region), np.zeros(field.shape)
    rows, columns = field.cells_of(region)
    weights[rows, columns] = 1.0
    weights /= weights.sum() * field.sides[0] * field.sides[1]
    dual = _dual(field, weights, 0.0)
    centre, radius = value + _residual(field, dual), _product(field, dual)
    return centre - radius, centre + radius


def side_flux_bounds(field: TraceField, side: str) -> tuple[float, float]:
    """Bound the flux out of the domain through a Dirichlet side between two natural ones.

    Parameters
    ----------
    field : the field.
    side : "bottom", "right", "top" or "left".

    Returns
    -------
    (lower, upper).

    Raises
    ------
    InvalidProblem
        If a side next to it is Dirichlet (the flux near their corner may be infinite) or it is natural itself, or the
        Dirichlet data are not in the trace space.
    """
    natural = field.problem.data.boundary.natural
    if side not in OPPOSITE:
        raise InvalidProblem(f"side {side!r} is unknown; choose among {', '.join(SIDES)}.")
    if side in natural or not set(NEIGHBOURS[side]) <= natural:
        raise InvalidProblem(
            f"bounds of the flux through {side!r} need Dirichlet data there, and natural sides beside it."
        )
    levels = field.problem.data.levels
    if set(levels) == {side, OPPOSITE[side]} and without_load(field):  # a pressure drop: its energy is the flux
        drop = levels[side] - levels[OPPOSITE[side]]
        low, high = sorted(e / drop for e in field.energy_bounds) if drop else (0.0, 0.0)
        return low, high
    dual = _dual(field, 0.0, {name: float(name == side) for name in OPPOSITE if name not in natural})
    centre, radius = -_residual(field, dual), _product(field, dual)
    return centre - radius, centre + radius


def _dual(field: TraceField, load: np.ndarray | float, g: dict[str, float] | float) -> TraceField:
    """Field of the dual problem, in the same space."""
    from .solve import solve_pde

    problem = field.problem
    if problem.data.excess:
        raise InvalidProblem(
            "bounds of means and fluxes need Dirichlet data that are polynomials of that space, such as linear ones."
        )
    return solve_pde(
        problem.a,
        load,
        g=g,
        natural=problem.data.boundary.natural,
        size=field.size,
        modes=field.cell.modes,
        tolerance=max(field.info.algebraic_error, 1e-8),
    )


def _residual(field: TraceField, dual: TraceField) -> float:
    """r(w) for the projected load; cellwise particular solutions have none."""
    applied = apply_cells(field.problem.a, field.cell.stiffness, field.vector)
    return -float(applied.combine(-1.0, field.problem.moments(field.source)).dot(dual.vector))


def _product(field: TraceField, dual: TraceField) -> float:
    """Bound of what is left: the errors' product, and what the load's oscillation does to the dual field."""
    v, w = field.bounds, dual.bounds
    return v.error * w.error + v.oscillation * math.sqrt(dual.energy)
