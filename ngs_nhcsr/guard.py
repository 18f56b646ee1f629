"""Checks of an output that need no reference: finite, exact boundary, and never worse than the coarse solution."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from .solvers.q1 import energy_product

#: Fields with a larger relative energy error are to be flagged as inaccurate.
LARGE_ERROR = 0.3
#: The estimate is a lower bound, so the flag goes up earlier (docs/trust.md has the figures).
FLAGGED_FROM = 0.24
#: Nodes per strip of :func:`energy`.
STRIP = 20_000


class Status(Enum):
    """What became of a correction; the value says it in words, with the remedy."""

    ACCEPTED = "checked: the energy is below the coarse solution's, or the PDE was solved with a bound."
    INACCURATE = (
        "closer to the fine solution than the coarse one, but its relative energy error is about 30 % or more. Refine "
        "with multigrid cycles (refine=2) or solve on the fine mesh."
    )
    DAMPED = (
        "the network's field had a larger energy than the coarse solution and was damped towards it; its fine scales "
        "are not to be trusted. Refine with multigrid cycles (refine=2) or solve on the fine mesh."
    )
    REJECTED = (
        "the network's field was worse than the coarse solution, which is returned instead. Refine with multigrid "
        "cycles (refine=4) or solve on the fine mesh."
    )
    OUT_OF_CONTRACT = (
        "checked to be no worse than the coarse solution, but the problem lies outside what the model was trained "
        "for. Compare with a fine solve on one example, or refine (refine=2)."
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


def energy(v: np.ndarray, A: np.ndarray, size: tuple[float, float]) -> float:
    """a(v, v) of a nodal field (ny+1, nx+1), strip by strip, so that what it needs stays in the cache.

    Examples
    --------
    >>> round(energy(np.outer(np.ones(65), np.linspace(0, 1, 65)), np.full((32, 4), 3.0), (1.0, 1.0)), 12)
    3.0
    """
    rows, rest = divmod(v.shape[0] - 1, A.shape[0])
    if rest or (v.shape[1] - 1) % A.shape[1]:
        return energy_product(v, v, A, size)
    total, step = 0.0, max(1, STRIP // (rows * v.shape[1]))
    for k in range(0, A.shape[0], step):
        strip = A[k : k + step]
        part = v[k * rows : (k + len(strip)) * rows + 1]
        total += energy_product(part, part, strip, (size[0] * len(strip) / A.shape[0], size[1]))
    return total


def functional(v: np.ndarray, A: np.ndarray, b: np.ndarray, size: tuple[float, float]) -> float:
    """Energy functional E(v) = ½ a(v, v) − f(v); E(v) − E(u_h) = ½ |||v − u_h|||²."""
    return 0.5 * energy(v, A, size) - float(np.sum(b * v))


def guard(
    field: np.ndarray,
    coarse: np.ndarray,
    A: np.ndarray,
    b: np.ndarray | None,
    size: tuple[float, float],
    U: np.ndarray | None = None,
) -> Verdict:
    """Never worse than coarse.

    Parameters
    ----------
    field : (ny+1, nx+1) the network's output.
    coarse : (ny+1, nx+1) the prolonged canonical coarse solution, with the same boundary values.
    A : coefficient cells.
    b : (ny+1, nx+1) load vector on the fine grid, or ``None`` if unknown.
    U : (N+1, M+1) the coarse solution on its own grid; where the grids are nested its energy is found there.

    Notes
    -----
    With the load known, energies compare the true errors exactly. If the field's is not below the coarse solution's,
    the minimum of the energy on the line between the two is taken; if even that gains nothing, the coarse solution.
    """
    if not np.isfinite(field).all():
        return Verdict(coarse, Status.REJECTED, damping=0.0)
    if b is None:
        limit = 10 * float(np.abs(coarse).max())
        if limit > 0 and float(np.abs(field).max()) > limit:
            return Verdict(coarse, Status.REJECTED, damping=0.0)
        return Verdict(field, Status.UNVERIFIED)
    nested = U is not None and all((n - 1) % (m - 1) == 0 for n, m in zip(coarse.shape, U.shape, strict=True))
    own = U if U is not None and nested else coarse
    before = 0.5 * energy(own, A, size) - float(np.sum(b * coarse))
    after = functional(field, A, b, size)
    if after <= before:
        return Verdict(field, Status.ACCEPTED, after, before)
    step = field - coarse
    curvature = energy_product(step, step, A, size)
    slope = float(np.sum(b * step)) - energy_product(coarse, step, A, size)
    t = slope / curvature if curvature > 0 else 0.0
    if not 1e-3 < t < 1:
        return Verdict(coarse, Status.REJECTED, before, before, 0.0)
    damped = coarse + t * step
    return Verdict(damped, Status.DAMPED, before - 0.5 * t * slope, before, t)
