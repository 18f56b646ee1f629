"""What errors are measured against: the fine Q1 solution, the PDE's solution, or a field of the user's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import InvalidProblem
from ..solvers.q1 import energy_norm
from .context import Context, hierarchy
from .methods.fine import REFERENCE_TOLERANCE, solve_to
from .methods.trace import REFERENCE_MODES, reference_field


def with_reference(reference: str | np.ndarray, context: Context) -> tuple[Context, str]:
    """Give a context the field that errors are measured against.

    Parameters
    ----------
    reference : "fine", "pde" or nodal values (ny+1, nx+1), as for ``compare``.
    context : without a reference.

    Returns
    -------
    The context with its reference, and what that is, in words.

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
        values = solve_to(hierarchy(context), context, REFERENCE_TOLERANCE)
        meaning = f"the Q1 solution u_h on the fine mesh, multigrid to {REFERENCE_TOLERANCE:.0e}"
    elif reference == "pde":
        solution = reference_field(context)
        values = solution.nodes(context.cells)
        meaning = (
            f"the PDE's solution u by {REFERENCE_MODES} functions per edge, whose own relative energy error is at most "
            f"{solution.relative_error_bound:.0e} (guaranteed)"
        )
    else:
        raise InvalidProblem(f'reference must be "fine", "pde" or nodal values {shape}, not {reference!r}.')
    if values.shape != shape or not np.isfinite(values).all():
        raise InvalidProblem(f"reference must hold finite nodal values {shape} [iy, ix]; its shape is {values.shape}.")
    if energy_norm(values, context.A, context.size) == 0:
        raise InvalidProblem("the reference is constant, so relative errors have no meaning; pass a load other than 0.")
    return replace(context, reference=values, solution=solution), meaning
