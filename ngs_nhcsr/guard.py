"""Checks of an output that need no reference: finite, exact boundary, and never worse than the coarse solution."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from .solvers.medium import Medium
from .solvers.norms import energy_product, energy_squared, functional
from .solvers.transfer import prolongate, restrict


class Status(Enum):
    """What became of a correction; the value says it in words, with the remedy."""

    ACCEPTED = "checked: the energy is below the coarse solution's, and no estimated error is above 5 %."
    INACCURATE = (
        "no worse than the coarse solution, but its relative energy error is estimated above 5 %, or the accuracy "
        "that was asked for was not reached."
    )
    DAMPED = (
        "the network's field had a larger energy than the coarse solution and was damped towards it; its fine scales "
        "are not to be trusted. With a known load, and without refine=0, multigrid steps mend it."
    )
    REJECTED = (
        "the network's field was worse than the coarse solution, which is returned instead. With a known "
        "load, and without refine=0, multigrid steps mend it."
    )
    OUT_OF_CONTRACT = (
        "checked to be no worse than the coarse solution, but the problem lies outside what the model was trained "
        "for. Without refine=0, multigrid steps follow where they are needed."
    )
    INCONSISTENT = (
        "u_coarse is not the solution of the problem as read from the coefficient and f= or form=; the field solves "
        "that problem, which may not be yours."
    )
    UNVERIFIED = "the load of the coarse solution is not known, so nothing could be compared. Pass f= or form=."

    @property
    def trusted(self) -> bool:
        """True for ACCEPTED only."""
        return self is Status.ACCEPTED


@dataclass(frozen=True)
class Verdict:
    """A field that passed the guard, and how."""

    field: np.ndarray
    status: Status
    energy: float | None = None
    coarse_energy: float | None = None
    damping: float = 1.0


def guard(
    field: np.ndarray,
    U: np.ndarray,
    medium: Medium,
    b: np.ndarray | None,
    size: tuple[float, float],
) -> Verdict:
    """Return a field that is never worse than the coarse solution.

    With the load known, energies compare the true errors against u_h exactly. If the field's is not below the coarse
    solution's, the minimum of the energy on the line between the two is taken; if even that gains nothing, the coarse
    solution.

    Parameters
    ----------
    field : (ny+1, nx+1) what a network or solver proposes.
    U : (N+1, M+1) coarse Galerkin solution, with the same Dirichlet data.
    medium : the coefficient.
    b : (ny+1, nx+1) load vector on the fine grid, or ``None`` if it is not known.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    Verdict
    """
    cells = (field.shape[0] - 1, field.shape[1] - 1)
    if not np.isfinite(field).all():
        return Verdict(prolongate(U, cells), Status.REJECTED, damping=0.0)
    if b is None:
        coarse = prolongate(U, cells)
        limit = 10 * float(np.abs(coarse).max())
        if limit > 0 and float(np.abs(field).max()) > limit:
            return Verdict(coarse, Status.REJECTED, damping=0.0)
        return Verdict(field, Status.UNVERIFIED)
    # Where the grids are nested, the energy of the prolongation is that on the coarse grid, found there at less cost.
    coarse_cells = (U.shape[0] - 1, U.shape[1] - 1)
    if all(n % m == 0 for n, m in zip(cells, coarse_cells, strict=True)):
        before = functional(U, medium, restrict(b, coarse_cells), size)
    else:
        before = functional(prolongate(U, cells), medium, b, size)
    after = functional(field, medium, b, size)
    if after <= before:
        return Verdict(field, Status.ACCEPTED, after, before)
    coarse = prolongate(U, cells)
    step = field - coarse
    curvature = energy_squared(step, medium, size)
    slope = float(np.sum(b * step)) - energy_product(coarse, step, medium, size)
    t = slope / curvature if curvature > 0 else 0.0
    if not 1e-3 < t < 1:
        return Verdict(coarse, Status.REJECTED, before, before, 0.0)
    damped = coarse + t * step
    return Verdict(damped, Status.DAMPED, before - 0.5 * t * slope, before, t)
