"""From a network's field to a verified result: guard, multigrid steps where they are needed, budget, status."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .budget import NOTED_FROM, NOTED_FROM_IF_ASKED, budget_of
from .guard import Status, guard
from .pipeline import Lap, Outcome
from .refine import AUTOMATIC, MAX_AUTOMATIC, MAX_STEPS, Refinement, Refiner
from .solvers.dirichlet import with_data
from .solvers.neumann import is_neumann, mean_value, with_mean
from .solvers.norms import functional
from .solvers.target import FineQ1
from .solvers.transfer import prolongate

if TYPE_CHECKING:
    from .options import Request
    from .problem import Problem
    from .solvers.medium import Medium
    from .solvers.space import Space


def verify(
    raw: np.ndarray,
    problem: Problem,
    fine: Space,
    request: Request,
    violations: Sequence[str],
    *,
    refiner: Refiner | None = None,
    lap: Lap = lambda name: None,
) -> Outcome:
    """Check a field, improve it by multigrid steps where that was asked for or is needed, and judge it.

    Parameters
    ----------
    raw : (ny+1, nx+1) what a network proposes, of any quality.
    problem : in numpy.
    fine : the fine space.
    request : says how many steps; without an answer they are taken until the estimated error is below ``AUTOMATIC``.
    violations : how the problem differs from those the network was trained for, in words.
    refiner : multigrid prepared for this medium and mesh; default: made here.
    lap : called with "guard", and "refine" or "estimate" when these are done.

    Returns
    -------
    Outcome
    """
    b = problem.load_vector(fine.cells)
    verdict = guard(raw, problem.U, problem.medium, b, fine.size)
    lap("guard")
    values, estimate, refinement, notes = verdict.field, None, None, problem.notes
    values = with_data(values, problem.dirichlet, problem.space, fine)
    if b is None:
        if request.refine or request.refine_to:
            notes += ("not refined: the load is not known; pass f= or form=.",)
    else:
        refiner = refiner or Refiner(problem.medium, fine)
        refinement, estimate = _refined(values, b, request, refiner, lap)
        if refinement is not None:
            values = refinement.field
        if values is not verdict.field:
            verdict = replace(verdict, energy=functional(values, problem.medium, b, fine.size))
    if refinement is not None and not refinement.converged:
        reached, asked = f"{refinement.after:.1e} after {refinement.steps} steps", request.refine_to or AUTOMATIC
        limited = refiner is not None and refiner.round_off > (request.refine_to or AUTOMATIC)
        cause = "; the contrast is too large for double precision" if limited else ""
        notes += (f"multigrid steps reached an estimated energy error of {reached}, not {asked:g}{cause}.",)
    status = _status(verdict.status, problem, refinement, estimate, violations, unmended=request.refine == 0)
    if status is Status.OUT_OF_CONTRACT:
        notes += (f"outside of what the model was trained for: {'; '.join(violations)}.",)
    if is_neumann(fine, problem.medium):
        values = with_mean(values, mean_value(problem.given))
    budget = budget_of(values, problem, estimate)
    noted_from = NOTED_FROM if request.refine is None else NOTED_FROM_IF_ASKED
    status, notes = budget.judge(status, notes, max(noted_from, request.refine_to or 0.0))
    return Outcome(values, status, notes, verdict, refinement, budget)


def takes_network(medium: Medium, coarse: Space, mesh: Space) -> bool:
    """Tell whether a network can be asked: for scalars, without Robin sides, where cells, pixels and mesh are nested.

    Parameters
    ----------
    medium : the coefficient.
    coarse : the coarse space.
    mesh : the fine space.

    Returns
    -------
    bool
    """
    return medium.isotropic and medium.robin is None and FineQ1.nested(medium, coarse, mesh)


def without_network(
    problem: Problem,
    fine: Space,
    request: Request,
    *,
    refiner: Refiner | None = None,
    lap: Lap = lambda name: None,
) -> Outcome:
    """Take multigrid steps from the coarse solution, where a network cannot be asked; see :func:`takes_network`.

    Parameters
    ----------
    problem : in numpy.
    fine : a mesh that cuts no pixels; it need not refine the coarse one.
    request : as for :func:`verify`; ``refine=0`` counts as no answer, as there is no field of a network to keep.
    refiner : multigrid prepared for this medium and mesh; default: made here.
    lap : called with "start", "guard" and "refine" when these are done.

    Returns
    -------
    Outcome that says so.
    """
    if not request.refine:
        request = replace(request, refine=None)
    raw, refiner = prolongate(problem.U, fine.cells), refiner or Refiner(problem.medium, fine)
    if problem.load is not None and not problem.decided:
        b = problem.load.vector(fine.cells)  # the likeliest load: what follows compares nothing
        raw = refiner.refine(raw, b, tolerance=AUTOMATIC, max_steps=MAX_AUTOMATIC).field
    lap("start")
    out = verify(raw, problem, fine, request, (), refiner=refiner, lap=lap)
    (my, mx), (Ny, Nx) = problem.medium.cells, problem.space.cells
    made = "multigrid made the field" if problem.load is not None else "the field is the coarse solution"
    why = f"{mx} x {my} pixels do not fit {Nx} x {Ny} coarse cells and this scale"
    if not problem.medium.isotropic:
        why = "the network was trained for scalar coefficients, and this one is a tensor"
    elif problem.medium.robin is not None:
        why = "the network was trained without Robin sides"
    note = f"{why}: {made}, not the network."
    return replace(out.remarked(note), start="coarse solution")


def _refined(
    values: np.ndarray, b: np.ndarray, request: Request, refiner: Refiner, lap: Callable[[str], None]
) -> tuple[Refinement | None, float]:
    """Steps that were asked for or are needed, and the estimate after them."""
    steps, tolerance, limit = request.refine or 0, request.refine_to, MAX_STEPS
    if not (steps or tolerance):
        estimate = refiner.error(values, b)
        lap("estimate")
        if not request.automatic or max(estimate, refiner.round_off) <= AUTOMATIC:
            return None, estimate
        tolerance, limit = AUTOMATIC, MAX_AUTOMATIC
    refinement = refiner.refine(values, b, steps=steps, tolerance=tolerance, max_steps=limit)
    lap("refine")
    return refinement, refinement.after


def _status(
    guarded: Status,
    problem: Problem,
    refinement: Refinement | None,
    estimate: float | None,
    violations: Sequence[str],
    *,
    unmended: bool,
) -> Status:
    """Status before the budget is looked at; ``unmended``: the user wants the network's own field, guarded."""
    status = guarded
    small = estimate is not None and estimate <= AUTOMATIC
    if refinement is not None and refinement.steps > 0:
        # What the network proposed no longer matters: the estimate tells what became of it.
        status = Status.ACCEPTED if refinement.converged else Status.INACCURATE
    elif status in (Status.DAMPED, Status.REJECTED) and small and not unmended:
        status = Status.ACCEPTED  # likewise, where the coarse solution was right already
    elif status is Status.ACCEPTED and refinement is not None and not refinement.converged:
        status = Status.INACCURATE
    elif status is Status.ACCEPTED and violations and not small:
        status = Status.OUT_OF_CONTRACT
    if status in (Status.ACCEPTED, Status.OUT_OF_CONTRACT) and not problem.consistent:
        status = Status.INCONSISTENT
    return status
