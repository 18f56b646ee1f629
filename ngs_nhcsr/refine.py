"""Multigrid-CG steps from a field towards u_h, what one of them tells of its error, and the way out where they fail."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .number_checks import check_refinement
from .short_repr import ShortRepr
from .solvers.direct_fine import STRETCHED, DirectFine, affordable, stretching
from .solvers.hierarchy import Hierarchy, hierarchy
from .solvers.medium import Medium
from .solvers.norms import energy_norm
from .solvers.space import Space

#: Estimated relative energy error above which multigrid steps are taken unasked, until it is below.
AUTOMATIC = 3e-4
#: Steps after which these and ``refine_to`` give up.
MAX_STEPS, MAX_AUTOMATIC = 60, 300
#: Estimated errors above so many tolerances lead to a second solve.
AGAIN = 2
#: Error to estimate, at most, on cells that are stretched just so much that these are not told as they are.
BLIND = 2.0
#: Relative energy error per contrast that no solver sees: entries of the matrix are rounded relative to the largest.
ROUND_OFF = 10 * float(np.finfo(float).eps)


@dataclass(frozen=True, repr=False)
class Refinement(ShortRepr):
    """A refined field, and estimates of the relative energy error against u_h.

    Attributes
    ----------
    field : (ny+1, nx+1) nodal values.
    steps : multigrid-CG steps taken.
    before : Hestenes-Stiefel sum: a lower bound of the error of the field that was refined, 0.97 to 1 of it in practice
        after one step at contrast 10.
    after : what one more step would take off, likewise.
    converged : whether a tolerance was reached; True for a number of steps.
    factorised : whether a sparse factorisation took over, as multigrid did not get there.
    """

    field: np.ndarray
    steps: int
    before: float
    after: float
    converged: bool
    factorised: bool = False


class Refiner:
    """Multigrid for one medium and mesh: steps towards u_h, and estimates of errors, for any number of fields.

    Parameters
    ----------
    medium : the coefficient, numpy.
    fine : the fine space.

    Examples
    --------
    >>> from ngs_nhcsr.solvers.load import Load
    >>> refiner, b = Refiner(Medium(np.ones((4, 4))), Space((16, 16))), Load.of(1.0, (16, 16)).vector((16, 16))
    >>> zero = np.zeros((17, 17))
    >>> round(refiner.error(zero, b), 2), refiner.refine(zero, b, steps=2).after < 0.02
    (1.0, True)
    """

    def __init__(self, medium: Medium, fine: Space):
        self.fine, self._medium = fine, medium

    @property
    def round_off(self) -> float:
        """Relative energy error from the rounded entries of the matrix."""
        return ROUND_OFF * self._medium.contrast

    @cached_property
    def _blind(self) -> float:
        """Factor of estimates on stretched cells that are too many for a direct solve: the cycle sees so little."""
        stretched = stretching(self._medium, self.fine)
        if stretched <= STRETCHED or affordable(self.fine):
            return 1.0
        return BLIND * float(np.sqrt(stretched / STRETCHED))

    @cached_property
    def _hierarchy(self) -> Hierarchy:
        return hierarchy(self._medium, self.fine)

    def error(self, field: np.ndarray, b: np.ndarray) -> float:
        """Estimate the error of a field: a lower bound up to the norm it is relative to (docs/trust.md has figures).

        Parameters
        ----------
        field : (ny+1, nx+1) nodal values with the right Dirichlet data.
        b : (ny+1, nx+1) load vector.

        Returns
        -------
        Relative error |||u_h − v||| / |||u_h||| of the field v.
        """
        return self._blind * self._hierarchy.relative_error(b, field)

    def refine(
        self,
        field: np.ndarray,
        b: np.ndarray,
        *,
        steps: int = 0,
        tolerance: float | None = None,
        max_steps: int = MAX_STEPS,
    ) -> Refinement:
        """Take multigrid-CG steps from a field, and solve directly where these do not reach a tolerance.

        At extreme contrast the cycle, in single precision, need not be positive definite: then steps end early, and
        where they lead says nothing.

        Parameters
        ----------
        field : (ny+1, nx+1) nodal values to start from; keeps its values at fixed nodes.
        b : (ny+1, nx+1) load vector.
        steps : number of steps, or
        tolerance : relative energy error against u_h (estimated) to reach.
        max_steps : when to give that up.

        Returns
        -------
        Refinement

        Raises
        ------
        InvalidProblem
            If steps or tolerance make no sense.
        """
        check_refinement(steps, tolerance)
        limit, wanted = max_steps if tolerance else steps, (tolerance or 0.0) / self._blind
        refined, info = self._hierarchy.solve(b, field, tolerance=wanted, max_iterations=limit)
        after = self.error(refined, b)
        if tolerance and info.converged and after > AGAIN * tolerance:  # for a start of far more energy than u_h has
            refined, more = self._hierarchy.solve(b, refined, tolerance=wanted, max_iterations=limit)
            drop = info.energy_drop + more.energy_drop
            info = replace(more, iterations=info.iterations + more.iterations, energy_drop=drop)
            after = self.error(refined, b)
        after = float(np.maximum(after, self.round_off))  # nan stays nan
        if tolerance and not (info.converged and after < np.inf) and affordable(self.fine):
            return self._direct(field, b, info.iterations, tolerance)
        norm = energy_norm(refined, self._medium, self.fine.size)
        before = float(np.sqrt(max(info.energy_drop, 0.0))) / norm if norm else 0.0
        converged = tolerance is None or (info.converged and self.round_off <= tolerance)
        return Refinement(refined, info.iterations, before, after, converged)

    def _direct(self, field: np.ndarray, b: np.ndarray, steps: int, tolerance: float) -> Refinement:
        """Solve by factorisation; the error is what a second solve, for the residual, takes off, and the matrix's."""
        system = DirectFine(self._medium, self.fine)
        solution, _ = system.solve(b, system.solve(b, field)[0])
        norm = energy_norm(solution, self._medium, self.fine.size)
        before = energy_norm(solution - field, self._medium, self.fine.size) / norm if norm else 0.0
        after = system.relative_error(b, solution) + self.round_off
        return Refinement(solution, steps, before, after, after <= tolerance, factorised=True)
