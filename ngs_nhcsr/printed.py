"""What ``print`` says of a result: status, error, solver, seconds, notes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .problem import Problem
    from .result import Correction

#: Errors of the reading below this are not told beside a bound.
READ = 1e-6


def summary(result: Correction) -> str:
    """Write five lines on a result.

    Parameters
    ----------
    result : of a correction.

    Returns
    -------
    str
        What its error is, against what, and for which load and coefficient.
    """
    seconds = ", ".join(f"{name} {t:.3f}" for name, t in result.timings.items())
    return "\n".join(
        (
            f"{result.status.name}: {result.status.value}",
            f"error:   {_error(result)}",
            f"solver:  {_solver(result)}",
            f"seconds: {sum(result.timings.values()):.3f} ({seconds})",
            f"notes:   {' '.join(result.notes) or 'none'}",
        )
    )


def _error(result: Correction) -> str:
    budget, problem = result.budget, result.problem
    if budget and not budget.known:
        return f"relative energy error {budget}"
    load = ""
    if problem is not None and problem.load_recovered:
        load = ", for the load as u_coarse shows it"
        if budget:
            load += f" (waves of one coarse cell, as large as it, would change u by {budget.unseen:.2g})"
    if result.target == "pde" and problem is not None:
        return _against_pde(result, problem) + load
    if result.estimate is None:
        return "not estimated; see error_estimate"
    ny, nx = (n - 1 for n in (result.values if result.aligned is None else result.aligned).shape)
    mesh = "the fine mesh" if result.aligned is None else f"a mesh of {nx} x {ny} cells that cuts no pixel"
    return f"relative energy error about {budget} against u_h, the Q1 solution of {mesh}{load}"


def _against_pde(result: Correction, problem: Problem) -> str:
    """Bound of the solution's error, after a larger error of the reading."""
    bound, budget = result.error_estimate, result.budget
    solved = f"at most {bound:.2g}, guaranteed"
    if math.isinf(bound):
        solved = "not bounded, since the solution's energy is below the bound of its error"
    if budget and budget.total > READ:
        solved = (
            f"about {budget} from reading, {solved} from solving"
            if budget.total > bound
            else f"{solved} from solving; from reading: {budget}"
        )
    my, mx = problem.medium.cells
    return f"relative energy error {solved}, against the PDE's solution u for {mx} x {my} pixels"


def _solver(result: Correction) -> str:
    r = result.refinement
    how = (
        ""
        if r is None
        else " and a factorisation"
        if r.factorised
        else f" and {r.steps} multigrid step{'s' * (r.steps != 1)}"
    )
    ny, nx = result.cells
    return f"{result.model or result.target}{how}, {nx} x {ny} fine cells"
