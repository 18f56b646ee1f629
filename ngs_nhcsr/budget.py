"""The errors of a result, part by part, and the status they lead to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .guard import Status
from .problem import MATCHED
from .solvers.dirichlet import data_error
from .solvers.load_error import unseen_waves
from .solvers.medium import Medium
from .solvers.norms import energy_norm, energy_squared, relative
from .solvers.transfer import prolongate

if TYPE_CHECKING:
    from .problem import Problem

#: Estimated relative energy error up to which a result is accepted, and from which the user is told what causes it.
ACCEPTED_UP_TO, NOTED_FROM = 0.05, 1e-3
#: … where the user asked for a number of multigrid steps, also for none.
NOTED_FROM_IF_ASKED = 0.01
#: Estimated error of a recovered load from which on that load is not known: another one altogether has its moments. So
#: it is from the distance between field and coarse solution on, for then either may be the better one.
UNKNOWN_FROM = 1.0
#: Statuses that say that a field is no worse than the coarse solution.
COMPARED = (Status.ACCEPTED, Status.OUT_OF_CONTRACT, Status.INACCURATE)

_REMEDIES = {
    "load": "the load as it was recovered from u_coarse; pass f=",
    "coefficient": "one value per raster cell for a coefficient that varies inside them; raise cells_per_coarse=, or "
    "pass the array of its pixels",
    "fine scales": "the fine scales; refine_to=1e-3 takes multigrid steps until they are right",
    "Dirichlet values": "Dirichlet values, which are those of u_coarse, linear between its nodes; pass g= if they are "
    "curved or jump",
    "u_coarse": "u_coarse, which is by so much not the solution for the f or form= given: quadrature of f in the "
    "coarse solve (then the field is right), or a term that was not told, such as reaction= or robin=",
}


@dataclass(frozen=True)
class Budget:
    """Estimated relative energy errors of a result, by cause; docs/trust.md tells how good the estimates are.

    The error against the solution of the differential equation is another matter: u_h itself is wrong by
    ``Correction.discretisation_error``.

    Attributes
    ----------
    fine_scales : against the target for the load and the raster as they were read; ``None``: not estimated.
    coefficient : of the raster, against the coefficient itself.
    load : of a load that was recovered from the coarse solution.
    dirichlet : of Dirichlet data that are known at coarse nodes and linear between them, against curved ones.
    mismatch : what the problem that was meant may differ from the one read: relative energy distance of u_coarse from
        the latter's coarse solution, by the quadrature rule that makes it least; 0 where it is below ``MATCHED``.
    unseen : what waves of one coarse cell, as large as a load that was recovered, would change: no coarse solution
        shows them, so it is told, and not counted.
    from_coarse : relative energy distance of the field from the coarse solution, where a recovered load matters.
    consistent : whether u_coarse solves the problem as it was read, and
    decided : whether its load is known; else the distance to the solution that was meant is not known.

    Examples
    --------
    >>> print(Budget(fine_scales=2e-4, load=0.021))
    0.021 (load 0.021, fine scales 0.0002)
    """

    fine_scales: float | None
    coefficient: float = 0.0
    load: float = 0.0
    dirichlet: float = 0.0
    mismatch: float = 0.0
    unseen: float = 0.0
    from_coarse: float = float("inf")
    consistent: bool = True
    decided: bool = True

    @property
    def parts(self) -> dict[str, float]:
        """Errors by cause, those that are zero or were not estimated left out, the largest first; nan stays nan."""
        known = {
            "load": self.load,
            "coefficient": self.coefficient,
            "fine scales": self.fine_scales or 0.0,
            "Dirichlet values": self.dirichlet,
            "u_coarse": self.mismatch,
        }
        return dict(sorted(((k, v) for k, v in known.items() if v != 0), key=lambda part: -part[1]))

    @property
    def total(self) -> float:
        """Their sum: by the triangle inequality no less than the error, if every part is right; nan: not known."""
        return float(sum(self.parts.values())) if self.known else float("nan")

    @property
    def known(self) -> bool:
        """Whether it is known what problem u_coarse solves, so that there is an error to be estimated."""
        return self.consistent and self.decided and not self._load_unknown

    @property
    def _load_unknown(self) -> bool:
        """Whether a recovered load may be so far off that the coarse solution is no worse."""
        return self.load > ACCEPTED_UP_TO and self.load >= min(UNKNOWN_FROM, self.from_coarse)

    def __str__(self) -> str:
        if not self.consistent:
            return "unknown: u_coarse solves another problem than the one that was read"
        if not self.decided:
            return "unknown: the load of u_coarse is not known"
        if self._load_unknown:
            return f"unknown: another load, {100 * self.load:.2g} % away, has the moments of u_coarse"
        return f"{self.total:.2g} ({', '.join(f'{k} {v:.2g}' for k, v in self.parts.items()) or 'nothing found'})"

    @property
    def remedy(self) -> str:
        """The largest part in words, with what makes it smaller; empty if there is none."""
        return next((_REMEDIES[name] for name in self.parts), "")

    def judge(
        self, status: Status, notes: tuple[str, ...], noted_from: float = NOTED_FROM
    ) -> tuple[Status, tuple[str, ...]]:
        """Tell the user about errors that are not small.

        Parameters
        ----------
        status : so far.
        notes : so far, in sentences.
        noted_from : error from which a note tells it; what the user asked for need not be told.

        Returns
        -------
        The status, INACCURATE instead of an accepted one where the sum is above ``ACCEPTED_UP_TO``, UNVERIFIED where
        a recovered load is not known; and the notes, with one on the largest part where the sum is above
        ``noted_from``.
        """
        total = self.total
        if not (self.consistent and self.decided):
            return status, notes  # which say so
        if self._load_unknown:
            notes += (
                f"the load that was recovered from u_coarse is not known: another one with the same moments is "
                f"{100 * self.load:.2g} % of the field away, in energy. Pass f=, or points=.",
            )
            return (Status.UNVERIFIED if status in COMPARED else status), notes
        if np.isnan(total):  # a cycle that is not positive definite, at extreme contrast
            notes += ("its error could not be estimated: the contrast is too large for multigrid.",)
        elif total > noted_from:
            notes += (f"its relative energy error is estimated at {100 * total:.2g} %, most of it from {self.remedy}.",)
        if not total <= ACCEPTED_UP_TO and status in COMPARED:
            status = Status.INACCURATE
        return status, notes


def budget_of(values: np.ndarray, problem: Problem, fine_scales: float | None) -> Budget:
    """Estimate the errors of a result.

    Parameters
    ----------
    values : (ny+1, nx+1) nodal values of it.
    problem : as it was read.
    fine_scales : error against the target, where it was estimated.

    Returns
    -------
    Budget
    """
    lost = coefficient_error(values, problem.medium, problem.variation, problem.space.size)
    mismatch = problem.mismatch if problem.mismatch > MATCHED else 0.0
    bent = 0.0 if problem.dirichlet else data_error(problem.U, problem.space, values, problem.medium)
    load, unseen = problem.load_error, 0.0
    if problem.load_recovered:
        unseen = unseen_waves(problem.known_load, problem.medium, problem.space, problem.U)
    if load > 0 or unseen > 0:  # relative to the coarse solution, whose energy may be far from that of the field
        of_field = _relative_size(problem.U, values, problem)
        load, unseen = load * of_field, unseen * of_field
    away = _from_coarse(values, problem) if load > ACCEPTED_UP_TO else float("inf")
    return Budget(fine_scales, lost, load, bent, mismatch, unseen, away, problem.consistent, problem.decided)


def _from_coarse(values: np.ndarray, problem: Problem) -> float:
    """Relative energy distance of a field of nodal values from the coarse solution."""
    cells = (values.shape[0] - 1, values.shape[1] - 1)
    distance = energy_norm(values - prolongate(problem.U, cells), problem.medium, problem.space.size)
    return relative(distance, energy_norm(values, problem.medium, problem.space.size))


def _relative_size(U: np.ndarray, values: np.ndarray, problem: Problem) -> float:
    """Divide energy norms of two fields of nodal values; 1 where one of them has none."""
    coarse, fine = (energy_squared(v, problem.medium, problem.space.size) for v in (U, values))
    return float(np.sqrt(coarse / fine)) if coarse > 0 and fine > 0 else 1.0


def coefficient_error(
    field: np.ndarray, medium: Medium, variation: np.ndarray | None, size: tuple[float, float]
) -> float:
    r"""Estimate the relative energy error from one value per cell of a coefficient that varies inside the cells.

    In a layered cell the energies for given mean gradient and for given mean flux differ by the quotient of the
    arithmetic and the harmonic mean, so :math:`(\sum_K E_K (1 - a_h/a_a) / \sum_K E_K)^{1/2}`, E_K the energy in the
    cell K, is about what is missing of ∇u. Measured on pixel images that do not fit the raster it is 1 to 2 times the
    error (docs/trust.md).

    Parameters
    ----------
    field : (ny+1, nx+1) nodal values.
    medium : the coefficient.
    variation : (my, mx) 1 − a_h/a_a in the cells; ``None``: constant.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    Relative energy error against the solution for the coefficient itself.

    Examples
    --------
    >>> x = np.linspace(0, 1, 9)[None, :] * np.ones((9, 1))
    >>> round(coefficient_error(x, Medium(np.ones((4, 4))), np.full((4, 4), 0.25), (1.0, 1.0)), 12)
    0.5
    """
    if variation is None:
        return 0.0
    total = energy_squared(field, medium, size)
    lost = energy_squared(field, medium.diffusion(variation), size)
    return float(np.sqrt(lost / total)) if total > 0 else 0.0
