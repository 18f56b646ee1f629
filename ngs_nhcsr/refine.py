"""Multigrid-CG steps from a field towards u_h, and what one of them tells of its error."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .checks import check_refinement
from .guard import FLAGGED_FROM, Status
from .solvers.hierarchy import Hierarchy, hierarchy
from .solvers.medium import Medium
from .solvers.norms import energy_norm, energy_squared
from .solvers.space import Space

if TYPE_CHECKING:
    from .problem import Problem

#: Estimated error of the raster from which the user is told.
NOTED_FROM = 0.02
#: Steps after which ``refine_to`` gives up.
MAX_STEPS = 60


@dataclass(frozen=True)
class Refinement:
    """A refined field, and estimates of the relative energy error against u_h.

    Attributes
    ----------
    field : (ny+1, nx+1) nodal values.
    steps : multigrid-CG steps taken.
    before : Hestenes-Stiefel sum: a lower bound of the error of the field that was refined, 0.97 to 1 of it in practice
        after one step at contrast 10.
    after : what one more step would take off, likewise.
    converged : whether a tolerance was reached; True for a number of steps.
    """

    field: np.ndarray
    steps: int
    before: float
    after: float
    converged: bool


def refine(
    field: np.ndarray,
    medium: Medium,
    b: np.ndarray,
    fine: Space,
    *,
    steps: int = 0,
    tolerance: float | None = None,
) -> Refinement:
    """Take multigrid-CG steps from a field.

    Parameters
    ----------
    field : (ny+1, nx+1) nodal values to start from; keeps its values at fixed nodes.
    medium : the coefficient, numpy.
    b : (ny+1, nx+1) load vector.
    fine : the fine space.
    steps : number of steps, or
    tolerance : relative energy error against u_h (estimated) to reach in at most ``MAX_STEPS``.

    Returns
    -------
    Refinement

    Raises
    ------
    InvalidProblem
        If steps or tolerance make no sense.
    """
    check_refinement(steps, tolerance)
    mg = hierarchy(medium, fine)
    refined, info = mg.solve(b, field, tolerance=tolerance or 0.0, max_iterations=MAX_STEPS if tolerance else steps)
    norm = energy_norm(refined, medium, fine.size)
    before = float(np.sqrt(max(info.energy_drop, 0.0))) / norm if norm else 0.0
    return Refinement(refined, info.iterations, before, mg.relative_error(b, refined), info.converged)


class ErrorEstimator:
    """Estimates of relative energy errors against u_h by one multigrid step, for any number of fields.

    Parameters
    ----------
    medium : the coefficient, numpy.
    fine : the fine space.

    Examples
    --------
    >>> from ngs_nhcsr.solvers.load import Load
    >>> estimator = ErrorEstimator(Medium(np.ones((4, 4))), Space((16, 16)))
    >>> round(estimator(np.zeros((17, 17)), Load.of(1.0, (16, 16)).vector((16, 16))), 2)
    1.0
    """

    def __init__(self, medium: Medium, fine: Space):
        self.fine, self._medium = fine, medium

    @cached_property
    def _hierarchy(self) -> Hierarchy:
        return hierarchy(self._medium, self.fine)

    def __call__(self, field: np.ndarray, b: np.ndarray) -> float:
        """Estimate the error of a field: a lower bound up to the norm it is relative to (docs/trust.md has figures).

        Parameters
        ----------
        field : (ny+1, nx+1) nodal values with the right Dirichlet data.
        b : (ny+1, nx+1) load vector.

        Returns
        -------
        Relative error |||u_h − v||| / |||u_h||| of the field v.
        """
        return self._hierarchy.relative_error(b, field)


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
    lost = energy_squared(field, Medium(medium.values * variation), size)  # type: ignore[operator]
    return float(np.sqrt(lost / total)) if total > 0 else 0.0


def judge_raster(
    status: Status, notes: tuple[str, ...], values: np.ndarray, problem: Problem
) -> tuple[Status, tuple[str, ...]]:
    """Add what one value per raster cell costs where the coefficient varies inside the cells.

    Parameters
    ----------
    status : so far.
    notes : so far, in sentences.
    values : (ny+1, nx+1) the field.
    problem : with the variation of its coefficient.

    Returns
    -------
    Status, INACCURATE where that costs too much, and notes.
    """
    lost = coefficient_error(values, problem.medium, problem.variation, problem.space.size)
    if lost > NOTED_FROM:
        notes += (
            f"one value per raster cell costs about {lost:.0%} in energy, which only a raster that resolves it mends.",
        )
    if lost > FLAGGED_FROM and status in (Status.ACCEPTED, Status.OUT_OF_CONTRACT):
        status = Status.INACCURATE
    return status, notes
