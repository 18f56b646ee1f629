"""What errors are measured against, and the errors: the fine Q1 solution, the PDE's solution, or a field given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import InvalidProblem
from ..solvers.norms import energy_distance, energy_norm, functional, l2_norm
from ..solvers.target import MULTIGRID_TOLERANCE
from ..solvers.trace import TraceField
from .context import Context
from .methods.fine import FineMultigrid
from .methods.trace import discretise, solve

#: Functions per edge and relative algebraic error of the reference u.
MODES, TRACE_TOLERANCE = 12, 1e-7


def pde_solution(context: Context) -> TraceField:
    """Compute u, the PDE's solution of the context's problem, for errors to be measured against it.

    Parameters
    ----------
    context : the problem.

    Returns
    -------
    TraceField; its own error bound is guaranteed.

    Raises
    ------
    SolverFailure
        If the iteration does not reach its tolerance.
    """
    return solve(context, discretise(context, MODES), TRACE_TOLERANCE)


def with_reference(reference: str | np.ndarray, context: Context) -> tuple[Context, str]:
    """Give a context the field that errors are measured against.

    Parameters
    ----------
    reference : "fine", "pde" or nodal values (ny+1, nx+1), as for ``compare``.
    context : without a reference.

    Returns
    -------
    context : with its reference.
    meaning : what that is, in words.

    Raises
    ------
    InvalidProblem
        If the reference is none of these, not finite, of another shape, or constant.
    SolverFailure
        If it cannot be computed.
    """
    shape, solution = context.b.shape, None
    if not isinstance(reference, str):
        values, meaning = np.asarray(reference, dtype=float), "the field given as reference="
    elif reference == "fine":
        values = FineMultigrid(MULTIGRID_TOLERANCE)(context)
        meaning = f"the Q1 solution u_h on the fine mesh, multigrid to {MULTIGRID_TOLERANCE:.0e}"
    elif reference == "pde":
        solution = pde_solution(context)
        values = solution.nodes(context.cells)
        meaning = (
            f"the PDE's solution u by {MODES} functions per edge, whose own relative energy error is at most "
            f"{solution.relative_error_bound:.0e} (guaranteed)"
        )
    else:
        raise InvalidProblem(f'reference must be "fine", "pde" or nodal values {shape}, not {reference!r}.')
    if values.shape != shape or not np.isfinite(values).all():
        raise InvalidProblem(f"reference must hold finite nodal values {shape} [iy, ix]; its shape is {values.shape}.")
    if energy_norm(values, context.medium, context.size) == 0:
        raise InvalidProblem("the reference is constant, so relative errors have no meaning; pass a load other than 0.")
    return replace(context, reference=values, solution=solution), meaning


def l2_error(v: np.ndarray, reference: np.ndarray, size: tuple[float, float]) -> float:
    """Compute the L2 error of nodal values ``v`` relative to those of a reference on the same grid (Ly, Lx)."""
    return l2_norm(v - reference, size) / l2_norm(reference, size)


def energy_error(v: np.ndarray, context: Context, energy: float | None = None) -> float:
    """Compute the relative energy error of a field against the context's reference.

    Against the PDE's solution u it comes from E(v) − E(u) = ½ |||v − u|||²: both have the same boundary values.

    Parameters
    ----------
    v : (ny+1, nx+1) nodal values on the context's fine mesh.
    context : with a reference.
    energy : E(v) of the field, where it is more than its nodal values say; see ``Method.potential``.

    Returns
    -------
    |||v − reference||| / |||reference|||.

    Raises
    ------
    InvalidProblem
        If the context has no reference.
    """
    if context.solution is not None:
        energy = functional(v, context.medium, context.b, context.size) if energy is None else energy
        return energy_distance(energy, context.solution.functional, context.solution.energy)
    if context.reference is None:
        raise InvalidProblem("errors need a reference; see with_reference().")
    norm = energy_norm(context.reference, context.medium, context.size)
    return energy_norm(v - context.reference, context.medium, context.size) / norm
