"""Solving on the fine mesh, which every other method has to beat."""

from __future__ import annotations

import numpy as np

from ...errors import SolverFailure
from ...solvers.multigrid import Multigrid
from ..context import Context, Q1System, hierarchy, multigrid_solve
from ..method import Method, methods

#: Relative tolerance of the multigrid solve that methods are compared with, and of the reference u_h.
TOLERANCE, REFERENCE_TOLERANCE = 1e-8, 1e-10


def solve_to(mg: Multigrid, context: Context, tolerance: float) -> np.ndarray:
    """u_h (ny+1, nx+1) to a relative residual of ``tolerance`` in the preconditioner's norm.

    Raises
    ------
    SolverFailure
        If it is not reached.
    """
    u, info = multigrid_solve(mg, context, tolerance=tolerance)
    if not info.converged:
        raise SolverFailure(
            f"multigrid on the fine grid of {context.cells} (y, x) cells reached a relative residual of "
            f"{float(info.relative_residual[0]):.1e} after {info.iterations} steps, not {tolerance:.0e}; take "
            "compare(..., reference=) with a field of your own for this contrast."
        )
    return u


def _multigrid(context: Context, mg: Multigrid) -> np.ndarray:
    return solve_to(mg, context, TOLERANCE)


def _factorise(context: Context) -> Q1System:
    return Q1System(context.A, context.cells, context.size)


def _direct(context: Context, system: Q1System) -> np.ndarray:
    return system.solve(context.b)


MULTIGRID = methods.add(Method("multigrid", f"fine solve, multigrid-CG to {TOLERANCE:.0e}", hierarchy, _multigrid))
methods.add(Method("direct", "fine solve, SuperLU", _factorise, _direct))
