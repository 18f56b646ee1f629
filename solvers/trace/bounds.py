r"""Guaranteed bounds from a field and a flux: the hypercircle of Prager and Synge.

Owns the guaranteed numbers about a field's error and the solution's energy; means and fluxes are in ``goals``.

For v with the Dirichlet data of u and q with divergence -f and the given flow through natural sides,

.. math:: |||u - v|||^2 + \int |q - a\nabla u|^2/a = \int |q - a\nabla v|^2/a .

The right side is integrated cell by cell. In a cell q and :math:`a\nabla v` are sums of the same harmonic
extensions, so it is a quadratic form in their coefficients. The load's oscillation and Dirichlet data outside the
trace space add their own terms by the triangle inequality. Rounding and the accuracy of the reference cell (1e-9 and
better) are not part of the bounds.

Reference: W. Prager and J. L. Synge, Quart. Appl. Math. 5 (1947) 241-269.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...short_repr import ShortRepr
from ..backend import compiled
from .dual import DualFlux
from .particular import MEANS

if TYPE_CHECKING:
    from .field import TraceField

Array = np.ndarray

#: Errors below this part of the largest value, times √a, are none where the solution is a constant.
ROUND_OFF = 1e-10


@dataclass(frozen=True, eq=False, repr=False)
class Bounds(ShortRepr):
    r"""Guaranteed bounds of one field against the PDE's solution u.

    Attributes
    ----------
    error : upper bound of the energy norm of the field's error.
    relative_error : upper bound of that over the energy norm of u; inf if nothing is known about it.
    energy : lower and upper bound of :math:`\int a|\nabla u|^2`.
    indicator : (my, mx) contributions of the cells; the root of the sum of their squares is the error bound without
        oscillation and boundary terms.
    oscillation : what the load's part outside the linear polynomials adds to ``error``.
    boundary : what Dirichlet data outside the trace space add to ``error``.
    """

    error: float
    relative_error: float
    energy: tuple[float, float]
    indicator: Array
    oscillation: float
    boundary: float


def bounds_of(field: TraceField, flux: DualFlux) -> Bounds:
    """Return the bounds that a field and a flux give.

    Parameters
    ----------
    field : field with the Dirichlet data of the problem.
    flux : flux for the same problem and load.

    Returns
    -------
    Bounds of the field's error and of the solution's energy.
    """
    problem = field.problem
    indicator = np.sqrt(np.maximum(cell_gaps(field, flux), 0.0))
    gap = float(np.linalg.norm(indicator))
    oscillation = field.source.oscillation(problem.a, problem.sides)
    boundary = problem.data.excess
    error = gap + oscillation + boundary
    energy = energy_bounds(field, gap, oscillation + boundary)
    nothing = ROUND_OFF * float(np.abs(problem.data.lift.corners).max()) * math.sqrt(float(problem.a.max()))
    relative = (
        0.0
        if error <= nothing and field.energy <= nothing**2
        else error / math.sqrt(energy[0])
        if energy[0] > 0
        else math.inf
    )
    return Bounds(error, relative, energy, indicator, oscillation, boundary)


def cell_gaps(field: TraceField, flux: DualFlux) -> Array:
    r"""Return :math:`\int_K |q - a\nabla v|^2/a` of every cell (my, mx), v the field, q the flux, of one problem."""
    if compiled():
        from .function_kernels import fill_gaps

        problem, out = field.problem, np.empty(field.shape)
        v = (field.vector.parts(), field.interior, field.source.coefficients)
        q = (flux.stream.vector.parts(), flux.particular.reshape(12, *field.shape), flux.stream.interior)
        fill_gaps(problem.a, v, q, problem.dual.gap_forms, MEANS, problem.sides, out, 0, len(out))
        return out
    return _cell_gaps(field, flux)


def _cell_gaps(field: TraceField, flux: DualFlux) -> Array:
    """Compute :func:`cell_gaps` in numpy, band by band."""
    problem, cell = field.problem, field.cell
    f = field.source.coefficients
    mixed = np.einsum("mji,mn,nji->ji", f, cell.particular, field.interior, optimize=True) * field.sides[1] ** 2
    for rows in field.bands():
        c = field.band(rows).centred()
        psi, q0 = flux.band(rows).local()
        # Green's formula for q · grad v: the trace of v against q · n, and v against f
        tested = (psi.reshape(-1, psi.shape[-1]) @ problem.dual.circulation.T).reshape(psi.shape)
        tested += problem.dual.outflow_moments(q0)
        tested += np.moveaxis(f[:, rows], 0, -1) @ (field.sides[1] ** 2 * cell.moments)
        mixed[rows] += np.einsum("jin,jin->ji", tested, c)
    return flux.squares() / problem.a - 2 * mixed + problem.a * field.dirichlet()


def energy_bounds(field: TraceField, gap: float, extra: float) -> tuple[float, float]:
    r"""Bound the energy of the solution from both sides.

    With zero Dirichlet data the energy is :math:`2\,l(v) - |||v|||^2 + |||u - v|||^2`, l the load with the fluxes;
    without load and fluxes it is :math:`|||v|||^2 - |||u - v|||^2`. Otherwise the triangle inequality is used.

    Parameters
    ----------
    field : the field v.
    gap : bound of the energy norm of u - v, u for the projected data.
    extra : bound of what the projections of load and Dirichlet data change, in the energy norm.

    Returns
    -------
    (lower, upper).
    """
    problem, energy = field.problem, field.energy
    if problem.data.homogeneous:
        low = 2 * field.work - energy
        high = low + gap**2
    elif without_load(field):
        low, high = energy - gap**2, energy
    else:
        low, high = max(math.sqrt(energy) - gap, 0.0) ** 2, (math.sqrt(energy) + gap) ** 2
    if extra:
        return max(math.sqrt(max(low, 0.0)) - extra, 0.0) ** 2, (math.sqrt(high) + extra) ** 2
    return max(low, 0.0), high


def without_load(field: TraceField) -> bool:
    """Return whether neither a load nor a flux acts."""
    return not (field.source.coefficients.any() or field.source.remainder.any() or field.problem.data.flux)


def reachable(bound: float) -> float:
    """Round a bound up to one digit, as an accuracy to ask for.

    Examples
    --------
    >>> reachable(9.5e-7), reachable(2.31e-4)
    (1e-06, 0.0003)
    """
    digit = math.floor(math.log10(bound))
    return float(f"{math.ceil(bound / 10.0**digit)}e{digit}")
